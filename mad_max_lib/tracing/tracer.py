"""The one tracer: it runs a network and meets every nonlinear call on the way, in order.

Whatever makes a nonlinear call (a module, a function, a method, in place or not), torch reports it to a
``TorchFunctionMode``. Tensors that come from the network's input carry a mark, so that a call on constants is
left alone, and a function that is neither affine nor piecewise affine in what is marked is refused.

    model(x) ── function ── marked? ─ no ─▶ torch
                                └ yes ─┬─ in REWRITTEN ─▶ other functions, which are met in turn
                                       ├─ in PIECEWISE ─▶ its unit ─▶ meet(unit, call) ─▶ output, marked
                                       ├─ in AFFINE ────▶ pass_on(call) ──────────────────▶ output, marked
                                       └─ else ─────────▶ NotPiecewiseAffineError

``record`` runs and notes the piece that each unit chose; ``replay`` runs with the pieces held, which makes
the network affine. Cutting, softening and the rest are callbacks of ``run``.
"""

from dataclasses import dataclass, field
from itertools import count

import torch
from torch.overrides import TorchFunctionMode

from ..checks import check_input
from .functions import AFFINE, CONVOLUTIONS, LIKENESS, PIECEWISE, QUESTIONS, REWRITTEN
from .units import NotPiecewiseAffineError

UNSEEN = "it computes something that could not be seen, or one point's output depends on another point"


@dataclass
class Trace:
    """What a run met."""

    output: torch.Tensor | None = None
    names: list = field(default_factory=list)  # the nonlinear calls, numbered from 1: "1:relu"
    pieces: list = field(
        default_factory=list
    )  # the piece of every unit, one tensor a call, if it was recorded
    functions: list = field(default_factory=list)  # all functions of what comes from the input
    rewritten: bool = False  # whether a call's result was not computed by torch's own function
    bytes: int = 1  # of all tensors made on the way

    @property
    def convolves(self):
        return not CONVOLUTIONS.isdisjoint(self.functions)


def record(model, x):
    """Run a network and note which piece each unit chose: a `Trace`.

    Examples
    --------
    >>> record(torch.relu, torch.tensor([[-1.0, 2.0]])).pieces
    [tensor([[0, 1]], dtype=torch.uint8)]
    """
    pieces = []

    def meet(unit, call):
        output, chosen = unit.choose()
        pieces.append(chosen)
        return output

    trace = run(model, x, meet)
    trace.pieces = pieces
    return trace


def replay(model, x, pieces):
    """The output of a network with its units held at these pieces: affine in x.

    Examples
    --------
    >>> pieces = record(torch.relu, torch.tensor([[-1.0, 2.0]])).pieces
    >>> replay(torch.relu, torch.tensor([[3.0, 3.0]]), pieces)  # unit 0 was closed, and is held closed
    tensor([[0., 3.]])
    """
    return run(model, x, lambda unit, call: unit.held(pieces[call.index])).output


def run(model, x, meet, pass_on=None, see=None, in_training=False):
    """Run a network with callbacks.

    Parameters
    ----------
    model, x
    meet : function ``meet(unit, call)``
        What a nonlinear call returns.
    pass_on : function ``pass_on(call)``, optional
        What an affine call returns; by default torch's own result.
    see : function of a tensor, optional
        How a function sees what was computed before it, for a run to which points join on the way; by default
        as it is.
    in_training : bool
        Let batch statistics and active dropout pass.

    Returns
    -------
    Trace
    """
    modules = model.modules() if isinstance(model, torch.nn.Module) else [model]
    for module in modules:
        kind = type(module).__name__
        if (
            isinstance(module, (torch.jit.ScriptModule, torch.jit.ScriptFunction))
            or kind == "OptimizedModule"
        ):
            raise NotPiecewiseAffineError(
                f"model is or holds a compiled {kind}, which hides its functions; pass the original module"
            )
    tracer = _Tracer(meet, pass_on or Call.result, see, in_training)
    x = tracer.mark(x.clone())  # a network that works in place must not change the caller's points
    with tracer:
        output = model(x)
    if not isinstance(output, torch.Tensor) or not tracer.is_marked(output):
        kind = type(output).__name__
        raise NotPiecewiseAffineError(
            f"model must return one tensor that is seen to come from x, got a {kind}"
        )
    tracer.trace.output = output
    return tracer.trace


class Call:
    """A call of a function on what comes from the input."""

    def __init__(self, tracer, function, name, args, kwargs, inplace):
        self.function, self.name, self.args, self.kwargs, self.inplace = function, name, args, kwargs, inplace
        self.in_training, self._tracer = tracer.in_training, tracer
        self.index = len(tracer.trace.names)  # of a nonlinear call: its number from 0

    def result(self):
        """What torch returns."""
        return self.function(*self.args, **self.kwargs)

    def at_zero(self):
        """The same call with zeros in place of all that comes from the input."""
        return self._tracer.changed(self, torch.zeros_like)

    def unit(self):
        """The units of a nonlinear call."""
        return PIECEWISE[self.name].build(*self.args, **self.kwargs)

    def argument(self, place, name, default=None):
        return self.args[place] if place < len(self.args) else self.kwargs.get(name, default)

    def tensors(self):
        return tensors_in((self.args, self.kwargs))

    def dependent(self, *arguments):
        """How many tensors among the arguments (all, if none is named) come from the input."""
        return sum(map(self._tracer.is_marked, tensors_in(arguments) if arguments else self.tensors()))

    def refuse(self, why):
        trace = self._tracer.trace
        raise NotPiecewiseAffineError(
            f"{self.name} (function number {len(trace.functions)} after the input, "
            f"nonlinear calls before it: {self.index}) {why}"
        ) from None


class _Tracer(TorchFunctionMode):
    """Marks what comes from the input and hands each call to the callbacks of `run`."""

    _tokens = count()

    def __init__(self, meet, pass_on, see, in_training):
        super().__init__()
        self.meet, self.pass_on, self.see, self.in_training = meet, pass_on, see, in_training
        self.trace = Trace()
        self._token = f"_mad_max_{next(self._tokens)}"  # its own: a network may itself run under a tracer

    def mark(self, output):
        for tensor in tensors_in(output):
            setattr(tensor, self._token, True)
            self.trace.bytes += tensor.nbytes
        return output

    def is_marked(self, tensor):
        return hasattr(tensor, self._token)

    def changed(self, call, change):
        """The call with ``change`` applied to all marked tensors among its arguments."""

        def branch(tree):
            if isinstance(tree, torch.Tensor):
                return change(tree) if self.is_marked(tree) else tree
            if isinstance(tree, dict):
                return {key: branch(part) for key, part in tree.items()}
            return type(tree)(map(branch, tree)) if type(tree) in (tuple, list) else tree

        args, kwargs = branch(call.args), branch(call.kwargs)
        return Call(self, call.function, call.name, args, kwargs, call.inplace)

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if not any(map(self.is_marked, tensors_in((args, kwargs)))):
            return func(*args, **kwargs)
        name = func.__self__.__name__ if func.__name__ == "__get__" else func.__name__
        if name in QUESTIONS or (name in LIKENESS and not self.is_marked(args[0])):
            return func(*args, **kwargs)
        inplace = kwargs.get("inplace", False) or (name.endswith("_") and not name.endswith("__"))
        name = name if name.endswith("__") else name.rstrip("_").removesuffix("_with_indices")
        call = Call(self, func, name, tuple(args), kwargs, inplace)
        self.trace.functions.append(name)
        if inplace and not self.is_marked(args[0]) or kwargs.get("out") is not None:
            call.refuse("writes values made from the input into a tensor that was there before")
        if any(not t.is_floating_point() for t in call.tensors() if self.is_marked(t)):
            call.refuse("uses indices that were chosen by looking at the input")
        if self.see is not None:
            call = self.changed(call, lambda tensor: self.mark(self.see(tensor)))
        if name in REWRITTEN:
            self.trace.rewritten = True
            with self:  # torch takes the mode away while it runs: the parts are to be met as well
                output = REWRITTEN[name](*call.args, **call.kwargs)
        elif name in PIECEWISE:
            output = self._piecewise(call)
        else:
            output = self._affine(call)
        return self.mark(_write(args[0], output) if inplace else output)

    def _piecewise(self, call):
        entry = PIECEWISE[call.name]
        if call.dependent() > entry.inputs:
            call.refuse("bends the input at places that depend on the input")
        call.kwargs = {key: value for key, value in call.kwargs.items() if key != "out"}
        if (
            call.inplace and torch.is_grad_enabled()
        ):  # the derivative may need the values that are overwritten
            call = self.changed(call, lambda tensor: self.mark(tensor.clone()))
        try:
            unit = call.unit()
        except NotPiecewiseAffineError as error:
            call.refuse(str(error))
        self.trace.names.append(f"{call.index + 1}:{call.name}")
        self.trace.rewritten |= unit.torch_form is None
        output = self.meet(unit, call)
        if entry.places(call):
            indices = torch.zeros_like(
                output, dtype=torch.long
            )  # marked, so that nothing can be done with them
            return torch.return_types.max((output, indices))
        return output

    def _affine(self, call):
        if call.name not in AFFINE:
            call.refuse("is not known to be affine or continuous and piecewise affine")
        why = AFFINE[call.name](call)
        if why:
            call.refuse(why)
        return self.pass_on(call)


def _write(target, output):
    """The output of a function that works in place, written where it belongs."""
    if output is target:
        return output
    if output.shape == target.shape:
        return target.copy_(output)
    target.data = output  # points have joined
    return target


def tensors_in(tree):
    """All tensors in nested tuples, lists and dictionaries."""
    if isinstance(tree, torch.Tensor):
        return [tree]
    if isinstance(tree, dict):
        tree = tree.values()
    elif not isinstance(tree, (tuple, list)):
        return []
    return [tensor for branch in tree for tensor in tensors_in(branch)]


def flat(tensor):
    """One row for each point: (N, everything else)."""
    if tensor.dim() == 0:
        raise NotPiecewiseAffineError(
            "model must have an output for each point, got one number for all of them"
        )
    return tensor.reshape(len(tensor), tensor[0].numel())


def check_points(model, x):
    """The points x as the model takes them: a floating torch tensor with one point a row."""
    if not isinstance(x, torch.Tensor):
        raise TypeError(f"x must be a torch tensor, one point a row, got {type(x).__name__}")
    parameters = model.parameters() if isinstance(model, torch.nn.Module) else iter(())
    return check_input(x.detach(), next(parameters, torch.zeros(())), "N", *x.shape[1:])
