"""The affine map that a network applies at each input, and its bias terms."""

import logging
from dataclasses import replace
from operator import index
from typing import NamedTuple

import torch

from .comparing import BESIDE, check_affine, compare, neighbour
from .networks import laid_out, settled, widened
from .operations import HALVES
from .tracer import flat, record, replay, run

logger = logging.getLogger(__name__)
CHUNK = 2**26  # bytes of what is computed on the way, at a time


class AffineMap(NamedTuple):
    """``A`` (N, C, *input) and ``b`` (N, C), one matrix and one vector for each of N points."""

    A: torch.Tensor
    b: torch.Tensor

    def __call__(self, x):
        """The outputs ``A x + b``, (N, C), for N points x."""
        A = self.A.reshape(*self.A.shape[:2], -1)
        return (A @ x.reshape(len(x), -1, 1))[..., 0] + self.b


@settled()
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

    Built in chapter 06.
    """
    given, (model, x) = x, widened(model, x)
    with torch.no_grad():
        probe = record(model, neighbour(model, x))
        if probe.asked:
            check_affine(model, x)
    x = laid_out(x, probe)
    outputs = _checked_outputs(outputs, flat(probe.output).shape[1])
    parts = [_held(model, part, outputs, probe) for part in x.split(max(1, 2 * CHUNK // probe.bytes))]
    compare(flat(probe.output)[-1:, outputs], parts[0][2][:1], BESIDE)
    A, b, _ = parts[0] if len(parts) == 1 else map(torch.cat, zip(*parts, strict=True))
    return AffineMap(A.to(given.dtype), b.to(given.dtype)) if given.dtype in HALVES else AffineMap(A, b)


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


def _held(model, x, outputs, probe, keep=False):
    """A and b of a few points, and their outputs."""
    leaf = x.clone().requires_grad_()
    with torch.enable_grad():
        trace = record(model, leaf, keep=keep)
        own = flat(trace.output)[:, outputs]
        try:
            A = _rows(own, leaf, probe)
        except RuntimeError as error:
            if keep:
                raise
            logger.info("gradients one by one, from copies of what the network overwrites: %s", error)
            return _held(model, x, outputs, replace(probe, bytes=CHUNK * 4), keep=True)
    with torch.no_grad():
        b = flat(replay(model, torch.zeros_like(x), trace.pieces))[:, outputs]
        if trace.rewritten:
            own = flat(model(x.clone(memory_format=torch.contiguous_format)))[:, outputs]
        affine = AffineMap(A, b)
        size = A.norm() * x.norm() / len(x) + b.abs().max()
        compare(affine(x), own.detach(), "A x + b", size)
    return A, b, own.detach()


def _rows(own, leaf, probe):
    """The gradients of all outputs: one by one, or several at once where that is fast and there is room."""
    several = max(1, 2 * CHUNK // (probe.bytes * len(leaf)))
    if probe.convolves or several == 1:
        return torch.stack([_gradient(row, leaf, torch.ones_like(row)) for row in own.unbind(1)], 1)
    ones = torch.eye(own.shape[1], dtype=own.dtype, device=own.device)[:, None].expand(-1, len(leaf), -1)
    rows = [_gradient(own, leaf, part, is_grads_batched=True) for part in ones.split(several)]
    return torch.cat(rows).transpose(0, 1)


def _gradient(values, leaf, ones, **how):
    return torch.autograd.grad(values, leaf, ones, retain_graph=True, materialize_grads=True, **how)[0]


@settled()
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

    Built in chapter 07.
    """
    given, (model, x) = x, widened(model, x)
    with torch.no_grad():
        pair = check_affine(model, x)
        x = laid_out(x, pair)
        trace = record(model, x)
        compare(flat(trace.output)[:1], flat(pair.output)[-1:], BESIDE)
    pieces = trace.pieces
    try:
        terms, total, b = _terms(model, x, pieces, outputs)
    except RuntimeError as error:
        if "inplace" not in str(error):
            raise
        terms, total, b = _terms(model, x, pieces, outputs, keep=True)
    compare(total, b, "the sum of the terms", sum(term.abs().max() for term in terms.values()))
    return {name: term.to(given.dtype) for name, term in terms.items()} if given.dtype in HALVES else terms


def _terms(model, x, pieces, outputs, keep=False):
    """The terms, their sum, and b."""
    names, probes, constants = [], [], []

    def probed(call, output, at_zero):
        """The output with a probe added, a zero to differentiate by, if the call adds a constant."""
        if not at_zero.any():
            return output
        names.append(f"{len(names) + 1}:{call.name}")
        probes.append(torch.zeros_like(output).requires_grad_())
        constants.append(at_zero.detach().masked_fill(at_zero.isinf(), 0))  # a candidate that is absent
        return output + probes[-1]

    def meet(unit, call):
        held = pieces[call.index]
        return probed(call, unit.held(held), call.at_zero().unit().held(held))

    def pass_on(call):
        at_zero, output = call.at_zero().result(), call.result()
        plain = isinstance(output, torch.Tensor) and not call.constant
        return probed(call, output, at_zero) if plain else output

    with torch.enable_grad():
        at_zero = torch.zeros_like(x).requires_grad_()
        values = flat(run(model, at_zero, meet, pass_on, keep=keep).output)
        terms = {name: [] for name in names}
        outputs = _checked_outputs(outputs, values.shape[1])
        for c in outputs:
            column = values[:, c]
            how = dict(retain_graph=True, materialize_grads=True)
            gradients = torch.autograd.grad(column, probes, torch.ones_like(column), **how) if probes else ()
            for term, gradient, constant in zip(terms.values(), gradients, constants, strict=True):
                term.append((gradient * constant).reshape(len(x), -1).sum(1))
    terms = {name: torch.stack(columns, 1) for name, columns in terms.items()}
    b = values[:, outputs].detach()
    return terms, sum(terms.values(), torch.zeros_like(b)), b
