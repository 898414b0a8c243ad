"""Posteriors and beta-VQ against exact decimals, torch's functions and a solver of the entropy problem."""

import warnings
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import minimize
from scipy.special import lambertw, xlogy
from torch.autograd import gradcheck, gradgradcheck

import mad_max_lib as mm
from mad_max_lib import MASO
from mad_max_lib.splines import operators

INF = float("inf")
LIBRARIES = ["numpy", "torch"]
DTYPES = ["float32", "float64"]
BETAS = [0.0, 0.1, 0.5, 0.8, 0.99]
LAST = [*BETAS, float(np.nextafter(1, 0)), 1.0]
few = settings(max_examples=60, deadline=None)
both = pytest.mark.parametrize("library", LIBRARIES)
each_beta = pytest.mark.parametrize("beta", BETAS)


def make(array, library="numpy", dtype="float64"):
    """The array in the wanted library and dtype (a copy)."""
    array = np.array(array, dtype=dtype)
    return torch.from_numpy(array).to(mm.device()) if library == "torch" else array


def follow(maso, x):
    """The same MASO in the array library, dtype and device of x."""
    in_numpy = isinstance(x, np.ndarray)
    return MASO(*(p.astype(x.dtype) if in_numpy else torch.from_numpy(p).to(x) for p in (maso.A, maso.B)))


def numbers(array):
    return array.cpu().numpy() if isinstance(array, torch.Tensor) else array


def exact(scores, beta):
    """The softmax of eta times the scores of one unit, in decimals of 60 digits; absent pieces weigh 0."""
    with localcontext() as context:
        context.prec = 60
        eta = Decimal(float(beta)) / (1 - Decimal(float(beta)))
        powers = [Decimal(0) if s == -INF else (eta * Decimal(float(s))).exp() for s in scores]
        return np.array([float(power / sum(powers)) for power in powers])


def with_absent(draw, values):
    """The rows with some pieces absent; at least one of each row is there."""
    N, R = values.shape
    gone = draw(arrays(bool, (N, R)))
    gone[np.arange(N), draw(arrays(np.int64, N, elements=st.integers(0, R - 1)))] = False
    values[gone] = -INF
    return values


@st.composite
def scores(draw, elements, absent=True):
    N, R = draw(st.integers(1, 3)), draw(st.integers(1, 5))
    values = draw(arrays(np.float64, (N, R), elements=elements))
    return with_absent(draw, values) if absent else values


SMALL = st.floats(-30, 30, width=32)
WHOLE = st.integers(-2, 2).map(float)


def any_number(dtype):
    return st.floats(allow_nan=False, allow_infinity=False, width=int(dtype[-2:]))


# ---------------------------------------------------------------- the posterior


@both
@few
@given(scores(SMALL), st.floats(0, 0.99))
def test_the_posterior_is_a_softmax_of_eta_times_the_scores(library, values, beta):
    given_scores = make(values, library)
    weights = numbers(mm.posterior(given_scores, beta))
    np.testing.assert_allclose(weights, [exact(row, beta) for row in values], rtol=1e-11, atol=1e-300)
    np.testing.assert_allclose(weights.sum(-1), 1, rtol=1e-14)
    np.testing.assert_array_equal(numbers(given_scores), values)


@each_beta
@pytest.mark.parametrize("R", [2, 3, 5])
def test_the_posterior_solves_the_entropy_problem(R, beta):
    """beta <t, s> + (1 - beta) H(t) over the simplex, by a general solver that knows no softmax."""
    s = np.random.default_rng(R).normal(size=R) * 2
    cost = lambda t: -beta * t @ s + (1 - beta) * xlogy(t, t).sum()  # noqa: E731
    whole = {"type": "eq", "fun": lambda t: t.sum() - 1}
    solved = minimize(cost, np.ones(R) / R, method="SLSQP", bounds=[(1e-12, 1)] * R, constraints=whole,
                      options={"ftol": 1e-14, "maxiter": 500})  # fmt: skip
    ours = mm.posterior(s, beta)
    np.testing.assert_allclose(ours, solved.x, atol=2e-5)
    others = np.random.default_rng(0).dirichlet(np.full(R, 0.5), 2000)
    near = ours + 1e-3 * (others - ours)
    assert min(map(cost, [*others, *near, solved.x / solved.x.sum()])) >= cost(ours) - 1e-14


@both
@few
@given(scores(WHOLE))
def test_at_the_ends_the_winner_alone_and_all_alike(library, values):
    first = numbers(mm.posterior(make(values, library), 1.0))
    expected = np.zeros(values.shape)
    expected[range(len(values)), [row.tolist().index(max(row)) for row in values]] = 1
    np.testing.assert_array_equal(first, expected)
    present = values > -INF
    alike = numbers(mm.posterior(make(values, library), 0.0))
    np.testing.assert_allclose(alike, present / present.sum(1, keepdims=True), rtol=1e-15)
    np.testing.assert_array_equal(numbers(mm.posterior(make(values, library), 1)), first)


@both
def test_ties_are_shared_below_1_and_go_to_the_lowest_piece_at_1(library):
    values = make([[1.0, 3.0, 3.0, -INF], [2.0, 2.0, 2.0, 2.0]], library)
    assert numbers(mm.posterior(values, 1.0)).tolist() == [[0, 1, 0, 0], [1, 0, 0, 0]]
    steep = numbers(mm.posterior(values, 0.9999))
    np.testing.assert_array_equal(steep, [[0, 0.5, 0.5, 0], [0.25] * 4])


@both
@few
@given(scores(SMALL), st.sampled_from(LAST), st.floats(-50, 50))
def test_a_constant_added_to_all_scores_changes_nothing(library, values, beta, constant):
    values = np.round(values * 16) / 16  # sums with the constant are then exact
    weights = mm.posterior(make(values, library), beta)
    shifted = mm.posterior(make(values + np.round(constant), library), beta)
    np.testing.assert_allclose(numbers(shifted), numbers(weights), rtol=1e-13, atol=0)


@few
@given(scores(SMALL), st.sampled_from(LAST))
def test_absent_pieces_weigh_nothing_and_can_be_left_out(values, beta):
    for row in values:
        weights = mm.posterior(row, beta)
        there = row > -INF
        assert (weights[~there] == 0).all()
        np.testing.assert_allclose(weights[there], mm.posterior(row[there], beta), rtol=1e-14)


@few
@given(scores(SMALL, absent=False))
def test_the_larger_beta_the_more_the_winner_weighs(values):
    winners = values.argmax(1)
    weights = np.array([mm.posterior(values, beta)[range(len(values)), winners] for beta in LAST])
    assert (np.diff(weights, axis=0)[:-1] >= -1e-15).all()  # at 1 a tie is no longer shared
    assert (weights[-1] == 1).all()


@both
@pytest.mark.parametrize("dtype", DTYPES)
@few
@given(st.data(), st.sampled_from(LAST))
def test_no_finite_score_is_too_large(library, dtype, data, beta):
    values = make(data.draw(scores(any_number(dtype))), library, dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        weights = numbers(mm.posterior(values, beta))
    assert weights.dtype == dtype and (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(-1), 1, rtol=1e-6)
    winners = numbers(values).argmax(-1)
    assert (weights[range(len(weights)), winners] == weights.max(-1)).all()


@both
@pytest.mark.parametrize("beta", LAST)
def test_the_largest_numbers_of_all(library, beta):
    for dtype in [*DTYPES, "float16"]:
        top = np.finfo(dtype).max
        values = make([[-top, top, top, -INF], [top, -top, 0, -INF], [0, 0, 0, 0]], library, dtype)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            weights = numbers(mm.posterior(values, beta))
        assert weights.dtype == dtype
        if beta == 0:
            np.testing.assert_allclose(weights, [[1 / 3] * 3 + [0]] * 2 + [[0.25] * 4], rtol=1e-3)
        else:
            np.testing.assert_array_equal(
                weights[:2], [[0, 1 - (beta < 1) / 2, (beta < 1) / 2, 0], [1, 0, 0, 0]]
            )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("beta", LAST)
def test_half_precision(dtype, beta):
    values = torch.randn(7, 4, generator=torch.Generator().manual_seed(0)).to(mm.device(), dtype)
    weights = mm.posterior(values, beta)
    assert weights.dtype == dtype
    torch.testing.assert_close(weights.double(), mm.posterior(values.double(), beta), rtol=0.1, atol=2e-2)
    torch.testing.assert_close(weights.float().sum(-1), torch.ones(7).to(values.device), rtol=2e-2, atol=0)


@both
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("beta", [0, True, 0.3, np.float64(0.3), np.float32(0.25), Fraction(1, 3)])
def test_results_keep_type_shape_and_device_whatever_number_beta_is(library, dtype, beta):
    for shape in [(3,), (2, 3), (2, 1, 3), (0, 3)]:
        values = make(np.arange(np.prod(shape)).reshape(shape), library, dtype)
        weights = mm.posterior(values, beta)
        assert (
            type(weights) is type(values) and weights.dtype == values.dtype and weights.shape == values.shape
        )
        assert library == "numpy" or weights.device == values.device
        np.testing.assert_array_equal(numbers(weights), numbers(mm.posterior(values, float(beta))))


@pytest.mark.parametrize("beta", BETAS)
def test_derivatives_of_the_posterior_with_absent_pieces(beta):
    values = make(np.random.default_rng(0).normal(size=(3, 4)), "torch")
    gone = make([[0, 1, 0, 0], [0, 0, 0, 0], [1, 1, 0, 1]], "torch").bool()
    values.requires_grad_()
    of = lambda s: mm.posterior(s.masked_fill(gone, -INF), beta)  # noqa: E731
    assert gradcheck(of, values) and gradgradcheck(of, values)


# ---------------------------------------------------------------- beta-VQ


def soft(kind, u, eta):
    """The table of the soft nonlinearities, in closed form."""
    sigmoid = lambda t: 1 / (1 + np.exp(-t))  # noqa: E731
    return {
        "relu": lambda: u * sigmoid(eta * u),
        "leaky relu": lambda: u * (0.1 + 0.9 * sigmoid(0.9 * eta * u)),
        "abs": lambda: u * np.tanh(eta * u),
    }[kind]()


TABLE = {  # the MASO of 4 numbers, torch's function, and what is left of it at beta = 0
    "relu": (operators.relu, F.relu, 0.5),
    "leaky relu": (lambda K: operators.leaky_relu(K, 0.1), lambda u: F.leaky_relu(u, 0.1), 0.55),
    "abs": (operators.absolute, torch.abs, 0.0),
}
U = np.concatenate([np.random.default_rng(0).normal(size=(20, 4)) * 3, [[0.0, -0.0, 1e-3, 40.0]]])


@both
@pytest.mark.parametrize("kind", TABLE)
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_table_at_0_one_half_and_1(library, kind, dtype):
    operator, function, linear = TABLE[kind]
    x = make(U, library, dtype)
    maso, u = follow(operator(4), x), torch.from_numpy(U.astype(dtype))
    np.testing.assert_array_equal(numbers(mm.beta_vq(maso, x, 1.0)), function(u).numpy())
    rounding = 10 * np.finfo(dtype).eps
    np.testing.assert_allclose(numbers(mm.beta_vq(maso, x, 0.0)), linear * u.numpy(), rtol=rounding)
    if kind == "relu":
        np.testing.assert_allclose(
            numbers(mm.beta_vq(maso, x, 0.5)), F.silu(u), rtol=40 * rounding, atol=rounding
        )


@both
@pytest.mark.parametrize("kind", TABLE)
@each_beta
def test_the_table_in_between(library, kind, beta):
    x = make(U, library)
    maso = follow(TABLE[kind][0](4), x)
    expected = soft(kind, U, beta / (1 - beta))
    np.testing.assert_allclose(numbers(mm.beta_vq(maso, x, beta)), expected, rtol=1e-12, atol=1e-14)


@both
@pytest.mark.parametrize("padding", [0, 1])
@each_beta
def test_soft_pooling_weighs_the_entries_of_each_window(library, padding, beta):
    x = make(np.random.default_rng(1).normal(size=(3, 2 * 5 * 5)), library)
    maso = follow(operators.max_pool2d((2, 5, 5), 3, 2, padding), x)
    image, eta = torch.from_numpy(numbers(x)).reshape(3, 2, 5, 5), beta / (1 - beta)
    frame = F.pad(image, (padding,) * 4, value=-INF)
    windows = frame.unfold(2, 3, 2).unfold(3, 3, 2).flatten(4)  # (N, C, rows, columns, R)
    inside = windows > -INF
    powers = (eta * windows.where(inside, torch.tensor(0.0).double())).exp() * inside
    expected = (powers * windows.nan_to_num(neginf=0)).sum(-1) / powers.sum(-1)
    np.testing.assert_allclose(
        numbers(mm.beta_vq(maso, x, beta)), expected.flatten(1), rtol=1e-12, atol=1e-14
    )
    hard = F.max_pool2d(image, 3, 2, padding).flatten(1)
    np.testing.assert_array_equal(numbers(mm.beta_vq(maso, x, 1.0)), hard)
    if beta == 0:
        mean = F.avg_pool2d(image, 3, 2, padding, count_include_pad=False).flatten(1)
        np.testing.assert_allclose(expected.flatten(1), mean, rtol=1e-12, atol=1e-14)


@st.composite
def units(draw):
    """A MASO with absent pieces, and inputs."""
    K, R, D, N = (draw(st.integers(1, 3)) for _ in range(4))
    real = st.floats(-10, 10, width=16)
    A, B, x = (draw(arrays(np.float64, shape, elements=real)) for shape in [(K, R, D), (K, R), (N, D)])
    return A, with_absent(draw, B), x


@both
@few
@given(units(), st.sampled_from([*BETAS, 1.0]))
def test_the_output_is_the_mean_of_the_scores_under_the_posterior(library, case, beta):
    A, B, x = case
    output = numbers(mm.beta_vq(MASO(make(A, library), make(B, library)), make(x, library), beta))
    for n in range(len(x)):
        for k in range(len(A)):
            there = B[k] > -INF
            values = A[k, there] @ x[n] + B[k, there]
            weights = np.eye(len(values))[values.argmax()] if beta == 1 else exact(values, beta)
            np.testing.assert_allclose(output[n, k], weights @ values, rtol=1e-9, atol=1e-11)
    if beta == 1:
        np.testing.assert_array_equal(output, MASO(A, B)(x))


@few
@given(units(), st.sampled_from(LAST[1:]))
def test_the_soft_output_lies_below_the_maximum_by_at_most_log_R_over_eta(case, beta):
    maso = MASO(*case[:2])
    hard = maso(case[2])
    below = hard - mm.beta_vq(maso, case[2], beta)
    rounding = 1e-13 * np.abs(np.nan_to_num(maso.scores(case[2]), neginf=0)).max()
    log_R_over_eta = np.log(maso.A.shape[1]) * (1 - beta) / beta
    assert (below >= -rounding).all() and (below <= log_R_over_eta + rounding).all()


@pytest.mark.parametrize("beta", BETAS[1:])
def test_swish_lies_below_relu_by_at_most_a_known_number_over_eta_and_reaches_it(beta):
    eta, most = beta / (1 - beta), lambertw(np.exp(-1)).real
    assert 0.2784 < most < 0.2785
    deepest = (1 + most) / eta  # where the derivative of u sigmoid(-eta u) is zero
    u = np.concatenate([np.linspace(-20, 20, 4001) / eta, [deepest, -deepest]])[:, None]
    below = (np.maximum(u, 0) - mm.beta_vq(operators.relu(1), u, beta))[:, 0]
    assert (below >= 0).all() and below.max() <= most / eta * (1 + 1e-12)
    np.testing.assert_allclose(below[-2:], most / eta, rtol=1e-12)


@pytest.mark.parametrize("beta", LAST)
@pytest.mark.parametrize("dtype", DTYPES)
@both
def test_no_finite_input_of_a_soft_unit_is_too_large(library, dtype, beta):
    top = float(np.finfo(dtype).max)
    x = make([[-top, top], [top, -top], [-1e-30, top], [0, 0]], library, dtype)
    for operator, expected in [(operators.relu, [0, top]), (operators.absolute, [top, top])]:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            output = numbers(mm.beta_vq(follow(operator(2), x), x, beta))
        linear = {operators.relu: [-top / 2, top / 2], operators.absolute: [0, 0]}[operator]
        np.testing.assert_allclose(output[0], linear if beta == 0 else expected, rtol=1e-6)
        assert np.isfinite(output).all() and (output[3] == 0).all()


@each_beta
def test_derivatives_of_the_soft_output(beta):
    rng = np.random.default_rng(0)
    A, B, x = (make(rng.normal(size=s), "torch").requires_grad_() for s in [(2, 3, 2), (2, 3), (2, 2)])
    gone = make([[0, 1, 0], [0, 0, 0]], "torch").bool()
    of = lambda A, B, x: mm.beta_vq(MASO(A, B.masked_fill(gone, -INF)), x, beta)  # noqa: E731
    assert gradcheck(of, (A, B, x)) and gradgradcheck(of, (A, B, x))


@both
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("beta", [0, np.float64(0.3), 1])
def test_soft_outputs_have_the_type_dtype_and_device_of_x(library, dtype, beta):
    maso = MASO(make(np.ones((2, 3, 4)), library), make(np.zeros((2, 3)), library))
    x = make(np.ones((5, 4)), library, dtype)
    output = mm.beta_vq(maso, x, beta)
    assert type(output) is type(x) and output.dtype == x.dtype and output.shape == (5, 2)
    assert library == "numpy" or output.device == x.device
    whole = mm.beta_vq(maso, make(np.ones((5, 4)), library, "int64"), beta)
    assert str(whole.dtype).endswith("float64")


# ---------------------------------------------------------------- bad input

S = np.zeros((2, 3))


@pytest.mark.parametrize(
    "values, error, message",
    [
        ([[1.0]], TypeError, "scores must be a NumPy array or a torch tensor, got list"),
        (S.astype(int), TypeError, r"scores must be a floating array \(..., R\), got int64 \(2, 3\)"),
        (S + 0j, TypeError, r"scores must be a floating array \(..., R\), got complex128"),
        (S > 0, TypeError, r"scores must be a floating array \(..., R\), got bool"),
        (np.array(1.0), TypeError, r"scores must be a floating array \(..., R\), got float64 \(\)"),
        (S[:, :0], TypeError, r"scores must be a floating array \(..., R\), got float64 \(2, 0\)"),
        (S * np.nan, ValueError, "scores must be finite; entries that are NaN or infinite: 6 of 6"),
        (S + INF, ValueError, "scores must be finite; entries that are NaN or infinite: 6 of 6"),
        (
            np.array([[1.0, 2], [-INF, -INF]]),
            ValueError,
            "scores must have a piece that is not absent .* every row",
        ),
    ],
)
@pytest.mark.parametrize("beta", [0, 0.5, 1])
def test_bad_scores(values, error, message, beta):
    for given_scores in [values, torch.from_numpy(values)] if isinstance(values, np.ndarray) else [values]:
        with pytest.raises(error, match=message.replace("got ", "got (torch.)?")):
            mm.posterior(given_scores, beta)


@pytest.mark.parametrize(
    "beta", [-1e-9, 1.0001, np.nan, INF, None, "0.5", 0.5j, np.ones(1), torch.tensor(0.5)]
)
def test_bad_beta(beta):
    message = r"beta must be a number from 0 \(linear\) to 1 \(hard\), got "
    with pytest.raises(ValueError, match=message):
        mm.posterior(S, beta)
    with pytest.raises(ValueError, match=message):
        mm.beta_vq(operators.relu(3), S, beta)


def test_bad_units_and_inputs():
    with pytest.raises(TypeError, match="maso must be a MASO, got function"):
        mm.beta_vq(operators.relu, S, 0.5)
    with pytest.raises(ValueError, match=r"x must have shape \(N, 3\), got \(3,\)"):
        mm.beta_vq(operators.relu(3), S[0], 0.5)
    with pytest.raises(TypeError, match=r"mixed \(x is torch, parameters is numpy\)"):
        mm.beta_vq(operators.relu(3), torch.from_numpy(S), 0.5)
