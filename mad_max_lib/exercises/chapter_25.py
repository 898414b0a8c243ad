"""Chapter 25, soft inference."""

import numpy as np

from . import ask, call, exercise, within

exercise(
    "25.1",
    solution=[0.25, 0.75, 1.099, 0.824],
    wrong={
        (0.75, 0.25, 1.099, 0.275): "your pieces have changed places. "
        "Which one is more probable when u is positive?",
        (0.25, 0.75, 0.75, 0.824): "the hard output is off. Is it a probability, or the score of the winner?",
        (0.25, 0.75, 1.099, 1.099): "your soft output is the hard one. How much does the losing piece count?",
        (0.25, 0.75, 1.099, 0.549): "you average both pieces as if they were equally probable. Are they?",
    },
    equal=within(0.01),
    otherwise=lambda got, truth: (
        "the posteriors are off. What are the odds, e to the u?"
        if not np.allclose(got[:2], truth[:2], atol=0.01)
        else "one of the two outputs is off. Which scores do the pieces have, and which mean of them is soft?"
    ),
    why="The odds of piece 1 are e^u = 3 to 1. "
    "The hard output is log 3 = 1.099, and the soft one three quarters of it.",
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
    "25.2",
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
    "25.3",
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


@exercise("25.4")
def check_25_4(attempt):
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
            "those are the weights that the entropy pays best. "
            "Does this fee, too, reward the first trace of doubt without limit?",
        )
        pay = t @ s - t @ t / 2
        ask(
            pay >= s.max() - 0.5 - 1e-9,
            "putting all weight on the winner would pay more than your weights. "
            "Do all pieces deserve a share?",
        )
        gain = (s - t) - (s - t) @ t  # how the pay grows when weight is moved to each piece
        best = gain.max() < 1e-8
        ask(
            best or t.max() < 1 - 1e-9,
            "you decide for one piece, and a little doubt would pay. "
            "What does the fee do to the first small share that a close second gets?",
        )
        ask(
            best or t.min() < 1e-12,
            "no piece is without weight, and moving some from one to another would still pay. "
            "Where is the derivative of the pay largest?",
        )
        ask(
            best,
            "moving weight from one piece to another would still pay. "
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
    "25.5",
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
