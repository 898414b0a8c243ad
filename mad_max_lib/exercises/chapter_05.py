"""Chapter 05, one matrix and one vector."""

import copy
from itertools import pairwise

import numpy as np

from . import ask, call, exercise, within

_ONE_LIST = (
    "three numbers in one list are wanted, the two entries of A[x] and then b[x], "
    "and yours holds a list inside. Which brackets are too many?"
)


@exercise(
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
        ((-2.0, 2.0, 2.5),): _ONE_LIST,
    },
    otherwise="this is not the map at (0, -2). Which gates does this input have, "
    "and what is left of W(1) and b(1) with them?",
    why="u = (-2, 1): the first ReLU is off, the second is on. Only the second row of W(1) is left, "
    "times -2: A[x] = (-2, 2). The offset is (-2)(-1) + 1/2 = 5/2. "
    "The test: A[x] x + b[x] = -4 + 5/2 = -3/2, and f(x) = (-2)(1) + 1/2 = -3/2.",
)
def check_5_1(attempt):
    if isinstance(attempt, (list, tuple)):
        ask(not any(np.ndim(part) for part in attempt), _ONE_LIST)


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


def _affine_matrix_alone(params, gates):
    return affine(params, gates)[0]


def _affine_vector_first(params, gates):
    return affine(params, gates)[::-1]


def _affine_by_index(params, gates):
    """Keep the rows and columns of the open gates, which a boolean array selects and no other."""
    A_x, b_x = params[0]
    for (W, b), gate in zip(params[1:], gates, strict=True):
        A_x, b_x = W[:, gate] @ A_x[gate], W[:, gate] @ b_x[gate] + b
    return A_x, b_x


def _affine_by_whole_index(params, gates):
    return _affine_by_index(params, [gate.astype(int) for gate in gates])


def _ask_for_pair(attempt, params, gates):
    """A question for an attempt that returns the matrix alone, or the vector before it; here C is 2."""
    A_x, b_x = affine(params, gates)
    first, second = call(attempt, params, gates, shape=[None, None], like=[A_x, b_x], may_be_nan=True)
    ask(not first.shape == second.shape == A_x[0].shape, _ONE_ARRAY)
    ask((first.shape, second.shape) != (b_x.shape, A_x.shape), _OTHER_ORDER)
    return first


def _runs(attempt, *case):
    try:
        attempt(*copy.deepcopy(case))
    except Exception:
        return False
    return True


def _random_network(rng, *sizes):
    return [(rng.normal(size=(o, i)), rng.normal(size=o)) for i, o in pairwise(sizes)]


_ONE_ARRAY = (
    "two arrays are wanted, A[x] and then b[x], and your version returns one. Which of the two is missing?"
)
_OTHER_ORDER = (
    "two arrays are wanted, A[x] and b[x], and b[x] comes first in what your version returns. "
    "Which was to be the first?"
)
_NEEDS_BOOLEANS = (
    "with gates True and False your version runs, with the same gates as 0.0 and 1.0 it does not. "
    "Which of its steps asks for booleans?"
)
_gates = [np.array([True, False, True, True, False]), np.array([False, True, True, False])]
_gates_as_floats = [gate.astype(float) for gate in _gates]
_network = _random_network(np.random.default_rng(1), 3, 5, 4, 2)


@exercise(
    "5.2",
    solution=affine,
    cases=[(_network, _gates), (_network, _gates_as_floats)],
    wrong={
        _affine_no_gates: "your matrix is the product of all weights, as if every gate were open. "
        "Where do the gates go?",
        _affine_last_bias: "only the last layer's bias is left. "
        "What do the later layers do to the first layer's bias?",
        _affine_bias_ungated: "the matrix is right, the vector is not. Does a closed gate let a bias pass?",
        _affine_by_index: _NEEDS_BOOLEANS,
        _affine_by_whole_index: "your matrix takes some units twice and others not at all. "
        "What does an array select whose gates 0 and 1 are read as positions?",
        _affine_matrix_alone: _ONE_ARRAY,
        _affine_vector_first: _OTHER_ORDER,
    },
    otherwise=lambda got, truth, *_: (
        "the matrix is off. Which comes first on the way from x to the logits, W, the gate, or the next W?"
        if not np.allclose(got[0], truth[0])
        else "the matrix is right, the vector is not. What does each bias meet on its way to the logits?"
    ),
)
def check_5_2(attempt):
    _ask_for_pair(attempt, _network, _gates)
    ask(_runs(attempt, _network, _gates_as_floats), _NEEDS_BOOLEANS)


def held(params, gates, v):
    """Outputs (N, C) of the network at inputs v (N, D), with its gates fixed; the chapter defines it too."""
    for (W, b), gate in zip(params[:-1], gates, strict=True):
        v = (v @ W.T + b) * gate
    W, b = params[-1]
    return v @ W.T + b


def map_by_holding(params, gates):
    D = params[0][0].shape[1]
    b_x = held(params, gates, np.zeros((1, D)))[0]
    A_x = (held(params, gates, np.eye(D)) - b_x).T
    return A_x, b_x


def _holding_with_vector(params, gates):
    A_x, b_x = map_by_holding(params, gates)
    return A_x + b_x[:, None], b_x


def _holding_rows(params, gates):
    A_x, b_x = map_by_holding(params, gates)
    return A_x.T, b_x


def _holding_last_bias(params, gates):
    A_x, b_x = map_by_holding(params, gates)
    return A_x + (b_x - params[-1][1])[:, None], params[-1][1]


def _holding_free(params, gates):
    def free(v):
        for W, b in params[:-1]:
            v = np.maximum(v @ W.T + b, 0)
        return v @ params[-1][0].T + params[-1][1]

    b_x = free(np.zeros((1, 3)))[0]
    return (free(np.eye(3)) - b_x).T, b_x


def _holding_matrix_alone(params, gates):
    return map_by_holding(params, gates)[0]


_ROWS_OF_INPUTS = "your matrix has one row for each input. For what does a row of A[x] stand?"


@exercise(
    "5.3",
    solution=map_by_holding,
    cases=[(_network, _gates), (_random_network(np.random.default_rng(2), 3, 5, 4, 3), _gates_as_floats)],
    wrong={
        _holding_with_vector: "the vector is right, and all columns of your matrix are off by one vector. "
        "What does the held network add to column d at the unit vector number d?",
        _holding_rows: _ROWS_OF_INPUTS,
        _holding_last_bias: "your vector is the last layer's bias. "
        "At which input does a held network give its whole vector?",
        _holding_free: "that is the network itself, with the gates that zero and the unit vectors choose. "
        "Which gates were asked for?",
        _holding_matrix_alone: _ONE_ARRAY,
    },
    otherwise=lambda got, truth, *_: (
        "the vector is off. At which input does A[x] times the input vanish?"
        if not np.allclose(got[1], truth[1])
        else "the vector is right, the matrix is not. "
        "What does the held network give at the unit vector number d?"
    ),
)
def check_5_3(attempt):
    matrix = _ask_for_pair(attempt, _network, _gates)
    ask(matrix.shape != (3, 2), _ROWS_OF_INPUTS)


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
    _ask_by_hand(attempt)
    params = _random_network(rng, 3, 6, 6, 6, 2)

    def code(x):
        bits = []
        for W, b in params[:-1]:
            bits.append(x @ W.T + b > 0)
            x = np.maximum(x @ W.T + b, 0)
        return np.concatenate(bits, axis=-1)

    for x in rng.normal(size=(20, 3)):
        d = _distance(attempt, params, x)
        ask(d > 0, f"a distance is positive, yours is {d:g}. What is the distance of a point to a plane?")
        step = rng.normal(size=(20_000, 3))
        step /= np.linalg.norm(step, axis=1, keepdims=True)
        ask(
            (code(x + 0.999 * d * step) == code(x)).all(),
            "a step shorter than your distance already changes the code. "
            "Does your minimum run over every unit of every hidden layer?",
        )
        ask(
            (code(x + 1.1 * d * step) != code(x)).any(),
            "steps well beyond your distance still keep the code. For one of the units yours is too small: "
            "what are its value and its slope in x?",
        )


def _distance(attempt, params, x, may_be_nan=False):
    return float(call(attempt, params, np.array(x), shape=(), may_be_nan=may_be_nan))


def _ask_by_hand(attempt):
    """Networks with few units, each of which tells one mistake from the others."""
    output = np.ones((1, 2)), np.array([7.0])

    d = _distance(
        attempt, [(np.array([[3.0, 4.0]]), np.array([-5.0])), (np.ones((1, 1)), np.ones(1))], [0.0, 0.0]
    )
    said = f"one unit, 3 x1 + 4 x2 - 5, is the whole hidden layer, and from (0, 0) you find {d:g}. "
    lengths = 5 / np.array([3 + 4, 4, 3**2 + 4**2, 1])
    ask(not np.isclose(d, lengths).any(), said + "How long is its slope, the vector (3, 4)?")
    ask(np.isclose(d, 1), said + "How far is a point from a line?")

    layer_1 = np.array([[2.0, 0.0], [0.0, 2.0], [0.0, -1.0]]), np.array([0.0, 0.0, -3.0])
    layer_2 = np.ones((1, 3)), np.array([-16.0])  # 2 x1 + 2 x2 - 16 near (5, 5)
    d = _distance(attempt, [layer_1, layer_2, (np.ones((1, 1)), np.ones(1))], [5.0, 5.0])
    said = (
        "layer 1 has the units 2 x1, 2 x2 and -x2 - 3, layer 2 the sum of its three inputs minus 16, "
        f"and from (5, 5) you find {d:g}. "
    )
    ask(not np.isclose(d, 5), said + "Did you look at the units of every hidden layer?")
    ask(
        not np.isclose(d, 4 / np.sqrt(3)),
        said + "Is the slope of layer 2 taken in x, or in what layer 1 passes on?",
    )
    ask(
        not np.isclose(d, 4 / np.sqrt(5)),
        said + "Which of the three units of layer 1 pass x on there, and what is then the slope of layer 2?",
    )
    ask(np.isclose(d, np.sqrt(2)), said + "What are the value and the slope in x of the unit of layer 2?")

    d = _distance(attempt, [(np.eye(2), np.zeros(2)), (np.ones((1, 2)), np.array([-6.0]))], [3.0, 4.0])
    ask(
        np.isclose(d, 3),
        "the hidden units are x1 and x2, the output is their sum minus 6, "
        f"and from (3, 4) you find {d:g}. Which of the three numbers have a gate?",
    )

    for b in (3.0, -3.0, 0.0):  # the second unit never changes its gate
        d = _distance(
            attempt,
            [(np.array([[2.0, 0.0], [0.0, 0.0]]), np.array([-1.0, b])), output],
            [2.0, 7.0],
            may_be_nan=True,
        )
        ask(
            np.isclose(d, 1.5),
            "a unit with slope zero never changes its gate; with one such unit, "
            f"of bias {b:g}, and the line x1 = 1/2 you find {d:g} from (2, 7). "
            "What does your formula do with a slope of length zero?",
        )
    closed, dead = (np.eye(2), np.array([-4.0, -9.0])), (np.ones((2, 2)), np.array([0.0, 2.0]))
    d = _distance(attempt, [closed, dead, output], [1.0, 2.0], may_be_nan=True)
    ask(
        np.isclose(d, 3),
        "where layer 1 is closed, every unit of layer 2 has slope zero; with x1 - 4 and x2 - 9 in layer 1 "
        f"you find {d:g} from (1, 2). Which units can still change their gate?",
    )
    d = _distance(attempt, [(np.zeros((2, 2)), np.array([-1.0, 3.0])), output], [2.0, 7.0])
    ask(d == np.inf, f"a network without any border gives {d:g}. How far is a border that does not exist?")


exercise(
    "5.7",
    solution=3320.5,
    equal=within(5),
    wrong={
        3590.0: "that is the trained network. Which networks were to be counted?",
        26564.0: "that is the sum of the eight counts. What is their mean?",
        909.25: "that is about what layer 1 alone makes. Which layers have ReLUs?",
        3270.0: "that is one network, the first. How many were to be counted?",
        3361.875: "those are the seeds from 1 on. With which seed do the eight begin?",
        3419.875: "one generator has drawn all eight networks. Which seed does the second one have?",
        3306.5: "that is the median of the eight counts. What was asked for?",
        2729.875: "that is the mean in the square from -1 to 1. Which square was it?",
    },
    otherwise="the mean of the eight counts is another number. Do you count in the square from -2 to 2, "
    "and is each network drawn with its own seed?",
    why="The eight counts lie between 3,063 and 3,578; the trained network has 3,590. Training "
    "moves the borders and changes the matrices. It need not make the regions: "
    "these random starts have 85 to 100 % as many.",
)
