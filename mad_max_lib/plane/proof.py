"""The two errors of a partition that ``Partition.check`` cannot read off its arrays."""

import numpy as np
import torch

from ..tracing.tracer import run


@torch.no_grad()
def wrong_pieces(partition):
    """The largest gap, in the middle of a region, between a unit's output and its piece's in the code."""
    gap, size = 0.0, 1e-300

    def meet(unit, call):
        nonlocal gap, size
        output, _ = unit.choose()
        if output.numel():
            codes = partition.codes[call.index].to(output.device).reshape(output.shape)
            size = max(size, output.abs().max().item())
            gap = max(gap, (unit.held(unit.from_codes(codes)) - output).abs().max().item() / size)
        return output

    run(partition.model, partition.plane.points(partition.centers), meet)
    return gap


def largest_jump(partition):
    """How far the maps of two neighbours differ on their border, relative to the largest output."""
    mesh, sides = partition.mesh, partition.mesh.sides()
    inner = (sides >= 0).all(1)
    points = mesh.xy[mesh.ends[inner]]  # (M, 2, 2)
    maps = ((partition.A[faces], partition.b[faces]) for faces in sides[inner].T)
    one, other = (np.einsum("mcs,mvs->mvc", A, points) + b[:, None] for A, b in maps)
    return abs(one - other).max(initial=0) / (abs(partition.values).max() or 1.0)
