"""Chapter 05, one matrix and one vector."""

from itertools import pairwise

import numpy as np

from . import ask, call, exercise, within

exercise(
    "5.1",
    solution=[-2.0, 2.0, 2.5],
    wrong={
        (-1.0, 3.0, 2.5): "that is the map with both ReLUs on. What is the first pre-activation at (0, -2)?",
        (1.0, 1.0, 0.5): "that is the map at (0, 2). What are the two pre-activations at (0, -2)?",
        (-2.0, 2.0, 0.5): "the matrix is right, the last number is not. "
        "What does the second layer do to the bias of a ReLU that is on?",
        (-2.0, 2.0, -1.5): "the matrix is right, and the last number is the output f(x). What is the offset?",
        (-2.0, 2.0, -0.5): "the matrix is right, the last number is not. "
        "Which number of the second layer multiplies the bias of the first?",
    },
    otherwise="this is not the map at (0, -2). Which gates does this input have, "
    "and what is left of W(1) and b(1) with them?",
    why="u = (-2, 1): the first ReLU is off, the second is on. Only the second row of W(1) is left, "
    "times -2: A[x] = (-2, 2). The offset is (-2)(-1) + 1/2 = 5/2. "
    "The test: A[x] x + b[x] = -4 + 5/2 = -3/2, and f(x) = (-2)(1) + 1/2 = -3/2.",
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
_network = _random_network(np.random.default_rng(1), 3, 5, 4, 2)
exercise(
    "5.2",
    solution=affine,
    cases=[(_network, _gates)],
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


def held(params, gates, v):
    for (W, b), gate in zip(params[:-1], gates, strict=True):
        v = (v @ W.T + b) * gate
    W, b = params[-1]
    return v @ W.T + b


def _held_free(params, gates, v):
    for W, b in params[:-1]:
        v = np.maximum(v @ W.T + b, 0)
    return v @ params[-1][0].T + params[-1][1]


def _held_twice(params, gates, v):
    for (W, b), gate in zip(params[:-1], gates, strict=True):
        v = np.maximum(v @ W.T + b, 0) * gate
    return v @ params[-1][0].T + params[-1][1]


def _held_bias_ungated(params, gates, v):
    for (W, b), gate in zip(params[:-1], gates, strict=True):
        v = (v @ W.T) * gate + b
    return v @ params[-1][0].T + params[-1][1]


def _held_no_gates(params, gates, v):
    return held(params, [np.ones_like(gate) for gate in gates], v)


exercise(
    "5.3",
    solution=held,
    cases=[(_network, _gates, np.random.default_rng(2).normal(size=(6, 3)))],
    wrong={
        _held_free: "that is the network itself, with the gates that v chooses. Which gates were asked for?",
        _held_twice: "what comes out is not affine in v: some negative numbers still become zero. "
        "What remains of a ReLU once its gate is given?",
        _held_bias_ungated: "the slopes are right, the offset is not. Does a closed gate let a bias pass?",
        _held_no_gates: "every unit passes its value on, as if all gates were 1. Where do the gates go?",
    },
    otherwise="these are not the outputs with the gates held. "
    "What does layer 1 pass on if its gate is 0, and what if it is 1?",
)


def split(A_x, b_x, x, origin):
    return A_x @ (x - origin), b_x + A_x @ origin


def _split_offset_kept(A_x, b_x, x, origin):
    return A_x @ (x - origin), b_x


def _split_product_kept(A_x, b_x, x, origin):
    return A_x @ x, b_x + A_x @ origin


def _split_unmoved(A_x, b_x, x, origin):
    return A_x @ x, b_x


def _split_wrong_way(A_x, b_x, x, origin):
    return A_x @ (x + origin), b_x - A_x @ origin


def _split_swapped(A_x, b_x, x, origin):
    return split(A_x, b_x, x, origin)[::-1]


def _which_part(got, truth, A_x, b_x, x, origin):
    if not np.allclose(got[0] + got[1], A_x @ x + b_x):
        return "your two parts do not add up to the logits. What must be added to one if the other loses it?"
    return "your two parts add up to the logits. What is the product if x is the origin itself?"


_rng = np.random.default_rng(4)
exercise(
    "5.4",
    solution=split,
    cases=[(_rng.normal(size=(4, 6)), _rng.normal(size=4), _rng.random(6), _rng.random(6))],
    wrong={
        _split_offset_kept: "the products are right, but the two parts no longer add up to the logits. "
        "Where did the difference go?",
        _split_product_kept: "the offsets are right, but the two parts no longer add up to the logits. "
        "From which point is x measured in the product?",
        _split_unmoved: "that is the division with zero itself as the origin. Where does `origin` come in?",
        _split_wrong_way: "the two parts add up to the logits. "
        "What is the product if x is the origin itself?",
        _split_swapped: "both parts are right. In which order were they asked for?",
    },
    otherwise=_which_part,
)

exercise(
    "5.5",
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


@exercise("5.6")
def check_5_6(attempt):
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
            "steps well beyond your distance still keep the code. Which unit has the nearest border?",
        )
    W, b = np.array([[2.0, 0.0], [0.0, 0.0]]), np.array([-1.0, 3.0])  # the second unit never changes its gate
    d = float(call(attempt, [(W, b), (np.ones((1, 2)), np.zeros(1))], np.array([2.0, 7.0]), shape=()))
    ask(
        np.isclose(d, 1.5),
        f"a unit with slope zero never changes its gate; with one such unit and the line x1 = 1/2 you find "
        f"{d:g} from (2, 7). What does your formula do with a slope of length zero?",
    )
    d = float(call(attempt, [(0 * W, b), (np.ones((1, 2)), np.zeros(1))], np.array([2.0, 7.0]), shape=()))
    ask(d == np.inf, f"a network without any border gives {d:g}. How far is a border that does not exist?")


exercise(
    "5.7",
    solution=3320.0,
    equal=within(50),
    wrong={
        3590.0: "that is the trained network. Which networks were to be counted?",
        26564.0: "that is the sum of the eight counts. What is their mean?",
        909.0: "that is about what layer 1 alone makes. Which layers have ReLUs?",
    },
    otherwise="the mean of the eight counts is another number. Do you count in the square from -2 to 2, "
    "and is each network drawn with its own seed?",
    why="The eight counts lie between about 3,060 and 3,580; the trained network has 3,590. Training "
    "moves the borders and changes the matrices. It need not make the regions: "
    "these random starts have 85 to 100 % as many.",
)
