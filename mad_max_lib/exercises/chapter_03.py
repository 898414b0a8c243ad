"""Chapter 03, MASOs in NumPy."""

from math import comb

import numpy as np

from ..splines.maso import MASO
from . import ask, call, exercise


def all_scores(x, A, B):
    K, R, D = A.shape
    return (x @ A.reshape(K * R, D).T).reshape(len(x), K, R) + B


def _scores_no_offset(x, A, B):
    return all_scores(x, A, 0 * B)


def _scores_minus_offset(x, A, B):
    return all_scores(x, A, -B)


def _scores_mixed_up(x, A, B):
    return all_scores(x, A.transpose(1, 0, 2).reshape(A.shape), B)


def _scores_clipped(x, A, B):
    return np.maximum(all_scores(x, A, B), 0)


def _which_score(got, truth, x, A, B):
    n, k, r = np.argwhere(~np.isclose(got, truth))[0]
    return (
        f"score [{n}, {k}, {r}] should be <A[{k}, {r}], x[{n}]> + B[{k}, {r}] = {truth[n, k, r]:.3f} and is "
        f"{got[n, k, r]:.3f}. Which entries of x, A and B enter yours?"
    )


_rng = np.random.default_rng(3)
_A, _B, _x = _rng.normal(size=(2, 3, 4)), _rng.normal(size=(2, 3)), _rng.normal(size=(5, 4))
exercise(
    "3.1",
    solution=all_scores,
    cases=[(_x[:1], _A, _B), (_x, _A, _B)],  # also one input, whose axis must stay
    wrong={
        _scores_no_offset: "at x = 0 all your scores are zero. What should they be there?",
        _scores_minus_offset: "your scores at x = 0 have the wrong sign. What does the definition do with B?",
        _scores_mixed_up: "your units and pieces are mixed up. In which order does reshape lay out K and R?",
        _scores_clipped: "none of your scores is negative. Is a score already a maximum?",
    },
    otherwise=_which_score,
)


exercise(
    "3.2",
    solution=(32, 4, 128),
    wrong={
        (32, 2, 128): "how many entries compete in one window?",
        (128, 4, 32): "K counts outputs and D counts inputs. Which of them is larger when we pool?",
        (16, 4, 64): "all numbers of both maps are inputs. How many is that?",
        (2, 4, 4): "these are the entries of one window on each map. How many windows are there?",
    },
    otherwise="think of the flattened input: how many numbers go in (D), how many come out (K), "
    "and how many compete for each (R)?",
    why="Two channels of 8 x 8 are D = 128 inputs; 2 x 2 windows leave K = 2 * 4 * 4 = 32 outputs; "
    "each output is the largest of R = 4 entries.",
)


def circulant(kernel, D):
    k = len(kernel)
    W = np.zeros((D, D))
    for i in range(D):
        for j in range(k):
            W[i, (i + j - k // 2) % D] += kernel[j]
    return W


def _flipped(kernel, D):
    return circulant(kernel[::-1], D)


def _not_centred(kernel, D):
    return np.roll(circulant(kernel, D), len(kernel) // 2, axis=1)


def _one_to_the_left(kernel, D):
    return np.roll(circulant(kernel, D), len(kernel) // 2 - 1, axis=1)


def _transposed_shift(kernel, D):
    return np.stack([np.roll(row, -2 * i) for i, row in enumerate(circulant(kernel, D))])


def _toeplitz(kernel, D):
    return sum(entry * np.eye(D, k=j - len(kernel) // 2) for j, entry in enumerate(kernel))


def _clipped(kernel, D):
    meets = np.arange(D)[:, None] + np.arange(len(kernel)) - len(kernel) // 2
    return np.einsum("j,ijn->in", kernel, np.eye(D)[meets.clip(0, D - 1)])


def _overwritten(kernel, D):
    W = np.zeros((D, D))
    for j, entry in enumerate(kernel):
        W[np.arange(D), (np.arange(D) + j - len(kernel) // 2) % D] = entry
    return W


def _which_row(got, truth, kernel, D):
    i = int(np.argmin(np.isclose(got, truth).all(axis=1)))
    return f"for the kernel {kernel} your row {i} is {got[i]}. Which inputs does output {i} see on the ring?"


exercise(
    "3.3",
    solution=circulant,
    cases=[(np.array([1.0, 2.0, 4.0]), 6), (np.arange(5.0), 7), (np.arange(1.0, 6.0), 3)],
    wrong={
        _toeplitz: "you pad with zeros. Where does the neighbour of the last entry come from on a ring?",
        _clipped: "at the ends you repeat the last input. Which input lies beyond it on a ring?",
        _flipped: "your kernel runs backwards. Which entry of the kernel meets the right neighbour?",
        _not_centred: "your kernel starts at entry i. Which entry of it should meet entry i?",
        _one_to_the_left: "right for 3 kernel entries, but not for 5. Where is the middle of a kernel?",
        _transposed_shift: "row 0 is right, row 1 is not. Which way does the kernel move from row to row?",
        _overwritten: "on a ring of 3 a kernel of 5 entries goes around. What if two meet one input?",
    },
    otherwise=_which_row,
)


def after(A, B, W, b):
    return A @ W, B + A @ b


def _after_no_bias(A, B, W, b):
    return A @ W, B


def _after_transposed(A, B, W, b):
    return A @ W.T, B + A @ b


def _after_bias_as_is(A, B, W, b):
    return A @ W, B + b[: A.shape[0], None]


_rng = np.random.default_rng(0)
_case = [_rng.normal(size=shape) for shape in ((3, 4, 3), (3, 4), (3, 3), 3)]


@exercise(
    "3.4",
    solution=after,
    cases=[_case],
    wrong={
        _after_no_bias: "the offsets have not changed. What does piece (k, r) give at x = 0 now?",
        _after_transposed: "your slopes use W the wrong way round. "
        "W is square here; would it fit with shape (3, 2)?",
        _after_bias_as_is: "you add b to the offsets as it is. "
        "Every piece weighs its entries in its own way; with which weights?",
    },
    otherwise=lambda got, truth, *_: (
        "the slopes are off. What multiplies x in <a, W x + b>?"
        if not np.allclose(got[0], truth[0])
        else "the offsets are off. What is left of <a, W x + b> at x = 0?"
    ),
)
def check_3_4(attempt):
    A, B, W, b = _case
    new_A, _ = call(attempt, A, B, W, b, shape=[A.shape, B.shape])
    if np.allclose(new_A, A @ W):  # else the square W, below, says more
        new_A, _ = call(attempt, A, B, W[:, :2], b, shape=[(3, 4, 2), (3, 4)])
        ask(
            np.allclose(new_A, A @ W[:, :2]),
            "right for a square W, but not for one of shape (3, 2). How many inputs are there then?",
        )


def residual(A, B, W, b):
    return A + W[:, None, :], B + b[:, None]


def _residual_last_piece(A, B, W, b):
    last = np.arange(A.shape[1]) == A.shape[1] - 1
    return A + last[:, None] * W[:, None, :], B + last * b[:, None]


def _residual_split(A, B, W, b):
    return A + W[:, None, :] / A.shape[1], B + b[:, None] / A.shape[1]


def _residual_no_offset(A, B, W, b):
    return A + W[:, None, :], B


_rng = np.random.default_rng(1)
_shapes = (3, 2, 5), (3, 2), (3, 5), 3, (200, 5)
*_layer_and_skip, _points = [_rng.normal(size=shape) for shape in _shapes]
exercise(
    "3.5",
    solution=residual,
    cases=[_layer_and_skip],
    wrong={
        _residual_last_piece: "only the last piece knows of the skip. "
        "What should the output be where another piece wins?",
        _residual_split: "each piece carries a share of the skip. How many pieces are added up at one input?",
        _residual_no_offset: "the slopes are right. What does the layer with its skip give at x = 0?",
    },
    otherwise="the outputs differ from the layer plus its skip. Each piece is one affine function: "
    "how much of the skip must each of them carry?",
    equal=lambda got, truth: np.allclose(MASO(*got)(_points), MASO(*truth)(_points)),
)


@exercise("3.6")
def check_3_6(attempt):
    rng, pieces = np.random.default_rng(2), {}
    for D in (2, 3, 4, 6):
        A, B = call(attempt, D, shape=[None, None], like=np.zeros(1))
        ask(
            A.ndim == 3 and A.shape[::2] == (1, D) and B.shape == A.shape[:2],
            f"for D = {D} slopes (1, R, {D}) and offsets (1, R) are expected, got {A.shape} and {B.shape}. "
            "What do the axes mean?",
        )
        x, pieces[D] = rng.normal(size=(500, D)), A.shape[1]
        ask(
            np.allclose(MASO(A, B)(x)[:, 0], np.sort(x, axis=1)[:, -2:].sum(1)),
            f"for D = {D} your unit is not the sum of the two largest entries. "
            "Which sums of two entries compete?",
        )
    for D, R in pieces.items():  # once the values are right for every D
        ask(R <= comb(D, 2), f"right, but with {R} pieces for D = {D}. Which of them are there twice?")
