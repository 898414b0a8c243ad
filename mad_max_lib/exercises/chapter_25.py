"""Chapter 25, soft inference."""

import numpy as np

from . import ask, call, exercise, within

exercise(
    "25.1",
    solution=[-0.197, 0.451, 0.0, -0.089],
    wrong={
        (2.0, 0.881, 2.0, 1.762): "your odds hold for pages with as much ink as paper. "
        "How often is a pixel of this page ink?",
        (-0.303, 0.425, 0.0, -0.129): "you multiply the odds by one tenth. "
        "What are the odds of something that happens once in ten times?",
        (0.197, 0.549, 0.197, 0.108): "those are the odds of paper. Whose odds does u tell?",
        (-0.197, 0.549, 0.0, -0.108): "your probability falls as the reading grows. Whose is it?",
        (-0.197, 0.451, -0.197, -0.089): "your hard output is below zero. "
        "Which two scores does the unit compare?",
        (-0.197, 0.451, 0.0, 0.0): "your soft output is the hard one. Does the losing piece count?",
        (-0.197, 0.451, 0.0, 0.451): "your soft output is a probability. The mean of which numbers is it?",
    },
    equal=within(0.006),
    otherwise=lambda got, truth: (
        "u is off. What does the reading alone say, and what does the rarity of ink add to it?"
        if not abs(got[0] - truth[0]) < 0.006
        else "your probability does not fit your u. How do odds become a probability?"
        if not abs(got[1] - truth[1]) < 0.006
        else "one of the two outputs is off. Which scores do the pieces have, and which mean of them is soft?"
    ),
    why="u = 2 * 2 - 2 + log(1 / 9) = -0.197, and sigmoid(u) = 0.451. The reading is exactly that of ink, "
    "yet paper is more probable, because ink is rare. The hard output is max(0, u) = 0, "
    "and the soft one 0.451 u.",
)


def calibration_error(t, ink, bins=10):
    bin_of = np.minimum((t * bins).astype(int), bins - 1)
    error = 0.0
    for i in range(bins):
        here = bin_of == i
        if here.any():
            error += here.mean() * abs(t[here].mean() - ink[here].mean())
    return error


def _bins(t, ink, bins):
    """Share of the claims, mean claim and share of ink in each bin that holds claims: (B, 3)."""
    bin_of = np.minimum((t * bins).astype(int), bins - 1)
    return np.array([
        ((bin_of == i).mean(), t[bin_of == i].mean(), ink[bin_of == i].mean()) for i in np.unique(bin_of)
    ])  # fmt: skip


def _calibration_bins_alike(t, ink, bins=10):
    _, claimed, true = _bins(t, ink, bins).T
    return np.abs(claimed - true).mean()


def _calibration_all_bins_alike(t, ink, bins=10):
    _, claimed, true = _bins(t, ink, bins).T
    return np.abs(claimed - true).sum() / bins


def _calibration_largest(t, ink, bins=10):
    _, claimed, true = _bins(t, ink, bins).T
    return np.abs(claimed - true).max()


def _calibration_each_pixel(t, ink, bins=10):
    return np.abs(t - ink).mean()


def _calibration_one_bin(t, ink, bins=10):
    return abs(t.mean() - ink.mean())


def _calibration_signed(t, ink, bins=10):
    share, claimed, true = _bins(t, ink, bins).T
    return (share * (claimed - true)).sum()


def _calibration_squared(t, ink, bins=10):
    share, claimed, true = _bins(t, ink, bins).T
    return (share * (claimed - true) ** 2).sum()


def _calibration_middles(t, ink, bins=10):
    share, _, true = _bins(t, ink, bins).T
    middle = (np.unique(np.minimum((t * bins).astype(int), bins - 1)) + 0.5) / bins
    return (share * np.abs(middle - true)).sum()


def _calibration_decisions(t, ink, bins=10):
    share, claimed, true = _bins(t, ((t > 0.5) == (ink > 0.5)).astype(float), bins).T
    return (share * np.abs(claimed - true)).sum()


def _calibration_eleven_bins(t, ink, bins=10):
    """A claim of exactly 1 in a bin of its own."""
    bin_of = (t * bins).astype(int)
    return sum(
        (bin_of == i).mean() * abs(t[bin_of == i].mean() - ink[bin_of == i].mean()) for i in set(bin_of)
    )


def _calibration_loses_one(t, ink, bins=10):
    """A claim of exactly 1 in no bin at all."""
    bin_of = (t * bins).astype(int)
    here = [bin_of == i for i in range(bins)]
    return sum(h.mean() * abs(t[h].mean() - ink[h].mean()) for h in here if h.any())


_rng = np.random.default_rng(2)
_T = _rng.uniform(0.003, 0.997, size=400)
_INK = (_rng.random(400) < _T**2).astype(float)
_FEW = _rng.choice([0.03, 0.27, 0.31, 0.74, 0.78, 1.0], size=90)
exercise(
    "25.2",
    solution=calibration_error,
    cases=[
        (_T, _INK),
        (np.array([0.12, 0.14, 0.18, 0.93]), np.array([0.0, 0.0, 1.0, 1.0])),
        (_FEW, (_rng.random(90) < 0.6).astype(float)),
        (np.array([0.0, 1.0, 1.0, 0.97, 0.93, 0.91]), np.array([0.0, 0.0, 0.0, 1.0, 1.0, 1.0])),
        (_T, _INK, 4),
    ],
    wrong={
        _calibration_bins_alike: "a bin with few claims counts as much as a bin with many. "
        "What should its weight be?",
        _calibration_all_bins_alike: "every bin counts a tenth, even an empty one. "
        "What should the weight of a bin be?",
        _calibration_largest: "that is the gap of the worst bin. Do the other bins count?",
        _calibration_each_pixel: "you compare each claim with its own pixel, which is 0 or 1. "
        "Of which two averages is a bin's gap made?",
        _calibration_one_bin: "claims that are too high and claims that are too low cancel. "
        "Where do you take the absolute value?",
        _calibration_signed: "gaps of different bins cancel. What keeps them from it?",
        _calibration_squared: "your gaps are squared. What was asked for?",
        _calibration_middles: "you compare with the middle of each bin. What was claimed there on average?",
        _calibration_decisions: "you count right decisions. Of what is t the probability?",
        _calibration_eleven_bins: "claims of exactly 1 get a bin of their own. How many bins are there?",
        _calibration_loses_one: "claims of exactly 1 are in none of your bins. Where do they belong?",
    },
    otherwise="a bin's gap or its weight is off. What comes out for four claims, by hand?",
)


def soft_weights(scores):
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def _weights_of_everything(scores):
    return soft_weights(scores.ravel()).reshape(scores.shape)


def _weights_first_axis(scores):
    return soft_weights(scores.T).T


def _weights_one_hot(scores):
    return np.eye(scores.shape[-1])[scores.argmax(axis=-1)]


def _weights_unshifted(scores):
    e = np.exp(scores)
    return e / e.sum(axis=-1, keepdims=True)


def _weights_one_shift(scores):
    return _weights_unshifted(scores - scores.max())


def _weights_mean_shift(scores):
    return _weights_unshifted(scores - scores.mean(axis=-1, keepdims=True))


_SCORES = 2 * np.random.default_rng(0).normal(size=(4, 3, 5))
_LARGE = [np.array(s) for s in ([[1e3, 999.0]], [[1e3, 999.0], [-1e3, -999.0]], [[1e3, -1e3, -1e3]])]
exercise(
    "25.4",
    solution=soft_weights,
    cases=[(scores,) for scores in [_SCORES, *_LARGE]],
    wrong={
        _weights_of_everything: "all weights together add up to 1. "
        "Whose weights should, those of one unit at one point?",
        _weights_first_axis: "your weights add up to 1 along the first axis. Which axis holds the pieces?",
        _weights_one_hot: "that is a decision. Does a piece count that just loses?",
        _weights_unshifted: "scores near 1000 give infinity over infinity. "
        "What may you subtract from all scores?",
        _weights_one_shift: "one unit with scores near 1000 beside one near -1000 goes wrong. "
        "Whose largest score do you subtract?",
        _weights_mean_shift: "one score of 1000 beside much smaller ones goes wrong. "
        "How large is the largest number that you exponentiate then?",
    },
    otherwise=lambda got, truth, scores: (
        "the ratio of two weights is off. How do odds follow from scores?"
        if scores is _SCORES
        else "large scores change the weights, though only differences should count. What did you do to them?"
    ),
)


def sigmoid(u):
    return 1 / (1 + np.exp(-u))


def soft_leaky(u, nu):
    t = sigmoid((1 - nu) * u)
    return t * u + (1 - t) * nu * u, t


def _leaky_full_difference(u, nu):
    t = sigmoid(u)
    return t * u + (1 - t) * nu * u, t


def _leaky_without_lower(u, nu):
    t = sigmoid((1 - nu) * u)
    return t * u, t


def _leaky_added(u, nu):
    t = sigmoid((1 - nu) * u)
    return nu * u + t * u, t


def _leaky_lower(u, nu):
    output, t = soft_leaky(u, nu)
    return output, 1 - t


def _leaky_swapped(u, nu):
    return soft_leaky(u, nu)[::-1]


_U = np.linspace(-6, 6, 31)
exercise(
    "25.5",
    solution=soft_leaky,
    cases=[(_U, 0.1), (_U, 0.4)],
    wrong={
        _leaky_full_difference: "your posterior is that of the pieces 0 and u. "
        "By how much do the scores differ here?",
        _leaky_without_lower: "your output tends to 0 on the left. Which piece should count there?",
        _leaky_added: "your output is steeper than 1 on the right. Do your weights add up to 1?",
        _leaky_lower: "your posterior falls as u grows. Whose is it?",
        _leaky_swapped: "which of your two results is the probability, and which one was asked for first?",
    },
    otherwise=lambda got, truth, u, nu: (
        "the posterior is off. What are the odds of the upper piece, and on which difference do they depend?"
        if not np.allclose(got[1], truth[1])
        else "the output is not the mean of the two scores. What are the weights?"
    ),
)


@exercise("25.6")
def check_25_6(attempt):
    rng = np.random.default_rng(0)
    cases = [s * rng.normal(size=R) for R in (2, 3, 5, 8) for s in (0.2, 0.7, 2.0) for _ in range(5)]
    for s in [*cases, np.array([0.3, 0.3, -5.0]), np.array([500.0, 500.5, 0.0])]:
        t = call(attempt, s, shape=s.shape, like=s)
        ask(
            abs(t.sum() - 1) < 1e-9,
            f"your weights for {len(s)} scores add up to {t.sum():.3g}. "
            "What happens to the rest when some are cut off at zero?",
        )
        ask(t.min() > -1e-12, "some of your weights are negative. Which pieces should rather have none?")
        ask(
            np.ptp(s) < 1 or not np.allclose(t, soft_weights(s)),
            "those are the weights for the entropy. "
            "How fast does each of the two terms change when a weight leaves zero?",
        )
        value = t @ s - t @ t / 2
        ask(
            value >= s.max() - 0.5 - 1e-9,
            "all weight on the winner gives a larger value than your weights. Does every piece need a share?",
        )
        gain = (s - t) - (s - t) @ t  # how the value grows when weight is moved to each piece
        best = gain.max() < 1e-8
        ask(
            best or t.max() < 1 - 1e-9,
            "you decide for one piece, and a little weight on another gives a larger value. "
            "How fast does the value change when a close second gets its first small share?",
        )
        ask(
            best or t.min() < 1e-12,
            "no piece is without weight, and moving some from one to another gives a larger value. "
            "For which piece is the derivative largest, and for which smallest?",
        )
        ask(
            best,
            "moving weight from one piece to another gives a larger value. "
            "Which pieces share the same derivative, once you know who gets nothing?",
        )


def soft_derivative(x, A, B):
    scores = np.einsum("nd,krd->nkr", x, A) + B
    T = soft_weights(scores)
    S = (T * scores).sum(axis=-1, keepdims=True)
    return np.einsum("nkr,krd->nkd", T * (1 + scores - S), A)


def _derivative_held(x, A, B):
    T = soft_weights(np.einsum("nd,krd->nkr", x, A) + B)
    return np.einsum("nkr,krd->nkd", T, A)


def _derivative_hard(x, A, B):
    scores = np.einsum("nd,krd->nkr", x, A) + B
    return np.einsum("nkr,krd->nkd", _weights_one_hot(scores), A)


def _derivative_uncentred(x, A, B):
    scores = np.einsum("nd,krd->nkr", x, A) + B
    return np.einsum("nkr,krd->nkd", soft_weights(scores) * (1 + scores), A)


def _derivative_weights_only(x, A, B):
    return soft_derivative(x, A, B) - _derivative_held(x, A, B)


_rng = np.random.default_rng(1)
exercise(
    "25.7",
    solution=soft_derivative,
    cases=[(_rng.normal(size=(7, 3)), _rng.normal(size=(4, 5, 3)), _rng.normal(size=(4, 5)))],
    wrong={
        _derivative_held: "that is the mean slope. When x moves, do the weights stay?",
        _derivative_hard: "that is the slope of the winner alone. Do the losing pieces count?",
        _derivative_uncentred: "you forget that weights which grow take from others. "
        "What keeps their sum at 1?",
        _derivative_weights_only: "that is the change of the weights alone. "
        "When x moves, do the scores stay?",
    },
    otherwise="a small step shows another slope than yours. Which two factors of t_r s_r depend on x?",
)
