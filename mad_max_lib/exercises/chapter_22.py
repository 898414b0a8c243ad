"""Chapter 22, from codes back to signals."""

from functools import partial

import numpy as np
from scipy.optimize import OptimizeResult

from . import ask, call, exercise, within


def _code_is_off(got, truth):
    first, second = got[0] + got[1], got[0] - got[1] - 1
    if abs(first - 2) > 1e-6:
        return f"at your point the first unit has the value {first:g}. Which value was sent?"
    if second > 1e-6:
        return "there the second unit is on. On which part of the line is it off?"
    return "the point has this code and these values. Is there a shorter one on the ray?"


exercise(
    "22.1",
    solution=[1, 1],
    wrong={
        (1.5, 0.5): "that is the end of the ray. "
        "Does the norm grow or shrink when you walk from there along the ray?",
        (0.5, -0.5): "the value of the first unit is 2. Which equation is that?",
    },
    equal=within(1e-6),
    otherwise=_code_is_off,
    why="The shortest point of the line x1 + x2 = 2 lies where the line through the origin along (1, 1) "
    "meets it. There u2 = 1 - 1 - 1 is negative, so the second unit is off, as its bit says.",
)


def least_norm(A, b, z):
    return np.linalg.pinv(A) @ (z - b)


def _transposed(A, b, z):
    return A.T @ (z - b)


def _no_offset(A, b, z):
    return np.linalg.pinv(A) @ z


def _offset_added(A, b, z):
    return np.linalg.pinv(A) @ (z + b)


def _coarse(A, b, z):
    return np.linalg.pinv(A, rcond=1e-3) @ (z - b)


def _image_is_off(got, truth, A, b, z):
    if len(A) == 9:
        return "nine rows whose rank is below D go wrong. Which inverse exists there?"
    if not np.allclose(A @ got + b, z, rtol=0, atol=1e-6):
        return "with your v, A v + b is not z. Which equation must v solve?"
    return (
        "your v solves the equations, but there is a shorter solution. "
        "Does yours have a part in the null space of A?"
    )


def _layers():
    """Layers with rows of zeros, with a row that mixes others, and with a part that is hardly passed on."""
    rng = np.random.default_rng(0)
    A, b, x = rng.normal(size=(6, 5)), rng.normal(size=6), rng.normal(size=5)
    A[[1, 3, 4]], b[[1, 3, 4]] = 0, 0
    yield A, b, A @ x + b
    for smallest in (1.0, 1e-4):
        A = (
            rng.normal(size=(9, 5))
            @ np.diag([1, 1, 1, smallest, 0])
            @ np.linalg.qr(rng.normal(size=(5, 5)))[0]
        )
        yield A, np.ones(9), A @ x + 1.0


exercise(
    "22.2",
    solution=least_norm,
    cases=list(_layers()),
    wrong={
        _transposed: "the transpose is the inverse only of an orthogonal matrix. Does your v give z again?",
        _no_offset: "your v is right for a layer without offset. What does this layer add to A v?",
        _offset_added: "with your v the layer gives z and twice the offset on top. "
        "On which side of the equation does b stand?",
        _coarse: "a part of v that A shrinks ten thousand times is lost, though z still holds it. "
        "Which singular values does your inverse count as zero?",
    },
    equal=within(1e-6),
    otherwise=_image_is_off,
)


def _tuple_of_lists(attempt, *case):
    """Ask about an answer of several parts if one of them is a list and no array."""

    def lists(*case):
        found = attempt(*case)
        return float(isinstance(found, tuple) and any(isinstance(part, list) for part in found))

    ask(
        not call(lists if callable(attempt) else attempt, *case),
        "as one of several arrays your version returns a list. Which call makes an array of it?",
    )


def half_spaces(A, c, bits):
    s = np.where(bits, 1.0, -1.0)
    return -s[:, None] * A, s * c


def _sign_forgotten(A, c, bits):
    return -A, c


def _other_side(A, c, bits):
    G, h = half_spaces(A, c, bits)
    return -G, -h


def _zeros_for_off(A, c, bits):
    return -1.0 * bits[:, None] * A, bits * c


def _on_first(A, c, bits):
    order = np.argsort(~bits, kind="stable")
    return half_spaces(A[order], c[order], bits[order])


def _same_sides(got, truth):
    """Whether the rows of G and h are the same half-spaces, of whatever length."""
    return within(1e-9)(*(_rows_of_length_one(np.column_stack(sides)) for sides in (got, truth)))


def _rows_of_length_one(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def _border_is_off(got, truth, A, c, bits):
    if not np.allclose(*(_rows_of_length_one(G) for G, _ in (got, truth)), equal_nan=True):
        return "row k should be the side of unit k. Which way does its normal point?"
    if np.allclose(got[1], truth[1], atol=1e-2):
        return "some borders are moved a little. Should a point on the border be left out?"
    return (
        "the normals are right, but some borders are in another place. "
        "To which side of <= does c go, and with which sign?"
    )


_rng = np.random.default_rng(1)
_A, _c, _BITS = _rng.normal(size=(6, 3)), _rng.normal(size=6), np.array([1, 0, 1, 0, 0, 1], bool)


@exercise(
    "22.3",
    solution=half_spaces,
    cases=[(_A, _c, _BITS), (_A * (_c > 0)[:, None], _c, _BITS)],  # also rows of zeros
    wrong={
        _sign_forgotten: "all rows are made as if every unit were on. Which way do the others point?",
        _other_side: "every point is on the wrong side of every row. "
        "Does a bit 1 mean A v + c at least 0, or at most?",
        _zeros_for_off: "the rows of the units that are off are zero. What does the bit 0 say about A v + c?",
        _on_first: "the sides are right, but row k should be the side of unit k. "
        "In which order do yours come?",
    },
    equal=_same_sides,
    otherwise=_border_is_off,
)
def check_22_3(attempt):
    _tuple_of_lists(attempt, _A, _c, _BITS)


def ball_program(G, h):
    M, D = G.shape
    sides = np.concatenate([G, np.eye(D), -np.eye(D)])
    lengths = np.linalg.norm(sides, axis=1)
    cost = np.append(np.zeros(D), -1.0)
    return cost, np.column_stack([sides, lengths]), np.concatenate([h, np.ones(D), np.zeros(D)])


def _column(G, h, change):
    cost, sides, limits = ball_program(G, h)
    sides[:, -1] = change(sides[:, -1])
    return cost, sides, limits


def _radius_small(G, h):
    cost, sides, limits = ball_program(G, h)
    return -cost, sides, limits


def _walls_only_for_the_centre(G, h):
    return _column(G, h, lambda lengths: np.where(np.arange(len(lengths)) < len(h), lengths, 0))


def _same_program(got, truth):
    """Whether cost and sides are the same, the sides in any order and all of whatever length."""
    one, other = (_rows_of_length_one(np.column_stack([sides, limits])) for _, sides, limits in (got, truth))
    alike = np.isclose(one[:, None], other).all(axis=2)
    aims = [_rows_of_length_one(cost) for cost, _, _ in (got, truth)]
    return np.allclose(*aims) and alike.any(axis=0).all() and alike.any(axis=1).all()


def _program_is_off(got, truth, G, h):
    if not np.allclose(*(_rows_of_length_one(cost) for cost, _, _ in (got, truth))):
        return "the cost should depend on the radius alone. Which entry of y is it?"
    one, other = (np.column_stack([sides, limits]) for _, sides, limits in (got, truth))

    def found(columns):
        """Which sides of the truth stand in the answer, when only these columns are compared."""
        rows = (_rows_of_length_one(sides[:, columns]) for sides in (one, other))
        return np.isclose(next(rows)[:, None], next(rows)).all(axis=2).any(axis=0)

    D, M = G.shape[1], len(h)
    everything = found(slice(None))
    if everything[:M].all() and everything[M:].all():
        return "all sides are there, and others too. Which rows of yours belong to no side?"
    if everything[:M].all():
        return (
            "the rows of G are right, but the walls of the box from 0 to 1 are not. "
            "What is the limit at each wall?"
        )
    wrong = "the walls are right, but" if everything[M:].all() else "some walls are wrong, and"
    if not found(slice(D))[:M].all():
        return f"{wrong} some rows of G are not there. What stands in front of v in such a row?"
    if found(slice(D + 1))[:M].all():
        return f"{wrong} some rows of G have another limit than the condition says. What is it there?"
    return f"{wrong} some rows of G are not those of a ball. Which number stands in front of rho there?"


_rng = np.random.default_rng(2)
_G = _rng.normal(size=(5, 3)) * np.array([[0.2], [1], [3], [0.5], [2]])
_h = _G @ np.full(3, 0.4) + np.linalg.norm(_G, axis=1) * _rng.uniform(0.3, 1, size=5)


@exercise(
    "22.4",
    solution=ball_program,
    cases=[(_G, _h)],
    wrong={
        _radius_small: "this makes the radius as small as it can be. Which cost falls when the radius grows?",
        _walls_only_for_the_centre: "the ball may stick out of the box. "
        "Do the walls hold only for the centre?",
        partial(_column, change=np.ones_like): "a row multiplied by 2 is the same side. "
        "Does the ball need the same room then, in your rows?",
        partial(_column, change=np.square): "the farthest point of the ball is v + rho g / |g|. "
        "What is its inner product with g?",
        partial(_column, change=np.negative): "in your rows a larger ball is allowed more room. "
        "Does it need more room at a side or less?",
    },
    equal=_same_program,
    otherwise=_program_is_off,
)
def check_22_4(attempt):
    _tuple_of_lists(attempt, _G, _h)


def _known_corner(rng, goal):
    """G, h and the point v with the smallest <goal, v>: a mix of active sides and walls balances goal."""
    D, M = 6, 12
    v, G = rng.uniform(0.2, 0.8, D), rng.normal(size=(M, D))
    v[:2] = goal[:2] < 0  # at a wall that stops the way down
    push = np.append(rng.uniform(0.5, 1, D - 3), 1.0)
    G[D - 3] = -push[:-1] @ G[: D - 3] - goal / D
    G[D - 3, :2] = -push[:-1] @ G[: D - 3, :2]
    return G, G @ v + np.where(np.arange(M) < D - 2, 0, rng.uniform(0.2, 1, M)), v


@exercise("22.5")
def check_22_5(attempt):
    def ends(G, h):
        """The answer, with infinity where `linprog` found no point, minus infinity for its whole report."""
        try:
            found = attempt(G, h)
        except (TypeError, AttributeError) as error:
            if "NoneType" not in str(error):
                raise
            return [np.full(6, np.inf)] * 2
        if isinstance(found, OptimizeResult):
            return [np.full(6, -np.inf)] * 2
        if not isinstance(found, (list, tuple)):
            return found
        odd = {type(None): np.full(6, np.inf), OptimizeResult: np.full(6, -np.inf)}
        return [odd.get(type(end), end) for end in found]

    rng = np.random.default_rng(4)
    for which, goal in [(0, np.ones(6)), (1, -np.ones(6))] * 5:
        G, h, best = _known_corner(rng, goal)
        shapes = dict(shape=[(6,), (6,)], like=(best, best))
        points = np.array(call(ends if callable(attempt) else attempt, G, h, **shapes))
        whole = "`linprog` returns a whole report. Which part of it is the point?"
        ask(not np.isneginf(points).any(), whole)
        end = "`linprog` finds no end, and its x is None. Which bounds has each entry?"
        ask(np.isfinite(points).all(), end)
        in_box = (points >= -1e-6).all() and (points <= 1 + 1e-6).all()
        ask(in_box, "an entry of your points is below 0 or above 1. Which values can a pixel have?")
        inside = (points @ G.T <= h + 1e-6).all()
        ask(inside, "a point violates a row of G v <= h. Is it in the polytope, or only in the box?")
        ordered = points[0].mean() <= points[1].mean() + 1e-6
        ask(ordered, "the first point has more ink than the second. In which order do they come?")
        ask(
            abs(points[which].mean() - best.mean()) <= 1e-6,
            f"there is a point in the polytope with {('less', 'more')[which]} ink than yours. "
            "Did you search all of it?",
        )
