"""The checks of arguments that every module shares."""

import warnings

import array_api_compat
import numpy as np
import pytest
import torch

import mad_max_lib as mm
from mad_max_lib import operators
from mad_max_lib.book.widgets import _slider
from mad_max_lib.checks import array_namespace, cast, check_count, widen


@pytest.mark.parametrize(
    "value", [3, np.int64(3), np.uint8(3), np.array(3), np.array(3, np.int32), torch.tensor(3)]
)
def test_a_whole_number_of_any_kind_becomes_an_int(value):
    assert check_count("n", value) == 3 and type(check_count("n", value)) is int


@pytest.mark.parametrize("value", [True, np.bool_(True), np.array(True), 3.0, np.float64(3), "3", None, [3]])
@pytest.mark.parametrize("high", [None, 5])
def test_nothing_else_is_a_whole_number(value, high):
    with pytest.raises(ValueError, match="n must be a whole number (of at least 1|from 1 to 5), got "):
        check_count("n", value, high=high)


def test_limits_are_included():
    assert [check_count("n", value, 0, 2) for value in range(3)] == [0, 1, 2]
    for value in (-1, 3):
        with pytest.raises(ValueError, match=f"n must be a whole number from 0 to 2, got {value}"):
            check_count("n", value, 0, 2)
    assert check_count("n", 10**30) == 10**30


PAIRS = np.random.default_rng(1).normal(size=(12, 2))
ONE_WEIGHT = np.ones((2, 1, 2, 2))
LABELS = mm.data.Data(PAIRS, (PAIRS[:, 0] > 0).astype(int), PAIRS, (PAIRS[:, 0] > 0).astype(int))
WHOLE = {  # what is done with the number 2 or 1, and a part of the result that depends on it
    "kmeans": lambda two, one, rng: mm.kmeans(PAIRS, PAIRS[:3], two)[0],
    "kmeans_plusplus": lambda two, one, rng: mm.kmeans_plusplus(PAIRS, two, rng),
    "relu": lambda two, one, rng: operators.relu(two).A,
    "leaky_relu": lambda two, one, rng: operators.leaky_relu(two, 0.1).A,
    "absolute": lambda two, one, rng: operators.absolute(two).A,
    "maxout": lambda two, one, rng: operators.maxout(two, two).A,
    "conv2d": lambda two, one, rng: (
        operators.conv2d(
            ONE_WEIGHT, np.ones(2), (two, 4, 4), stride=(two, one), padding=one, dilation=two, groups=two
        ).A
    ),
    "max_pool2d": lambda two, one, rng: operators.max_pool2d((one, 4, 4), two, two, one, (one, two)).A,
    "average_pool2d": lambda two, one, rng: operators.average_pool2d((one, 4, 4), two, two, one).A,
    "batch_norm": lambda two, one, rng: operators.batch_norm(*np.ones((4, 1)), input_shape=(one, two, two)).A,
    "moons_and_circles": lambda two, one, rng: mm.data.moons_and_circles(4 * two, rng)[0],
    "digits": lambda two, one, rng: mm.data.digits(rng, two).x_train,
    "mnist1d": lambda two, one, rng: mm.data.mnist1d(rng, two).x_train,
    "mlp": lambda two, one, rng: mm.mlp([two, two, one], rng)[0].weight.tolist(),
    "fit": lambda two, one, rng: mm.fit(mm.mlp([2, 4, 2], rng), *LABELS[:2], two, rng, two),
    "fit_many": lambda two, one, rng: mm.fit_many([mm.mlp([2, 4, 2], rng)], [LABELS], two, [rng], two).test,
    "slider": lambda two, one, rng: type(_slider("k", (one, 4 * two, two))).__name__,
}


@pytest.mark.parametrize(
    "kind", [np.int64, np.uint8, np.array, lambda n: np.array(n, np.int32), torch.tensor]
)
@pytest.mark.parametrize("name", WHOLE)
def test_every_kind_of_whole_number_serves_everywhere(name, kind):
    ours, expected = (
        WHOLE[name](two, one, np.random.default_rng(0)) for two, one in [(kind(2), kind(1)), (2, 1)]
    )
    np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize("two", [np.int64(2), np.array(2)])
def test_numpy_s_whole_numbers_serve_everywhere(two):
    rng, x = np.random.default_rng(0), np.random.default_rng(1).normal(size=(12, 2))
    start = mm.kmeans_plusplus(x, two, rng)
    assert mm.kmeans(x, start, max_iter=two)[0].shape == (2, 2)
    model, points = mm.mlp([two, 4, two], rng), torch.from_numpy(x).to(mm.device())
    assert mm.fit(model, x, (x[:, 0] > 0).astype(int), epochs=two, rng=rng, batch=two).shape == (12,)
    codes = mm.region_codes(model, points)
    assert mm.nearest(codes, codes, k=two).shape == (12, 2)
    assert mm.polytope(model, points[:1], layers=np.array(1)).G.shape[1] == 2
    assert len(mm.data.moons_and_circles(np.array(4), rng)[0]) == 4
    assert len(mm.data.digits(rng, n_train=two).x_train) == 2


def test_the_namespace_is_array_api_compat_s():
    x = np.ones(2)
    assert array_namespace(x=x) is array_api_compat.array_namespace(x)
    assert array_namespace(x=torch.ones(2)) is array_api_compat.array_namespace(torch.ones(2))
    with pytest.raises(TypeError, match=r"mixed \(a is numpy, b is torch\); convert one side first"):
        array_namespace(a=x, b=torch.ones(2))
    with pytest.raises(TypeError, match="a must be a NumPy array or a torch tensor, got list"):
        array_namespace(a=[1.0])


def test_cast_follows_dtype_and_device():
    assert cast(np.ones(2), np.ones(1, np.float32)).dtype == np.float32
    like = torch.ones(1, dtype=torch.float16, device=mm.device())
    assert cast(torch.ones(2), like).dtype == torch.float16
    assert cast(torch.ones(2), like).device == like.device


def test_widen_leaves_what_is_wide():
    for wide in (np.ones(2), np.ones(2, "float32"), torch.ones(2), torch.ones(2).double()):
        assert widen(wide) is wide
    for half in (np.ones(2, "float16"), torch.ones(2).half(), torch.ones(2).bfloat16()):
        assert str(widen(half).dtype).endswith("float32") and (widen(half) == 1).all()


# ---------------------------------------------------------------- half precision

rng = np.random.default_rng(0)
A, B, X, W = (rng.normal(size=shape) for shape in [(3, 4, 5), (3, 4), (30, 5), (4, 5)])
B[1, 2] = -np.inf
SHARES = np.array([0.25, 0.25, 0.5])
HALVES = {
    "float16 in NumPy": lambda array: array.astype("float16"),
    "float16": lambda array: torch.tensor(array, device=mm.device()).half(),
    "bfloat16": lambda array: torch.tensor(array, device=mm.device()).bfloat16(),
}
BY_BOTH = {
    "MASO": lambda of: mm.MASO(of(A), of(B))(of(X)),
    "scores": lambda of: mm.MASO(of(A), of(B)).scores(of(X)),
    "slopes": lambda of: mm.MASO(of(A), of(B)).slopes(of(X)),
    "offsets": lambda of: mm.MASO(of(A), of(B)).offsets(of(X)),
    "after": lambda of: mm.MASO(of(A), of(B)).after(of(W.T), of(W[0])).scores(of(W[:, :4])),
    "dense": lambda of: operators.dense(of(W), of(W[:, 0]))(of(X)),
    "conv2d": lambda of: operators.conv2d(of(A[:, :, None]), of(B[:, 0]), (4, 2, 8))(
        of(np.resize(X, (2, 64)))
    ),
    "batch_norm": lambda of: operators.batch_norm(*of(np.abs(W)))(of(X)),
    "posterior": lambda of: mm.posterior(of(A), 0.5),
    "beta_vq": lambda of: mm.beta_vq(mm.MASO(of(A), of(B)), of(X), 0.5),
    "joint_scores": lambda of: mm.joint_scores(mm.MASO(of(A), of(B)), of(X))[0],
    "kmeans": lambda of: mm.kmeans(of(X), of(X[:3]))[0],
    "kmeans, large": lambda of: mm.kmeans(of(300 * X), of(300 * X[:3]))[0],
    "kmeans, many": lambda of: mm.kmeans(of(np.tile(X, (3000, 1))), of(X[:3]))[0],
    "kmeans_plusplus": lambda of: mm.kmeans_plusplus(of(300 * X), 3, np.random.default_rng(1)),
    "em_step": lambda of: mm.em_step(of(X), of(X[:3]), of(SHARES), 1.0)[0],
    "em_step, weights": lambda of: mm.em_step(of(X), of(X[:3]), of(SHARES), 1.0)[1],
    "unit_to_mixture": lambda of: mm.unit_to_mixture(of(A[1]), of(B[1]))[1],
    "mixture_to_unit": lambda of: mm.mixture_to_unit(of(X[:3]), of(SHARES))[1],
    "there and back": lambda of: mm.mixture_to_unit(*mm.unit_to_mixture(of(A[0]), of(B[0])))[1],
}
TORCH_ALONE = {
    "overlap": lambda of: mm.overlap(of(W)),
    "cosine_overlap": lambda of: mm.cosine_overlap(of(np.vstack([W, 0 * W[:1]]))),
    "length_penalty": lambda of: mm.length_penalty(of(W)),
    "gram_schmidt": lambda of: mm.gram_schmidt(of(W)),
    "templates": lambda of: templates_of(of(X)),
}


def templates_of(x):
    x.requires_grad_()
    return mm.templates(mm.mlp([5, 8, 3], np.random.default_rng(0), x.dtype).to(x.device)(x), x).detach()


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("name", [*BY_BOTH, *TORCH_ALONE])
def test_half_precision_gives_what_double_precision_gives_nearly(name, half):
    of = HALVES[half]
    if name in TORCH_ALONE and half == "float16 in NumPy":
        return

    def double(array):
        rounded = numbers(of(array))
        return rounded if "NumPy" in half else torch.tensor(rounded, device=mm.device())

    function = (BY_BOTH | TORCH_ALONE)[name]
    ours, expected = function(of), numbers(function(double))
    assert ours.dtype == of(X).dtype
    size = np.abs(np.where(np.isinf(expected), 0, expected)).max()
    np.testing.assert_allclose(
        numbers(ours), expected, rtol=0, atol=size * (0.02 if half == "bfloat16" else 3e-3)
    )


def numbers(array):
    return np.asarray(array.double().cpu() if isinstance(array, torch.Tensor) else array, float)


def test_half_precision_counts_in_pairs_of_scores():
    for of in HALVES.values():
        treated, control = of(80 + SHARES), of(SHARES)
        exact = numbers(treated) - numbers(control)
        np.testing.assert_allclose(mm.paired_difference(treated, control).mean, exact.mean(), rtol=1e-2)


# ---------------------------------------------------------------- absent pieces

ABSENT = {
    "MASO": lambda A, B, x: mm.MASO(A, B)(x),
    "slopes": lambda A, B, x: mm.MASO(A, B).slopes(x),
    "offsets": lambda A, B, x: mm.MASO(A, B).offsets(x),
    "after": lambda A, B, x: mm.MASO(A, B).after(A[0, :4], A[0, :4, 0])(x),
    "unit_to_mixture": lambda A, B, x: mm.unit_to_mixture(A[0], B[0])[1] ** 2,
    "em_step": lambda A, B, x: mm.em_step(x, *mm.unit_to_mixture(A[0], B[0]), 1.0)[0],
    "there and back": lambda A, B, x: mm.beta_vq(
        mm.MASO(*(part[None] for part in mm.mixture_to_unit(*mm.unit_to_mixture(A[0], B[0])))), x, 0.5
    ),
    **{
        f"{name} at {beta}": (lambda A, B, x, beta=beta, function=function: function(mm.MASO(A, B), x, beta))
        for beta in (0.0, 0.5, 0.99, float(np.nextafter(1, 0)), 1.0)
        for name, function in {
            "beta_vq": mm.beta_vq,
            "posterior": lambda maso, x, beta: mm.posterior(maso.scores(x), beta) ** 2,
            "joint_scores": lambda maso, x, beta: mm.posterior(mm.joint_scores(maso, x)[0], beta) ** 2,
        }.items()
    },
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", ABSENT)
def test_absent_pieces_leave_neither_nan_nor_a_gradient(name, dtype):
    chance = np.random.default_rng(2)
    A, B, x = (
        torch.tensor(chance.normal(size=s), device=mm.device()).to(dtype) for s in [(3, 4, 4), (3, 4), (6, 4)]
    )
    B[0, 1] = B[2, 0] = B[2, 3] = -torch.inf
    output = ABSENT[name](A.requires_grad_(), B.requires_grad_(), x.requires_grad_())
    assert output.isfinite().all()
    if output.requires_grad:
        slopes = torch.autograd.grad(output.sum(), (A, B, x), allow_unused=True)
        assert all(slope.isfinite().all() for slope in slopes if slope is not None)
        assert slopes[1] is None or not slopes[1][B.isinf()].any()
    if dtype in (torch.float64, torch.float32):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            in_numpy = ABSENT[name](*(part.detach().cpu().numpy() for part in (A, B, x)))
        np.testing.assert_allclose(numbers(output.detach()), in_numpy, rtol=1e-3, atol=1e-5)


def test_an_offset_that_overflows_is_not_an_absent_piece():
    maso = mm.MASO(torch.full((1, 2, 1), 300.0).half(), torch.zeros(1, 2).half())
    with pytest.raises(ValueError, match=r"A\[k, r\] @ b must be finite; .* 2 of 2"):
        maso.after(torch.ones(1, 1).half(), torch.full((1,), -300.0).half())
    with pytest.raises(ValueError, match="B_k must be finite; .* 1 of 2"):
        mm.mixture_to_unit(torch.tensor([[400.0], [0]]).half(), torch.tensor([0.5, 0.5]).half())
