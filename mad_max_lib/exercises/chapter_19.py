"""Chapter 19, power diagrams."""

import numpy as np

from . import ask, call, exercise, within
from .answers import marks

exercise(
    "19.1",
    solution=[3.0, 1.0, -2.0],
    wrong={
        (2.5, 1, -2): "2.5 is halfway between the sites. Are the two weights equal?",
        (9 / 5, 1, -2): "at your place the two scores add up to zero. What should they do at the wall?",
        (-3, 1, -2): "which of the two scores is the larger at -3, and which at 0?",
        (3, 1, 7): "the wall is right. How many times does the offset count in a weight?",
        (3, 1, 34): "the wall is right. With which sign does the offset enter the weight?",
        (3, -2, 1): "the wall is right. Which site has the offset -9?",
        (3, 0.5, -1): "the wall is right. By which factor does a weight differ from your numbers?",
        (3, 0, -3): "the wall is right, and it stays if both weights change alike. Which weight has site 1?",
        (3, 1, -14): "the wall is right. Is the first part of a weight the site itself or another number?",
    },
    equal=within(1e-6),
    otherwise=lambda got, truth: (
        "the place of the wall is off. Which two scores did you compare, and are they equal at your place?"
        if abs(got[0] - truth[0]) > 1e-6
        else "the wall is right, both weights are not. What are the squares of the sites, and the offsets?"
        if min(abs(got[1:] - truth[1:])) > 1e-6
        else "the wall is right, a weight is not. What is the square of its site, and its offset?"
    ),
    why="At the wall x = 4 x - 9, so x = 3. The weights are 1 + 0 = 1 and 16 - 18 = -2. "
    "Halfway would be 2.5: the smaller weight of the site 4 has moved the wall towards it.",
)


def wall(a_r, b_r, a_s, b_s):
    n = a_r - a_s
    return (b_s - b_r - n @ a_s) / (n @ n)


def _wall_halfway(a_r, b_r, a_s, b_s):
    return 0.5


def _wall_from_the_other_end(a_r, b_r, a_s, b_s):
    return 1 - wall(a_r, b_r, a_s, b_s)


def _wall_signs(a_r, b_r, a_s, b_s):
    return wall(a_r, b_s, a_s, b_r)


def _wall_length(a_r, b_r, a_s, b_s):
    return wall(a_r, b_r, a_s, b_s) * np.linalg.norm(a_r - a_s)


def _wall_negative(a_r, b_r, a_s, b_s):
    return -wall(a_r, b_r, a_s, b_s)


def _wall_not_squared(a_r, b_r, a_s, b_s):
    return wall(a_r, b_r, a_s, b_s) * np.linalg.norm(a_r - a_s) ** 2


def _wall_without_the_sites(a_r, b_r, a_s, b_s):
    n = a_r - a_s
    return (b_s - b_r) / (n @ n)


def _wall_tied(a_r, b_r, a_s, b_s):
    """Free offsets taken for what they exceed the tied ones by."""
    return 0.5 + (b_s - b_r) / ((a_r - a_s) @ (a_r - a_s))


def _wall_between_the_sites(a_r, b_r, a_s, b_s):
    return float(np.clip(wall(a_r, b_r, a_s, b_s), 0, 1))


def _wall_not_before(a_r, b_r, a_s, b_s):
    return max(0.0, wall(a_r, b_r, a_s, b_s))


def _wall_not_beyond(a_r, b_r, a_s, b_s):
    return min(1.0, wall(a_r, b_r, a_s, b_s))


def _wall_absolute(a_r, b_r, a_s, b_s):
    return abs(wall(a_r, b_r, a_s, b_s))


_rng = np.random.default_rng(1)
exercise(
    "19.2",
    solution=wall,
    cases=[
        (_rng.normal(size=5), _rng.normal(), _rng.normal(size=5), _rng.normal()),
        (_rng.normal(size=2), _rng.normal(), _rng.normal(size=2), _rng.normal()),
        (np.array([4.0]), -9.0, np.array([1.0]), 0.0),
        (np.array([1, 0, 0]), 0, np.array([-1, 0, 0]), 1),
        (np.array([4.0]), 0.0, np.array([1.0]), 0.0),  # before the site a_s
        (np.array([4.0]), -15.0, np.array([1.0]), 0.0),  # beyond the site a_r
    ],
    wrong={
        _wall_halfway: "halfway is right if both weights are equal. Where do the offsets enter?",
        _wall_from_the_other_end: "that is the share seen from the other site. Where does tau = 0 lie?",
        _wall_signs: "your wall moves the wrong way. Which region grows when b_r does?",
        _wall_length: "that is a length. How long is the way from site to site?",
        _wall_negative: "at your place the difference of the scores is not zero. What is its sign there?",
        _wall_not_squared: "your tau grows when the sites are spread out. "
        "What stands before tau in your equation?",
        _wall_without_the_sites: "your tau depends on the offsets and the distance alone. "
        "What is the score of s at the site a_s?",
        _wall_between_the_sites: "your wall never leaves the way between sites. Which values can tau take?",
        _wall_not_before: "your tau is never negative. What does a negative tau say of the wall?",
        _wall_not_beyond: "your tau is never above 1. Where is the wall if even site a_r goes to piece s?",
        _wall_absolute: "where tau should be negative yours is not. On which side of a_s is that wall?",
        _wall_tied: "with both offsets zero your tau is one half. Where are the scores equal then?",
    },
    otherwise="at your place the two scores differ. Is your equation linear in tau?",
)


_USED = [1, 0, 1, 0, 1]


@exercise(
    "19.3",
    solution=_USED,
    wrong=[[1, 1, 1, 0, 1], [1, 0, 1, 1, 1], [0, 0, 1, 0, 0], [0, 1, 0, 1, 0]],
    why="Draw the pieces as points (site, offset). The point (-1, 0.5) lies on the segment from (-2, 0) to "
    "(0, 1): its score ties with both at x = -0.5 and wins nowhere. The point (1, -1) lies below the segment "
    "from (0, 1) to (3, 0). The other three lie neither on nor below a segment between two others.",
)
def check_19_3(attempt):
    got = marks(attempt, 5, "Does a 1 stand for a piece that wins on an interval?")
    ask(got.any(), "you mark no piece. Which score is the largest at x = 0?")
    ask(got[2] == 1, "which score is the largest at x = 0?")
    ask(got[0] == 1 and got[4] == 1, "far to the left and far to the right, which pieces win?")
    ask(got[3] == 0, "at which x would the piece with site 1 beat both of its neighbours strictly?")
    ask(got[1] == 0, "at which x would the piece with site -1 beat both of its neighbours strictly?")


def sites_and_weights(A, B, codes):
    units = np.arange(len(A))
    sites = A[units, codes].sum(axis=1)  # A[units, codes] is (M, K, D)
    return sites, (sites**2).sum(axis=1) + 2 * B[units, codes].sum(axis=1)


def _weights_of_units(A, B, codes):
    """The weights of the units' own sites, added up."""
    units = np.arange(len(A))
    chosen = A[units, codes]
    return chosen.sum(axis=1), (chosen**2).sum(axis=(1, 2)) + 2 * B[units, codes].sum(axis=1)


def _weights_once(A, B, codes):
    sites, weights = sites_and_weights(A, B, codes)
    return sites, (weights + (sites**2).sum(axis=1)) / 2


def _weights_excess(A, B, codes):
    sites, weights = sites_and_weights(A, B, codes)
    return sites, weights - (sites**2).sum(axis=1)


def _weights_minus(A, B, codes):
    sites, weights = sites_and_weights(A, B, codes)
    return sites, 2 * (sites**2).sum(axis=1) - weights


def _sites_means(A, B, codes):
    units = np.arange(len(A))
    sites = A[units, codes].mean(axis=1)
    return sites, (sites**2).sum(axis=1) + 2 * B[units, codes].mean(axis=1)


def _weights_lengths(A, B, codes):
    sites, weights = sites_and_weights(A, B, codes)
    squares = (sites**2).sum(axis=1)
    return sites, weights - squares + np.sqrt(squares)


def _sites_one_short(A, B, codes):
    """A loop over the units that stops one early."""
    return sites_and_weights(A[:-1], B[:-1], codes[:, :-1])


def _sites_negative(A, B, codes):
    sites, weights = sites_and_weights(A, B, codes)
    return -sites, weights


def _sites_gates(A, B, codes):
    """As for a ReLU whose second piece is the weight: the code as a factor."""
    sites = np.einsum("mk,kd->md", codes, A[:, 1])
    return sites, (sites**2).sum(axis=1) + 2 * codes @ B[:, 1]


def _sites_off(got, truth, A, B, codes):
    if not np.allclose(got[0], truth[0]):
        return (
            f"the site of the code {codes[0].tolist()} should be a sum of {len(A)} slopes. "
            "Which row of each A[k] does the code name?"
        )
    return "the sites are right, the weights are not. Whose square is taken, and which offsets are added?"


_rng = np.random.default_rng(2)
exercise(
    "19.4",
    solution=sites_and_weights,
    cases=[
        (_rng.normal(size=(3, 4, 2)), _rng.normal(size=(3, 4)), _rng.integers(4, size=(7, 3))),
        (_rng.normal(size=(2, 2, 5)), _rng.normal(size=(2, 2)), np.array([[0, 1], [1, 1], [0, 0]])),
        (_rng.normal(size=(4, 3, 1)), _rng.normal(size=(4, 3)), np.array([[2, 0, 1, 2]])),
    ],
    wrong={
        _weights_of_units: "the sites are right. Is the square of a sum the sum of the squares?",
        _weights_once: "the sites are right. How many times do the offsets count in a weight?",
        _weights_excess: "the sites are right. What is left of a weight when all offsets are zero?",
        _weights_minus: "the sites are right. With which sign do the offsets enter the weight?",
        _sites_means: "your sites are K times too short. What does the theorem do with the chosen slopes?",
        _weights_lengths: "the sites are right. Is it the length of a site that enters, or another number?",
        _sites_one_short: "the last unit changes nothing in your answer. Over which units does your sum go?",
        _sites_negative: "your sites lie opposite to those of the theorem. Where does the sign come from?",
        _sites_gates: "what does your version do with a code of 2, or with the slope of piece 0?",
    },
    otherwise=_sites_off,
)


def fold(W, c, gamma, delta, m, v):
    scale = gamma / np.sqrt(v)
    return scale[:, None] * W, scale * (c - m) + delta


def _fold_old_offsets(W, c, gamma, delta, m, v):
    return fold(W, c, gamma, delta, m, v)[0], c


def _fold_without_mean(W, c, gamma, delta, m, v):
    return fold(W, c, gamma, delta, 0 * m, v)


def _fold_without_offsets(W, c, gamma, delta, m, v):
    return fold(W, 0 * c, gamma, delta, m, v)


def _fold_without_shift(W, c, gamma, delta, m, v):
    return fold(W, c, gamma, 0 * delta, m, v)


def _fold_unscaled_offsets(W, c, gamma, delta, m, v):
    return fold(W, c, gamma, delta, m, v)[0], c - m + delta


def _fold_unscaled_mean(W, c, gamma, delta, m, v):
    scale = gamma / np.sqrt(v)
    return scale[:, None] * W, scale * c - m + delta


def _fold_scaled_shift(W, c, gamma, delta, m, v):
    scale = gamma / np.sqrt(v)
    return scale[:, None] * W, scale * (c - m + delta)


def _fold_variance(W, c, gamma, delta, m, v):
    return fold(W, c, gamma, delta, m, v**2)


def _fold_slopes_kept(W, c, gamma, delta, m, v):
    return W, fold(W, c, gamma, delta, m, v)[1]


def _fold_columns(W, c, gamma, delta, m, v):
    """The scale along the inputs: runs where W is square."""
    scale = gamma / np.sqrt(v)
    return scale * W, scale * (c - m) + delta


def _fold_positive(W, c, gamma, delta, m, v):
    return fold(W, c, abs(gamma), delta, m, v)


def _normal(*shape):
    return _rng.normal(size=shape)


def _fold_off(got, truth, W, c, gamma, delta, m, v):
    if not np.allclose(got[0], truth[0]):
        return "your slopes are off. What does batch normalization multiply u with, in each unit?"
    return (
        "the slopes are right, the offsets are not. What is left of gamma (u - m) / sqrt(v) + delta at x = 0?"
    )


exercise(
    "19.5",
    solution=fold,
    cases=[
        (_normal(3, 3), *(_normal(3) for _ in range(4)), np.array([0.25, 4.0, 9.0])),
        (_normal(2, 2), *(_normal(2) for _ in range(4)), np.array([0.5, 3.0])),
    ],
    wrong={
        _fold_old_offsets: "the slopes are right. Where would the wall be without batch normalization?",
        _fold_without_mean: "the slopes are right. What becomes of the mean that is taken away?",
        _fold_without_offsets: "the slopes are right. What becomes of the old offsets?",
        _fold_without_shift: "the slopes are right. What is added at the very end?",
        _fold_unscaled_offsets: "the slopes are right. Are c and m taken before or after the scaling?",
        _fold_unscaled_mean: "the slopes are right. Is the mean taken away before or after the scaling?",
        _fold_scaled_shift: "the slopes are right. Is the shift added before or after the scaling?",
        _fold_variance: "by the variance or by its root: what does the formula divide by?",
        _fold_slopes_kept: "the offsets are right. Does a scaled score have the old slope?",
        _fold_columns: "the offsets are right. Does unit k have its own factor, or input k?",
        _fold_positive: "the sign of gamma is lost. What does a negative scale do to the on side of a wall?",
    },
    otherwise=_fold_off,
)


@exercise("19.6")
def check_19_6(attempt):
    def right(sites, A, B, x):
        scores = x @ A.T + B
        clear = np.diff(np.sort(scores, axis=1)[:, -2:], axis=1)[:, 0] > 1e-6
        near = ((x[:, None] - sites) ** 2).sum(axis=2).argmin(axis=1)
        return (near == scores.argmax(axis=1))[clear].all()

    u = np.linspace(-3, 3, 50)[:, None]
    relu = np.array([[0.0], [1.0]]), np.zeros(2)
    got = call(attempt, *relu, shape=(2, 1), like=relu[0])
    rng = np.random.default_rng(2)
    A, B = rng.normal(size=(3, 4)), rng.normal(size=3)
    A /= np.linalg.norm(A, axis=1, keepdims=True)  # equal lengths: weights differ by the offsets alone
    equal, moved = call(attempt, A, B, shape=(3, 4), like=A), not np.allclose(got, relu[0])
    ask(
        moved or np.allclose(equal, A) or not right(equal, A, B, 5 * rng.normal(size=(5000, 4))),
        "your shift makes up for the offsets alone. Which other part of a weight differs between the pieces?",
    )
    ask(
        moved,
        "for the ReLU with the slopes 0 and 1 and the offsets 0 your sites are the slopes themselves. "
        "Is its wall halfway between them?",
    )
    rng = np.random.default_rng(2)
    for R, D in [(2, 1), (3, 2), (4, 6), (6, 5)]:
        A, B = rng.normal(size=(R, D)), rng.normal(size=R)
        sites = call(attempt, A, B, shape=(R, D))
        x, shift = 5 * rng.normal(size=(5000, D)), sites - A
        good = right(sites, A, B, x)
        ask(
            good or not right(-sites, A, B, x),
            "your sites lie on the wrong side of the origin. Which sign do the slopes have in the scores?",
        )
        for factor, name in ((2, "double"), (0.5, "half")):
            ask(
                good or not right(sites / factor, A, B, x),
                f"your sites are the {name} of right ones. Which multiple of a slope stands in a score?",
            )
        back = not good and right(A - shift, A, B, x)
        ask(not back, "you moved all sites the wrong way. Which sign has the shift's equation?")
        halved = right(A + shift / 2, A, B, x) or right(A + 2 * shift, A, B, x)
        ask(good or not halved, "the direction of your shift is right. And its length?")
        ask(
            good or np.allclose(shift, shift[0]),
            "your sites are the slopes shifted by different vectors, and codes go wrong. "
            "Which change leaves all differences of slopes alone?",
        )
        ask(
            good,
            f"with {R} pieces and {D} input{'s' * (D > 1)} some points get another number. "
            "For which of the weights does your shift make up?",
        )
    ask(right(got, *relu, u), "ReLU goes wrong. What number must lie halfway between your two sites?")
