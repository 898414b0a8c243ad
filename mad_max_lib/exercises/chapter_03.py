"""Chapter 03, a deep network from scratch."""

import numpy as np

from . import Wrong, call, exercise, value


@exercise(
    "3.3",
    solution=11,
    wrong=[16, 10, 15],
    why="One region to begin with; line i crosses the i - 1 earlier ones and cuts i regions in two: "
    "1 + 1 + 2 + 3 + 4 = 11, of 2^4 = 16 codes.",
)
def _(attempt):
    count = value(attempt, ())
    if count == 16:
        raise Wrong("that is the number of codes on paper. Can every combination of sides be met in a plane?")
    if count == 10:
        raise Wrong("how many regions are there before the first line is drawn?")
    if count != 11:
        raise Wrong("draw the lines one after the other. How many regions does the third line cut in two, at most?")


def loss_gradient(logits, y):
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    p[np.arange(len(y)), y] -= 1
    return p / len(y)


def _gradient_of_sum(logits, y):
    return loss_gradient(logits, y) * len(y)


def _gradient_sign(logits, y):
    return -loss_gradient(logits, y)


def _gradient_no_target(logits, y):
    return (loss_gradient(logits, y) * len(y) + np.eye(logits.shape[1])[y]) / len(y)


def _gradient_overflow(logits, y):
    p = np.exp(np.clip(logits, -50, 50))
    p /= p.sum(axis=1, keepdims=True)
    return (p - np.eye(logits.shape[1])[y]) / len(y)


def _gradient_global_shift(logits, y):
    p = np.exp(logits - logits.max())
    p /= p.sum(axis=1, keepdims=True)
    return (p - np.eye(logits.shape[1])[y]) / len(y)


@exercise(
    "3.1",
    solution=loss_gradient,
    wrong=[_gradient_of_sum, _gradient_sign, _gradient_no_target, _gradient_overflow, _gradient_global_shift],
)
def _(attempt):
    rng = np.random.default_rng(0)
    logits, y = 3 * rng.normal(size=(6, 4)), rng.integers(4, size=6)
    got, truth = call(attempt, logits, y, shape=(6, 4)), loss_gradient(logits, y)
    if np.allclose(got, 6 * truth):
        raise Wrong("your gradient is 6 times too large for 6 points. Is the loss a sum or a mean?")
    if np.allclose(got, -truth):
        raise Wrong("your gradient points the other way. Should the loss fall or rise when the right logit grows?")
    if not np.allclose(got.sum(axis=1), 0, atol=1e-6):
        raise Wrong("the rows should add up to zero: one constant added to all logits changes nothing. "
                    "What is missing at the true class?")  # fmt: skip
    if not np.allclose(got, truth):
        raise Wrong(f"entry (0, 0) should be {truth[0, 0]:.4f} and is {got[0, 0]:.4f}. Are these the probabilities?")
    with np.errstate(all="ignore"):
        big = call(attempt, np.array([[1000.0, 999.0]]), np.array([0]), shape=(1, 2))
    if not np.allclose(big, loss_gradient(np.array([[1000.0, 999.0]]), np.array([0]))):
        raise Wrong("logits of 1000 and 999 go wrong. What may be subtracted from all logits without any effect?")
    mixed, labels = np.array([[1000.0, 999.0], [0.0, 1.0]]), np.array([0, 0])
    with np.errstate(all="ignore"):
        both = np.asarray(attempt(mixed.copy(), labels.copy()))
    if not np.allclose(both, loss_gradient(mixed, labels)):
        raise Wrong("one point with logits near 1000 spoils another one with logits near 0. What belongs to each row?")


def affine(params, gates):
    W, b = params[0]
    A_x, b_x = W, b
    for (W, b), gate in zip(params[1:], gates, strict=True):
        A_x, b_x = W @ (gate[:, None] * A_x), W @ (gate * b_x) + b
    return A_x, b_x


def _affine_no_gates(params, gates):
    return affine(params, [np.ones_like(gate) for gate in gates])


def _affine_last_bias(params, gates):
    return affine(params, gates)[0], params[-1][1]


def _affine_bias_ungated(params, gates):
    A_x, b_x = params[0]
    for (W, b), gate in zip(params[1:], gates, strict=True):
        A_x, b_x = W @ (gate[:, None] * A_x), W @ b_x + b
    return A_x, b_x


def _affine_in_place(params, gates):
    A_x, b_x = params[0]
    for (W, b), gate in zip(params[1:], gates, strict=True):
        A_x *= gate[:, None]
        b_x *= gate
        A_x, b_x = W @ A_x, W @ b_x + b
    return A_x, b_x


@exercise("3.2", solution=affine, wrong=[_affine_no_gates, _affine_last_bias, _affine_bias_ungated, _affine_in_place])
def _(attempt):
    rng = np.random.default_rng(1)
    sizes = [3, 5, 4, 2]
    params = [(rng.normal(size=(o, i)), rng.normal(size=o)) for i, o in zip(sizes, sizes[1:], strict=False)]
    x, gates = rng.normal(size=3), []
    z = x
    for W, b in params[:-1]:
        gates.append(W @ z + b > 0)
        z = np.maximum(W @ z + b, 0)
    logits = params[-1][0] @ z + params[-1][1]
    A_x, b_x = call(attempt, params, gates, shape=[(2, 3), (2,)])
    all_open = affine(params, [np.ones(5), np.ones(4)])
    if np.allclose(A_x, all_open[0]):
        raise Wrong("your matrix is the product of all weights, as if every gate were open. Where do the gates go?")
    if not np.allclose(A_x, affine(params, gates)[0]):
        raise Wrong("the matrix is off. Which comes first on the way from x to the logits, W, the gate, or the next W?")
    if np.allclose(b_x, params[-1][1]):
        raise Wrong("only the last layer's bias is left. What do the later layers do to the first layer's bias?")
    if not np.allclose(A_x @ x + b_x, logits):
        raise Wrong("the matrix is right, the vector is not. Does a closed gate let a bias pass?")


def counts(codes_1, codes_2, training_1, training_2):
    codes, training = np.hstack([codes_1, codes_2]), np.hstack([training_1, training_2])
    return len(np.unique(codes, axis=0)), len(np.unique(training, axis=0))


def _counts_product(codes_1, codes_2, training_1, training_2):
    product = len(np.unique(codes_1, axis=0)) * len(np.unique(codes_2, axis=0))
    return product, len(np.unique(training_1, axis=0)) * len(np.unique(training_2, axis=0))


def _counts_last(codes_1, codes_2, training_1, training_2):
    return len(np.unique(codes_2, axis=0)), len(np.unique(training_2, axis=0))


def _counts_how_many_on(codes_1, codes_2, training_1, training_2):
    on, training_on = np.hstack([codes_1, codes_2]).sum(axis=1), np.hstack([training_1, training_2]).sum(axis=1)
    return len(np.unique(on)), len(np.unique(training_on))


def _counts_as_numbers(codes_1, codes_2, training_1, training_2):
    def number(codes):
        return codes @ 2.0 ** np.arange(codes.shape[1])

    grid, training = number(np.hstack([codes_1, codes_2])), number(np.hstack([training_1, training_2]))
    return len(np.unique(grid)), len(np.unique(training))


def _counts_swapped(codes_1, codes_2, training_1, training_2):
    return counts(codes_1, codes_2, training_1, training_2)[::-1]


@exercise(
    "3.4",
    solution=counts,
    wrong=[_counts_product, _counts_last, _counts_how_many_on, _counts_as_numbers, _counts_swapped],
)
def _(attempt):
    rng = np.random.default_rng(2)
    codes_1, codes_2 = rng.random((300, 4)) > 0.7, rng.random((300, 3)) > 0.6
    arguments = codes_1, codes_2, codes_1[:20], codes_2[:20]
    regions, occupied = call(attempt, *arguments, shape=[(), ()])
    truth = counts(*arguments)
    if regions == _counts_product(*arguments)[0]:
        raise Wrong("you multiply the counts of the layers. Does each code of layer 1 meet each code of layer 2?")
    if regions == _counts_last(*arguments)[0]:
        raise Wrong("that counts the codes of layer 2 alone. May two points share those and differ in layer 1?")
    if (regions, occupied) == _counts_how_many_on(*arguments):
        raise Wrong("two codes with equally many open gates need not be equal. What makes two codes the same?")
    if (regions, occupied) == truth[::-1]:
        raise Wrong("you find more regions at 20 training points than on the grid. In which order do the counts come?")
    if (regions, occupied) != truth:
        raise Wrong(f"300 points with random codes lie in {truth[0]} regions and 20 of them in {truth[1]}, "
                    f"you count {regions:g} and {occupied:g}. Which codes do you take for equal?")  # fmt: skip
    long = np.zeros((2, 60), dtype=bool)
    long[1, 0] = True
    long_regions, _ = call(attempt, long, np.ones_like(long), long, long, shape=[(), ()])
    if long_regions != 2:
        raise Wrong("two codes of 120 gates that differ in one place count as the same. How many digits has a number?")


@exercise("3.5")
def _(attempt):
    rng = np.random.default_rng(3)
    sizes = [3, 6, 6, 6, 2]
    params = [(rng.normal(size=(o, i)), rng.normal(size=o)) for i, o in zip(sizes, sizes[1:], strict=False)]

    def code(x):
        bits = []
        for W, b in params[:-1]:
            bits.append(x @ W.T + b > 0)
            x = np.maximum(x @ W.T + b, 0)
        return np.concatenate(bits, axis=-1)

    for x in rng.normal(size=(20, 3)):
        d = float(call(attempt, params, x, shape=()))
        if not d > 0:
            raise Wrong(f"a distance should be positive, yours is {d:g}. What is the distance of a point to a plane?")
        step = rng.normal(size=(20_000, 3))
        step /= np.linalg.norm(step, axis=1, keepdims=True)
        if (code(x + 0.999 * d * step) != code(x)).any():
            raise Wrong("a step shorter than your distance already changes the code. "
                        "Did you look at the units of every layer, and divide by the length of their slopes?")  # fmt: skip
        if (code(x + 1.1 * d * step) == code(x)).all():
            raise Wrong("steps well beyond your distance still keep the code. Which unit gives up first?")
