"""The piecewise affine functions of torch, with their pieces, and the affine ones."""

from math import ceil

import torch
import torch.nn.functional as F

from .units import OPEN, Blend, Kinked, Largest, NotPiecewiseAffineError, Pool

# One builder for each function, with the names that torch gives its arguments.


def relu(input, inplace=False):
    return Kinked(input, (0,), OPEN, own=torch.relu)


def leaky_relu(input, negative_slope=0.01, inplace=False):
    return Kinked(input, (0,), (negative_slope, 1), own=lambda u: F.leaky_relu(u, negative_slope))


def prelu(input, weight):
    channels = weight if weight.numel() == 1 else weight.reshape(-1, *[1] * (input.dim() - 2))
    return Kinked(input, (0,), (channels, 1), own=lambda u: F.prelu(u, weight))


def absolute(input):
    return Kinked(input, (0,), (-1, 1))


def hardtanh(input, min_val=-1.0, max_val=1.0, inplace=False):
    return Kinked(input, (min_val, max_val), (0, 1, 0), (min_val, 0, max_val))


def relu6(input, inplace=False):
    return hardtanh(input, 0.0, 6.0)


def clamp(input, min=None, max=None):
    if min is None:
        return Kinked(input, (max,), (1, 0), (0, max))
    if max is None:
        return Kinked(input, (min,), OPEN, (min, 0))
    return hardtanh(input, min, max)


def maximum(input, other):
    shape = torch.broadcast_shapes(input.shape, other.shape)
    return Largest(torch.stack([input.expand(shape), other.expand(shape)], -1))


def amax(input, dim=(), keepdim=False):
    dims = [d % input.dim() for d in ([dim] if isinstance(dim, int) else dim)]
    if 0 in dims or not dims:
        raise NotPiecewiseAffineError("takes the largest of all points together; give it a dim after the first")
    rest = [d for d in range(input.dim()) if d not in dims]
    shape = [1 if d in dims else size for d, size in enumerate(input.shape) if keepdim or d not in dims]
    return Largest(input.permute(*rest, *dims).reshape(*shape, -1))


def max_(input, dim=(), keepdim=False, other=None):
    other = dim if isinstance(dim, torch.Tensor) else other
    return amax(input, dim, keepdim) if other is None else maximum(input, other)


def max_pool(d):
    own = getattr(F, f"max_pool{d}d")

    def builder(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
        places = []
        steps = [_each(n, d) for n in (kernel_size, stride or kernel_size, padding, dilation)]
        for size, kernel, step, pad, spread in zip(input.shape[-d:], *steps, strict=True):
            windows = (size + 2 * pad - spread * (kernel - 1) - 1) / step
            windows = (ceil(windows) if ceil_mode else int(windows)) + 1
            windows -= ceil_mode and (windows - 1) * step >= size + pad  # the last one begins inside
            at = torch.arange(windows)[:, None] * step - pad + torch.arange(kernel) * spread
            places.append(at.masked_fill((at < 0) | (at >= size), -1))
        return _pool(input, places, lambda: own(input, *steps, ceil_mode, True))

    return builder


def adaptive_max_pool(d):
    own = getattr(F, f"adaptive_max_pool{d}d")

    def builder(input, output_size, return_indices=False):
        places = []
        for size, windows in zip(input.shape[-d:], _each(output_size, d), strict=True):
            windows = windows or size
            ends = [(i * size // windows, -(-(i + 1) * size // windows)) for i in range(windows)]
            kernel = max(end - start for start, end in ends)
            places.append(torch.tensor([[*range(a, b)] + [-1] * (kernel - b + a) for a, b in ends]))
        return _pool(input, places, lambda: own(input, output_size, True))

    return builder


def _each(number, d):
    return [number] * d if isinstance(number, int) or number is None else list(number) * (d // len(number))


def _pool(input, places, own):
    """The unit with the (windows, kernel) places along each dimension."""
    at = torch.zeros(1, 1, dtype=torch.long)
    for size, place in zip(input.shape[-len(places) :], places, strict=True):
        inside = (at[:, None, :, None] >= 0) & (place >= 0)[:, None]
        at = torch.where(inside, at[:, None, :, None] * size + place[:, None], -1).flatten(2).flatten(0, 1)
    return Pool(input.flatten(-len(places)), [len(place) for place in places], at.to(input.device), own)


PIECEWISE = {
    "relu": relu, "leaky_relu": leaky_relu, "prelu": prelu, "abs": absolute, "absolute": absolute,
    "hardtanh": hardtanh, "relu6": relu6, "clamp": clamp, "clip": clamp, "clamp_min": clamp,
    "clamp_max": lambda input, max: clamp(input, None, max),
    "maximum": maximum, "max": max_, "amax": amax,
    **{f"max_pool{d}d": max_pool(d) for d in (1, 2, 3)},
    **{f"adaptive_max_pool{d}d": adaptive_max_pool(d) for d in (1, 2, 3)},
    "blend": Blend,
}  # fmt: skip

# Affine in all their tensor arguments together.
AFFINE = set(
    """copy add sub subtract rsub __rsub__ neg negative positive sum mean cat concat concatenate stack hstack vstack view
    view_as reshape reshape_as flatten unflatten ravel squeeze unsqueeze transpose swapaxes permute movedim t T mT cpu cuda
    adjoint expand expand_as broadcast_to repeat tile chunk split tensor_split unbind narrow select index_select
    take_along_dim gather __getitem__ contiguous clone alias to type_as float double roll flip diff cumsum pad
    avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d unfold fold
    pixel_shuffle pixel_unshuffle interpolate upsample constant_pad_nd diagonal tril triu where masked_fill
    """.split()
)
# Affine in each of these arguments, while the others are fixed.
PRODUCTS = {
    **dict.fromkeys("mul multiply matmul __matmul__ __rmatmul__ mm bmm mv dot inner outer linear tensordot".split(), (0, 1)),
    **{f"conv{t}{d}d": (0, 1) for d in (1, 2, 3) for t in ("", "_transpose")},
    **dict.fromkeys("addmm addmv baddbmm".split(), (1, 2)),
}
# New values in the likeness of an argument: constants if their own values are.
LIKENESS = {"to", "type_as", "expand_as", "view_as", "reshape_as"}
# What a network may ask about a tensor without looking at its numbers, and constants made in its likeness.
QUESTIONS = set(
    """shape size dim ndim ndimension numel nelement dtype device layout stride storage_offset is_contiguous __len__
    zeros_like ones_like full_like empty_like new_zeros new_ones new_full new_tensor new_empty
    is_floating_point is_complex is_cuda is_mps is_cpu is_nested is_sparse is_quantized is_mkldnn is_leaf requires_grad
    grad_fn get_device element_size itemsize nbytes __repr__ __str__ __format__ names has_names is_meta is_xpu
    """.split()
)
