"""Chapter 17, what a partition shows."""

import numpy as np

from . import ask, call, exercise, within
from .chapter_16 import area

_DIAGONAL = 0.4 / 2**0.5  # from (0.7, -0.1) to the line x_1 + x_2 = 1

exercise(
    "17.1",
    solution=[0.1, 0.283],
    wrong={
        (0.1, 0.3): "your second number is the distance to the boundary inside the region of the point. "
        "Is a segment of another region nearer?",
        (0.7, _DIAGONAL): "your first number is the distance to one axis. Is the other axis nearer?",
        (0.1, 0.4): "your second number is a value of the map of a region. "
        "What must |f| be divided by to become a distance?",
        (-0.1, _DIAGONAL): "your first number is a coordinate. Can a distance be negative?",
        (_DIAGONAL, 0.1): "both numbers are known here. Which of them was asked for first?",
    },
    equal=within(0.006),
    otherwise=lambda got, truth: (
        "your first number is off. How far is the point from each of the two axes?"
        if abs(got[0] - truth[0]) > 0.006
        else "your second number is off. How far is the point from each of the three parts of the boundary?"
    ),
    why="The border of the region is nearest on the axis x_2 = 0, 0.1 away. The boundary of the own region, "
    "x_1 = 1, is 0.3 away, but the segment from (1, 0) to (0, 1) is nearer: 0.4 / sqrt 2 = 0.283. "
    "Its nearest place, (0.9, 0.1), lies between the two ends.",
)


def distance_to_border(polygon, x):
    edge, to_x = np.roll(polygon, -1, axis=0) - polygon, x - polygon
    twice_area = np.abs(edge[:, 0] * to_x[:, 1] - edge[:, 1] * to_x[:, 0])
    return (twice_area / np.linalg.norm(edge, axis=1)).min()


def _border_corners(polygon, x):
    return np.linalg.norm(x - polygon, axis=1).min()


def _from_lines(polygon, x):
    """The distances of x from the edges, one by one, and the lengths of these: (V,) each."""
    edges = np.stack([polygon, np.roll(polygon, -1, axis=0)], axis=1)
    distances = np.array([distance_to_border(edge, x) for edge in edges])
    return distances, np.linalg.norm(edges[:, 1] - edges[:, 0], axis=1)


def _border_not_divided(polygon, x):
    distances, lengths = _from_lines(polygon, x)
    return (distances * lengths).min()


def _border_not_closed(polygon, x):
    return min(distance_to_border(polygon[i : i + 2], x) for i in range(len(polygon) - 1))


def _border_signed(polygon, x):
    """The sign of the area kept, and the corners taken the wrong way around."""
    edge, to_x = polygon - np.roll(polygon, -1, axis=0), x - polygon
    return ((edge[:, 0] * to_x[:, 1] - edge[:, 1] * to_x[:, 0]) / np.linalg.norm(edge, axis=1)).min()


def _border_negative(polygon, x):
    return -distance_to_border(polygon, x)


def _border_four_corners(polygon, x):
    return distance_to_border(polygon[:4], x)


def _border_at_most_one(polygon, x):
    """A loop that starts with ``best = 1.0``."""
    return min(1.0, distance_to_border(polygon, x))


def _border_half(polygon, x):
    return distance_to_border(polygon, x) / 2


def _border_farthest(polygon, x):
    return _from_lines(polygon, x)[0].max()


_SQUARE = np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0]])
_TRAPEZOID = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 3.0], [0.0, 6.0]])
_HEXAGON = np.array([[1.0, 0.0], [4.0, 0.0], [6.0, 2.0], [4.0, 4.0], [1.0, 4.0], [0.0, 2.0]])
exercise(
    "17.2",
    solution=distance_to_border,
    cases=[
        (_TRAPEZOID, np.array([0.5, 2.5])),
        (_SQUARE, np.array([1.2, 1.9])),
        (_SQUARE[:3], np.array([1.5, 0.75])),
        (_SQUARE[:3], np.array([1.0, 0.9])),
        (_TRAPEZOID - 7, np.array([-4.0, -3.5])),
        (3 * _SQUARE, np.array([3.0, 2.5])),
        (_HEXAGON, np.array([0.5, 2.5])),
        (_HEXAGON, np.array([3.0, 3.9])),
    ],
    wrong={
        _border_corners: "that is the distance to the nearest corner. Can the border be nearer in between?",
        _border_not_divided: "an edge twice as long should not be twice as far away. What is missing?",
        _border_not_closed: "one edge is missing, the one that closes the polygon. "
        "Which corners does it join?",
        _border_signed: "your number is negative. What does the sign of the product tell, "
        "and can a distance be negative?",
        _border_negative: "your number has the right size and is negative. Can a distance be negative?",
        _border_four_corners: "you use four corners. How many may a polygon have?",
        _border_at_most_one: "your distances are never larger than 1. With which value does your minimum "
        "begin?",
        _border_half: "yours is half as large. Is a_1 c_2 - a_2 c_1 the area of a triangle, or twice that?",
        _border_farthest: "you return the distance to the farthest edge. Which edge is met first?",
    },
    otherwise=lambda got, truth, polygon, x: (
        f"at {x.tolist()} in the polygon {polygon.tolist()} you find {got:.3f}. "
        "What does the sign of the product tell, and can a distance be negative?"
        if got < 0
        else f"at {x.tolist()} in the polygon {polygon.tolist()} you find {got:.3f}. "
        "How far is a point from a line, and how many edges are there?"
    ),
)


def distance_to_segments(segments, x):
    start, along = segments[:, 0], segments[:, 1] - segments[:, 0]  # (M, 2) each
    t = ((x - start) * along).sum(axis=1) / (along**2).sum(axis=1)  # (M,), 0 at one end and 1 at the other
    nearest = start + np.clip(t, 0, 1)[:, None] * along
    return np.linalg.norm(x - nearest, axis=1).min()


def _segments_at(place):
    """A mistake in the place t on each segment, made of <x - p, q - p> and |q - p|^2, (M,) each."""

    def attempt(segments, x):
        start, along = segments[:, 0], segments[:, 1] - segments[:, 0]
        t = place(((x - start) * along).sum(axis=1), (along**2).sum(axis=1))
        return np.linalg.norm(x - start - t[:, None] * along, axis=1).min()

    return attempt


_segments_lines = _segments_at(lambda product, square: product / square)
_segments_half_clipped = _segments_at(lambda product, square: np.maximum(product / square, 0))
_segments_clipped_at_one = _segments_at(lambda product, square: np.minimum(product / square, 1))
_segments_not_divided = _segments_at(lambda product, square: np.clip(product, 0, 1))
_segments_length_for_square = _segments_at(lambda product, square: np.clip(product / np.sqrt(square), 0, 1))


def _segments_ends(segments, x):
    return np.linalg.norm(segments - x, axis=2).min()


def _segments_middles(segments, x):
    return np.linalg.norm(segments.mean(axis=1) - x, axis=1).min()


def _segments_sampled(segments, x):
    t = np.linspace(0, 1, 1001)[:, None, None]
    places = segments[:, 0] + t * (segments[:, 1] - segments[:, 0])
    return np.linalg.norm(x - places, axis=2).min()


def _segments_mean(segments, x):
    return np.mean([distance_to_segments(one[None], x) for one in segments])


def _segments_first(segments, x):
    return distance_to_segments(segments[:1], x)


def _segments_but_the_last(segments, x):
    return distance_to_segments(segments[:-1], x) if len(segments) > 1 else np.inf


def _segments_squared(segments, x):
    return distance_to_segments(segments, x) ** 2


_CORNER = np.array([[[0.0, 1.0], [1.0, 0.0]], [[1.0, 0.0], [1.0, -2.0]], [[-2.0, 1.0], [0.0, 1.0]]])
_ALONG = np.array([[[0.0, 0.0], [3.0, 0.0]], [[0.0, 4.0], [3.0, 4.0]]])
exercise(
    "17.3",
    solution=distance_to_segments,
    cases=[
        (_CORNER, np.array([0.2, 0.3])),
        (_CORNER, np.array([-0.6, 1.3])),
        (_CORNER, np.array([1.5, 0.4])),
        (_ALONG, np.array([5.0, 1.0])),
        (_ALONG[:, ::-1], np.array([5.0, 1.0])),
        (_ALONG, np.array([-2.0, 3.0])),
        (_ALONG, np.array([2.6, 0.4])),
        (_ALONG[:1], np.array([1.0, 0.7])),
    ],
    wrong={
        _segments_lines: "some distances are too small. "
        "Does a segment end where its line is nearest to the point?",
        _segments_ends: "that is the distance to the nearest end. Can a segment be nearer in between?",
        _segments_middles: "that is the distance to the nearest middle. Which place of a segment is nearest?",
        _segments_half_clipped: "beyond one end of a segment you follow its line, beyond the other you do "
        "not. Between which two values does t stay?",
        _segments_clipped_at_one: "beyond one end of a segment you follow its line, beyond the other you "
        "do not. Which values may t take?",
        _segments_sampled: "your distances are a little too large, since you sample the segments at 1,001 "
        "places. Which of all places is nearest?",
        _segments_not_divided: "the place on a segment is off. Which value should t have at the far end?",
        _segments_length_for_square: "the place on a segment is off. Which value should t have at the far "
        "end of a segment of length 3?",
        _segments_mean: "you take the mean over the segments. Which segment is met first?",
        _segments_first: "only one segment counts with you. How many are there?",
        _segments_but_the_last: "one segment does not count with you. How many are there?",
        _segments_squared: "your distances become wrong where they are not 1. Is a root missing?",
    },
    otherwise=lambda got, truth, segments, x: (
        f"for x = {x.tolist()} and the segments {segments.tolist()} you find {got:.3f}. "
        + (
            "This is right to three decimals only. Is your value exact, or from sampled places?"
            if abs(got - truth) < 1e-3
            else "Which place of each segment is nearest to x?"
        )
    ),
)


exercise(
    "17.4",
    solution=[29, 56, 1024],
    wrong={
        (28, 55, 1024): "how many regions are there before the first line is drawn?",
        (29, 55, 1024): "in the plane, how many regions are there before the first line is drawn?",
        (31, 56, 1024): "how many of the ten lines cross the square?",
        (37, 56, 1024): "your first number holds if all pairs of the eight lines cross inside. How many do?",
        (29, 101, 1024): "for your second number you count each pair of lines twice. "
        "How many pairs do ten lines have?",
        (29, 56, 100): "for your third number: how many lists of ten zeros and ones are there?",
    },
    otherwise=lambda got, truth: (
        "your first number is off. What does each line in the square add, and what does each crossing there?"
        if got[0] != truth[0]
        else "your second number is off. How many pairs do ten lines have, and what does each line add?"
        if got[1] != truth[1]
        else "your third number is off. How many choices has each unit?"
    ),
    why="1 + 8 + 20 = 29 in the square. In the plane ten lines and all their 45 pairs: 1 + 10 + 45 = 56. "
    "On paper each of the ten units has two choices: 2^10 = 1,024.",
)


exercise(
    "17.5",
    solution=[151, 46, 46],
    wrong={
        (231, 46, 46): "your first number belongs to the square from -8 to 8 of the table. "
        "Do larger biases move the borders towards the origin or away from it?",
        (220, 46, 46): "do the borders stay where they are if all biases are multiplied by 4?",
        (196, 46, 46): "by which factor do the borders move away from the origin if the biases grow by 4?",
        (151, 1, 1): "without biases the borders run through the origin. How many of them meet there?",
        (151, 46, 1): "how does a region look that is bounded by two rays from the origin, "
        "and how much of it lies in a small square?",
        (151, 12, 4600): "without biases, what happens to the sign of a pre-activation if x is doubled?",
    },
    otherwise="if x and all biases are multiplied by the same positive number, "
    "what happens to the pre-activations of layer 1, and then to those of layer 2?",
    why="Four times the biases: the new f(4x) is 4 times the old f(x), so the square from -4 to 4 shows what "
    "the square from -1 to 1 showed, 151 regions. Without biases, scaling x scales every pre-activation and "
    "changes no sign: the regions are cones, and every square around the origin meets all 46.",
)


def axes_of_plane(x0, x1, x2):
    u = (x1 - x0) / np.linalg.norm(x1 - x0)
    v = x2 - x0
    v = v - (v @ u) * u
    return np.stack([u, v / np.linalg.norm(v)])


def _axes_not_orthogonal(x0, x1, x2):
    u, v = x1 - x0, x2 - x0
    return np.stack([u / np.linalg.norm(u), v / np.linalg.norm(v)])


def _axes_not_unit(x0, x1, x2):
    u, v = x1 - x0, x2 - x0
    return np.stack([u, v - (v @ u) / (u @ u) * u])


def _axes_origin_ignored(x0, x1, x2):
    return axes_of_plane(0 * x0, x1, x2)


def _axes_long_u(x0, x1, x2):
    """The projection on a vector that is not of length 1."""
    u, v = x1 - x0, x2 - x0
    v = v - (v @ u) * u
    return np.stack([u / np.linalg.norm(u), v / np.linalg.norm(v)])


def _axes_by_qr(x0, x1, x2):
    return np.linalg.qr(np.stack([x1 - x0, x2 - x0], axis=1))[0].T


def _axes_in_float32(x0, x1, x2):
    return axes_of_plane(x0, x1, x2).astype(np.float32)


def _axes_unit_too_early(x0, x1, x2):
    u, v = _axes_not_orthogonal(x0, x1, x2)
    return np.stack([u, v - (v @ u) * u])


@exercise(
    "17.6",
    solution=axes_of_plane,
    wrong=[
        _axes_not_orthogonal, _axes_not_unit, _axes_origin_ignored, _axes_long_u, _axes_by_qr,
        _axes_unit_too_early, _axes_in_float32,
        lambda x0, x1, x2: -axes_of_plane(x0, x1, x2),
        lambda x0, x1, x2: axes_of_plane(x0, x2, x1),
        lambda x0, x1, x2: np.eye(len(x0))[:2],
    ],
)  # fmt: skip
def check_17_6(attempt):
    rng = np.random.default_rng(6)
    for D, x0 in ((3, np.zeros(3)), (5, rng.normal(size=5)), (64, rng.random(64))):
        x1, x2 = x0 + 2 * rng.normal(size=(2, D))
        got = call(attempt, x0, x1, x2, shape=(2, D), like=np.ones(1))
        ask(
            got.dtype.itemsize >= 8,
            f"your rows are of type {got.dtype}. How many digits of the float64 inputs does it keep?",
        )
        lengths = np.linalg.norm(got, axis=1)
        ask(
            np.allclose(lengths, 1, atol=1e-9),
            f"for D = {D} your rows have the lengths {lengths[0]:.3f} and {lengths[1]:.3f}. "
            "How long is one step of s, and how long should it be?",
        )
        ask(
            abs(got[0] @ got[1]) < 1e-9,
            f"for D = {D} the inner product of your rows is {got[0] @ got[1]:.1e}. "
            "What is it for vectors at a right angle?",
        )
        sides = np.stack([x1 - x0, x2 - x0])
        missed = np.abs(sides - sides @ got.T @ got).max()
        ask(
            missed < 1e-9,
            f"for D = {D} the plane that your rows span misses x1 or x2. Which differences span the plane?",
        )
        s, t = (x1 - x0) @ got.T
        ask(abs(t) < 1e-9, f"for D = {D} x1 has t = {t:.3f}. Along which difference does u point?")
        ask(s > 0, f"for D = {D} x1 has s = {s:.3f}. In which direction does u point?")
        t = (x2 - x0) @ got[1]
        ask(t > 0, f"for D = {D} x2 has t = {t:.3f}. On which side of the first axis should it lie?")


def _shares(attempt, polygons, A, b):
    """What an attempt returns, once it is an array (C,) of numbers that add up to 1."""
    C = A.shape[1]
    got = call(attempt, polygons, A, b, shape=(C,), like=np.ones(1))
    ask(got.min() > -1e-12, "one of your shares is negative. Can an area be?")
    ask(
        abs(got.sum() - 1) < 1e-9,
        f"your shares add up to {got.sum():.4f}. Of which area are they shares, "
        "and can two classes get the same place?",
    )
    return got


def _network_regions(sizes, seed, bounds):
    """Polygons, maps and the true shares of a network, by the library's own mesh."""
    from ..lab.models import mlp
    from ..plane.regions import partition

    regions = partition(mlp(sizes, np.random.default_rng(seed)), bounds=bounds)
    mesh, winners = regions.decided
    areas = [area(polygon) for polygon in np.split(mesh.xy[mesh.vertex], mesh.start[1:-1])]
    truth = np.bincount(winners, areas, minlength=sizes[-1]) / np.sum(areas)
    return [regions.vertices[face] for face in regions.faces], regions.A, regions.b, truth


@exercise("17.7")
def check_17_7(attempt):
    flat = np.zeros(2)
    A, b = np.array([[flat, [2.0, 0.0]]]), np.array([[3.0, 0.0]])  # class 1 where 2 x_1 > 3
    got = _shares(attempt, [_SQUARE], A, b)
    ask(
        np.allclose(got, [0.75, 0.25], atol=1e-9),
        f"one square from 0 to 2, outputs 3 and 2 x_1: your shares are {got.round(3).tolist()}. "
        "Where are the two outputs equal, and how much of the square lies on each side?",
    )
    got = _shares(attempt, [3 * _SQUARE + 5], A, b)
    ask(
        np.allclose(got, [0, 1], atol=1e-9),
        "in the square from 5 to 11 the outputs are 3 and 2 x_1, and your shares change from the right ones. "
        "Does the boundary cross this square?",
    )
    A, b = np.array([[flat, [1.0, -1.0]]]), np.zeros((1, 2))  # the boundary runs through two corners
    got = _shares(attempt, [_SQUARE], A, b)
    ask(
        np.allclose(got, 0.5, atol=1e-9),
        "outputs 0 and x_1 - x_2 on the square from 0 to 2 go wrong. "
        "What do you do with a corner where both outputs are equal?",
    )
    A, b = np.array([[[1.0, 0.0], [0.0, 1.0], flat]]), np.array([[0.0, 0.0, 1.0]])
    got = _shares(attempt, [_SQUARE], A, b)
    ask(
        np.allclose(got, [0.375, 0.375, 0.25], atol=1e-9),
        f"outputs x_1, x_2 and 1 on the square from 0 to 2: your shares are {got.round(3).tolist()}. "
        "How many lines bound the part of class 2?",
    )
    A, b = np.array([[[-1.0, 0.0], flat, [1.0, 0.0]]]), np.array([[0.0, 0.5, 0.0]])  # class 1: a strip
    got = _shares(attempt, [_SQUARE - 1], A, b)
    ask(
        np.allclose(got, [0.25, 0.5, 0.25], atol=1e-9),
        f"outputs -x_1, 0.5 and x_1 on the square from -1 to 1: your shares are {got.round(3).tolist()}. "
        "Can a class win inside a region and at none of its corners?",
    )
    two = [_SQUARE * [0.5, 1], _SQUARE * [1.5, 1] + [1, 0]]  # of areas 2 and 6
    A, b = np.zeros((2, 2, 2)), np.array([[1.0, 0.0], [0.0, 1.0]])
    got = _shares(attempt, two, A, b)
    ask(
        np.allclose(got, [0.25, 0.75], atol=1e-9),
        "two rectangles of areas 2 and 6, each with one class throughout: your shares are "
        f"{got.round(3).tolist()}. How much does each region count?",
    )
    for sizes, seed, bounds in (([2, 8, 3], 1, (-1, 2, -2, 1)), ([2, 10, 6, 5], 4, (-3, 3, -3, 3))):
        polygons, A, b, truth = _network_regions(sizes, seed, bounds)
        got = _shares(attempt, polygons, A, b)
        ask(
            np.abs(got - truth).max() < 1e-9,
            f"on a network with {len(polygons)} regions and {sizes[-1]} classes your largest error is "
            f"{np.abs(got - truth).max():.1e}. Which regions hold more than two classes, "
            "and is every step of yours exact?",
        )
