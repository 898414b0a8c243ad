"""Chapter 26, beta-VQ and swish."""

import numpy as np

from . import ask, call, exercise, within

exercise(
    "26.1",
    solution=[1.0, 9.0, 99.0, 0.75],
    wrong={
        (0.5, 0.9, 0.99, 3.0): "you give beta back. By what is it still divided?",
        (2.0, 10.0, 100.0, 2 / 3): "you divide 1 by the weight of the entropy. What stands above the line?",
        (1.0, 1 / 9, 1 / 99, 0.25): "should eta fall when the knob is turned towards hard?",
    },
    equal=within(1e-3),
    otherwise=lambda got, truth: (
        "one of the first three is off. What are beta and 1 - beta there?"
        if not np.allclose(got[:3], truth[:3])
        else "the last one is off. Which beta is three times as large as 1 - beta?"
    ),
    why="eta = beta / (1 - beta); turned round, beta = eta / (1 + eta).",
)


def beta_vq(scores, beta):
    best = scores.max(axis=-1, keepdims=True)
    if beta == 1:
        return best[..., 0]
    weights = np.exp(beta / (1 - beta) * (scores - best))
    return (weights * scores).sum(axis=-1) / weights.sum(axis=-1)


def _vq_beta_for_eta(scores, beta):
    return beta_vq(scores, beta if beta == 1 else beta / (1 + beta))


def _vq_log_sum_exp(scores, beta):
    if beta in (0, 1):
        return beta_vq(scores, beta)
    best, eta = scores.max(axis=-1), beta / (1 - beta)
    return best + np.log(np.exp(eta * (scores - best[:, None])).sum(axis=-1)) / eta


def _vq_not_normalised(scores, beta):
    best = scores.max(axis=-1)
    if beta == 1:
        return best
    return (np.exp(beta / (1 - beta) * (scores - best[:, None])) * scores).sum(axis=-1)


def _vq_scaled_values(scores, beta):
    return beta_vq(scores, beta) * (beta / (1 - beta) if beta < 1 else 1)


def _vq_mix_of_ends(scores, beta):
    return beta * scores.max(axis=-1) + (1 - beta) * scores.mean(axis=-1)


def _vq_overflow(scores, beta):
    if beta == 1:
        return scores.max(axis=-1)
    weights = np.exp(beta / (1 - beta) * scores)
    return (weights * scores).sum(axis=-1) / weights.sum(axis=-1)


def _vq_one_maximum(scores, beta):
    return _vq_overflow(scores - scores.max(), beta) + scores.max()


_SCORES = 2 * np.random.default_rng(0).normal(size=(30, 4))
_LARGE = [(np.array([[1e3, 998.0, 0.0]]), 0.5), (np.array([[2e3, 1998.0, 0.0], [0.5, 0.0, -1.0]]), 0.5)]


def _which_beta(got, truth, scores, beta):
    if scores.max() > 100:
        return "large scores go wrong. Does a row change its shares when a number is added to all its scores?"
    if beta in (0, 1):
        counts = "only entropy counts" if beta == 0 else "entropy does not count"
        return f"beta = {beta:g} is off. What are the shares if {counts}?"
    return f"beta = {beta} is off. What is eta there, and what does it multiply?"


exercise(
    "26.2",
    solution=beta_vq,
    cases=[*((_SCORES, beta) for beta in (1.0, 0.0, 0.3, 0.5, 0.9)), *_LARGE],
    wrong={
        _vq_beta_for_eta: "at beta = 1/2 your shares are too even. "
        "What multiplies the scores, beta or something larger?",
        _vq_log_sum_exp: "your output lies above the largest score. Can an average of the scores do that?",
        _vq_not_normalised: "at beta = 0 you add the scores up. What do shares add up to?",
        _vq_scaled_values: "your weights seem right, but you average eta times the scores. "
        "What does a piece put out?",
        _vq_mix_of_ends: "you mix the mean and the maximum. "
        "Which *one* distribution of shares does the theorem name?",
        _vq_overflow: "scores near 1000 go wrong. "
        "What may be taken away from all scores of a row without changing the shares?",
        _vq_one_maximum: "one row with scores near 2000 spoils another near 0. "
        "Which maximum belongs to a row?",
    },
    otherwise=_which_beta,
)


def hard_enough(R, tolerance):
    eta = np.log(R) / tolerance
    return eta / (1 + eta)


def _enough_one_minus(R, tolerance):
    return 1 - tolerance


def _enough_eta(R, tolerance):
    return np.log(R) / tolerance


def _enough_two_pieces(R, tolerance):
    return 0.2785 / (0.2785 + tolerance)


def _enough_bits(R, tolerance):
    return np.log2(R) / (np.log2(R) + tolerance)


exercise(
    "26.3",
    solution=hard_enough,
    cases=[(2, 0.1), (4, 0.1), (9, 0.01), (100, 2.0)],
    wrong={
        _enough_one_minus: "is a tenth on the knob a tenth in the output? "
        "Which number stands under log(R) in the bound?",
        _enough_eta: "a knob stands between 0 and 1, yours beyond. Is that beta or eta?",
        _enough_two_pieces: "2 pieces and 4 pieces get the same knob. Whose entropy can be larger?",
        _enough_bits: "close, but the knob is turned too far. "
        "In which unit does H count, bits or natural logarithms?",
    },
    otherwise="the promise is missed or overfulfilled. "
    "Which eta makes the bound as large as the tolerance, and which beta belongs to it?",
)


def knob_slope(u, p):
    eta = np.exp(p)
    on = 1 / (1 + np.exp(-eta * u))
    return eta * u**2 * on * (1 - on)


def _slope_eta(u, p):
    return knob_slope(u, p) / np.exp(p)


def _slope_one_u(u, p):
    return knob_slope(u, p) / np.where(u == 0, 1.0, u)


def _slope_of_input(u, p):
    eta = np.exp(p)
    on = 1 / (1 + np.exp(-eta * u))
    return on + eta * u * on * (1 - on)


def _slope_beta(u, p):
    eta = np.exp(p)
    return knob_slope(u, p) / eta * (1 + eta) ** 2


def _slope_p_is_beta(u, p):
    return knob_slope(u, np.log(1 / (1 + np.exp(-p))))


exercise(
    "26.4",
    solution=knob_slope,
    cases=[(np.linspace(-3, 3, 13), 0.7)],
    wrong={
        _slope_of_input: "that is how the output changes with u. Who moves here?",
        _slope_eta: "you stop at eta. How does eta change when p does?",
        _slope_beta: "that is the slope along beta. How does eta = exp(p) change with p?",
        _slope_one_u: "the slope has the sign of u. How many factors u come down: "
        "one stands before the sigmoid, and one inside it?",
        _slope_p_is_beta: "your eta lies between 0 and 1, as a beta does. Which of the two is sig(p)?",
    },
    otherwise=lambda got, truth, u, p: (
        f"at u = {u[8]:g} and p = {p} the slope should be {truth[8]:.4f} and is {got[8]:.4f}. "
        "Which is eta there, exp(p) or something else?"
    ),
)


def _run(params, etas, x):
    for (W, b), eta in zip(params[:-1], etas, strict=True):
        u = x @ W.T + b
        x = u / (1 + np.exp(-eta * u))
    return x @ params[-1][0].T + params[-1][1]


@exercise("26.5")
def check_26_5(attempt):
    def flat(*given):
        return [part for pair in attempt(*given) for part in pair]

    rng = np.random.default_rng(3)
    for sizes in ([3, 5, 2], [4, 6, 5, 3], [4, 4, 4, 4]):
        params = [
            (rng.normal(size=(o, i)), rng.normal(size=o)) for i, o in zip(sizes, sizes[1:], strict=False)
        ]
        etas = [rng.uniform(0.3, 4, size=o) for o in sizes[1:-1]]
        like = [part for pair in params for part in pair]
        parts = call(
            flat if callable(attempt) else attempt, params, etas, shape=[p.shape for p in like], like=like
        )
        new = list(zip(parts[::2], parts[1::2], strict=True))
        (W_new, b_new), (W, b), amplified = new[0], params[0], etas[0][:, None] * params[0][0]
        last, last_new = params[-1][0], new[-1][0]
        ask(
            not (np.allclose(W_new, amplified) and np.allclose(last_new, last)),
            "what goes into the unit is amplified, but what comes out is as loud as before or louder. "
            "Who turns it down again?",
        )
        ask(
            not np.allclose(last_new, last * etas[-1]),
            "each unit ends up louder by the square of its knob. What undoes an amplifier?",
        )
        ask(
            np.ptp((W_new / W)[:, 0]) > 1e-9,
            "all units of the first layer get the same amplifier. Do they have the same knob?",
        )
        ask(
            not (np.allclose(W_new, amplified) and np.allclose(b_new, b)),
            "the weights are amplified, the biases are not. What does the knob multiply?",
        )
        x, ones = rng.normal(size=(20, sizes[0])), [np.ones_like(eta) for eta in etas]
        truth, got = _run(params, etas, x), _run(new, ones, x)
        ask(
            np.allclose(got, truth, rtol=0, atol=1e-9 * max(1, np.abs(truth).max())),
            "the glued network does not put out the same numbers. Follow one unit: "
            "by what is its pre-activation multiplied, by what its output, and which weights can do that?",
        )
