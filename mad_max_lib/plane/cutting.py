"""A mesh cut along the kinks of a network while its vertices run through it."""

import numpy as np
import torch

from ..tracing.tracer import Intercept, flat
from .mesh import Mesh, cut_candidates, cut_kinks
from ..tracing.units import Kinked, NotPiecewiseAffineError, nonzero


class Cut(Intercept):
    """Cuts a mesh at each call; the points of the batch are its vertices, and new ones join on the way."""

    def __init__(self, plane, bounds):
        super().__init__()
        left, right, bottom, top = bounds
        self.mesh = Mesh(np.array([[left, bottom], [right, bottom], [right, top], [left, top]], float))
        self.plane, self.codes = plane, []
        self.size = self.plane.points(self.mesh.xy).abs().max().item()  # the largest number so far

    def find(self, model):
        """Cut at all calls; returns the outputs at the vertices."""
        return self.run(model, self.plane.points(self.mesh.xy))

    def current(self, arguments):
        return self.changed(arguments, self._at_all_vertices)

    def write(self, target, output):
        target.data = output
        return target

    def _at_all_vertices(self, tensor):
        if tensor.dim() == 0 or len(tensor) == len(self.mesh.xy):
            return tensor
        if len(tensor) not in (first for first, *_ in self.mesh.added):
            raise RuntimeError("the points are not on the first axis")
        return self._mark(torch.from_numpy(self.mesh.extend(tensor.cpu().numpy())).to(tensor.device))

    def meet(self, unit):
        first = unit.u if isinstance(unit, Kinked) else unit.candidate(0)[0]
        if len(first) != len(self.mesh.xy):
            raise NotPiecewiseAffineError(f"{self.names[-1]} does not keep the points on the first axis")
        if isinstance(unit, Kinked):
            steps = [flat(step).cpu().numpy() for step in unit.steps()]
            h, codes, origin = cut_kinks(self.mesh, steps, self.size)
            h = torch.from_numpy(h).to(first.device).reshape(len(h), *first.shape[1:])
            unit.u = h + unit.kinks[0] if nonzero(unit.kinks[0]) else h
            output = unit.own(unit.u) if unit.own else unit.choose()[0]
        else:
            candidates = ([part.cpu().numpy() for part in unit.candidate(r)] for r in range(unit.count))
            best, codes, origin = cut_candidates(self.mesh, candidates, self.size)
            output = torch.from_numpy(best).to(first.device).reshape(len(best), *unit.shape)
        self.codes = [earlier[origin] for earlier in self.codes] + [codes]
        self.size = max(self.size, *(abs(end.item()) for end in output.aminmax())) if output.numel() else self.size
        return output


class CutAnew(Cut):
    """The same with a fresh run for every call, for models that do not bear points to join on the way."""

    def find(self, model):
        while True:
            try:
                return super().find(model)
            except _Again:
                pass

    def current(self, arguments):
        return arguments

    def write(self, target, output):
        return Intercept.write(self, target, output)

    def meet(self, unit):
        if len(self.names) <= len(self.codes):
            return unit.choose()[0]
        super().meet(unit)
        raise _Again


class _Again(Exception):
    pass


class Chosen(Intercept):
    """Compares the output of every unit with that of the piece in the given codes."""

    def __init__(self, codes):
        super().__init__()
        self.codes, self.error, self.size = codes, 0.0, 1e-300

    def meet(self, unit):
        output, _ = unit.choose()
        if not output.numel():
            return output
        numbers = self.codes[len(self.names) - 1].to(output.device)
        gap = (unit.held(unit.places(numbers.reshape(output.shape))) - output).abs().max().item()
        self.size = max(self.size, output.abs().max().item())
        self.error = max(self.error, gap / self.size)
        return output
