"""Chapter 09, the partition."""

from fractions import Fraction

import numpy as np

from . import Wrong, call, exercise, value

SQUARE = np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0]])


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
        if (h[i] > 0 and h[j] < 0) or (h[i] < 0 and h[j] > 0):
            corner = polygon[i] + h[i] / (h[i] - h[j]) * (polygon[j] - polygon[i])
            below.append(corner)
            above.append(corner)
    return [np.array(below), np.array(above)]


def _cut_midpoints(polygon, h):
    return cut(polygon, np.sign(h))


def _cut_at_a_touch(polygon, h):
    touches = (h == 0).any() and len(cut(polygon, h)) == 1
    return [polygon[h <= 0], polygon[h >= 0]] if touches else cut(polygon, h)


def _cut_without_new_corners(polygon, h):
    return cut(polygon, h) if len(cut(polygon, h)) == 1 else [polygon[h <= 0], polygon[h >= 0]]


def _cut_clockwise(polygon, h):
    parts = cut(polygon, h)
    return parts if len(parts) == 1 else [parts[0], parts[1][::-1]]


def _cut_above_first(polygon, h):
    return cut(polygon, h)[::-1]


def _cut_to_floats(polygon, h):
    return [np.asarray(part, float) for part in cut(polygon, h)]


def _area(polygon):
    x, y = np.asarray(polygon, float).T
    return (x @ np.roll(y, -1) - np.roll(x, -1) @ y) / 2


def _same(polygon, other):
    """Whether two polygons have the same corners in the same order, wherever they begin."""
    if polygon.shape != other.shape:
        return False
    return any(np.allclose(np.roll(polygon, shift, 0), other, rtol=0, atol=1e-12) for shift in range(len(other)))


@exercise(
    "9.1",
    solution=cut,
    wrong=[_cut_midpoints, _cut_at_a_touch, _cut_without_new_corners, _cut_clockwise, _cut_above_first,
           _cut_to_floats],
)  # fmt: skip
def _(attempt):
    cases = {
        "x_1 + 2 x_2 - 1, which cuts off a corner": SQUARE @ [1.0, 2] - 1,
        "x_1 + 2 x_2 - 2, which runs through a corner": SQUARE @ [1.0, 2] - 2,
        "x_1 + 2 x_2 - 6, which only touches a corner": SQUARE @ [1.0, 2] - 6,
        "x_1 + x_2 + 1, which misses the square": SQUARE @ [1.0, 1] + 1,
    }
    for name, h in cases.items():
        got, truth = _parts(attempt, SQUARE, h), cut(SQUARE, h)
        if len(got) > len(truth):
            raise Wrong(f"h = {name}: you return {len(got)} parts. How much of the square lies on the far side?")
        if len(got) < len(truth):
            raise Wrong(f"h = {name}: you return {len(got)} part. Which signs do the corners have?")
        if all(map(_same, got, truth)):
            continue
        if len(got) == 2 and all(map(_same, got, truth[::-1])):
            raise Wrong("the part below, where h is negative, comes first. Did you swap the two?")
        if any(_same(part[::-1], side) for part, side in zip(got, truth, strict=True)):
            raise Wrong("the corners of one part run clockwise. In which order do you collect them?")
        if len(got[0]) + len(got[1]) == len(SQUARE) + (h == 0).sum():
            raise Wrong(f"h = {name}: no new corners appear. Where does the line meet the edges?")
        raise Wrong(f"h = {name}: the new corners are off. How far along an edge does h reach zero, "
                    "when it goes from -1 to 5 there?")  # fmt: skip
    third = np.vectorize(Fraction, otypes=[object])
    parts = _parts(attempt, third(SQUARE), third(SQUARE @ [3.0, 3]) - 1, numbers=False)
    if not all(isinstance(number, Fraction) for part in parts for number in part.ravel()):
        raise Wrong("given fractions, your version returns floats. Which step turns a fraction into a float?")


def _parts(attempt, polygon, h, numbers=True):
    """The parts as a list of arrays."""
    found = []

    def keep(polygon, h):
        found.append(attempt(polygon, h))
        return None if found[0] is None else 0

    call(keep if callable(attempt) else attempt, polygon, h)
    if not isinstance(found[0], (list, tuple)) or not 1 <= len(found[0]) <= 2:
        raise Wrong("a list of one or two polygons is expected. Does your version return one?")
    parts = [value(part) if numbers else np.asarray(part) for part in found[0]]
    if any(part.ndim != 2 or part.shape[1] != 2 for part in parts):
        raise Wrong("a polygon is an array with one corner a row. Which shape do your parts have?")
    return parts


def area(polygon):
    x, y = polygon.T
    return (x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2


def _area_doubled(polygon):
    return 2 * area(polygon)


def _area_not_closed(polygon):
    x, y = polygon.T
    return (x[:-1] * y[1:] - x[1:] * y[:-1]).sum() / 2


def _area_of_box(polygon):
    return np.prod(polygon.max(axis=0) - polygon.min(axis=0))


def _area_clockwise(polygon):
    return area(polygon[::-1])


@exercise("9.2", solution=area, wrong=[_area_doubled, _area_not_closed, _area_of_box, _area_clockwise])
def _(attempt):
    shape = np.array([[1.0, 1.0], [4.0, 0.0], [5.0, 3.0], [2.0, 5.0]])
    got, truth = float(call(attempt, shape, shape=())), area(shape)
    if np.isclose(got, -truth):
        raise Wrong("counter-clockwise corners should give a positive area. Which product comes first?")
    if np.isclose(got, 2 * truth):
        raise Wrong("yours is twice too large. Is x_1 y_2 - x_2 y_1 the area of a triangle or of a parallelogram?")
    if np.isclose(got, _area_not_closed(shape)):
        raise Wrong("one edge is missing. What comes after the last corner?")
    if np.isclose(got, _area_of_box(shape)):
        raise Wrong("that is the area of the box around it. What about the corners that the polygon leaves empty?")
    if not np.isclose(got, truth):
        raise Wrong(f"a quadrilateral of area {truth:g} gets {got:g} from you. Does a unit square get 1?")


@exercise(
    "9.3",
    solution=16,
    wrong=[37, 256, 8, 9, 15],
    why="Every line passes through 0, so going round the origin one crosses each of the 8 lines twice: 2 x 8 regions.",
)
def _(attempt):
    count = value(attempt, ())
    messages = {
        37: "that many regions need lines in general position. How many points do these lines have in common?",
        256: "that is the number of codes on paper. Can x and -x be on the same side of any of these lines?",
        8: "walk once around the origin. How often do you cross each line?",
        9: "that would be right for parallel lines. Which point do all of these lines share?",
    }
    if count != 16:
        raise Wrong(messages.get(int(count), "draw two such lines, then three. How does the number grow?"))


def distance_to_border(polygon, x):
    edge = np.roll(polygon, -1, axis=0) - polygon
    to_x = x - polygon
    return (np.abs(edge[:, 0] * to_x[:, 1] - edge[:, 1] * to_x[:, 0]) / np.linalg.norm(edge, axis=1)).min()


def _distance_to_corners(polygon, x):
    return np.linalg.norm(x - polygon, axis=1).min()


def _distance_not_divided(polygon, x):
    edge, to_x = np.roll(polygon, -1, axis=0) - polygon, x - polygon
    return np.abs(edge[:, 0] * to_x[:, 1] - edge[:, 1] * to_x[:, 0]).min()


def _distance_to_middles(polygon, x):
    return np.linalg.norm(x - (polygon + np.roll(polygon, -1, axis=0)) / 2, axis=1).min()


def _distance_not_closed(polygon, x):
    return min(distance_to_border(polygon[i : i + 2], x) for i in range(len(polygon) - 1))


@exercise(
    "9.5",
    solution=distance_to_border,
    wrong=[_distance_to_corners, _distance_not_divided, _distance_to_middles, _distance_not_closed],
)
def _(attempt):
    shape, x = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 3.0], [0.0, 6.0]]), np.array([0.5, 2.5])
    got, truth = float(call(attempt, shape, x, shape=())), distance_to_border(shape, x)
    for wrong, question in [
        (_distance_to_corners, "that is the distance to the nearest corner. Can the border be nearer in between?"),
        (_distance_not_divided, "an edge twice as long should not be twice as far away. What is missing?"),
        (_distance_to_middles, "that is the distance to the middle of an edge. Is it the nearest point of the edge?"),
        (_distance_not_closed, "one edge is missing, the one that closes the polygon. Which corners does it join?"),
    ]:
        if not np.isclose(truth, wrong(shape, x)) and np.isclose(got, wrong(shape, x)):
            raise Wrong(question)
    for corners, point in [(shape, x), (SQUARE, np.array([1.2, 1.9])), (SQUARE[:3], np.array([1.5, 0.75]))]:
        got, truth = float(call(attempt, corners, point, shape=())), distance_to_border(corners, point)
        if not np.isclose(got, truth):
            raise Wrong(f"the point {point.tolist()} in the polygon {corners.tolist()} is {truth:.3f} from its border, "
                        f"you say {got:.3f}. How far is a point from a line?")  # fmt: skip


@exercise("9.6")
def _(attempt):
    def count(A, b, bounds=(-3, 3, -3, 3)):
        return int(call(attempt, np.array(A), np.array(b), bounds, shape=()))

    if count([[1, 0], [1, 1]], [5, -9]) != 1:
        raise Wrong("lines outside of the rectangle change your count. Does every line of the plane cut it?")
    if count([[1, 0], [1, 0], [0, 1], [0, 1], [0, 1]], [0, 1, 2, 0, -1]) != 3 * 4:
        raise Wrong("two vertical and three horizontal lines go wrong. Which pairs of lines meet?")
    slopes = np.arange(-3, 4)
    tangents, at = np.stack([2 * slopes, -np.ones(7, int)], 1), -(slopes**2)  # of a parabola: no three in a point
    if count(tangents, at, (-20, 20, -20, 20)) != 1 + 7 + 21:
        raise Wrong("seven lines, any two of which meet inside, no three in one point, go wrong. "
                    "What does each new line add?")  # fmt: skip
    if count(tangents, at) == 1 + 7 + 21:
        raise Wrong("a smaller rectangle gets the same count. Do the lines still meet inside of it?")
    third = np.array([[3, 0], [0, 3], [3, 3], [3, -3], [3, 6], [6, -3], [9, 3], [3, -9]])  # through (1/3, 1/3)
    if count(third, -third.sum(1) // 3) != 2 * len(third):
        raise Wrong("eight lines through the point (1/3, 1/3) go wrong. Is the point where two of them meet "
                    "exactly on the third?")  # fmt: skip
    here = count(tangents, at)
    if count([*tangents, *-2 * tangents], [*at, *-2 * at]) != here:
        raise Wrong("multiples of the units change your count. Do they have lines of their own?")
    if count([*tangents, [1, 0], [1, 1], [0, 0]], [*at, 3, -6, 5]) != here:
        raise Wrong("a line along the border, one that touches a corner and a unit with slope zero change "
                    "your count. What do they cut?")  # fmt: skip
    huge = 10**12
    if count([[1, 0], [0, 1], [huge, huge]], [0, 0, -1]) != 7:
        raise Wrong("the axes and the line x_1 + x_2 = 1e-12 go wrong. Which triangle is so small that rounding "
                    "hides it?")  # fmt: skip
