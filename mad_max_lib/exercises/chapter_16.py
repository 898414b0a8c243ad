"""Chapter 16, the exact partition."""

from fractions import Fraction

import numpy as np

from . import ask, call, exercise

_SQUARE = np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0]])
_SHAPE = np.array([[1.0, 1.0], [4.0, 0.0], [5.0, 3.0], [2.0, 5.0]])
_ANGLES = 2 * np.pi * np.arange(7) / 7
_SEVEN = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)
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


def _cut_where(opposite):
    """As cut, with another test for an edge that gets a new corner."""

    def attempt(polygon, h):
        if (h >= 0).all() or (h <= 0).all():
            return [polygon]
        parts = [], []
        for i in range(len(polygon)):
            j = (i + 1) % len(polygon)
            for part, inside in zip(parts, (h[i] <= 0, h[i] >= 0), strict=True):
                part.extend([polygon[i]] if inside else [])
                if opposite(h[i], h[j]):
                    part.append(polygon[i] + h[i] / (h[i] - h[j]) * (polygon[j] - polygon[i]))
        return [np.array(part) for part in parts]

    return attempt


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
        lambda polygon, h: cut(polygon, np.where(abs(h) < 1e-13, 0 * h, h)),
        _cut_where(lambda one, other: one * other <= 0),  # old corners come twice
        _cut_where(lambda one, other: one * other < 0),  # a tiny product becomes 0
        lambda polygon, h: [list(part) for part in cut(polygon, h)],
        lambda polygon, h: cut(polygon, h) if len(polygon) == 4 else [polygon],
        lambda polygon, h: np.concatenate(cut(polygon, h)),
    ],
)
def check_16_1(attempt):
    places = {-1: "cuts off a corner", -2: "runs through a corner", -6: "only touches", 1: "misses"}
    for offset, what in places.items():
        sign = "-" if offset < 0 else "+"
        h, name = _SQUARE @ [1.0, 2.0] + offset, f"h = x_1 + 2 x_2 {sign} {abs(offset)} {what}"
        got, truth = _parts(attempt, _SQUARE, h), cut(_SQUARE, h)
        ask(len(got) <= len(truth), f"{name}, and you cut. Which corners have h > 0, and which h < 0?")
        ask(len(got) >= len(truth), f"{name}, and you do not cut. Which signs do the other corners have?")
        swapped = len(got) == 2 and all(map(_same, got, truth[::-1]))
        ask(not swapped, "h should be at most 0 in the first part. Which part is first in yours?")
        back = [_same(part[::-1], side) > _same(part, side) for part, side in zip(got, truth, strict=True)]
        ask(not any(back), "the corners of one part run clockwise. In which order do you collect them?")
        more = sum(map(len, got)) - sum(map(len, truth))
        ask(
            more <= 0,
            f"{name}: your parts have more corners than needed. "
            "Which edges have values of opposite sign at their ends?",
        )
        ask(more == 0, f"{name}: corners are missing. Where does the line meet the edges?")
        right = all(map(_same, got, truth))
        ask(right, f"{name}: new corners are off. How far along an edge is h zero that goes from 3 to -1?")
    for polygon, normal, offset, what in [
        (_SQUARE, [1.0, -1.0], 0.0, "the diagonal cuts the square"),
        (_SHAPE[:3], [1.0, 1.0], -5.0, "a line cuts a triangle"),
        (_SEVEN, [1.0, 0.0], -0.2, "a line cuts a polygon with seven corners"),
    ]:
        h = polygon @ np.array(normal) + offset
        got, truth = _parts(attempt, polygon, h), cut(polygon, h)
        ask(
            len(got) == len(truth) and all(map(_same, got, truth)),
            f"{what}, with h = {h.round(2).tolist()} at its corners, and your parts are others. "
            "Which edges get a new corner, and where?",
        )
    for tiny in (1e-12, 1e-100):
        ask(
            len(_parts(attempt, _SQUARE, _SQUARE @ [1.0, 2.0] - tiny)) == 2,
            f"h is {-tiny} at one corner, and you do not cut. On which side of zero is it?",
        )
    h = (_SQUARE @ [1.0, 2.0] - 1) * 1e-200
    got, truth = _parts(attempt, _SQUARE, h), cut(_SQUARE, h)
    ask(
        len(got) == len(truth) and all(map(_same, got, truth)),
        "with values of h near 1e-200 your parts are others. "
        "Do you multiply two of them, or compare them with a small number?",
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


def _area_of_sizes(polygon):
    x, y = polygon.T
    return abs(x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2


@exercise(
    "16.2",
    solution=area,
    cases=[(_SHAPE,), (_SEVEN,), (_SHAPE[:3],)],
    wrong={
        _area_doubled: "yours is twice too large. "
        "Is x_1 u_2 - u_1 x_2 the area of a triangle or a parallelogram?",
        _area_not_closed: "one edge is missing. What comes after the last corner?",
        _area_of_sizes: "all your triangles count as positive. "
        "Which triangles lie outside a polygon that does not contain the origin?",
        _area_clockwise: "counter-clockwise corners should give a positive area. Which product comes first?",
    },
    otherwise=lambda got, truth, _: (
        f"a polygon of area {truth:g} gets {got:g} from you. "
        "Does the square with the corners (1, 1), (2, 1), (2, 2), (1, 2) get 1?"
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
        9: "that would be right if no two of these lines met. Where do yours meet?",
        256: "that is the number of codes on paper. Can x and -x be on the same side of any of these lines?",
        8: "walk once around the origin. How often do you cross each line?",
    },
    otherwise="draw two such lines, then three. How does the number grow?",
    why="All lines pass through 0, and going once around 0 one crosses each of the 8 lines twice: "
    "2 x 8 regions.",
)


def _first_wrong_height(got, truth):
    x, y = next(
        (x, y) for x, y, right in zip((-2, 0, 2), got, truth, strict=True) if not abs(y - right) <= 1e-9
    )
    return f"at ({x}, {y:g}) u is {max(x, 0) - 2 * max(y, 0) + 1:g}. For which x_2 is it zero?"


@exercise(
    "16.4",
    solution=[0.5, 0.5, 1.5],
    wrong={
        (-0.5, 0.5, 1.5): "your line is straight. What does layer 1 make of a negative x_1?",
        (1.5, 0.5, 0.5): "those are three heights of the line. Which of them belongs to x_1 = -2?",
        (1.5, 0.5, 1.5): "at x_1 = -2 you find the same as at x_1 = 2. What is z_1 at x_1 = -2?",
        (1.0, 1.0, 3.0): "at your heights u is not zero. By what is x_2 multiplied in u?",
        (-0.5, -0.5, -1.5): "at your heights x_2 is negative. What is z_2 there, and can u be zero?",
        (0.5, 0.5, -0.5): "your line comes down on the right. Does u grow or fall there as x_1 grows, "
        "and what must x_2 do?",
    },
    otherwise=_first_wrong_height,
    why="Where x_2 is positive z_2 = x_2, so x_2 = (z_1 + 1) / 2, with z_1 = 0, 0 and 2. Where x_2 is "
    "negative, u = z_1 + 1 is positive. So the line is level on the left of x_1 = 0 and rises on the right.",
)
def check_16_4(attempt):
    listed = list(attempt) if isinstance(attempt, (list, tuple)) else []
    fractions = any(isinstance(height, Fraction) for height in listed)
    ask(not fractions, "your heights are fractions. What are they as floats, such as 0.25?")


def largest_output(regions, w, b):
    return max(((polygon @ A.T + c) @ w).max() for polygon, A, c, _ in regions) + b


def _largest_in_the_middle(regions, w, b):
    return max((polygon.mean(axis=0) @ A.T + c) @ w for polygon, A, c, _ in regions) + b


def _largest_without_c(regions, w, b):
    return max((polygon @ A.T @ w).max() for polygon, A, *_ in regions) + b


def _largest_without_b(regions, w, b):
    return largest_output(regions, w, 0.0)


def _largest_from_zero(regions, w, b):
    return max(0.0, largest_output(regions, w, b))


def _largest_in_size(regions, w, b):
    return max(np.abs((polygon @ A.T + c) @ w + b).max() for polygon, A, c, _ in regions)


def _smallest(regions, w, b):
    return -largest_output(regions, -w, -b)


def _largest_of_the_first(regions, w, b):
    return largest_output(regions[:1], w, b)


def _largest_of_the_last(regions, w, b):
    return largest_output(regions[-1:], w, b)


def _largest_of_all_but_the_last(regions, w, b):
    return largest_output(regions[: max(1, len(regions) - 1)], w, b)


def _largest_of_every_unit(regions, w, b):
    return max((polygon @ A.T + c).max(axis=0) @ w for polygon, A, c, _ in regions) + b


def _layer_regions(W, b):
    """The regions of one layer in the square from 0 to 2."""
    parts = [_SQUARE]
    for w, offset in zip(W, b, strict=True):
        parts = [piece for part in parts for piece in cut(part, part @ w + offset)]
    gates = [W @ part.mean(axis=0) + b > 0 for part in parts]
    return [
        (part, gate[:, None] * W, gate * b, tuple(gate.tolist()))
        for part, gate in zip(parts, gates, strict=True)
    ]


_LAYER = _layer_regions(np.array([[1.0, 2.0], [1.0, 0.0], [0.0, 1.0]]), np.array([-1.0, -1.5, 0.5]))
exercise(
    "16.5",
    solution=largest_output,
    cases=[
        (_LAYER, np.array([1.0, 1.0, 0.5]), 0.25),
        (_LAYER, np.array([-1.0, 1.0, 0.5]), 0.25),
        (_LAYER, np.array([-1.0, -2.0, -1.0]), 0.5),
        (_LAYER[::-1], np.array([1.0, -1.0, 0.5]), -1.0),
        (_LAYER[:1], np.array([0.0, 1.0, -3.0]), 0.0),
    ],
    wrong={
        _largest_in_the_middle: "yours is too small. Is the middle of a polygon where "
        "an affine function is largest?",
        _largest_without_c: "a region's map has two parts, and one does not count in yours. Which?",
        _largest_without_b: "the hidden layer's part is right, and something is still missing. "
        "Which number does an output add at the end?",
        _largest_from_zero: "where all outputs are negative you return zero. "
        "What does your search begin with?",
        _largest_in_size: "an output of -5 counts as larger than one of 2 with you. What is asked for?",
        _smallest: "that is the smallest output. Which end is asked for?",
        _largest_of_the_first: "that is right on the first region. What about the others?",
        _largest_of_the_last: "that is right on the last region. What about the others?",
        _largest_of_all_but_the_last: "one region does not count in yours. Where does your loop end?",
        _largest_of_every_unit: "you take the largest value of each unit by itself. "
        "Are all units largest at the same corner?",
    },
    otherwise=lambda got, truth, regions, w, b: (
        f"on {len(regions)} region{'s' * (len(regions) > 1)}, with w = {w.tolist()} and b = {b:g}, "
        f"you find {got:.3f}. "
        "What is the output at each corner of the first polygon?"
    ),
)


@exercise("16.6")
def check_16_6(attempt):
    def count(A, b, size=4):
        got = call(attempt, np.array(A), np.array(b), (-size, size, -size, size), shape=())
        ask(got >= 1 and got == int(got), f"your count is {got}. Which numbers can a number of regions be?")
        return int(got)

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
    got = int(call(attempt, A, b, (-1, 5, -2, 1), shape=()))
    ask(got == 12, "the same lines in the rectangle (-1, 5, -2, 1) go wrong. Which side is where?")
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
        "two parallel lines, less than 1e-18 apart, count as one. "
        "From where on do you take two numbers for equal?",
    )
    for A, b, bounds, truth, question in [
        (
            [
                [-92242767132, 184485534265],
                [-276728301399, -184485534267],
                [184485534267, -276728301399],
                [-276728301398, 184485534265],
            ],
            [0, 0, -276728301399, -276728301399],
            (-4, 4, -4, 5),
            10,
            "four lines with weights above 10^10 go wrong. Which numbers do you multiply, and of what type "
            "are they?",
        ),
        (
            [[4 * 10**18] * 2],
            [-1],
            (1, 3, 1, 3),
            1,
            "the line x_1 + x_2 = 2.5e-19 misses the rectangle (1, 3, 1, 3), and you go wrong there. "
            "How large do the values at its corners get?",
        ),
        (
            [[2**55 + 1, 2**55], [2**55, 2**55 + 1], [1, 1]],
            [-1, -1, 0],
            (-2, 2, -2, 2),
            7,
            "weights such as 2^55 and 2^55 + 1 go wrong. Which of your numbers cannot tell these two apart?",
        ),
        (
            [[1, 0], [0, 1], [1, 1]],
            [-(10**17) - 1, -(10**17) - 1, -2 * 10**17 - 1],
            (0, 10**17 + 3, 0, 10**17 + 3),
            7,
            "a rectangle whose sides are 10^17 + 3 goes wrong. In which kind of number do you keep its ends?",
        ),
    ]:
        got = int(call(attempt, np.array(A), np.array(b), bounds, shape=()))
        ask(got == truth, question)
