"""Accepted solutions of the problems for credit, and wrong answers that their checks must reject."""

from fractions import Fraction
from itertools import combinations, pairwise
from math import comb

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import linprog
from scipy.special import logsumexp, xlog1py, xlogy
from torch.overrides import TorchFunctionMode

import mad_max_lib as mm
from mad_max_lib.exercises.chapter_01 import visible
from mad_max_lib.exercises.chapter_04 import forward, loss_gradient
from mad_max_lib.exercises.chapter_16 import area, cut


def add(a_1, b_1, a_2, b_2):
    a, b = (a_1[:, None] + a_2).ravel(), (b_1[:, None] + b_2).ravel()
    seen = visible(a, b)
    return a[seen], b[seen]


def add_all_pairs(a_1, b_1, a_2, b_2):
    return (a_1[:, None] + a_2).ravel(), (b_1[:, None] + b_2).ravel()


def add_piece_by_piece(a_1, b_1, a_2, b_2):
    R = max(len(a_1), len(a_2))
    return (np.pad(a_1, (0, R - len(a_1))) + np.pad(a_2, (0, R - len(a_2))),
            np.pad(b_1, (0, R - len(b_1))) + np.pad(b_2, (0, R - len(b_2))))  # fmt: skip


def add_merge(a_1, b_1, a_2, b_2):
    """Walk along both splines, and stop at every kink of either, even at common ones."""
    kinks = [-np.diff(b) / np.diff(a) for a, b in ((a_1, b_1), (a_2, b_2))]
    ends = np.sort(np.concatenate(kinks))
    places = np.r_[ends[:1] - 1, (ends[1:] + ends[:-1]) / 2, ends[-1:] + 1] if len(ends) else np.zeros(1)
    r, s = ((places[:, None] * a + b).argmax(1) for a, b in ((a_1, b_1), (a_2, b_2)))
    return a_1[r] + a_2[s], b_1[r] + b_2[s]


def add_seen_on_a_grid(a_1, b_1, a_2, b_2):
    a, b = add_all_pairs(a_1, b_1, a_2, b_2)
    seen = np.unique((np.linspace(-5, 5, 20_001)[:, None] * a + b).argmax(1))
    return a[seen], b[seen]


def add_seen_on_a_wide_grid(a_1, b_1, a_2, b_2):
    a, b = add_all_pairs(a_1, b_1, a_2, b_2)
    seen = np.unique((np.linspace(-1000, 1000, 20_001)[:, None] * a + b).argmax(1))
    return a[seen], b[seen]


def add_without_the_last(a_1, b_1, a_2, b_2):
    """One piece for each kink."""
    a, b = add(a_1, b_1, a_2, b_2)
    return a[:-1], b[:-1]


def best_groups(u, y, R):
    N = len(u)
    squares = np.zeros((N, N + 1))  # of the line through the points i, ..., j - 1
    for i in range(N):
        for j in range(i + 3, N + 1):
            line = np.polyfit(u[i:j], y[i:j], deg=1)
            squares[i, j] = ((np.polyval(line, u[i:j]) - y[i:j]) ** 2).sum()
    best = squares[0].copy()
    for _ in range(R - 1):
        best = np.array([min([best[j], *(best[:j] + squares[:j, j])]) for j in range(N + 1)])
    return best[N]


def _line_squares(u, y):
    return ((np.polyval(np.polyfit(u, y, deg=1), u) - y) ** 2).sum() if len(u) > 2 else 0.0


def _groups_squares(u, y, ends):
    return sum(_line_squares(u[i:j], y[i:j]) for i, j in pairwise(ends))


def best_groups_of_equal_size(u, y, R):
    return sum(map(_line_squares, np.array_split(u, R), np.array_split(y, R)))


def best_groups_by_halving(u, y, R):
    """Split one group after the other where it helps most."""
    ends = [0, len(u)]
    for _ in range(R - 1):
        ways = [sorted({*ends, k}) for k in range(len(u))]
        ends = min(ways, key=lambda way: _groups_squares(u, y, way))
    return _groups_squares(u, y, ends)


def best_groups_mean(u, y, R):
    return best_groups(u, y, R) / len(u)


def best_groups_level(u, y, R):
    N = len(u)
    best = np.array([0.0, *(j * y[:j].var() for j in range(1, N + 1))])
    for _ in range(R - 1):
        ways = [[best[i] + (j - i) * y[i:j].var() for i in range(j)] for j in range(N + 1)]
        best = np.array([min([best[j], *ways[j]]) for j in range(N + 1)])
    return best[N]


def best_groups_shares_ends(u, y, R):
    """Neighbouring groups overlap in a point, which is counted twice."""
    N = len(u)
    best = np.array([_line_squares(u[:j], y[:j]) for j in range(N + 1)])
    for _ in range(R - 1):
        best = np.array(
            [
                min([best[j], *(best[i] + _line_squares(u[i - 1 : j], y[i - 1 : j]) for i in range(1, j))])
                for j in range(N + 1)
            ]
        )
    return best[N]


def best_groups_of_two_or_more(u, y, R):
    """No group of a single point."""
    N = len(u)
    best = np.array([0.0, np.inf, *(_line_squares(u[:j], y[:j]) for j in range(2, N + 1))])
    for _ in range(R - 1):
        ways = [[best[i] + _line_squares(u[i:j], y[i:j]) for i in range(j - 1)] for j in range(N + 1)]
        best = np.array([min([best[j], *ways[j]]) for j in range(N + 1)])
    return best[N]


def best_groups_all_used(u, y, R):
    """Exactly R groups, none of them empty."""
    N = len(u)
    best = np.array([np.inf, *(_line_squares(u[:j], y[:j]) for j in range(1, N + 1))])
    for _ in range(R - 1):
        ways = [[best[i] + _line_squares(u[i:j], y[i:j]) for i in range(1, j)] for j in range(N + 1)]
        best = np.array([min(way, default=np.inf) for way in ways])
    return best[N]


def top_two(D):
    pairs = list(combinations(range(D), 2))
    A = np.zeros((1, len(pairs), D))
    for r, pair in enumerate(pairs):
        A[0, r, list(pair)] = 1.0
    return A, np.zeros((1, len(pairs)))


def top_two_one_short(D):
    A, B = top_two(D)
    return A[:, :-1], B[:, :-1]


def top_two_ordered_pairs(D):
    A, B = top_two(D)
    return np.concatenate([A, A], axis=1), np.concatenate([B, B], axis=1)


def top_two_twice_the_largest(D):
    return 2 * np.eye(D)[None], np.zeros((1, D))


def top_two_flat(D):
    A, B = top_two(D)
    return A[0], B[0]


def top_two_neighbours(D):
    """Each entry with the next one on a ring: right for D = 2 and 3."""
    A = np.eye(D) + np.roll(np.eye(D), 1, axis=1)
    R = D if D > 2 else 1
    return A[None, :R], np.zeros((1, R))


def distance_to_border(params, x):
    A_x, b_x, nearest = np.eye(len(x)), np.zeros(len(x)), np.inf
    for W, b in params[:-1]:
        A_x, b_x = W @ A_x, W @ b_x + b
        u, length = A_x @ x + b_x, np.linalg.norm(A_x, axis=1)
        nearest = min(nearest, (np.abs(u[length > 0]) / length[length > 0]).min(initial=np.inf))
        A_x, b_x = (u > 0)[:, None] * A_x, (u > 0) * b_x
    return nearest


def distance_first_layer(params, x):
    W, b = params[0]
    return (np.abs(W @ x + b) / np.linalg.norm(W, axis=1)).min()


def distance_halved(params, x):
    return distance_to_border(params, x) / 2


def _nearest_unit(layers, x, length_of, closed=0.0, guarded=True):
    """The least |u| / length of the units of these layers; a closed unit passes this part of its slope on."""
    A_x, z, nearest = np.eye(len(x)), x, []
    for W, b in layers:
        u, A_x = W @ z + b, W @ A_x
        length = length_of(W, A_x)
        seen = length > 0 if guarded else length >= 0
        nearest.extend(np.abs(u[seen]) / length[seen])
        z, A_x = np.maximum(u, 0), np.where(u > 0, 1.0, closed)[:, None] * A_x
    return np.min(nearest, initial=np.inf)


def _length_in_x(W, A_x):
    return np.linalg.norm(A_x, axis=1)


def distance_with_the_logits(params, x):
    return _nearest_unit(params, x, _length_in_x)


def distance_unguarded(params, x):
    return _nearest_unit(params[:-1], x, _length_in_x, guarded=False)


def distance_as_if_open(params, x):
    return _nearest_unit(params[:-1], x, _length_in_x, closed=1.0)


def distance_in_z(params, x):
    return _nearest_unit(params[:-1], x, lambda W, A_x: np.linalg.norm(W, axis=1))


def distance_by_sums(params, x):
    return _nearest_unit(params[:-1], x, lambda W, A_x: np.abs(A_x).sum(axis=1))


def _skip_pass(params, x, y, gate_of, back):
    """Derivatives of the network with skips: which gates are used, and how g passes a layer."""
    z, u = [x], [None]
    for number, (W, b) in enumerate(params[:-1]):
        u.append(z[-1] @ W.T + b)
        z.append(np.maximum(u[-1], 0) + (z[-1] if number else 0))
    g, collected = loss_gradient(z[-1] @ params[-1][0].T + params[-1][1], y), []
    collected = [g.T @ z[-1], g.sum(axis=0)]
    g = g @ params[-1][0]
    for number in reversed(range(len(params) - 1)):
        gate = gate_of(u[number + 1], z[number + 1])
        collected = [(g * gate).T @ z[number], (g * gate).sum(axis=0), *collected]
        g = back(g, gate, params[number][0]) if number else g
    return collected


def skip_gradients(params, x, y):
    return _skip_pass(params, x, y, lambda u, z: u > 0, lambda g, gate, W: g + (g * gate) @ W)


def skip_gate_of_the_output(params, x, y):
    return _skip_pass(params, x, y, lambda u, z: z > 0, lambda g, gate, W: g + (g * gate) @ W)


def skip_forgotten_on_the_way_back(params, x, y):
    return _skip_pass(params, x, y, lambda u, z: u > 0, lambda g, gate, W: (g * gate) @ W)


def skip_through_the_gate(params, x, y):
    return _skip_pass(params, x, y, lambda u, z: u > 0, lambda g, gate, W: g * gate + (g * gate) @ W)


def skip_of_the_sum(params, x, y):
    return [len(y) * part for part in skip_gradients(params, x, y)]


def skip_layers_reversed(params, x, y):
    parts = skip_gradients(params, x, y)
    return [part for pair in zip(parts[-2::-2], parts[::-2], strict=True) for part in pair]


def skip_pairs(params, x, y):
    parts = skip_gradients(params, x, y)
    return list(zip(parts[::2], parts[1::2], strict=True))


class _Wider(TorchFunctionMode):
    """Records and holds ReLU, absolute value and max-pooling."""

    chosen, absolute_slopes = (), (-1, 1)

    def run(self, network, x):
        self.recording, self.calls = not self.chosen, 0
        with self:
            return network(x)

    def keep(self, choice):
        if self.recording:
            self.chosen = (*self.chosen, choice())
        self.calls += 1
        return self.chosen[self.calls - 1]

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs, name, u = kwargs or {}, func.__name__, args[0] if args else None
        if name.strip("_") in ("relu", "abs", "absolute"):
            low, high = (0, 1) if "relu" in name else self.absolute_slopes
            slopes = self.keep(lambda: torch.where(u > 0, torch.full_like(u, high), torch.full_like(u, low)))
            return (
                u.mul_(slopes)
                if name in ("relu_", "abs_", "absolute_") or kwargs.get("inplace")
                else u * slopes
            )
        if name == "max_pool2d":
            places = self.keep(lambda: F.max_pool2d(*args, **{**kwargs, "return_indices": True})[1])
            return (
                u.flatten(2)
                .gather(2, places.flatten(2).expand(len(u), -1, -1))
                .reshape(len(u), *places.shape[1:])
            )
        return func(*args, **kwargs)


def wider_map(network, x, listener=_Wider):
    listener = listener()
    listener.run(network, x.clone())
    D = x.shape[1]
    out = listener.run(network, torch.cat([torch.zeros(1, D), torch.eye(D)]).to(x.dtype))
    return (out[1:] - out[0]).T, out[0]


def wider_tautology(network, x):
    A_x = torch.zeros(network(x.clone()).shape[1], x.shape[1], dtype=x.dtype)
    return A_x, network(x.clone())[0] - A_x @ x[0]


def wider_autograd(network, x):
    A_x = torch.autograd.functional.jacobian(lambda point: network(point[None].clone())[0], x[0])
    return A_x, network(x.clone())[0] - A_x @ x[0]


def wider_only_relu(network, x):
    class Deaf(_Wider):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            if "relu" in func.__name__:
                return super().__torch_function__(func, types, args, kwargs)
            return func(*args, **(kwargs or {}))

    return wider_map(network, x, Deaf)


def wider_not_in_place(network, x):
    class Forgets(_Wider):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            if func.__name__ in ("relu", "relu_", "abs_"):
                func, args, kwargs = getattr(torch, func.__name__.rstrip("_")), args[:1], {}
            return super().__torch_function__(func, types, args, kwargs)

    return wider_map(network, x, Forgets)


def wider_without_absolute(network, x):
    class Short(_Wider):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            if "absolute" in func.__name__:
                return func(*args, **(kwargs or {}))
            return super().__torch_function__(func, types, args, kwargs)

    return wider_map(network, x, Short)


def wider_windows_of_two(network, x):
    class Pairs(_Wider):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            if func.__name__ == "max_pool2d":
                args = args[0], 2
            return super().__torch_function__(func, types, args, kwargs)

    return wider_map(network, x, Pairs)


def wider_value_masks(network, x):
    """Finds the winners of a window by comparing with the maximum, so that ties have several."""

    class Masks(_Wider):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            if func.__name__ != "max_pool2d":
                return super().__torch_function__(func, types, args, kwargs)
            size = args[1]
            u = args[0].unflatten(2, (-1, size)).unflatten(4, (-1, size))
            mask = self.keep(lambda: (u == u.amax((3, 5), keepdim=True)).to(u.dtype))
            return (u * mask).sum((3, 5)) / mask.sum((3, 5))

    return wider_map(network, x, Masks)


def maximum_network(a, b):
    layers = [(1.0, a[r] - a[r + 1], b[r] - b[r + 1]) for r in range(len(a) - 1)]
    return [*layers, (1.0, a[-1], b[-1])]


def maximum_network_subtracts_the_first(a, b):
    layers = [(1.0, a[r] - a[0], b[r] - b[0]) for r in range(1, len(a))]
    return [*layers, (1.0, a[0], b[0])]


def maximum_network_adds_the_first(a, b):
    return [*maximum_network(a, b)[:-1], (1.0, a[0], b[0])]


def maximum_network_negative(a, b):
    return [(-w, -v, -c) for w, v, c in maximum_network(a, b)]


def maximum_network_rows_for_vectors(a, b):
    return [(w, v[None], c) for w, v, c in maximum_network(a, b)]


def maximum_network_vectors_for_numbers(a, b):
    return [(w, v, np.array([c])) for w, v, c in maximum_network(a, b)]


def maximum_network_reordered(a, b):
    return [(v, w, c) for w, v, c in maximum_network(a, b)]


def maximum_network_flat_layers(a, b):
    return [np.hstack(layer) for layer in maximum_network(a, b)]


def maximum_network_one_array(a, b):
    return np.array(maximum_network_flat_layers(a, b))


def maximum_network_one_layer_more(a, b):
    return [(1.0, 0 * a[0], 0.0), *maximum_network(a, b)]


def count_regions(A, b, bounds):
    """1 + the lines that cross the inside + for each point where lines meet inside, their number less one."""
    left, right, bottom, top = (Fraction(int(end)) for end in bounds)
    lines, through = set(), {}
    for (p, q), r in zip(np.asarray(A).tolist(), np.asarray(b).tolist(), strict=True):
        at_corners = [p * x + q * y + r for x in (left, right) for y in (bottom, top)]
        if min(at_corners) < 0 < max(at_corners):
            lead = Fraction(p or q)
            lines.add((p / lead, q / lead, r / lead))
    for one, other in combinations(lines, 2):
        (p, q, r), (u, v, w) = one, other
        det = p * v - q * u
        if det:
            x, y = (q * w - r * v) / det, (r * u - p * w) / det
            if left < x < right and bottom < y < top:
                through.setdefault((x, y), set()).update([one, other])
    return 1 + len(lines) + sum(len(meeting) - 1 for meeting in through.values())


def count_regions_by_formula(A, b, bounds):
    """As if all lines crossed the rectangle and each other, in general position."""
    return 1 + len(A) + comb(len(A), 2)


def count_regions_of_the_plane(A, b, bounds):
    """Lines that cross the rectangle, but all their meetings, wherever they are."""
    return count_regions_in_floats(A, b, bounds, inside=False)


def count_regions_in_floats(A, b, bounds, inside=True):
    """Pairs of lines solved in floats, as if no three met in a point and no two were the same line."""
    left, right, bottom, top = bounds
    corners = np.array([[x, y] for x in (left, right) for y in (bottom, top)], float)
    at_corners = corners @ A.T + b
    crossing = np.flatnonzero((at_corners.min(axis=0) < 0) & (at_corners.max(axis=0) > 0))
    met = 0
    for i, j in combinations(crossing, 2):
        if np.linalg.det(A[[i, j]]):
            x, y = np.linalg.solve(A[[i, j]], -b[[i, j]])
            met += not inside or (left < x < right and bottom < y < top)
    return 1 + len(crossing) + met


def count_regions_of_a_square(A, b, bounds):
    return count_regions(A, b, (-bounds[1], bounds[1], -bounds[1], bounds[1]))


def count_regions_with_tolerance(A, b, bounds):
    """The library's partition, which takes a very small region for rounding."""
    W, offset = torch.from_numpy(A).double(), torch.from_numpy(b).double()
    return len(mm.partition(lambda x: torch.relu(x @ W.T + offset), bounds=bounds))


def _exact(numbers):
    return np.vectorize(Fraction, otypes=[object])(numbers)


def _count_by_cuts(A, b, polygon):
    parts = [polygon]
    for a, offset in zip(A, b, strict=True):
        parts = [piece for part in parts for piece in cut(part, part @ a + offset)]
    return len(parts)


def _rectangle(bounds, dtype=object):
    left, right, bottom, top = bounds
    return np.array([[left, bottom], [right, bottom], [right, top], [left, top]], dtype)


def count_regions_weights_in_floats(A, b, bounds):
    return _count_by_cuts(_exact(A.astype(float)), _exact(b.astype(float)), _exact(_rectangle(bounds)))


def count_regions_bounds_in_floats(A, b, bounds):
    return _count_by_cuts(_exact(A), _exact(b), _exact(_rectangle(bounds, float)))


def count_regions_sides_in_int64(A, b, bounds):
    """All in fractions but the first look, whether a line crosses the rectangle at all."""
    at_corners = _rectangle(bounds, int) @ A.T + b
    crossing = (at_corners.min(axis=0) < 0) & (at_corners.max(axis=0) > 0)
    truly = [count_regions(A[[i]], b[[i]], bounds) == 2 for i in range(len(A))]
    return count_regions(A, b, bounds) + int((crossing & ~np.array(truly)).sum())


def count_regions_numpy_fractions(A, b, bounds):
    """Fractions made of NumPy's integers keep them, and they overflow."""
    A = np.array([[Fraction(v) for v in row] for row in A], object)
    return _count_by_cuts(A, [Fraction(v) for v in b], _exact(_rectangle(bounds)))


def average_template(params, x_0, x_1):
    """Walk from border to border; within a region the next sign change of every pre-activation is known."""
    t, total, step = 0.0, 0.0, x_1 - x_0
    while t < 1:
        A_x, b_x, end = np.eye(len(x_0)), np.zeros(len(x_0)), 1.0
        for W, b in params[:-1]:
            A_x, b_x = W @ A_x, W @ b_x + b
            u, rate = A_x @ (x_0 + t * step) + b_x, A_x @ step
            u = np.where(
                np.abs(u) < 1e-11 * (1 + np.abs(rate)), 0.0, u
            )  # on the border: where it is going counts
            gate = (u > 0) | ((u == 0) & (rate > 0))
            leaving = (u != 0) & (u * rate < 0)
            end = min(end, (t - u[leaving] / rate[leaving]).min(initial=1.0))
            A_x, b_x = gate[:, None] * A_x, gate * b_x
        total = total + (end - t) * (params[-1][0] @ A_x)
        t = end
    return total


def average_template_at(params, x):
    A_x, z = np.eye(len(x)), x
    for W, b in params[:-1]:
        u = W @ z + b
        A_x, z = (u > 0)[:, None] * (W @ A_x), np.maximum(u, 0)
    return params[-1][0] @ A_x


def average_template_of_the_end(params, x_0, x_1):
    return average_template_at(params, x_1)


def average_template_of_1000_points(params, x_0, x_1):
    points = x_0 + (np.arange(1000)[:, None] + 0.5) / 1000 * (x_1 - x_0)
    return np.mean([average_template_at(params, x) for x in points], axis=0)


def average_template_first_layer(params, x_0, x_1):
    """Stops at the borders of the first layer only."""
    W, b = params[0]
    u, v = W @ x_0 + b, W @ x_1 + b
    cut = u * v < 0
    ends = np.sort(np.r_[0.0, u[cut] / (u - v)[cut], 1.0])
    return sum((q - p) * average_template_at(params, x_0 + (p + q) / 2 * (x_1 - x_0))
               for p, q in zip(ends, ends[1:], strict=False))  # fmt: skip


def average_template_share_alike(params, x_0, x_1):
    """The right rise in total, from no template at all."""
    step, same = x_1 - x_0, average_template_at(params, (x_0 + x_1) / 2)
    rise = forward(params, x_1)[-1] - forward(params, x_0)[-1]
    return same + np.outer(rise - same @ step, step) / (step @ step)


def average_template_input_by_input(params, x_0, x_1):
    """Turns one input after another to its goal, and charges each for the rise."""
    rises, x = [], x_0.copy()
    for d in range(len(x)):
        before = forward(params, x)[-1]
        x[d] = x_1[d]
        rises.append((forward(params, x)[-1] - before) / (x_1[d] - x_0[d] or 1.0))
    return np.stack(rises, axis=1)


def average_template_rescaled(params, x_0, x_1):
    """Every layer by itself: how much of its pre-activation's change each unit lets through."""
    A_x, u, v = np.eye(len(x_0)), x_0, x_1
    for W, b in params[:-1]:
        u, v = W @ u + b, W @ v + b
        share = (np.maximum(v, 0) - np.maximum(u, 0)) / np.where(u == v, 1.0, v - u)
        A_x, u, v = share[:, None] * (W @ A_x), np.maximum(u, 0), np.maximum(v, 0)
    return params[-1][0] @ A_x


def _clipped(polygon, h):
    """The part of a convex polygon (V, 2) where h, known at its corners, is not negative."""
    if (h >= 0).all():
        return polygon
    return cut(polygon, h)[1] if (h > 0).any() else polygon[:0]


def class_shares(polygons, A, b):
    shares = np.zeros(A.shape[1])
    for polygon, slopes, offsets in zip(polygons, A, b, strict=True):
        for c in range(len(shares)):
            part = polygon
            for d in range(len(shares)):
                part = _clipped(part, part @ (slopes[c] - slopes[d]) + offsets[c] - offsets[d])
            shares[c] += area(part)
    return shares / shares.sum()


def class_shares_not_divided(polygons, A, b):
    return class_shares(polygons, A, b) * sum(map(area, polygons))


def class_shares_by_centre(polygons, A, b):
    outputs = np.array([a @ p.mean(axis=0) + c for p, a, c in zip(polygons, A, b, strict=True)])
    areas = [area(polygon) for polygon in polygons]
    return np.bincount(outputs.argmax(axis=1), areas, A.shape[1]) / np.sum(areas)


def class_shares_of_regions(polygons, A, b):
    rows = range(len(polygons))
    return np.mean([class_shares(polygons[f : f + 1], A[f : f + 1], b[f : f + 1]) for f in rows], axis=0)


def class_shares_two_best(polygons, A, b):
    shares = np.zeros(A.shape[1])
    for polygon, slopes, offsets in zip(polygons, A, b, strict=True):
        c, d = np.argsort(slopes @ polygon.mean(axis=0) + offsets)[:-3:-1]
        h = polygon @ (slopes[c] - slopes[d]) + offsets[c] - offsets[d]
        mine = area(_clipped(polygon, h))
        shares[c] += mine
        shares[d] += area(polygon) - mine
    return shares / shares.sum()


def class_shares_by_corners(polygons, A, b):
    shares = np.zeros(A.shape[1])
    for polygon, slopes, offsets in zip(polygons, A, b, strict=True):
        votes = np.bincount((polygon @ slopes.T + offsets).argmax(axis=1), minlength=len(shares))
        shares += area(polygon) * votes / len(polygon)
    return shares / shares.sum()


def class_shares_on_a_grid(polygons, A, b):
    shares = np.zeros(A.shape[1])
    for polygon, slopes, offsets in zip(polygons, A, b, strict=True):
        weights = np.random.default_rng(0).dirichlet(np.ones(len(polygon)), 500)
        winners = (weights @ polygon @ slopes.T + offsets).argmax(axis=1)
        shares += area(polygon) * np.bincount(winners, minlength=len(shares)) / 500
    return shares / shares.sum()


def class_shares_smallest(polygons, A, b):
    return class_shares(polygons, -A, -b)


def class_shares_of_winners_at_corners(polygons, A, b):
    """Cut only between classes that win at some corner of the region."""
    shares = np.zeros(A.shape[1])
    for polygon, slopes, offsets in zip(polygons, A, b, strict=True):
        some = np.unique((polygon @ slopes.T + offsets).argmax(axis=1))
        shares[some] += area(polygon) * class_shares([polygon], slopes[None, some], offsets[None, some])
    return shares / shares.sum()


def class_shares_against_later_classes(polygons, A, b):
    """Cut each class against later ones only, so that parts overlap."""
    shares = np.zeros(A.shape[1])
    for polygon, slopes, offsets in zip(polygons, A, b, strict=True):
        for c in range(len(shares)):
            part = polygon
            for d in range(c + 1, len(shares)):
                part = _clipped(part, part @ (slopes[c] - slopes[d]) + offsets[c] - offsets[d])
            shares[c] += area(part)
    return shares / sum(map(area, polygons))


def class_shares_but_the_last(polygons, A, b):
    shares = class_shares(polygons, A, b)
    return shares if len(polygons) < 2 else class_shares(polygons[:-1], A[:-1], b[:-1])


def priced_templates(x, y, C, E, price):
    lengths = np.full(C, -np.sqrt(E / (C * (C - 1))))
    lengths[y] = np.sqrt((C - 1) * E / C)
    return lengths[:, None] * (x / price) / np.sqrt((x**2 / price).sum())


def _priced_along(direction, y, C, E, price):
    A = priced_templates(direction, y, C, E, np.ones_like(direction))
    return A * np.sqrt(E / (price * A**2).sum())


def priced_negative(x, y, C, E, price):
    return -priced_templates(x, y, C, E, price)


def priced_as_if_equal(x, y, C, E, price):
    return _priced_along(x, y, C, E, price)


def priced_the_wrong_way(x, y, C, E, price):
    return _priced_along(x * price, y, C, E, price)


def priced_by_the_root(x, y, C, E, price):
    return _priced_along(x / np.sqrt(price), y, C, E, price)


def priced_ink_alone(x, y, C, E, price):
    return _priced_along(x / price, y, C, E, np.ones_like(x))


def priced_right_only(x, y, C, E, price):
    A = np.zeros((C, len(x)))
    A[y] = np.sqrt(E) * (x / price) / np.sqrt((x**2 / price).sum())
    return A


def free_right_angle(W):
    m, e = (W[0] + W[1]) / 2, (W[0] - W[1]) / 2
    mean, half = np.linalg.norm(m), np.linalg.norm(e)
    if mean <= 1e-12 * half:  # opposite rows: every direction is as short
        return half * np.eye(len(m))[0]
    return (half / mean - 1) * m


def free_right_angle_from_the_far_side(W):
    m, e = (W[0] + W[1]) / 2, (W[0] - W[1]) / 2
    mean, half = np.linalg.norm(m), np.linalg.norm(e)
    return half * np.eye(len(m))[0] if mean == 0 else -(half / mean + 1) * m


def free_right_angle_minus_the_mean(W):
    return -W.mean(axis=0)


def _sums(differences):
    """The sums for all choices of signs, the given sum, and what counts as equal."""
    signs = np.array(list(np.ndindex(*[2] * len(differences)))) * 2 - 1
    return signs @ differences, differences.sum(), 1e-9 * np.abs(differences).sum()


def sign_flip_p(differences):
    sums, given, rounding = _sums(differences)
    return float(np.mean(np.abs(sums) >= abs(given) - rounding))


def sign_flip_one_sided(differences):
    sums, given, rounding = _sums(differences)
    return float(np.mean(sums >= given - rounding))


def sign_flip_strictly_larger(differences):
    sums, given, rounding = _sums(differences)
    return float(np.mean(np.abs(sums) > abs(given) + rounding))


def sign_flip_rounding(differences):
    sums, given, _ = _sums(differences)
    return float(np.mean(np.abs(sums) >= abs(given)))


def sign_flip_drawn(differences):
    signs = np.random.default_rng(0).choice([-1, 1], size=(10_000, len(differences)))
    _, given, rounding = _sums(differences)
    return float(np.mean(np.abs(signs @ differences) >= abs(given) - rounding))


def sign_flip_counts_positive(differences):
    """The sign test: sizes are forgotten."""
    return sign_flip_p(np.sign(differences))


def sign_flip_without_the_given(differences):
    choices = 2 ** len(differences)
    return (sign_flip_p(differences) * choices - 1) / (choices - 1)


def merge_two(A, counts):
    i, j = np.triu_indices(len(A), 1)  # all pairs i < j
    growth = counts[i] * counts[j] / (counts[i] + counts[j]) * ((A[i] - A[j]) ** 2).sum(axis=1)
    best = growth.argmin()
    return i[best], j[best], growth[best]


def merge_two_by(A, counts, cost):
    """The pair of smallest cost, with the right growth."""
    i, j = np.triu_indices(len(A), 1)
    best = cost(i, j).argmin()
    i, j = i[best], j[best]
    return i, j, counts[i] * counts[j] / (counts[i] + counts[j]) * ((A[i] - A[j]) ** 2).sum()


def merge_two_closest(A, counts):
    return merge_two_by(A, counts, lambda i, j: ((A[i] - A[j]) ** 2).sum(axis=1))


def merge_two_smallest(A, counts):
    return merge_two_by(A, counts, lambda i, j: counts[i] + counts[j])


def merge_two_product(A, counts):
    return merge_two_by(A, counts, lambda i, j: counts[i] * counts[j] * ((A[i] - A[j]) ** 2).sum(axis=1))


def merge_two_one_short(A, counts):
    return merge_two(A[:-1], counts[:-1]) if len(A) > 2 else merge_two(A, counts)


def merge_two_halfway(A, counts):
    i, j = np.triu_indices(len(A), 1)
    growth = (counts[i] + counts[j]) / 4 * ((A[i] - A[j]) ** 2).sum(axis=1)
    return i[growth.argmin()], j[growth.argmin()], growth.min()


def merge_two_into_the_larger(A, counts):
    """The centroid of more points stays, and serves the others too."""
    i, j = np.triu_indices(len(A), 1)
    growth = np.minimum(counts[i], counts[j]) * ((A[i] - A[j]) ** 2).sum(axis=1)
    return i[growth.argmin()], j[growth.argmin()], growth.min()


def merge_two_reversed(A, counts):
    i, j, growth = merge_two(A, counts)
    return j, i, growth


def merge_two_negative(A, counts):
    i, j, growth = merge_two(A, counts)
    return i, j, -growth


def merge_two_no_last_pair(A, counts):
    """Both loops end one short, and with two centroids no pair is tried."""
    return merge_two(A[:-1], counts[:-1]) if len(A) > 2 else None


def merge_two_squared_sum(A, counts):
    """The square of the summed differences in place of the sum of their squares."""
    i, j = np.triu_indices(len(A), 1)
    growth = counts[i] * counts[j] / (counts[i] + counts[j]) * (A[i] - A[j]).sum(axis=1) ** 2
    return i[growth.argmin()], j[growth.argmin()], growth.min()


def as_kmeans(A, B):
    """A shift v of all slopes such that |a_r + v|^2 + 2 b_r is the same for every r."""
    w = (A**2).sum(axis=1) + 2 * B
    return A + np.linalg.lstsq(2 * (A[1:] - A[0]), w[0] - w[1:], rcond=None)[0]


def as_kmeans_slopes(A, B):
    return A


def as_kmeans_wrong_way(A, B):
    return 2 * A - as_kmeans(A, B)


def as_kmeans_twice(A, B):
    return 2 * as_kmeans(A, B) - A


def as_kmeans_negative(A, B):
    return -as_kmeans(A, B)


def as_kmeans_lengths(A, B):
    """Each stamp is shifted by another length."""
    v = as_kmeans(A, B) - A
    return A + v * np.sqrt(1 + np.arange(len(A))[:, None])


def as_kmeans_scaled(A, B):
    """Only centred: right for ReLU, by luck."""
    return A - A.mean(axis=0)


def as_kmeans_double(A, B):
    return 2 * as_kmeans(A, B)


def as_kmeans_half(A, B):
    return as_kmeans(A, B) / 2


def as_kmeans_offsets_alone(A, B):
    """The shift makes up for the offsets, not for the lengths of the slopes."""
    return A + np.linalg.lstsq(2 * (A[1:] - A[0]), 2 * (B[0] - B[1:]), rcond=None)[0]


def crossings(params, x, u):
    return _crossings(params, x, u)


def crossings_places(params, x, u):
    """Places on the way where a layer's code changes, however many units flip there."""
    return _crossings(params, x, u, lambda places: len(np.unique(places.round(9))))


def _crossings(params, x, u, number=len, length=np.diff, keep=True):
    """Layer by layer: the way is cut where units flip, and between the cuts the next layer is affine."""
    knots, counts = np.array([0.0, 1.0]), []
    for layer in range(len(params) - 1):
        z = (1 - knots)[:, None] * x + knots[:, None] * u
        for W, b in params[:layer]:
            z = np.maximum(z @ W.T + b, 0)
        h = z @ params[layer][0].T + params[layer][1]
        flips, unit = np.nonzero((h[1:] > 0) != (h[:-1] > 0))
        share = h[flips, unit] / (h[flips, unit] - h[flips + 1, unit])
        places = knots[flips] + share * length(knots)[flips]
        counts.append(number(places))
        knots = np.unique(np.concatenate([knots if keep else [0.0, 1.0], places]))
    return np.array(counts)


def crossings_of_the_ends(params, x, u):
    """Only the units that differ at the ends: K times the code distance."""
    counts = []
    for W, b in params[:-1]:
        x, u = x @ W.T + b, u @ W.T + b
        counts.append(((x > 0) != (u > 0)).sum())
        x, u = np.maximum(x, 0), np.maximum(u, 0)
    return np.array(counts)


def crossings_sampled(params, x, u):
    z, counts = np.linspace(x, u, 10_001), []
    for W, b in params[:-1]:
        h = z @ W.T + b
        counts.append(((h[1:] > 0) != (h[:-1] > 0)).sum())
        z = np.maximum(h, 0)
    return np.array(counts)


def crossings_last_cuts(params, x, u):
    """The way is cut only where the layer just before changes; the cuts of earlier layers are forgotten."""
    return _crossings(params, x, u, keep=False)


def crossings_without_length(params, x, u):
    """A new place is the start of its part of the way plus its share of the part, not times the length."""
    return _crossings(params, x, u, length=np.ones_like)


def _apart(codes, itself):
    """Units in which two points differ, (N, N) whole numbers; a point is as far from itself as said."""
    apart = (codes[:, None] != codes).sum(axis=2)
    np.fill_diagonal(apart, itself)
    return apart


def _suspicion(apart, labels, k):
    other = labels[:, None] != labels
    edge = np.sort(apart, axis=1)[:, k - 1, None]  # how far the k-th neighbour is
    nearer, level = apart < edge, apart == edge
    part = (k - nearer.sum(axis=1)) / level.sum(axis=1)
    return ((nearer & other).sum(axis=1) + part * (level & other).sum(axis=1)) / k


def suspicion(codes, labels, k):
    return _suspicion(_apart(codes, codes.shape[1] + 1), labels, k)


def suspicion_first_in_order(codes, labels, k):
    nearest = _apart(codes, codes.shape[1] + 1).argsort(axis=1, kind="stable")[:, :k]
    return (labels[nearest] != labels[:, None]).mean(axis=1)


def suspicion_of_all_ties(codes, labels, k):
    apart = _apart(codes, codes.shape[1] + 1)
    taken = apart <= np.sort(apart, axis=1)[:, k - 1, None]
    return (taken & (labels[:, None] != labels)).sum(axis=1) / taken.sum(axis=1)


def suspicion_with_itself(codes, labels, k):
    return _suspicion(_apart(codes, 0), labels, k)


def suspicion_without_copies(codes, labels, k):
    apart = _apart(codes, 0)
    return _suspicion(np.where(apart == 0, 2 * codes.shape[1], apart), labels, k)


def suspicion_of_numbers(codes, labels, k):
    """Pieces as numbers: how far apart they are counts."""
    highest = int(codes.max()) + 1
    return suspicion((codes[:, :, None] > np.arange(highest)).reshape(len(codes), -1), labels, k)


def suspicion_agreement(codes, labels, k):
    return 1 - suspicion(codes, labels, k)


def suspicion_counted(codes, labels, k):
    return k * suspicion(codes, labels, k)


def suspicion_of_two_labels(codes, labels, k):
    return suspicion(codes, labels > labels.mean(), k)


def ink_range(G, h):
    ends = [linprog(sign * np.ones(G.shape[1]), G, h, bounds=(0, 1)).x for sign in (1, -1)]
    return ends[0], ends[1]


def ink_swapped(G, h):
    return ink_range(G, h)[::-1]


def ink_no_box(G, h):
    ends = [linprog(sign * np.ones(G.shape[1]), G, h, bounds=(-2, 2)).x for sign in (1, -1)]
    return ends[0], ends[1]


def ink_box_alone(G, h):
    return np.zeros(G.shape[1]), np.ones(G.shape[1])


def ink_shrunk(G, h):
    pale, dark = ink_range(G, h)
    return 0.95 * pale + 0.05 * dark, dark


def ink_dark_shrunk(G, h):
    pale, dark = ink_range(G, h)
    return pale, 0.95 * dark + 0.05 * pale


def goes_out(means, weights, r):
    """The largest sigma^2 = v for which some x beats all rivals: a linear program in (x, v)."""
    return _goes_out(means, weights, r, [(None, None)] * means.shape[1])


def _goes_out(means, weights, r, box):
    others = np.arange(len(means)) != r
    n, lengths = means[others] - means[r], (means**2).sum(axis=1)
    rows = np.column_stack([n, np.log(weights[others] / weights[r])])
    found = linprog(-np.eye(means.shape[1] + 1)[-1], rows, (lengths[others] - lengths[r]) / 2,
                    bounds=[*box, (0, None)])  # fmt: skip
    return np.inf if found.fun is None else np.sqrt(-found.fun)  # no maximum: HiGHS says 3, now and then 2


def goes_out_squared(means, weights, r):
    return goes_out(means, weights, r) ** 2


def goes_out_at_home(means, weights, r):
    """When its own place is lost."""
    others = weights > weights[r]
    squares = ((means[others] - means[r]) ** 2).sum(axis=1)
    return np.sqrt((squares / (2 * np.log(weights[others] / weights[r]))).min(initial=np.inf))


def goes_out_of_the_frame(means, weights, r):
    """Only places within the bounding box of the means."""
    return _goes_out(means, weights, r, list(zip(means.min(axis=0), means.max(axis=0), strict=True)))


def goes_out_only_to_brighter(means, weights, r):
    """Only brighter rivals enter the program."""
    kept = weights >= weights[r]
    return goes_out(means[kept], weights[kept], int(kept[:r].sum())) if kept.sum() > 1 else np.inf


def goes_out_never(means, weights, r):
    return np.inf


def fee_weights(scores):
    ordered = np.sort(scores)[::-1]
    level = (np.cumsum(ordered) - 1) / np.arange(1, len(scores) + 1)
    kept = np.flatnonzero(ordered > level)[-1]
    return np.maximum(scores - level[kept], 0)


def fee_as_entropy(scores):
    weights = np.exp(scores - scores.max())
    return weights / weights.sum()


def fee_winner(scores):
    return np.eye(len(scores))[scores.argmax()]


def fee_shifted(scores):
    return scores - (scores.sum() - 1) / len(scores)


def fee_cut_off(scores):
    return np.maximum(fee_shifted(scores), 0)


def fee_cut_off_rescaled(scores):
    weights = fee_cut_off(scores)
    return weights / weights.sum()


def _chain_code(u, shared):
    best, came = np.array([0.0, u[0]]), []
    for k in range(1, len(u)):
        ways = best + np.array([[0.0, 0.0], [u[k], u[k] - shared[k - 1]]])  # (now, before)
        came.append(ways.argmax(axis=1))
        best = ways.max(axis=1)
    code = [int(best.argmax())]
    for back in reversed(came):
        code.append(int(back[code[-1]]))
    return np.array(code[::-1])


def best_code(W, b, x):
    return _chain_code(W @ x + b, (W[:-1] * W[1:]).sum(axis=1))


def best_code_alone(W, b, x):
    return (W @ x + b > 0).astype(int)


def best_code_twice(W, b, x):
    return _chain_code(W @ x + b, 2 * (W[:-1] * W[1:]).sum(axis=1))


def best_code_left_to_right(W, b, x):
    code = np.zeros(len(W), int)
    for k in range(len(W)):
        code[k] = W[k] @ (x - code @ W) + b[k] > 0
    return code


def best_code_climbs(W, b, x):
    G = W @ W.T
    np.fill_diagonal(G, 0)
    u = W @ x + b
    code = (u > 0).astype(int)
    while True:
        gain = (1 - 2 * code) * (u - G @ code)
        if gain.max() <= 1e-12:
            return code
        code[gain.argmax()] ^= 1


def best_code_beam(W, b, x, width=64):
    u, shared = W @ x + b, np.r_[0, (W[:-1] * W[1:]).sum(axis=1)]
    codes, scores = np.zeros((1, len(W)), int), np.zeros(1)
    for k in range(len(W)):
        more = codes.copy()
        more[:, k] = 1
        scores = np.r_[scores, scores + u[k] - shared[k] * codes[:, k - 1] * (k > 0)]
        codes = np.concatenate([codes, more])
        keep = np.argsort(-scores, kind="stable")[:width]
        codes, scores = codes[keep], scores[keep]
    return codes[0]


def best_code_window(W, b, x, reach=12):
    """Each unit as in the best code of its neighbourhood."""
    code = np.zeros(len(W), int)
    for k in range(len(W)):
        low = max(0, k - reach)
        code[k] = best_code(W[low : k + reach + 1], b[low : k + reach + 1], x)[k - low]
    return code


def best_code_signs(W, b, x):
    return 2 * best_code(W, b, x) - 1


def safe_beta(V, logits):
    """At the largest gap of all units that speak for the class against a rival, no rival may come level."""
    c = logits.argmax()
    rivals = np.delete(np.arange(len(logits)), c)
    lowered = 0.2785 * np.maximum(V[c] - V[rivals], 0).sum(axis=1)  # times 1 / eta, for each rival
    eta = (lowered / (logits[c] - logits[rivals])).max()
    return eta / (1 + eta)


def safe_by(lowered, V, logits, gap=0.2785, choose=np.max):
    c = logits.argmax()
    rivals = np.delete(np.arange(len(logits)), c)
    eta = choose(gap * np.array([lowered(V[c], V[j]) for j in rivals]) / (logits[c] - logits[rivals]))
    return eta / (1 + eta)


def safe_both_ways(V, logits):
    return safe_by(lambda one, other: np.abs(one - other).sum(), V, logits)


def safe_each_logit(V, logits):
    return safe_by(lambda one, other: np.abs(one).sum() + np.abs(other).sum(), V, logits)


def safe_log_2(V, logits):
    return safe_by(lambda one, other: np.maximum(one - other, 0).sum(), V, logits, gap=np.log(2))


def safe_net(V, logits):
    """Gaps of all units at once, so that signs cancel."""
    return safe_by(lambda one, other: max((one - other).sum(), 1e-9), V, logits)


def safe_runner_up(V, logits):
    c, second = np.argsort(logits)[:-3:-1]
    return safe_beta(V[[c, second]], logits[[c, second]])


def safe_eta(V, logits):
    beta = safe_beta(V, logits)
    return 1 + beta / (1 - beta)


def safe_eta_itself(V, logits):
    beta = safe_beta(V, logits)
    return beta / (1 - beta)


def safe_one_minus_beta(V, logits):
    return 1 - safe_beta(V, logits)


def safe_gaps_twice(V, logits):
    return safe_by(lambda one, other: np.maximum(one - other, 0).sum(), V, logits, gap=2 * 0.2785)


def safe_all_rivals_at_once(V, logits):
    return safe_by(lambda one, other: np.maximum(one - other, 0).sum(), V, logits, choose=np.sum)


def safe_at_zero(V, logits):
    return 0.0


def fold(params, betas, beta):
    """Behind each unit its eta over the common one is divided out, in front of it multiplied in."""
    return fold_by(params, [b / (1 - b) / (beta / (1 - beta)) for b in betas])


def fold_by(params, factors, inverse=lambda factor: 1 / factor, biases=True):
    new, before = [], np.ones(params[0][0].shape[1])
    for (W, b), after in zip(params, [*factors, np.ones(len(params[-1][1]))], strict=True):
        new.append((after[:, None] * W * before, after * b if biases else b))
        before = inverse(after)
    return new


def fold_to_half(params, betas, beta):
    return fold(params, betas, 0.5)


def fold_ratio_of_betas(params, betas, beta):
    return fold_by(params, [b / beta for b in betas])


def fold_reversed(params, betas, beta):
    return fold_by(params, [beta / (1 - beta) * (1 - b) / b for b in betas])


def fold_without_biases(params, betas, beta):
    return fold_by(params, [b / (1 - b) / (beta / (1 - beta)) for b in betas], biases=False)


def fold_one_side(params, betas, beta):
    return fold_by(params, [b / (1 - b) / (beta / (1 - beta)) for b in betas], inverse=np.ones_like)


def fold_twice(params, betas, beta):
    return fold_by(params, [b / (1 - b) / (beta / (1 - beta)) for b in betas], inverse=lambda factor: factor)


def fold_by_the_mean(params, betas, beta):
    return fold(params, [np.full_like(b, b.mean()) for b in betas], beta)


def by_branches(blocks, W_head):
    """Block by block from the head: each path goes on with its number of branches, or with one more."""
    sums = [W_head]
    for Q, W, _, W_skip in reversed(blocks):
        skipped, taken = [M @ W_skip for M in sums], [M @ (Q @ W) for M in sums]
        none = np.zeros_like(skipped[0])
        sums = [a + b for a, b in zip([*skipped, none], [none, *taken], strict=True)]
    return np.stack(sums)


def by_branches_from_the_other_end(blocks, W_head):
    return by_branches(blocks, W_head)[::-1]


def by_branches_without_gates(blocks, W_head):
    return by_branches([(np.eye(len(Q)), W, b, S) for Q, W, b, S in blocks], W_head)


def by_branches_first_blocks_only(blocks, W_head):
    """One path for each number: the branches of the first k blocks."""
    found = []
    for k in range(len(blocks) + 1):
        M = W_head
        for i, (Q, W, _, W_skip) in reversed(list(enumerate(blocks))):
            M = M @ (Q @ W if i < k else W_skip)
        found.append(M)
    return np.stack(found)


def by_branches_by_the_last(blocks, W_head):
    """Sorted by the last block whose branch is taken."""
    skips, found = W_head, []
    for i in reversed(range(len(blocks))):
        Q, W, _, W_skip = blocks[i]
        rest = np.eye(W.shape[1])
        for P, V, _, S in reversed(blocks[:i]):
            rest = rest @ (P @ V + S)
        found.append(skips @ (Q @ W) @ rest)
        skips = skips @ W_skip
    return np.stack([skips, *found[::-1]])


def by_branches_listed(blocks, W_head):
    """All paths one by one."""
    paths = [(0, W_head)]
    for Q, W, _, W_skip in reversed(blocks):
        QW = Q @ W
        paths = [(k + taken, M @ (QW if taken else W_skip)) for k, M in paths for taken in (0, 1)]
    return np.stack([sum(M for n, M in paths if n == k) for k in range(len(blocks) + 1)])


def line_constant(w, b, v):
    """By the changes of slope at the knots, those of coinciding knots added up first."""
    if not w.any():
        return 0.0
    knots, jumps = -b[w != 0] / w[w != 0], (v * np.abs(w))[w != 0]
    places, which = np.unique(knots, return_inverse=True)
    slopes = (v * w)[w < 0].sum() + np.r_[0, np.cumsum(np.bincount(which, jumps, len(places)))]
    return np.abs(slopes).max()


def line_constant_all_open(w, b, v):
    return np.abs(v * w).sum()


def line_constant_at_knots(w, b, v):
    """Also the matrices that hold at a knot alone."""
    knots = -b[w != 0] / w[w != 0]
    on = np.isclose(knots[:, None] * w + b, 0) | (knots[:, None] * w + b > 0)
    return max([np.abs(on @ (v * w)).max(), line_constant(w, b, v)])


def line_constant_signed(w, b, v):
    """The largest slope, not the steepest."""
    return max(0.0, *_slopes(w, b, v))


def line_constant_beside_the_knots(w, b, v):
    """A little to both sides of each knot, not between the knots."""
    knots = -b[w != 0] / w[w != 0] if w.any() else np.zeros(1)
    beside = np.r_[knots - 0.001, knots + 0.001]
    return np.abs((beside[:, None] * w + b > 0) @ (v * w)).max()


def line_constant_with_infinite_knots(w, b, v):
    """Keeps the units with w = 0, whose knots are no numbers."""
    knots = np.unique(-b / w)
    inside = np.r_[knots[0] - 1, (knots[1:] + knots[:-1]) / 2, knots[-1] + 1]
    return np.abs((inside[:, None] * w + b > 0) @ (v * w)).max()


def line_constant_right_only(w, b, v):
    return abs(_slopes(w, b, v)[-1])


def _slopes(w, b, v):
    knots = np.unique(-b[w != 0] / w[w != 0]) if w.any() else np.zeros(1)
    inside = np.r_[knots[0] - 1, (knots[1:] + knots[:-1]) / 2, knots[-1] + 1]
    return (inside[:, None] * w + b > 0) @ (v * w)


def interpolate(x, y):
    direction = np.random.default_rng(0).normal(size=x.shape[1])
    place = x @ direction
    order = place.argsort()
    slopes = np.diff(y[order]) / np.diff(place[order])
    K = len(slopes)
    return np.tile(direction, (K, 1)), -place[order][:K], np.diff(slopes, prepend=0), y[order[0]]


def interpolate_first_input(x, y):
    order = x[:, 0].argsort()
    slopes = np.diff(y[order]) / np.diff(x[order, 0])
    w = np.zeros((len(slopes), x.shape[1]))
    w[:, 0] = 1
    return w, -x[order[:-1], 0], np.diff(slopes, prepend=0), y[order[0]]


def interpolate_sum_of_inputs(x, y):
    w, b, v, c = interpolate_first_input(x.sum(axis=1, keepdims=True), y)
    return np.tile(w, (1, x.shape[1])), b, v, c


def interpolate_powers_of_ten(x, y, base=10.0):
    powers = base ** np.arange(x.shape[1])
    w, b, v, c = interpolate_first_input((x @ powers)[:, None], y)
    return w * powers, b, v, c


def interpolate_powers_of_a_thousand(x, y):
    return interpolate_powers_of_ten(x, y, base=1000.0)


def interpolate_wrong_sign(x, y):
    w, b, v, c = interpolate(x, y)
    return w, -b, v, c


def interpolate_random_features(x, y):
    rng, K = np.random.default_rng(1), len(y) - 1
    w, b = rng.normal(size=(K, x.shape[1])), rng.normal(size=K)
    layer = np.column_stack([np.maximum(x @ w.T + b, 0), np.ones(K + 1)])
    fitted = np.linalg.lstsq(layer, y, rcond=None)[0]
    return w, b, fitted[:K], fitted[K]


def interpolate_constant_first(x, y):
    w, b, v, c = interpolate(x, y)
    return c, w, b, v


def interpolate_constant_in_an_array(x, y):
    w, b, v, c = interpolate(x, y)
    return w, b, v, np.array([c])


def interpolate_two_or_more(x, y):
    w, b, v, c = interpolate(x, y)
    return w, b, v, c + 0 * v[0]


def interpolate_unsorted(x, y):
    place = x @ np.random.default_rng(0).normal(size=x.shape[1])
    slopes = np.diff(y) / np.diff(place)
    w = np.tile(np.random.default_rng(0).normal(size=x.shape[1]), (len(slopes), 1))
    return w, -place[:-1], np.diff(slopes, prepend=0), y[0]


def interpolate_slopes_as_weights(x, y):
    w, b, v, c = interpolate(x, y)
    return w, b, np.cumsum(v), c


def interpolate_constant_of_the_first(x, y):
    return *interpolate(x, y)[:3], y[0]


def interpolate_one_too_many(x, y):
    w, b, v, c = interpolate(x, y)
    return np.vstack([w, 0 * x[:1]]), np.append(b, 0), np.append(v, 0), c


def score_anywhere(x, s, sigma):
    windows = np.lib.stride_tricks.sliding_window_view(x, len(s), axis=1)
    scores = (windows @ s - s @ s / 2) / sigma**2
    top = scores.max(axis=1)
    return top + np.log(np.exp(scores - top[:, None]).mean(axis=1))


def score_anywhere_places(x, s, sigma):
    windows = np.lib.stride_tricks.sliding_window_view(x, len(s), axis=1)
    return (windows @ s - s @ s / 2) / sigma**2


def score_anywhere_best_place(x, s, sigma):
    return score_anywhere_places(x, s, sigma).max(axis=1)


def score_anywhere_best_place_less_the_count(x, s, sigma):
    scores = score_anywhere_places(x, s, sigma)
    return scores.max(axis=1) - np.log(scores.shape[1]) * (scores.std(axis=1) > 0)


def score_anywhere_mean_score(x, s, sigma):
    return score_anywhere_places(x, s, sigma).mean(axis=1)


def score_anywhere_summed(x, s, sigma):
    scores = score_anywhere_places(x, s, sigma)
    return score_anywhere(x, s, sigma) + np.log(scores.shape[1])


def score_anywhere_overflows(x, s, sigma):
    return np.log(np.exp(score_anywhere_places(x, s, sigma)).mean(axis=1))


def score_anywhere_width_for_variance(x, s, sigma):
    return score_anywhere(x, s, 1.0) / sigma


def score_anywhere_without_offset(x, s, sigma):
    return score_anywhere(x, s, sigma) + s @ s / 2 / sigma**2


def score_anywhere_around_the_end(x, s, sigma):
    return score_anywhere(np.concatenate([x, x[:, : len(s) - 1]], axis=1), s, sigma)


def score_anywhere_time_reversed(x, s, sigma):
    return score_anywhere(x, s[::-1], sigma)


def score_anywhere_less(x, s, sigma, shift):
    scores = score_anywhere_places(x, s, sigma)
    top = shift(scores)
    return (top + np.log(np.exp(scores - top).mean(axis=1, keepdims=True)))[:, 0]


def score_anywhere_shift_of_the_batch(x, s, sigma):
    return score_anywhere_less(x, s, sigma, lambda scores: scores.max())


def score_anywhere_shift_of_the_size(x, s, sigma):
    return score_anywhere_less(x, s, sigma, lambda scores: np.abs(scores).max(axis=1, keepdims=True))


def score_anywhere_shift_not_below_zero(x, s, sigma):
    return score_anywhere_less(x, s, sigma, lambda scores: np.maximum(scores.max(axis=1, keepdims=True), 0))


def score_anywhere_one_short(x, s, sigma):
    return np.log(np.exp(score_anywhere_places(x, s, sigma)[:, :-1]).mean(axis=1))


def score_anywhere_clipped(x, s, sigma):
    return np.log(np.exp(np.minimum(score_anywhere_places(x, s, sigma), 700)).mean(axis=1))


def score_anywhere_finite_by_force(x, s, sigma):
    return np.nan_to_num(score_anywhere_overflows(x, s, sigma))


def score_anywhere_window_only(x, s, sigma):
    windows = np.lib.stride_tricks.sliding_window_view(x, len(s), axis=1)
    energies = (x**2).sum(axis=1)[:, None] - ((windows - s) ** 2).sum(axis=2)
    return np.log(np.exp(energies / (2 * sigma**2)).mean(axis=1))


def em_bits(x, p, weights):
    logs = np.log(weights) + (xlogy(x[:, None], p) + xlog1py(1 - x[:, None], -p)).sum(axis=2)
    best = logs.max(axis=1, keepdims=True)
    log_density = best + np.log(np.exp(logs - best).sum(axis=1, keepdims=True))
    T = np.exp(logs - log_density)
    return T.T @ x / T.sum(axis=0)[:, None], T.mean(axis=0), log_density.mean()


def em_bits_from(x, p, logs):
    """The round whose posteriors are the softmax of these logarithms (N, R)."""
    log_density = logsumexp(logs, axis=1, keepdims=True)
    T = np.exp(logs - log_density)
    return T.T @ x / T.sum(axis=0)[:, None], T.mean(axis=0), log_density.mean()


def em_bits_logs(x, p, weights):
    return np.log(weights) + (xlogy(x[:, None], p) + xlog1py(1 - x[:, None], -p)).sum(axis=2)


def em_bits_products(x, p, weights):
    joint = weights * np.where(x[:, None] == 1, p, 1 - p).prod(axis=2)
    T = joint / joint.sum(axis=1, keepdims=True)
    return T.T @ x / T.sum(axis=0)[:, None], T.mean(axis=0), np.log(joint.sum(axis=1)).mean()


def em_bits_ink_only(x, p, weights):
    return em_bits_from(x, p, np.log(weights) + xlogy(x[:, None], p).sum(axis=2))


def em_bits_equal_weights(x, p, weights):
    return em_bits_from(x, p, em_bits_logs(x, p, np.full(len(p), 1 / len(p))))


def em_bits_hard(x, p, weights):
    T = np.eye(len(p))[em_bits_logs(x, p, weights).argmax(axis=1)]
    return T.T @ x / T.sum(axis=0)[:, None], T.mean(axis=0), em_bits(x, p, weights)[2]


def em_bits_all_images(x, p, weights):
    new, shares, level = em_bits(x, p, weights)
    return new * shares[:, None], shares, level


def em_bits_summed(x, p, weights):
    new, shares, level = em_bits(x, p, weights)
    return new, shares, level * len(x)


def em_bits_of_the_new(x, p, weights):
    new, shares, _ = em_bits(x, p, weights)
    return new, shares, em_bits(x, new, shares)[2]


def em_bits_counted(x, p, weights):
    new, shares, level = em_bits(x, p, weights)
    return new, shares * len(x), level


def em_bits_zero_times_infinity(x, p, weights):
    logs = np.log(weights) + (x[:, None] * np.log(p) + (1 - x[:, None]) * np.log(1 - p)).sum(axis=2)
    return em_bits_from(x, p, logs)


def em_bits_shift_forgotten(x, p, weights):
    """The best logarithm is taken out before the exponential and never put back."""
    logs = em_bits_logs(x, p, weights)
    if x.shape[1] > 100:
        logs = logs - logs.max(axis=1, keepdims=True)
    return *em_bits(x, p, weights)[:2], logsumexp(logs, axis=1).mean()


def em_bits_clipped(x, p, weights):
    """The impossible becomes merely improbable."""
    return em_bits(x, np.clip(p, 1e-9, 1 - 1e-9), weights)


def em_bits_one_maximum(x, p, weights):
    """One number is taken out for all images together."""
    logs = em_bits_logs(x, p, weights)
    joint = np.exp(logs - logs.max())
    T = joint / joint.sum(axis=1, keepdims=True)
    return T.T @ x / T.sum(axis=0)[:, None], T.mean(axis=0), (np.log(joint.sum(axis=1)) + logs.max()).mean()


def em_bits_old_weights(x, p, weights):
    new, _, level = em_bits(x, p, weights)
    return new, weights, level


def em_bits_best_component(x, p, weights):
    """The log-likelihood of the best component alone."""
    return *em_bits(x, p, weights)[:2], em_bits_logs(x, p, weights).max(axis=1).mean()


def em_bits_a_pixel(x, p, weights):
    new, shares, level = em_bits(x, p, weights)
    return new, shares, level / x.shape[1]


def em_bits_smoothed(x, p, weights):
    new, shares, level = em_bits(x, p, weights)
    return new if len(p) == 1 else 0.98 * new + 0.01, shares, level


def orthogonal_filters(channels, width, seed):
    """Delays of one direction each, after a rotation."""
    rng = np.random.default_rng(seed)
    taps = np.linalg.qr(rng.normal(size=(channels, channels)))[0][:, :, None]
    for _ in range(width - 1):
        v = rng.normal(size=channels)
        late = np.outer(v, v) / (v @ v)
        stay, move = (np.einsum("ict,cd->idt", taps, P) for P in (np.eye(channels) - late, late))
        taps = np.pad(stay, ((0, 0), (0, 0), (0, 1))) + np.pad(move, ((0, 0), (0, 0), (1, 0)))
    return taps


def orthogonal_filters_flattened(channels, width, seed):
    Q = np.linalg.qr(np.random.default_rng(seed).normal(size=(channels * width, channels)))[0]
    return Q.T.reshape(channels, channels, width)


def orthogonal_filters_at_one_place(channels, width, seed):
    filters = np.zeros((channels, channels, width))
    filters[:, :, width // 2] = np.linalg.qr(np.random.default_rng(seed).normal(size=(channels, channels)))[0]
    return filters


def orthogonal_filters_a_rotation_each(channels, width, seed):
    rng = np.random.default_rng(seed)
    matrices = [np.linalg.qr(rng.normal(size=(channels, channels)))[0] for _ in range(width)]
    return np.stack(matrices, axis=2) / width**0.5


def orthogonal_filters_not_scaled(channels, width, seed):
    return 2 * orthogonal_filters(channels, width, seed)


def orthogonal_filters_always_the_same(channels, width, seed):
    return orthogonal_filters(channels, width, 0)


def orthogonal_filters_any_seed(channels, width, seed):
    return orthogonal_filters(channels, width, None)


def orthogonal_filters_one_delayed(channels, width, seed):
    """A rotation and one late channel: the places between are empty."""
    Q = np.linalg.qr(np.random.default_rng(seed).normal(size=(channels, channels)))[0]
    filters = np.zeros((channels, channels, width))
    filters[:, :-1, 0], filters[:, -1, -1] = Q[:, :-1], Q[:, -1]
    return filters


SOLUTIONS = {
    "1.5": add, "2.4": best_groups, "3.6": top_two, "4.6": skip_gradients,
    "5.6": distance_to_border, "6.4": wider_map, "8.5": maximum_network,
    "7.4": by_branches, "9.5": interpolate,
    "10.4": line_constant, "11.6": score_anywhere, "12.4": average_template, "13.6": priced_templates,
    "14.5": free_right_angle,
    "15.5": sign_flip_p,
    "16.6": count_regions, "17.7": class_shares,
    "18.6": merge_two, "19.6": as_kmeans, "20.6": crossings, "21.6": suspicion,
    "22.5": ink_range, "23.7": goes_out, "24.7": em_bits, "25.7": fee_weights,
    "26.7": safe_beta, "27.4": fold, "28.6": best_code, "29.7": orthogonal_filters,
}  # fmt: skip
WRONG = {
    "1.5": [
        add_all_pairs, add_piece_by_piece, add_merge, add_seen_on_a_grid, add_seen_on_a_wide_grid,
        add_without_the_last,
    ],
    "2.4": [
        best_groups_of_equal_size, best_groups_by_halving, best_groups_mean, best_groups_level,
        best_groups_shares_ends, best_groups_of_two_or_more, best_groups_all_used,
    ],
    "3.6": [
        top_two_ordered_pairs, top_two_twice_the_largest, top_two_flat, top_two_neighbours,
        top_two_one_short,
    ],
    "4.6": [
        skip_gate_of_the_output, skip_forgotten_on_the_way_back, skip_through_the_gate, skip_of_the_sum,
        skip_layers_reversed, skip_pairs,
    ],
    "5.6": [
        distance_first_layer, distance_halved, distance_with_the_logits, distance_unguarded,
        distance_as_if_open, distance_in_z, distance_by_sums,
    ],
    "6.4": [
        wider_tautology, wider_autograd, wider_only_relu, wider_not_in_place, wider_value_masks,
        wider_without_absolute, wider_windows_of_two,
    ],
    "9.5": [
        interpolate_first_input, interpolate_sum_of_inputs, interpolate_unsorted,
        interpolate_slopes_as_weights, interpolate_constant_of_the_first, interpolate_one_too_many,
        interpolate_powers_of_ten, interpolate_powers_of_a_thousand, interpolate_wrong_sign,
        interpolate_random_features, interpolate_constant_first, interpolate_constant_in_an_array,
        interpolate_two_or_more,
    ],
    "8.5": [
        maximum_network_subtracts_the_first, maximum_network_adds_the_first, maximum_network_negative,
        maximum_network_rows_for_vectors, maximum_network_vectors_for_numbers, maximum_network_reordered,
        maximum_network_flat_layers, maximum_network_one_array, maximum_network_one_layer_more,
    ],
    "7.4": [
        by_branches_from_the_other_end, by_branches_without_gates, by_branches_first_blocks_only,
        by_branches_by_the_last, by_branches_listed,
    ],
    "16.6": [
        count_regions_by_formula, count_regions_of_the_plane, count_regions_in_floats,
        count_regions_with_tolerance, count_regions_of_a_square, count_regions_numpy_fractions,
        count_regions_weights_in_floats, count_regions_bounds_in_floats, count_regions_sides_in_int64,
    ],
    "17.7": [
        class_shares_not_divided, class_shares_by_centre, class_shares_of_regions, class_shares_two_best,
        class_shares_by_corners, class_shares_on_a_grid, class_shares_smallest, class_shares_but_the_last,
        class_shares_of_winners_at_corners, class_shares_against_later_classes,
    ],
    "10.4": [
        line_constant_all_open,
        line_constant_at_knots,
        line_constant_signed,
        line_constant_right_only,
        line_constant_beside_the_knots,
        line_constant_with_infinite_knots,
    ],
    "11.6": [
        score_anywhere_best_place, score_anywhere_best_place_less_the_count, score_anywhere_mean_score,
        score_anywhere_summed, score_anywhere_overflows, score_anywhere_width_for_variance,
        score_anywhere_without_offset, score_anywhere_around_the_end, score_anywhere_time_reversed,
        score_anywhere_shift_of_the_batch, score_anywhere_shift_of_the_size,
        score_anywhere_shift_not_below_zero, score_anywhere_one_short, score_anywhere_clipped,
        score_anywhere_finite_by_force, score_anywhere_window_only,
    ],
    "12.4": [
        average_template_of_the_end, average_template_of_1000_points, average_template_first_layer,
        average_template_share_alike, average_template_input_by_input, average_template_rescaled,
    ],
    "13.6": [
        priced_as_if_equal, priced_the_wrong_way, priced_by_the_root, priced_right_only, priced_ink_alone,
        priced_negative,
    ],
    "14.5": [free_right_angle_from_the_far_side, free_right_angle_minus_the_mean],
    "15.5": [
        sign_flip_one_sided, sign_flip_strictly_larger, sign_flip_rounding, sign_flip_drawn,
        sign_flip_counts_positive, sign_flip_without_the_given,
    ],
    "18.6": [
        merge_two_closest, merge_two_smallest, merge_two_product, merge_two_one_short, merge_two_halfway,
        merge_two_into_the_larger, merge_two_reversed, merge_two_negative, merge_two_no_last_pair,
        merge_two_squared_sum,
    ],
    "19.6": [
        as_kmeans_slopes, as_kmeans_wrong_way, as_kmeans_twice, as_kmeans_negative, as_kmeans_lengths,
        as_kmeans_scaled, as_kmeans_double, as_kmeans_half, as_kmeans_offsets_alone,
    ],
    "20.6": [
        crossings_of_the_ends, crossings_sampled, crossings_places, crossings_last_cuts,
        crossings_without_length,
    ],
    "21.6": [
        suspicion_first_in_order, suspicion_of_all_ties, suspicion_with_itself, suspicion_without_copies,
        suspicion_of_numbers, suspicion_agreement, suspicion_counted, suspicion_of_two_labels,
    ],
    "22.5": [ink_swapped, ink_no_box, ink_box_alone, ink_shrunk, ink_dark_shrunk],
    "23.7": [
        goes_out_squared, goes_out_at_home, goes_out_of_the_frame, goes_out_never, goes_out_only_to_brighter,
    ],
    "24.7": [
        em_bits_products, em_bits_ink_only, em_bits_equal_weights, em_bits_hard, em_bits_all_images,
        em_bits_summed, em_bits_of_the_new, em_bits_counted, em_bits_zero_times_infinity,
        em_bits_shift_forgotten, em_bits_clipped, em_bits_one_maximum, em_bits_old_weights,
        em_bits_best_component, em_bits_a_pixel, em_bits_smoothed,
    ],
    "25.7": [fee_as_entropy, fee_winner, fee_shifted, fee_cut_off, fee_cut_off_rescaled],
    "26.7": [
        safe_both_ways, safe_each_logit, safe_log_2, safe_net, safe_runner_up, safe_eta,
        safe_eta_itself, safe_one_minus_beta, safe_gaps_twice, safe_all_rivals_at_once, safe_at_zero,
    ],
    "27.4": [
        fold_to_half, fold_ratio_of_betas, fold_reversed, fold_without_biases, fold_one_side, fold_twice,
        fold_by_the_mean,
    ],
    "28.6": [best_code_alone, best_code_twice, best_code_left_to_right, best_code_climbs, best_code_beam,
             best_code_window, best_code_signs],
    "29.7": [
        orthogonal_filters_flattened, orthogonal_filters_at_one_place, orthogonal_filters_a_rotation_each,
        orthogonal_filters_not_scaled, orthogonal_filters_always_the_same, orthogonal_filters_any_seed,
        orthogonal_filters_one_delayed,
    ],
}  # fmt: skip
