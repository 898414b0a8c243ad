"""MASO against its definition, written with loops and exact fractions, in NumPy and in torch."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mad_max_lib import MASO

INF = float("inf")
LIBRARIES = ["numpy", "torch"]
DTYPES = ["float32", "float64"]
DEVICES = ["cpu"] + ["cuda"] * torch.cuda.is_available()
few = settings(max_examples=60, deadline=None)


def make(array, library="numpy", dtype="float64"):
    """The array in the wanted library and dtype (a copy)."""
    array = np.array(array, dtype=dtype)
    return torch.from_numpy(array) if library == "torch" else array


def definition(A, B, x):
    """max_r <A[k, r], x> + B[k, r] and the lowest r that reaches it, with exact fractions."""
    values, codes = np.zeros((len(x), len(A))), np.zeros((len(x), len(A)), dtype=int)
    for n in range(len(x)):
        for k in range(len(A)):
            scores = {}
            for r in range(A.shape[1]):
                if B[k, r] > -INF:
                    scores[r] = Fraction(B[k, r])
                    for d in range(A.shape[2]):
                        scores[r] += Fraction(A[k, r, d]) * Fraction(x[n, d])
            codes[n, k] = min(r for r in scores if scores[r] == max(scores.values()))
            values[n, k] = float(scores[codes[n, k]])
    return values, codes


@st.composite
def cases(draw, numbers, absent=True):
    """A, B and x of small random shapes; some pieces are absent, at least one of each unit is there."""
    K, R, D, N = (draw(st.integers(1, 3)) for _ in range(4))
    A, B, x = (draw(arrays(np.float64, shape, elements=numbers)) for shape in [(K, R, D), (K, R), (N, D)])
    if absent:
        gone = draw(arrays(bool, (K, R)))
        gone[np.arange(K), draw(arrays(np.int64, K, elements=st.integers(0, R - 1)))] = False
        B[gone] = -INF
    return A, B, x


INTEGERS = st.integers(-2, 2).map(float)  # exact in every dtype, and ties are common
REALS = st.floats(-100, 100, width=32)


# ---------------------------------------------------------------- the definition


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("dtype", DTYPES)
@few
@given(cases(INTEGERS))
def test_values_and_codes_are_exact_on_whole_numbers_and_ties_go_to_the_lowest_piece(library, dtype, case):
    maso = MASO(make(case[0], library, dtype), make(case[1], library, dtype))
    x = make(case[2], library, dtype)
    values, codes = definition(*case)
    np.testing.assert_array_equal(np.asarray(maso(x)), values)
    np.testing.assert_array_equal(np.asarray(maso.codes(x)), codes)


@pytest.mark.parametrize("library", LIBRARIES)
@few
@given(cases(REALS))
def test_values_follow_the_definition_on_real_numbers(library, case):
    A, B, x = (make(array, library) for array in case)
    np.testing.assert_allclose(np.asarray(MASO(A, B)(x)), definition(*case)[0], rtol=1e-13, atol=1e-10)


@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-2), ("float64", 1e-10)])
@few
@given(cases(REALS))
def test_numpy_and_torch_agree_in_everything(dtype, tolerance, case):
    results = []
    for library in LIBRARIES:
        A, B, x = (make(array, library, dtype) for array in case)
        maso = MASO(A, B)
        results.append([maso(x), maso.scores(x), maso.slopes(x) @ x[:, :, None], maso.offsets(x)])
    for from_numpy, from_torch in zip(*results, strict=True):
        assert from_numpy.dtype == from_torch.numpy().dtype
    for from_numpy, from_torch in zip(results[0][:2], results[1][:2], strict=True):
        np.testing.assert_allclose(from_torch.numpy(), from_numpy, atol=tolerance)


@few
@given(cases(REALS))
def test_slopes_times_x_plus_offsets_is_the_output(case):
    A, B, x = case
    maso = MASO(A, B)
    assert maso.slopes(x).shape == (len(x), len(A), A.shape[2])
    np.testing.assert_allclose(
        np.einsum("nkd,nd->nk", maso.slopes(x), x) + maso.offsets(x), maso(x), atol=1e-10
    )


@few
@given(cases(INTEGERS))
def test_slopes_and_offsets_are_those_of_the_winner(case):
    A, B, x = case
    maso = MASO(A, B)
    for n, row in enumerate(definition(*case)[1]):
        for k, r in enumerate(row):
            np.testing.assert_array_equal(maso.slopes(x)[n, k], A[k, r])
            assert maso.offsets(x)[n, k] == B[k, r]


@few
@given(cases(REALS), st.floats(0, 1))
def test_output_is_convex_along_every_segment(case, t):
    A, B, x = case
    maso = MASO(A, B)
    start, end = x[:1], x[-1:]
    between = maso((1 - t) * start + t * end)
    assert (between <= (1 - t) * maso(start) + t * maso(end) + 1e-9).all()


@few
@given(cases(REALS))
def test_no_piece_beats_the_output(case):
    maso = MASO(*case[:2])
    output, scores = maso(case[2]), maso.scores(case[2])
    assert (scores <= output[:, :, None]).all() and (scores == output[:, :, None]).any(-1).all()


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("R", [2, 5, 70])
def test_when_all_pieces_tie_the_lowest_wins_for_many_points_and_pieces(library, R):
    maso = MASO(make(np.ones((3, R, 2)), library, "float32"), make(np.zeros((3, R)), library, "float32"))
    x = make(np.arange(2000).reshape(1000, 2) % 7, library, "float32")
    assert (maso.codes(x) == 0).all()


def test_the_smallest_maso():
    maso = MASO(np.array([[[2.0]]]), np.array([[1.0]]))
    assert repr(maso) == "MASO with K=1 units of R=1 pieces on D=1 inputs"
    np.testing.assert_array_equal(maso(np.array([[3.0]])), [[7.0]])
    np.testing.assert_array_equal(maso.scores(np.array([[3.0]])), [[[7.0]]])
    np.testing.assert_array_equal(maso.codes(np.array([[3.0]])), [[0]])


# ---------------------------------------------------------------- absent pieces


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("x", [-1e30, -1.0, 0.0, 1e30])
def test_an_absent_piece_never_wins(library, x):
    maso = MASO(make([[[5.0], [1.0], [-5.0]]], library), make([[-INF, -1e30, -INF]], library))
    for layer in [maso, maso.after(make([[2.0]], library), make([1e6], library))]:
        assert layer.codes(make([[x]], library)) == 1
        assert abs(layer(make([[x]], library)).item()) < INF
        assert layer.scores(make([[x]], library))[0, 0, 0] == -INF


@few
@given(cases(INTEGERS))
def test_absent_pieces_can_be_left_out(case):
    A, B, x = case
    for k in range(len(A)):
        there = B[k] > -INF
        alone = MASO(A[k : k + 1, there], B[k : k + 1, there])
        np.testing.assert_array_equal(MASO(A, B)(x)[:, k], alone(x)[:, 0])


# ---------------------------------------------------------------- after


@pytest.mark.parametrize("library", LIBRARIES)
@few
@given(cases(INTEGERS), st.data())
def test_after_is_composition(library, case, data):
    A, B, _ = case
    D, D_in = A.shape[2], data.draw(st.integers(1, 3))
    W, b, x = (data.draw(arrays(np.float64, shape, elements=INTEGERS)) for shape in [(D, D_in), D, (2, D_in)])
    maso = MASO(make(A, library), make(B, library))
    layer = maso.after(make(W, library), make(b, library))
    inner = make(x @ W.T + b, library)
    np.testing.assert_array_equal(np.asarray(layer(make(x, library))), definition(A, B, x @ W.T + b)[0])
    np.testing.assert_array_equal(np.asarray(layer.codes(make(x, library))), np.asarray(maso.codes(inner)))


def test_after_twice_is_after_the_product():
    rng = np.random.default_rng(0)
    maso = MASO(rng.normal(size=(3, 2, 4)), rng.normal(size=(3, 2)))
    W, b, V, c = rng.normal(size=(4, 5)), rng.normal(size=4), rng.normal(size=(5, 2)), rng.normal(size=5)
    twice, once = maso.after(W, b).after(V, c), maso.after(W @ V, W @ c + b)
    np.testing.assert_allclose(twice.A, once.A, atol=1e-13)
    np.testing.assert_allclose(twice.B, once.B, atol=1e-13)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("dtype, other", [DTYPES, DTYPES[::-1]])
def test_offsets_and_after_take_the_type_of_the_slopes(library, dtype, other):
    maso = MASO(make(np.ones((1, 2, 1)), library, dtype), make(np.zeros((1, 2)), library, other))
    for layer in [maso, maso.after(make(np.ones((1, 3)), library, other), make(np.ones(1), library, other))]:
        assert layer.A.dtype == layer.B.dtype == make(0, library, dtype).dtype


# ---------------------------------------------------------------- types and devices


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("parameters", DTYPES)
def test_results_have_the_type_dtype_and_device_of_x(library, device, dtype, parameters):
    if library == "numpy" and device == "cuda":
        device = None
    A, B, x = (
        make(np.ones(s), library, t)
        for s, t in [((2, 3, 4), parameters), ((2, 3), "float64"), ((5, 4), dtype)]
    )
    if library == "torch":
        A, x = A.to(device), x.to(device)
    maso = MASO(A, B)
    for result in [maso(x), maso.scores(x), maso.slopes(x), maso.offsets(x)]:
        assert type(result) is type(x) and result.dtype == x.dtype
    for result in [maso(x), maso.codes(x), maso.slopes(x)]:
        assert library == "numpy" or result.device == x.device
    assert str(maso.codes(x).dtype).endswith("int64") and maso.codes(x).shape == (5, 2)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["int64", "int32", "uint8", "bool"])
def test_whole_numbers_and_booleans_take_the_type_of_the_parameters(library, dtype, kind):
    maso = MASO(make([[[0.5, 1.0], [-0.5, 2.0]]], library, dtype), make([[0.25, 0.0]], library, dtype))
    x = make([[1, 0], [1, 1]], library, kind)
    result = maso(x)
    assert str(result.dtype).endswith(dtype)
    np.testing.assert_array_equal(np.asarray(result), [[0.75], [1.75]])
    assert str(maso.slopes(x).dtype).endswith(dtype) and str(maso.offsets(x).dtype).endswith(dtype)


def test_x_need_not_lie_contiguously():
    A, x = np.random.default_rng(0).normal(size=(4, 3, 2)).T, np.random.default_rng(1).normal(size=(4, 5)).T
    reverse = slice(None, None, -1)
    expected = MASO(A.copy(), np.zeros((2, 3)))(x.copy())
    np.testing.assert_allclose(MASO(A, np.zeros((2, 3)))(x), expected, atol=1e-14)
    np.testing.assert_allclose(
        MASO(A[reverse], np.zeros((2, 3)))(x[reverse]), expected[reverse, reverse], atol=1e-14
    )


# ---------------------------------------------------------------- differentiation


@pytest.mark.parametrize("seed", range(5))
def test_autograd_gives_the_slopes_away_from_ties(seed):
    rng = np.random.default_rng(seed)
    maso = MASO(torch.from_numpy(rng.normal(size=(4, 3, 5))), torch.from_numpy(rng.normal(size=(4, 3))))
    x = torch.from_numpy(rng.normal(size=(6, 5)))
    best = maso.scores(x).topk(2, -1).values
    assert (best[..., 0] > best[..., 1]).all()
    x.requires_grad_()
    for k in range(4):
        (gradient,) = torch.autograd.grad(maso(x)[:, k].sum(), x)
        torch.testing.assert_close(gradient, maso.slopes(x)[:, k], rtol=0, atol=1e-14)


def test_parameters_learn_only_where_their_piece_wins():
    A = torch.tensor([[[1.0], [-1.0]]], requires_grad=True)
    B = torch.tensor([[0.0, 0.0]], requires_grad=True)
    MASO(A, B)(torch.tensor([[2.0], [3.0]])).sum().backward()
    assert A.grad.tolist() == [[[5.0], [0.0]]] and B.grad.tolist() == [[2.0, 0.0]]


# ---------------------------------------------------------------- large numbers


@pytest.mark.parametrize("library", LIBRARIES)
def test_large_values_are_exact(library):
    maso = MASO(make([[[1.0], [-1.0]]], library), make([[0.0, 0.0]], library))
    assert maso(make([[-1e308]], library)).item() == 1e308


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(
    "A, B, x, dtype",
    [
        ([[[1e200], [1.0]]], [[0.0, 0.0]], [[1e200]], "float64"),
        ([[[1e200], [1.0]]], [[-INF, 0.0]], [[1e200]], "float64"),  # an absent piece that would be NaN
        ([[[1e200], [1e200]]], [[-INF, 0.0]], [[-1e200]], "float64"),  # a present piece that would be -inf
        ([[[1e200, 1e200]]], [[0.0]], [[1e200, -1e200]], "float64"),
        ([[[1e30]]], [[0.0]], [[1e30]], "float32"),
        ([[[1.0]]], [[1e308]], [[1e308]], "float64"),
    ],
)
@pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered:RuntimeWarning")
def test_scores_that_overflow_are_refused(library, A, B, x, dtype):
    maso = MASO(make(A, library, dtype), make(B, library, dtype))
    for method in [maso, maso.codes, maso.scores, maso.slopes, maso.offsets]:
        with pytest.raises(ValueError, match=rf"x is too large: .* overflows (torch.)?{dtype}"):
            method(make(x, library, dtype))


# ---------------------------------------------------------------- bad input

A = np.ones((2, 3, 4))
B = np.zeros((2, 3))
X = np.ones((5, 4))
NAN_A, INF_A, NAN_B, INF_B, GONE_B = A.copy(), A.copy(), B.copy(), B.copy(), B.copy()
NAN_A[0, 0, 0], INF_A[1, 2, 3], NAN_B[0, 0], INF_B[0, 0], GONE_B[1] = np.nan, -np.inf, np.nan, np.inf, -np.inf
T = torch.from_numpy


@pytest.mark.parametrize(
    "A, B, error, message",
    [
        (A.tolist(), B, TypeError, "A must be a NumPy array or a torch tensor, got list"),
        (A, B.tolist(), TypeError, "B must be a NumPy array or a torch tensor, got list"),
        (A, None, TypeError, "B must be a NumPy array or a torch tensor, got NoneType"),
        (A, T(B), TypeError, r"mixed \(A is numpy, B is torch\)"),
        (T(A), B, TypeError, r"mixed \(A is torch, B is numpy\)"),
        (A.astype(int), B, TypeError, "A must hold floating-point numbers, got int64"),
        (A, B.astype(int), TypeError, "B must hold floating-point numbers, got int64"),
        (T(A).long(), T(B), TypeError, "A must hold floating-point numbers, got torch.int64"),
        (T(A), T(B).int(), TypeError, "B must hold floating-point numbers, got torch.int32"),
        (A > 0, B, TypeError, "A must hold floating-point numbers, got bool"),
        (A.astype(complex), B, TypeError, "A must hold floating-point numbers, got complex128"),
        (T(A), T(B).cfloat(), TypeError, "B must hold floating-point numbers, got torch.complex64"),
        (A.astype(object), B, TypeError, "A must hold floating-point numbers, got object"),
        (A, B.astype(object), TypeError, "B must hold floating-point numbers, got object"),
        (A[0], B, ValueError, r"A must have shape \(K, R, D\), got \(3, 4\)"),
        (A[None], B, ValueError, r"A must have shape \(K, R, D\), got \(1, 2, 3, 4\)"),
        (A, B[0], ValueError, r"B must have shape \(2, 3\), got \(3,\)"),
        (A, B.T, ValueError, r"B must have shape \(2, 3\), got \(3, 2\)"),
        (T(A), T(B).T, ValueError, r"B must have shape \(2, 3\), got \(3, 2\)"),
        (A[:0], B[:0], ValueError, r"A must have shape \(K, R, D\), got \(0, 3, 4\), .* empty"),
        (A[:, :0], B[:, :0], ValueError, r"A must have shape \(K, R, D\), got \(2, 0, 4\), .* empty"),
        (A[:, :, :0], B, ValueError, r"A must have shape \(K, R, D\), got \(2, 3, 0\), .* empty"),
        (NAN_A, B, ValueError, "A must be finite; entries that are NaN or infinite: 1 of"),
        (INF_A, B, ValueError, "A must be finite; entries that are NaN or infinite: 1 of"),
        (A, NAN_B, ValueError, "B must be finite; entries that are NaN or infinite: 1 of"),
        (A, INF_B, ValueError, "B must be finite; entries that are NaN or infinite: 1 of"),
        (T(A), T(INF_B), ValueError, "B must be finite; entries that are NaN or infinite: 1 of"),
        (
            A,
            GONE_B,
            ValueError,
            r"B marks all pieces of unit 1 as absent \(-inf\); a unit needs at least one",
        ),
        (T(A), T(GONE_B), ValueError, r"B marks all pieces of unit 1 as absent \(-inf\)"),
    ],
)
def test_bad_parameters(A, B, error, message):
    with pytest.raises(error, match=message):
        MASO(A, B)


def _with(value, dtype=float):
    x = X.astype(dtype)
    x[2, 1] = value
    return x


BAD_X = [
    (X.tolist(), TypeError, "x must be a NumPy array or a torch tensor, got list"),
    (3.0, TypeError, "x must be a NumPy array or a torch tensor, got float"),
    (None, TypeError, "x must be a NumPy array or a torch tensor, got NoneType"),
    (X[0], ValueError, r"x must have shape \(N, 4\), got \(4,\)"),
    (X[:, :3], ValueError, r"x must have shape \(N, 4\), got \(5, 3\)"),
    (X[None], ValueError, r"x must have shape \(N, 4\), got \(1, 5, 4\)"),
    (X[:0], ValueError, r"x must have shape \(N, 4\), got \(0, 4\), .* empty"),
    (_with(np.nan), ValueError, "x must be finite; entries that are NaN or infinite: 1 of"),
    (_with(np.inf), ValueError, "x must be finite; entries that are NaN or infinite: 1 of"),
    (_with(-np.inf), ValueError, "x must be finite; entries that are NaN or infinite: 1 of"),
    (np.full((2, 4), np.nan), ValueError, "x must be finite; entries that are NaN or infinite: 8 of 8"),
    (X.astype(complex), TypeError, "x must hold real numbers, got (torch.)?complex128"),
]


@pytest.mark.parametrize("method", ["__call__", "scores", "codes", "slopes", "offsets"])
@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("x, error, message", BAD_X)
def test_bad_input(method, library, x, error, message):
    in_torch = library == "torch"
    maso = MASO(T(A), T(B)) if in_torch else MASO(A, B)
    with pytest.raises(error, match=message):
        getattr(maso, method)(T(x) if in_torch and isinstance(x, np.ndarray) else x)


@pytest.mark.parametrize("kind", [object, str, "datetime64[s]"])
def test_x_that_is_not_made_of_numbers(kind):
    with pytest.raises(TypeError, match="x must hold real numbers, got (object|<U|datetime64)"):
        MASO(A, B)(np.ones((5, 4), int).astype(kind))


@pytest.mark.parametrize("method", ["__call__", "scores", "codes", "slopes", "offsets"])
def test_x_of_the_other_library(method):
    with pytest.raises(TypeError, match=r"mixed \(x is torch, parameters is numpy\); convert one side first"):
        getattr(MASO(A, B), method)(T(X))
    with pytest.raises(TypeError, match=r"mixed \(x is numpy, parameters is torch\); convert one side first"):
        getattr(MASO(T(A), T(B)), method)(X)


W, V = np.ones((4, 6)), np.ones(4)


@pytest.mark.parametrize(
    "W, b, error, message",
    [
        (W.tolist(), V, TypeError, "W must be a NumPy array or a torch tensor, got list"),
        (W, V.tolist(), TypeError, "b must be a NumPy array or a torch tensor, got list"),
        (T(W), T(V), TypeError, r"mixed \(A is numpy, W is torch, b is torch\)"),
        (W, T(V), TypeError, r"mixed \(A is numpy, W is numpy, b is torch\)"),
        (W.astype(int), V, TypeError, "W must hold floating-point numbers, got int64"),
        (W, V.astype(int), TypeError, "b must hold floating-point numbers, got int64"),
        (W.T, V, ValueError, r"W must have shape \(4, D_in\), got \(6, 4\)"),
        (V, V, ValueError, r"W must have shape \(4, D_in\), got \(4,\)"),
        (W[:, :0], V, ValueError, r"W must have shape \(4, D_in\), got \(4, 0\), .* empty"),
        (W, V[:3], ValueError, r"b must have shape \(4,\), got \(3,\)"),
        (W, V[:, None], ValueError, r"b must have shape \(4,\), got \(4, 1\)"),
        (W * np.nan, V, ValueError, "W must be finite; entries that are NaN or infinite: 24 of 24"),
        (W, V * np.inf, ValueError, "b must be finite; entries that are NaN or infinite: 4 of 4"),
        (W, -V * np.inf, ValueError, "b must be finite; entries that are NaN or infinite: 4 of 4"),
    ],
)
def test_bad_affine_step_in_after(W, b, error, message):
    with pytest.raises(error, match=message):
        MASO(A, B).after(W, b)
