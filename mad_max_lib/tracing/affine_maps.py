"""The affine map that a network applies at each input, its bias terms, and how steep it can get."""

from operator import index
from typing import NamedTuple

import torch

from .tracer import UNSEEN, Hold, check_points, flat
from .functions import PIECEWISE
from .units import NotPiecewiseAffineError

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
    """
    x, probe = check_points(model, x), Hold()
    with torch.no_grad():
        outputs = _checked_outputs(outputs, flat(probe.run(model, x[:1])).shape[1])
    by_rows = any("conv" in name for name in probe.functions)  # where batched gradients are slow
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
    hold, leaf = Hold(), x.clone().requires_grad_()
    with torch.enable_grad():
        own = flat(hold.run(model, leaf))[:, outputs]
        if by_rows:
            rows = [_gradient(row, leaf, torch.ones_like(row), retain_graph=True) for row in own.unbind(1)]
            A = torch.stack(rows, 1)
        else:
            ones = torch.eye(own.shape[1], dtype=own.dtype, device=own.device)[:, None].expand(-1, len(x), -1)
            A = _gradient(own, leaf, ones, is_grads_batched=True).transpose(0, 1)
    with torch.no_grad():
        b = flat(hold.run(model, torch.zeros_like(x)))[:, outputs]
        if hold.rewritten:
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
    dict of (N, C) tensors, in order, named after the function: ``1:linear``, ``2:conv2d``, ``3:batch_norm`` ...

    Examples
    --------
    >>> model = torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.ReLU(), torch.nn.Linear(1, 1))
    >>> x = torch.ones(1, 1)
    >>> list(bias_terms(model, x))
    ['1:linear', '2:linear']
    >>> total = sum(bias_terms(model, x).values())
    >>> torch.allclose(total, affine_map(model, x).b)
    True
    """
    x = check_points(model, x)
    probing = _Probing()
    with torch.no_grad():
        probing.run(model, x)
    probing.constants = []
    with torch.enable_grad():
        values = flat(probing.run(model, torch.zeros_like(x).requires_grad_()))
        names, probes, constants = zip(*probing.constants, strict=True) if probing.constants else ((), (), ())
        terms = {f"{number}:{name}": [] for number, name in enumerate(names, 1)}
        for c in _checked_outputs(outputs, values.shape[1]):
            column = values[:, c]
            gradients = torch.autograd.grad(column, probes, torch.ones_like(column), retain_graph=True) if probes else ()
            for term, gradient, constant in zip(terms.values(), gradients, constants, strict=True):
                term.append(flat(gradient * constant).sum(1))
    return {name: torch.stack(columns, 1) for name, columns in terms.items()}


class _Probing(Hold):
    """Once ``constants`` is a list, adds a probe, zero, to the output of every function that adds a constant."""

    constants = None

    def affine(self, name, inplace, func, args, kwargs):
        return self._probed(name, inplace, func, args, kwargs, super().affine(name, inplace, func, args, kwargs))

    def piecewise(self, name, inplace, args, kwargs):
        def held(*args, **kwargs):
            return PIECEWISE[name](*args, **kwargs).held(self.pieces[len(self.names) - 1])

        return self._probed(name, inplace, held, args, kwargs, super().piecewise(name, inplace, args, kwargs))

    def _probed(self, name, inplace, func, args, kwargs, output):
        if self.constants is None or not isinstance(output, torch.Tensor):
            return output
        args, kwargs = self.changed((args, kwargs), torch.zeros_like)
        constant = func(*args, **kwargs)
        if not constant.any():
            return output
        probe = torch.zeros_like(output).requires_grad_()
        self.constants.append((name, probe, constant.detach()))
        return self._mark(output.add_(probe) if inplace else output + probe)


def local_lipschitz(model, x):
    """How fast the output can change near each point: the spectral norm of A[x], for points x inside a region.

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
    """
    _Steepest().run(model, check_points(model, x)[:1])  # refuses units that bend everywhere
    A = affine_map(model, x).A
    return torch.linalg.matrix_norm(A.reshape(*A.shape[:2], -1), ord=2)


def lipschitz_bound(model, x):
    """A bound on how fast the output can change anywhere: the product of the layers' spectral norms.

    An affine layer counts with the norm of its matrix, a nonlinearity with its steepest slope, a max-pooling with
    the square root of how many of its windows can share an entry.

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
    """
    if not isinstance(model, torch.nn.Sequential):
        raise TypeError(f"model must be an nn.Sequential, whose layers form a chain, got {type(model).__name__}")
    bound, x, steepest = 1.0, check_points(model, x)[:1], _Steepest()
    for layer in model:
        with torch.no_grad():
            after = steepest.run(layer, x)
        if isinstance(layer, torch.nn.Sequential):
            bound *= lipschitz_bound(layer, x)
        else:
            spread = after.numel() > x.numel() and "pool" not in steepest.functions[0]  # by broadcasting
            if steepest.names and (len(steepest.functions) > 1 or spread):
                raise TypeError(f"layers must be affine or a nonlinearity alone, got {type(layer).__name__} with both")
            bound *= steepest.slope if steepest.names else local_lipschitz(layer, x).item()
        x, steepest = after, _Steepest()
    return bound


class _Steepest(Hold):
    """The product of the steepest slopes of the nonlinear calls."""

    slope = 1.0

    def meet(self, unit):
        self.slope *= unit.steepest()
        return super().meet(unit)
