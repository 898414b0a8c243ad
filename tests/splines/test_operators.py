"""Every operator against torch.nn.functional and, for convolution and pooling, against scipy as well."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, signal

from mad_max_lib import MASO
from mad_max_lib.splines.operators import (
    absolute,
    average_pool2d,
    batch_norm,
    conv2d,
    dense,
    leaky_relu,
    max_pool2d,
    maxout,
    relu,
)

INF = float("inf")
few = settings(max_examples=50, deadline=None)
seeds = st.integers(0, 10**6)
sizes = st.integers(1, 4)
pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
KINDS = [(library, dtype) for library in ["numpy", "torch"] for dtype in ["float32", "float64"]]
every_kind = pytest.mark.parametrize("library, dtype", KINDS)
ATOL = {"float32": 1e-4, "float64": 1e-11}


def draw(shape, seed, library="numpy", dtype="float64"):
    """Normal numbers, and the same as a float64 torch tensor for the reference."""
    array = (
        np.random.default_rng([seed, *np.shape(shape), np.prod(shape, dtype=int)])
        .normal(size=shape)
        .astype(dtype)
    )
    return (torch.from_numpy(array) if library == "torch" else array), torch.from_numpy(array).double()


def follow(maso, x):
    """The same MASO in the array library and dtype of x."""
    if isinstance(x, np.ndarray):
        return MASO(maso.A.astype(x.dtype), maso.B.astype(x.dtype))
    return MASO(torch.from_numpy(maso.A).to(x), torch.from_numpy(maso.B).to(x))


def agree(maso, x, reference, dtype="float64"):
    """The MASO's output on flattened x has x's type and dtype, and the reference's values in C order."""
    output = maso(x.reshape(len(x), -1))
    assert type(output) is type(x) and output.dtype == x.dtype
    reference = np.asarray(reference).reshape(len(x), -1)
    np.testing.assert_allclose(np.asarray(output), reference, rtol=0, atol=ATOL[dtype])


# ---------------------------------------------------------------- elementwise, maxout, dense, batch norm


@every_kind
@few
@given(K=sizes, N=sizes, slope=st.floats(0, 0.99), seed=seeds)
def test_elementwise_operators(library, dtype, K, N, slope, seed):
    x, reference = draw((N, K), seed, library, dtype)
    agree(follow(relu(K), x), x, F.relu(reference), dtype)
    agree(follow(leaky_relu(K, slope), x), x, F.leaky_relu(reference, slope), dtype)
    agree(follow(absolute(K), x), x, reference.abs(), dtype)


@pytest.mark.parametrize("operator", [relu, lambda K: leaky_relu(K, 0.1), absolute])
def test_elementwise_pieces_low_then_high_and_ties_to_the_low_one(operator):
    assert operator(3).codes(np.array([[-2.0, 0.0, 2.0]])).tolist() == [[0, 0, 1]]


@every_kind
@few
@given(K=sizes, R=sizes, N=sizes, D=sizes, seed=seeds)
def test_maxout(library, dtype, K, R, N, D, seed):
    x, reference = draw((N, K * R), seed, library, dtype)
    agree(follow(maxout(K, R), x), x, reference.reshape(N, K, R).amax(-1), dtype)
    (W, W64), (b, b64), (z, z64) = (draw(s, seed + 1, library, dtype) for s in [(K * R, D), (K * R,), (N, D)])
    layer = follow(maxout(K, R), W).after(W, b)
    agree(layer, z, F.linear(z64, W64, b64).reshape(N, K, R).amax(-1), dtype)
    np.testing.assert_allclose(np.asarray(layer.A).reshape(K * R, D), np.asarray(W))


@every_kind
@few
@given(K=sizes, D=sizes, N=sizes, seed=seeds)
def test_dense(library, dtype, K, D, N, seed):
    (W, W64), (b, b64), (x, x64) = (draw(s, seed, library, dtype) for s in [(K, D), (K,), (N, D)])
    assert dense(W, b).A.shape == (K, 1, D)
    agree(dense(W, b), x, F.linear(x64, W64, b64), dtype)


@every_kind
@few
@given(C=sizes, image=pairs, N=sizes, eps=st.sampled_from([0.0, 1e-5, 0.5]), seed=seeds)
def test_batch_norm(library, dtype, C, image, N, eps, seed):
    (mean, mean64), (gamma, gamma64), (delta, delta64) = (
        draw((C,), seed + i, library, dtype) for i in range(3)
    )
    variance, variance64 = (array**2 + 0.1 for array in draw((C,), seed + 3, library, dtype))
    reference = dict(running_mean=mean64, running_var=variance64, weight=gamma64, bias=delta64, eps=eps)
    x, x64 = draw((N, C), seed, library, dtype)
    agree(batch_norm(mean, variance, gamma, delta, eps), x, F.batch_norm(x64, **reference), dtype)
    x, x64 = draw((N, C, *image), seed, library, dtype)
    images = batch_norm(mean, variance, gamma, delta, eps, input_shape=(C, *image))
    agree(images, x, F.batch_norm(x64, **reference), dtype)


def test_batch_norm_has_torch_s_eps_and_allows_variance_zero():
    one, zero = torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    x = torch.tensor([[1e-3]], dtype=torch.float64)
    agree(batch_norm(zero, zero, one, zero), x, F.batch_norm(x, zero, zero, one, zero))


# ---------------------------------------------------------------- convolution


@st.composite
def convolutions(draw, modes=("zeros", "circular")):
    """Settings of a convolution that fits its input, and the shapes of W and x."""
    groups, per_group, out_per_group = (draw(st.integers(1, 2)) for _ in range(3))
    kernel, stride, dilation = draw(pairs), draw(pairs), draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    padding, mode = draw(st.tuples(st.integers(0, 2), st.integers(0, 2))), draw(st.sampled_from(modes))
    image = []
    for k, d, p in zip(kernel, dilation, padding, strict=True):
        least = max(1, d * (k - 1) + 1 - 2 * p, p if mode == "circular" else 1)
        image.append(draw(st.integers(least, least + 3)))
    settings = dict(stride=stride, padding=padding, dilation=dilation, groups=groups, padding_mode=mode)
    return settings, (groups * out_per_group, per_group, *kernel), (groups * per_group, *image)


def torch_convolution(x, W, b, stride, padding, dilation, groups, padding_mode):
    if padding_mode == "circular":
        x = F.pad(x, (padding[1], padding[1], padding[0], padding[0]), mode="circular")
        padding = 0
    return F.conv2d(x, W, b, stride, padding, dilation, groups)


def scipy_convolution(x, W, b, stride, padding, dilation, groups, padding_mode):
    """The sum over input channels of scipy.signal.correlate2d, with the kernel stretched by zeros."""
    mode = "wrap" if padding_mode == "circular" else "constant"
    x = np.pad(x, [(0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2], mode=mode)
    (C_out, per_group, h, w), (s, t) = W.shape, dilation
    stretched = np.zeros((C_out, per_group, s * (h - 1) + 1, t * (w - 1) + 1))
    stretched[:, :, ::s, ::t] = W
    images = []
    for image in x:
        for c in range(C_out):
            first = c // (C_out // groups) * per_group
            channels = [
                signal.correlate2d(image[first + i], stretched[c, i], "valid") for i in range(per_group)
            ]
            images.append(np.sum(channels, axis=0)[:: stride[0], :: stride[1]] + b[c])
    return np.stack(images)


@every_kind
@few
@given(case=convolutions(), N=st.integers(1, 2), seed=seeds)
def test_conv2d(library, dtype, case, N, seed):
    settings, shape, input_shape = case
    (W, W64), (b, b64), (x, x64) = (
        draw(s, seed, library, dtype) for s in [shape, shape[:1], (N, *input_shape)]
    )
    maso = conv2d(W, b, input_shape, **settings)
    assert maso.A.dtype == maso.B.dtype == W.dtype and maso.A.shape[1] == 1
    agree(maso, x, torch_convolution(x64, W64, b64, **settings), dtype)
    agree(maso, x, scipy_convolution(x64.numpy(), W64.numpy(), b64.numpy(), **settings), dtype)


def test_circular_padding_may_go_around_more_than_once():
    (W, _), (b, _), (x, _) = draw((2, 1, 2, 2), 0), draw((2,), 0), draw((1, 1, 2, 3), 0)
    settings = dict(stride=(1, 1), padding=(5, 7), dilation=(1, 1), groups=1, padding_mode="circular")
    agree(conv2d(W, b, (1, 2, 3), **settings), x, scipy_convolution(x, W, b, **settings))


def test_one_number_serves_rows_and_columns():
    (W, _), (b, _) = draw((2, 1, 3, 3), 0), draw((2,), 0)
    one = conv2d(W, b, (1, 6, 7), stride=2, padding=1, dilation=2)
    two = conv2d(W, b, [1, 6, 7], stride=(2, 2), padding=[1, 1], dilation=(2, 2))
    np.testing.assert_array_equal(one.A, two.A)


def _image_matrix(padding_mode):
    W, _ = draw((1, 1, 3, 3), 0)
    return conv2d(W, np.zeros(1), (1, 4, 5), padding=1, padding_mode=padding_mode).A.reshape(4, 5, 4, 5)


@pytest.mark.parametrize("axes", [(0, 2), (1, 3)])
def test_circular_padding_gives_a_block_circulant_matrix_and_zeros_do_not(axes):
    """Moving output and input by one pixel, around the border, changes nothing."""
    circular, zeros = _image_matrix("circular"), _image_matrix("zeros")
    np.testing.assert_array_equal(np.roll(circular, (1, 1), axes), circular)
    assert not np.array_equal(np.roll(zeros, (1, 1), axes), zeros)


@pytest.mark.parametrize("axes", [(0, 2), (1, 3)])
def test_zero_padding_gives_a_block_toeplitz_matrix(axes):
    """Along every diagonal all entries (axes 1, 3) or blocks (axes 0, 2) are equal."""
    matrix = np.moveaxis(_image_matrix("zeros"), axes, (0, 1))
    np.testing.assert_array_equal(matrix[1:, 1:], matrix[:-1, :-1])
    assert (matrix != 0).any() and (matrix[0, -1] == 0).all() and (matrix[-1, 0] == 0).all()


@pytest.mark.parametrize("padding_mode", ["zeros", "circular"])
def test_gradients_reach_the_weights_through_conv2d_dense_and_batch_norm(padding_mode):
    def gradients(function, *shapes):
        parameters = [draw(shape, 1)[1].requires_grad_() for shape in shapes]
        return torch.autograd.grad(function(*parameters).sin().sum(), parameters)

    x = draw((2, 4, 5, 5), 0)[1]
    settings = dict(stride=(2, 1), padding=(1, 1), dilation=(1, 2), groups=2, padding_mode=padding_mode)
    ours = [
        gradients(lambda W, b: conv2d(W, b, (4, 5, 5), **settings)(x.reshape(2, -1)), (6, 2, 3, 2), (6,)),
        gradients(lambda W, b: dense(W, b)(x.reshape(2, -1)), (3, 100), (3,)),
        gradients(lambda m, v, g, d: batch_norm(m, v**2, g, d)(x[:, :, 0, 0]), (4,), (4,), (4,), (4,)),
    ]
    references = [
        gradients(lambda W, b: torch_convolution(x, W, b, **settings), (6, 2, 3, 2), (6,)),
        gradients(lambda W, b: F.linear(x.reshape(2, -1), W, b), (3, 100), (3,)),
        gradients(
            lambda m, v, g, d: g * (x[:, :, 0, 0] - m) / (v**2 + 1e-5).sqrt() + d, (4,), (4,), (4,), (4,)
        ),
    ]
    for our, reference in zip(ours, references, strict=True):
        torch.testing.assert_close(our, reference, rtol=1e-9, atol=1e-9)


# ---------------------------------------------------------------- pooling


@st.composite
def poolings(draw, dilations):
    kernel, stride = draw(pairs), draw(st.none() | pairs)
    dilation = draw(dilations)
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    image = []
    for k, d, p in zip(kernel, dilation, padding, strict=True):
        least = max(d, d * (k - 1) + 1 - 2 * p)  # d: smaller inputs may fall between two entries of a window
        image.append(draw(st.integers(least, least + 3)))
    return kernel, stride, padding, dilation, (draw(st.integers(1, 2)), *image)


def scipy_windows(x, kernel, stride, padding, dilation, border, reduce):
    """Every window's value by a scipy.ndimage filter, computed at all pixels and then thinned out."""
    x = np.pad(x, [(0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2], constant_values=border)
    span = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    footprint = np.zeros(span, bool)
    footprint[:: dilation[0], :: dilation[1]] = True
    images = [reduce(image, footprint) for image in x.reshape(-1, *x.shape[2:])]
    windows = [
        np.arange(0, n - s + 1, t) + s // 2
        for n, s, t in zip(x.shape[2:], span, stride or kernel, strict=True)
    ]
    return np.stack(images)[:, windows[0][:, None], windows[1]]


@every_kind
@few
@given(case=poolings(pairs), N=st.integers(1, 2), seed=seeds)
def test_max_pool2d(library, dtype, case, N, seed):
    kernel, stride, padding, dilation, input_shape = case
    x, x64 = draw((N, *input_shape), seed, library, dtype)
    maso = follow(max_pool2d(input_shape, kernel, stride, padding, dilation), x)
    assert maso.A.shape[1] == kernel[0] * kernel[1]
    agree(maso, x, F.max_pool2d(x64, kernel, stride, padding, dilation), dtype)

    def largest(image, footprint):
        return ndimage.maximum_filter(image, footprint=footprint, mode="constant", cval=-INF)

    agree(maso, x, scipy_windows(x64.numpy(), kernel, stride, padding, dilation, -INF, largest), dtype)


@every_kind
@few
@given(case=poolings(st.just((1, 1))), N=st.integers(1, 2), seed=seeds)
def test_average_pool2d(library, dtype, case, N, seed):
    kernel, stride, padding, dilation, input_shape = case
    x, x64 = draw((N, *input_shape), seed, library, dtype)
    maso = follow(average_pool2d(input_shape, kernel, stride, padding), x)
    assert maso.A.shape[1] == 1
    agree(maso, x, F.avg_pool2d(x64, kernel, stride, padding), dtype)

    def mean(image, footprint):
        return ndimage.uniform_filter(image, footprint.shape, mode="constant")

    agree(maso, x, scipy_windows(x64.numpy(), kernel, stride, padding, dilation, 0.0, mean), dtype)


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_ties_in_max_pooling_go_to_the_lowest_entry_that_is_not_padding(library):
    x = np.zeros((1, 16))
    x = torch.from_numpy(x) if library == "torch" else x
    assert follow(max_pool2d((1, 4, 4), 2), x).codes(x).tolist() == [[0, 0, 0, 0]]
    # windows of 3 x 3 from row and column -1: entry 4 is the first one inside the image at the corner
    assert follow(max_pool2d((1, 4, 4), 3, stride=2, padding=1), x).codes(x).tolist() == [[4, 3, 1, 0]]


@few
@given(case=poolings(pairs), seed=seeds)
def test_the_code_of_max_pooling_is_torch_s_index(case, seed):
    kernel, stride, padding, dilation, input_shape = case
    x, x64 = draw((1, *input_shape), seed)
    maso = max_pool2d(input_shape, kernel, stride, padding, dilation)
    _, index = F.max_pool2d(x64, kernel, stride, padding, dilation, return_indices=True)
    index += np.prod(input_shape[1:]) * torch.arange(input_shape[0])[:, None, None]
    np.testing.assert_array_equal(maso.slopes(x.reshape(1, -1))[0].argmax(-1), index.flatten())


# ---------------------------------------------------------------- layers made of operators


@every_kind
def test_after_fuses_convolution_batch_norm_and_relu_into_one_maso(library, dtype):
    (W, W64), (b, b64), (x, x64) = (draw(s, 1, library, dtype) for s in [(4, 2, 3, 3), (4,), (3, 2, 6, 5)])
    statistics, statistics64 = zip(*(draw((4,), i, library, dtype) for i in range(4)), strict=True)
    conv = conv2d(W, b, (2, 6, 5), padding=1)
    norm = batch_norm(statistics[0], statistics[1] ** 2, *statistics[2:], input_shape=(4, 6, 5))
    layer = follow(relu(120), x).after(norm.A[:, 0], norm.B[:, 0]).after(conv.A[:, 0], conv.B[:, 0])
    reference = F.batch_norm(
        F.conv2d(x64, W64, b64, padding=1), statistics64[0], statistics64[1] ** 2, *statistics64[2:]
    )
    agree(layer, x, F.relu(reference), dtype)
    np.testing.assert_array_equal(
        np.asarray(layer.codes(x.reshape(3, -1))), reference.reshape(3, -1).numpy() > 0
    )


def test_after_fuses_convolution_and_max_pooling_with_padding():
    (W, W64), (b, b64), (x, x64) = (draw(s, 1) for s in [(3, 2, 3, 3), (3,), (3, 2, 6, 5)])
    conv = conv2d(W, b, (2, 6, 5))
    layer = max_pool2d((3, 4, 3), 3, stride=2, padding=1).after(conv.A[:, 0], conv.B[:, 0])
    agree(layer, x, F.max_pool2d(F.conv2d(x64, W64, b64), 3, stride=2, padding=1))


def test_a_layer_plus_a_skip_is_one_maso():
    (W, W64), (b, b64), (skip, skip64), (c, c64), (x, x64) = (
        draw(s, 1) for s in [(4, 3), (4,), (4, 3), (4,), (9, 3)]
    )
    layer = relu(4).after(W, b)
    residual = MASO(layer.A + skip[:, None, :], layer.B + c[:, None])
    agree(residual, x, F.relu(F.linear(x64, W64, b64)) + F.linear(x64, skip64, c64))
    np.testing.assert_array_equal(residual.codes(x), layer.codes(x))


# ---------------------------------------------------------------- types

OPERATORS = {
    "dense": lambda a: dense(a((2, 8)), a((2,))),
    "conv2d": lambda a: conv2d(a((2, 2, 1, 2)), a((2,)), (2, 2, 2)),
    "batch_norm": lambda a: batch_norm(a((2,)), a((2,)) ** 2, a((2,)), a((2,)), input_shape=(2, 2, 2)),
}
PLAIN = {
    "relu": lambda: relu(8),
    "leaky_relu": lambda: leaky_relu(8, 0.25),
    "absolute": lambda: absolute(8),
    "maxout": lambda: maxout(2, 4),
    "max_pool2d": lambda: max_pool2d((2, 2, 2), 2, padding=1),
    "average_pool2d": lambda: average_pool2d((2, 2, 2), 2, padding=1),
}


@every_kind
@pytest.mark.parametrize("name", OPERATORS)
def test_operators_have_their_parameters_type_and_promote_whole_numbers(name, library, dtype):
    parameter = draw((1,), 0, library, dtype)[0]
    maso = OPERATORS[name](lambda shape: draw(shape, 0, library, dtype)[0])
    assert type(maso.A) is type(maso.B) is type(parameter)
    assert maso.A.dtype == maso.B.dtype == parameter.dtype
    x = np.random.default_rng(0).integers(-3, 4, (3, 8))
    x = torch.from_numpy(x) if library == "torch" else x
    result = maso(x)
    assert result.dtype == parameter.dtype
    as_floats = x.to(parameter.dtype) if library == "torch" else x.astype(dtype)
    np.testing.assert_array_equal(np.asarray(result), np.asarray(maso(as_floats)))


@pytest.mark.parametrize("name", PLAIN)
def test_operators_without_parameters_are_numpy_float64_and_follow_x(name):
    maso, x = PLAIN[name](), np.random.default_rng(0).integers(-3, 4, (3, 8))
    assert type(maso.A) is np.ndarray and maso.A.dtype == maso.B.dtype == np.float64
    assert maso(x).dtype == np.float64 and maso(x.astype(np.float32)).dtype == np.float32
    np.testing.assert_array_equal(maso(x), maso(x.astype(float)))


@pytest.mark.parametrize("whole", [np.int64(2), np.uint8(2), np.array(2)])
def test_numpy_integers_count_as_whole_numbers(whole):
    assert relu(whole).A.shape == (2, 2, 2)
    assert max_pool2d((whole, whole, whole), whole, whole).A.shape == (2, 4, 8)


# ---------------------------------------------------------------- bad input

W, KERNEL, BIAS, SHAPE = np.ones((4, 3)), np.ones((4, 1, 3, 3)), np.zeros(4), (2, 5, 5)
T = torch.from_numpy


@pytest.mark.parametrize("slope", [1.0, 1.5, -0.1, np.nan, INF, "0.1", None, np.zeros(2)])
def test_bad_slope(slope):
    with pytest.raises(ValueError, match=r"slope must be a number in \[0, 1\), got"):
        leaky_relu(2, slope)


@pytest.mark.parametrize("count", [0, -1, 2.0, None, "2"])
@pytest.mark.parametrize("operator", [relu, absolute, lambda K: leaky_relu(K, 0.1), lambda K: maxout(K, 2),
                                      lambda K: maxout(2, K)])  # fmt: skip
def test_bad_counts(operator, count):
    with pytest.raises(ValueError, match=f"[KR] must be a whole number of at least 1, got {count!r}"):
        operator(count)


@pytest.mark.parametrize(
    "W, b, error, message",
    [
        (W, T(BIAS), TypeError, r"mixed \(W is numpy, b is torch\)"),
        (T(W), BIAS, TypeError, r"mixed \(W is torch, b is numpy\)"),
        (W.tolist(), BIAS, TypeError, "W must be a NumPy array or a torch tensor, got list"),
        (W, None, TypeError, "b must be a NumPy array or a torch tensor, got NoneType"),
        (W.astype(int), BIAS, TypeError, "W must hold floating-point numbers, got int64"),
        (W, BIAS.astype(int), TypeError, "b must hold floating-point numbers, got int64"),
        (W.T, BIAS, ValueError, r"b must have shape \(3,\), got \(4,\)"),
        (W[0], BIAS, ValueError, r"W must have shape \(K, D\), got \(3,\)"),
        (W[:0], BIAS[:0], ValueError, r"W must have shape \(K, D\), got \(0, 3\), which is empty"),
        (W * np.nan, BIAS, ValueError, "W must be finite; entries that are NaN or infinite: 12 of 12"),
        (W, BIAS - INF, ValueError, "b must be finite; entries that are NaN or infinite: 4 of 4"),
    ],
)
def test_bad_dense(W, b, error, message):
    with pytest.raises(error, match=message):
        dense(W, b)


@pytest.mark.parametrize(
    "change, error, message",
    [
        (dict(W=T(KERNEL)), TypeError, r"mixed \(W is torch, b is numpy\)"),
        (dict(W=KERNEL.astype(int)), TypeError, "W must hold floating-point numbers, got int64"),
        (
            dict(W=KERNEL[0]),
            ValueError,
            r"W must have shape \(C_out, C_in // groups, kernel_h, kernel_w\), got \(1, 3, 3\)",
        ),
        (dict(W=KERNEL[:, :, :0]), ValueError, "W must have shape .* which is empty"),
        (dict(W=KERNEL * np.nan), ValueError, "W must be finite"),
        (dict(b=BIAS[:3]), ValueError, r"b must have shape \(4,\), got \(3,\)"),
        (dict(b=None), TypeError, "b must be a NumPy array or a torch tensor, got NoneType"),
        (
            dict(input_shape=(5, 5)),
            ValueError,
            r"input_shape must be \(channels, rows, columns\), got \(5, 5\)",
        ),
        (dict(input_shape=5), ValueError, r"input_shape must be \(channels, rows, columns\), got 5"),
        (dict(input_shape=(1, 2, 5, 5)), ValueError, r"input_shape must be \(channels, rows, columns\)"),
        (
            dict(input_shape=(2, 0, 5)),
            ValueError,
            "each entry of input_shape must be a whole number of at least 1, got 0",
        ),
        (
            dict(input_shape=(2, 5.0, 5)),
            ValueError,
            "each entry of input_shape must be a whole number of at least 1, got 5.0",
        ),
        (dict(input_shape=(3, 5, 5)), ValueError, "groups=2 does not fit: .* input_shape has 3 channels"),
        (
            dict(groups=1),
            ValueError,
            "groups=1 does not fit: W has 4 output channels and 1 input channels a group",
        ),
        (dict(groups=3, input_shape=(3, 5, 5)), ValueError, "groups=3 does not fit: W has 4 output channels"),
        (dict(groups=0), ValueError, "groups must be a whole number of at least 1, got 0"),
        (dict(groups=2.0), ValueError, "groups must be a whole number of at least 1, got 2.0"),
        (dict(stride=0), ValueError, "stride must be a whole number of at least 1, got 0"),
        (dict(stride=1.0), ValueError, "stride must be a whole number of at least 1, got 1.0"),
        (dict(stride=(1, 1, 1)), ValueError, r"stride must be one whole number or two, got \(1, 1, 1\)"),
        (dict(stride=None), ValueError, "stride must be a whole number .* got None"),
        (dict(dilation=(1, 0)), ValueError, r"dilation must be a whole number of at least 1, got 0"),
        (dict(dilation=1.5), ValueError, "dilation must be a whole number of at least 1, got 1.5"),
        (dict(padding=-1), ValueError, "padding must be a whole number of at least 0, got -1"),
        (dict(padding=(0.5, 1)), ValueError, r"padding must be a whole number of at least 0, got 0.5"),
        (dict(padding="same"), ValueError, "padding must be a whole number of at least 0, got 'same'"),
        (
            dict(padding_mode="circle"),
            ValueError,
            'padding_mode must be "zeros" or "circular", got \'circle\'',
        ),
        (dict(padding_mode=None), ValueError, 'padding_mode must be "zeros" or "circular", got None'),
        (dict(dilation=3), ValueError, "kernel spans 7 entries, but input_shape has 5; padded, 5"),
        (
            dict(input_shape=(2, 2, 5)),
            ValueError,
            "kernel spans 3 entries, but input_shape has 2; padded, 2",
        ),
    ],
)
def test_bad_conv2d(change, error, message):
    with pytest.raises(error, match=message):
        conv2d(**(dict(W=KERNEL, b=BIAS, input_shape=SHAPE, groups=2) | change))


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(input_shape=(5, 5)), r"input_shape must be \(channels, rows, columns\), got \(5, 5\)"),
        (
            dict(input_shape=(2, 5, -5)),
            "each entry of input_shape must be a whole number of at least 1, got -5",
        ),
        (dict(kernel=0), "kernel must be a whole number of at least 1, got 0"),
        (dict(kernel=2.0), "kernel must be a whole number of at least 1, got 2.0"),
        (dict(kernel=None), "kernel must be a whole number .* got None"),
        (dict(kernel=6), "kernel spans 6 entries, but input_shape has 5; padded, 5"),
        (dict(kernel=(1, 6)), "kernel spans 6 entries, but input_shape has 5; padded, 5"),
        (dict(stride=0), "stride must be a whole number of at least 1, got 0"),
        (dict(stride=1.5), "stride must be a whole number of at least 1, got 1.5"),
        (
            dict(padding=2),
            r"padding must be at most half of kernel, got padding \(2, 2\) for kernel \(3, 3\)",
        ),
        (dict(kernel=(5, 3), padding=2), r"padding must be at most half of kernel, got padding \(2, 2\)"),
        (dict(padding=-1), "padding must be a whole number of at least 0, got -1"),
        (dict(padding=0.5), "padding must be a whole number of at least 0, got 0.5"),
    ],
)
@pytest.mark.parametrize("pool", [max_pool2d, average_pool2d])
def test_bad_pooling(pool, change, message):
    with pytest.raises(ValueError, match=message):
        pool(**(dict(input_shape=SHAPE, kernel=3) | change))


def test_bad_dilation_of_max_pooling():
    with pytest.raises(ValueError, match="dilation must be a whole number of at least 1, got 0"):
        max_pool2d(SHAPE, 2, dilation=0)
    with pytest.raises(ValueError, match="kernel spans 7 entries, but input_shape has 5; padded, 5"):
        max_pool2d(SHAPE, 3, dilation=3)
    with pytest.raises(
        ValueError, match=r"padding=\(0, 1\) leaves a window that sees nothing .* input_shape=\(1, 1, 4\)"
    ):
        max_pool2d((1, 1, 4), (1, 2), padding=(0, 1), dilation=(1, 5))


@pytest.mark.parametrize(
    "change, error, message",
    [
        (
            dict(variance=np.array([1.0, -0.5])),
            ValueError,
            "variance must be at least 0 in every channel, got -0.5",
        ),
        (
            dict(variance=np.array([1.0, -0.5]), eps=1.0),
            ValueError,
            "variance must be at least 0 .* got -0.5",
        ),
        (
            dict(variance=np.zeros(2), eps=0.0),
            ValueError,
            "variance must be positive .* where eps is 0, got 0",
        ),
        (dict(variance=np.ones(2) * np.nan), ValueError, "variance must be finite"),
        (dict(variance=np.ones(3)), ValueError, r"variance must have shape \(2,\), got \(3,\)"),
        (dict(mean=np.ones((2, 1))), ValueError, r"mean must have shape \(C,\), got \(2, 1\)"),
        (dict(mean=T(np.ones(2))), TypeError, r"mixed \(mean is torch, variance is numpy"),
        (dict(gamma=[1.0, 1.0]), TypeError, "gamma must be a NumPy array or a torch tensor, got list"),
        (dict(gamma=np.ones(1)), ValueError, r"gamma must have shape \(2,\), got \(1,\)"),
        (dict(delta=np.ones(2, int)), TypeError, "delta must hold floating-point numbers, got int64"),
        (dict(delta=np.ones(2) * INF), ValueError, "delta must be finite"),
        (dict(eps=-1e-5), ValueError, "eps must be a number of at least 0, got -1e-05"),
        (dict(eps=np.nan), ValueError, "eps must be a number of at least 0, got nan"),
        (dict(eps="1e-5"), ValueError, "eps must be a number of at least 0, got '1e-5'"),
        (dict(input_shape=(3, 4, 4)), ValueError, r"mean must have shape \(3,\), got \(2,\)"),
        (
            dict(input_shape=(2, 4)),
            ValueError,
            r"input_shape must be \(channels, rows, columns\), got \(2, 4\)",
        ),
        (dict(input_shape=2), ValueError, r"input_shape must be \(channels, rows, columns\), got 2"),
    ],
)
def test_bad_batch_norm(change, error, message):
    one = np.ones(2)
    with pytest.raises(error, match=message):
        batch_norm(**(dict(mean=one, variance=one, gamma=one, delta=one) | change))


@pytest.mark.parametrize("name", OPERATORS | PLAIN)
@pytest.mark.parametrize(
    "x, error, message",
    [
        (np.ones((3, 7)), ValueError, r"x must have shape \(N, 8\), got \(3, 7\)"),
        (np.ones((1, 2, 2, 2)), ValueError, r"x must have shape \(N, 8\), got \(1, 2, 2, 2\)"),
        (np.full((1, 8), np.nan), ValueError, "x must be finite"),
        (torch.ones(1, 8), TypeError, "mixed"),
    ],
)
def test_operators_refuse_bad_x(name, x, error, message):
    with pytest.raises(error, match=message):
        (OPERATORS[name](lambda shape: draw(shape, 0)[0]) if name in OPERATORS else PLAIN[name]())(x)
