"""The affine map that a network applies at each input, its bias terms, and how steep it can get."""

from operator import index
from typing import NamedTuple

import torch

from .tracer import UNSEEN, check_points, flat, record, replay, run
from .units import NotPiecewiseAffineError, Pool

CHUNK = 2**26


class AffineMap(NamedTuple):
    """``A`` (N, C, *input) and ``b`` (N, C), one matrix and one vector for each of N points."""

    A: torch.Tensor
    b: torch.Tensor

    def __call__(self, x):
        """The outputs ``A x + b``, (N, C), for N points x."""
        A = self.A.reshape(*self.A.shape[:2], -1)
        return (A @ x.reshape(len(x), -1, 1))[..., 0] + self.b


def affine_map(model, x, outputs=None):
    """The matrix A[x] and the vector b[x] with ``A x + b = model(x)``, for each point.

    The network runs once to record which piece every unit chose, and is then held at these pieces. A is the
    derivative of the held network and b its value at zero, so that ``A x + b = model(x)`` is a test, which is
    always made. Ties go to the lowest piece, also where automatic differentiation says something else.

    Raises ``NotPiecewiseAffineError`` if a function on the way is not piecewise affine, or A x + b is not the
    model's own output. Source: Balestriero and Baraniuk, *Mad Max*, the affine formula of whole networks.

    Parameters
    ----------
    model : nn.Module or callable, continuous and piecewise affine, in eval mode
        Maps (N, *input) to (N, C), or to more axes that are flattened into C.
    x : (N, *input) tensor
    outputs : list of int, which of the C outputs are wanted; all of them by default

    Returns
    -------
    AffineMap
        ``A`` (N, C, *input) and ``b`` (N, C), with the dtype and device of the network's output.

    Examples
    --------
    >>> A, b = affine_map(torch.relu, torch.tensor([[-1.0, 2.0]]))
    >>> A
    tensor([[[0., 0.],
             [0., 1.]]])

    Built in chapter 04.
    """
    x = check_points(model, x)
    with torch.no_grad():
        probe = record(model, x[:1])
    outputs = _checked_outputs(outputs, flat(probe.output).shape[1])
    by_rows = probe.convolves  # where batched gradients are slow
    parts = [_held(model, part, outputs, by_rows) for part in x.split(max(1, CHUNK // probe.bytes))]
    return AffineMap(*(parts[0] if len(parts) == 1 else map(torch.cat, zip(*parts, strict=True))))


def _checked_outputs(outputs, C):
    if outputs is None:
        return list(range(C))
    try:
        outputs = [index(c) for c in outputs]
    except TypeError:
        raise TypeError(f"outputs must be a list of whole numbers, got {outputs!r}") from None
    if not outputs or not all(0 <= c < C for c in outputs):
        raise ValueError(f"outputs must name one or more of the outputs 0 to {C - 1}, got {outputs}")
    return outputs


def _held(model, x, outputs, by_rows):
    """A and b of a few points."""
    if x.dim() == 4:
        x = x.contiguous(memory_format=torch.channels_last)  # convolutions run several times faster
    leaf = x.clone().requires_grad_()
    with torch.enable_grad():
        trace = record(model, leaf)
        own = flat(trace.output)[:, outputs]
        if by_rows:
            rows = [_gradient(row, leaf, torch.ones_like(row), retain_graph=True) for row in own.unbind(1)]
            A = torch.stack(rows, 1)
        else:
            ones = torch.eye(own.shape[1], dtype=own.dtype, device=own.device)[:, None].expand(-1, len(x), -1)
            A = _gradient(own, leaf, ones, is_grads_batched=True).transpose(0, 1)
    with torch.no_grad():
        b = flat(replay(model, torch.zeros_like(x), trace.pieces))[:, outputs]
        if trace.rewritten:
            own = flat(model(x.clone()))[:, outputs]
        _compare(AffineMap(A, b), x, own.detach())
    return A, b


def _gradient(values, leaf, ones, **how):
    return torch.autograd.grad(values, leaf, ones, materialize_grads=True, **how)[0]


def _compare(affine, x, own):
    """Raise where A x + b is not the model's own output, up to rounding of numbers of this size."""
    error = (affine(x) - own).abs()
    size = affine.A.norm() * x.norm() / len(x) + affine.b.abs().max() + own.abs().max()
    allowed = 200 * torch.finfo(own.dtype).eps * size
    if not (error <= allowed).all():
        raise NotPiecewiseAffineError(
            f"A x + b differs from the model's own output by {error.max().item():.1e}: {UNSEEN}"
        )


def bias_terms(model, x, outputs=None):
    """What each function that adds a constant contributes to b[x]; the terms sum to b[x].

    A bias enters at its layer and is carried to the output by the pieces that x chose behind it.

    Parameters
    ----------
    model, x, outputs : as for ``affine_map``

    Returns
    -------
    dict of (N, C) tensors, in order, named after the function: ``1:linear``, ``2:conv2d``, and so on

    Examples
    --------
    >>> model = torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.ReLU(), torch.nn.Linear(1, 1))
    >>> x = torch.ones(1, 1)
    >>> list(bias_terms(model, x))
    ['1:linear', '2:linear']
    >>> total = sum(bias_terms(model, x).values())
    >>> torch.allclose(total, affine_map(model, x).b)
    True

    Built in chapter 04.
    """
    x = check_points(model, x)
    with torch.no_grad():
        pieces = record(model, x).pieces
    names, probes, constants = [], [], []

    def probed(call, output, at_zero):
        """The output with a probe added, a zero to differentiate by, if the call adds a constant."""
        if not at_zero.any():
            return output
        names.append(f"{len(names) + 1}:{call.name}")
        probes.append(torch.zeros_like(output).requires_grad_())
        constants.append(at_zero.detach())
        return output + probes[-1]

    def meet(unit, call):
        held = pieces[call.index]
        return probed(call, unit.held(held), call.at_zero().unit().held(held))

    def pass_on(call):
        at_zero, output = call.at_zero().result(), call.result()
        return probed(call, output, at_zero) if isinstance(output, torch.Tensor) else output

    with torch.enable_grad():
        values = flat(run(model, torch.zeros_like(x).requires_grad_(), meet, pass_on).output)
        terms = {name: [] for name in names}
        for c in _checked_outputs(outputs, values.shape[1]):
            column = values[:, c]
            gradients = (
                torch.autograd.grad(column, probes, torch.ones_like(column), retain_graph=True)
                if probes
                else ()
            )
            for term, gradient, constant in zip(terms.values(), gradients, constants, strict=True):
                term.append(flat(gradient * constant).sum(1))
    return {name: torch.stack(columns, 1) for name, columns in terms.items()}


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
    _steepest(model, check_points(model, x)[:1])  # refuses units that bend everywhere
    A = affine_map(model, x).A
    return torch.linalg.matrix_norm(A.reshape(*A.shape[:2], -1), ord=2)


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
    bound, x = 1.0, check_points(model, x)[:1]
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
