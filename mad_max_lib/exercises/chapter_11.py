"""Chapter 11, matched filters."""

from itertools import pairwise

import numpy as np

from . import ask, call, close, exercise, within

exercise(
    "11.1",
    solution=16.45,
    wrong={
        12.5: "that is half of the pulse's squared length, where both cases are equally likely. "
        "How often does noise alone come so far?",
        8.225: "you left the noise's own width out. How wide is the inner product for noise twice as wide?",
        3.29: "you took the width of one sample. "
        "What does a long pulse do to the width of the inner product?",
        32.9: "you took a variance for a width. What is the root of sigma squared times |s| squared?",
        41.45: "you measure from the mean with a pulse. Which recordings give false alarms?",
    },
    equal=within(0.05),
    otherwise="what are the mean and the width of the inner product when there is noise alone?",
    why="Without a pulse the inner product is normal with mean 0 and width 2 * 5 = 10; "
    "1.645 widths are 16.45.",
)


def whitened_template(s, Sigma):
    return np.linalg.solve(Sigma, s)


def _whitened_half(s, Sigma):
    values, vectors = np.linalg.eigh(Sigma)
    return vectors @ ((vectors.T @ s) / np.sqrt(values))


def _whitened_blackened(s, Sigma):
    return Sigma @ s


def _whitened_variances_only(s, Sigma):
    return s / np.diag(Sigma)


def _whitened_plain(s, Sigma):
    return 1.0 * s


_rng = np.random.default_rng(0)
_s, _mixing = _rng.normal(size=5), _rng.normal(size=(5, 5))
exercise(
    "11.3",
    solution=whitened_template,
    cases=[(_s, _mixing @ _mixing.T + np.diag(_rng.uniform(0.5, 2, size=5)))],
    wrong={
        _whitened_half: "this is the pulse after whitening. "
        "But the recording that it meets is not whitened yet: where does the second whitening go?",
        _whitened_blackened: "your template is largest where the noise is strongest. "
        "Should it listen more there, or less?",
        _whitened_variances_only: "you use the variances only. "
        "What do the other entries of Sigma say about two samples?",
        _whitened_plain: "this is the template for white noise. Where does the noise's covariance enter?",
    },
    otherwise=lambda got, truth, *_: (
        f"the template should begin with {truth[:2].round(4)}, yours with {got[:2].round(4)}. "
        "What is the inner product of two whitened vectors, in terms of the vectors themselves?"
    ),
)


def bank(pulses, sigma, priors):
    return pulses / sigma**2, np.log(priors) - (pulses**2).sum(axis=1) / (2 * sigma**2)


def _bank_no_energy(pulses, sigma, priors):
    return pulses / sigma**2, np.log(priors)


def _bank_no_priors(pulses, sigma, priors):
    return pulses / sigma**2, -(pulses**2).sum(axis=1) / (2 * sigma**2)


def _bank_priors_as_they_are(pulses, sigma, priors):
    return pulses / sigma**2, priors - (pulses**2).sum(axis=1) / (2 * sigma**2)


def _bank_width_for_variance(pulses, sigma, priors):
    return pulses / sigma, np.log(priors) - (pulses**2).sum(axis=1) / (2 * sigma)


def _bank_whole_energy(pulses, sigma, priors):
    return pulses / sigma**2, np.log(priors) - (pulses**2).sum(axis=1) / sigma**2


def _same_decisions(one, other):
    """Whether two banks are alike up to what is added to all pulses."""
    return all(close(a - a[0], c - c[0]) for a, c in zip(one, other, strict=True))


exercise(
    "11.4",
    solution=bank,
    cases=[(np.random.default_rng(1).normal(size=(3, 6)), 1.7, np.array([0.6, 0.3, 0.1]))],
    wrong={
        _bank_width_for_variance: "with noise of width 1.7 the templates are off. "
        "Is it the width or the variance that divides?",
        _bank_no_energy: "your offsets know the priors only. "
        "Long pulses match everything well: what takes that back?",
        _bank_no_priors: "your offsets do not depend on the priors. "
        "When nothing is heard, which pulse is the best guess?",
        _bank_priors_as_they_are: "you add a probability to a logarithm of a density. "
        "On what scale do both add up?",
        _bank_whole_energy: "a recording half-way between two pulses should be undecided when their priors "
        "are equal. How much of the squared length has to be taken back?",
    },
    equal=_same_decisions,
    otherwise=lambda got, truth, *_: (
        "the templates are right, the offsets are not. Which terms of log(prior * density) do not hold x?"
        if _same_decisions(got[:1], truth[:1])
        else "the templates are off. What multiplies x in the logarithm of the density of pulse plus noise?"
    ),
)


def borders(codes):
    low, high = np.array([0.0]), np.array([1.0])
    at_low, at_high = codes(low), codes(high)
    for _ in range(31):
        cut = (at_low != at_high).any(axis=1)
        low, high, at_low, at_high = low[cut], high[cut], at_low[cut], at_high[cut]
        if len(low) == 0:
            break
        middle = (low + high) / 2
        at_middle = codes(middle)
        low, high = np.concatenate([low, middle]), np.concatenate([middle, high])
        at_low, at_high = np.concatenate([at_low, at_middle]), np.concatenate([at_middle, at_high])
    cut = (at_low != at_high).any(axis=1)
    return np.sort((low + high)[cut] / 2)


def _borders_on_a_grid(codes):
    t = np.linspace(0, 1, 1001)
    change = (np.diff(codes(t).astype(int), axis=0) != 0).any(axis=1)
    return (t[1:] + t[:-1])[change] / 2


def _borders_by_count(codes):
    return borders(lambda t: codes(t).sum(axis=1, keepdims=True))


def _borders_one_only(codes):
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        same = (codes(np.array([middle])) == codes(np.array([0.0]))).all()
        low, high = (middle, high) if same else (low, middle)
    return np.array([high])


def _borders_of_every_unit(codes):
    units = range(codes(np.array([0.0])).shape[1])
    return np.sort(np.concatenate([borders(lambda t, k=k: codes(t)[:, [k]]) for k in units]))


def _which_border(got, truth, codes):
    if len(truth) == 0:
        return "you find a border where the code never changes. What if both ends of the walk agree?"
    if got.ndim != 1:
        return (
            f"the positions are asked for in one row, yours have shape {got.shape}. Which axis is too many?"
        )
    if len(got) != len(truth):
        return (
            f"of {len(truth)} borders, two of them a millionth apart, you find {len(got)}. "
            "What tells you that a stretch holds no further border?"
        )
    off = np.abs(np.sort(got) - truth).max()
    if off < 1e-8:
        return "all borders are there, but not from start to end of the walk. In which order do they come?"
    return (
        f"your borders are off by up to {off:.0e}. "
        "How often can a stretch with different codes at its ends be halved?"
    )


_KINKS = np.array([0.1, 0.30001, 0.30049, 0.7, 0.7, 1 / 3, 0.9999, 2.0, 0.500001, 0.500002])
_OPENS = np.array([1, 1, -1, 1, -1, 1, -1, 1, 1, -1])
exercise(
    "11.5",
    solution=borders,
    cases=[
        (lambda t: ((np.asarray(t, float)[:, None] - _KINKS) * _OPENS > 0).astype(np.uint8),),
        (lambda t: np.zeros((len(t), 3), np.uint8),),
    ],
    wrong={
        _borders_on_a_grid: _which_border,
        _borders_one_only: "you find one border and stop. What about the rest of the way?",
        _borders_of_every_unit: "two units change at the same place, and you count the place twice. "
        "Is a border a change of a unit or a change of the code?",
        _borders_by_count: "at 0.7 one unit opens and another one closes, and you pass it by. "
        "When are two codes the same?",
    },
    equal=within(1e-8),
    any_shape=True,
    otherwise=_which_border,
)


def _separable(rng, D):
    """params of a network that is a sum of functions of one input each, and these functions."""
    w, c, v = rng.normal(size=(D, 3)), rng.normal(size=(D, 3)), rng.normal(size=(2, D, 3))
    W = (np.eye(D)[:, None, :] * w[:, :, None]).reshape(3 * D, D)
    params = [(W, c.ravel()), (v.reshape(2, -1), rng.normal(size=2))]
    return params, lambda x: (v * np.maximum(w * x[:, None] + c, 0)).sum(axis=2)  # (2, D)


def forward(params, x):
    for W, b in params[:-1]:
        x = np.maximum(W @ x + b, 0)
    return params[-1][0] @ x + params[-1][1]


@exercise("11.6")
def check_11_6(attempt):
    rng = np.random.default_rng(2)

    def random_network(*sizes):
        return [(rng.normal(size=(o, i)) / np.sqrt(i), rng.normal(size=o)) for i, o in pairwise(sizes)]

    def average(params, x_0, x_1):
        x_0, x_1 = np.array(x_0, float), np.array(x_1, float)
        return call(attempt, params, x_0, x_1, shape=(len(params[-1][0]), len(x_0)))

    small = [(np.array([[1.0, 1], [1, -1]]), np.array([0.0, -1])), (np.array([[1.0, -2]]), np.array([0.5]))]
    ask(
        np.allclose(average(small, [2, 0], [3, 0.5]), [[-1, 3]]),
        "the walk from (2, 0) to (3, 0.5) stays in one region of chapter 04's small network. "
        "What is the average of a template that does not change?",
    )
    ask(
        np.allclose(average(small, [2, 0], [0, 2]) @ [-2, 2], [2.0], atol=1e-9),
        "from (2, 0) to (0, 2) that network rises from 0.5 to 2.5, and your average does not give this rise. "
        "For how much of the way does each template count?",
    )
    later = "Where do the borders of the later layers cross the walk?"
    for layers, question, *sizes in [
        ("one hidden layer", "Is every border of the layer met exactly?", 3, 8, 2),
        ("two hidden layers", later, 5, 12, 12, 3),
        ("three hidden layers", later, 4, 10, 10, 10, 2),
    ]:
        params, (x_0, x_1) = random_network(*sizes), 3 * rng.normal(size=(2, sizes[0]))
        rise = forward(params, x_1) - forward(params, x_0)
        error = np.abs(average(params, x_0, x_1) @ (x_1 - x_0) - rise).max()
        ask(error < 1e-8, f"with {layers} the rise of the logits is missed by {error:.0e}. {question}")
    params, parts = _separable(rng, 4)
    x_0, x_1 = rng.normal(size=(2, 4))
    ask(
        np.allclose(average(params, x_0, x_1) * (x_1 - x_0), parts(x_1) - parts(x_0), atol=1e-8),
        "the rise is right in total, but a network that adds up functions of one input each should "
        "charge every input for its own part. Are these templates of the network?",
    )
    for sizes, question in [
        ((3, 8, 2), "Is every template that you average met on the straight walk?"),
        ((4, 10, 10, 2), "Do the gates of the first hidden layer tell when those of the second one switch?"),
    ]:
        params, (x_0, x_1) = random_network(*sizes), 3 * rng.normal(size=(2, sizes[0]))
        stop = x_0 + 0.3 * (x_1 - x_0)
        halves = 0.3 * average(params, x_0, stop) + 0.7 * average(params, stop, x_1)
        ask(
            np.allclose(halves, average(params, x_0, x_1), atol=1e-8),
            "cut the walk in two, and the averages of the parts, weighted by their lengths, do not give "
            f"yours of the whole. {question}",
        )
    twice = [(np.ones((2, 1)), np.zeros(2)), (np.array([[1.0, 2.0]]), np.zeros(1))]
    ask(
        np.allclose(average(twice, [-1], [2]), [[2.0]], atol=1e-8),
        "two units whose borders lie at the same place go wrong. Does your walk go on behind them?",
    )
    ask(
        np.allclose(average(twice, [0], [1]), [[3.0]], atol=1e-8),
        "a walk that starts exactly on a border goes wrong. Which region does it enter?",
    )
