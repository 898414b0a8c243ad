"""The units of one nonlinear call: which affine pieces each can choose from, and what it puts out.

A unit is made from the arguments of the call (``functions.py`` tells how) and answers what the library asks:

    what             it gives                                      for
    choose()         the output, and the piece of every unit       record
    held(pieces)     the output with the pieces held: affine       affine maps
    codes(pieces)    the pieces as whole numbers from 0            region codes; back: from_codes(codes)
    margins(pieces)  how far each unit is from another piece       polytopes
    scores()         the values of all pieces                      soft units
    steepest()       the largest slope of any piece                Lipschitz bounds
    kink_functions() where the output bends, or piece_values(r)    cutting a plane

What a piece is, a kind of unit decides: how many kinks lie below (`Kinked`), a candidate (`Largest`), a place
in the map (`Pool`), weights (`Blend`).
"""

from dataclasses import dataclass
from numbers import Number

import torch
from torch.overrides import handle_torch_function, has_torch_function


class NotPiecewiseAffineError(ValueError):
    """The network calls a function of its input that is not piecewise affine, or cannot be seen.

    Built in chapter 04.
    """


class Unit:
    """What all units share; what a kind of unit cannot do is refused."""

    torch_form = None  # torch's own function, where its derivative also takes the lowest piece at a kink
    absent = None  # which candidates are not there, where some are not
    count = 0  # how many pieces
    cannot = "has no pieces that can be told apart"

    def choose(self):
        self._refuse()

    held = codes = from_codes = margins = scores = steepest = piece_values = lambda self, *_: self._refuse()

    def _refuse(self):
        raise NotPiecewiseAffineError(self.cannot)


OPEN = (0, 1)  # the slopes of a ReLU


@dataclass(eq=False)
class Kinked(Unit):
    """Units that each bend one number u at fixed places: ReLU, absolute value, hard tanh.

    Piece r lies between kinks r - 1 and r; there the output is ``slopes[r] * u + intercepts[r]``.
    """

    u: torch.Tensor
    kinks: tuple
    slopes: tuple
    intercepts: tuple = (0, 0, 0)
    torch_form: object = None

    @property
    def count(self):
        return 1 + len(self.kinks)

    def choose(self):
        """The output, and which piece each unit chose: the number of kinks below u."""
        pieces = sum((self.u > kink).view(torch.uint8) for kink in self.kinks)
        return self.held(pieces) if self.torch_form is None else self.torch_form(self.u), pieces

    def held(self, pieces):
        """The output with the pieces held: affine in u."""
        output = self.u * self._of_piece(self.slopes, pieces)
        return (
            output + self._of_piece(self.intercepts, pieces) if any(map(nonzero, self.intercepts)) else output
        )

    def _of_piece(self, numbers, pieces):
        if numbers is OPEN:
            return pieces
        return sum(
            n * (pieces == r).to(self.u.dtype) for r, n in enumerate(numbers[: self.count]) if nonzero(n)
        )

    def codes(self, pieces):
        return pieces

    from_codes = codes

    def steepest(self):
        return max(abs(torch.as_tensor(slope)).max().item() for slope in self.slopes[: self.count])

    def margins(self, pieces):
        """How far u lies inside its piece, for every kink: (..., kinks), at least 0 where it was chosen."""
        return torch.stack([h * (2.0 * (pieces > i) - 1) for i, h in enumerate(self.kink_functions())], -1)

    def scores(self):
        """The values of both pieces, 0 for a tensor of zeros, if the output is the larger one."""
        if self.count > 2 or not torch.as_tensor(self.slopes[0] <= self.slopes[1]).all():
            raise NotPiecewiseAffineError("is not a maximum of affine pieces, so it has no soft form")
        return tuple(map(self._line, self.slopes[: self.count], self.intercepts))

    def _line(self, slope, intercept):
        if not nonzero(slope):
            return torch.zeros_like(self.u) + intercept if nonzero(intercept) else 0
        values = self.u if isinstance(slope, Number) and slope == 1 else self.u * slope
        return values + intercept if nonzero(intercept) else values

    def kink_functions(self):
        """For each kink, a function of the input that is positive above it."""
        return [self.u - kink if nonzero(kink) else self.u for kink in self.kinks]


class Largest(Unit):
    """Units that each keep the largest of R candidates: maxout, the larger of two."""

    def __init__(self, candidates):
        self.candidates, self.count, self.shape = (
            candidates,
            candidates.shape[-1],
            candidates.shape[1:-1],
        )  # (..., R)

    def choose(self):
        """The output, and which candidate each unit chose; ties go to the lowest."""
        pieces = self.candidates.argmax(-1)
        return self.held(pieces), pieces

    def held(self, pieces):
        """The chosen candidates."""
        return self.candidates.gather(-1, pieces[..., None])[..., 0]

    def codes(self, pieces):
        return pieces

    def from_codes(self, codes):
        return codes.long()

    def scores(self):
        """The values of all pieces, along the last axis."""
        return self.candidates

    def steepest(self):
        return 1.0

    def margins(self, pieces):
        """By how much the chosen candidate leads, over every candidate: (N, units, R)."""
        chosen = self.held(pieces).reshape(len(pieces), -1)
        candidates = map(self.piece_values, range(self.count))
        return torch.stack([(chosen - values) * ~absent for values, absent in candidates], -1)

    def piece_values(self, r):
        """Candidate r of every unit, (N, units), and which units have none."""
        return self.candidates[..., r].reshape(len(self.candidates), -1), torch.tensor(False)


class Pool(Largest):
    """Max-pooling: candidates are the ``windows`` (units, R) of a map, -1 where they hang over its edge."""

    def __init__(self, values, sizes, windows, pool):
        self.values, self.sizes, self.windows, self.torch_form = values, sizes, windows, pool
        self.count, self.shape = windows.shape[1], (*values.shape[1:-1], *sizes)

    def choose(self):
        return self.torch_form()  # torch gives places in the map, of several equal ones the first

    def held(self, pieces):
        return self.values.gather(-1, pieces.flatten(-len(self.sizes))).reshape(pieces.shape)

    def piece_values(self, r):
        at = self.windows[:, r]
        return self.values[..., at].flatten(1), (at < 0).expand(*self.values.shape[1:-1], -1).flatten()

    def scores(self):
        return self.values[..., self.windows].reshape(*self.values.shape[:-1], *self.sizes, -1)

    @property
    def absent(self):
        return (self.windows < 0).reshape(*self.sizes, -1)

    def steepest(self):
        return self.windows[self.windows >= 0].bincount().max().item() ** 0.5

    def codes(self, pieces):
        places = pieces.flatten(-len(self.sizes))[..., None]
        return (places == self.windows).byte().argmax(-1).reshape(pieces.shape)

    def from_codes(self, codes):
        windows = self.windows.expand(*self.values.shape[:-1], -1, -1)
        return windows.gather(-1, codes.long().reshape(*windows.shape[:-1], 1)).reshape(codes.shape)


def nonzero(number):
    return not isinstance(number, Number) or number != 0


class Blend(Unit):
    """Units whose pieces all count, by their posterior weights at eta = beta / (1 - beta).

    ``values`` are the scores of two pieces (a 0 stands for a tensor of zeros), or of R pieces along the last
    axis, of which those marked ``absent`` do not count.
    """

    cannot = "blend mixes the pieces of a unit: it bends everywhere, so it has no code and no other soft form"

    def __init__(self, values, eta, absent=None):
        self.values, self.eta, self.absent = values, eta, absent

    def weights(self):
        """The posterior weight of the second of two pieces, or of each of R."""
        hard = not isinstance(self.eta, torch.Tensor) and self.eta == float(
            "inf"
        )  # ties go to the lowest piece
        if isinstance(self.values, tuple):
            first, second = self.values
            if hard:
                return (second > first).to(second.dtype)
            if isinstance(first, Number):
                return torch.sigmoid(self.eta * second)
            return torch.sigmoid(
                2 * self.eta * (second / 2 - first / 2)
            )  # halves: the difference may be too large
        values = self.values if self.absent is None else self.values.masked_fill(self.absent, -torch.inf)
        if hard:
            return torch.nn.functional.one_hot(values.argmax(-1), values.shape[-1]).to(values.dtype)
        behind = 2 * self.eta * (self.values / 2 - values.amax(-1, keepdim=True).detach() / 2)
        return torch.softmax(
            behind if self.absent is None else behind.masked_fill(self.absent, -torch.inf), -1
        )

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
