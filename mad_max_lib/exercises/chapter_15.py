"""Chapter 15, beta-VQ and swish."""

import numpy as np

from . import ask, call, exercise, value


@exercise(
    "15.1",
    solution=[1.0, 9.0, 99.0, 0.75],
    wrong=[[0.5, 0.9, 0.99, 3.0], [2.0, 10.0, 100.0, 2 / 3], [1.0, 1 / 9, 1 / 99, 0.25]],
    why="eta = beta / (1 - beta); turned round, beta = eta / (1 + eta).",
)
def _(attempt):
    etas = value(attempt, (4,))
    ask(not np.allclose(etas[:3], [0.5, 0.9, 0.99]), "you give beta back. By what is it still divided?")
    ask(not np.allclose(etas[:3], [2, 10, 100]),
        "you divide 1 by the weight of the entropy. What stands above the line?")  # fmt: skip
    ask(not np.allclose(etas[1:3], [1 / 9, 1 / 99]), "should eta fall when the knob is turned towards hard?")
    ask(np.allclose(etas[:3], [1, 9, 99]), "one of the first three is off. What are beta and 1 - beta there?")
    ask(np.isclose(etas[3], 0.75), "the last one is off. Which beta is three times as large as 1 - beta?")


def beta_vq(scores, beta):
    best = scores.max(axis=-1, keepdims=True)
    if beta == 1:
        return best[..., 0]
    weights = np.exp(beta / (1 - beta) * (scores - best))
    return (weights * scores).sum(axis=-1) / weights.sum(axis=-1)


def _vq_beta_for_eta(scores, beta):
    return beta_vq(scores, beta / (1 + beta))


def _vq_log_sum_exp(scores, beta):
    best = scores.max(axis=-1)
    eta = np.clip(beta / (1 - beta), 1e-9, None) if beta < 1 else np.inf
    return best + np.log(np.exp(eta * (scores - best[..., None])).sum(axis=-1)) / eta if beta < 1 else best


def _vq_overflow(scores, beta):
    if beta == 1:
        return scores.max(axis=-1)
    weights = np.exp(np.minimum(beta / (1 - beta) * scores, 700))
    return (weights * scores).sum(axis=-1) / weights.sum(axis=-1)


def _vq_one_maximum(scores, beta):
    if beta == 1:
        return scores.max(axis=-1)
    weights = np.exp(np.maximum(beta / (1 - beta) * (scores - scores.max()), -700))
    return (weights * scores).sum(axis=-1) / weights.sum(axis=-1)


def _vq_not_normalised(scores, beta):
    return beta_vq(scores, beta) * scores.shape[-1]


def _vq_scaled_values(scores, beta):
    return beta_vq(scores, beta) * (beta / (1 - beta) if beta < 1 else 1)


def _vq_mix_of_ends(scores, beta):
    return beta * scores.max(axis=-1) + (1 - beta) * scores.mean(axis=-1)


@exercise(
    "15.2",
    solution=beta_vq,
    wrong=[_vq_beta_for_eta, _vq_log_sum_exp, _vq_overflow, _vq_one_maximum, _vq_not_normalised,
           _vq_scaled_values, _vq_mix_of_ends],
)  # fmt: skip
def _(attempt):
    scores = 2 * np.random.default_rng(0).normal(size=(30, 4))
    with np.errstate(all="ignore"):
        got = {beta: call(attempt, scores, beta, shape=(30,)) for beta in (0.0, 0.3, 0.5, 0.9, 1.0)}
    ask(not np.allclose(got[0.0], scores.sum(axis=1)), "at beta = 0 you add the scores up. What do shares add up to?")
    ask(not np.allclose(got[0.9], 9 * beta_vq(scores, 0.9)),
        "your weights seem right, but you average eta times the scores. What does a piece put out?")  # fmt: skip
    ask(not np.allclose(got[0.3], _vq_mix_of_ends(scores, 0.3)),
        "you mix the mean and the maximum. Which *one* distribution of shares does the theorem name?")  # fmt: skip
    ask(not np.allclose(got[0.5], _vq_beta_for_eta(scores, 0.5)),
        "at beta = 1/2 your shares are too even. What multiplies the scores, beta or something larger?")  # fmt: skip
    ask(np.allclose(got[1.0], scores.max(axis=1)), "beta = 1 is off. What are the shares if entropy does not count?")
    ask(not (got[0.5] > scores.max(axis=1)).any(),
        "your output lies above the largest score. Can an average of the scores do that?")  # fmt: skip
    ask(np.allclose(got[0.0], scores.mean(axis=1)), "beta = 0 is off. What are the shares if only entropy counts?")
    ask(np.allclose(got[0.3], beta_vq(scores, 0.3)), "beta = 0.3 is off. What is eta there, and what does it multiply?")
    with np.errstate(all="ignore"):
        big = np.asarray(attempt(np.array([[1000.0, 998.0, 0.0]]), 0.5))
    ask(np.allclose(big, beta_vq(np.array([[1000.0, 998.0, 0.0]]), 0.5)),
        "scores near 1000 go wrong. What may be taken away from all scores of a row without changing the shares?")
    rows = np.array([[2000.0, 1998.0, 0.0], [0.5, 0.0, -1.0]])
    with np.errstate(all="ignore"):
        both = np.asarray(attempt(rows.copy(), 0.5))
    ask(np.allclose(both, beta_vq(rows, 0.5)),
        "one row with scores near 2000 spoils another near 0. Which maximum belongs to a row?")  # fmt: skip


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


@exercise("15.3", solution=hard_enough, wrong=[_enough_one_minus, _enough_eta, _enough_two_pieces, _enough_bits])
def _(attempt):
    cases = [(2, 0.1), (4, 0.1), (9, 0.01), (100, 2.0)]
    got, truth = (np.array([call(f, *case, shape=()) for case in cases]) for f in (attempt, hard_enough))
    ask((got <= 1).all(), "a knob stands between 0 and 1, yours beyond. Is that beta or eta?")
    ask(not np.allclose(got, [1 - tolerance for _, tolerance in cases]),
        "is a tenth on the knob a tenth in the output? Which number stands under log(R) in the bound?")  # fmt: skip
    ask(not np.isclose(got[0], got[1]), "2 pieces and 4 pieces get the same knob. Whose entropy can be larger?")
    ask(not np.allclose(got, [_enough_bits(*case) for case in cases]),
        "close, but the knob is turned too far. In which unit does H count, bits or natural logarithms?")  # fmt: skip
    ask(np.allclose(got, truth), "the promise is missed or overfulfilled. Which eta makes the bound as large as "
        "the tolerance, and which beta belongs to it?")  # fmt: skip


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


@exercise("15.4", solution=knob_slope, wrong=[_slope_eta, _slope_one_u, _slope_of_input, _slope_beta, _slope_p_is_beta])
def _(attempt):
    u, p = np.linspace(-3, 3, 13), 0.7
    got, truth = call(attempt, u, p, shape=(13,)), knob_slope(u, p)
    ask(not np.allclose(got, _slope_of_input(u, p)), "that is how the output changes with u. Who moves here?")
    ask(not np.allclose(got * np.exp(p), truth), "you stop at eta. How does eta change when p does?")
    ask(not np.allclose(got, _slope_beta(u, p)), "that is the slope along beta. How does eta = exp(p) change with p?")
    ask(not (got < -1e-12).any(), "the slope has the sign of u. How many factors u come down: one stands before the "
        "sigmoid, and one inside it?")  # fmt: skip
    ask(np.allclose(got, truth), f"at u = {u[8]:g} and p = {p} the slope should be {truth[8]:.4f} and is {got[8]:.4f}. "
        "Which is eta there, exp(p) or something else?")  # fmt: skip


def _run(params, etas, x):
    for (W, b), eta in zip(params[:-1], etas, strict=True):
        u = x @ W.T + b
        x = u / (1 + np.exp(-eta * u))
    return x @ params[-1][0].T + params[-1][1]


@exercise("15.5", why="a soft unit with knob eta is one with knob 1 behind an amplifier")
def _(attempt):
    rng = np.random.default_rng(3)
    for sizes in ([3, 5, 2], [4, 6, 5, 3], [4, 4, 4, 4]):
        params = [(rng.normal(size=(o, i)), rng.normal(size=o)) for i, o in zip(sizes, sizes[1:], strict=False)]
        etas = [rng.uniform(0.3, 4, size=o) for o in sizes[1:-1]]
        flat = (lambda *given: [part for pair in attempt(*given) for part in pair]) if callable(attempt) else attempt
        parts = call(flat, params, etas, shape=[part.shape for pair in params for part in pair])
        new = list(zip(parts[::2], parts[1::2], strict=True))
        x, ones = rng.normal(size=(20, sizes[0])), [np.ones_like(eta) for eta in etas]
        truth, got = _run(params, etas, x), _run(new, ones, x)
        inside = [np.allclose(W * s[:, None], V) for (W, _), (V, _), s in zip(params, new, etas, strict=False)]
        ask(not (inside[0] and np.allclose(new[-1][0], params[-1][0])),
            "what goes into the unit is amplified, but what comes out is as loud as before or louder. Who turns it "
            "down again?")  # fmt: skip
        louder = np.allclose(new[-1][0], params[-1][0] * etas[-1])
        ask(not louder, "each unit ends up louder by the square of its knob. What undoes an amplifier?")
        one = np.ptp((new[0][0] / params[0][0])[:, 0]) < 1e-9
        ask(not one, "all units of the first layer get the same amplifier. Do they have the same knob?")
        ask(not (np.allclose(new[0][0], params[0][0] * etas[0][:, None]) and np.allclose(new[0][1], params[0][1])),
            "the weights are amplified, the biases are not. What does the knob multiply?")  # fmt: skip
        ask(np.allclose(got, truth, rtol=0, atol=1e-9 * max(1, np.abs(truth).max())),
            "the glued network does not put out the same numbers. Follow one unit: by what is its pre-activation "
            "multiplied, by what its output, and which weights can do that?")  # fmt: skip
