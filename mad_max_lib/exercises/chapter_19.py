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
        (3, 1, -14): "the wall is right. Is the first part of a weight the site itself or another number?",
    },
    equal=within(1e-6),
    otherwise=lambda got, truth: (
        "the place of the wall is off. Which two scores did you compare, and are they equal at your place?"
        if abs(got[0] - truth[0]) > 1e-6
        else "the wall is right, a weight is not. What are the squares of the sites, and the offsets?"
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


_rng = np.random.default_rng(1)
exercise(
    "19.2",
    solution=wall,
    cases=[
        (_rng.normal(size=5), _rng.normal(), _rng.normal(size=5), _rng.normal()),
        (_rng.normal(size=2), _rng.normal(), _rng.normal(size=2), _rng.normal()),
        (np.array([4.0]), -9.0, np.array([1.0]), 0.0),
        (np.array([1, 0, 0]), 0, np.array([-1, 0, 0]), 1),
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
        _wall_tied: "with both offsets zero your tau is one half. Where are the scores equal then?",
    },
    otherwise="at your place the two scores differ. Is your equation linear in tau?",
)


_USED = [1, 0, 1, 0, 1]


@exercise(
    "19.3",
    solution=_USED,
    wrong=[[1, 1, 1, 0, 1], [1, 0, 1, 1, 1], [0, 0, 1, 0, 0], [0, 1, 0, 1, 0]],
    why="Drawn as points (site, offset), only (-2, 0), (0, 1) and (3, 0) lie strictly above every segment "
    "between two others. The point (-1, 0.5) lies on the segment from (-2, 0) to (0, 1): its score ties "
    "with both at x = -0.5 and wins nowhere. The point (1, -1) lies below the segment from (0, 1) to (3, 0).",
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


def entropy(codes):
    shares = np.unique(codes, return_counts=True)[1] / len(codes)
    return -(shares * np.log2(shares)).sum()


def _entropy_nats(codes):
    return entropy(codes) * np.log(2)


def _entropy_sign(codes):
    return -entropy(codes)


def _entropy_all_equal(codes):
    return np.log2(len(np.unique(codes)))


def _entropy_unweighted(codes):
    return -np.log2(np.unique(codes, return_counts=True)[1] / len(codes)).mean()


def _entropy_of_the_ones(codes):
    """As if only the share of ones counted."""
    p = np.mean(codes == 1)
    return -p * np.log2(p) if p > 0 else 0.0


def _entropy_two_values(codes):
    """The formula for a bit, whatever the codes are."""
    p = np.mean(codes != 0)
    return -(p * np.log2(p) + (1 - p) * np.log2(1 - p)) if 0 < p < 1 else 0.0


_MANY = np.array([7] * 8 + [0] * 4 + [3] * 2 + [4] * 2)
exercise(
    "19.5",
    solution=entropy,
    cases=[
        (_MANY,),
        (_MANY - 5,),
        (np.full(5, 3),),
        (np.array([True, False, True, True]),),
        (np.array([0, 1, 0, 1]),),
    ],
    wrong={
        _entropy_nats: "that is in nats. Which logarithm counts bits?",
        _entropy_sign: "your entropy is negative. What is the sign of the logarithm of a share?",
        _entropy_all_equal: "that would be right if all values occurred equally often. "
        "Where do the shares enter?",
        _entropy_unweighted: "rare values count as much as common ones. "
        "With which factor does each logarithm enter?",
        _entropy_of_the_ones: "only the share of the ones enters. Which other values occur?",
        _entropy_two_values: "that is right for bits. What changes if more than two values occur?",
    },
    otherwise=lambda got, truth, codes: (
        "some whole numbers are negative. Does it matter which numbers occur, or only how often?"
        if codes.dtype != bool and codes.min() < 0
        else f"{codes.tolist()} should give another number than {got:.3f}. "
        "What are the shares, and what is the term of each?"
        if truth > 0
        else "one and the same value, always, has another entropy than yours. What is the logarithm of 1?"
    ),
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
    ask(
        not np.allclose(got, relu[0]), "these are the slopes themselves. Is ReLU's wall halfway between them?"
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
            f"with {R} pieces on {D} inputs some points get another number. "
            "For which of the weights does your shift make up?",
        )
    ask(right(got, *relu, u), "ReLU goes wrong. What number must lie halfway between your two sites?")
