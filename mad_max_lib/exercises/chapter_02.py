"""Chapter 02, fitting a max-affine spline."""

import numpy as np
from scipy.optimize import nnls

from . import ask, call, exercise, within

exercise(
    "2.1",
    solution=np.array([0, 0, 1, 1, 2, 2]),
    wrong={
        (
            0,
            1,
            0,
            2,
            1,
            2,
        ): "these are the lines closest to the points. Which one gives the spline its value?",
        (2, 2, 2, 0, 0, 0): "these lines are the lowest. Which line wins in a maximum?",
        (
            1,
            1,
            2,
            2,
            3,
            3,
        ): "you count the lines from 1. Which number has the first line here?",
    },
    otherwise=lambda got, truth: (
        f"at u = {(u := int(np.argmax(got != truth)))} the three lines have heights {4 - 2 * u}, 1 "
        f"and {2 * u - 6}. Which of them is highest there?"
    ),
    why="The heights of lines 0, 1, 2 are 4, 1, -6 at u = 0, then 2, 1, -4; 0, 1, -2; -2, 1, 0; -4, 1, 2; "
    "-6, 1, 4. The heights of the points play no part.",
)


def refit(u, y, codes, R):
    a, b = np.zeros(R), np.full(R, -np.inf)
    for r in range(R):
        own = codes == r
        if own.sum() >= 2:
            a[r], b[r] = np.polyfit(u[own], y[own], deg=1)
    return a, b


def _refit_through_zero(u, y, codes, R):
    (a, b), own = refit(u, y, codes, R), codes == np.arange(R)[:, None]
    return np.where(b > -np.inf, own @ (u * y) / (own @ u**2), a), np.where(b > -np.inf, 0.0, b)


def _refit_all_points(u, y, codes, R):
    line = np.polyfit(u, y, deg=1)
    return np.full(R, line[0]), np.full(R, line[1])


def _refit_empty_is_zero(u, y, codes, R):
    a, b = refit(u, y, codes, R)
    return a, np.where(b > -np.inf, b, 0.0)


def _refit_swapped(u, y, codes, R):
    return refit(u, y, codes, R)[::-1]


def _refit_single_point(u, y, codes, R):
    a, b = refit(u, y, codes, R)
    for r in range(R):
        if (codes == r).sum() == 1:
            b[r] = y[codes == r][0]
    return a, b


def _refit_counts_the_codes(u, y, codes, R):
    return refit(u, y, codes, codes.max() + 1)


def _which_line(got, truth, u, y, codes, R):
    r = int(np.argmin(np.isclose(got[0], truth[0]) & np.isclose(got[1], truth[1])))
    N, line = (codes == r).sum(), f"has slope {got[0][r]:.4g} and offset {got[1][r]:.4g}"
    if N < 2:
        return f"{N} of the points have code {r}, and your line {r} {line}. What was asked for here?"
    return f"the {N} points of code {r} lie on a line, and yours {line}. Does it go through them?"


_rng = np.random.default_rng(1)
_u = np.sort(_rng.uniform(0.5, 3, 40))
_codes = np.repeat([0, 2, 3, 4, 5], [15, 15, 7, 2, 1])  # line 1 has no point, line 5 has one
_y = np.array([1.0, 0, -2, 0.5, 3, 0])[_codes] * _u + np.array([0.0, 0, 4, 1, 2, 7])[_codes]
_six = _u, _y, _codes
FEWER_LINES = (
    "R = 7 is given, and the last line has no point; you return 6 lines. "
    "From where does your version take their number?"
)


@exercise(
    "2.2",
    solution=refit,
    cases=[(*_six, 6), (*_six, 7)],
    wrong={
        _refit_through_zero: "points that lie exactly on a line are missed by your line 2. "
        "May its offset be anything?",
        _refit_all_points: "all your lines are the same. Which points should line r be fitted to?",
        _refit_empty_is_zero: "line 1 has no point, yet its offset is 0, so it may win somewhere. "
        "Which offset lets it never win?",
        _refit_swapped: "slopes come first, then offsets. In which order do you return them?",
        _refit_single_point: "line 5 has a single point. How many points does a line need?",
        _refit_counts_the_codes: FEWER_LINES,
    },
    otherwise=_which_line,
)
def check_2_2(attempt):
    a, _ = call(attempt, *_six, 7, shape=[None, None], may_be_nan=True)
    ask(a.shape != (6,), FEWER_LINES)


def fit_even(u, y, R):
    knots = np.linspace(u.min(), u.max(), R + 1)
    hats = np.column_stack([np.interp(u, knots, row) for row in np.eye(R + 1)])
    return hats @ np.linalg.lstsq(hats, y, rcond=None)[0]


def _even_interpolated(u, y, R):
    order = np.argsort(u)
    knots = np.linspace(u.min(), u.max(), R + 1)
    return np.interp(u, knots, np.interp(knots, u[order], y[order]))


def _even_knots_are_pieces(u, y, R):
    return fit_even(u, y, R - 1) if R > 1 else np.full(len(u), y.mean())


def _fit_on(knots, u, y):
    hats = np.column_stack([np.interp(u, knots, row) for row in np.eye(len(knots))])
    return hats @ np.linalg.lstsq(hats, y, rcond=None)[0]


def _even_in_number_of_points(u, y, R):
    return _fit_on(np.quantile(u, np.linspace(0, 1, R + 1)), u, y)


def _even_between(first, last):
    return lambda u, y, R: _fit_on(np.linspace(first(u), last(u), R + 1), u, y)


def _even_without_joints(u, y, R):
    knots = np.linspace(u.min(), u.max(), R + 1)
    codes = np.clip(np.searchsorted(knots, u, side="right") - 1, 0, R - 1)
    a, b = refit(u, y, codes, R)
    return a[codes] * u + b[codes]


_rng = np.random.default_rng(3)
_u = _rng.permutation(np.sort(_rng.uniform(0, 1, 60) ** 2))
_y = np.sin(5 * _u) + 0.3 * _rng.normal(size=60)
exercise(
    "2.3",
    solution=fit_even,
    cases=[(_u, _y, 4), (_u, _y, 1)],
    wrong={
        _even_interpolated: "your heights at the knots are those of the data there. "
        "Do all other points have a say in them?",
        _even_knots_are_pieces: "your fit has one segment less than was asked for. "
        "How many knots bound a single segment?",
        _even_in_number_of_points: "your knots have equally many points between them. "
        "Are they equally far apart?",
        _even_between(lambda u: u[0], lambda u: u[-1]): "your knots run from u[0] to u[-1]. "
        "In which order do the points come?",
        _even_between(lambda u: -1.0, lambda u: 1.0): "your knots run from -1 to 1. "
        "Between which places do the points lie here?",
        _even_between(lambda u: 0.0, lambda u: 1.0): "your knots run from 0 to 1. "
        "At which places do the first and the last point lie?",
        _even_without_joints: "your segments are fitted one by one. Do neighbours meet at the knot?",
    },
    otherwise=lambda got, truth, u, y, R: (
        f"with R = {R} your sum of squares is {((got - y) ** 2).sum():.4g}, that of the best spline "
        f"{((truth - y) ** 2).sum():.4g}. Where are your knots, and which unknowns do you solve for?"
    ),
    equal=within(1e-7),
)


@exercise("2.4")
def check_2_4(attempt):
    rng = np.random.default_rng(5)

    def best(u, y, R):
        return float(call(attempt, u, y, R, shape=(), may_be_nan=True))

    u, y = np.sort(rng.uniform(-2, 2, 12)), rng.normal(size=12)
    line = np.polyfit(u, y, deg=1)
    alone = ((np.polyval(line, u) - y) ** 2).sum()
    one = best(u, y, 1)
    ask(
        not np.isclose(one, alone / 12) and not np.isclose(one, np.sqrt(alone / 12)),
        "one group of twelve points is given a mean. Is a sum asked for or a mean?",
    )
    ask(
        not np.isclose(one, ((y - y.mean()) ** 2).sum()),
        "one group is measured to a level line. Which slope may a group's line have?",
    )
    ask(
        np.isclose(one, alone),
        f"one group of twelve points has {one:.4g}. How good is one line there?",
    )

    three, heights = np.arange(3.0), np.array([0.0, 0, 5])
    lone = best(three, heights, 2)
    ask(
        np.isclose(lone, 0),
        f"three points with heights 0, 0 and 5 in at most two groups: you return {lone:.4g}. "
        "How many points must a group have at least?",
    )
    few = best(three[:2], heights[:2], 3)
    ask(
        np.isclose(few, 0),
        f"two points in at most three groups: you return {few:.4g}. Must all groups be used?",
    )

    places = np.arange(18.0)  # a steep side, a long level bottom, a steep side
    apart = np.maximum(np.abs(places - 8) - 3.5, 0) * 4 + (places > 11) + 2.0
    three = best(places, apart, 3)
    ask(
        three < 1e-8,
        f"18 points lie on three lines, in groups of neighbours, and your sum of squares is {three:.4g}. "
        "Which sizes may the groups have?",
    )

    values = [best(u, y, R) for R in (1, 2, 3, 4)]
    for R in (2, 3, 4):  # the last group begins at some point k; what is before it is split into R - 1
        ways = [values[R - 2]]
        for k in range(1, 11):
            after = ((np.polyval(np.polyfit(u[k:], y[k:], deg=1), u[k:]) - y[k:]) ** 2).sum()
            ways.append(after + (best(u[:k], y[:k], R - 1) if k > 2 else 0))
        ask(
            values[R - 1] < min(ways) + 1e-8,
            f"for twelve random points and R = {R} there is a split with {min(ways):.4f}, and yours has "
            f"{values[R - 1]:.4f}. Which splits did you try?",
        )
        ask(
            values[R - 1] > min(ways) - 1e-8,
            f"for twelve random points and R = {R} you return {values[R - 1]:.4f}, less than any split. "
            "Are all groups made of neighbours, and is each point counted once?",
        )
    u, y = np.sort(rng.uniform(-2, 2, 24)), rng.normal(size=24)
    there, back = best(u, y, 4), best(-u[::-1], y[::-1], 4)
    ask(
        np.isclose(there, back),
        f"24 points give {there:.4f}, and their mirror image {back:.4f}. Should the direction matter?",
    )


def best_rising(u, y):
    line = np.column_stack([np.ones_like(u), -np.ones_like(u), u])
    hinges = np.maximum(u[:, None] - u[1:-1], 0)
    columns = np.column_stack([line, hinges])
    weights, _ = nnls(columns, y, maxiter=10_000)
    return columns @ weights


def _rising_convex_alone(u, y):
    columns = np.column_stack([np.ones_like(u), -np.ones_like(u), u, -u, np.maximum(u[:, None] - u[1:-1], 0)])
    return columns @ nnls(columns, y, maxiter=10_000)[0]


def _rising_above_zero(u, y):
    columns = np.column_stack([np.ones_like(u), u, np.maximum(u[:, None] - u[1:-1], 0)])
    return columns @ nnls(columns, y, maxiter=10_000)[0]


def _rising_by_force(u, y):
    return np.maximum.accumulate(_rising_convex_alone(u, y))


def _rising_flat_start(u, y):
    columns = np.column_stack([np.ones_like(u), -np.ones_like(u), np.maximum(u[:, None] - u[1:-1], 0)])
    return columns @ nnls(columns, y, maxiter=10_000)[0]


def _what_is_wrong_with_the_rise(got, truth, u, y):
    slopes = np.diff(got) / np.diff(u)
    if slopes.min() < -1e-6:
        return f"your function falls somewhere, with slope {slopes.min():.3g}. What should forbid this?"
    if np.diff(slopes).min() < -1e-6:
        return "your function bends downwards somewhere. Which weights must not be negative?"
    return (
        f"your function is convex and rises, with RMS error {np.sqrt(np.mean((got - y) ** 2)):.4f}; "
        f"{np.sqrt(np.mean((truth - y) ** 2)):.4f} is possible. Is something forbidden that is allowed?"
    )


_rng = np.random.default_rng(6)
_u = np.sort(_rng.uniform(-1, 2, 30))
exercise(
    "2.5",
    solution=best_rising,
    cases=[
        (_u, (_u - 0.5) ** 2 - 1 + 0.1 * _rng.normal(size=30)),
        (_u, np.exp(_u) - 4 + 0.1 * _rng.normal(size=30)),
        (_u, np.cos(3 * _u)),
    ],
    wrong={
        _rising_convex_alone: "your function is the best convex one and falls at first. "
        "Which column lets its slope be negative?",
        _rising_above_zero: "your function has no negative values where the points do. "
        "Which column could lower all of them?",
        _rising_by_force: "you fit first and level the falling part afterwards. "
        "Is the fit still the best one among those that rise?",
        _rising_flat_start: "your function always begins level. May it rise from the first point on?",
    },
    otherwise=_what_is_wrong_with_the_rise,
    equal=within(1e-6),
)
