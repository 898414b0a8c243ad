"""What is read off a network is compared with the network's own output."""

import torch

from .tracer import UNSEEN, flat, record, replay
from .units import NotPiecewiseAffineError

BESIDE = "beside other points the output at the first"


def neighbour(model, x):
    """A point that is not special, and then the first of the points, to see whether points are mixed.

    The first alone if there is no other, and the network takes a single one: a graph, in whose nodes it is.
    """
    pair = torch.stack([x[0] + _step(x[0]), x[0]])
    return x if len(x) == 1 and _takes_one(model, pair) else pair


def _step(point):
    return (1 + point.abs().max()) * torch.linspace(-1, 1.3, point.numel()).to(point).reshape(point.shape)


def _takes_one(model, pair):
    try:
        with torch.no_grad():
            return len(model(pair.clone())) == 1
    except Exception:  # whatever a network says to a second point
        return True


def check_affine(model, x):
    """Raise unless a network is affine when held, and seen whole; a `Trace` of two points, the last is x[0].

    Held at the pieces that it chose at these two points, it is compared beyond their regions, on lines
    through them; its output there is compared with the model's own, the two points the other way round.
    """
    pair, step = neighbour(model, x), _step(x[0]) / 2
    trace = record(model, pair)
    middle = flat(trace.output)
    there, back = (flat(replay(model, pair + sign * step, trace.pieces)) for sign in (1, -1))
    size = max(there.abs().max(), back.abs().max())
    compare(middle, flat(model(pair.flip(0))).flip(0), "the network that was seen")
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
