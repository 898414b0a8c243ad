"""What ``partition`` finds: regions with their codes, areas and maps, and the proof that they are right."""

import copy
from functools import cached_property

import numpy as np
import torch

from ..tracing.tracer import UNSEEN, flat, record, replay, run
from ..tracing.units import NotPiecewiseAffineError
from . import proof
from .mesh import ON, cut_candidates, cut_kinks, following
from .packing import kind_of, numbered, pack


class Partition:
    """The regions of a network in a rectangle of a plane; made by ``partition``.

    Attributes
    ----------
    vertices : (V, 2) array, in plane coordinates
    faces : list of F integer arrays, the vertices of each region, counter-clockwise
    codes : RegionCodes, which piece every unit chose in each region: ``codes[l]`` (F, units)
    rows : int, how many points the network is given at once
    areas : (F,) array
    A, b : (F, C, 2) and (F, C) arrays, the network in plane coordinates: ``A @ (s, t) + b`` in each region
    mesh, values : the `Mesh` of vertices, edges and faces, and the outputs at its vertices
    centers : (F, 2) array, a point inside each region, the mean of its corners
    neighbours : (M, 2) integers, the pairs of regions that share an edge

    Examples
    --------
    >>> from mad_max_lib import Plane, partition
    >>> regions = partition(torch.nn.MaxPool1d(2), Plane.through(*torch.eye(3, 2)[:, None]))
    >>> len(regions), regions.areas
    (2, array([2., 2.]))
    """

    def __init__(self, model, plane, bounds, mesh, codes, values, rows):
        self.model, self.plane, self.bounds, self.mesh = model, plane, bounds, mesh
        self.codes, self.values, self.rows = codes, values, rows

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

    def chunks(self, N):
        """Slices of N points, as many as the network is given at once."""
        return [slice(n, n + self.rows) for n in range(0, N, self.rows)]

    def mean(self, values):
        """The mean over the corners of each face."""
        sums = np.add.reduceat(values[self.mesh.vertex], self.mesh.start[:-1])
        return sums / np.diff(self.mesh.start)[:, None]

    @cached_property
    def centers(self):
        return self.mean(self.mesh.xy)

    @cached_property
    def areas(self):
        mesh = self.mesh
        first = np.repeat(mesh.xy[mesh.vertex[mesh.start[:-1]]], np.diff(mesh.start), 0)
        x, y = (mesh.xy[mesh.vertex] - first).T
        x_next, y_next = (mesh.xy[following(mesh.vertex, mesh.start)] - first).T
        return np.add.reduceat(x * y_next - x_next * y, mesh.start[:-1]) / 2

    @cached_property
    def neighbours(self):
        sides = self.mesh.sides()
        return np.unique(np.sort(sides[(sides >= 0).all(1)], 1), axis=0)

    @cached_property
    @torch.no_grad()
    def _affine(self):
        left, right, bottom, top = self.bounds
        A, b = [], []
        for some in self.chunks(len(self)):
            trace = record(self.model, self.plane.points(self.centers[some]))
            moved = (self.centers[some] + step for step in ((right - left, 0), (0, top - bottom)))
            ends = [flat(replay(self.model, self.plane.points(each), trace.pieces)) for each in moved]
            start, at_s, at_t = (flat(each).cpu().numpy() for each in (trace.output, *ends))
            A.append(np.stack([(at_s - start) / (right - left), (at_t - start) / (top - bottom)], -1))
            b.append(start - np.einsum("fcs,fs->fc", A[-1], self.centers[some]))
        return np.concatenate(A), np.concatenate(b)

    A = property(lambda self: self._affine[0])
    b = property(lambda self: self._affine[1])

    @torch.no_grad()
    def check_model(self, faces):
        """Raise unless the model's own output at centres is the mean of its values at the corners."""
        truth, centers = self.mean(self.values)[faces], self.centers[faces]
        own = [self._own(centers[some]) for some in self.chunks(len(faces))]
        self.check_outputs(abs(np.concatenate(own) - truth).max(), truth[:1], centers[:1])

    def _own(self, points):
        return flat(self.model(self.plane.points(points))).cpu().numpy()

    def check_outputs(self, error, truth, point):
        """Raise unless outputs beside others, off by this error, and one at a point alone are right."""
        error = max(error, abs(self._own(point) - truth).max())
        if not error <= 1e-9 * max(abs(self.values).max(), 1e-300):
            raise NotPiecewiseAffineError(
                f"the model's own output is not affine on a region, by {error:.1e}: {UNSEEN}"
            )

    @cached_property
    def decided(self):
        """The mesh cut further where the largest output changes (one output: its sign), and the winners."""
        mesh = copy.copy(self.mesh)
        mesh.xy, mesh.ends, mesh.added = mesh.xy.copy(), mesh.ends.copy(), list(mesh.added)
        zero = np.full(1, ON * abs(self.values).max())
        if self.values.shape[1] == 1:
            _, winners, _ = cut_kinks(mesh, [self.values], zero)
        else:
            _, winners, _ = cut_candidates(mesh, ((column[:, None], False) for column in self.values.T), zero)
        return mesh, winners[:, 0]

    def boundary(self):
        """The segments where the largest output changes (where one output changes its sign): (M, 2, 2)."""
        mesh, winners = self.decided
        sides = mesh.sides()
        inner = (sides >= 0).all(1)
        changes = inner & (winners[sides[:, 0]] != winners[sides[:, 1]])
        return mesh.xy[mesh.ends[changes]]

    def _codes_at(self, points):
        """The codes of the network itself at points of the plane, as words."""
        rows = [np.zeros((len(points), 0), np.uint64)]

        def meet(unit, call):
            output, pieces = unit.choose()
            rows.append(pack(flat(unit.codes(pieces)).cpu().numpy(), kind_of(unit.count)))
            return output

        run(self.model, self.plane.points(points), meet)
        return np.concatenate(rows, 1)

    @torch.no_grad()
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
        mesh, there = self.mesh, [self._codes_at(points[some]) for some in self.chunks(len(points))]
        number = numbered(np.concatenate([self.codes.rows, *there]))
        face = np.full(number.max() + 1, -1)
        face[number[: len(self)]] = np.arange(len(self))
        found = np.where(inside, face[number[len(self) :]], -1)
        corner = mesh.xy[mesh.vertex]
        along = mesh.xy[following(mesh.vertex, mesh.start)] - corner
        lost = inside & (found < 0)  # on a corner, where no region has all the lowest pieces
        for i in np.flatnonzero(lost):
            x, y = (points[i] - corner).T
            found[i] = np.minimum.reduceat(along[:, 0] * y - along[:, 1] * x, mesh.start[:-1]).argmax()
        return found

    @torch.no_grad()
    def check(self):
        """Prove the partition: raise ``AssertionError`` unless all of this holds, else return the errors.

        The regions tile the rectangle; no two have the same code; in the middle of each, the piece of every
        unit gives what the unit of the model itself puts out, and the output is the mean of those at the
        corners; through the outputs at the corners of each goes one affine map, and it is ``A`` and ``b``, if
        they have been asked for, so that the maps of neighbours agree along their border.
        """
        left, right, bottom, top = self.bounds
        wrong, off = proof.in_the_middle(self)
        errors = {
            "area": abs(self.areas.sum() / ((right - left) * (top - bottom)) - 1),
            "repeated codes": len(self) - 1 - numbered(self.codes.rows).max(),
            "wrong pieces": wrong,
            "jump": proof.largest_jump(self),
        }
        for holds, complaint in [
            (self.areas.min() > 0 and errors["area"] < 1e-9, "the regions do not tile the rectangle"),
            (not errors["repeated codes"] and errors["wrong pieces"] < 1e-9, "codes are wrong"),
            (errors["jump"] < 1e-8, "neighbours disagree on their border"),
        ]:
            if not holds:  # no bare assert: ``python -O`` takes these out
                raise AssertionError(f"{complaint}: {errors}")
        self.check_outputs(off, self.mean(self.values)[:1], self.centers[:1])
        return errors
