"""Chapter 06, matched filters."""

import numpy as np

from . import Wrong, call, exercise, value


@exercise(
    "6.1",
    solution=16.45,
    wrong=[8.22, 3.29, 32.9, 12.5, 41.45],
    why="Without a pulse the inner product is normal with mean 0 and width 2 * 5 = 10; 1.645 widths are 16.45.",
)
def _(attempt):
    threshold = value(attempt, ())
    if abs(threshold - 12.5) < 0.05:
        raise Wrong("that is half of the pulse's squared length, where both cases are equally likely. "
                    "How often does noise alone come so far?")  # fmt: skip
    if abs(threshold - 8.225) < 0.05:
        raise Wrong("you left the noise's own width out. How wide is the inner product for noise twice as wide?")
    if abs(threshold - 3.29) < 0.05:
        raise Wrong("you took the width of one sample. What does a long pulse do to the width of the inner product?")
    if abs(threshold - 32.9) < 0.05:
        raise Wrong("you took a variance for a width. What is the root of sigma squared times |s| squared?")
    if abs(threshold - 41.45) < 0.05:
        raise Wrong("you measure from the mean with a pulse. Which recordings give false alarms?")
    if abs(threshold - 16.45) > 0.05:
        raise Wrong("what are the mean and the width of the inner product when there is noise alone?")


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


@exercise(
    "6.3",
    solution=whitened_template,
    wrong=[_whitened_half, _whitened_blackened, _whitened_variances_only, _whitened_plain],
)
def _(attempt):
    rng = np.random.default_rng(0)
    s, mixing = rng.normal(size=5), rng.normal(size=(5, 5))
    Sigma = mixing @ mixing.T + np.diag(rng.uniform(0.5, 2, size=5))
    got = call(attempt, s, Sigma, shape=(5,))

    def along(template):
        return np.isclose(abs(got @ template), np.linalg.norm(got) * np.linalg.norm(template), rtol=1e-9)

    if along(_whitened_half(s, Sigma)):
        raise Wrong("this is the pulse after whitening. But the recording that it meets is not whitened yet: "
                    "where does the second whitening go?")  # fmt: skip
    if along(Sigma @ s):
        raise Wrong("your template is largest where the noise is strongest. Should it listen more there, or less?")
    if along(s / np.diag(Sigma)):
        raise Wrong("you use the variances only. What do the other entries of Sigma say about two samples?")
    if along(s):
        raise Wrong("this is the template for white noise. Where does the noise's covariance enter?")
    if not np.allclose(got, whitened_template(s, Sigma), rtol=1e-6, atol=1e-9):
        raise Wrong(f"entry 0 should be {whitened_template(s, Sigma)[0]:.4f} and is {got[0]:.4f}. "
                    "What is the inner product of two whitened vectors, in terms of the vectors themselves?")  # fmt: skip


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


@exercise(
    "6.4",
    solution=bank,
    wrong=[_bank_no_energy, _bank_no_priors, _bank_priors_as_they_are, _bank_width_for_variance, _bank_whole_energy],
)
def _(attempt):
    rng = np.random.default_rng(1)
    pulses, sigma, priors = rng.normal(size=(3, 6)), 1.7, np.array([0.6, 0.3, 0.1])
    arguments, shapes = (pulses, sigma, priors), [(3, 6), (3,)]
    A, b = call(attempt, *arguments, shape=shapes)

    def same(bank_of):
        return np.allclose(b - b[0], bank_of(*arguments)[1] - bank_of(*arguments)[1][0])  # one constant is free

    if np.allclose(A, pulses / sigma):
        raise Wrong("with noise of width 1.7 the templates are off. Is it the width or the variance that divides?")
    if not np.allclose(A - A[0], (pulses - pulses[0]) / sigma**2):
        raise Wrong("the templates are off. What multiplies x in the logarithm of the density of pulse plus noise?")
    if same(_bank_no_energy):
        raise Wrong("your offsets know the priors only. Long pulses match everything well: what takes that back?")
    if same(_bank_no_priors):
        raise Wrong("your offsets do not depend on the priors. When nothing is heard, which pulse is the best guess?")
    if same(_bank_priors_as_they_are):
        raise Wrong("you add a probability to a logarithm of a density. On what scale do both add up?")
    if same(_bank_whole_energy):
        raise Wrong("a recording half-way between two pulses should be undecided when their priors are equal. "
                    "How much of the squared length has to be taken back?")  # fmt: skip
    if not same(bank):
        raise Wrong("the templates are right, the offsets are not. Which terms of log(prior * density) do not hold x?")


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


@exercise(
    "6.5",
    solution=borders,
    wrong=[_borders_on_a_grid, _borders_by_count, _borders_one_only, _borders_of_every_unit],
)
def _(attempt):
    kinks = np.array([0.1, 0.30001, 0.30049, 0.7, 0.7, 1 / 3, 0.9999, 2.0, 0.500001, 0.500002])
    opens = np.array([1, 1, -1, 1, -1, 1, -1, 1, 1, -1])

    def codes(t):
        return ((np.asarray(t, float)[:, None] - kinks) * opens > 0).astype(np.uint8)

    truth = np.unique(kinks[kinks < 1])
    in_order = call(attempt, codes).ravel()
    got = np.sort(in_order)
    if len(got) == 1:
        raise Wrong(f"you find one border on a walk with {len(truth)}. What about the rest of the way?")
    if len(got) == len(truth) + 1 and np.isclose(got, 0.7, atol=1e-6).sum() == 2:
        raise Wrong("two units change at the same place, and you count the place twice. "
                    "Is a border a change of a unit or a change of the code?")  # fmt: skip
    if len(got) == len(truth) - 1 and not np.isclose(got, 0.7, atol=1e-6).any():
        raise Wrong("at 0.7 one unit opens and another one closes, and you pass it by. When are two codes the same?")
    if len(got) != len(truth):
        raise Wrong(f"you find {len(got)} borders on a walk with {len(truth)}, two of them a millionth apart. "
                    "What tells you that a stretch holds no further border?")  # fmt: skip
    if (got != in_order).any():
        raise Wrong("all borders are there, but not from the start of the walk to its end. In which order do they come?")
    if np.abs(got - truth).max() > 1e-8:
        raise Wrong(f"your borders are off by up to {np.abs(got - truth).max():.0e}. "
                    "How often can a stretch with different codes at its ends be halved?")  # fmt: skip
    if len(call(attempt, lambda t: np.zeros((len(t), 3), np.uint8)).ravel()):
        raise Wrong("you find a border where the code never changes. What if both ends of the walk agree?")


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


@exercise("6.6")
def _(attempt):
    rng = np.random.default_rng(2)

    def random_network(*sizes):
        return [(rng.normal(size=(o, i)) / np.sqrt(i), rng.normal(size=o)) for i, o in zip(sizes, sizes[1:], strict=False)]

    def average(params, x_0, x_1):
        return call(attempt, params, x_0, x_1, shape=(len(params[-1][0]), len(x_0)))

    near = [(np.array([[1.0, 1], [1, -1]]), np.array([0.0, -1])), (np.array([[1.0, -2]]), np.array([0.5]))]
    if not np.allclose(average(near, np.array([2.0, 0]), np.array([3.0, 0.5])), [[-1, 3]]):
        raise Wrong("the walk from (2, 0) to (3, 0.5) stays in one region of chapter 03's small network. "
                    "What is the average of a template that does not change?")  # fmt: skip
    far = np.array([0.0, 2.0])
    if not np.allclose(average(near, np.array([2.0, 0]), far) @ (far - [2, 0]), [2.0], atol=1e-9):
        raise Wrong("from (2, 0) to (0, 2) that network rises from 0.5 to 2.5, and your average does not give "
                    "this rise. For how much of the way does each template count?")  # fmt: skip
    for sizes in ((3, 8, 2), (5, 12, 12, 3), (4, 10, 10, 10, 2)):
        params, x_0, x_1 = random_network(*sizes), 3 * rng.normal(size=sizes[0]), 3 * rng.normal(size=sizes[0])
        error = np.abs(average(params, x_0, x_1) @ (x_1 - x_0) - forward(params, x_1) + forward(params, x_0)).max()
        if error > 1e-8:
            depth = len(sizes) - 2
            raise Wrong(f"with {depth} hidden layer{'s' * (depth > 1)} the rise of the logits is missed by {error:.0e}. "
                        + ("Where do the borders of the later layers cross the walk?" if depth > 1 else
                           "Is every border of the layer met exactly?"))  # fmt: skip
    params, parts = _separable(rng, 4)
    x_0, x_1 = rng.normal(size=(2, 4))
    if not np.allclose(average(params, x_0, x_1) * (x_1 - x_0), parts(x_1) - parts(x_0), atol=1e-8):
        raise Wrong("the rise is right in total, but a network that adds up functions of one input each should "
                    "charge every input for its own part. Are these templates of the network?")  # fmt: skip
    for sizes in ((3, 8, 2), (4, 10, 10, 2)):
        params, (x_0, x_1) = random_network(*sizes), 3 * rng.normal(size=(2, sizes[0]))
        stop = x_0 + 0.3 * (x_1 - x_0)
        parts = 0.3 * average(params, x_0, stop) + 0.7 * average(params, stop, x_1)
        if not np.allclose(parts, average(params, x_0, x_1), atol=1e-8):
            raise Wrong("cut the walk in two, and the averages of the parts, weighted by their lengths, do not give "
                        + ("yours of the whole. Is every template that you average met on the straight walk?"
                           if len(sizes) == 3 else "that of the whole, with two hidden layers. Do the gates of the "
                           "first one tell when those of the second one switch?"))  # fmt: skip
    twice = [(np.ones((2, 1)), np.zeros(2)), (np.array([[1.0, 2.0]]), np.zeros(1))]
    if not np.allclose(average(twice, np.array([-1.0]), np.array([2.0])), [[2.0]], atol=1e-8):
        raise Wrong("two units whose borders lie at the same place go wrong. Does your walk go on behind them?")
    if not np.allclose(average(twice, np.zeros(1), np.ones(1)), [[3.0]], atol=1e-8):
        raise Wrong("a walk that starts exactly on a border goes wrong. Which region does it enter?")
