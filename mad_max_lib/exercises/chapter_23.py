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
        f"at distance {distance} and odds {odds} you find {float(got):.4f}, and at that width "
        "the two products of prior and density still differ. Did you round, or lose a factor or a sign?"
    ),
    why="For a photon on the faint star the error is $d$ = `distance` for the bright star and 0 for the "
    "faint one. The products are equal where "
    "$\\text{odds} \\cdot e^{-d^2/(2\\sigma^2)} = 1$. So $d^2/(2\\sigma^2) = \\log \\text{odds}$, "
    "and $\\sigma = d/\\sqrt{2\\log \\text{odds}}$.",
)


def collect(t, purity):
    best = np.sort(t)[::-1]
    expected = np.cumsum(best) / np.arange(1, len(t) + 1)
    return int((expected >= purity).sum())


def _collect_each(t, purity):
    return int((t >= purity).sum())


def _collect_in_order(t, purity):
    return int((np.cumsum(t) / np.arange(1, len(t) + 1) >= purity).sum())


def _collect_worst_first(t, purity):
    return int((np.cumsum(np.sort(t)) / np.arange(1, len(t) + 1) >= purity).sum())


def _collect_sum(t, purity):
    return int((np.cumsum(np.sort(t)[::-1]) / len(t) <= purity).sum())


def _collect_share(t, purity):
    """As many as a share of the expected photons of the star."""
    return int(round(purity * t.sum()))


def _collect_over(t, purity):
    return collect(t, purity) + 1


_rng = np.random.default_rng(2)
exercise(
    "23.2",
    solution=collect,
    cases=[
        (np.array([0.2, 0.99, 0.85, 0.1, 0.95]), 0.9),
        (_rng.beta(0.3, 0.6, size=400), 0.8),
        (np.array([0.3, 0.6, 0.4]), 0.7),
        (_rng.beta(2.0, 0.3, size=50), 0.6),
    ],
    wrong={
        _collect_each: "yours are pure enough, but a photon below the purity may be kept if others make up "
        "for it. What is the expected share among all that you keep?",
        _collect_in_order: "you go through the photons as they come. Which ones should be kept first?",
        _collect_worst_first: "you begin with the least certain photons. Which ones should be kept first?",
        _collect_sum: "you divide by the number of all photons. Among which photons is the purity a share?",
        _collect_share: "that is a share of the photons that the star sent. How pure are those you keep?",
        _collect_over: "you keep one photon too many. Is the purity still reached with the last one?",
    },
    otherwise=lambda got, truth, t, purity: (
        f"of {len(t)} photons with the largest posterior {t.max():.2f} you keep {got} at purity {purity}. "
        "What is the mean of the largest posteriors, for so many and for one more?"
    ),
    why="Among n photons the expected share of the star is the mean of their posteriors. It is largest for "
    "the n largest ones. As n grows, smaller ones come in, so this mean never rises. It is at least `purity` "
    "up to some n and below from there on. So counting the lengths that are pure enough gives this n.",
)


def _vanishing_off(got, truth):
    if abs(got[0] - truth[0]) <= 0.0055:
        return (
            "the first is right. A little below and a little above your second number, "
            "does the middle still win somewhere at a width of 10?"
        )
    if abs(got[1] - truth[1]) <= 0.0055:
        return (
            "the second is right. What are the three priors when the middle has 0.2, and what does the "
            "condition then say?"
        )
    return "neither is right yet. With these priors, where does the middle star win, by the condition?"


exercise(
    "23.3",
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
    equal=within(0.0055),
    otherwise=_vanishing_off,
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


def _as_mixture_largest_offset(A, B, sigma):
    """The largest offset is taken out, not the largest exponent."""
    return _as_mixture_overflow(A, B - B.max(), sigma)


def _as_mixture_mean(A, B, sigma):
    exponents = (B + (A**2).sum(axis=1) / 2) / sigma**2
    e = np.exp(exponents - exponents.mean())
    return A, e / e.sum()


def _as_mixture_part(A, B, sigma):
    """Only the squared length is divided by the variance."""
    return as_mixture(A, B * sigma**2, sigma)


_rng = np.random.default_rng(3)
_UNIT = _rng.normal(size=(4, 3)), _rng.normal(size=4)
_LONG = np.array([[0.0, 0.0], [100.0, 0.0]]), np.array([0.0, -3000.0])
exercise(
    "23.4",
    solution=as_mixture,
    cases=[
        (*_UNIT, 1.5),
        (_UNIT[0], _UNIT[1] + 2000, 1.5),
        (_UNIT[0][:2], _UNIT[1][:2], 0.6),
        (*_LONG, 1.0),
        (_UNIT[0][:2], np.array([0.0, -3000.0]), 1.0),
    ],
    wrong={
        _as_mixture_offsets: "a unit with the offsets of K-means has equal priors. Does yours?",
        _as_mixture_sign: "a long slope has a low offset. "
        "Does your prior undo this, or lower it a second time?",
        _as_mixture_no_half: "a unit with the offsets of K-means has equal priors. "
        "Do long slopes get too much in yours?",
        _as_mixture_width: "your priors belong to another width. "
        "Which power of sigma stands in a normal density?",
        _as_mixture_overflow: "with 2000 added to all offsets an exponential overflows. "
        "What does a common constant do to the quotient, and to the exponentials?",
        _as_mixture_largest_offset: "with the slopes (0, 0) and (100, 0) and the offsets 0 and -3000 "
        "an exponential overflows. How large is the largest exponent after your subtraction?",
        _as_mixture_mean: "with the offsets 0 and -3000 and short slopes an exponential overflows. "
        "How large can an exponent be after your subtraction?",
        _as_mixture_part: "one of the two parts of your exponents does not depend on sigma. Should it?",
    },
    otherwise=lambda got, truth, *_: (
        "the means are not the slopes. Where are the components of a unit?"
        if not np.allclose(got[0], truth[0])
        else "the priors are off. What is log pi_r, by the theorem, and do yours add up to 1?"
    ),
    why="By the theorem $\\log\\pi_r$ is $(b_r + \\frac12|a_r|^2)/\\sigma^2$ up to a constant, so the priors "
    "are the softmax of these numbers. Subtracting the largest one divides numerator and denominator by the "
    "same factor, and afterwards no exponential is larger than 1.",
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
    "23.6",
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
    why="By Bayes' rule T / old is the density of each class at the message, up to a factor that is the same "
    "for the whole row. Times new it is the new prior times the density. Dividing a row by its sum "
    "removes the factor.",
)


def _log_odds_off(got, truth):
    if abs(got[0] - truth[0]) <= 1e-3:
        return "the first is right. With which power does the width enter?"
    return "the first is not right yet. What is the log-odds of a ReLU with sigma = 1, and how long is W?"


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
    otherwise=_log_odds_off,
    why="$|W|^2 = 8$, so the log-odds are $(-6 + 4)/1$ and $(-6 + 4)/4$. At both widths off is more "
    "probable, and less clearly so at the larger one.",
)


@exercise("23.7")
def check_23_7(attempt):
    rng, corner, inside, cases = np.random.default_rng(1), 0, 0, []
    for R, D, far in [(9, 3, 1), (9, 2, 30), (6, 1, 1)]:
        weights = np.exp(1.5 * rng.normal(size=R))
        means = far * rng.normal(size=(R, D))
        cases += [(means, weights / weights.sum(), r) for r in range(R)]
    cases += [(np.array([[0.0], [1.0], [-1.0]]), np.array([0.2, 0.7, 0.1]), r) for r in range(3)]
    for means, weights, r in cases:
        got = float(call(attempt, means, weights, r, shape=()))
        ask(got > 0, "without noise every component wins at its own mean. Can a width of 0 or less end that?")
        if np.isinf(got):
            if not _room(means, weights, r, 200.0) > 0:
                fainter = _room(*_without_fainter(means, weights, r), 200.0) > 0
                ask(
                    not fainter,
                    "you say that a region never vanishes, and at a large width this component wins nowhere. "
                    "Does a fainter rival on the other side leave room for ever?",
                )
                ask(
                    False,
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
                "just below your width the component already wins nowhere. "
                "How many rivals must it beat at one and the same place?",
            )
            ask(
                not edge[1],
                "just above your width the component still wins somewhere. How far out did you look?",
            )
    ask(corner and inside, "some regions vanish and some do not. What tells them apart?")


def _without_fainter(means, weights, r):
    """The mixture without the components that are less probable than r, and the new number of r."""
    kept = weights >= weights[r]
    return means[kept], weights[kept], int(kept[:r].sum())


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
