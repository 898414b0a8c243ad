"""What is read off a network is compared with the network's own output."""

import torch

from .tracer import UNSEEN, flat, record, replay
from .units import NotPiecewiseAffineError

BESIDE = "beside other points the output at the first"


def neighbour(x):
    """A point that is not special, and then the first of the points, to see whether points are mixed."""
    step = torch.linspace(-1, 1.3, x[0].numel()).to(x).reshape(x[0].shape)
    return torch.stack([x[0] + step * (1 + x[0].abs().max()), x[0]])


def check_affine(model, x):
    """Raise unless a network is affine when held, and is seen whole; a `Trace` of a point and another.

    Held at the pieces that it chose at these two points, it is compared beyond their regions, on lines
    through them; its output there is compared with the model's own.
    """
    pair = neighbour(x)
    trace = record(model, pair)
    middle, step = flat(trace.output), pair.diff(dim=0) / 2
    there, back = (flat(replay(model, pair + sign * step, trace.pieces)) for sign in (1, -1))
    size = max(there.abs().max(), back.abs().max())
    compare(middle, flat(model(pair.clone())), "the network that was seen")
    compare(
        (there + back) / 2, middle, "held at the pieces it chose, the network is not affine: its mean", size
    )
    return trace


def compare(found, own, what, size=0.0):
    """Raise where what was found is not the model's own output, up to rounding of numbers of this size."""
    error = (found - own).abs()
    allowed = 200 * torch.finfo(own.dtype).eps * (size + own.abs().max())
    if not (error <= allowed).all():
        raise NotPiecewiseAffineError(
            f"{what} differs from the model's own output by {error.max().item():.1e}: {UNSEEN}"
        )
