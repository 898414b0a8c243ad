"""Chapter 23, Gaussian mixtures."""

import numpy as np
from scipy.optimize import linprog

from . import ask, call, exercise, within


def overlooked(distance, odds):
    return distance / np.sqrt(2 * np.log(odds))


def _overlooked_square(distance, odds):
    return distance**2 / (2 * np.log(odds))


def _overlooked_no_half(distance, odds):
    return distance / np.sqrt(np.log(odds))


def _overlooked_halfway(distance, odds):
    return distance / 2 / np.sqrt(2 * np.log(odds))


def _overlooked_log_10(distance, odds):
    return distance / np.sqrt(2 * np.log10(odds))


exercise(
    "23.1",
    solution=overlooked,
    cases=[(3.0, 9.0), (0.7, 2.5)],
    wrong={
        _overlooked_square: "that is the variance. In which unit is a width measured?",
        _overlooked_no_half: "your width is too large by a constant factor. "
        "What stands below the square in the exponent of a normal density?",
        _overlooked_halfway: "from the halfway point to the faint star is only half of the way. "
        "How far from the bright star is the photon?",
        _overlooked_log_10: "your width is too large by a constant factor. "
        "Which logarithm undoes the exponential of a density?",
    },
    otherwise=lambda got, truth, distance, odds: (
        f"at distance {distance} and odds {odds} the two products of prior and density differ at your width. "
        "Which one is larger?"
    ),
)


exercise(
    "23.2",
    solution=[0.849, 0.333],
    wrong={
        (0.577, 0.333): "the second is right. The first is for the prior 0.1. "
        "What are the three priors when the middle has 0.2?",
        (0.721, 0.333): "the second is right. Is the first a width, or the square of one?",
        (0.849, 0.5): "the first is right. With the prior 0.4 in the middle, does its region vanish?",
        (0.849, 0.2): "the first is right, and it says that with the prior 0.2 the region vanishes. "
        "Which prior makes it grow instead?",
        (0.557, 0.333): "the second is right. Which prior has each outer star when the middle has 0.2?",
    },
    equal=within(0.016),
    otherwise="not both are right. With these priors, where does the middle star win, by the condition?",
    why="With the priors 0.4, 0.2, 0.4 the middle wins where $|x| < \\frac12 - \\sigma^2\\log 2$, and "
    "nowhere from $\\sigma = \\sqrt{0.5/\\log 2} = 0.849$ on. The region never shrinks if the logarithm is "
    "not positive, that is if the prior of the middle is at least that of an outer star: from $\\frac13$ on.",
)


def as_mixture(A, B, sigma):
    exponents = (B + (A**2).sum(axis=1) / 2) / sigma**2
    e = np.exp(exponents - exponents.max())
    return A, e / e.sum()


def _as_mixture_offsets(A, B, sigma):
    return A, as_mixture(0 * A, B, sigma)[1]


def _as_mixture_sign(A, B, sigma):
    return A, as_mixture(A, B - (A**2).sum(axis=1), sigma)[1]


def _as_mixture_no_half(A, B, sigma):
    return A, as_mixture(A, B + (A**2).sum(axis=1) / 2, sigma)[1]


def _as_mixture_width(A, B, sigma):
    return as_mixture(A, B, np.sqrt(sigma))


def _as_mixture_overflow(A, B, sigma):
    e = np.exp((B + (A**2).sum(axis=1) / 2) / sigma**2)
    return A, e / e.sum()


def _as_mixture_part(A, B, sigma):
    """Only the squared length is divided by the variance."""
    return as_mixture(A, B * sigma**2, sigma)


_rng = np.random.default_rng(3)
_UNIT = _rng.normal(size=(4, 3)), _rng.normal(size=4)
exercise(
    "23.3",
    solution=as_mixture,
    cases=[(*_UNIT, 1.5), (_UNIT[0], _UNIT[1] + 2000, 1.5), (_UNIT[0][:2], _UNIT[1][:2], 0.6)],
    wrong={
        _as_mixture_offsets: "a unit with the offsets of K-means has equal priors. Does yours?",
        _as_mixture_sign: "a long slope has a low offset. "
        "Does your prior undo this, or lower it a second time?",
        _as_mixture_no_half: "a unit with the offsets of K-means has equal priors. "
        "Do long slopes get too much in yours?",
        _as_mixture_width: "your priors belong to another width. "
        "Which power of sigma stands in a normal density?",
        _as_mixture_overflow: "with 2000 added to all offsets the priors go wrong. "
        "What does a common constant do to the quotient, and to the exponentials?",
        _as_mixture_part: "one of the two parts of your exponents does not depend on sigma. Should it?",
    },
    otherwise=lambda got, truth, *_: (
        "the means are not the slopes. Where are the components of a unit?"
        if not np.allclose(got[0], truth[0])
        else "the priors are off. What is log pi_r, by the theorem, and do yours add up to 1?"
    ),
)


def reweigh(T, old, new):
    products = T * new / old
    return products / products.sum(axis=1, keepdims=True)


def _reweigh_no_sum(T, old, new):
    return T * new / old


def _reweigh_only_new(T, old, new):
    return T * new / (T * new).sum(axis=1, keepdims=True)


def _reweigh_backwards(T, old, new):
    return reweigh(T, new, old)


def _reweigh_columns(T, old, new):
    products = T * new / old
    return products / products.sum(axis=0)


def _reweigh_shifted(T, old, new):
    return T + new - old


def _reweigh_only_old(T, old, new):
    return T / old / (T / old).sum(axis=1, keepdims=True)


def _reweigh_off(got, truth, T, old, new):
    if not np.allclose(got.sum(axis=1), 1):
        return f"your first row adds up to {got[0].sum():.3f}. What do posteriors add up to?"
    return (
        f"row 0 was {T[0].round(3)} and becomes {got[0].round(3)}. "
        "What is the density of each class there, up to a common factor?"
    )


_rng = np.random.default_rng(4)
exercise(
    "23.4",
    solution=reweigh,
    cases=[
        (np.array([[0.5, 0.5], [0.9, 0.1], [0.0, 1.0]]), np.array([0.5, 0.5]), np.array([0.1, 0.9])),
        (_rng.dirichlet(np.ones(4), 6), _rng.dirichlet(np.ones(4)), _rng.dirichlet(np.ones(4))),
        (_rng.dirichlet(np.ones(3), 1), _rng.dirichlet(np.ones(3)), _rng.dirichlet(np.ones(3))),
    ],
    wrong={
        _reweigh_no_sum: "your proportions are right, but what do the posteriors of a message add up to?",
        _reweigh_only_new: "with equal old priors you are right. "
        "Which prior is already contained in the posteriors?",
        _reweigh_backwards: "a class that becomes more frequent loses in yours. "
        "Which prior should be taken out, and which put in?",
        _reweigh_columns: "the columns of yours add up to 1. Which posteriors add up to 1?",
        _reweigh_shifted: "your rows add up to 1, but some posteriors leave the range from 0 to 1. "
        "Does Bayes' rule add priors?",
        _reweigh_only_old: "yours are the posteriors for equal priors. Where does the new prior enter?",
    },
    otherwise=_reweigh_off,
)


exercise(
    "23.5",
    solution=[-2.0, -0.5],
    wrong={
        (-6.0, -1.5): "the bias alone is not the prior. What is the bias of a unit with equal priors?",
        (2.0, 0.5): "you added the whole squared length. How much of it stands in the offset?",
        (-2.0, -1.0): "the first is right. With which power does the width enter?",
        (-4.586, -1.146): "half the length of W is not what enters. What is the square of a length?",
        (-2.0, -2.0): "the first is right. Does the same bias mean the same prior at each width?",
        (-10.0, -2.5): "you subtracted half the squared length. Which sign has it in the log-odds?",
    },
    equal=within(1e-3),
    otherwise="not both are right. What are the two exponents in the prior?",
    why="$|W|^2 = 8$, so the log-odds are $(-6 + 4)/1$ and $(-6 + 4)/4$. At both widths off is more "
    "probable, and less clearly so at the larger one.",
)


@exercise("23.6")
def check_23_6(attempt):
    rng, corner, inside, cases = np.random.default_rng(1), 0, 0, []
    for R, D, far in [(9, 3, 1), (9, 2, 30), (6, 1, 1)]:
        weights = np.exp(1.5 * rng.normal(size=R))
        means = far * rng.normal(size=(R, D))
        cases += [(means, weights / weights.sum(), r) for r in range(R)]
    for means, weights, r in cases:
        got = float(call(attempt, means, weights, r, shape=()))
        ask(got > 0, "without noise every component wins at its own mean. Can a width of 0 or less end that?")
        if np.isinf(got):
            ask(
                _room(means, weights, r, 200.0) > 0,
                "you say that a region never vanishes, and at a large width this component wins nowhere. "
                "Is there a direction in which its mean lies farthest?",
            )
            corner += 1
        else:
            inside += 1
            edge = [_room(means, weights, r, factor * got) > 0 for factor in (0.999, 1.001)]
            root = [_room(means, weights, r, factor * got**0.5) > 0 for factor in (0.999, 1.001)]
            ask(edge == [True, False] or root != [True, False], "that is not a width. Is v in the proof one?")
            home = [_wins(means, weights, r, factor * got) for factor in (0.999, 1.001)]
            ask(
                edge[1] is False or home != [True, False],
                "there it stops winning at its own mean. Must a component win there to have a region?",
            )
            ask(
                edge[0],
                "just below your width the component already wins nowhere. Which rivals meet at one place?",
            )
            ask(
                not edge[1],
                "just above your width the component still wins somewhere. How far out did you look?",
            )
    ask(corner and inside, "some regions vanish and some do not. What tells them apart?")


def _wins(means, weights, r, sigma):
    """Whether component r is best at its own mean."""
    scores = means @ means[r] - (means**2).sum(axis=1) / 2 + sigma**2 * np.log(weights)
    return scores.argmax() == r


def _room(means, weights, r, sigma):
    """By how much component r can lead all others somewhere, in units of the distance to each, at most 1."""
    n = np.delete(means, r, axis=0) - means[r]
    lengths = np.linalg.norm(n, axis=1)
    gap = (np.delete((means**2).sum(1), r) - (means[r] ** 2).sum()) / 2
    gap = gap + sigma**2 * np.log(weights[r] / np.delete(weights, r))
    rows = np.column_stack([n / lengths[:, None], np.ones(len(n))])
    free = [(None, None)] * means.shape[1] + [(None, 1.0)]
    return -linprog(np.eye(len(free))[-1] * -1, rows, gap / lengths, bounds=free).fun
