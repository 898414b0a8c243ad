"""The region of a code as a polytope, in input spaces of any dimension."""

from typing import NamedTuple

import numpy as np
import torch
from scipy.optimize import linprog

from ..checks import check_count
from .codes import region_codes
from .comparing import neighbour
from .networks import copied, settled
from .tracer import flat, record, run

CHUNK = 2**27  # bytes of what is computed on the way, at a time


class Polytope(NamedTuple):
    """The points u with ``G @ u <= h``: a row of length 1 for every border; made by ``polytope``.

    Examples
    --------
    >>> quarter = polytope(torch.relu, torch.tensor([[1.0, -2.0]]))
    >>> quarter.contains(np.array([[3.0, -3.0], [3.0, 3.0]]))
    array([ True, False])
    """

    G: np.ndarray
    h: np.ndarray

    def contains(self, points):
        """Whether each point (N, D) lies inside or on the border, up to rounding."""
        points = np.asarray(points, float)
        return (points @ self.G.T <= self.h + 1e-9 * (1 + abs(self.h))).all(1)

    def chebyshev_ball(self, low, high):
        """Centre (D,) and radius of the largest ball that fits into the region and the box from low to high.

        Found by linear programming: the radius grows until the ball touches the sides that hold it.

        Examples
        --------
        >>> center, radius = polytope(torch.relu, torch.tensor([[1.0, -2.0]])).chebyshev_ball(-1.0, 1.0)
        >>> center.round(6).tolist(), round(radius, 6)
        ([0.5, -0.5], 0.5)
        """
        D = self.G.shape[1]
        sides = np.concatenate([self.G, np.eye(D), -np.eye(D)])
        room = np.concatenate([self.h, np.full(D, high), np.full(D, -low)])
        lengths = np.linalg.norm(sides, axis=1, keepdims=True)
        found = linprog(
            -np.eye(D + 1)[D], np.hstack([sides, lengths]), room, bounds=[(None, None)] * D + [(0, None)]
        )
        if not found.success:
            raise ValueError(f"the region must meet the box from {low} to {high}: {found.message}")
        return found.x[:D], float(found.x[D])


@settled()
@torch.no_grad()
def polytope(model, x, layers=None):
    """The region of the input space in which all units choose the pieces that they choose at x.

    With the pieces of the earlier units held, what decides about a unit's piece is an affine function of the
    input, so each rejected piece is one linear inequality. Source: Balestriero and Baraniuk, *Mad Max*.

    Parameters
    ----------
    model : nn.Module or callable, continuous and piecewise affine, in eval mode
    x : (1, *input) tensor, one point
    layers : int, optional
        How many nonlinear calls count, from the first; by default all.

    Returns
    -------
    Polytope
        In float64, inputs flattened to D numbers.

    Examples
    --------
    >>> polytope(torch.relu, torch.tensor([[1.0, -2.0]])).h.tolist()
    [0.0, 0.0]

    Built in chapter 22.
    """
    names = region_codes(model, x).names  # refuses what is not piecewise affine
    if len(x) != 1:
        raise ValueError(f"x must hold one point, shape (1, ...), got {tuple(x.shape)}")
    if layers is not None:
        layers = check_count("layers", layers, high=len(names))
    model, x = copied(model, torch.float64), x.detach().double()
    pieces = record(model, x).pieces
    D = x.numel()

    def margins(probes):
        """How far each unit is from each other piece, at the probes, were the units held: (n, M)."""
        found = []

        def meet(unit, call):
            held = pieces[call.index]
            held = held if len(probes) == 1 else held.expand(len(probes), *held.shape[1:])
            if call.index in range(len(names) if layers is None else layers):
                found.append(unit.margins(held).reshape(len(probes), -1))
            return unit.held(held)

        trace = run(model, probes, meet)
        return torch.cat([flat(trace.output)[:, :0], *found], 1).cpu().numpy(), trace.bytes // len(probes)

    at_zero, bytes = margins(torch.zeros_like(x))
    G = np.empty((at_zero.shape[1], D))
    step = max(1, CHUNK // (bytes + at_zero.nbytes)) if len(neighbour(model, x)) == 2 else 1
    for first in range(0, D, step):
        units = torch.eye(D, dtype=x.dtype, device=x.device)[first : first + step]
        G[:, first : first + step] = (at_zero - margins(units.reshape(-1, *x.shape[1:]))[0]).T
    h = at_zero[0]
    lengths = np.linalg.norm(G, axis=1)
    borders = lengths > 1e-12 * lengths.max(initial=0)
    return Polytope(G[borders] / lengths[borders, None], h[borders] / lengths[borders])
