"""Chapter 03, network operators as MASOs."""

from math import comb

import numpy as np

from ..splines.maso import MASO
from . import Wrong, ask, call, exercise


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
    cases=[(_x, _A, _B), (_x[:1], _A, _B)],  # also one input, whose axis must stay
    wrong={
        _scores_no_offset: "at x = 0 all your scores are zero. What should they be there?",
        _scores_minus_offset: "your scores at x = 0 have the wrong sign. What does the definition do with B?",
        _scores_mixed_up: "score [n, k, r] of yours belongs to another slope than A[k, r]. "
        "In which order do the K * R slopes follow one another?",
        _scores_clipped: "none of your scores is negative. Is a score already a maximum?",
    },
    otherwise=_which_score,
)


def _outputs(got, truth):
    with_yours = (got[:, :2] @ [2, 4] + got[:, 2]).round(2).tolist()
    return f"A[x] x + B[x] is {with_yours} with your rows. Which outputs do the two units have at this input?"


exercise(
    "3.2",
    solution=[[0, 1, 0], [1, 1, -3]],
    wrong={
        ((1, 0, 0), (1, 1, -3)): "your row of unit 0 is its piece 0. Which of its two scores is larger here?",
        ((0, 1, 0), (0, 0, 0)): "your row of unit 1 is its piece 0. Which of its two scores is larger here?",
        ((0, 1, 4), (1, 1, 3)): "your last column holds the outputs. What remains of them without A[x] x?",
        ((0, 1, 0), (1, 1, 0)): "your rows of A[x] are right. At x = 0, what do the winning pieces give?",
        ((0, 1, 0), (1, 1, 3)): "your rows of A[x] are right. With which sign does the 3 stand in its piece?",
        ((0, 4, 0), (2, 4, -3)): "your rows are multiplied by x already. What is a slope before that?",
    },
    otherwise=_outputs,
    why="At (2, 4) the scores of unit 0 are 2 and 4, those of unit 1 are 0 and 3, so piece 1 wins twice.",
)


def conv_matrix(kernel, H, W):
    h, w = kernel.shape
    rows = []
    for i in range(H - h + 1):  # the upper left corner of the window is pixel (i, j)
        for j in range(W - w + 1):
            row = np.zeros((H, W))
            row[i : i + h, j : j + w] = kernel
            rows.append(row.ravel())
    return np.array(rows)


def _conv_turned(kernel, H, W):
    return conv_matrix(kernel[::-1, ::-1], H, W)


def _conv_pixels_by_columns(kernel, H, W):
    C = conv_matrix(kernel, H, W)
    return C.reshape(-1, H, W).transpose(0, 2, 1).reshape(C.shape)


def _conv_outputs_by_columns(kernel, H, W):
    h, w = kernel.shape
    C = conv_matrix(kernel, H, W).reshape(H - h + 1, W - w + 1, H * W)
    return C.transpose(1, 0, 2).reshape(-1, H * W)


def _conv_one_step_a_row(kernel, H, W):
    first, *others = conv_matrix(kernel, H, W)
    return np.array([np.roll(first, n) for n in range(1 + len(others))])


def _conv_row_range_for_both(kernel, H, W):
    h, w = kernel.shape
    C = conv_matrix(kernel, H, W).reshape(H - h + 1, W - w + 1, H * W)
    return C[:, : H - h + 1].reshape(-1, H * W)


def _conv_ranges_exchanged(kernel, H, W):
    h, w = kernel.shape
    rows = []
    for i in range(W - w + 1):
        for j in range(H - h + 1):
            row = np.zeros((H, W))
            row[i : i + h, j : j + w] = kernel
            rows.append(row.ravel())
    return np.array(rows)


def _conv_in_a_run(kernel, H, W):
    h, w = kernel.shape
    C = conv_matrix(kernel, H, W)
    for n in range(len(C)):
        start = n // (W - w + 1) * W + n % (W - w + 1)
        C[n] = 0
        C[n, start : start + kernel.size] = kernel.ravel()
    return C


def _which_output(got, truth, kernel, H, W):
    n = int(np.argmin(np.isclose(got, truth).all(axis=1)))
    i, j = divmod(n, W - kernel.shape[1] + 1)
    return (
        f"for the kernel {kernel.tolist()} on {H} x {W} pixels your row {n}, laid out as an image, is "
        f"{got[n].reshape(H, W).tolist()}. Where should the kernel lie for output ({i}, {j})?"
    )


BESIDE = "How often does the kernel fit side by side, and how often one below another?"


@exercise(
    "3.3",
    solution=conv_matrix,
    cases=[
        (np.array([[1.0, 2.0], [3.0, 4.0]]), 3, 3),
        (np.array([[0.25, 0.5, 1.0], [2.0, 4.0, 8.0]]), 4, 5),
        (np.array([[1.5, 2.0], [3.0, 4.0]]), 2, 2),  # one window: one row, whose axis must stay
        (np.array([[1.0, 2.0], [3.0, 4.0]]), 3, 5),  # more windows side by side than one below another
        (np.array([[1.0, 2.0], [3.0, 4.0]]), 5, 3),
    ],
    wrong={
        _conv_turned: "your kernel is turned by 180 degrees. "
        "Which of its entries meets the upper left pixel of a window?",
        _conv_pixels_by_columns: "laid out as an image, your rows have rows and columns exchanged. "
        "Which pixel is number 1?",
        _conv_outputs_by_columns: "all your rows occur, in another order. Which window is output number 1?",
        _conv_row_range_for_both: "for a kernel of 2 x 2 on 3 x 5 pixels you return 4 rows for 8 windows. "
        + BESIDE,
        _conv_ranges_exchanged: "your version runs for 3 x 3 pixels and stops for 3 x 5. " + BESIDE,
        _conv_one_step_a_row: "each of your rows is the row above, moved by one. "
        "Is this right where the window jumps to the next line of the image?",
        _conv_in_a_run: "the entries of your kernel lie side by side in one run. "
        "How far apart are two pixels of one column in the flattened image?",
    },
    otherwise=_which_output,
)
def check_3_3(attempt):
    kernel = np.array([[1.0, 2.0], [3.0, 4.0]])
    call(attempt, kernel, 3, 3, shape=(4, 9), like=kernel, may_be_nan=True)
    for H, W in ((3, 5), (5, 3)):
        try:
            got = call(attempt, kernel, H, W, like=kernel, may_be_nan=True)
        except Wrong:
            got = None
        ask(got is not None, f"your version runs for 3 x 3 pixels and stops for {H} x {W}. {BESIDE}")
        ask(
            got.ndim != 2 or len(got) == 8,
            f"for a kernel of 2 x 2 on {H} x {W} pixels you return {len(got)} rows for 8 windows. {BESIDE}",
        )


def with_skip(A, B, W, b):
    skip = np.eye(len(A))[:, None]  # (K, 1, K): e_k for all pieces of unit k
    return A @ W + skip, B + A @ b


def _skip_forgotten(A, B, W, b):
    return A @ W, B + A @ b


def _skip_no_bias(A, B, W, b):
    return with_skip(A, B, W, b)[0], B


def _skip_transposed(A, B, W, b):
    return with_skip(A, B, W.T, b)


def _skip_bias_as_is(A, B, W, b):
    return with_skip(A, B, W, b)[0], B + b[: A.shape[0], None]


def _skip_minus(A, B, W, b):
    return with_skip(A, B, W, b)[0], B - A @ b


def _skip_before_the_map(A, B, W, b):
    A = A + np.eye(len(A))[:, None]
    return A @ W, B + A @ b


def _skip_ones(A, B, W, b):
    return A @ W + 1, B + A @ b


def _skip_pieces_in_turn(A, B, W, b):
    """np.eye(K) as it is, where R = K: piece r gets e_r."""
    return A @ W + np.eye(len(A)), B + A @ b


_rng = np.random.default_rng(0)
_case = [_rng.normal(size=shape) for shape in ((3, 3, 3), (3, 3), (3, 3), 3)]  # K = R = D, so much fits
_wide = [_rng.normal(size=shape) for shape in ((3, 4, 5), (3, 4), (5, 3), 5)]


@exercise(
    "3.4",
    solution=with_skip,
    cases=[_case],
    wrong={
        _skip_forgotten: "these are slopes and offsets of S(W x + b) alone. "
        "What does adding x_k do to a piece of unit k?",
        _skip_no_bias: "the offsets have not changed. What does piece (k, r) give at x = 0 now?",
        _skip_transposed: "your slopes use W the wrong way round. "
        "W is square here; would it fit with shape (5, 3)?",
        _skip_bias_as_is: "you add b to the offsets as it is. "
        "Every piece weighs its entries in its own way; with which weights?",
        _skip_minus: "your offsets move the wrong way. What does piece (k, r) give at x = 0 now?",
        _skip_before_the_map: "your unit k adds entry k of W x + b. Which vector is to be added?",
        _skip_ones: "to each output you add the sum of all entries of x. Which of them belongs to output k?",
        _skip_pieces_in_turn: "what you add to a slope depends on its piece r. "
        "Does the entry x_k depend on the piece that wins?",
    },
    otherwise=lambda got, truth, *_: (
        "the slopes are off. What multiplies x in <a, W x + b>, and what in x_k?"
        if not np.allclose(got[0], truth[0])
        else "the offsets are off. What is left of <a, W x + b> + x_k at x = 0?"
    ),
)
def check_3_4(attempt):
    got = call(attempt, *_case, shape=[(3, 3, 3), (3, 3)])
    if all(map(np.allclose, got, with_skip(*_case))):  # else these square arrays, below, say more
        try:
            got = call(attempt, *_wide, shape=[(3, 4, 3), (3, 4)])
        except Wrong:
            got = None
        ask(
            got is not None and all(map(np.allclose, got, with_skip(*_wide))),
            "right for K = R = D = 3, but not for A of shape (3, 4, 5) and W of shape (5, 3). "
            "Which of your axes have the right length by chance?",
        )


def _which_units(got, truth):
    off = got.astype(bool) != truth.astype(bool)
    accepted, rejected = (off & ~truth.astype(bool)).any(), (off & truth.astype(bool)).any()
    one = "one of your six answers is" if off.sum() == 1 else f"{off.sum()} of your six answers are"
    questions = ["Which of the functions that you accept rises above one of its chords"] if accepted else []
    questions += ["which of those that you reject can be written as one maximum"] if rejected else []
    asked = ", and ".join(questions)
    return f"{one} not right yet. {asked[0].upper()}{asked[1:]}?"


exercise(
    "3.5",
    solution=[True, False, True, True, False, True],
    wrong={
        (False, False, True, True, False, True): "you reject one that is written as the definition has it. "
        "Must a piece depend on the input?",
        (True, False, True, False, False, True): "you reject two layers in a row. "
        "Sketch these two: does their graph bend downwards somewhere?",
        (True, False, True, False, True, True): _which_units,  # two errors
        (True, True, True, True, False, True): "you accept a unit that is constant at large inputs. "
        "Does the chord from -6 to 18 lie above its graph?",
        (True, False, False, True, False, True): "there is one more. "
        "What do max(p, q) + max(r, s) and a maximum of the four sums have in common?",
        (True, False, True, True, False, False): "there is one more. "
        "What becomes of the two pieces of a maximum when one affine function is added to it?",
        (True, False, True, True, True, True): "you accept a maximum minus a maximum. "
        "How does it bend along a line on which the first one is constant?",
    },
    otherwise=_which_units,
    why="a is a maximum of affine functions as it stands. "
    "c is the maximum of x1 + x1, x1 - x1, x2 + x1 and x2 - x1. f adds -x2 to both pieces of |x1|. "
    "d is the maximum of 0, -1 and 2u - 1, since the weight between its layers is positive. "
    "b bends downwards at 6, and e does along x1 = 0.",
)


@exercise("3.6")
def check_3_6(attempt):
    rng, pieces = np.random.default_rng(2), {}
    for D in (2, 3, 4, 6):
        A, B = call(attempt, D, shape=[None, None], like=np.zeros(1) > 0)  # may be integers
        ask(
            A.ndim == 3 and A.shape[::2] == (1, D) and B.shape == A.shape[:2],
            f"for D = {D} slopes (1, R, {D}) and offsets (1, R) are expected, got {A.shape} and {B.shape}. "
            "What do the axes mean?",
        )
        ask(A.shape[1], f"for D = {D} your unit has no piece. How many sums of two entries are there?")
        x, pieces[D] = rng.normal(size=(500, D)), A.shape[1]
        ask(
            np.allclose(MASO(A.astype(float), B.astype(float))(x)[:, 0], np.sort(x, axis=1)[:, -2:].sum(1)),
            f"for D = {D} your unit is not the sum of the two largest entries. "
            "Which sums of two entries compete?",
        )
    for D, R in pieces.items():  # once the values are right for every D
        ask(R <= comb(D, 2), f"right, but with {R} pieces for D = {D}. Which of them are there twice?")
