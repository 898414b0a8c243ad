"""Chapter 16, the partition."""

from fractions import Fraction

import numpy as np

from . import ask, call, exercise

_SQUARE = np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0]])
_exact = np.vectorize(Fraction, otypes=[object])


def cut(polygon, h):
    if (h >= 0).all() or (h <= 0).all():
        return [polygon]
    below, above = [], []
    for i in range(len(polygon)):
        j = (i + 1) % len(polygon)
        if h[i] <= 0:
            below.append(polygon[i])
        if h[i] >= 0:
            above.append(polygon[i])
        if h[i] < 0 < h[j] or h[j] < 0 < h[i]:
            corner = polygon[i] + h[i] / (h[i] - h[j]) * (polygon[j] - polygon[i])
            below.append(corner)
            above.append(corner)
    return [np.array(below), np.array(above)]


def _same(polygon, other):
    """Whether two polygons have the same corners in the same order, wherever they begin."""
    turned = [np.roll(other, shift, axis=0) for shift in range(len(other))]
    return polygon.shape == other.shape and any(np.allclose(polygon, one, 0, 1e-12) for one in turned)


def _returned(attempt, *arguments):
    """What an attempt returns, made of floats or not."""
    kept = []

    def keep(*copies):
        kept.append(attempt(*copies))
        return None if kept[0] is None else 0

    call(keep if callable(attempt) else attempt, *arguments)
    return kept[0]


def _parts(attempt, polygon, h):
    """The parts that an attempt returns, as a list of arrays."""
    parts = _returned(attempt, polygon, h)
    ask(
        isinstance(parts, (list, tuple)) and len(parts) in (1, 2),
        "a list of one or two polygons is expected. What does your version return?",
    )
    arrays = all(isinstance(part, np.ndarray) for part in parts)
    ask(arrays, "a part is no array. How do corners become a polygon?")
    ask(
        all(part.ndim == 2 and part.shape[1] == 2 for part in parts),
        "a polygon has one corner a row. Has yours?",
    )
    return parts


@exercise(
    "16.1",
    solution=cut,
    wrong=[
        lambda polygon, h: [polygon[h <= 0], polygon[h >= 0]] if h.max() == 0 else cut(polygon, h),
        lambda polygon, h: [polygon] if (h == 0).any() else cut(polygon, h),
        lambda polygon, h: [polygon[h <= 0], polygon[h >= 0]][: len(cut(polygon, h))],
        lambda polygon, h: cut(polygon, h)[:1] + [part[::-1] for part in cut(polygon, h)[1:]],
        lambda polygon, h: cut(polygon, np.sign(h)),  # at the middle of an edge
        lambda polygon, h: cut(polygon, h)[::-1],
        lambda polygon, h: [part.astype(float) for part in cut(polygon, h)],
        lambda polygon, h: cut(polygon, np.where(abs(h) < 1e-9, 0 * h, h)),
        lambda polygon, h: [list(part) for part in cut(polygon, h)],
    ],
)
def check_16_1(attempt):
    places = {-1: "cuts off a corner", -2: "runs through a corner", -6: "only touches", 1: "misses"}
    for offset, what in places.items():
        h, name = _SQUARE @ [1.0, 2.0] + offset, f"h = x_1 + 2 x_2 {offset:+d} {what}"
        got, truth = _parts(attempt, _SQUARE, h), cut(_SQUARE, h)
        ask(len(got) <= len(truth), f"{name}, and you cut. How much of the square lies on the far side?")
        ask(len(got) >= len(truth), f"{name}, and you do not cut. Which signs do the other corners have?")
        swapped = len(got) == 2 and all(map(_same, got, truth[::-1]))
        ask(not swapped, "h is at most 0 in the first part. Did you swap them?")
        back = [_same(part[::-1], side) > _same(part, side) for part, side in zip(got, truth, strict=True)]
        ask(not any(back), "the corners of one part run clockwise. In which order do you collect them?")
        missing = sum(map(len, got)) != sum(map(len, truth))
        ask(not missing, f"{name}: corners are missing. Where does the line meet the edges?")
        right = all(map(_same, got, truth))
        ask(right, f"{name}: new corners are off. How far along an edge is h zero, from -1 to 5?")
    ask(
        len(_parts(attempt, _SQUARE, _SQUARE @ [1.0, 2.0] - 1e-12)) == 2,
        "h is -1e-12 at one corner, and you do not cut. On which side of zero is it?",
    )
    parts = _parts(attempt, _exact(_SQUARE), _exact(_SQUARE @ [3.0, 3.0] - 1))
    ask(
        all(isinstance(number, Fraction) for part in parts for number in part.ravel()),
        "given fractions, your version returns floats. Which step turns a fraction into a float?",
    )


def area(polygon):
    x, y = polygon.T
    return (x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2


def _area_doubled(polygon):
    return 2 * area(polygon)


def _area_not_closed(polygon):
    x, y = polygon.T
    return (x[:-1] * y[1:] - x[1:] * y[:-1]).sum() / 2


def _area_clockwise(polygon):
    return area(polygon[::-1])


_SHAPE = np.array([[1.0, 1.0], [4.0, 0.0], [5.0, 3.0], [2.0, 5.0]])


@exercise(
    "16.2",
    solution=area,
    cases=[(_SHAPE,)],
    wrong={
        _area_doubled: "yours is twice too large. "
        "Is x_1 u_2 - u_1 x_2 the area of a triangle or a parallelogram?",
        _area_not_closed: "one edge is missing. What comes after the last corner?",
        _area_clockwise: "counter-clockwise corners should give a positive area. Which product comes first?",
    },
    otherwise=lambda got, truth, _: (
        f"a quadrilateral of area {truth:g} gets {got:g} from you. Does a unit square get 1?"
    ),
)
def check_16_2(attempt):
    ask(
        np.asarray(_returned(attempt, _exact(_SHAPE) / 3)).dtype.kind != "f",
        "the area of a polygon in fractions is not exact. Which step makes it a float?",
    )


exercise(
    "16.3",
    solution=16,
    wrong={
        37: "that many need lines in general position. How many points do these lines have in common?",
        256: "that is the number of codes on paper. Can x and -x be on the same side of any of these lines?",
        8: "walk once around the origin. How often do you cross each line?",
    },
    otherwise="draw two such lines, then three. How does the number grow?",
    why="All lines pass through 0, and going once around 0 one crosses each of the 8 lines twice: "
    "2 x 8 regions.",
)


def distance_to_border(polygon, x):
    edge, to_x = np.roll(polygon, -1, axis=0) - polygon, x - polygon
    twice_area = np.abs(edge[:, 0] * to_x[:, 1] - edge[:, 1] * to_x[:, 0])
    return (twice_area / np.linalg.norm(edge, axis=1)).min()


def _distance_to_corners(polygon, x):
    return np.linalg.norm(x - polygon, axis=1).min()


def _distance_not_divided(polygon, x):
    edge, to_x = np.roll(polygon, -1, axis=0) - polygon, x - polygon
    return np.abs(edge[:, 0] * to_x[:, 1] - edge[:, 1] * to_x[:, 0]).min()


def _distance_not_closed(polygon, x):
    return min(distance_to_border(polygon[i : i + 2], x) for i in range(len(polygon) - 1))


_TRAPEZOID = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 3.0], [0.0, 6.0]])
exercise(
    "16.5",
    solution=distance_to_border,
    cases=[
        (_TRAPEZOID, np.array([0.5, 2.5])),
        (_SQUARE, np.array([1.2, 1.9])),
        (_SQUARE[:3], np.array([1.5, 0.75])),
        (_SQUARE[:3], np.array([1.0, 0.9])),
    ],
    wrong={
        _distance_to_corners: "that is the distance to the nearest corner. "
        "Can the border be nearer in between?",
        _distance_not_divided: "an edge twice as long should not be twice as far away. What is missing?",
        _distance_not_closed: "one edge is missing, the one that closes the polygon. "
        "Which corners does it join?",
    },
    otherwise=lambda got, truth, polygon, x: (
        f"{x.tolist()} in the polygon {polygon.tolist()} is {truth:.3f} from its border, "
        f"you say {got:.3f}. How far is a point from a line?"
    ),
)


@exercise("16.6")
def check_16_6(attempt):
    def count(A, b, size=4):
        return int(call(attempt, np.array(A), np.array(b), (-size, size, -size, size), shape=()))

    outside = count([[1, 0], [1, 1]], [5, -9])
    ask(outside == 1, "lines outside of the rectangle count with you. Does every line cut it?")
    grid = count([[1, 0], [1, 0], [0, 1], [0, 1], [0, 1]], [0, 1, 2, 0, -1])
    ask(grid == 12, "two vertical and three horizontal lines go wrong. Which pairs of lines meet?")
    slope = np.arange(-3, 4)
    A, b = np.stack([2 * slope, -np.ones(7, int)], 1), -(slope**2)  # tangents of a parabola
    all_meet = count(A, b, size=20)
    ask(all_meet == 29, "seven lines, no three in one point, go wrong. What does each new line add?")
    here = count(A, b)
    ask(here == 23, "the same lines in a smaller rectangle go wrong. Do all pairs of them still meet inside?")
    star = np.array([[3, 0], [0, 3], [3, 3], [3, -3], [3, 6], [6, -3], [9, 3], [3, -9]])
    ask(
        count(star, -star.sum(1) // 3) == 16,
        "eight lines through the point (1/3, 1/3) go wrong. Where exactly do any two of them meet?",
    )
    multiples = count([*A, *-2 * A], [*b, *-2 * b])
    ask(multiples == here, "multiples of units change your count. Have they lines of their own?")
    ask(
        count([*A, [1, 0], [1, 1], [0, 0]], [*b, 4, -8, 5]) == here,
        "a line along the border, one that touches a corner and a unit without a line change your count. "
        "What do they cut?",
    )
    ask(
        count([[1, 0], [0, 1], [10**12, 10**12]], [0, 0, -1]) == 7,
        "the axes and the line x_1 + x_2 = 1e-12 go wrong. Which region is so small that rounding hides it?",
    )
    far = 10**9 + 7
    rays = np.array([[1, 0], [0, 1], [1, 1], [1, -1], [1, 2], [2, -1], [3, 1], [1, 3]])
    ask(
        count(3 * far * rays, -far * rays.sum(1), size=2) == 16,
        "the eight lines through (1/3, 1/3), multiplied by 10^9 + 7, go wrong. "
        "How large do your whole numbers get, and how exact are they?",
    )
    ask(
        count([[3 * 10**18, 10**18]] * 2, [1, 2], size=2) == 3,
        "two parallel lines, 1e-18 apart, count as one. From where on do you take two numbers for equal?",
    )
