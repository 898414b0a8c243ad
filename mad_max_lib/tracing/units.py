"""The units of one nonlinear call: which affine pieces each can choose from, and what it puts out.

A unit is made from the arguments of the call (``functions.py`` tells how) and answers what the library asks:

    what             it gives                                      for
    choose()         the output, and the piece of every unit       record
    held(pieces)     the output with the pieces held: affine       affine maps
    codes(pieces)    the pieces as whole numbers from 0            region codes; back: from_codes(codes)
    margins(pieces)  how far each unit is from another piece       polytopes
    scores()         the values of all pieces                      soft units
    steepest()       the largest slope of any piece                Lipschitz bounds
    kink_functions() where the output bends, or piece_values(r)    cutting a plane; codes_from(their signs)

What a piece is, a kind of unit decides: how many kinks lie below (`Kinked`), a candidate (`Largest`), a place
in the map (`Pool`), an order (`Ordered`), weights (`Blend`, in ``blends.py``).
"""

from dataclasses import dataclass
from numbers import Number

import torch
from torch.overrides import handle_torch_function, has_torch_function


class NotPiecewiseAffineError(ValueError):
    """The network calls a function of its input that is not piecewise affine, or cannot be seen.

    Built in chapter 06.
    """


class Reason(NotPiecewiseAffineError):
    """Why a function is not taken, said by who knows it; the tracer adds which call it was."""


class Unit:
    """What all units share; what a kind of unit cannot do is refused."""

    torch_form = None  # torch's own function, where its derivative also takes the lowest piece at a kink
    absent = None  # which candidates are not there, where some are not
    count = 0  # how many pieces
    bends = False  # whether its pieces lie between the zeros of its kink functions
    u_is_first = False
    cannot = "has no pieces that can be told apart"

    def choose(self):
        self._refuse()

    held = codes = from_codes = margins = scores = steepest = piece_values = lambda self, *_: self._refuse()

    def _refuse(self):
        raise Reason(self.cannot)


OPEN = (0, 1)  # the slopes of a ReLU


@dataclass(eq=False)
class Kinked(Unit):
    """Units that each bend one number u at fixed places: ReLU, absolute value, hard tanh.

    Piece r lies between kinks r - 1 and r; there the output is ``slopes[r] * u + intercepts[r]``. A kink may
    be infinite, in a tensor of kinks: the pieces beyond it are not there.
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
            raise Reason("is not a maximum of affine pieces, so it has no soft form")
        return tuple(map(self._line, self.slopes[: self.count], self.intercepts))

    def _line(self, slope, intercept):
        if not nonzero(slope):
            return torch.zeros_like(self.u) + intercept if nonzero(intercept) else 0
        values = self.u if isinstance(slope, Number) and slope == 1 else self.u * slope
        return values + intercept if nonzero(intercept) else values

    def kink_functions(self):
        """For each kink, a function of the input that is positive above it."""
        return [self._above(kink) if nonzero(kink) else self.u for kink in self.kinks]

    bends = True
    u_is_first = property(lambda self: not nonzero(self.kinks[0]))  # of the kink functions

    def codes_from(self, above):
        """The codes, (F, units), from how many kink functions are above 0."""
        return above

    def _above(self, kink):
        above = self.u - kink
        if isinstance(kink, torch.Tensor) and kink.isinf().any():
            above = torch.where(kink.isinf(), -kink.sign(), above)
        return above


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
        return torch.stack([torch.where(absent, 0, chosen - values) for values, absent in candidates], -1)

    def piece_values(self, r):
        """Candidate r of every unit, (N, units), and which units have none."""
        return present(self.candidates[..., r].reshape(len(self.candidates), -1))


def present(values):
    """The values (N, units) with 0 for a constant -inf, and which units have it."""
    absent = (values == -torch.inf).any(0)
    return (values.masked_fill(absent, 0), absent) if absent.any() else (values, absent)


class Pool(Largest):
    """Max-pooling: candidates are the ``windows`` (units, R) of a map, -1 where they hang over its edge.

    The map lies along the last axis of ``values``; ``pool`` gives the output, and places in the map.
    """

    def __init__(self, values, sizes, windows, pool=None):
        self.values, self.sizes, self.windows, self.torch_form = values, sizes, windows, pool
        self.count, self.shape = windows.shape[1], (*values.shape[1:-1], *sizes)

    def choose(self):
        if self.torch_form is not None:
            return self.torch_form()  # torch gives places in the map, of several equal ones the first
        best = self.scores().masked_fill(self.windows.reshape(*self.sizes, -1) < 0, -torch.inf).argmax(-1)
        pieces = self.from_codes(best)
        return self.held(pieces), pieces

    def held(self, pieces):
        return self.values.gather(-1, pieces.flatten(-len(self.sizes))).reshape(pieces.shape)

    def piece_values(self, r):
        at = self.windows[:, r]
        values, absent = present(self.values[..., at].flatten(1))
        return values, absent | (at < 0).expand(*self.values.shape[1:-1], -1).flatten()

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


@dataclass(eq=False)
class Ordered(Unit):
    """Units that put the n numbers along the last axis in order; their pieces are the orders.

    The piece of place k is the number that stands there: equal numbers stay in the order they came in.
    """

    cannot = "puts numbers in order, which is not a maximum of affine pieces, so it has no soft form"

    u: torch.Tensor

    bends = True

    @property
    def count(self):
        return self.u.shape[-1]

    def choose(self):
        return self.u.sort(dim=-1, stable=True)

    def held(self, pieces):
        return self.u.gather(-1, pieces)

    def codes(self, pieces):
        return pieces

    def from_codes(self, codes):
        return codes.long()

    def steepest(self):
        return 1.0

    def margins(self, pieces):
        """By how much each number leads over the one before: (N, ..., n - 1)."""
        return self.held(pieces).diff(dim=-1)

    def kink_functions(self):
        """By how much number i is larger than number j, for all i < j: their signs tell the order."""
        i, j = torch.triu_indices(self.count, self.count, 1, device=self.u.device)
        return [self.u[..., i] - self.u[..., j]]

    def codes_from(self, above):
        i, j = torch.triu_indices(self.count, self.count, 1)
        above = torch.from_numpy(above).long().reshape(len(above), -1, len(i))
        places = above.new_zeros(*above.shape[:2], self.count)
        places.index_add_(-1, i, above).index_add_(-1, j, 1 - above)
        return places.argsort(-1).flatten(1).numpy()


def ordered(values):
    """The numbers along the last axis in order, the smallest first, as one function that a tracer meets."""
    if has_torch_function((values,)):
        return handle_torch_function(ordered, (values,), values)
    return values.sort(dim=-1, stable=True).values


def largest_of(values, windows):
    """The largest number in each window (units, R) of places in the last axis, where -1 is no place."""
    if has_torch_function((values,)):
        return handle_torch_function(largest_of, (values,), values, windows)
    return Pool(values, (len(windows),), windows).choose()[0]


def nonzero(number):
    return not isinstance(number, Number) or number != 0
