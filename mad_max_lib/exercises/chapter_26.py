"""Chapter 26, beta-VQ and swish."""

from itertools import product

import numpy as np
from scipy.special import lambertw

from . import ask, call, exercise, within

exercise(
    "26.1",
    solution=[1.0, 4.0, 99.0, 0.75],
    wrong={
        (0.5, 0.8, 0.99, 3.0): "you give beta back. By what is it still divided?",
        (2.0, 5.0, 100.0, 2 / 3): "you divide 1 by 1 - beta. What stands above the line?",
        (1.0, 1 / 4, 1 / 99, 0.25): "your eta falls while beta grows. "
        "Which of the two factors is divided by the other?",
        (1.0, 4.0, 99.0, 1.5): "the first three are right, but the last is larger than 1. "
        "Between which numbers does beta lie?",
        (1.0, 4.0, 99.0, 0.25): "the first three are right. For the last, is beta the larger or the smaller "
        "of beta and 1 - beta?",
    },
    equal=within(1e-3),
    otherwise=lambda got, truth: (
        "one of the first three is off. What are beta and 1 - beta there?"
        if not np.allclose(got[:3], truth[:3], atol=1e-3)
        else "the last one is off. Which beta is three times as large as 1 - beta?"
    ),
    why="eta = beta / (1 - beta), so 0.5/0.5, 0.8/0.2 and 0.99/0.01. Solved for beta: eta / (1 + eta).",
)  # fmt: skip


def beta_vq(scores, beta):
    best = scores.max(axis=-1, keepdims=True)
    if beta == 1:
        return best[..., 0]
    e = np.exp(beta / (1 - beta) * (scores - best))
    return (e * scores).sum(axis=-1) / e.sum(axis=-1)


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


def _vq_largest_share_only(scores, beta):
    """The winner's score times its share."""
    if beta == 1:
        return scores.max(axis=-1)
    e = np.exp(beta / (1 - beta) * (scores - scores.max(axis=-1, keepdims=True)))
    return scores.max(axis=-1) / e.sum(axis=-1)


def _vq_mix_of_ends(scores, beta):
    return beta * scores.max(axis=-1) + (1 - beta) * scores.mean(axis=-1)


def _vq_overflow(scores, beta):
    if beta == 1:
        return scores.max(axis=-1)
    shares = np.exp(beta / (1 - beta) * scores)
    return (shares * scores).sum(axis=-1) / shares.sum(axis=-1)


def _vq_one_maximum(scores, beta):
    return _vq_overflow(scores - scores.max(), beta) + scores.max()


def _vq_small_number(scores, beta):
    best = scores.max(axis=-1, keepdims=True)
    e = np.exp(beta / (1 - beta + 1e-12) * (scores - best))
    return (e * scores).sum(axis=-1) / e.sum(axis=-1)


def _vq_beta_cut_off(scores, beta):
    return beta_vq(scores, min(beta, 0.999))


def _vq_early_maximum(scores, beta):
    return beta_vq(scores, 1.0 if beta > 0.95 else beta)


def _vq_shift_by_mean(scores, beta):
    return _vq_overflow(scores - scores.mean(axis=-1, keepdims=True), beta) + scores.mean(axis=-1)


def _vq_shift_by_first(scores, beta):
    return _vq_overflow(scores - scores[:, :1], beta) + scores[:, 0]


def _vq_clipped(scores, beta):
    best = scores.max(axis=-1, keepdims=True)
    if beta == 1:
        return best[..., 0]
    e = np.exp(beta / (1 - beta) * np.maximum(scores - best, -30))
    return (e * scores).sum(axis=-1) / e.sum(axis=-1)


def _vq_single(scores, beta):
    return beta_vq(scores.astype(np.float32), beta).astype(float)


def _vq_returns_shifted(scores, beta):
    """The maximum is taken away from the scores that are averaged, too."""
    return beta_vq(scores, beta) - (scores.max(axis=-1) if beta < 1 else 0)


_SCORES = 2 * np.random.default_rng(0).normal(size=(30, 4))
_CLOSE = _SCORES[0].max() + np.array([[0.0, -1e-12, -1e-3, -2.0], [-1e-3, -2e-3, 0.0, -0.05]])
_LARGE = [
    (np.array([[1e3, 998.0, 0.0]]), 0.5), (np.array([[-998.0, -1e3, -1e3], [0.5, 0.0, -1.0]]), 0.5),
    (np.array([[0.0, 998.0, 1e3], [-1e3, 0.0, 1e3], [-1e3, -999.0, -1e3]]), 0.5),
    (np.array([[0.0, 998.0, 1e3], [-1e3, 0.0, 1e3], [40.0, 0.0, -40.0]]), 0.95),
    (np.array([[-100.0, 0.0, 100.0]]), 0.02),
]  # fmt: skip


def _which_beta(got, truth, scores, beta):
    if np.isfinite(got).all() and np.abs(got - truth).max() < 1e-4 * np.abs(scores).max():
        return (
            f"nearly right, but at beta = {beta:g} off by {np.abs(got - truth).max():.0e}. "
            "Do you add a small number, round, or cut something off? What can be computed exactly there?"
        )
    if beta == 0.02:
        return "beta = 0.02 is off, with scores from -100 to 100. Does a score far behind count nothing?"
    if np.abs(scores).max() > 30:
        return "large scores go wrong. Do a row's shares change when a number is added to all its scores?"
    if beta in (0, 1):
        counts = "only the entropy counts" if beta == 0 else "the entropy does not count"
        return f"beta = {beta:g} is off. What are the shares if {counts}?"
    return f"beta = {beta} is off. What is eta there, and what does it multiply?"


exercise(
    "26.2",
    solution=beta_vq,
    cases=[
        *((_SCORES, beta) for beta in (1.0, 0.0, 0.3, 0.5, 0.9)),
        *((_CLOSE, beta) for beta in (1.0, 0.9995, 0.97)),
        *_LARGE,
    ],
    equal=within(1e-13, rtol=1e-11),
    wrong={
        _vq_beta_for_eta: "at beta = 1/2 your shares are too even. "
        "What multiplies the scores, beta or something larger?",
        _vq_log_sum_exp: "your output lies above the largest score. Can an average of the scores do that?",
        _vq_not_normalised: "at beta = 0 you add the scores up. What do the shares add up to?",
        _vq_scaled_values: "your shares seem right, but you average eta times the scores. "
        "What does a piece return?",
        _vq_largest_share_only: "you multiply the largest score by its share. Where are the other pieces?",
        _vq_mix_of_ends: "you mix the mean and the maximum. "
        "Which *one* list of shares does the theorem name?",
        _vq_overflow: "scores near 1000 go wrong. "
        "What may be taken away from all scores of a row without changing the shares?",
        _vq_one_maximum: "one row with scores near 2000 spoils another near 0. "
        "Which maximum belongs to a row?",
        _vq_small_number: "nearly right, but at beta = 1 a small number in place of 0 is not exact. "
        "Which output is known there without an eta?",
        _vq_beta_cut_off: "nearly right, but you replace a beta near 1 by another. "
        "Which betas have an eta, and what is the output at the one that has none?",
        _vq_early_maximum: "for a beta slightly below 1 you return the maximum. "
        "Have two scores that differ by 0.001 very different shares there?",
        _vq_shift_by_mean: "some large scores still overflow. "
        "After your shift by the row's mean, can a score be far above 0? Which shift prevents that?",
        _vq_shift_by_first: "some large scores still overflow. "
        "What if the first score of the row is the smallest?",
        _vq_clipped: "you cut differences off at -30. How much does a piece that is 100 behind weigh at a "
        "small beta?",
        _vq_single: "your numbers have only seven digits. Which dtype do you compute in?",
        _vq_returns_shifted: "your output is too low by each row's maximum. "
        "Where does the shift help, in the exponents or in the average?",
    },
    otherwise=_which_beta,
)

_TWICE = 2 * np.exp(2) / (1 + 2 * np.exp(2))

exercise(
    "26.3",
    solution=[1.333, 1.873, 2.0],
    wrong={
        (1.0, 2 / (1 + np.exp(-2)), 2.0): "that is the unit with the pieces 0 and u. "
        "How many pieces have a share here?",
        (1.0, 2 * _TWICE, 2.0): "at beta = 1/2 and 1 you are right. At beta = 0, how many shares are equal?",
        (4 / 3, 2 / (1 + np.exp(-2)), 2.0): "at beta = 0 and 1 you are right. At beta = 1/2, how many terms "
        "does the sum of the exponentials have?",
        (2.0, 2.0, 2.0): "that is the maximum. Does piece 0 lose all its share at beta = 0 and 1/2?",
        (4 / 3, _TWICE, 1.0): "at beta = 1/2 and 1 you give the share of the two equal pieces. "
        "What do they return at u = 2?",
        (2 / 3, _TWICE, 1.0): "those are shares. Which scores are averaged with them?",
        (2 / 3, _TWICE, 2.0): "for beta < 1 only one of the two equal pieces enters your average. "
        "Which scores are averaged?",
        (4 / 3, 2 * _TWICE, 4.0): "at beta = 1 you add both winners. "
        "What do the shares of all pieces add up to?",
    },
    equal=within(6e-3),
    otherwise=lambda got, truth: (
        "nearly, but two decimals are asked for. What is the second one?"
        if np.abs(got - truth).max() < 0.06
        else f"your output at beta = {(0, '1/2', 1)[int(np.abs(got - truth).argmax())]} is off. "
        "Which three scores does the unit have at u = 2, and which shares?"
    ),
    why="At beta = 0 each of the three pieces has the share 1/3: (0 + 2 + 2)/3. At beta = 1/2 the two equal "
    "pieces together have the share 2e²/(1 + 2e²) = 0.9366, and the output is twice that, 1.873. "
    "Swish returns 1.762 there, so two units with the same maximum can soften differently. "
    "For any eta the unit is u sig(eta u + log 2): a swish whose sigmoid is shifted to the left. "
    "At beta = 1 it is the ReLU again.",
)  # fmt: skip


def hard_enough(R, tolerance):
    eta = lambertw((R - 1) / np.e).real / tolerance
    return eta / (1 + eta)


def _enough(constant):
    """The beta for another constant above eta."""
    return lambda R, tolerance: constant(R) / (constant(R) + tolerance)


def _enough_one_minus(R, tolerance):
    return 1 - tolerance


def _enough_eta(R, tolerance):
    return lambertw((R - 1) / np.e).real / tolerance


def _enough_upside_down(R, tolerance):
    return tolerance / (lambertw((R - 1) / np.e).real + tolerance)


def _enough_rounded(R, tolerance):
    return round(hard_enough(R, tolerance), 2)


_TOO_LARGE = "your beta is safe, but larger than needed. "

exercise(
    "26.4",
    solution=hard_enough,
    cases=[(9, 0.01), (2, 0.1), (4, 0.1), (3, 0.5), (100, 2.0)],
    wrong={
        _enough_one_minus: "your beta does not depend on R. Which number stands above eta in the bound?",
        _enough_eta: "your answer can be larger than 1. Is that beta or eta?",
        _enough(lambda R: 0.2785): "2 pieces and 9 pieces get the same beta. "
        "Which number of the theorem depends on R?",
        _enough(np.log): _TOO_LARGE + "log(R) / eta is the bound on the other side of the maximum. "
        "On which side does beta-VQ lie?",
        _enough(lambda R: 0.2785 if R == 2 else np.log(R)): _TOO_LARGE + "For two pieces you have the sharp "
        "bound. What is it for R pieces?",
        _enough(np.log2): _TOO_LARGE + "Why should log2(R) stand above eta?",
        _enough(lambda R: R): _TOO_LARGE + "Why should R stand above eta?",
        _enough(lambda R: 0.2785 * (R - 1)): _TOO_LARGE + "Do R - 1 pieces all pull "
        "as strongly as one alone, when they divide the share?",
        _enough(lambda R: lambertw(R / np.e).real): "your beta is a little too large. "
        "How many pieces are there besides the winner?",
        _enough(lambda R: lambertw(R - 1).real): "your beta is too large. What is R - 1 divided by in the "
        "equation for c?",
        _enough_upside_down: "a smaller tolerance gives you a smaller beta. "
        "Should a stricter wish make the unit softer?",
        _enough_rounded: "nearly right, but you round. Is a rounded beta still the smallest, and still safe?",
    },
    otherwise=lambda got, truth, R, tolerance: (
        f"for {R} pieces and a tolerance of {tolerance:g} your beta = {float(got):.4f} is "
        f"{'larger than needed' if got > truth else 'too small: some scores give a larger distance'}. "
        "Which eta makes c / eta equal to the tolerance, and which beta belongs to that eta?"
    ),
)  # fmt: skip


def new_bias(W, b, hard, soft):
    return b + W @ (hard.mean(axis=0) - soft.mean(axis=0))


def _bias_wrong_way(W, b, hard, soft):
    return b - W @ (hard.mean(axis=0) - soft.mean(axis=0))


def _bias_one_number(W, b, hard, soft):
    return b + W.sum(axis=1) * (hard.mean() - soft.mean())


def _bias_correction_only(W, b, hard, soft):
    return W @ (hard.mean(axis=0) - soft.mean(axis=0))


def _bias_centred(W, b, hard, soft):
    return b - W @ soft.mean(axis=0)


def _bias_hard_mean(W, b, hard, soft):
    return b + W @ hard.mean(axis=0)


def _bias_first_point(W, b, hard, soft):
    return b + W @ (hard[0] - soft[0])


def _bias_summed(W, b, hard, soft):
    return b + W @ (hard - soft).sum(axis=0)


def _bias_absolute(W, b, hard, soft):
    return b + np.abs(W) @ (hard.mean(axis=0) - soft.mean(axis=0))


def _bias_sizes(W, b, hard, soft):
    return b + W @ np.abs(hard - soft).mean(axis=0)


def _bias_positive_parts(W, b, hard, soft):
    return b + W @ np.maximum(hard - soft, 0).mean(axis=0)


def _bias_size_of_mean(W, b, hard, soft):
    return b + W @ np.abs(hard.mean(axis=0) - soft.mean(axis=0))


def _bias_only_up(W, b, hard, soft):
    return b + W @ (hard.mean(axis=0) - soft.mean(axis=0)).clip(0)


def _bias_not_through_W(W, b, hard, soft):
    """The mean over all units, without the weights."""
    return b + (hard - soft).mean()


def _layer(K_next, K, N, seed):
    rng = np.random.default_rng(seed)
    u = 2 * rng.normal(size=(N, K)) + rng.normal(size=K)
    return (
        rng.normal(size=(K_next, K)), rng.normal(size=K_next), np.maximum(u, 0), u / (1 + np.exp(-u))
    )  # fmt: skip


def _layer_moved(K_next, K, N, seed):
    """Outputs of which some are higher than they were, as behind softplus or in a deeper layer."""
    W, b, hard, soft = _layer(K_next, K, N, seed)
    return W, b, hard, soft + np.random.default_rng(seed).normal(size=soft.shape) + np.linspace(-1, 1.5, K)


exercise(
    "26.5",
    solution=new_bias,
    cases=[_layer(3, 5, 20, 0), _layer(4, 2, 7, 1), _layer(2, 2, 30, 2), _layer_moved(3, 4, 25, 3)],
    wrong={
        _bias_sizes: "you average the sizes of the differences. "
        "If half of a column's outputs rise by 1 and half fall by 1, how much must be corrected?",
        _bias_positive_parts: "outputs that rose do not enter your mean. "
        "Do they move the mean of their column?",
        _bias_size_of_mean: "in one column the new mean is higher than the old one. "
        "Which sign has its correction?",
        _bias_only_up: "a column whose mean rose gets no correction from you. Is it back at its old mean?",
        _bias_wrong_way: "your bias moves the mean pre-activations further away. "
        "Which outputs have the larger mean, hard or soft?",
        _bias_one_number: "you lift all units by one common number. Over which axis is a unit's mean?",
        _bias_correction_only: "the old bias is lost. What is to be corrected?",
        _bias_centred: "your bias takes away what the softened units return on average. "
        "Which mean should the pre-activations have instead of the old bias alone?",
        _bias_hard_mean: "you add what the ReLUs return on average, but softened units return something too. "
        "By how much do the two differ?",
        _bias_first_point: "your bias is right for the first input alone. Over what is the mean?",
        _bias_summed: "your correction grows with the number of inputs. Does a mean?",
        _bias_absolute: "you drop the signs of W. "
        "Does a lower output of a unit lower the pre-activations that it enters with a negative weight?",
        _bias_not_through_W: "every bias moves by the same amount. "
        "Through what do the outputs of the units reach the next layer?",
    },
    otherwise="the mean pre-activation W soft + bias is not that of W hard + b. "
    "By how much has the mean of each column changed, and what does W make of that?",
)  # fmt: skip


def _worst_lead(V, logits, beta):
    """The smallest lead of the class over its best rival, and the rival: over the networks with these weights
    and logits whose hidden units stand at 0, where swish equals ReLU, or where it lies farthest below."""
    c = logits.argmax()
    u = 1.27846 * (1 - beta) / beta
    gap = u - u / (1 + np.exp(-1.27846))
    corners = np.array(list(product((0.0, 1.0), repeat=V.shape[1])))  # (2^K, K)
    soft = logits - gap * corners @ V.T  # (2^K, C)
    leads = soft[:, [c]] - soft
    leads[:, c] = np.inf
    return leads.min(), leads.min(axis=0).argmin()


def _with(V, column):
    return np.concatenate([V, column[:, None]], axis=1)


@exercise("26.7")
def check_26_7(attempt):
    example = float(call(attempt, np.array([[1.0], [-1.0]]), np.array([1.0, 0.0]), shape=()))
    for slip, words in (
        (0.557, "Is that beta, or eta?"),
        (0.642, "Is that beta, or 1 - beta?"),
        (0.527, "How far below its ReLU can one swish lie at most?"),
    ):
        ask(abs(example - slip) > 2e-3, f"for the example you return {example:.3f}. {words}")
    rng = np.random.default_rng(7)
    for C, K in ((2, 1), (2, 3), (3, 4), (4, 6), (10, 5), (3, 2)) * 2:
        V, logits = rng.normal(size=(C, K)), 2 * rng.normal(size=C)
        c = logits.argmax()
        V[:, 0] = -1.0
        V[c, 0] = 1.0  # this unit's gap lowers every lead
        beta = float(call(attempt, V, logits, shape=()))
        ask(beta <= 1, "your answer is larger than 1. Is that beta or eta?")
        ask(
            beta > 0,
            f"for {C} classes and {K} units you return {beta:.3g}. "
            "At beta = 0 a unit may lie far below its ReLU. Which class has to keep its place, "
            "and which differences of weights can lower its lead?",
        )
        against, together = np.full(C, 5.0), np.full(C, 3.0)
        against[c] = 0.0
        again = float(call(attempt, _with(V, together), logits, shape=()))
        ask(
            np.isclose(again, beta, rtol=1e-6),
            "a further unit with the same weight for all classes changes your beta. "
            "What does its gap do to the difference of two logits, and what if each unit counts on its own?",
        )
        again = float(call(attempt, _with(V, against), logits, shape=()))
        ask(
            again < beta * (1 + 1e-6),
            "a further unit that speaks for the rivals alone raises your beta. Its softened output is never "
            "higher than that of its ReLU. Can that hurt the class?",
        )
        ask(
            again > beta * (1 - 1e-6),
            "a further unit that speaks for the rivals alone lowers your beta. Must its gap be the largest "
            "possible one, or may it be zero while other units have the largest?",
        )
        lead, rival = _worst_lead(V, logits, beta)
        tight = 1e-3 * (1 + np.abs(logits).max())
        second = np.argsort(logits)[-2]
        ask(
            lead > -tight or rival == second,
            f"at your beta = {beta:.4f} class {c} can lose to class {rival}, which is not the one with "
            "the second largest logit. Which rivals have to be looked at?",
        )
        ask(
            lead > -tight,
            f"at your beta = {beta:.4f} class {c} can lose to class {rival}: some networks with these "
            "weights and logits change their decision. Which units lower the lead, and by how much at most?",
        )
        eta = beta / max(1 - beta, 1e-12)
        less = eta * 0.2785 / np.log(2)
        ask(
            not abs(_worst_lead(V, logits, less / (1 + less))[0]) < tight,
            "you allow each unit a gap of log(2) / eta. How far can a swish, of all units with two pieces, "
            "really lie below its ReLU?",
        )
        less = 0.99 * eta
        ask(
            _worst_lead(V, logits, less / (1 + less))[0] < 0,
            f"your beta = {beta:.4f} is safe, but a smaller one is, too. Which units cannot lower the "
            "lead, and is it the sum over all rivals that counts?",
        )
