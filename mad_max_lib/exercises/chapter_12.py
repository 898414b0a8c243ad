"""Chapter 12, templates of a network."""

from itertools import pairwise

import numpy as np
from scipy.stats import rankdata

from . import ask, call, exercise, within
from .chapter_04 import forward

exercise(
    "12.1",
    solution=[2, 1, 0, 0, -1],
    wrong={
        (
            0,
            0,
            2,
            1,
            -1,
        ): "you took the place of the largest sample. What are the values at all places?",
        (0, 0, 1, 2, -1): "the filter stands in the wrong order, and which place has the largest value?",
        (1, 2, 0, 0, -1): "the place is right. Which of the two weights meets the earlier sample?",
        (2, 1, 0, 0, 3): "the template is right. What must be added to its product with the signal?",
        (
            2,
            1,
            0,
            0,
            4,
        ): "the template is right, and 4 is its product with the signal. What does f(x) add to it?",
        (2, 1, 0, 0, 1): "the template is right. Is the 1 added or subtracted?",
        (2, 1, 0, 0, 0): "the template is right. What does the network add to the inner product?",
        (
            4,
            0,
            0,
            0,
            -1,
        ): "you wrote template times signal. What does the network multiply the signal by?",
        (
            3,
            -1,
            2,
            0,
            -1,
        ): "you wrote the values at the three places. Which weights give the largest one?",
    },
    otherwise="at which of the places is the value largest, and which weights meet which samples there?",
    why="The inner products at the three places are 4, 0 and 3. The first is the largest, although the last "
    "sample is larger than any other: A[x] = (2, 1, 0, 0), b[x] = -1, and f(x) = 4 - 1 = 3.",
)


def moved(old, new):
    shifts = np.arange(-19, 21)
    matches = np.stack([(np.roll(old, k, axis=1) * new).sum(axis=1) for k in shifts], axis=1)  # (N, 40)
    return shifts[matches.argmax(axis=1)]


def _moved_back(old, new):
    return moved(new, old)


def _moved_index(old, new):
    return np.stack([(np.roll(old, k, axis=1) * new).sum(axis=1) for k in range(-19, 21)]).argmax(axis=0)


def _moved_forward_only(old, new):
    return np.stack([(np.roll(old, k, axis=1) * new).sum(axis=1) for k in range(40)]).argmax(axis=0)


def _moved_peaks(old, new):
    steps = new.argmax(axis=1) - old.argmax(axis=1)
    return (steps + 19) % 40 - 19


def _moved_together(old, new):
    matches = [(np.roll(old, k, axis=1) * new).sum() for k in range(-19, 21)]
    return np.full(len(old), np.argmax(matches) - 19)


def _moved_flat(old, new):
    shifts = range(-19, 21)
    return np.stack([(np.roll(old, k) * new).sum(axis=1) for k in shifts]).argmax(axis=0) - 19


def _moved_in_size(old, new):
    return moved(np.abs(old), np.abs(new))


def _shifted_pairs():
    """Random templates, and the same ones shifted and disturbed; among the shifts are the two ends."""
    rng = np.random.default_rng(4)
    old = rng.normal(size=(12, 40))
    shifts = np.array([4, -3, 0, 20, -19, 7, 1, -1, 12, -8, 4, 2])
    new = np.stack([np.roll(row, k) for row, k in zip(old, shifts, strict=True)])
    return old, new + 0.5 * rng.normal(size=new.shape)


def _at_the_end():
    """Short pulses at the end, which come back at the start, and larger ones of the other sign."""
    old = np.zeros((3, 40))
    old[:, 36:] = np.random.default_rng(7).normal(size=(3, 4))
    return old, np.stack([np.roll(r, k) - 2 * np.roll(r, -k) for r, k in zip(old, (6, 9, 12), strict=True)])


def _which_shift(got, truth, old, new):
    n = int(np.flatnonzero(got != truth)[0])
    return (
        f"row {n} of `old` fits row {n} of `new` best when shifted by {truth[n]}, and you find {got[n]}. "
        "How large is the inner product for each of the two?"
    )


exercise(
    "12.2",
    solution=moved,
    cases=[_shifted_pairs(), _at_the_end()],
    wrong={
        _moved_back: "all signs are turned. Which of the two is shifted, the old template or the new one?",
        _moved_index: "you return positions in the list of shifts. Which shift stands at each position?",
        _moved_forward_only: "your shifts lie between 0 and 39. Which shift back is the same as one by 39?",
        _moved_peaks: "you compare the largest samples only. What do the other 39 samples say?",
        _moved_together: "all rows get the same shift. Over which axis should the inner products be summed?",
        _moved_flat: "what leaves one row comes into the next. Along which axis does `np.roll` shift?",
        _moved_in_size: "you compare sizes without signs. Is a template equal to its negative?",
    },
    equal=within(0),
    otherwise=_which_shift,
)


def origin_without_offsets(A_x, b_x):
    return np.linalg.lstsq(A_x, -b_x, rcond=None)[0]


def _origin_sign(A_x, b_x):
    return np.linalg.lstsq(A_x, b_x, rcond=None)[0]


def _origin_back(A_x, b_x):
    return -A_x.T @ b_x


def _origin_first_inputs(A_x, b_x):
    C, D = A_x.shape
    return np.r_[np.linalg.solve(A_x[:, :C], -b_x), np.zeros(D - C)]


def _origin_row_by_row(A_x, b_x):
    return -(A_x * (b_x / (A_x**2).sum(axis=1))[:, None]).sum(axis=0)


def _origin_zero(A_x, b_x):
    return np.zeros(A_x.shape[1])


def _which_origin(got, truth, A_x, b_x):
    left = np.abs(b_x + A_x @ got).max()
    if left > 1e-7:
        return f"from your origin an offset of size {left:.2g} is left. What do the new offsets depend on?"
    return (
        f"all offsets are 0, but your origin has the length {np.linalg.norm(got):.3f} and one of length "
        f"{np.linalg.norm(truth):.3f} does it too. Which part of yours do the templates not see?"
    )


_rng = np.random.default_rng(5)
exercise(
    "12.3",
    solution=origin_without_offsets,
    cases=[(_rng.normal(size=(3, 8)), _rng.normal(size=3)), (_rng.normal(size=(2, 5)), _rng.normal(size=2))],
    wrong={
        _origin_sign: "from your origin every offset is doubled. What is the sign of A[x] o in it?",
        _origin_back: "the shape is right, but the transpose of A[x] does not undo A[x]. When would it?",
        _origin_first_inputs: _which_origin,
        _origin_row_by_row: "each row alone would get the offset 0, but the rows move each other's offsets. "
        "What must hold for all rows at once?",
        _origin_zero: "this is the origin that was there before. What do the offsets look like from it?",
    },
    equal=within(1e-7),
    otherwise=_which_origin,
)


def _separable(rng, D):
    """params of a network that is a sum of functions of one input each, and these functions."""
    w, c, v = rng.normal(size=(D, 3)), rng.normal(size=(D, 3)), rng.normal(size=(2, D, 3))
    W = (np.eye(D)[:, None, :] * w[:, :, None]).reshape(3 * D, D)
    params = [(W, c.ravel()), (v.reshape(2, -1), rng.normal(size=2))]
    return params, lambda x: (v * np.maximum(w * x[:, None] + c, 0)).sum(axis=2)  # (2, D)


@exercise("12.4")
def check_12_4(attempt):
    rng = np.random.default_rng(2)

    def random_network(*sizes):
        return [(rng.normal(size=(o, i)) / np.sqrt(i), rng.normal(size=o)) for i, o in pairwise(sizes)]

    def average(params, x_0, x_1):
        x_0, x_1 = np.array(x_0, float), np.array(x_1, float)
        shape = (len(params[-1][0]), len(x_0))
        return call(attempt, params, x_0, x_1, shape=shape, like=np.zeros(shape))

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
    later = "Where do the borders of the later layers cross it, and which template holds between two of them?"
    first = "Is every border of the layer met exactly, and which template holds between two of them?"
    for layers, question, *sizes in [
        ("one hidden layer", first, 3, 8, 2),
        ("two hidden layers", later, 5, 12, 12, 3),
        *[("three hidden layers", later, 4, 10, 10, 10, 2)] * 6,
    ]:
        params, (x_0, x_1) = random_network(*sizes), 3 * rng.normal(size=(2, sizes[0]))
        rise = forward(params, x_1)[-1] - forward(params, x_0)[-1]
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


def alike(one, other):
    ranks = [rankdata(maps, axis=1) for maps in (one, other)]
    ranks = [rank - rank.mean(axis=1, keepdims=True) for rank in ranks]  # (N, D) each
    lengths = [np.linalg.norm(rank, axis=1) for rank in ranks]
    return 100 * ((ranks[0] * ranks[1]).sum(axis=1) / lengths[0] / lengths[1]).mean()


def _centred(maps):
    return maps - maps.mean(axis=1, keepdims=True)


def _cosines(one, other):
    return (one * other).sum(axis=1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)


def _alike_without_ranks(one, other):
    return 100 * _cosines(_centred(one), _centred(other)).mean()


def _alike_not_centred(one, other):
    return 100 * _cosines(rankdata(one, axis=1), rankdata(other, axis=1)).mean()


def _alike_ranks_of_all(one, other):
    return 100 * np.corrcoef(rankdata(one), rankdata(other))[0, 1]


def _alike_as_fraction(one, other):
    return alike(one, other) / 100


def _alike_ordinal(one, other):
    ranks = [_centred(maps.argsort(axis=1).argsort(axis=1)) for maps in (one, other)]
    return 100 * _cosines(*ranks).mean()


def _alike_argsort(one, other):
    return 100 * _cosines(_centred(one.argsort(axis=1)), _centred(other.argsort(axis=1))).mean()


def _alike_down_the_columns(one, other):
    return alike(one.T, other.T)


def _alike_in_size(one, other):
    return abs(alike(one, other))


def _pairs_of_maps():
    rng = np.random.default_rng(6)
    one = rng.normal(size=(5, 12))
    other = one**3 + rng.normal(size=(5, 12))
    blank = np.maximum(one, 0)  # many equal entries
    scale = np.array([1.0, 10, 100, 1, 5])[:, None]
    return [(one, other), (blank, scale * np.maximum(other, 0)), (one[:2], -other[:2])]


exercise(
    "12.5",
    solution=alike,
    cases=_pairs_of_maps(),
    wrong={
        _alike_without_ranks: "this is the correlation of the values. Where do the ranks come in?",
        _alike_not_centred: "opposite orders should give -100, and yours is positive. "
        "What is subtracted from two lists before they are correlated?",
        _alike_ranks_of_all: "the ranks run through all rows together. Along which axis does each map count?",
        _alike_as_fraction: "the answer should be in percent. What does the same order give?",
        _alike_ordinal: "equal entries get different ranks. What does `rankdata` give to equal entries?",
        _alike_argsort: "`argsort` gives positions. At which position does the largest entry's rank stand?",
        _alike_down_the_columns: "you compare the maps pixel by pixel. Which axis runs through one map?",
        _alike_in_size: "opposite orders should give -100. Where does the sign get lost?",
    },
    equal=within(1e-7),
    otherwise=lambda got, truth, one, other: (
        f"for {len(one)} pairs of maps the mean should be {truth:.2f} %, yours is {got:.2f}. "
        "What does a single pair give?"
    ),
)


exercise(
    "12.6",
    solution=[False, True, False, True, False],
    wrong={
        (True, True, False, True, False): "statement 1: how much does map P change if nothing was learned?",
        (False, False, False, True, False): "statement 2: which number says how like map Q stays to itself?",
        (False, True, True, True, False): "statement 3: how sure are you that 24 is more than 22?",
        (False, True, False, False, False): "statement 4: which three numbers does it compare?",
        (False, True, False, True, True): "statement 5: in which column were pixels painted?",
        (True, True, True, True, True): "the table does not support them all. "
        "Which number belongs to which statement?",
        (True, True, False, True, True): "look at statements 1 and 5 again. "
        "Which number is each of them about?",
        (False, True, True, True, True): "look at statements 3 and 5 again. Which numbers are they about?",
        (True, True, True, True, False): "look at statements 1 and 3 again. What else agrees as much?",
        (True, False, True, False, True): "each of yours is turned. "
        "Did you mark what the table does not support?",
    },
    otherwise="more than one statement is not right yet. Which numbers of the table is each of them about?",
    why="Map P is as like itself with random weights, so its agreement says nothing of learning (1). With "
    "random weights the order of map Q is gone (2), and 24 and 22 are no clear difference within 2 points "
    "each (3). 70 is more than 5 and 30 (4). The table compares maps with maps; it is silent about "
    "answers (5).",
)
