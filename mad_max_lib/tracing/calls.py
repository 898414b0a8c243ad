"""A call of a function on what comes from the input, as it is handed to those who ask a tracer."""

import torch

from .functions import PIECEWISE
from .operations import KNOWN, Inside, Operation, tensors_in
from .units import NotPiecewiseAffineError


class Call(Operation):
    """A call of a function on what comes from the input."""

    def __init__(self, tracer, function, name, args, kwargs, inplace):
        super().__init__(name, args, kwargs, tracer.is_marked, tracer.in_training)
        self.function, self.inplace, self._tracer = function, inplace, tracer
        self.constant = False  # whether nothing of it comes from the input
        self.index = len(tracer.trace.names)  # of a nonlinear call: its number from 0
        self.number = len(tracer.trace.functions)

    def result(self):
        """What torch returns; it may turn out to be constant."""
        if self.constant or self.name in KNOWN:
            output = self.function(*self.args, **self.kwargs)
        else:
            with Inside(self) as inside:
                output = self.function(*self.args, **self.kwargs)
            made = tensors_in((output, self.args[:1] if self.inplace else ()))
            self.constant = not any(map(inside.is_marked, made))
        return self.args[0] if output is None and self.inplace else output

    def at_zero(self):
        """The same call with zeros in place of all that comes from the input."""
        return self.changed(torch.zeros_like)

    def changed(self, change):
        """The same call with ``change`` applied to all that comes from the input."""
        call = self._tracer.changed(self, change)
        if self.inplace and not self.is_marked(self.args[0]):  # a constant that is written into
            call.args = (call.args[0].clone(), *call.args[1:])
        call.constant = not call.dependent()
        return call

    def unit(self):
        """The units of a nonlinear call."""
        return PIECEWISE[self.name].build(*self.args, **self.kwargs)

    def refuse(self, why):
        call = self._tracer.rewriting or self
        raise NotPiecewiseAffineError(
            f"{call.name} (function number {call.number} after the input, "
            f"nonlinear calls before it: {call.index}) {why}"
        ) from None


def replaced(tree, change):
    """Nested tuples, lists and dictionaries with ``change`` applied to all tensors."""
    if isinstance(tree, torch.Tensor):
        return change(tree)
    if isinstance(tree, dict):
        return {key: replaced(part, change) for key, part in tree.items()}
    if isinstance(tree, (tuple, list)):  # a named tuple becomes a plain one
        return (list if isinstance(tree, list) else tuple)(replaced(part, change) for part in tree)
    return tree
