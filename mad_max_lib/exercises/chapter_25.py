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
        (bin_of == i).mean() * abs(t[bin_of == i].mean() - ink[bin_of == i].mean()) for i in np.unique(bin_of)
    )


def _calibration_loses_one(t, ink, bins=10):
    """A claim of exactly 1 in no bin at all."""
    bin_of = (t * bins).astype(int)
    here = [bin_of == i for i in range(bins)]
    return sum(h.mean() * abs(t[h].mean() - ink[h].mean()) for h in here if h.any())


def _calibration_by_rows(t, ink, bins=10):
    """The weight of a bin with the number of rows in place of the number of claims."""
    return calibration_error(t, ink, bins) * t.size / len(t)


def _calibration_always_ten(t, ink, bins=10):
    return calibration_error(t, ink)


def _calibration_right_closed(t, ink, bins=10):
    bin_of = np.maximum(np.ceil(t * bins).astype(int) - 1, 0)
    here = [bin_of == i for i in range(bins)]
    return sum(h.mean() * abs(t[h].mean() - ink[h].mean()) for h in here if h.any())


def _calibration_root_mean_square(t, ink, bins=10):
    return _calibration_squared(t, ink, bins) ** 0.5


_rng = np.random.default_rng(2)
_T = _rng.uniform(0.003, 0.997, size=400)
_INK = (_rng.random(400) < _T**2).astype(float)
_STEEP = (_rng.random(400) < np.clip(2 * _T - 0.5, 0, 1)).astype(float)  # gaps of both signs
_FEW = _rng.choice([0.03, 0.27, 0.31, 0.74, 0.78, 1.0], size=90)
exercise(
    "25.2",
    solution=calibration_error,
    cases=[
        (_T, _INK),
        (np.array([0.12, 0.14, 0.18, 0.93]), np.array([0.0, 0.0, 1.0, 1.0])),
        (_FEW, (_rng.random(90) < 0.6).astype(float)),
        (np.array([0.0, 1.0, 1.0, 0.97, 0.93, 0.91]), np.array([0.0, 0.0, 0.0, 1.0, 1.0, 1.0])),
        (_T, _STEEP, 4),
        (_T.reshape(20, 20), _STEEP.reshape(20, 20)),
        (np.array([0.4, 0.5, 0.5, 0.6, 0.75, 0.9]), np.array([0.0, 1.0, 1.0, 0.0, 1.0, 0.0]), 4),
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
        _calibration_root_mean_square: "you take a root of squares. Which mean of the gaps was asked for?",
        _calibration_by_rows: "you divide by the number of rows. How many claims does an array (N, D) hold?",
        _calibration_always_ten: "you always sort into ten bins. What does the last argument say?",
        _calibration_right_closed: "a claim of exactly 0.5 lies on the edge of two of the bins. "
        "To which of them does it belong?",
        _calibration_eleven_bins: "claims of exactly 1 get a bin of their own. How many bins are there?",
        _calibration_loses_one: "claims of exactly 1 are in none of your bins. Where do they belong?",
    },
    otherwise="a bin's gap or its weight is off. What comes out for four claims, by hand?",
    why="`here.mean()` is the share of all claims that lie in the bin, for arrays of any shape. "
    "The minimum puts a claim of exactly 1 into the last bin.",
)


def group_gaps(t, ink, group):
    return np.array([(t[group == g] - ink[group == g]).mean() for g in np.unique(group)])


def _gaps_other_sign(t, ink, group):
    return -group_gaps(t, ink, group)


def _gaps_without_sign(t, ink, group):
    return np.abs(group_gaps(t, ink, group))


def _gaps_of_pixels(t, ink, group):
    return np.array([np.abs(t[group == g] - ink[group == g]).mean() for g in np.unique(group)])


def _gaps_as_calibration(t, ink, group):
    return np.array([calibration_error(t[group == g], ink[group == g]) for g in np.unique(group)])


def _gaps_of_all(t, ink, group):
    return np.array([(t * (group == g) - ink * (group == g)).mean() for g in np.unique(group)])


def _gaps_sums(t, ink, group):
    return np.array([(t[group == g] - ink[group == g]).sum() for g in np.unique(group)])


def _gaps_against_all(t, ink, group):
    return np.array([t[group == g].mean() - ink.mean() for g in np.unique(group)])


_rng = np.random.default_rng(3)
_CLAIM, _GROUP = _rng.random((30, 8)), _rng.choice(4, size=(30, 8), p=[0.5, 0.2, 0.2, 0.1])
_TRUTH = (_rng.random((30, 8)) < np.clip(_CLAIM + 0.2 * (_GROUP - 1), 0, 1)).astype(float)
exercise(
    "25.3",
    solution=group_gaps,
    cases=[
        (_CLAIM, _TRUTH, _GROUP),
        (np.array([0.2, 0.9, 0.4, 0.7]), np.array([0.0, 1.0, 1.0, 1.0]), np.array([5, 2, 5, 2])),
    ],
    wrong={
        _gaps_other_sign: "your signs are turned round. Is a gap positive if the claims are too high?",
        _gaps_without_sign: "your gaps have lost their signs. Which claims are too high, and which too low?",
        _gaps_of_pixels: "you compare each claim with its own pixel. Of which two averages is a gap made?",
        _gaps_as_calibration: "that is the calibration error within each group. Was it asked to use bins?",
        _gaps_of_all: "small groups get small gaps. Over how many pixels do you take the mean?",
        _gaps_sums: "large groups get large gaps. What should be taken in place of the sum?",
        _gaps_against_all: "you compare with the share of ink in all pixels. In which should it be counted?",
    },
    otherwise="one group's gap is off. What comes out for four pixels in two groups, by hand?",
    why="Within each group the mean claim minus the share of ink is the mean of the differences.",
)


def soft_weights(scores):
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def _weights_of_everything(scores):
    return soft_weights(scores.ravel()).reshape(scores.shape)


def _weights_of_everything_shifted(scores):
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return e / e.sum()


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


@exercise(
    "25.4",
    solution=soft_weights,
    cases=[(scores,) for scores in [_SCORES, *_LARGE]],
    wrong={
        _weights_of_everything: "all weights together add up to 1. "
        "Whose weights should, those of one unit at one point?",
        _weights_of_everything_shifted: "the weights of one unit do not add up to 1. Over what do you sum?",
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
    why="With the largest score subtracted, all exponents are zero or less, and one is zero: "
    "nothing overflows, and the sum is at least 1.",
)
def check_25_4(attempt):
    try:
        if callable(attempt):
            attempt(_SCORES.copy())
    except ValueError as error:
        ask(
            "broadcast" not in str(error),
            "a sum or a maximum over the pieces no longer fits the scores. Which axis has it lost?",
        )


def sigmoid(u):
    return 1 / (1 + np.exp(-u))


def soft_pair(u, p, q):
    t = sigmoid((q - p) * u)
    return t * q * u + (1 - t) * p * u, t


def _pair_full_difference(u, p, q):
    t = sigmoid(u)
    return t * q * u + (1 - t) * p * u, t


def _pair_upper_score(u, p, q):
    t = sigmoid(q * u)
    return t * q * u + (1 - t) * p * u, t


def _pair_without_lower(u, p, q):
    t = sigmoid((q - p) * u)
    return t * q * u, t


def _pair_added(u, p, q):
    t = sigmoid((q - p) * u)
    return p * u + t * q * u, t


def _pair_lower(u, p, q):
    output, t = soft_pair(u, p, q)
    return output, 1 - t


def _pair_difference(u, p, q):
    output, t = soft_pair(u, p, q)
    return output, 2 * t - 1


def _pair_hard(u, p, q):
    return np.maximum(p * u, q * u), (u > 0).astype(float)


def _pair_hard_output(u, p, q):
    return np.maximum(p * u, q * u), sigmoid((q - p) * u)


def _pair_swapped(u, p, q):
    return soft_pair(u, p, q)[::-1]


_U = np.linspace(-6, 6, 31)
exercise(
    "25.5",
    solution=soft_pair,
    cases=[(_U, 0.1, 1.0), (_U, -1.0, 1.0), (_U, -0.5, 0.7)],
    wrong={
        _pair_full_difference: "your posterior is that of the pieces 0 and u. "
        "By how much do the scores differ here?",
        _pair_upper_score: "your posterior does not depend on p. With which score does that of qu compete?",
        _pair_without_lower: "your output tends to 0 on the left. Which piece should count there?",
        _pair_added: "your output counts the lower piece in full. Do your weights add up to 1?",
        _pair_lower: "your posterior falls as u grows. Whose is it?",
        _pair_difference: "your second result is negative on the left. Can a probability be?",
        _pair_hard: "you decide for one piece. How probable is the other?",
        _pair_hard_output: "your output is the larger score. What mean is the soft output?",
        _pair_swapped: "which of your two results is the probability, and which one was asked for first?",
    },
    otherwise=lambda got, truth, u, p, q: (
        "the posterior is off. What are the odds of the upper piece, and on which difference do they depend?"
        if not np.allclose(got[1], truth[1])
        else "the output is not the mean of the two scores. What are the weights?"
    ),
    why="The odds of qu are e to the difference of the scores, (q - p) u. The mean slope of the leaky ReLU "
    "is 0.1 + 0.9 sigmoid(0.9 u): 0.55 at 0, nearly 0.1 far to the left and nearly 1 far to the right.",
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
    "25.6",
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
    why="The derivative of t_r s_r is t_r a_r + s_r t_r (a_r - mean slope). Summed over r, the terms with "
    "the mean slope are S times the mean slope, which is the sum of S t_r a_r.",
)


@exercise("25.7")
def check_25_7(attempt):
    rng = np.random.default_rng(0)
    cases = [s * rng.normal(size=R) for R in (2, 3, 5, 8) for s in (0.2, 0.7, 2.0) for _ in range(5)]
    for s in [*cases, np.array([0.3, 0.3, -5.0]), np.array([500.0, 500.5, 0.0])]:
        t = call(attempt, s, shape=s.shape, like=s)
        rest = "happens to the rest when some are cut off at zero" if t.min() == 0 else "must their sum be"
        ask(
            abs(t.sum() - 1) < 1e-3,
            f"your weights for {len(s)} scores add up to {t.sum():.3g}. What {rest}?",
        )
        ask(
            abs(t.sum() - 1) < 1e-9,
            f"your weights miss the sum 1 by {abs(t.sum() - 1):.0e}. "
            "Once you know who gets nothing, is a search still needed for the others?",
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
        best, twice = gain.max() < 1e-8, (s - 2 * t) - (s - 2 * t) @ t
        ask(
            best or twice.max() > 1e-8,
            "your weights are the best ones for another term. What is the derivative of half a square?",
        )
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
