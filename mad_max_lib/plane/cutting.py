"""The run that cuts a mesh along the kinks of a network; the points of the batch are the mesh's vertices.

At a nonlinear call every unit is affine on every face, so that its kinks are straight there: the mesh is cut
along them, and its new vertices lie where kinks meet edges. The next call needs values at the new vertices,
too. There are two ways to get them:

    CutAnew   runs the network from the start on all vertices, once for each call: plain, and always right
    Cut       interpolates, in one run: what was computed at the ends of an edge is affine along it. It is
              1 to 11 times faster, but a network that counts its points, or keeps views of them, does not
              bear rows that join
"""

from dataclasses import replace
from functools import partial

import numpy as np
import torch

from ..tracing.tracer import flat, run
from ..tracing.units import NotPiecewiseAffineError
from .mesh import NOISE, ON, SLACK, Mesh, cut_candidates, cut_kinks
from .packing import PackedCodes, kind_of, pack


class Sizes:
    """How large the numbers of a network are at 25 points of a rectangle: what counts as zero follows.

    All tiles of a rectangle share them, so that the regions are the same whatever the tiles.

    Attributes
    ----------
    largest : list of float, the largest number of all before each nonlinear call
    units : list of arrays, the largest value of each kink function of a call, or of each unit's candidates
    bytes : int, what all tensors of one point take
    """

    def __init__(self, model, plane, bounds):
        s, t = (np.linspace(*ends, 5) for ends in (bounds[:2], bounds[2:]))
        x = plane.points(np.stack(np.meshgrid(s, t), -1).reshape(25, 2))
        self.largest, self.units = [x.abs().max().item()], []
        self.bytes = run(model, x, self._meet).bytes // 25

    def _meet(self, unit, call):
        if unit.bends:
            parts = [(function, None) for function in unit.kink_functions()]
        else:
            parts = map(unit.piece_values, range(max(1, unit.count)))  # soft units have none, and say so
        tops = []
        for values, absent in parts:
            check_rows(values, 25, call)
            top = flat(values).abs().amax(0)
            tops.append((top if absent is None else top.masked_fill(absent, 0)).cpu().numpy())
        self.units.append(np.concatenate(tops) if absent is None else np.max(tops, 0))
        output, _ = unit.choose()
        self.largest.append(max(self.largest[-1], largest(output)))
        return output

    def zero(self, call, size):
        """Below which value each function of a call counts as zero, after numbers up to ``size``."""
        return np.maximum(ON * self.units[call], NOISE * max(self.largest[call], size / SLACK))


def check_rows(values, N, call):
    """Raise unless a call's units have a row for each of N points."""
    if len(values) != N:
        raise NotPiecewiseAffineError(
            f"{call.index + 1}:{call.name} does not keep the points on the first axis"
        )


def largest(tensor):
    """The largest absolute value."""
    return max(abs(end.item()) for end in tensor.aminmax()) if tensor.numel() else 0.0


class CutAnew:
    """A rectangle of a plane cut along the kinks of a network, by a fresh run for each of its calls.

    Attributes
    ----------
    mesh : Mesh
    codes : PackedCodes, the piece of every unit in every face
    values : (V, C) array, the outputs at the vertices
    """

    def __init__(self, plane, bounds, sizes, limit=np.inf):
        left, right, bottom, top = bounds
        self.mesh = Mesh(np.array([[left, bottom], [right, bottom], [right, top], [left, top]], float))
        self.mesh.limit = limit
        self.plane, self.sizes, self.codes = plane, sizes, PackedCodes([], [], np.zeros((1, 0), np.uint64))
        self.size = largest(self.points())  # the largest number so far

    def points(self):
        """The inputs at the vertices."""
        return self.plane.points(self.mesh.xy)

    def run(self, model):
        """Cut along all calls of the network; returns itself."""
        done = -1
        while done < len(self.codes):  # until a run has found nothing to cut
            done = len(self.codes)
            trace = run(model, self.points(), partial(self._cut_once, done))
        return self._finished(trace)

    def _cut_once(self, done, unit, call):
        """Cut along the first call that is not done; from there on the run goes to its end for nothing."""
        if call.index == done:
            self.cut(unit, call)
        return unit.choose()[0]

    def _finished(self, trace):
        self.codes.names, self.values = trace.names, self.mesh.extend(flat(trace.output).cpu().numpy())
        self.mesh.limit, self.mesh.added = np.inf, []
        return self

    def cut(self, unit, call):
        """Cut along the kinks of all units of a call; their outputs at all vertices, old and new."""
        first = unit.u if unit.bends else unit.piece_values(0)[0]
        check_rows(first, len(self.mesh.xy), call)
        zero = self.sizes.zero(call.index, self.size)
        if unit.bends:
            functions = [flat(function).cpu().numpy() for function in unit.kink_functions()]
            h, above, origin = cut_kinks(self.mesh, functions, zero)
            codes = unit.codes_from(above)
            u = h if unit.u_is_first else self.mesh.extend(flat(first).cpu().numpy())
            u = torch.from_numpy(u).to(first.device).reshape(len(u), *first.shape[1:])
            output, _ = replace(unit, u=u).choose()
        else:
            candidates = ([part.cpu().numpy() for part in unit.piece_values(r)] for r in range(unit.count))
            best, codes, origin = cut_candidates(self.mesh, candidates, zero)
            output = torch.from_numpy(best).to(first.device).reshape(len(best), *unit.shape)
        kind = kind_of(unit.count)
        rows = np.concatenate([self.codes.rows[origin], pack(codes, kind)], 1)
        self.codes = PackedCodes([], [*self.codes.layout, (codes.shape[1], kind)], rows)
        self.size = max(self.size, largest(output))
        # convolutions of many channels run up to three times faster so
        return output.contiguous(memory_format=torch.channels_last) if output.dim() == 4 else output


class Cut(CutAnew):
    """The same in one run: the vertices that a call makes join the batch, earlier results are interpolated.

    A result that a later function takes up again (a skip connection) is shorter than the mesh by then:

        rows of the batch     V_0 vertices | joined at call 1 | joined at call 2
        a result before 1     known        | interpolated when it is next seen
    """

    def run(self, model):
        return self._finished(run(model, self.points(), self.cut, see=self._at_all_vertices))

    def _at_all_vertices(self, tensor):
        if tensor.dim() == 0 or len(tensor) == len(self.mesh.xy):
            return tensor
        if len(tensor) not in (first for first, *_ in self.mesh.added):
            raise RuntimeError("the points are not on the first axis")
        return torch.from_numpy(self.mesh.extend(tensor.cpu().numpy())).to(tensor.device)
