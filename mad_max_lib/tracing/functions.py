"""The table of torch's functions that bend numbers at fixed places or keep the largest of several.

To add a function write a row of ``PIECEWISE``: what builds its units. Functions that are made of these have
a row in ``rewriting.py``; those that are affine need none: ``operations.py`` looks inside them.
"""

from collections.abc import Callable
from math import ceil, inf, isinf
from numbers import Number
from typing import NamedTuple

import torch
import torch.nn.functional as F

from .blends import Blend
from .units import OPEN, Kinked, Largest, Ordered, Pool, Reason

# One builder for each function, with the names that torch gives its arguments.


def relu(input, inplace=False):
    return Kinked(input, (0,), OPEN, torch_form=torch.relu)


def leaky_relu(input, negative_slope=0.01, inplace=False):
    return Kinked(input, (0,), (negative_slope, 1), torch_form=lambda u: F.leaky_relu(u, negative_slope))


def prelu(input, weight):
    channels = weight if weight.numel() == 1 else weight.reshape(-1, *[1] * (input.dim() - 2))
    return Kinked(input, (0,), (channels, 1), torch_form=lambda u: F.prelu(u, weight))


def absolute(input):
    return Kinked(input, (0,), (-1, 1))


def hardtanh(input, min_val=-1.0, max_val=1.0, inplace=False):
    return Kinked(input, (min_val, max_val), (0, 1, 0), (min_val, 0, max_val))


def relu6(input, inplace=False):
    return hardtanh(input, 0.0, 6.0)


def hardsigmoid(input, inplace=False):
    return Kinked(input, (-3, 3), (0, 1 / 6, 0), (0, 0.5, 1))


def softshrink(input, lambd=0.5):
    return Kinked(input, (-lambd, lambd), (1, 0, 1), (lambd, 0, -lambd))


def threshold(input, threshold, value, inplace=False):
    if value != threshold:
        raise Reason(f"jumps at {threshold} from {value}; only threshold(x, t, t) is continuous")
    return clamp(input, threshold)


def rrelu(input, lower=1 / 8, upper=1 / 3, training=False, inplace=False):
    if training:
        raise Reason("is active and random; call model.eval()")
    return leaky_relu(input, (lower + upper) / 2)


def clamp(input, min=None, max=None):
    if min is not None and max is not None and torch.as_tensor(min > max).any():  # there it is max everywhere
        crossed = torch.as_tensor(min > max, device=input.device)
        min = torch.where(crossed, -inf, min)
        return Kinked(
            input, (min, torch.where(crossed, -inf, max)), (0, 1, 0), (_finite(min), 0, _finite(max))
        )
    if min is None:
        return Kinked(input, (_kink(max),), (1, 0), (0, _finite(max)))
    if max is None:
        return Kinked(input, (_kink(min),), OPEN, (_finite(min), 0))
    return Kinked(input, (_kink(min), _kink(max)), (0, 1, 0), (_finite(min), 0, _finite(max)))


def _kink(bound):
    """A bound, in a tensor if it is infinite."""
    return torch.tensor(bound) if isinstance(bound, Number) and isinf(bound) else bound


def _finite(bound):
    """The output at a bound; 0 if the bound is infinite, so that there is no output."""
    if isinstance(bound, Number):
        return 0 if isinf(bound) else bound
    return bound.masked_fill(bound.isinf(), 0)


def maximum(input, other):
    shape = torch.broadcast_shapes(input.shape, other.shape)
    return Largest(torch.stack([input.expand(shape), other.expand(shape)], -1))


ALL_POINTS = "takes the largest of all points together; give it a dim after the first"


def amax(input, dim=(), keepdim=False):
    dims = [d % input.dim() for d in ([dim] if isinstance(dim, int) else dim or ())]
    if 0 in dims or not dims:
        raise Reason(ALL_POINTS)
    rest = [d for d in range(input.dim()) if d not in dims]
    shape = [1 if d in dims else size for d, size in enumerate(input.shape) if keepdim or d not in dims]
    return Largest(input.permute(*rest, *dims).reshape(*shape, -1))


def max_(input, dim=(), keepdim=False, other=None):
    other = dim if isinstance(dim, torch.Tensor) else other
    return amax(input, dim, keepdim) if other is None else maximum(input, other)


def max_pool(d):
    pool = getattr(F, f"max_pool{d}d")

    def builder(
        input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False
    ):
        places = []
        steps = [_each(n, d) for n in (kernel_size, stride or kernel_size, padding, dilation)]
        for size, kernel, step, pad, spread in zip(input.shape[-d:], *steps, strict=True):
            windows = (size + 2 * pad - spread * (kernel - 1) - 1) / step
            windows = (ceil(windows) if ceil_mode else int(windows)) + 1
            windows -= ceil_mode and (windows - 1) * step >= size + pad  # the last one begins inside
            at = torch.arange(windows)[:, None] * step - pad + torch.arange(kernel) * spread
            places.append(at.masked_fill((at < 0) | (at >= size), -1))
        return _pool(input, places, lambda: pool(input, *steps, ceil_mode, True))

    return builder


def adaptive_max_pool(d):
    pool = getattr(F, f"adaptive_max_pool{d}d")

    def builder(input, output_size, return_indices=False):
        places = []
        for size, windows in zip(input.shape[-d:], _each(output_size, d), strict=True):
            windows = windows or size
            ends = [(i * size // windows, -(-(i + 1) * size // windows)) for i in range(windows)]
            kernel = max(end - start for start, end in ends)
            places.append(torch.tensor([[*range(a, b)] + [-1] * (kernel - b + a) for a, b in ends]))
        return _pool(input, places, lambda: pool(input, output_size, True))

    return builder


def _each(number, d):
    return [number] * d if isinstance(number, int) or number is None else list(number) * (d // len(number))


def _pool(input, places, pool):
    """The unit with the (windows, kernel) places along each dimension."""
    at = torch.zeros(1, 1, dtype=torch.long)
    for size, place in zip(input.shape[-len(places) :], places, strict=True):
        inside = (at[:, None, :, None] >= 0) & (place >= 0)[:, None]
        at = torch.where(inside, at[:, None, :, None] * size + place[:, None], -1).flatten(2).flatten(0, 1)
    return Pool(input.flatten(-len(places)), [len(place) for place in places], at.to(input.device), pool)


def fractional_max_pool2d(
    input, kernel_size, output_size, output_ratio=None, return_indices=False, _random_samples=None
):
    if _random_samples is None or not (_random_samples == _random_samples[:1]).all() or output_size is None:
        raise Reason("is random; give it an output_size, and _random_samples that are equal for all points")
    H, W = input.shape[-2:]
    sizes = _each(output_size, 2)
    windows = []
    for c, samples in enumerate(_random_samples[0].flip(1).tolist()):  # the width comes first
        ways = zip((H, W), _each(kernel_size, 2), sizes, samples, strict=True)
        rows, columns = (_fractions(*way) for way in ways)
        windows += [[(c * H + i) * W + j for i in row for j in column] for row in rows for column in columns]
    return Pool(input.flatten(1), (input.shape[1], *sizes), torch.tensor(windows, device=input.device))


def _fractions(size, kernel, windows, sample):
    """The places in each of the windows that torch spreads over one dimension by a number from 0 to 1."""
    step = (size - kernel) / (windows - 1) if windows > 1 else 0
    begins = [int((i + sample) * step) - int(sample * step) for i in range(windows - 1)] + [size - kernel]
    return [range(begin, begin + kernel) for begin in begins]


class Piecewise(NamedTuple):
    """A piecewise affine function of torch."""

    build: Callable  # from torch's arguments to the unit
    inputs: int = 1  # how many of its tensors may depend on the network's input
    places: Callable = lambda call: call.kwargs.get(
        "return_indices", False
    )  # whether torch gives indices, too


PIECEWISE = {
    "relu": Piecewise(relu),
    "leaky_relu": Piecewise(leaky_relu),
    "prelu": Piecewise(prelu),
    "abs": Piecewise(absolute),
    "absolute": Piecewise(absolute),
    "hardtanh": Piecewise(hardtanh),
    "relu6": Piecewise(relu6),
    "hardsigmoid": Piecewise(hardsigmoid),
    "softshrink": Piecewise(softshrink),
    "threshold": Piecewise(threshold),
    "rrelu": Piecewise(rrelu),
    "clamp": Piecewise(clamp),
    "clip": Piecewise(clamp),
    "clamp_min": Piecewise(clamp),
    "clamp_max": Piecewise(lambda input, max: clamp(input, None, max)),
    "maximum": Piecewise(maximum, inputs=2),
    "max": Piecewise(max_, inputs=2, places=lambda call: len(call.tensors()) == 1),
    "amax": Piecewise(amax),
    **{f"max_pool{d}d": Piecewise(max_pool(d)) for d in (1, 2, 3)},
    **{f"adaptive_max_pool{d}d": Piecewise(adaptive_max_pool(d)) for d in (1, 2, 3)},
    "fractional_max_pool2d": Piecewise(fractional_max_pool2d),
    "largest_of": Piecewise(lambda values, windows: Pool(values, (len(windows),), windows)),
    "ordered": Piecewise(Ordered),
    "blend": Piecewise(Blend, inputs=2),
}
