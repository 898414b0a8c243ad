"""The exact partition of a plane into the regions of a network."""

import copy
import logging
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch

from ..tracing.codes import RegionCodes, region_codes
from ..tracing.tracer import UNSEEN, flat, record, replay
from ..tracing.units import NotPiecewiseAffineError
from . import proof
from .cutting import Cut, CutAnew
from .mesh import cut_candidates, cut_kinks

logger = logging.getLogger(__name__)


class Plane(NamedTuple):
    """The points ``origin + s u + t v`` of an input space; all three have the shape of an input.

    Examples
    --------
    >>> plane = Plane.through(torch.zeros(3), torch.ones(3), torch.tensor([0.0, 0.0, 1.0]))
    >>> plane.points(np.array([[0.0, 1.0]]))
    tensor([[0., 0., 1.]], dtype=torch.float64)

    Built in chapter 09.
    """

    origin: torch.Tensor
    u: torch.Tensor
    v: torch.Tensor

    @classmethod
    def through(cls, x0, x1, x2):
        """The plane through three inputs, at (s, t) = (0, 0), (1, 0) and (0, 1)."""
        return cls(x0, x1 - x0, x2 - x0)

    def points(self, st):
        """The inputs at plane coordinates ``st`` (N, 2): (N, *input)."""
        s, t = (
            torch.as_tensor(st)
            .to(self.origin.device, torch.float64)
            .T.reshape(2, -1, *[1] * self.origin.dim())
        )
        return self.origin.double() + s * self.u.double() + t * self.v.double()


def partition(model, plane=None, bounds=(-1, 1, -1, 1)):
    """The exact regions of a network in a rectangle of a plane.

    The rectangle starts as one polygon. At every nonlinear call the polygons are cut along the kink of every
    unit, which is straight inside each of them. All arithmetic is in float64, whatever the network's dtype; a
    vertex counts as on a kink if the unit is there below 1e-11 of its largest value, or below 1e-12 of the
    largest number met so far. Raises ``NotPiecewiseAffineError`` if a function on
    the way, or in the end the model's own output, is not affine on a region. Source: Humayun, Balestriero,
    Balakrishnan and Baraniuk, *SplineCam*; the regions: *Mad Max*.

    Parameters
    ----------
    model : nn.Module or callable, continuous and piecewise affine, in eval mode
    plane : Plane, by default the network's own 2-D input space
    bounds : (left, right, bottom, top), the rectangle in plane coordinates s and t

    Returns
    -------
    Partition

    Examples
    --------
    >>> len(partition(torch.relu))
    4

    Built in chapter 09.
    """
    edges = np.asarray(bounds, float) if np.shape(bounds) == (4,) else np.full(4, np.nan)
    if not (np.isfinite(edges).all() and edges[0] < edges[1] and edges[2] < edges[3]):
        raise ValueError(
            f"bounds must be (left, right, bottom, top) with left < right, bottom < top, got {bounds}"
        )
    if not callable(model):
        raise TypeError(
            f"model must be a network or a function, got {type(model).__name__}, which is not callable"
        )
    device = "cpu"
    if isinstance(model, torch.nn.Module):
        model = copy.deepcopy(model).double()  # as it is now: training may go on
        device = next((p.device for p in model.parameters()), device)
    plane = (
        plane
        if plane is not None
        else Plane(*torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], device=device))
    )
    if not (isinstance(plane, Plane) and all(isinstance(part, torch.Tensor) for part in plane)):
        raise TypeError(f"plane must be a Plane of three tensors, got {type(plane).__name__}")
    for name, part in plane._asdict().items():
        if part.shape != plane.origin.shape or part.is_complex() or not part.isfinite().all():
            raise ValueError(
                f"plane must be finite and real, origin, u and v in the shape of one input, got {name} {part}"
            )
    try:
        with torch.no_grad():
            model(plane.points(edges.reshape(2, 2).T))
    except Exception as error:
        shape = tuple(plane.origin.shape)
        raise ValueError(
            f"model cannot take the points of plane, float64 of shape (2, *{shape}): {error}"
        ) from error
    try:
        return partition_by(Cut, model, plane, tuple(edges))
    except Exception as error:  # whatever a model does when points join on the way
        logger.info("cutting anew at each call, since points could not join on the way: %s", error)
    return partition_by(CutAnew, model, plane, tuple(edges))


@torch.no_grad()
def partition_by(way, model, plane, bounds):
    """The partition that one way of cutting finds, if the model's own output agrees with it at 500 places."""
    cut = way(plane, bounds).run(model)
    found = Partition(model, plane, bounds, cut.mesh, cut.names, cut.codes, cut.values)
    found.check_model(np.arange(0, len(found), max(1, len(found) // 500)))
    return found


class Partition:
    """The regions of a network in a rectangle of a plane; made by ``partition``.

    Attributes
    ----------
    vertices : (V, 2) array, in plane coordinates
    faces : list of F integer arrays, the vertices of each region, counter-clockwise
    codes : RegionCodes, which piece every unit chose in each region: ``codes[l]`` (F, units)
    areas : (F,) array
    A, b : (F, C, 2) and (F, C) arrays, the network in plane coordinates: ``A @ (s, t) + b`` in each region
    mesh, values : the `Mesh` of vertices, edges and faces, and the outputs at its vertices
    centers : (F, 2) array, a point inside each region, the mean of its corners
    neighbours : (M, 2) integers, the pairs of regions that share an edge

    Examples
    --------
    >>> regions = partition(torch.nn.MaxPool1d(2), Plane.through(*torch.eye(3, 2)[:, None]))
    >>> len(regions), regions.areas
    (2, array([2., 2.]))
    """

    def __init__(self, model, plane, bounds, mesh, names, codes, values):
        self.model, self.plane, self.bounds, self.mesh = model, plane, bounds, mesh
        self.codes = RegionCodes(names, map(torch.from_numpy, codes), len(self))
        self.values = values

    def __len__(self):
        return len(self.mesh.start) - 1

    def __repr__(self):
        return f"Partition into {len(self)} regions"

    @cached_property
    def vertices(self):
        return self.mesh.xy[np.unique(self.mesh.vertex)]

    @cached_property
    def faces(self):
        return np.split(np.unique(self.mesh.vertex, return_inverse=True)[1], self.mesh.start[1:-1])

    def _mean(self, values):
        """The mean over the corners of each face."""
        sums = np.add.reduceat(values[self.mesh.vertex], self.mesh.start[:-1])
        return sums / np.diff(self.mesh.start)[:, None]

    @cached_property
    def centers(self):
        return self._mean(self.mesh.xy)

    @cached_property
    def areas(self):
        mesh = self.mesh
        first = np.repeat(mesh.xy[mesh.vertex[mesh.start[:-1]]], np.diff(mesh.start), 0)
        (x, y), (x_next, y_next) = (mesh.xy[mesh.vertex] - first).T, (self._following - first).T
        return np.add.reduceat(x * y_next - x_next * y, mesh.start[:-1]) / 2

    @property
    def _following(self):
        """The corner after each corner of every face."""
        mesh = self.mesh
        return mesh.xy[mesh.ends[mesh.edge].sum(1) - mesh.vertex]

    @cached_property
    def neighbours(self):
        sides = self.mesh.sides()
        return np.unique(np.sort(sides[(sides >= 0).all(1)], 1), axis=0)

    @cached_property
    @torch.no_grad()
    def _affine(self):
        left, right, bottom, top = self.bounds
        pieces = record(self.model, self.plane.points(self.centers)).pieces
        corners = np.array([[left, bottom], [right, bottom], [left, top]])
        points = (self.plane.points(np.tile(corner, (len(self), 1))) for corner in corners)
        start, at_s, at_t = (flat(replay(self.model, point, pieces)).cpu().numpy() for point in points)
        A = np.stack([(at_s - start) / (right - left), (at_t - start) / (top - bottom)], -1)
        return A, start - A @ corners[0]

    A = property(lambda self: self._affine[0])
    b = property(lambda self: self._affine[1])

    @torch.no_grad()
    def check_model(self, faces):
        """Raise unless the model's own output at centres is the mean of its values at the corners."""
        truth, points = self._mean(self.values)[faces], self.plane.points(self.centers[faces])
        own, alone = (flat(self.model(part)).cpu().numpy() for part in (points, points[:1]))
        error = max(abs(own - truth).max(), abs(alone - truth[:1]).max())
        if not error <= 1e-9 * max(abs(self.values).max(), 1e-300):
            raise NotPiecewiseAffineError(
                f"the model's own output is not affine on a region, by {error:.1e}: {UNSEEN}"
            )

    @cached_property
    def decided(self):
        """The mesh cut further where the largest output changes (one output: its sign), and the winners."""
        mesh = copy.copy(self.mesh)
        mesh.xy, mesh.ends, mesh.added = mesh.xy.copy(), mesh.ends.copy(), list(mesh.added)
        size = abs(self.values).max()
        if self.values.shape[1] == 1:
            _, winners, _ = cut_kinks(mesh, [self.values], size)
        else:
            _, winners, _ = cut_candidates(mesh, ((column[:, None], False) for column in self.values.T), size)
        return mesh, winners[:, 0]

    def boundary(self):
        """The segments where the largest output changes (where one output changes its sign): (M, 2, 2)."""
        mesh, winners = self.decided
        sides = mesh.sides()
        inner = (sides >= 0).all(1)
        changes = inner & (winners[sides[:, 0]] != winners[sides[:, 1]])
        return mesh.xy[mesh.ends[changes]]

    def locate(self, points):
        """The region of each point (N, 2), in plane coordinates; -1 outside the rectangle.

        On a border ties go to the lowest piece, as everywhere.
        """
        points, (left, right, bottom, top) = np.asarray(points, float), self.bounds
        if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
            raise ValueError(f"points must be finite, of shape (N, 2), got shape {points.shape}")
        if not len(points):
            return np.zeros(0, int)
        inside = ((points >= (left, bottom)) & (points <= (right, top))).all(1)
        with torch.no_grad():
            there = region_codes(self.model, self.plane.points(points)).all().cpu()
        mine, mesh = self.codes.all(), self.mesh
        _, number = np.unique(torch.cat([mine, there]).numpy(), axis=0, return_inverse=True)
        face = np.full(number.max() + 1, -1)
        face[number[: len(self)]] = np.arange(len(self))
        found = np.where(inside, face[number[len(self) :]], -1)
        corner = mesh.xy[mesh.vertex]
        along = self._following - corner
        for i in np.flatnonzero(
            inside & (found < 0)
        ):  # on a corner, where no region has all the lowest pieces
            x, y = (points[i] - corner).T
            found[i] = np.minimum.reduceat(along[:, 0] * y - along[:, 1] * x, mesh.start[:-1]).argmax()
        return found

    def check(self):
        """Prove the partition: raise ``AssertionError`` unless all of this holds, else return the errors.

        The regions tile the rectangle; no two have the same code; in the middle of each, the piece of every
        unit gives what the unit of the model itself puts out; the maps of neighbours agree along their
        border.
        """
        left, right, bottom, top = self.bounds
        errors = {
            "area": abs(self.areas.sum() / ((right - left) * (top - bottom)) - 1),
            "repeated codes": len(self) - len(np.unique(self.codes.all().numpy(), axis=0)),
            "wrong pieces": proof.wrong_pieces(self),
            "jump": proof.largest_jump(self),
        }
        for holds, complaint in [
            (self.areas.min() > 0 and errors["area"] < 1e-9, "the regions do not tile the rectangle"),
            (not errors["repeated codes"] and errors["wrong pieces"] < 1e-9, "codes are wrong"),
            (errors["jump"] < 1e-8, "neighbours disagree on their border"),
        ]:
            if not holds:  # no bare assert: ``python -O`` takes these out
                raise AssertionError(f"{complaint}: {errors}")
        self.check_model(np.arange(len(self)))
        return errors
