"""Checks and tested solutions of chapter 14."""

import numpy as np

from . import ask, call, exercise, value


def sigmoid(u):
    return 1 / (1 + np.exp(-u))


@exercise(
    "14.1",
    solution=[0.25, 0.75, 1.099, 0.824],
    wrong=[[0.75, 0.25, 1.099, 0.275], [0.25, 0.75, 1.099, 1.099], [0.25, 0.75, 0.75, 0.824], [0.25, 0.75, 1.099, 0.549]],
    why="The odds of piece 1 are e^u = 3 to 1. The hard output is log 3 = 1.099, and the soft one three quarters of it.",
)
def _(attempt):
    got = value(attempt, (4,)).astype(float)
    on, high = 0.75, np.log(3)
    ask(not np.allclose(got[:2], [on, 1 - on], rtol=0, atol=0.01), "your pieces have changed places. Which one is more "
        "probable when u is positive?")  # fmt: skip
    ask(np.allclose(got[:2], [1 - on, on], rtol=0, atol=0.01), "the posteriors are off. What are the odds, e to the u?")
    ask(abs(got[2] - high) < 0.01, "the hard output is off. Is it a probability, or the score of the winner?")
    ask(abs(got[3] - high) > 0.01, "your soft output is the hard one. How much does the losing piece count?")
    ask(abs(got[3] - high / 2) > 0.01, "you average both pieces as if they were equally probable. Are they?")
    ask(abs(got[3] - on * high) < 0.01, "the soft output is off. What is the mean of the scores 0 and u, weighted by what?")


def soft_weights(scores):
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def _weights_unshifted(scores):
    with np.errstate(all="ignore"):
        e = np.exp(scores)
        return e / e.sum(axis=-1, keepdims=True)


def _weights_of_everything(scores):
    e = np.exp(scores - scores.max())
    return e / e.sum()


def _weights_first_axis(scores):
    e = np.exp(scores - scores.max(axis=0))
    return e / e.sum(axis=0)


def _weights_one_hot(scores):
    return np.eye(scores.shape[-1])[scores.argmax(axis=-1)]


def _weights_one_shift(scores):
    with np.errstate(all="ignore"):
        e = np.exp(scores - scores.max())
        return e / e.sum(axis=-1, keepdims=True)


def _weights_mean_shift(scores):
    with np.errstate(all="ignore"):
        e = np.exp(scores - scores.mean(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True)


@exercise(
    "14.2",
    solution=soft_weights,
    wrong=[_weights_unshifted, _weights_of_everything, _weights_first_axis, _weights_one_hot, _weights_one_shift,
           _weights_mean_shift],
)
def _(attempt):
    scores = 2 * np.random.default_rng(0).normal(size=(4, 3, 5))
    got = call(attempt, scores, shape=(4, 3, 5))
    ask(abs(got.sum() - 1) > 1e-9, "all weights together add up to 1. Whose weights should, those of one unit at one point?")
    ask(not np.allclose(got.sum(axis=0), 1), "your weights add up to 1 along the first axis. Which axis holds the pieces?")
    ask(not np.array_equal(got, _weights_one_hot(scores)), "that is a decision. Does a piece count that just loses?")
    ask(np.allclose(got, soft_weights(scores)), "the ratio of two weights is off. How do odds follow from scores?")
    with np.errstate(all="ignore"):
        large = np.asarray(attempt(np.array([[1000.0, 999.0]])), float)
        uneven = np.asarray(attempt(np.array([[1000.0, 999.0], [-1000.0, -999.0]])), float)
    ask(np.isfinite(large).all(), "scores near 1000 give infinity over infinity. What may you subtract from all scores?")
    ask(np.isfinite(uneven).all(), "one unit with scores near 1000 beside one near -1000 goes wrong. Whose largest score "
        "do you subtract?")  # fmt: skip
    ask(np.allclose(uneven, soft_weights(np.array([[1.0, 0.0], [0.0, 1.0]]))), "large scores change the weights, though "
        "only differences should count. What did you do to them?")  # fmt: skip
    for alone in ([1000.0, 0, 0, 0, 0], [1000.0, -1000, -1000]):
        with np.errstate(all="ignore"):
            got = np.asarray(attempt(np.array([alone])), float)
        ask(np.allclose(got, [1.0] + [0.0] * (len(alone) - 1)), "one score of 1000 beside much smaller ones goes wrong. "
            "How large is the largest number that you exponentiate then?")  # fmt: skip


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


@exercise(
    "14.3",
    solution=soft_leaky,
    wrong=[_leaky_full_difference, _leaky_without_lower, _leaky_added, _leaky_lower, _leaky_swapped],
)
def _(attempt):
    u = np.linspace(-6, 6, 31)
    for nu in (0.1, 0.4):
        got = call(attempt, u, nu, shape=[(31,), (31,)])
        for wrong, question in [
            (_leaky_full_difference, "your posterior is that of the pieces 0 and u. By how much do the scores differ here?"),
            (_leaky_without_lower, "your output tends to 0 on the left. Which piece should count there?"),
            (_leaky_added, "your output is steeper than 1 on the right. Do your weights add up to 1?"),
            (_leaky_lower, "your posterior falls as u grows. Whose is it?"),
            (_leaky_swapped, "which of your two results is the probability, and which one was asked for first?"),
        ]:
            ask(not np.allclose(got, wrong(u, nu)), question)
        ask(np.allclose(got, soft_leaky(u, nu)), "the output is not the mean of the two scores. What are the weights?")


@exercise("14.4")
def _(attempt):
    rng = np.random.default_rng(0)
    cases = [s * rng.normal(size=R) for R in (2, 3, 5, 8) for s in (0.2, 0.7, 2.0) for _ in range(5)]
    for s in [*cases, np.array([0.3, 0.3, -5.0]), np.array([500.0, 500.5, 0.0])]:
        t = call(attempt, s, shape=s.shape).astype(float)
        ask(abs(t.sum() - 1) < 1e-9, f"your weights for {len(s)} scores add up to {t.sum():.3g}. What happens to the rest "
            "when some are cut off at zero?")  # fmt: skip
        ask(t.min() > -1e-12, "some of your weights are negative. Which pieces should rather have none?")
        ask(np.ptp(s) < 1 or not np.allclose(t, soft_weights(s)), "those are the weights that the entropy pays best. Does this fee, too, "
            "reward the first trace of doubt without limit?")  # fmt: skip
        pay = t @ s - t @ t / 2
        ask(pay >= s.max() - 0.5 - 1e-9, "putting all weight on the winner would pay more than your weights. Do all "
            "pieces deserve a share?")  # fmt: skip
        gain = (s - t) - (s - t) @ t  # how the pay grows when weight is moved to each piece
        certain = t.max() > 1 - 1e-9
        ask(gain.max() < 1e-8 or not certain, "you decide for one piece, and a little doubt would pay. What does the "
            "fee do to the first small share that a close second gets?")  # fmt: skip
        ask(gain.max() < 1e-8 or t.min() < 1e-12, "no piece is without weight, and moving some from one to another would "
            "still pay. Where is the derivative of the pay largest?")  # fmt: skip
        ask(gain.max() < 1e-8, "moving weight from one piece to another would still pay. Which pieces share the "
            "same derivative, once you know who gets nothing?")  # fmt: skip


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
    return np.einsum("nkr,krd->nkd", np.eye(scores.shape[-1])[scores.argmax(axis=-1)], A)


def _derivative_uncentred(x, A, B):
    scores = np.einsum("nd,krd->nkr", x, A) + B
    return np.einsum("nkr,krd->nkd", soft_weights(scores) * (1 + scores), A)


def _derivative_weights_only(x, A, B):
    return soft_derivative(x, A, B) - _derivative_held(x, A, B)


@exercise(
    "14.5",
    solution=soft_derivative,
    wrong=[_derivative_held, _derivative_hard, _derivative_uncentred, _derivative_weights_only],
)
def _(attempt):
    rng = np.random.default_rng(1)
    case = rng.normal(size=(7, 3)), rng.normal(size=(4, 5, 3)), rng.normal(size=(4, 5))
    got = call(attempt, *case, shape=(7, 4, 3))
    for wrong, question in [
        (_derivative_held, "that is the mean slope. When x moves, do the weights stay?"),
        (_derivative_hard, "that is the slope of the winner alone. Do the losing pieces count?"),
        (_derivative_uncentred, "you forget that weights which grow take from others. What keeps their sum at 1?"),
        (_derivative_weights_only, "that is the change of the weights alone. When x moves, do the scores stay?"),
    ]:
        ask(not np.allclose(got, wrong(*case)), question)
    ask(np.allclose(got, soft_derivative(*case)), "a small step shows another slope than yours. Which two factors of t_r s_r "
        "depend on x?")  # fmt: skip
