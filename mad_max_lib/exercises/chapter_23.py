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


exercise(
    "23.1",
    solution=overlooked,
    cases=[(3.0, 9.0), (0.7, 2.5)],
    wrong={
        _overlooked_square: "that is the variance. In which unit is a width measured?",
        _overlooked_no_half: "your width is too large by a constant factor. "
        "What stands below the square in the exponent of a normal density?",
        _overlooked_halfway: "from the halfway point to the rare light is only half of the way. "
        "How far from the other light is the flash?",
    },
    otherwise=lambda got, truth, distance, odds: (
        f"at distance {distance} and odds {odds} the two products of prior and density differ at your width. "
        "Which one is larger?"
    ),
)


@exercise("23.3")
def check_23_3(attempt):
    rng, corner, inside, cases = np.random.default_rng(1), 0, 0, []
    for R, D, far in [(9, 3, 1), (9, 2, 30), (6, 1, 1)]:
        weights = np.exp(1.5 * rng.normal(size=R))
        means = far * rng.normal(size=(R, D))
        cases += [(means, weights / weights.sum(), r) for r in range(R)]
    for means, weights, r in cases:
        got = float(call(attempt, means, weights, r, shape=()))
        ask(got > 0, "on a clear night every light owns its own place. Can a width of 0 or less put it out?")
        if np.isinf(got):
            ask(
                _room(means, weights, r, 200.0) > 0,
                "you say that a light never goes out, and in a thick fog it is named nowhere. "
                "Does every light have a direction in which it lies farthest?",
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
                "there it loses its own place. Must a light win at its own place to be named?",
            )
            ask(
                edge[0],
                "just below your width the light is already named nowhere. Which rivals meet at one place?",
            )
            ask(
                not edge[1], "just above your width the light still wins somewhere. How far out did you look?"
            )
    ask(corner and inside, "some lights go out and some do not. What tells them apart?")


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


def maximise(x, T):
    counts = T.sum(axis=0)
    means = T.T @ x / counts[:, None]
    squares = ((x[:, None] - means) ** 2).sum(axis=2)
    return means, counts / len(x), np.sqrt((T * squares).sum() / x.size)


def _maximise_variance(x, T):
    means, weights, sigma = maximise(x, T)
    return means, weights, sigma**2


def _maximise_no_dimension(x, T):
    means, weights, sigma = maximise(x, T)
    return means, weights, sigma * np.sqrt(x.shape[1])


def _maximise_hard(x, T):
    return maximise(x, np.eye(T.shape[1])[T.argmax(axis=1)])


def _what_is_off(got, truth, x, T):
    (means, weights, sigma), (true_means, true_weights, true_sigma) = got, truth
    if not np.allclose(means, true_means):
        return "the means are off. Which points count for a light, and how much?"
    if not np.allclose(weights, true_weights):
        return "the weights are off. Over what is T averaged?"
    return (
        f"the width should be {true_sigma:.4f}, yours is {sigma:.4f}. "
        "How much does each squared distance count, and from which mean is it measured?"
    )


_rng = np.random.default_rng(2)
exercise(
    "23.4",
    solution=maximise,
    cases=[(_rng.normal(size=(40, 3)), _rng.dirichlet(np.array([2.0, 1.0, 0.5, 0.5]), 40))],
    wrong={
        _maximise_hard: "you give each flash to one light alone. "
        "What does T[n, r] say about a flash between two lights?",
        _maximise_variance: "that is the variance. Which unit does a width have?",
        _maximise_no_dimension: "a squared distance in D directions has D errors in it. "
        "How wide is one of them?",
    },
    otherwise=_what_is_off,
)


def as_mixture(A_k, B_k, sigma):
    exponents = (B_k + (A_k**2).sum(axis=1) / 2) / sigma**2
    e = np.exp(exponents - exponents.max())
    return A_k, e / e.sum()


def _as_mixture_offsets(A_k, B_k, sigma):
    return A_k, as_mixture(0 * A_k, B_k, sigma)[1]


def _as_mixture_sign(A_k, B_k, sigma):
    return A_k, as_mixture(A_k, B_k - (A_k**2).sum(axis=1), sigma)[1]


def _as_mixture_no_half(A_k, B_k, sigma):
    return A_k, as_mixture(A_k, B_k + (A_k**2).sum(axis=1) / 2, sigma)[1]


def _as_mixture_width(A_k, B_k, sigma):
    return as_mixture(A_k, B_k, np.sqrt(sigma))


def _as_mixture_overflow(A_k, B_k, sigma):
    e = np.exp((B_k + (A_k**2).sum(axis=1) / 2) / sigma**2)
    return A_k, e / e.sum()


_rng = np.random.default_rng(3)
_UNIT = _rng.normal(size=(4, 3)), _rng.normal(size=4)
exercise(
    "23.5",
    solution=as_mixture,
    cases=[(*_UNIT, 1.5), (_UNIT[0], _UNIT[1] + 2000, 1.5)],
    wrong={
        _as_mixture_offsets: "a unit whose offsets are K-means' should believe in equal frequencies. "
        "Does yours?",
        _as_mixture_sign: "a long slope pays a handicap in its offset. "
        "Has your prior given it back, or charged it twice?",
        _as_mixture_no_half: "the handicap of a slope is given back twice over. How large is it?",
        _as_mixture_width: "your priors fit another fog. Which power of sigma stands in a normal density?",
        _as_mixture_overflow: "with 2000 added to all offsets the weights go wrong. "
        "What does a common constant do to the quotient, and to the exponentials?",
    },
    otherwise=lambda got, truth, *_: (
        "the means are not the slopes. Where do the lights of a unit stand?"
        if not np.allclose(got[0], truth[0])
        else "the weights are off. What is log pi_r, by the theorem, and do yours add up to 1?"
    ),
)


exercise(
    "23.6",
    solution=[-2.0, -0.5],
    wrong={
        (-6.0, -1.5): "the offset alone is not the prior. "
        "What does a unit without a prior have for an offset?",
        (2.0, 0.5): "you give the whole squared length back. How large is the handicap of a slope?",
        (-2.0, -1.0): "the first one is right. With which power does the width enter?",
        (-4.586, -1.146): "half the length of W is not what enters. What is the square of a length?",
        (-2.0, -2.0): "the first one is right. Does the same offset mean the same belief in every fog?",
    },
    equal=within(1e-3),
    otherwise="not both are right. What are the two exponents in the prior?",
    why="$|W|^2 = 8$, so the log-odds are $(-6 + 4)/1$ and $(-6 + 4)/4$: "
    "off is the likelier, less so in thicker fog.",
)
