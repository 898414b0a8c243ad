"""Soft units: all their pieces count, by posterior weights."""

from numbers import Number

import torch
from torch.overrides import handle_torch_function, has_torch_function

from .units import Unit


class Blend(Unit):
    """Units whose pieces all count, by their posterior weights at eta = beta / (1 - beta).

    ``values`` are the scores of two pieces (a 0 stands for a tensor of zeros), or of R pieces along the last
    axis, of which those marked ``absent`` do not count.
    """

    cannot = "blend mixes the pieces of a unit: it bends everywhere, so it has no code and no other soft form"

    def __init__(self, values, eta, absent=None):
        self.values, self.eta, self.absent = values, eta, absent
        if not isinstance(values, tuple):  # a constant -inf is absent, too: times a weight of 0 it is NaN
            self.absent = values == -torch.inf if absent is None else absent | (values == -torch.inf)
            self.values = values.masked_fill(self.absent, 0)

    def weights(self):
        """The posterior weight of the second of two pieces, or of each of R."""
        hard = isinstance(self.eta, Number) and self.eta == float("inf")  # ties go to the lowest piece
        if isinstance(self.values, tuple):
            first, second = self.values
            if hard:
                return (second > first).to(second.dtype)
            if isinstance(first, Number):
                return torch.sigmoid(self.eta * second)
            halves = second / 2 - first / 2  # the difference itself may be too large
            return torch.sigmoid(2 * self.eta * halves)
        values = self.values.masked_fill(self.absent, -torch.inf)
        if hard:
            return torch.nn.functional.one_hot(values.argmax(-1), values.shape[-1]).to(values.dtype)
        behind = 2 * self.eta * (self.values / 2 - values.amax(-1, keepdim=True).detach() / 2)
        return torch.softmax(behind.masked_fill(self.absent, -torch.inf), -1)

    def held(self, weights):
        """The output with the weights held: affine in the values."""
        if isinstance(self.values, tuple):
            first, second = self.values
            return second * weights if isinstance(first, Number) else first * (1 - weights) + second * weights
        return (self.values * weights).sum(-1)

    def choose(self):
        """The output, and the weights, which are then held: its derivative takes them as constants."""
        weights = self.weights().detach()
        return self.held(weights), weights


def blend(scores, eta, absent=None):
    """The output of a `Blend`, as one function that a tracer meets as such."""
    tensors = scores[1:] if isinstance(scores, tuple) else (scores,)
    if has_torch_function(tensors):
        return handle_torch_function(blend, tensors, scores, eta, absent)
    unit = Blend(scores, eta, absent)
    return unit.held(unit.weights())
