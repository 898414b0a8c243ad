"""Chapter 02, MASOs in NumPy."""

from itertools import combinations

import numpy as np

from ..splines.maso import MASO
from . import Wrong, call, exercise, value


def all_scores(x, A, B):
    K, R, D = A.shape
    return (x @ A.reshape(K * R, D).T).reshape(len(x), K, R) + B


def _scores_no_offset(x, A, B):
    return all_scores(x, A, 0 * B)


def _scores_mixed_up(x, A, B):
    K, R, D = A.shape
    return (x @ A.transpose(1, 0, 2).reshape(K * R, D).T).reshape(len(x), K, R) + B


def _scores_clipped(x, A, B):
    return np.maximum(all_scores(x, A, B), 0)


@exercise("2.1", solution=all_scores, wrong=[_scores_no_offset, _scores_mixed_up, _scores_clipped])
def _(attempt):
    rng = np.random.default_rng(3)
    A, B, x = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 3)), rng.normal(size=(5, 4))
    got, truth = call(attempt, x, A, B, shape=(5, 2, 3)), all_scores(x, A, B)
    if np.allclose(got, truth - B):
        raise Wrong("at x = 0 all your scores are zero. What should they be there?")
    if (got >= 0).all():
        raise Wrong("none of your scores is negative. Is a score already a maximum?")
    if not np.allclose(got, truth):
        raise Wrong(f"score [0, 0, 1] should be <A[0, 1], x[0]> + B[0, 1] = {truth[0, 0, 1]:.3f} and is "
                    f"{got[0, 0, 1]:.3f}. In which order does reshape lay out K and R?")  # fmt: skip


@exercise(
    "2.2",
    solution=(32, 4, 128),
    wrong=[(32, 2, 128), (128, 4, 32), (16, 4, 64), (2, 4, 4)],
    why="Two channels of 8 x 8 are D = 128 inputs; 2 x 2 windows leave K = 2 * 4 * 4 = 32 outputs; "
    "each output is the largest of R = 4 entries.",
)
def _(attempt):
    K, R, D = value(attempt, (3,))
    if (K, R, D) == (128, 4, 32):
        raise Wrong("K counts outputs and D counts inputs. Which of them is larger when we pool?")
    if R == 2:
        raise Wrong("how many entries compete in one window?")
    if D == 64:
        raise Wrong("all numbers of both maps are inputs. How many is that?")
    if (K, R, D) != (32, 4, 128):
        raise Wrong("think of the flattened input: how many numbers go in (D), how many come out (K), "
                    "and how many compete for each (R)?")  # fmt: skip


def circulant(kernel, D):
    k = len(kernel)
    W = np.zeros((D, D))
    for i in range(D):
        for j in range(k):
            W[i, (i + j - k // 2) % D] += kernel[j]
    return W


def _toeplitz(kernel, D):
    W = np.zeros((D, D))
    for i in range(D):
        for j in range(len(kernel)):
            if 0 <= i + j - len(kernel) // 2 < D:
                W[i, i + j - len(kernel) // 2] += kernel[j]
    return W


def _flipped(kernel, D):
    return circulant(kernel[::-1], D)


def _not_centred(kernel, D):
    return np.roll(circulant(kernel, D), len(kernel) // 2, axis=1)


def _transposed_shift(kernel, D):
    return np.stack([np.roll(np.pad(kernel, (0, D - len(kernel))), -i) for i in range(D)])


def _overwritten(kernel, D):
    W = np.zeros((D, D))
    for i in range(D):
        for j in range(len(kernel)):
            W[i, (i + j - len(kernel) // 2) % D] = kernel[j]
    return W


@exercise("2.3", solution=circulant, wrong=[_toeplitz, _flipped, _not_centred, _transposed_shift, _overwritten])
def _(attempt):
    kernel = np.array([1.0, 2.0, 4.0])
    C, truth = call(attempt, kernel, 6, shape=(6, 6)), circulant(kernel, 6)
    if np.allclose(C, _toeplitz(kernel, 6)):
        raise Wrong("you pad with zeros. Where does the neighbour of the last entry come from on a ring?")
    if np.allclose(C, _flipped(kernel, 6)):
        raise Wrong("your kernel runs backwards. Which entry of the kernel meets the right neighbour?")
    if np.allclose(C, _not_centred(kernel, 6)):
        raise Wrong("your kernel starts at entry i. Which entry of it should meet entry i?")
    if not np.allclose(C, truth):
        raise Wrong(f"row 2 should mix its neighbours and itself, and yours is {C[2]}. Which inputs does output 2 see?")
    if not np.allclose(call(attempt, np.arange(5.0), 7, shape=(7, 7)), circulant(np.arange(5.0), 7)):
        raise Wrong("right for 3 kernel entries, but not for 5. Where is the middle of a kernel?")
    if not np.allclose(call(attempt, np.arange(1.0, 6.0), 3, shape=(3, 3)), circulant(np.arange(1.0, 6.0), 3)):
        raise Wrong("a kernel of 5 entries on a ring of 3 goes around it. What if two entries meet one input?")


def after(A, B, W, b):
    return A @ W, B + A @ b


def _after_no_bias(A, B, W, b):
    return A @ W, B


def _after_transposed(A, B, W, b):
    return A @ W.T, B + A @ b


def _after_bias_as_is(A, B, W, b):
    return A @ W, B + b[: A.shape[0], None]


@exercise("2.4", solution=after, wrong=[_after_no_bias, _after_transposed, _after_bias_as_is])
def _(attempt):
    rng = np.random.default_rng(0)
    A, B, W, b = rng.normal(size=(3, 4, 3)), rng.normal(size=(3, 4)), rng.normal(size=(3, 3)), rng.normal(size=3)
    new_A, new_B = call(attempt, A, B, W, b, shape=[(3, 4, 3), (3, 4)])
    if np.allclose(new_A, A @ W.T):
        raise Wrong("your slopes use W the wrong way round. W is square here; would it fit with shape (3, 2)?")
    if not np.allclose(new_A, A @ W):
        raise Wrong("the slopes are off. What multiplies x in <a, W x + b>?")
    if np.allclose(new_B, B):
        raise Wrong("the offsets have not changed. What does piece (k, r) give at x = 0 now?")
    if not np.allclose(new_B, B + A @ b):
        raise Wrong("the offsets are off: every piece weighs the entries of b in its own way. With which weights?")
    new_A, _ = call(attempt, A, B, W[:, :2], b, shape=[(3, 4, 2), (3, 4)])
    if not np.allclose(new_A, A @ W[:, :2]):
        raise Wrong("right for a square W, but not for one of shape (3, 2). How many inputs are there then?")


def residual(A, B, W, b):
    return A + W[:, None, :], B + b[:, None]


def _residual_first_piece(A, B, W, b):
    new_A, new_B = A.copy(), B.copy()
    new_A[:, -1], new_B[:, -1] = A[:, -1] + W, B[:, -1] + b
    return new_A, new_B


def _residual_split(A, B, W, b):
    return A + W[:, None, :] / A.shape[1], B + b[:, None] / A.shape[1]


def _residual_no_offset(A, B, W, b):
    return A + W[:, None, :], B


@exercise("2.5", solution=residual, wrong=[_residual_first_piece, _residual_split, _residual_no_offset])
def _(attempt):
    rng = np.random.default_rng(1)
    A, B, W, b = rng.normal(size=(3, 2, 5)), rng.normal(size=(3, 2)), rng.normal(size=(3, 5)), rng.normal(size=3)
    new_A, new_B = call(attempt, A, B, W, b, shape=[(3, 2, 5), (3, 2)])
    x = rng.normal(size=(200, 5))
    truth = MASO(A, B)(x) + x @ W.T + b
    if np.allclose(new_A, A + W[:, None]) and np.allclose(new_B, B):
        raise Wrong("the slopes are right. What does the layer with its skip give at x = 0?")
    if np.allclose(new_A[:, :-1], A[:, :-1]):
        raise Wrong("only the last piece knows of the skip. What should the output be where another piece wins?")
    if not np.allclose(MASO(new_A, new_B)(x), truth):
        raise Wrong("the outputs differ from the layer plus its skip. Each piece is one affine function: "
                    "how much of the skip must each of them carry?")  # fmt: skip


@exercise("2.6")
def _(attempt):
    rng = np.random.default_rng(2)
    for D in (2, 3, 6):
        A, B = call(attempt, D, shape=[None, None])
        if A.ndim != 3 or A.shape[0] != 1 or A.shape[2] != D or B.shape != A.shape[:2]:
            raise Wrong(f"for D = {D} slopes (1, R, {D}) and offsets (1, R) are expected, got {A.shape} and {B.shape}. "
                        "What do the axes mean?")  # fmt: skip
        x = rng.normal(size=(500, D))
        top_two = np.sort(x, axis=1)[:, -2:].sum(1)
        if not np.allclose(MASO(A, B)(x)[:, 0], top_two):
            raise Wrong(f"for D = {D} your unit is not the sum of the two largest entries. "
                        "Which sums of two entries compete?")  # fmt: skip
        if A.shape[1] > len(list(combinations(range(D), 2))):
            raise Wrong(f"right, but with {A.shape[1]} pieces for D = {D}. Which of them are there twice?")
