"""Tables of torch's functions: which are piecewise affine, with which pieces; which are affine, and when.

To add a function write a row of a table:

    PIECEWISE  if it bends each number at fixed places, or keeps the largest of several: what builds its units
    REWRITTEN  if it is made of functions that are in the tables: how
    AFFINE     if it is affine: the rule that tells when
"""

from collections.abc import Callable
from math import ceil
from typing import NamedTuple

import torch
import torch.nn.functional as F

from .units import OPEN, Blend, Kinked, Largest, NotPiecewiseAffineError, Pool

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
        raise NotPiecewiseAffineError(
            "takes the largest of all points together; give it a dim after the first"
        )
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
    "clamp": Piecewise(clamp),
    "clip": Piecewise(clamp),
    "clamp_min": Piecewise(clamp),
    "clamp_max": Piecewise(lambda input, max: clamp(input, None, max)),
    "maximum": Piecewise(maximum, inputs=2),
    "max": Piecewise(max_, inputs=2, places=lambda call: len(call.tensors()) == 1),
    "amax": Piecewise(amax),
    **{f"max_pool{d}d": Piecewise(max_pool(d)) for d in (1, 2, 3)},
    **{f"adaptive_max_pool{d}d": Piecewise(adaptive_max_pool(d)) for d in (1, 2, 3)},
    "blend": Piecewise(Blend, inputs=2),
}


# Functions in terms of others.


def rnn_relu_cell(x, h, W, W_rec, b=None, b_rec=None):
    return torch.relu(F.linear(x, W, b) + F.linear(h, W_rec, b_rec))


def rnn_relu(x, h, weights, has_biases, num_layers, dropout, training, bidirectional, batch_first):
    """torch's fused recurrent ReLU network, written out step by step."""
    if dropout > 0 and training:
        raise NotPiecewiseAffineError("rnn_relu applies active dropout between its layers; call model.eval()")
    time, size, last = (1 if batch_first else 0), 4 if has_biases else 2, []
    for layer in range(num_layers):
        outputs = []
        for way in range(1 + bidirectional):
            k = layer * (1 + bidirectional) + way
            state, states, steps = h[k], [], list(x.unbind(time))
            for step in reversed(steps) if way else steps:
                state = rnn_relu_cell(step, state, *weights[size * k : size * (k + 1)])
                states.append(state)
            last.append(state)
            outputs.append(torch.stack(states[::-1] if way else states, time))
        x = torch.cat(outputs, -1)
    return x, torch.stack(last)


REWRITTEN = {
    "rnn_relu": rnn_relu,
    "rnn_relu_cell": rnn_relu_cell,
    "minimum": lambda input, other: -torch.maximum(-input, -other),
}


# When a function is affine in what depends on the input: a rule tells what is wrong with a call, or nothing.


def together(call):
    """Affine in all tensor arguments together."""


def product(*factors):
    """Affine in each of these arguments while the others are fixed."""

    def rule(call):
        those = [call.args[i] for i in factors if i < len(call.args)]
        if call.dependent((those, {key: value for key, value in call.kwargs.items() if key != "bias"})) > 1:
            return "multiplies two tensors that both depend on the input"

    return rule


def product_of_all(call):
    if call.dependent() > 1:
        return "multiplies two tensors that both depend on the input"


def division(call):
    if call.dependent(call.argument(1, "other")) or call.kwargs.get("rounding_mode"):
        return "divides by what depends on the input, or rounds"


def batch_norm(call):
    if call.in_training:
        return
    if call.kwargs.get("training") or call.args[1] is None:
        return "uses the statistics of the batch; call model.eval(), with stored statistics"
    return product_of_all(call)


def dropout(call):
    if not call.in_training and call.argument(1, "p", True) > 0 and call.argument(2, "training", True):
        return "is active and random; call model.eval()"


def conversion(call):
    if any(
        isinstance(a, torch.dtype) and not a.is_floating_point for a in [*call.args, *call.kwargs.values()]
    ):
        return "is not known to be affine or continuous and piecewise affine"


def _each_name(names, rule):
    return dict.fromkeys(names.split(), rule)


CONVOLUTIONS = {f"conv{transposed}{d}d" for d in (1, 2, 3) for transposed in ("", "_transpose")}
AFFINE = {
    **_each_name(
        """
        copy add sub subtract rsub __rsub__ neg negative positive sum mean cat concat concatenate stack hstack
        vstack view view_as reshape reshape_as flatten unflatten ravel squeeze unsqueeze transpose swapaxes
        permute movedim t T mT cpu cuda adjoint expand expand_as broadcast_to repeat tile chunk split
        tensor_split unbind narrow select index_select take_along_dim gather __getitem__ contiguous clone
        alias type_as float double roll flip diff cumsum pad avg_pool1d avg_pool2d avg_pool3d
        adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d unfold fold pixel_shuffle pixel_unshuffle
        interpolate upsample constant_pad_nd diagonal tril triu where masked_fill""",
        together,
    ),
    "to": conversion,
    **_each_name(
        "mul multiply matmul __matmul__ __rmatmul__ mm bmm mv dot inner outer linear tensordot", product(0, 1)
    ),
    **dict.fromkeys(CONVOLUTIONS, product(0, 1)),
    **_each_name("addmm addmv baddbmm", product(1, 2)),
    "einsum": product_of_all,
    **_each_name("div divide true_divide", division),
    "batch_norm": batch_norm,
    **_each_name(
        "dropout dropout1d dropout2d dropout3d alpha_dropout feature_dropout feature_alpha_dropout", dropout
    ),
}
# These take the likeness of an argument and the values of the first: constants, if that is one.
LIKENESS = {"to", "type_as", "expand_as", "view_as", "reshape_as"}
# What a network may ask about a tensor without looking at its numbers, and constants made in its likeness.
QUESTIONS = set(
    """
    shape size dim ndim ndimension numel nelement dtype device layout stride storage_offset is_contiguous
    __len__ zeros_like ones_like full_like empty_like new_zeros new_ones new_full new_tensor new_empty
    is_floating_point is_complex is_cuda is_mps is_cpu is_nested is_sparse is_quantized is_mkldnn is_leaf
    requires_grad grad_fn get_device element_size itemsize nbytes __repr__ __str__ __format__ names has_names
    is_meta is_xpu
    """.split()
)
