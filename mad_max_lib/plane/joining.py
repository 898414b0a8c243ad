"""The partitions of the tiles of a rectangle, joined to the partition of the whole."""

import numpy as np

from .mesh import Mesh, following
from .packing import PackedCodes, numbered

SAME = 1e-11  # vertices that two tiles have on their border are one if so near, relative to the rectangle


def join(cuts, bounds):
    """One cut from those of the tiles of a rectangle; regions that tiles cut are joined by their code.

    A border between tiles is a sequence of vertices of both sides. Each side takes up those of the other:

        left tile    p ─────── q ─────────── r        ▶   p ─ o ─── q ─────────── r   one sequence of edges,
        right tile   p ─ o ─── q'─────────── r        ▶   p ─ o ─── q ─────────── r   which both sides share

    A region is convex, so that two faces of one code lie along a common edge; the edge goes. Then vertices
    where only a border crossed an edge go, too.
    """
    if len(cuts) == 1:
        return cuts[0]
    first, meshes = cuts[0], [cut.mesh for cut in cuts]
    V, E, I = (np.cumsum([0, *map(len, parts)]) for parts in zip(  # noqa: E741
        *((mesh.xy, mesh.ends, mesh.vertex) for mesh in meshes), strict=True))  # fmt: skip
    mesh = Mesh(np.concatenate([mesh.xy for mesh in meshes]))
    mesh.ends = np.concatenate([each.ends + v for each, v in zip(meshes, V, strict=False)])
    mesh.vertex = np.concatenate([each.vertex + v for each, v in zip(meshes, V, strict=False)])
    mesh.edge = np.concatenate([each.edge + e for each, e in zip(meshes, E, strict=False)])
    mesh.start = np.concatenate([[0], *(each.start[1:] + i for each, i in zip(meshes, I, strict=False))])
    rows = np.concatenate([cut.codes.rows for cut in cuts])
    values = np.concatenate([cut.values for cut in cuts])
    nodes, cut_faces = _share_borders(mesh, bounds)
    label = np.arange(len(rows)) + len(cut_faces)
    label[cut_faces] = numbered(rows[cut_faces])
    kept = mesh.merge(label)
    _straighten(mesh, nodes)
    used = np.zeros(len(mesh.xy), bool)
    used[mesh.vertex] = True
    number = np.cumsum(used) - 1
    mesh.xy, mesh.vertex, mesh.ends = mesh.xy[used], number[mesh.vertex], number[mesh.ends]
    first.mesh, first.values = mesh, values[used]
    first.codes = PackedCodes(first.codes.names, first.codes.layout, rows[kept])
    return first


def _share_borders(mesh, bounds):
    """Give both sides of every border between tiles the same vertices and edges.

    Returns the vertices on borders, and which faces touch a border with an edge.
    """
    xy, E = mesh.xy, len(mesh.ends)
    corner = np.flatnonzero(np.bincount(mesh.edge, minlength=E)[mesh.edge] == 1)  # a face on one side only
    ends = np.stack([mesh.vertex[corner], mesh.ends[mesh.edge[corner]].sum(1) - mesh.vertex[corner]])
    across = np.where((xy[ends[0], 0] == xy[ends[1], 0]), 0, 1)  # the coordinate that a border keeps
    level = xy[ends[0], across]
    inner = (level != np.array(bounds).reshape(2, 2)[across].T).all(0)
    corner, ends, across, level = corner[inner], ends[:, inner], across[inner], level[inner]
    along = xy[ends, 1 - across]  # (2, corners)
    # vertices at the same place are one
    there, name = np.unique(ends, return_inverse=True)
    _, first, place = np.unique(xy[there] @ [1, 1j], return_index=True, return_inverse=True)
    one = np.arange(len(xy))
    one[there] = there[first[place]]
    # the vertices of all lines, in order, and on which sides they are known
    line = np.unique(level + 1j * across, return_inverse=True)[1]
    line, side = np.tile(line, 2), np.tile(np.where(along[1] > along[0], 1, 2), 2)
    order = np.lexsort((one[ends.ravel()], along.ravel(), line))
    line, at, vertex = line[order], along.ravel()[order], one[ends.ravel()][order]
    new = np.append(True, (line[1:] > line[:-1]) | (vertex[1:] != vertex[:-1]))
    begin = np.flatnonzero(new)
    side = np.bitwise_or.reduceat(side[order], begin)
    line, at, vertex = line[begin], at[begin], vertex[begin]
    # next to each other, one known on one side and one on the other: rounding apart
    sides = np.ptp(np.reshape(bounds, (2, 2)), axis=1).max()
    blur = max(SAME * sides, 8 * np.finfo(float).eps * abs(np.array(bounds)).max())
    gap = np.where((line[1:] == line[:-1]) & (side[1:] + side[:-1] == 3), np.diff(at), np.inf)
    nearest = (gap <= blur) & (gap < np.append(np.inf, gap[:-1])) & (gap <= np.append(gap[1:], np.inf))
    twin = np.append(False, nearest)
    one[vertex[twin]] = vertex[np.flatnonzero(twin) - 1]
    one = one[one][one[one]]
    nodes = one[vertex[~twin]]
    node = np.empty(len(order), int)
    node[order] = (np.cumsum(~twin) - 1)[np.cumsum(new) - 1]
    a, b = node.reshape(2, -1)
    # every corner on a border becomes as many as there are edges to the next one
    count = np.ones(len(mesh.vertex), int)
    count[corner] = abs(b - a)
    step = np.sign(b - a)
    big = np.cumsum(count) - count
    i = np.repeat(np.arange(len(corner)), abs(b - a))
    j = np.arange(len(i)) - np.repeat(np.cumsum(abs(b - a)) - abs(b - a), abs(b - a))
    where = big[corner][i] + j
    face = np.searchsorted(mesh.start, corner, side="right") - 1
    mesh.start = np.append(big, count.sum())[mesh.start]
    mesh.vertex, mesh.edge = one[np.repeat(mesh.vertex, count)], np.repeat(mesh.edge, count)
    mesh.vertex[where] = nodes[a[i] + step[i] * j]
    mesh.edge[where] = E + a[i] + step[i] * j - (step[i] < 0)
    mesh.ends = np.concatenate([one[mesh.ends], np.stack([nodes, np.roll(nodes, -1)], 1)])
    return nodes, np.unique(face)


def _straighten(mesh, nodes):
    """Take out those of the vertices at which two edges only meet."""
    degree = np.bincount(mesh.ends.ravel(), minlength=len(mesh.xy))
    gone = np.zeros(len(mesh.xy), bool)
    gone[nodes] = degree[nodes] == 2
    stays = ~gone[mesh.vertex]
    mesh.start = np.append(0, np.cumsum(stays))[mesh.start]
    mesh.vertex, mesh.edge = mesh.vertex[stays], mesh.edge[stays]
    there = following(mesh.vertex, mesh.start)
    longer = np.flatnonzero(mesh.ends[mesh.edge].sum(1) - mesh.vertex != there)
    ends = np.sort(np.stack([mesh.vertex[longer], there[longer]], 1), 1)
    key, number = np.unique(ends @ [len(mesh.xy), 1], return_inverse=True)
    edge = mesh.edge
    edge[longer] = len(mesh.ends) + number
    mesh.ends = np.concatenate([mesh.ends, np.stack(np.divmod(key, len(mesh.xy)), 1)])
    mesh.rename_edges(edge)
