"""A polygon cut into convex faces along straight lines: the planar mesh under ``partition``."""

import numpy as np

from .packing import numbered, unpacked, words

ON = 1e-11  # a vertex lies on a line if the function is this small there, relative to its largest value,
NOISE = 1e-12  # or this small relative to the numbers that it was computed from
SLACK = 100  # these are known from a few points; what a mesh itself meets may be so many times as large


class TooLarge(BaseException):
    """The mesh would get more vertices than its limit; no error, so that no network on the way catches it."""


class Mesh:
    """Vertices, edges and convex faces that tile a polygon, cut along the zero lines of functions.

    Each function is affine on every face and known by its values at the vertices. Cutting decides by signs
    alone: a face is cut if it has vertices strictly on both sides, and values at new vertices are
    interpolated along the edge that they lie on.

    Attributes
    ----------
    xy : (V, 2) array, the vertices
    ends : (E, 2) integers, the vertices of each edge
    vertex, edge : (I,) integers
        The corners of all faces one after the other, counter-clockwise, and the edge that leaves each.
    start : (F + 1,) integers, where each face begins in them
    added : list of ``(first, a, b, t)``: vertices ``first, ...`` lie at ``(1 - t) a + t b``
    """

    def __init__(self, polygon):
        n = len(polygon)
        corner = np.arange(n)
        self.xy, self.ends, self.added = polygon, np.stack([corner, (corner + 1) % n], 1), []
        self.vertex, self.edge, self.start = corner, corner, np.array([0, n])
        self.limit = np.inf  # of vertices

    def extend(self, values):
        """Values at the first vertices, (V_0, ...), interpolated to all of them."""
        full = np.empty((len(self.xy), *values.shape[1:]))
        full[: len(values)] = values
        for first, a, b, t in self.added:
            if first >= len(values):
                t = t.reshape(-1, *[1] * (values.ndim - 1))
                full[first : first + len(a)] = full[a] + t * (full[b] - full[a])
        return full

    def cut(self, h, on):
        """Cut along the zero lines of U functions with values ``h`` (V, U); below ``on`` (U,) they are zero.

        Returns
        -------
        h : (V', U) values at all vertices, old and new
        above : (F', U / 64) packed bits, on which side of each line every face lies
        origin : (F',) which face it was before
        """
        self._h, self._on, self._sides = h, on, _sides(h, on)
        self._V, self._E = len(self.xy), len(self.ends)
        vertex, edge, size = self._subdivide(0, self.vertex, self.edge, np.diff(self.start))
        origin, done = np.arange(len(size)), []
        while True:
            sides = np.bitwise_or.reduceat(self._sides[vertex], size.cumsum() - size)
            cut = sides[:, 0] & sides[:, 1]
            some = cut.any(1)
            done.append((vertex, edge, size, ~some, sides[:, 0], origin))
            if not some.any():
                break
            vertex, edge, size = self._split(*_faces(vertex, edge, size, some), cut[some])
            origin = np.concatenate([origin[some]] * 2)
        vertex, edge, size, whole, above, origin = map(np.concatenate, zip(*done, strict=True))
        self.vertex, self.edge, size = _faces(vertex, edge, size, whole)
        self.start = np.append(0, size.cumsum())
        self.xy, self.ends = self.xy[: self._V], self.ends[: self._E]
        h, self._h, self._sides = self._h[: self._V], None, None
        return h, above[whole], origin[whole]

    def _split(self, vertex, edge, size, cut):
        """Split every face along the first function that cuts it; those that cut new edges add vertices."""
        n, word, end = len(cut), (cut != 0).argmax(1), size.cumsum()
        bit = cut[np.arange(n), word]
        bit &= -bit  # the lowest
        face = np.arange(n).repeat(size)
        up = (self._sides[vertex, 0, word[face]] & bit[face]) != 0
        down, after = ~up, np.arange(1, len(vertex) + 1)
        after[end - 1] = end - size
        up_next = up[after]
        enter, leave = (down & up_next).nonzero()[0], after[(up & ~up_next).nonzero()[0]]
        chord = self._E + np.arange(n)
        self.ends = _append(self.ends, self._E, vertex[np.array([enter, leave]).T])
        self._E += n
        upper, lower, above = edge.copy(), edge, np.add.reduceat(up, end - size, dtype=int)
        upper[leave], lower[enter] = chord, chord
        up[enter] = up[leave] = True
        vertex = np.concatenate([vertex[up], vertex[down]])
        edge = np.concatenate([upper[up], lower[down]])
        return self._subdivide(chord[0], vertex, edge, np.concatenate([above + 2, size - above]))

    def _subdivide(self, new, vertex, edge, size):
        """Put a vertex wherever a function changes sign strictly inside an edge, from edge ``new`` on.

        Three functions change sign on edge e; the second and the third at places that cannot be told apart:

            a ───────── e ───────── b         which = [e, e, e], t = [.3, .6, .6]
            a ── V ──── V+1 ─────── b         e keeps its first part; E, E+1 are the others
               e     E        E+1             a face that walks from b to a meets E+1, E, e
        """
        a, b = self.ends[new : self._E].T
        across = self._sides[a] & self._sides[b][:, ::-1]
        which, unit = _bits(across[:, 0] | across[:, 1])
        if not len(which):
            return vertex, edge, size
        at_a, at_b = self._h[a[which], unit], self._h[b[which], unit]
        step = at_a - at_b
        t, blur = at_a / step, self._on[unit] / abs(step)
        order = np.lexsort((t, which))
        which, unit, t, blur = which[order], unit[order], t[order], blur[order]
        apart = np.ones(len(t), bool)  # lines that meet on the edge share a vertex there
        apart[1:] = (which[1:] > which[:-1]) | (t[1:] - t[:-1] > np.maximum(blur[1:], blur[:-1]))
        number, which, t = apart.cumsum() - 1, which[apart], t[apart]
        a, b, V, E, M = a[which], b[which], self._V, self._E, len(t)
        if V + M > self.limit:
            raise TooLarge
        h, part = self._h[a], t[:, None]
        h += part * (self._h[b] - h)
        h[number, unit] = 0
        self.added.append((V, a, b, t))
        self.xy = _append(self.xy, V, self.xy[a] + part * (self.xy[b] - self.xy[a]))
        self._h = _append(self._h, V, h)
        self._sides = _append(self._sides, V, _sides(h, self._on))
        # edge e from a to b becomes e, E + first[e], E + first[e] + 1 ... along its new vertices
        count = np.bincount(which, minlength=E - new + 1)  # a last 0 for the edges before
        first, halved = count.cumsum() - count, count.nonzero()[0]
        ends = V + np.arange(M)[:, None] + np.arange(2)
        ends[first[halved + 1] - 1, 1] = self.ends[new + halved, 1]
        self.ends[new + halved, 1] = V + first[halved]
        self.ends = _append(self.ends, E, ends)
        self._V, self._E = V + M, E + M
        old = np.maximum(edge - new, -1)
        more = count[old]
        i, begin = np.arange(len(edge)).repeat(more), more.cumsum() - more
        j, forward = np.arange(len(i)), vertex[i] == self.ends[edge[i], 0]
        along, place = first[old[i]] + np.where(forward, j - begin[i], (begin + more)[i] - 1 - j), i + j
        size = size + np.add.reduceat(more, size.cumsum() - size)
        vertex, edge = vertex.repeat(more + 1), edge.repeat(more + 1)
        vertex[place + 1], edge[place + forward] = V + along, E + along
        return vertex, edge, size

    def merge(self, label):
        """Join faces of equal label that form a convex whole; returns one old face for each new one.

        ┌─────┬─────┐      ┌───────────┐   An edge that two faces of a group share is inside and goes; every
        │  5  ┊  5  │  ─▶  │     5     │   other edge is outer. From corner to corner along the outer edges,
        └─────┴─────┘      └───────────┘   all groups at once, a step a round, new faces are walked around.
        """
        _, group, times = np.unique(label, return_inverse=True, return_counts=True)
        alone = times[group] == 1
        size = np.diff(self.start)
        vertex, edge, inner = _faces(self.vertex, self.edge, size, ~alone)
        _, first, group = np.unique(group[~alone], return_index=True, return_inverse=True)
        owner = np.repeat(group, inner)
        _, place, times = np.unique(owner * len(self.ends) + edge, return_inverse=True, return_counts=True)
        outer = np.flatnonzero(times[place] == 1)
        begin, owner, V = vertex[outer], owner[outer], len(self.xy)
        key = owner * V + begin
        order = np.argsort(key)
        follow = order[np.searchsorted(key[order], owner * V + self.ends[edge[outer]].sum(1) - begin)]
        _, head = np.unique(owner, return_index=True)
        steps, here, faces = [(head[:0], head[:0])], head, np.arange(len(head))
        while len(here) and len(steps) <= len(outer):
            steps.append((faces, outer[here]))
            here = follow[here]
            faces, here = faces[here != head[faces]], here[here != head[faces]]
        face, corner = (np.concatenate(part) for part in zip(*steps, strict=True))
        if len(here) or len(corner) != len(outer):
            raise RuntimeError("faces of one label do not join to convex ones")
        corner, sizes = corner[np.argsort(face, kind="stable")], np.bincount(face, minlength=len(first))
        rest, rest_edge, size = _faces(self.vertex, self.edge, size, alone)
        self.vertex = np.concatenate([rest, vertex[corner]])
        self.rename_edges(np.concatenate([rest_edge, edge[corner]]))
        self.start = np.append(0, np.cumsum(np.append(size, sizes)))
        return np.concatenate([np.flatnonzero(alone), np.flatnonzero(~alone)[first]])

    def rename_edges(self, edge):
        """Take these edges of the corners, and leave out those that no corner has."""
        used = np.zeros(len(self.ends), bool)
        used[edge] = True
        self.edge, self.ends = (np.cumsum(used) - 1)[edge], self.ends[used]

    def sides(self):
        """The two faces along each edge, (E, 2); -1 outside."""
        face = np.repeat(np.arange(len(self.start) - 1), np.diff(self.start))
        sides = np.full((len(self.ends), 2), -1)
        forward = self.vertex == self.ends[self.edge, 0]
        sides[self.edge[forward], 0], sides[self.edge[~forward], 1] = face[forward], face[~forward]
        return sides


def cut_kinks(mesh, functions, on):
    """Cut along the kink functions of U units, (V, U) a kink, which are zero below ``on``.

    Returns the first of them at all vertices, the codes, and which face each one was before.
    """
    U = functions[0].shape[1]
    if U == 0:
        faces = np.arange(len(mesh.start) - 1)
        return mesh.extend(functions[0]), np.zeros((len(faces), 0), np.uint8), faces
    h = functions[0] if len(functions) == 1 else np.concatenate(functions, 1)
    h, above, origin = mesh.cut(h, np.maximum(on, ON / SLACK * np.maximum(h.max(0), -h.min(0))))
    above = unpacked(above, len(functions) * U)
    return h[:, :U], above.reshape(-1, len(functions), U).sum(1, dtype=np.uint8), origin


def cut_candidates(mesh, candidates, on):
    """A running maximum over candidates (V, U), cut where one overtakes the largest of those before it."""
    best, missing = next(candidates)
    missing = missing & np.ones(best.shape[1], bool)
    origin, codes = np.arange(len(mesh.start) - 1), np.zeros((len(mesh.start) - 1, best.shape[1]), np.uint8)
    for r, (candidate, absent) in enumerate(candidates, 1):
        candidate, absent = mesh.extend(candidate), absent & np.ones(best.shape[1], bool)
        codes = codes.astype(np.int64) if r == 256 else codes
        lead = candidate - best
        on = np.maximum(on, ON / SLACK * np.maximum(abs(candidate).max(0), abs(best).max(0)))
        lead[:, absent] = -1
        lead[:, missing & ~absent] = 1
        some = np.flatnonzero((lead > on).any(0))  # the others overtake nowhere
        if len(some):
            certain = np.where(missing, 0, on)
            _, above, came = mesh.cut(lead[:, some], certain[some])
            codes, origin = codes[came], origin[came]
            codes[:, some] = np.where(unpacked(above, len(some)), r, codes[:, some])
            best, candidate = mesh.extend(best), mesh.extend(candidate[:, some])
            best[:, some] = np.where(missing[some], candidate, np.maximum(best[:, some], candidate))
            missing = missing & absent
    kept = mesh.merge(numbered(np.concatenate([words(codes), words(origin[:, None])], 1)))
    return best, codes[kept], origin[kept]


def _sides(h, on):
    """Packed bits (V, 2, U / 64): above which of the zero lines every vertex lies, and below which."""
    bits = np.zeros((len(h), 2, -(-h.shape[1] // 64) * 64), bool)
    np.greater(h, on, out=bits[:, 0, : h.shape[1]])
    np.less(h, -on, out=bits[:, 1, : h.shape[1]])
    return np.packbits(bits, axis=2, bitorder="little").view(np.uint64)


def _append(array, n, rows):
    """Write rows after the first n; an array that is full doubles its room."""
    if len(array) < n + len(rows):
        room = np.empty((max(2 * len(array), n + len(rows)), *array.shape[1:]), array.dtype)
        room[:n] = array[:n]
        array = room
    array[n : n + len(rows)] = rows
    return array


def _bits(words):
    """Row and column of every bit that is set."""
    bits = np.unpackbits(words.view(np.uint8), bitorder="little").view(bool)
    return np.divmod(bits.nonzero()[0], 64 * words.shape[1])


def _faces(vertex, edge, size, chosen):
    """The corners of the chosen faces, and how many each of them has."""
    corner = chosen.repeat(size)
    return vertex[corner], edge[corner], size[chosen]


def following(vertex, start):
    """The corner after each corner of every face."""
    after = np.append(vertex[1:], 0)
    after[start[1:] - 1] = vertex[start[:-1]]
    return after
