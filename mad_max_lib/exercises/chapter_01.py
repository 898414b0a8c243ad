"""Chapter 01, max-affine splines."""

import numpy as np

from . import Wrong, call, exercise, value


@exercise(
    "1.1",
    solution=np.array([1.0, 3.0]),
    wrong=[np.array([-1.0, -1.0]), np.array([1.0, 1.0]), np.array([3.0, 1.0])],
    why="2u + 1 = -u + 4 gives 3u = 3, so u = 1, and both pieces are 3 there.",
)
def _(attempt):
    u, height = value(attempt, (2,))
    if (u, height) == (3.0, 1.0):
        raise Wrong("which of the two numbers is the place and which the height?")
    if 3 * u == -3:
        raise Wrong("when a term changes sides, what happens to its sign?")
    if u != 1:
        raise Wrong(f"at u = {u:g} the pieces are {2 * u + 1:g} and {4 - u:g}. Are they equal?")
    if height != 3:
        raise Wrong("the place is right. How high is either piece there?")


def tangents(f, slope, u):
    a = slope(u)
    return a, f(u) - a * u


def _tangents_height_as_offset(f, slope, u):
    return slope(u), f(u)


def _tangents_sign(f, slope, u):
    return slope(u), f(u) + slope(u) * u


def _chords(f, slope, u):
    a = np.diff(f(u), append=f(u[-1] + 1)) / np.diff(u, append=u[-1] + 1)
    return a, f(u) - a * u


def _tangents_f_as_slope(f, slope, u):
    return f(u), f(u) - f(u) * u


@exercise("1.3", solution=tangents, wrong=[_tangents_height_as_offset, _tangents_sign, _chords, _tangents_f_as_slope])
def _(attempt):
    u = np.array([-2.0, -0.5, 0.25, 1.5])

    def f(v):
        return np.exp(2 * v)

    def slope(v):
        return 2 * np.exp(2 * v)

    a, b = call(attempt, f, slope, u, shape=[(4,), (4,)])
    if np.allclose(a, f(u)):
        raise Wrong("your slopes are the heights of f. Which of the two functions holds its slope?")
    if np.allclose(a, slope(u)) and np.allclose(b, f(u)):
        raise Wrong("you used the height f(u) as the offset. Where does a line with that offset cross u = 0?")
    if not np.allclose(a, slope(u)):
        raise Wrong("the slopes are not those of f at the given points. How steep is a tangent?")
    if not np.allclose(a * u + b, f(u)):
        raise Wrong(f"your first line has height {a[0] * u[0] + b[0]:.3f} where it should touch f at "
                    f"{f(u[0]):.3f}. What must the offset be so that they meet?")  # fmt: skip


def visible(a, b):
    seen = []
    for r in np.lexsort((-np.arange(len(a)), b, a)):  # by slope, then offset; of equal lines the lowest last
        if seen and a[seen[-1]] == a[r]:
            seen.pop()  # of one slope only the last, the highest, can be seen
        while len(seen) > 1:
            p, q = seen[-2], seen[-1]
            q_overtakes_p = (b[p] - b[q]) / (a[q] - a[p])
            r_overtakes_q = (b[q] - b[r]) / (a[r] - a[q])
            if q_overtakes_p < r_overtakes_q:
                break
            seen.pop()  # q is overtaken before it comes to the top
        seen.append(r)
    return np.array(seen)


def _visible_on_a_grid(a, b):
    u = np.arange(-50, 51)
    return np.unique((u[:, None] * a + b).argmax(1))


def _all_slopes(a, b):
    return np.arange(len(a))


def _no_parallels(a, b):
    return np.array([r for r in visible(a + 1e-9 * np.arange(len(a)), b)])


def _touching(a, b):
    """Within a tolerance: also lines that meet the others at one point only."""
    lines = np.arange(len(a))
    return np.array([r for r in lines if r in visible(a, b + 1e-9 * (lines == r))])


def _repeated(a, b):
    return np.concatenate([visible(a, b), visible(a, b)[:1]])


def _one_pop(a, b):
    seen = []
    for r in np.lexsort((-np.arange(len(a)), b, a)):
        if seen and a[seen[-1]] == a[r]:
            seen.pop()
        if len(seen) > 1:
            p, q = seen[-2], seen[-1]
            if (b[p] - b[q]) / (a[q] - a[p]) >= (b[q] - b[r]) / (a[r] - a[q]):
                seen.pop()
        seen.append(r)
    return np.array(seen)


def _positive_part(a, b):
    u = np.geomspace(1e-4, 1e4, 20001)
    codes = (u[:, None] * a + b).argmax(1)
    return codes[np.sort(np.unique(codes, return_index=True)[1])]


@exercise(
    "1.2",
    solution=visible,
    wrong=[
        _visible_on_a_grid, _all_slopes, _positive_part, _no_parallels, _touching, _repeated, _one_pop,
    ],
)  # fmt: skip
def _(attempt):
    a, b = np.array([-1.0, 0.0, 1.0]), np.array([0.0, -1.0, 0.0])
    first = call(attempt, a, b)
    if set(first) == {0, 1, 2}:
        raise Wrong("of the lines -u, -1 and u you call all three visible. Where is -1 ever above |u|?")
    b[1] = 0.2
    got = set(call(attempt, a, b))
    if 0 not in got:
        raise Wrong("of -u, 0.2 and u you miss the falling line -u. Which line wins far to the left?")
    if 1 not in got:
        raise Wrong("of -u, 0.2 and u, the level line wins only between -0.2 and 0.2. Does your method look there?")
    if 0 in call(attempt, np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 0.0])):
        raise Wrong("of the lines 0, 1 and u you call the level line 0 visible. Which line runs just above it?")
    if 1 in call(attempt, np.array([-1.0, 0.0, 1.0]), np.zeros(3)):
        raise Wrong("the lines -u, 0 and u meet at 0. How long is the interval on which the level line wins?")
    if set(call(attempt, np.array([1.0, 1.0, 0.0]), np.array([0.0, 0.0, 5.0]))) != {0, 2}:
        raise Wrong("of the lines u, u and 5 the first and the last count. What do you do with equal lines?")
    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b = rng.normal(size=30), rng.normal(size=30)
        numbers = call(attempt, a, b)
        got, truth = set(numbers), set(visible(a, b))
        if len(numbers) > len(got):
            raise Wrong("you return some numbers more than once. How often should a line be counted?")
        if got > truth:
            raise Wrong(f"for 30 random lines you find {len(got)} visible ones, there are only {len(truth)}. "
                        "Can one new line hide several earlier ones?")  # fmt: skip
        if got != truth:
            raise Wrong(f"for 30 random lines you find {len(got)} visible ones, there are {len(truth)}. "
                        "Could a line win on a very short interval?")  # fmt: skip


def refit(u, y, codes, R):
    a, b = np.zeros(R), np.full(R, -np.inf)
    for r in range(R):
        own = codes == r
        if own.sum() >= 2:
            a[r], b[r] = np.polyfit(u[own], y[own], deg=1)
    return a, b


def _refit_through_zero(u, y, codes, R):
    a, b = np.zeros(R), np.full(R, -np.inf)
    for r in range(R):
        own = codes == r
        if own.sum() >= 2:
            a[r], b[r] = (u[own] @ y[own]) / (u[own] @ u[own]), 0.0
    return a, b


def _refit_all_points(u, y, codes, R):
    line = np.polyfit(u, y, deg=1)
    return np.full(R, line[0]), np.full(R, line[1])


def _refit_empty_is_zero(u, y, codes, R):
    a, b = refit(u, y, codes, R)
    return a, np.where(np.isfinite(b), b, 0.0)


def _refit_swapped(u, y, codes, R):
    return refit(u, y, codes, R)[::-1]


def _refit_single_point(u, y, codes, R):
    a, b = refit(u, y, codes, R)
    for r in range(R):
        if (codes == r).sum() == 1:
            b[r] = y[codes == r][0]
    return a, b


@exercise(
    "1.4",
    solution=refit,
    wrong=[_refit_through_zero, _refit_all_points, _refit_empty_is_zero, _refit_swapped, _refit_single_point],
)
def _(attempt):
    rng = np.random.default_rng(1)
    u = np.sort(rng.uniform(0.5, 3, 40))
    codes = np.repeat([0, 2, 3, 4, 5], [15, 15, 7, 2, 1])  # piece 1 owns nothing, piece 5 one point
    y = np.array([1.0, 0.0, -2.0, 0.5, 3.0, 0.0])[codes] * u + np.array([0.0, 0.0, 4.0, 1.0, 2.0, 7.0])[codes]
    a, b = call(attempt, u, y, codes, 6, shape=[(6,), (6,)])
    if a[1] == -np.inf:
        raise Wrong("slopes come first, then offsets. In which order do you return them?")
    if np.ptp(a) == 0:
        raise Wrong("all your lines are the same. Which points should line r be fitted to?")
    if b[1] != -np.inf:
        raise Wrong(f"piece 1 owns no point, yet its offset is {b[1]:g}, so it may win somewhere. "
                    "Which offset lets it never win?")  # fmt: skip
    if b[5] != -np.inf:
        raise Wrong("piece 5 owns a single point. How many points does a line need?")
    if abs(a[2] * u[20] + b[2] - y[20]) > 1e-6:
        raise Wrong("points that lie exactly on a line are missed by your piece 2. May its offset be anything?")
    good = codes != 5
    if not np.allclose((a[codes] * u + b[codes])[good], y[good]):
        raise Wrong("the points of each piece lie on a line here, but your lines do not go through them")


@exercise("1.5")
def _(attempt):
    rng = np.random.default_rng(2)
    for R_1, R_2 in [(1, 1), (3, 2), (4, 5), (12, 9)]:
        splines = [np.sort(rng.normal(size=R)) for R in (R_1, R_2)]
        (a_1, b_1), (a_2, b_2) = ((a, -0.5 * a**2) for a in splines)  # tangents of u^2 / 2: all visible
        a, b = call(attempt, a_1, b_1, a_2, b_2, shape=[None, None])
        u = np.linspace(-4, 4, 2001)[:, None]
        truth = (u * a_1 + b_1).max(1) + (u * a_2 + b_2).max(1)
        if not np.allclose((u * a + b).max(1), truth):
            worst = float(np.abs((u * a + b).max(1) - truth).max())
            raise Wrong(f"your spline differs from the sum by up to {worst:.3g}. What is the slope of a sum?")
        if len(a) > R_1 + R_2 - 1:
            raise Wrong(f"right values, but with {len(a)} pieces for {R_1} and {R_2}: how many kinks can the sum have?")
    a, _ = call(attempt, np.array([-1.0, 1.0]), np.zeros(2), np.array([-1.0, 1.0]), np.zeros(2), shape=[None, None])
    if len(a) != 2:
        raise Wrong(f"|u| + |u| has two visible pieces, you return {len(a)}. What if both splines bend at one place?")
