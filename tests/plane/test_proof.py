"""The proof of a partition: it fails for whatever is wrong."""

import copy

import numpy as np
import pytest
import torch
from helpers import mlp
from partitions import SQUARE, axes, every_net, partitioned, tiling

import mad_max_lib as mm
from mad_max_lib.plane.cutting import Cut
from mad_max_lib.plane.packing import PackedCodes, pack
from mad_max_lib.plane.partitions import Partition


@every_net
def test_the_proof_holds(name):
    errors = partitioned(name).check()
    assert errors["repeated codes"] == 0
    assert max(errors["area"], errors["wrong pieces"], errors["jump"]) < 1e-11


# What is wrong is made by hand: each of these changes one part of a partition before it is put together.


def swap_codes(parts):
    rows = parts["codes"].rows
    rows[[1, 4]] = rows[[4, 1]]


def repeat_code(parts):
    rows = parts["codes"].rows
    rows[1] = rows[4]


def flip_one_bit(parts):
    parts["codes"].rows[2, 1] ^= np.uint64(1 << 3)  # call 1, unit 3


def keep(parts, faces):
    mesh = parts["mesh"]
    corners = np.concatenate([np.arange(*mesh.start[[f, f + 1]]) for f in faces])
    mesh.vertex, mesh.edge = mesh.vertex[corners], mesh.edge[corners]
    mesh.start = np.concatenate([[0], np.cumsum(np.diff(mesh.start)[faces])])
    parts["codes"] = parts["codes"].of(faces)


def drop_face(parts):
    keep(parts, np.delete(np.arange(len(parts["codes"].rows)), 5))


def double_face(parts):
    keep(parts, np.append(np.arange(len(parts["codes"].rows)), 5))


def move_vertex(parts):
    xy = parts["mesh"].xy
    xy[np.flatnonzero(~np.isin(xy, (-1, 1)).any(1))[0]] += 1e-5


def turn_face(parts):
    mesh = parts["mesh"]
    first, last = mesh.start[[2, 3]]
    mesh.vertex[first:last] = np.roll(mesh.vertex[first:last][::-1], -1)
    mesh.edge[first:last] = mesh.edge[first:last][::-1]


def train_on(parts):
    parts["model"][0].weight *= 1.01


def change_output(parts):
    parts["model"][-1].bias += 1e-3


def widen(parts):
    parts["bounds"] = (-1, 1, -1, 1.001)


TAMPERED = {
    swap_codes: "codes are wrong",
    repeat_code: "codes are wrong",
    flip_one_bit: "codes are wrong",
    drop_face: "do not tile",
    double_face: "do not tile",
    move_vertex: "disagree|not affine",
    turn_face: "do not tile",
    train_on: "codes are wrong",
    change_output: "not affine on a region",
    widen: "do not tile",
}


@pytest.mark.parametrize("tamper", TAMPERED)
@torch.no_grad()
def test_the_proof_fails_for_what_is_wrong(tamper):
    model, plane = mlp(2, 8, 8, 3), axes()
    cut = tiling(model, plane, SQUARE).cut(Cut)
    parts = dict(model=model, plane=plane, bounds=SQUARE, mesh=cut.mesh, codes=cut.codes, values=cut.values,
                 rows=10)  # fmt: skip
    Partition(**copy.deepcopy(parts)).check()
    tamper(parts)
    with pytest.raises((AssertionError, mm.NotPiecewiseAffineError), match=TAMPERED[tamper]):
        Partition(**parts).check()


@pytest.mark.parametrize("part", ["A", "b"])
def test_the_proof_fails_for_a_wrong_map(part):
    p = mm.partition(mlp(2, 8, 8, 3))
    array = getattr(p, part)
    array[3, 0] += 1e-6 * abs(array).max()
    with pytest.raises(AssertionError, match="disagree"):
        p.check()


@pytest.mark.parametrize("name", ["pooling 2x2", "maxout", "recurrent", "hard tanh"])
def test_the_proof_looks_at_all_pieces(name):
    for call in range(len(partitioned(name).codes)):
        p = copy.copy(partitioned(name))
        codes = [each.numpy() for each in p.codes]
        pieces = int(codes[call].max())
        assert pieces > 0
        codes[call][7] = (codes[call][7] + 1) % (pieces + 1)
        packed = [pack(each, kind) for each, (_, kind) in zip(codes, p.codes.layout, strict=True)]
        p.codes = PackedCodes(p.codes.names, p.codes.layout, np.concatenate(packed, 1))
        with pytest.raises(AssertionError, match="codes are wrong"):
            p.check()
