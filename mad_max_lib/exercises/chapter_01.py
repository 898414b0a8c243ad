"""Chapter 01, max-affine splines."""

import numpy as np
from scipy.spatial import ConvexHull, QhullError

from . import ask, call, exercise


exercise(
    "1.1",
    solution=np.array([1.0, 3.0]),
    wrong={
        (3.0, 1.0): "which of the two numbers is the place and which the height?",
        (-1.0, -1.0): "when a term changes sides, what happens to its sign?",
        (1.0, 1.0): "you give one number twice. How high is either piece at that place?",
    },
    otherwise=lambda got, truth: (
        f"at u = {got[0]:g} the pieces are {2 * got[0] + 1:g} and {4 - got[0]:g}. Are they equal?"
        if got[0] != 1
        else "the place is right. How high is either piece there?"
    ),
    why="2u + 1 = -u + 4 gives 3u = 3, so u = 1, and both pieces are 3 there.",
)


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


exercise(
    "1.3",
    solution=tangents,
    cases=[(lambda u: np.exp(2 * u), lambda u: 2 * np.exp(2 * u), np.array([-2.0, -0.5, 0.25, 1.5]))],
    wrong={
        _tangents_height_as_offset: "you used the height f(u) as the offset. "
        "Where does a line with that offset cross u = 0?",
        _tangents_sign: "from u = 0 to the point of contact a line climbs by slope times u. "
        "Is the offset its height before the climb or after it?",
        _chords: "your lines join two points of the curve. How steep is the curve at one of them?",
        _tangents_f_as_slope: "your slopes are the heights of f. Which of the two functions holds its slope?",
    },
    otherwise=lambda got, truth, f, slope, u: (
        "the slopes are not those of f at the given points. How steep is a tangent?"
        if not np.allclose(got[0], truth[0])
        else f"your first line has height {got[0][0] * u[0] + got[1][0]:.3f} where it should touch f at "
        f"{f(u[0]):.3f}. What must the offset be so that they meet?"
    ),
)


def visible(a, b):
    # Visible lines win in the order of their slopes. So go through the lines by slope and keep those that
    # are visible so far: a new line removes the last one kept if it overtakes that line no further right
    # than where that line overtakes its own predecessor, and then the next one back is tried.
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
    return np.unique((np.arange(-50, 51)[:, None] * a + b).argmax(1))


def _visible_on_a_wide_grid(a, b):
    return np.unique((np.linspace(-1000, 1000, 20_001)[:, None] * a + b).argmax(1))


def _corners_of_the_hull(a, b):
    """As the chapter's cell has it."""
    hull = ConvexHull(np.column_stack([a, b]))
    return np.unique(hull.simplices[hull.equations[:, 1] > 0])


def _positive_part(a, b):
    return np.unique((np.geomspace(1e-4, 1e4, 20001)[:, None] * a + b).argmax(1))


def _all_slopes(a, b):
    return np.arange(len(a))


def _no_parallels(a, b):
    return visible(a + 1e-9 * np.arange(len(a)), b)


def _touching(a, b):
    """Within a tolerance: also lines that meet the others at one point only."""
    lines = np.arange(len(a))
    return np.array([r for r in lines if r in visible(a, b + 1e-9 * (lines == r))])


def _repeated(a, b):
    return np.concatenate([visible(a, b), visible(a, b)[:1]])


def _one_pop(a, b):
    seen = []
    for r in np.argsort(a):
        last = np.array([*seen[-2:], r])
        seen = [*seen[:-2], *last[visible(a[last], b[last])]]
    return np.array(seen)


def _higher_number(a, b):
    """Of equal lines the highest number."""
    return len(a) - 1 - visible(a[::-1], b[::-1])


def _plain_argsort(a, b):
    """Of equal lines the one that happens to be sorted first."""
    order = np.argsort(a)
    return order[visible(a[order], b[order])]


def _numbers_after_sorting(a, b):
    order = np.lexsort((b, a))
    return visible(a[order], b[order])


def _mask(a, b):
    return np.isin(np.arange(len(a)), visible(a, b))


def _same_lines(got, truth):
    return (
        got.ndim == 1 and got.dtype.kind == truth.dtype.kind and np.array_equal(np.sort(got), np.sort(truth))
    )


REPEATED = "you return some numbers more than once. How often should a line be counted?"
WHICH_EQUAL = "Which of two equal lines was to be counted?"
AFTER_SORTING = "your numbers count the lines by slope. Which numbers do the same lines have in a and b?"
HULL_STOPS = (
    "ConvexHull stops if all points (slope, offset) lie on one line, as for three lines through one point. "
    "How can the visible lines be found there?"
)


def _which_lines(got, truth, a, b):
    if got.dtype.kind == "b":
        return "your answer holds True and False. How do you come from them to the numbers of the lines?"
    if got.ndim != 1 or got.dtype.kind == "f":
        return f"your answer has shape {got.shape} and dtype {got.dtype}. Can slopes be indexed by it?"
    if not np.isin(got, np.arange(len(a))).all():
        return f"you return the number {got.max()}, and there are {len(a)} lines. From where do you count?"
    if len(np.unique(got)) < len(got):
        return REPEATED
    if {*zip(a[got], b[got], strict=True)} == {*zip(a[truth], b[truth], strict=True)}:
        return f"of {len(a)} lines, some equal, you return some twice or by another number. {WHICH_EQUAL}"
    if len(set(a)) == len(a) and set(got) == set(np.argsort(np.argsort(a))[truth]):
        return AFTER_SORTING
    lines = f"the lines with slopes {a} and offsets {b}" if len(a) < 5 else f"{len(a)} random lines"
    missed = len(np.setdiff1d(truth, got))
    why = "Does each of them win on an interval?"
    if missed:
        why = "Could a line win on a very short interval, or only far outside?"
    return f"of {lines} you call {got.size} visible and miss {missed} that are. {why}"


_rng = np.random.default_rng(0)
_a = _rng.normal(size=30)  # tangents of u^2 / 2: all visible; each ten times
_tenfold = _rng.permutation(np.tile([_a, -0.5 * _a**2], 10), axis=1)


@exercise(
    "1.2",
    solution=visible,
    cases=[
        (np.array([0.0, -1.0, 1.0]), np.array([-1.0, 0.0, 0.0])),  # not sorted
        (np.array([-1.0, 0.0, 1.0]), np.array([0.0, 0.2, 0.0])),
        (np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 0.0])),  # two parallels
        (np.array([-1.0, 0.0, 1.0]), np.zeros(3)),  # three lines through one point
        (np.array([1.0, 1.0, 0.0]), np.array([0.0, 0.0, 5.0])),  # two equal lines
        # around u = 0.013 one line wins on a short interval, and another one beyond u = 10,000
        (np.array([0.0, 1.0, -1.0, 1.001]), np.array([1e-4, -0.013, 0.013, -10.013])),
        *_rng.normal(size=(20, 2, 30)),
        tuple(_tenfold),  # many equal lines, too many for a sort that only happens to be stable
    ],
    wrong={
        _visible_on_a_grid: "of 30 random lines you find too few. Could a line win on a very short interval?",
        _visible_on_a_wide_grid: "you miss a line that wins on less than a thousandth, or only beyond "
        "u = 5,000. Which places would a search have to try?",
        _corners_of_the_hull: HULL_STOPS,
        _all_slopes: "of the lines -u, -1 and u you call all three visible. Where is -1 ever above |u|?",
        _positive_part: "of -u, 0.2 and u you miss the falling line -u. Which line wins far to the left?",
        _no_parallels: "you call the lower of the lines 0 and 1 visible. Which line runs just above it?",
        _touching: "the lines -u, 0 and u meet at 0. How long is the interval on which the level line wins?",
        _higher_number: "of two equal lines you return the other one. Which of them was to be counted?",
        _plain_argsort: "of equal lines you return the one that your sort puts first. "
        "Does it leave equal slopes in their order?",
        _numbers_after_sorting: AFTER_SORTING,
        _mask: _which_lines,
        _repeated: REPEATED,
        _one_pop: "of 30 random lines you find too many. Can one new line hide several earlier ones?",
    },
    otherwise=_which_lines,
    equal=_same_lines,
    any_shape=True,
)
def check_1_2(attempt):
    try:
        attempt(np.array([-1.0, 0.0, 1.0]), np.zeros(3))
    except QhullError:
        ask(False, HULL_STOPS)
    except Exception:
        pass  # said when the cases are tried


exercise(
    "1.4",
    solution=np.array([2.5, 1.0]),
    wrong={
        (
            2.5,
            1.125,
        ): "your slope is the one at which the line comes into sight at the edge of the figure, u = 4. "
        "What happens to a line that is a little less steep, much further out?",
        (2.5, 1.14): "your slope is read off the slider. "
        "What happens to a line that is a little less steep, far beyond the edge of the figure?",
        (2.5, 0.0): "with slope 0.5 and offset -0.5, is the line ever higher than u for some u > 0?",
        (2.5, 1.2): "with slope 1.1 and offset -0.5, where does the line meet u?",
        (0.5 / 2.2, 1.0): "at your place the line meets -u. Which of the two lines is higher there, -u or u?",
        (-2.5, 1.0): "the line rises. On which side of u = 0 does it come to the top?",
    },
    otherwise=lambda got, truth: (
        f"at u = {got[0]:g} the line has height {1.2 * got[0] - 0.5:g}, and the higher one of -u and u has "
        f"{abs(got[0]):g}. Are they equal?"
        if not np.isclose(got[0], truth[0])
        else "the place is right. Which slopes keep the line below the other two everywhere, however far out?"
    ),
    why="1.2u - 0.5 = u gives u = 2.5. A line of slope m > 1 overtakes u at 0.5 / (m - 1), however little m "
    "exceeds 1; with m < -1 it overtakes -u on the left. With m between -1 and 1 it lies below |u| "
    "everywhere. As points: (m, -0.5) is a corner of the upper side of the hull as soon as m "
    "leaves the range from -1 to 1.",
)


@exercise("1.5")
def check_1_5(attempt):
    rng, both = np.random.default_rng(2), [None, None]
    for R_1, R_2, wide in [(1, 1, 1), (3, 2, 1), (1, 3, 1), (4, 5, 1), (12, 9, 1), (4, 3, 200), (5, 4, 1e-4)]:
        a_1, a_2 = (wide * np.sort(rng.normal(size=R)) for R in (R_1, R_2))
        b_1, b_2 = -0.5 * a_1**2, -0.5 * a_2**2  # tangents of u^2 / 2: all visible, with kinks as wide
        a, b = call(attempt, a_1, b_1, a_2, b_2, shape=both)
        ask(
            a.ndim == 1 and a.shape == b.shape,
            f"slopes {a.shape} and offsets {b.shape} come back. Has each piece one of either?",
        )
        ask(
            len(a),
            f"for splines of {R_1} and {R_2} pieces you return none. Which line is the sum far outside?",
        )
        u = wide * np.linspace(-4, 4, 2001)[:, None]
        off = np.abs((u * a + b).max(1) - (u * a_1 + b_1).max(1) - (u * a_2 + b_2).max(1))
        kinks = [-np.diff(b) / np.diff(a) for a, b in ((a_1, b_1), (a_2, b_2))]
        lost = f"The given splines bend at {np.concatenate(kinks).round(6)}. Where does yours bend?"
        ask(
            off.max() < 1e-8 * wide**2,
            f"for splines of {R_1} and {R_2} pieces yours differs from the sum, most of all at "
            f"u = {u[off.argmax(), 0]:.3g}, by {off.max():.3g}. "
            + (lost if 1 < R_1 + R_2 - 1 != len(a) else "What are slope and offset of a sum of two lines?"),
        )
        ask(
            len(a) < R_1 + R_2,
            f"right values, but with {len(a)} pieces for {R_1} and {R_2}: how many kinks can the sum have?",
        )
    bend = np.array([-1.0, 1.0])
    a, _ = call(attempt, bend, 0 * bend, bend, 0 * bend, shape=both)
    ask(
        len(a) == 2,
        f"|u| + |u| has two visible pieces, you return {len(a)}. What if both splines bend at one place?",
    )
