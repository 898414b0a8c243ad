"""The one tracer: it runs a network and meets every nonlinear call on the way, in order.

Whatever makes a nonlinear call (a module, a function, a method, in place or not), torch reports it to a
``TorchFunctionMode``. Tensors that come from the network's input carry a mark, so that a call on constants is
left alone, and a function that is neither affine nor piecewise affine in what is marked is refused.

    model(x) ── function ── marked? ─ no ─▶ torch
                                └ yes ─┬─ in REWRITTEN ─▶ other functions, which are met in turn
                                       ├─ in PIECEWISE ─▶ its unit ─▶ meet(unit, call) ─▶ output, marked
                                       ├─ in KNOWN ─────▶ pass_on(call) ───────────────────▶ output, marked
                                       └─ else ─────────▶ pass_on(call), each ATen operation inside judged
                                                          ─▶ output, or NotPiecewiseAffineError

``record`` runs and notes the piece that each unit chose; ``replay`` runs with the pieces held, which makes
the network affine. Cutting, softening and the rest are callbacks of ``run``.
"""

from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from itertools import count

import torch
from torch.overrides import TorchFunctionMode

from .calls import Call, replaced
from .functions import PIECEWISE
from .networks import check_network, check_output, explained, forward_alone, in_eager_mode, saved_elsewhere
from .operations import (
    CONVOLUTIONS,
    DECIDES,
    KNOWN,
    LEAVES,
    LOOKS,
    QUESTIONS,
    place,
    tensors_in,
)
from .rewriting import REWRITTEN, with_places
from .units import NotPiecewiseAffineError, Reason

NOTHING = nullcontext()
UNSEEN = "it computes something that could not be seen, or one point's output depends on another point"


@dataclass
class Trace:
    """What a run met."""

    output: torch.Tensor | None = None
    names: list = field(default_factory=list)  # the nonlinear calls, numbered from 1: "1:relu"
    pieces: list = field(default_factory=list)  # the piece of every unit, a tensor a call, if recorded
    functions: list = field(default_factory=list)  # all functions of what comes from the input
    rewritten: bool = False  # whether a call's result was not computed by torch's own function
    asked: bool = False  # whether the network looked at a number
    bytes: int = 1  # of all tensors made on the way

    @property
    def convolves(self):
        return not CONVOLUTIONS.isdisjoint(self.functions)


def record(model, x, **how):
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

    trace = run(model, x, meet, **how)
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


def run(model, x, meet, pass_on=None, see=None, in_training=False, keep=False):
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
        Let batch statistics and active dropout pass, and leave it to the network what is differentiated.
    keep : bool
        Keep copies for the derivative, since the network overwrites what it has computed.

    Returns
    -------
    Trace
    """
    check_network(model, in_training)
    if not x.is_floating_point():
        raise TypeError(f"x must hold floating-point numbers, got {x.dtype}; write x.float()")
    tracer = _Tracer(meet, pass_on or Call.result, see, in_training, keep)
    try:
        with tracer, forward_alone(tracer), in_eager_mode():
            output = model(tracer.mark(x.clone()))  # which a network that works in place may change
    except NotPiecewiseAffineError:
        raise
    except Exception as error:
        raise explained(model, x, error) from error
    tracer.trace.output = check_output(output, tracer.is_marked, len(x) if see is None else None)
    return tracer.trace


class _Tracer(TorchFunctionMode):
    """Marks what comes from the input and hands each call to the callbacks of `run`."""

    _tokens = count()

    def __init__(self, meet, pass_on, see, in_training, keep):
        super().__init__()
        self.meet, self.pass_on, self.see, self.in_training, self.keep = meet, pass_on, see, in_training, keep
        self.trace, self.rewriting = Trace(), None  # the call that is being written in terms of others
        self._token = f"_mad_max_{next(self._tokens)}"  # its own: a network may itself run under a tracer
        self._written = {}  # memory of constants into which the network wrote what comes from the input
        self.differentiates = torch.is_grad_enabled() and not in_training

    def mark(self, output):
        for tensor in tensors_in(output):
            setattr(tensor, self._token, True)
            self.trace.bytes += tensor.nbytes if tensor.layout == torch.strided else 0
        return output

    def is_marked(self, tensor):
        return hasattr(tensor, self._token) or (bool(self._written) and place(tensor) in self._written)

    def changed(self, call, change):
        """The call with ``change`` applied to all marked tensors among its arguments."""
        return self._with(call, lambda t: change(t) if self.is_marked(t) else t)

    def _with(self, call, change):
        """The call with ``change`` applied to all tensors among its arguments."""
        args, kwargs = replaced((call.args, call.kwargs), change)
        return Call(self, call.function, call.name, args, kwargs, call.inplace)

    def _normal(self, tensor):
        """A tensor that was made in inference mode as one that can be differentiated."""
        if not tensor.is_inference():
            return tensor
        return self.mark(tensor.clone()) if self.is_marked(tensor) else tensor.clone()

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if torch.is_inference_mode_enabled():  # what is made in it is not differentiated, nor written into
            with torch.inference_mode(False), torch.no_grad():
                return self.__torch_function__(func, types, args, kwargs)
        kwargs = kwargs or {}
        if not any(map(self.is_marked, tensors_in((args, kwargs)))):
            return func(*args, **kwargs)
        name = func.__self__.__name__ if func.__name__ == "__get__" else func.__name__
        name, _, overload = name.partition(".")  # torch.ops.aten.relu.default is a relu
        if name in QUESTIONS:
            return func(*args, **kwargs)
        if name in LOOKS:
            self.trace.asked = True
            return func(args[0].detach())
        if name in ("data", "detach", "detach_") and not self.in_training:
            return args[0]  # the same numbers; what is differentiated is decided here
        if overload and (name.endswith("_with_indices") or name.startswith("adaptive_max")):
            kwargs = {**kwargs, "return_indices": True}
        if name == "view" and not any(isinstance(a, torch.dtype) for a in args):
            func = torch.Tensor.reshape  # channels may be last here, which a view does not bear
        inplace = kwargs.get("inplace", False) or name == "__setitem__"
        inplace = inplace or (name.endswith("_") and not name.endswith("__"))
        name = name if name.endswith("__") else name.strip("_").removesuffix("_with_indices")
        target = args[0] if inplace else kwargs.get("out")
        self.trace.functions.append(name)
        kwargs = {key: value for key, value in kwargs.items() if key != "out"}
        call = Call(self, func, name, tuple(args), kwargs, inplace)
        if isinstance(target, tuple):
            call.refuse("writes into several tensors; take what it returns instead")
        constant = target is not None and not self.is_marked(target)
        with self._as_differentiated():
            output = self._meet(call)
            if constant:
                self._written[place(target)] = target
            return output if target is None else self.mark(_write(target, output))

    def _as_differentiated(self):
        """Take derivatives although the network switched them off, or saves its tensors in its own way."""
        switched_off = self.differentiates and not torch.is_grad_enabled()
        saved = (switched_off or torch.is_grad_enabled()) and (self.keep or saved_elsewhere())
        if not (switched_off or saved):
            return NOTHING
        stack = ExitStack()
        if switched_off:
            stack.enter_context(torch.enable_grad())
        if saved:
            stack.enter_context(torch.autograd.graph.saved_tensors_hooks(torch.clone, lambda kept: kept))
        return stack

    def _meet(self, call):
        marked = [t for t in call.tensors() if self.is_marked(t)]
        if any(not (t.is_floating_point() or t.is_complex()) for t in marked):
            call.refuse("uses indices that were chosen by looking at the input")
        if call.name in LEAVES:
            call.refuse("leaves torch, so that what follows is not seen; write it with torch's functions")
        if call.name in DECIDES:
            call.refuse("decides by looking at the input")
        if self.see is not None:
            call = self.changed(call, lambda tensor: self.mark(self.see(tensor)))
        if torch.is_grad_enabled() and any(t.is_inference() for t in call.tensors()):
            call = self._with(call, self._normal)
        try:
            output = self._rewritten(call) if call.name in REWRITTEN else NotImplemented
            if output is NotImplemented and call.name in PIECEWISE:
                output = self._piecewise(call)
        except Reason as error:
            call.refuse(str(error))
        if output is not NotImplemented:
            return self.mark(output)
        why = KNOWN[call.name](call) if call.name in KNOWN else None
        if why:
            call.refuse(why)
        output = self.pass_on(call)
        if not call.constant:  # whole numbers, such as lengths, do not come from the input here
            self.mark([t for t in tensors_in(output) if t.is_floating_point() or t.is_complex()])
        return output

    def _rewritten(self, call):
        before, self.rewriting = self.rewriting, self.rewriting or call
        try:
            with self:  # torch takes the mode away while it runs: the parts are to be met as well
                output = REWRITTEN[call.name](*call.args, **call.kwargs)
        finally:
            self.rewriting = before
        self.trace.rewritten |= output is not NotImplemented
        return output

    def _piecewise(self, call):
        entry = PIECEWISE[call.name]
        if call.dependent() > entry.inputs:
            raise Reason("bends the input at places that depend on the input")
        if any(t.is_complex() for t in call.tensors()):
            raise Reason("is the length of complex numbers, which is curved")
        if call.inplace and torch.is_grad_enabled():  # the derivative may need what is overwritten
            call = self.changed(call, lambda tensor: self.mark(tensor.clone()))
        unit = call.unit()
        self.trace.names.append(f"{call.index + 1}:{call.name}")
        self.trace.rewritten |= unit.torch_form is None
        output = self.meet(unit, call)
        return with_places(output) if entry.places(call) else output


def _write(target, output):
    """The output of a function that works in place, written where it belongs."""
    if output is target:
        return output
    if output.shape == target.shape:
        return target.copy_(output)
    target.data = output  # points have joined
    return target


def flat(tensor):
    """One row for each point: (N, everything else)."""
    return tensor.reshape(len(tensor), tensor[0].numel())
