"""The operators of a deep network as MASOs: dense, convolution, batch norm, ReLU, maxout, pooling.

Images are flattened in C order: the entry of channel c, row i, column j of a ``(C, H, W)`` image
is number ``(c * H + i) * W + j``. An operator with weights follows their array library, dtype and device;
one without is made of NumPy's float64: ``MASO(torch.from_numpy(m.A), torch.from_numpy(m.B))`` serves torch.
"""

from numbers import Real

import numpy as np
from array_api_compat import device

from ..checks import array_namespace, check_count, check_parameter, check_shape
from .maso import MASO


def dense(W, b):
    """Fully connected: ``x -> W x + b`` as a MASO with one piece a unit (R = 1).

    Parameters
    ----------
    W : (K, D) floating array
    b : (K,) floating array

    Examples
    --------
    >>> dense(np.array([[1.0, 2.0]]), np.array([0.5]))(np.array([[1.0, 1.0]]))
    array([[3.5]])

    Built in chapter 03.
    """
    array_namespace(W=W, b=b)
    check_parameter("W", W, "K", "D")
    check_parameter("b", b, W.shape[0])
    return MASO(W[:, None, :], b[:, None])


def relu(K):
    """ReLU on K inputs: the larger of the pieces 0 (piece 0) and u (piece 1).

    Examples
    --------
    >>> relu(1)(np.array([[-2.0], [2.0]]))
    array([[0.],
           [2.]])

    Built in chapter 03.
    """
    return leaky_relu(K, 0.0)


def leaky_relu(K, slope):
    """Leaky ReLU on K inputs: the larger of ``slope * u`` and u, with 0 <= slope < 1.

    Examples
    --------
    >>> leaky_relu(1, 0.1)(np.array([[-2.0], [2.0]]))
    array([[-0.2],
           [ 2. ]])

    Built in chapter 03.
    """
    if not isinstance(slope, Real) or not 0.0 <= slope < 1.0:
        raise ValueError(f"slope must be a number in [0, 1), got {slope!r}; above 1 it is no maximum")
    return _elementwise(K, slope, 1.0)


def absolute(K):
    """Absolute value on K inputs: the larger of -u (piece 0) and u (piece 1).

    Examples
    --------
    >>> absolute(1)(np.array([[-2.0], [2.0]]))
    array([[2.],
           [2.]])

    Built in chapter 03.
    """
    return _elementwise(K, -1.0, 1.0)


def maxout(K, R):
    """Largest of each group of R consecutive inputs: (N, K * R) to (N, K); also channel max-pooling.

    ``maxout(K, R).after(W, b)`` is a maxout layer whose pieces are the rows of W.

    Examples
    --------
    >>> maxout(2, 3)(np.array([[1.0, 5.0, 2.0, -1.0, -3.0, -2.0]]))
    array([[ 5., -1.]])

    Built in chapter 03.
    """
    K, R = check_count("K", K), check_count("R", R)
    return MASO(np.eye(K * R).reshape(K, R, K * R), np.zeros((K, R)))


def batch_norm(mean, variance, gamma, delta, eps=1e-5, input_shape=None):
    """Batch normalisation with stored statistics: affine, one piece a unit.

    ``x -> gamma (x - mean) / sqrt(variance + eps) + delta``

    Parameters
    ----------
    mean, variance, gamma, delta : (C,) floating arrays
        Stored statistics and learned scale and shift of each channel.
    eps : float
        Added to the variance.
    input_shape : tuple (C, H, W), optional
        For images: each channel's numbers serve all of its pixels. Default: one entry a channel.

    Examples
    --------
    >>> one = np.ones(1)
    >>> batch_norm(mean=2 * one, variance=one, gamma=3 * one, delta=one, eps=0.0)(np.array([[4.0]]))
    array([[7.]])

    Built in chapter 03.
    """
    parameters = {"mean": mean, "variance": variance, "gamma": gamma, "delta": delta}
    xp = array_namespace(**parameters)
    for name, value in parameters.items():
        check_parameter(name, value, mean.shape[0] if name != "mean" else "C")
    if not isinstance(eps, Real) or not 0.0 <= eps < float("inf"):
        raise ValueError(f"eps must be a number of at least 0, got {eps!r}")
    if (variance < 0).any():
        raise ValueError(f"variance must be at least 0 in every channel, got {variance.min().item():g}")
    if (variance + eps == 0).any():
        raise ValueError("variance must be positive in every channel where eps is 0, got 0")
    scale = gamma / xp.sqrt(variance + eps)
    shift = delta - scale * mean
    if input_shape is not None:
        C, H, W = _image_shape(input_shape)
        check_shape("mean", mean, C)
        channel = np.arange(C).repeat(H * W)
        scale, shift = scale[channel], shift[channel]
    diagonal = xp.eye(len(scale), dtype=scale.dtype, device=device(scale)) * scale
    return MASO(diagonal[:, None, :], shift[:, None])


def conv2d(W, b, input_shape, stride=1, padding=0, dilation=1, groups=1, padding_mode="zeros"):
    """Two-dimensional convolution as the matrix that it is, one piece a unit (R = 1).

    Cross-correlation, as in deep learning: the kernel is not flipped.

    Parameters
    ----------
    W : (C_out, C_in // groups, kernel_h, kernel_w) floating array
    b : (C_out,) floating array
    input_shape : tuple (C_in, H, W)
    stride, padding, dilation : int or pair of int
    groups : int
        Output channels see only the input channels of their own group.
    padding_mode : "zeros" or "circular"
        Circular padding makes the matrix block-circulant, zeros make it block-Toeplitz.

    Returns
    -------
    MASO from C_in * H * W to C_out * H_out * W_out

    Examples
    --------
    >>> mean_of_two = conv2d(np.full((1, 1, 1, 2), 0.5), np.zeros(1), input_shape=(1, 1, 3))
    >>> mean_of_two.A[:, 0]
    array([[0.5, 0.5, 0. ],
           [0. , 0.5, 0.5]])

    Built in chapter 03.
    """
    xp = array_namespace(W=W, b=b)
    check_parameter("W", W, "C_out", "C_in // groups", "kernel_h", "kernel_w")
    check_parameter("b", b, W.shape[0])
    C_in, H, width = _image_shape(input_shape)
    C_out, per_group, *kernel = W.shape
    groups = check_count("groups", groups)
    if C_in != per_group * groups or C_out % groups:
        raise ValueError(
            f"groups={groups} does not fit: W has {C_out} output channels and {per_group} input channels "
            f"a group, input_shape has {C_in} channels"
        )
    taps = _taps((H, width), kernel, stride, padding, dilation, padding_mode)
    places = np.arange(len(taps))
    C = xp.zeros((C_out, len(taps), C_in, H * width), dtype=W.dtype, device=device(W))
    for c in range(C_out):
        first = (c // (C_out // groups)) * per_group
        for t, pixel in enumerate(taps.T):  # one kernel entry at a time: no pixel is met twice
            seen = pixel >= 0
            C[c, places[seen], first : first + per_group, pixel[seen]] += W[c].reshape(per_group, -1)[:, t]
    channel = np.arange(C_out).repeat(len(taps))
    return MASO(C.reshape(len(channel), 1, C_in * H * width), b[channel, None])


def max_pool2d(input_shape, kernel, stride=None, padding=0, dilation=1):
    """Two-dimensional max-pooling: one piece for each entry of a window.

    Window entries that fall into the padding are absent pieces, so they never win.

    Parameters
    ----------
    input_shape : tuple (C, H, W)
    kernel, stride, padding, dilation : int or pair of int
        ``stride`` defaults to ``kernel``; ``padding`` is at most half of ``kernel``.

    Examples
    --------
    >>> max_pool2d((1, 2, 2), 2)(np.array([[1.0, 7.0, 3.0, 5.0]]))
    array([[7.]])

    Built in chapter 03.
    """
    A, absent = _windows(input_shape, kernel, stride, padding, dilation)
    if absent.all(1).any():
        raise ValueError(f"padding={padding} leaves a window that sees nothing of input_shape={input_shape}")
    return MASO(A, np.where(absent, -np.inf, 0.0))


def average_pool2d(input_shape, kernel, stride=None, padding=0):
    """Two-dimensional average pooling: affine, one piece a unit; the padding counts as zeros.

    Examples
    --------
    >>> average_pool2d((1, 2, 2), 2)(np.array([[1.0, 7.0, 3.0, 5.0]]))
    array([[4.]])

    Built in chapter 03.
    """
    A, _ = _windows(input_shape, kernel, stride, padding, 1)
    return MASO(A.mean(axis=1, keepdims=True), np.zeros((len(A), 1)))


def _windows(input_shape, kernel, stride, padding, dilation):
    """The pieces e_d of every pooling window, (K, R, D), and which of them lie in the padding."""
    C, H, W = _image_shape(input_shape)
    kernel = _pair("kernel", kernel, 1)
    padding = _pair("padding", padding, 0)
    if any(2 * p > k for p, k in zip(padding, kernel, strict=True)):
        raise ValueError(f"padding must be at most half of kernel, got padding {padding} for kernel {kernel}")
    taps = _taps((H, W), kernel, kernel if stride is None else stride, padding, dilation, "zeros")
    A = np.zeros((C, *taps.shape, C, H * W))
    place, tap = np.nonzero(taps >= 0)
    for c in range(C):
        A[c, place, tap, c, taps[place, tap]] = 1.0
    K, R = C * taps.shape[0], taps.shape[1]
    return A.reshape(K, R, C * H * W), np.tile(taps < 0, (C, 1))


def _taps(size, kernel, stride, padding, dilation, padding_mode):
    """Which pixel each kernel entry meets at each place: (places, entries), -1 in the zero padding."""
    stride, dilation = _pair("stride", stride, 1), _pair("dilation", dilation, 1)
    padding = _pair("padding", padding, 0)
    if padding_mode not in ("zeros", "circular"):
        raise ValueError(f'padding_mode must be "zeros" or "circular", got {padding_mode!r}')
    lines = []
    for n, k, s, p, d in zip(size, kernel, stride, padding, dilation, strict=True):
        span = d * (k - 1) + 1
        if span > n + 2 * p:
            raise ValueError(f"kernel spans {span} entries, but input_shape has {n}; padded, {n + 2 * p}")
        line = s * np.arange((n + 2 * p - span) // s + 1)[:, None] + d * np.arange(k) - p
        if padding_mode == "circular":
            line %= n
        lines.append(np.where((line >= 0) & (line < n), line, -1))
    rows, columns = lines[0][:, None, :, None], lines[1][None, :, None, :]
    pixel = np.where((rows < 0) | (columns < 0), -1, rows * size[1] + columns)
    return pixel.reshape(len(lines[0]) * len(lines[1]), -1)


def _elementwise(K, low, high):
    """One unit a number u, the larger of ``low * u`` and ``high * u``."""
    K = check_count("K", K)
    return MASO(np.stack([low * np.eye(K), high * np.eye(K)], axis=1), np.zeros((K, 2)))


def _pair(name, value, low):
    """A setting for rows and columns, as two integers, from one or two."""
    pair = value if isinstance(value, (tuple, list)) else (value, value)
    if len(pair) != 2:
        raise ValueError(f"{name} must be one whole number or two, got {value!r}")
    return tuple(check_count(name, v, low) for v in pair)


def _image_shape(input_shape):
    if not isinstance(input_shape, (tuple, list)) or len(input_shape) != 3:
        raise ValueError(f"input_shape must be (channels, rows, columns), got {input_shape!r}")
    return tuple(check_count("each entry of input_shape", size) for size in input_shape)
