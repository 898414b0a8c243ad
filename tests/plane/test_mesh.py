"""The mesh alone: polygons cut along lines whose regions can be counted, and faces that join again."""

import copy
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from partitions import crosses

from mad_max_lib.plane.mesh import Mesh

few = settings(max_examples=40, deadline=None)


def polygon(n):
    angles = 2 * np.pi * np.arange(n) / n + 0.1
    return np.stack([np.cos(angles), np.sin(angles)], 1)


def heights(mesh, lines):
    """The values of ``a x + b y + c`` at all vertices, for each line (a, b, c)."""
    return mesh.xy @ lines[:, :2].T + lines[:, 2]


def cut(mesh, lines):
    h = heights(mesh, lines)
    return mesh.cut(h, 1e-11 * abs(h).max(0))


def areas(mesh):
    face = np.split(mesh.vertex, mesh.start[1:-1])
    polygons = [mesh.xy[f] - mesh.xy[f[0]] for f in face]
    return [crosses(polygon, np.roll(polygon, -1, 0)).sum() / 2 for polygon in polygons]


def through(p, q):
    """The line through two points, positive to the left of the way from p to q."""
    (x, y), (x_next, y_next) = p, q
    return [y - y_next, x_next - x, x * y_next - x_next * y]


def bits(words, U):
    return np.unpackbits(words.view(np.uint8), axis=1, count=U, bitorder="little").astype(bool)


def assert_mesh(mesh):
    """Each edge has a face on both sides, or lies on the frame, and belongs to the corner that it leaves."""
    face = np.repeat(np.arange(len(mesh.start) - 1), np.diff(mesh.start))
    following = np.concatenate([np.roll(f, -1) for f in np.split(mesh.vertex, mesh.start[1:-1])])
    assert (np.sort(mesh.ends[mesh.edge], 1) == np.sort(np.stack([mesh.vertex, following], 1), 1)).all()
    forward = mesh.vertex == mesh.ends[mesh.edge, 0]
    sides = np.full((len(mesh.ends), 2), -1)
    sides[mesh.edge[forward], 0], sides[mesh.edge[~forward], 1] = face[forward], face[~forward]
    np.testing.assert_array_equal(mesh.sides(), sides)
    assert len(mesh.edge) == (sides >= 0).sum() and (sides >= 0).any(1).all()
    assert len(np.unique(np.sort(mesh.ends, 1), axis=0)) == len(mesh.ends)
    assert len(np.unique(mesh.vertex)) - len(mesh.ends) + len(mesh.start) - 1 == 1  # Euler


# how many regions all diagonals make of a regular polygon with n corners; for even n many meet in one point
DIAGONALS = {3: 1, 4: 4, 5: 11, 6: 24, 7: 50, 8: 80, 9: 154, 10: 220, 11: 375, 12: 444, 13: 781, 18: 2466}


@pytest.mark.parametrize("n", DIAGONALS)
@pytest.mark.parametrize("one_by_one", [False, True])
def test_all_diagonals_of_a_regular_polygon(n, one_by_one):
    corners = polygon(n)
    lines = np.array([through(*corners[list(pair)]) for pair in combinations(range(n), 2)])
    rng = np.random.default_rng(n)
    lines = rng.permutation(lines) * rng.choice([-1, 1], (len(lines), 1))
    mesh = Mesh(corners)
    if one_by_one:
        for line in lines[:, None]:
            cut(mesh, line)
    else:
        cut(mesh, lines)
    assert len(mesh.start) - 1 == DIAGONALS[n]
    assert_mesh(mesh)
    assert (
        sum(areas(mesh)) == pytest.approx(n / 2 * np.sin(2 * np.pi / n), rel=1e-12) and min(areas(mesh)) > 0
    )


def test_a_triangle_cut_along_its_medians():
    corners = np.array([[0.0, 0], [5, 1], [2, 4]])
    lines = np.array([through(corners[k], (corners[k - 1] + corners[k - 2]) / 2) for k in range(3)])
    mesh = Mesh(corners)
    h, above, origin = cut(mesh, lines)
    np.testing.assert_allclose(areas(mesh), [1.5] * 6, rtol=1e-12)
    assert origin.tolist() == [0] * 6 and len(mesh.xy) == 7 and len({*map(tuple, bits(above, 3))}) == 6
    assert (abs(h).min(1) < 1e-12).all() and (abs(h[-1]) < 1e-12).all()
    assert_mesh(mesh)


def test_lines_along_the_sides_and_through_one_corner_cut_nothing():
    corners = polygon(5)
    sides = [through(corners[k - 1], corners[k]) for k in range(5)]
    tangent = [*corners[2], -1]
    mesh = Mesh(corners)
    h, above, origin = cut(mesh, np.array([*sides, tangent, [0, 0, 0], [1, 0, 5], [1, 0, -5]]))
    assert len(mesh.start) == 2 and len(mesh.xy) == len(mesh.ends) == 5 and not mesh.added
    assert bits(above, 9).tolist() == [[True] * 5 + [False, False, True, False]] and origin.tolist() == [0]
    assert h.shape == (5, 9)


@few
@given(st.integers(3, 9), st.integers(1, 80), st.integers(0, 999))
def test_what_a_cut_returns(n, K, seed):
    rng = np.random.default_rng(seed)
    lines = np.column_stack([rng.normal(size=(K, 2)), rng.uniform(-0.5, 0.5, K)])
    mesh = Mesh(polygon(n))
    cut(mesh, lines[: K // 2])
    old, extra, V = copy.deepcopy(mesh), rng.normal(size=(3, 2)), len(mesh.xy)
    function = mesh.xy @ extra[:2] + extra[2]
    lines = lines[K // 2 :]
    h, above, origin = cut(mesh, lines)
    assert_mesh(mesh)
    np.testing.assert_allclose(h, heights(mesh, lines), atol=1e-12)
    np.testing.assert_allclose(mesh.extend(function), mesh.xy @ extra[:2] + extra[2], atol=1e-12)
    np.testing.assert_array_equal(mesh.xy[:V], old.xy)
    faces = np.split(mesh.vertex, mesh.start[1:-1])
    centres = np.array([mesh.xy[face].mean(0) for face in faces])
    np.testing.assert_array_equal(bits(above, len(lines)), centres @ lines[:, :2].T + lines[:, 2] > 0)
    np.testing.assert_allclose(np.bincount(origin, areas(mesh), len(old.start) - 1), areas(old), rtol=1e-9)
    for face, centre in zip(origin, centres, strict=True):
        before = old.xy[old.vertex[old.start[face] : old.start[face + 1]]]
        assert (crosses(np.roll(before, -1, 0) - before, centre - before) > 0).all()


def test_values_of_any_shape_are_extended():
    mesh = Mesh(polygon(4))
    cut(mesh, np.array([[1.0, 0.2, 0.1]]))
    some = mesh.xy[:, 0].copy()
    cut(mesh, np.array([[0.3, 1, 0.1], [1, -1, 0.2]]))
    cut(mesh, np.array([[-1, 1.5, 0.3]]))
    assert len(some) == 6 < len(mesh.xy) and len(mesh.added) >= 3
    np.testing.assert_allclose(mesh.extend(some), mesh.xy[:, 0], atol=1e-15)
    images = mesh.xy[..., None, None] * np.arange(6.0).reshape(2, 3)
    np.testing.assert_allclose(mesh.extend(images[:6]), images, atol=1e-15)
    np.testing.assert_array_equal(mesh.extend(mesh.xy), mesh.xy)


def arrangement(lines, corners):
    """How many regions lines make of a polygon, both of whole numbers: line by line, in fractions."""
    corners = [[*map(Fraction, corner), Fraction(1)] for corner in corners]
    done, count = set(), 1
    for line in lines:
        values = [sum(l * c for l, c in zip(line, corner, strict=True)) for corner in corners]  # noqa: E741
        lead = next((Fraction(int(x)) for x in line if x), 1)
        same = tuple(Fraction(int(x)) / lead for x in line)
        if min(values) < 0 < max(values) and same not in done:
            meet = set()
            for other in done:
                w = same[0] * other[1] - same[1] * other[0]
                if w:
                    x = (same[1] * other[2] - same[2] * other[1]) / w
                    y = (same[2] * other[0] - same[0] * other[2]) / w
                    turns = [
                        (q[0] - p[0]) * (y - p[1]) - (q[1] - p[1]) * (x - p[0])
                        for p, q in zip(corners, corners[1:] + corners[:1], strict=True)
                    ]
                    meet |= {(x, y)} if min(turns) > 0 else set()
            done.add(same)
            count += 1 + len(meet)
    return count


LATTICE = [
    ([0, 0], [4, 0], [0, 4]),
    ([0, 0], [3, 0], [4, 2], [1, 3]),
    ([0, 0], [2, 0], [4, 1], [4, 3], [3, 4], [1, 4]),
]
places = st.tuples(st.integers(-1, 5), st.integers(-1, 5))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(LATTICE), st.lists(st.tuples(places, places), min_size=1, max_size=12), st.data())
def test_lines_through_lattice_points_and_joining_the_faces_again(corners, pairs, data):
    """Many lines through one point, through corners, along sides, twice."""
    lines = np.array([through(*pair) for pair in pairs if pair[0] != pair[1]] or [[1, 0, -1]], float)
    mesh = Mesh(np.array(corners, float))
    _, above, _ = cut(mesh, lines)
    assert len(mesh.start) - 1 == arrangement(lines, corners)
    assert_mesh(mesh)
    whole, before, some = sum(areas(mesh)), np.array(areas(mesh)), data.draw(st.integers(0, len(lines)))
    _, label = np.unique(bits(above, len(lines))[:, :some], axis=0, return_inverse=True)
    label = label.reshape(-1)
    kept = mesh.merge(label)
    assert len(mesh.start) - 1 == len(kept) == arrangement(lines[:some], corners)
    assert_mesh(mesh)
    assert sorted(label[kept]) == list(range(len(kept)))
    np.testing.assert_allclose(areas(mesh), np.bincount(label, before)[label[kept]], rtol=1e-12)
    assert sum(areas(mesh)) == pytest.approx(whole)
    h = heights(mesh, lines)
    mesh.cut(h, 1e-11 * np.maximum(abs(h).max(0), 1e-300))  # and cut once more
    assert len(mesh.start) - 1 == arrangement(lines, corners)


def test_faces_with_nothing_to_join_stay():
    mesh = Mesh(polygon(6))
    cut(mesh, np.random.default_rng(0).normal(size=(5, 3)))
    before = copy.deepcopy(mesh)
    labels = np.random.default_rng(0).permutation(len(mesh.start) - 1)
    kept = mesh.merge(labels)
    assert (kept == np.arange(len(labels))).all()
    assert np.allclose(areas(mesh), np.array(areas(before)))
    assert_mesh(mesh)


def test_faces_that_touch_in_a_point_do_not_join():
    mesh = Mesh(polygon(4))
    _, above, _ = cut(mesh, np.array([[1.0, 0.1, 0], [-0.1, 1, 0]]))
    with pytest.raises(RuntimeError, match="do not join to convex"):
        mesh.merge(bits(above, 2).sum(1) % 2)
