"""The errors of a partition that ``Partition.check`` cannot read off its codes and areas."""

from functools import partial

import numpy as np

from ..tracing.tracer import flat, run
from .cutting import largest

FACES = 2**16  # looked at together


def in_the_middle(partition):
    """What one run through the middle of all regions shows: two errors.

    The largest gap between a unit's output and its piece's in the code, relative to the largest output so
    far; and the largest gap between the network's output and the mean of those at the corners.
    """
    gaps, off, means = np.zeros((2, len(partition.codes))), 0.0, partition.mean(partition.values)
    for some in partition.chunks(len(partition)):
        points = partition.plane.points(partition.centers[some])
        trace = run(partition.model, points, partial(_piece_for_piece, partition.codes.of(some), gaps))
        own = partition.model(points) if trace.rewritten else trace.output
        off = max(off, abs(flat(own).cpu().numpy() - means[some]).max())
    return (gaps[0] / np.maximum.accumulate(np.maximum(gaps[1], 1e-300))).max(initial=0), off


def _piece_for_piece(codes, gaps, unit, call):
    output, _ = unit.choose()
    if output.numel():
        pieces = unit.from_codes(codes[call.index].to(output.device).reshape(output.shape))
        found = largest(unit.held(pieces).sub_(output)), largest(output)
        gaps[:, call.index] = np.maximum(gaps[:, call.index], found)
    return output


def largest_jump(partition):
    """How far a region's map is from the outputs at its corners, relative to the largest output.

    The map is the affine one through three corners that span a large triangle; and ``A``, ``b``, where they
    have been asked for.
    """
    mesh, gap = partition.mesh, 0.0
    for f in range(0, len(partition), FACES):
        start = mesh.start[f : f + FACES + 1]
        vertex, start = mesh.vertex[start[0] : start[-1]], start - start[0]
        face = np.repeat(np.arange(len(start) - 1), np.diff(start))
        xy, values = mesh.xy[vertex], partition.values[vertex]
        maps = [_through_three(xy, values, start, face)]
        if "_affine" in vars(partition):
            maps.append(np.einsum("ncs,ns->nc", partition.A[f + face], xy) + partition.b[f + face])
        gap = max(gap, *(abs(found - values).max() for found in maps))
    return gap / (abs(partition.values).max() or 1.0)


def _through_three(xy, values, start, face):
    """At all corners, the map through the first, the one farthest from it, and the one farthest aside."""
    xy, at_0 = xy - xy[start[:-1]][face], values[start[:-1]][face]
    far = _largest((xy**2).sum(1), start, face)
    along = xy[far][face]
    aside = along[:, 0] * xy[:, 1] - along[:, 1] * xy[:, 0]
    third = _largest(abs(aside), start, face)
    share = aside / aside[third][face]
    rest = ((xy - share[:, None] * xy[third][face]) * along).sum(1) / (along**2).sum(1)
    return at_0 + rest[:, None] * (values[far][face] - at_0) + share[:, None] * (values[third][face] - at_0)


def _largest(numbers, start, face):
    """Where the largest number of each face is."""
    at = np.flatnonzero(numbers == np.maximum.reduceat(numbers, start[:-1])[face])
    return at[np.unique(face[at], return_index=True)[1]]
