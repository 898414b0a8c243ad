"""How steep a network is: near a point, and at most."""

import torch

from .affine_maps import affine_map
from .comparing import neighbour
from .networks import HALVES, settled, widened
from .tracer import run
from .units import Pool


@settled()
def local_lipschitz(model, x):
    """How fast the output can change near each point: the spectral norm of A[x], for x inside a region.

    Parameters
    ----------
    model, x : as for ``affine_map``

    Returns
    -------
    (N,) tensor; none of its entries exceeds ``lipschitz_bound(model, x)``

    Examples
    --------
    >>> local_lipschitz(torch.abs, torch.tensor([[3.0, -4.0]]))
    tensor([1.])

    Built in chapter 05.
    """
    wide, points = widened(model, x)
    _steepest(wide, neighbour(wide, points))  # refuses units that bend everywhere
    A = affine_map(model, x).A
    A = A.reshape(*A.shape[:2], -1)
    return torch.linalg.matrix_norm(A.float() if A.dtype in HALVES else A, ord=2).to(A.dtype)


@settled()
def lipschitz_bound(model, x):
    """A bound on how fast the output can change anywhere: the product of the layers' spectral norms.

    An affine layer counts with the norm of its matrix, a nonlinearity with its steepest slope, a max-pooling
    with the square root of how many of its windows can share an entry.

    Source: Balestriero and Baraniuk, *Mad Max*, the Lipschitz constant of a composition of MASOs.

    Parameters
    ----------
    model : nn.Sequential, whose layers may be such chains themselves
    x : (N, *input) tensor, of which one point is used, to see the sizes

    Returns
    -------
    float

    Examples
    --------
    >>> model = torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.ReLU())
    >>> bool(lipschitz_bound(model, torch.ones(1, 1)) == model[0].weight.abs().item())
    True

    Built in chapter 05.
    """
    if not isinstance(model, torch.nn.Sequential):
        raise TypeError(
            f"model must be an nn.Sequential, whose layers form a chain, got {type(model).__name__}"
        )
    bound, x = 1.0, widened(model, x)[1][:1]
    for layer in model:
        with torch.no_grad():
            trace, slope, shares = _steepest(layer, x)
        if isinstance(layer, torch.nn.Sequential):
            bound *= lipschitz_bound(layer, x)
        elif not trace.names:
            bound *= local_lipschitz(layer, x).item()
        elif len(trace.functions) == 1 and (
            shares or trace.output.numel() <= x.numel()
        ):  # else it repeats its input
            bound *= slope
        else:
            raise TypeError(
                f"layers must be affine or a nonlinearity alone, got {type(layer).__name__} with both"
            )
        x = trace.output
    return bound


def _steepest(model, x):
    """The run, the product of its calls' steepest slopes, and whether these count shared entries."""
    slope, shares = 1.0, False

    def meet(unit, call):
        nonlocal slope, shares
        slope *= unit.steepest()
        shares = isinstance(unit, Pool)
        return unit.choose()[0]

    return run(model, x, meet), slope, shares
