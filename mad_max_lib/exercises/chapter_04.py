"""Chapter 04, a deep network from scratch."""

from itertools import pairwise

import numpy as np

from . import ask, call, exercise

exercise(
    "4.3",
    solution=11,
    wrong={
        16: "that is the number of codes on paper. Can every combination of sides be met in a plane?",
        10: "how many regions are there before the first line is drawn?",
        15: "does a new line run through every region that is there already?",
    },
    otherwise="draw the lines one after the other. How many regions does the third line cut in two, at most?",
    why="One region to begin with; line i crosses the i - 1 earlier ones and cuts i regions in two: "
    "1 + 1 + 2 + 3 + 4 = 11, of 2^4 = 16 codes.",
)


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


def _softmax_gradient(e, y):
    return (e / e.sum(axis=1, keepdims=True) - np.eye(e.shape[1])[y]) / len(y)


def _gradient_no_shift(logits, y):
    return _softmax_gradient(np.exp(logits), y)


def _gradient_clipped(logits, y):
    return _softmax_gradient(np.exp(np.clip(logits, -50, 50)), y)


def _gradient_global_shift(logits, y):
    return _softmax_gradient(np.exp(logits - logits.max()), y)


def _which_entry(got, truth, logits, y):
    n, c = np.argwhere(~np.isclose(got, truth))[0]
    entry = (
        f"for {logits[n]} and true class {y[n]} entry {c} should be {truth[n, c]:.4f}, not {got[n, c]:.4f}"
    )
    return f"{entry}. Are there probabilities, a true class and a mean in your derivative?"


_rng = np.random.default_rng(0)
exercise(
    "4.1",
    solution=loss_gradient,
    cases=[
        (3 * _rng.normal(size=(6, 4)), _rng.integers(4, size=6)),
        (np.array([[1000.0, 999.0], [0.0, 1.0]]), np.array([0, 0])),
    ],
    wrong={
        _gradient_of_sum: "your gradient is 6 times too large for 6 points. Is the loss a sum or a mean?",
        _gradient_sign: "your gradient points the other way. "
        "Should the loss fall or rise when the right logit grows?",
        _gradient_no_target: "one constant added to all logits changes nothing, so rows add up to zero. "
        "What is missing at the true class?",
        _gradient_no_shift: "logits of 1000 and 999 overflow. "
        "What may be subtracted from all logits without any effect?",
        _gradient_clipped: "logits of 1000 and 999 become equal in your version. "
        "Which number, taken from both, keeps their difference?",
        _gradient_global_shift: "one point with logits near 1000 spoils another one with logits near 0. "
        "What belongs to each row?",
    },
    otherwise=_which_entry,
)


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


def _random_network(rng, *sizes):
    return [(rng.normal(size=(o, i)), rng.normal(size=o)) for i, o in pairwise(sizes)]


_gates = [np.array([True, False, True, True, False]), np.array([False, True, True, False])]
exercise(
    "4.2",
    solution=affine,
    cases=[(_random_network(np.random.default_rng(1), 3, 5, 4, 2), _gates)],
    wrong={
        _affine_no_gates: "your matrix is the product of all weights, as if every gate were open. "
        "Where do the gates go?",
        _affine_last_bias: "only the last layer's bias is left. "
        "What do the later layers do to the first layer's bias?",
        _affine_bias_ungated: "the matrix is right, the vector is not. Does a closed gate let a bias pass?",
    },
    otherwise=lambda got, truth, *_: (
        "the matrix is off. Which comes first on the way from x to the logits, W, the gate, or the next W?"
        if not np.allclose(got[0], truth[0])
        else "the matrix is right, the vector is not. What does each bias meet on its way to the logits?"
    ),
)


def counts(codes_1, codes_2, training_1, training_2):
    codes, training = np.hstack([codes_1, codes_2]), np.hstack([training_1, training_2])
    return len(np.unique(codes, axis=0)), len(np.unique(training, axis=0))


def _how_many(codes):
    return len(np.unique(codes, axis=0))


def _counts_product(codes_1, codes_2, training_1, training_2):
    return _how_many(codes_1) * _how_many(codes_2), _how_many(training_1) * _how_many(training_2)


def _counts_last(codes_1, codes_2, training_1, training_2):
    return _how_many(codes_2), _how_many(training_2)


def _counts_how_many_on(codes_1, codes_2, training_1, training_2):
    grid, training = np.hstack([codes_1, codes_2]), np.hstack([training_1, training_2])
    return _how_many(grid.sum(axis=1)), _how_many(training.sum(axis=1))


def _counts_as_numbers(codes_1, codes_2, training_1, training_2):
    grid, training = np.hstack([codes_1, codes_2]), np.hstack([training_1, training_2])
    powers = 2.0 ** np.arange(grid.shape[1])
    return _how_many(grid @ powers), _how_many(training @ powers)


def _counts_swapped(codes_1, codes_2, training_1, training_2):
    return counts(codes_1, codes_2, training_1, training_2)[::-1]


_rng = np.random.default_rng(2)
_codes = _rng.random((300, 4)) > 0.7, _rng.random((300, 3)) > 0.6
_long = np.arange(120).reshape(2, 60) == 60  # two codes of layer 1 that differ in one gate
exercise(
    "4.4",
    solution=counts,
    cases=[(*_codes, _codes[0][:20], _codes[1][:20]), (_long, _long >= 0, _long, _long)],
    wrong={
        _counts_product: "you multiply the counts of the layers. "
        "Does each code of layer 1 meet each code of layer 2?",
        _counts_last: "that counts the codes of layer 2 alone. "
        "May two points share those and differ in layer 1?",
        _counts_how_many_on: "two codes with equally many open gates need not be equal. "
        "What makes two codes the same?",
        _counts_as_numbers: "two codes of 120 gates that differ in one place count as the same. "
        "How many digits has a number?",
        _counts_swapped: "you find more regions at 20 training points than on the grid. "
        "In which order do the counts come?",
    },
    otherwise=lambda got, truth, codes_1, codes_2, training_1, training_2: (
        f"{len(codes_1)} grid points lie in {truth[0]} regions and {len(training_1)} training points in "
        f"{truth[1]}, you count {got[0]:g} and {got[1]:g}. Which codes do you take for equal?"
    ),
)


@exercise("4.5")
def check_4_5(attempt):
    rng = np.random.default_rng(3)
    params = _random_network(rng, 3, 6, 6, 6, 2)

    def code(x):
        bits = []
        for W, b in params[:-1]:
            bits.append(x @ W.T + b > 0)
            x = np.maximum(x @ W.T + b, 0)
        return np.concatenate(bits, axis=-1)

    for x in rng.normal(size=(20, 3)):
        d = float(call(attempt, params, x, shape=()))
        ask(d > 0, f"a distance is positive, yours is {d:g}. What is the distance of a point to a plane?")
        step = rng.normal(size=(20_000, 3))
        step /= np.linalg.norm(step, axis=1, keepdims=True)
        ask(
            (code(x + 0.999 * d * step) == code(x)).all(),
            "a step shorter than your distance already changes the code. "
            "Did you look at the units of every layer, and divide by the length of their slopes?",
        )
        ask(
            (code(x + 1.1 * d * step) != code(x)).any(),
            "steps well beyond your distance still keep the code. Which unit gives up first?",
        )
