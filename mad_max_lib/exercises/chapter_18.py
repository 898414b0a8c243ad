"""Chapter 18, vector quantization and K-means."""

import numpy as np

from . import ask, call, exercise


def move(x, stamps, codes):
    moved = stamps.astype(float)
    for r in range(len(stamps)):
        if (codes == r).any():
            moved[r] = x[codes == r].mean(axis=0)
    return moved


def _move_to_the_median(x, stamps, codes):
    used = [np.median(x[codes == r], axis=0) if (codes == r).any() else stamps[r] for r in range(len(stamps))]
    return np.array(used)


def _move_to_the_sum(x, stamps, codes):
    return move(x, stamps, codes) * _counts(stamps, codes).clip(min=1)


def _move_assigns_anew(x, stamps, codes):
    return move(x, stamps, ((x[:, None] - stamps) ** 2).sum(axis=2).argmin(axis=1))


def _move_empty_to_nan(x, stamps, codes):
    return (np.eye(len(stamps))[codes].T @ x) / _counts(stamps, codes)


def _move_empty_to_zero(x, stamps, codes):
    return move(x, 0 * stamps, codes)


def _counts(stamps, codes):
    return np.bincount(codes, minlength=len(stamps))[:, None]


_rng = np.random.default_rng(0)
_x, _STAMPS, _CODES = _rng.normal(size=(30, 2)), 3 * _rng.normal(size=(4, 2)), _rng.integers(4, size=30)
exercise(
    "18.1",
    solution=move,
    cases=[
        (_x, _STAMPS, _CODES),
        (_x, _STAMPS, 2 * (_CODES // 2)),  # two stamps without points
        (np.array([[0], [1]]), np.array([[0], [5]]), np.array([0, 0])),
    ],
    wrong={
        _move_to_the_median: "that is the median of the points. "
        "Which place makes the sum of squares smallest?",
        _move_to_the_sum: "your stamps are many times too far out. "
        "Is it the sum of the points that is asked for?",
        _move_assigns_anew: "you move stamps to points with other codes than those given. "
        "Who chooses the codes?",
        _move_empty_to_nan: "a stamp without points becomes NaN. "
        "What is the mean of nothing, and what was asked?",
        _move_empty_to_zero: "a stamp without points goes to the origin. Where should it be?",
    },
    otherwise=lambda got, truth, x, stamps, codes: (
        "a stamp without points has moved. Where should it be?"
        if np.allclose(got[codes], truth[codes])
        else "the means are off. Whose points are whose?"
    ),
)


exercise(
    "18.2",
    solution=[0, 1, 2, 1],
    wrong={
        (2, 2, 2, 2): "the longest stamp wins everywhere. Did it pay its handicap?",
        (0, 1, 2, 2): "three are right. Which number wins when two scores are equal?",
        (0, 0, 0, 0): "the empty stamp wins everywhere. "
        "Is the handicap the square of the length, or another share of it?",
        (1, 2, 3, 2): "from which number do we count the pieces of a unit?",
    },
    otherwise="not all are right. What are the distances to the stamps?",
    why="The offsets are 0, -2 and -8. Scores: (0, -0.2, -4.4), (0, 0.4, -4), (0, 0, 4), and (0, 2, 2), "
    "a tie, because (2, 2.5) is 2.5 away from both stamps.",
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


_rng = np.random.default_rng(1)
exercise(
    "18.3",
    solution=wall,
    cases=[(_rng.normal(size=5), _rng.normal(), _rng.normal(size=5), _rng.normal()) for _ in range(3)],
    wrong={
        _wall_halfway: "halfway is K-means' wall. Where do the offsets enter?",
        _wall_from_the_other_end: "that is the share seen from the other site. Where does tau = 0 lie?",
        _wall_signs: "the wall moves the wrong way. Which region grows when b_r does?",
        _wall_length: "that is a length in the plane. How long is the way from site to site?",
    },
    otherwise="at your place the two scores differ. Is your equation linear in tau?",
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


_WIRED = np.array([7] * 8 + [0] * 4 + [3] * 2 + [4] * 2)
exercise(
    "18.5",
    solution=entropy,
    cases=[(_WIRED,), (_WIRED - 5,), (np.full(5, 3),)],
    wrong={
        _entropy_nats: "that is in nats. Which logarithm counts bits?",
        _entropy_sign: "your entropy is negative. What is the sign of the logarithm of a share?",
        _entropy_all_equal: "that would be right if all numbers occurred equally often. "
        "Where do the shares enter?",
        _entropy_unweighted: "rare numbers count as much as common ones. How often is each name wired?",
    },
    otherwise=lambda got, truth, codes: (
        "some whole numbers are negative. Does it matter for a message which numbers are used as names?"
        if codes.min() < 0
        else "shares of 1/2, 1/4, 1/8, 1/8 go wrong. How long is the name of each?"
        if truth > 0
        else "one and the same number, always, still costs you. What is there to say about it?"
    ),
)


@exercise("18.6")
def check_18_6(attempt):
    def right(stamps, A, B, x):
        scores = x @ A.T + B
        clear = np.diff(np.sort(scores, axis=1)[:, -2:], axis=1)[:, 0] > 1e-6
        near = ((x[:, None] - stamps) ** 2).sum(axis=2).argmin(axis=1)
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
        stamps = call(attempt, A, B, shape=(R, D))
        x, shift = 5 * rng.normal(size=(5000, D)), stamps - A
        good = right(stamps, A, B, x)
        back = not good and right(A - shift, A, B, x)
        ask(not back, "you moved all stamps the wrong way. Which sign has the shift's equation?")
        halved = right(A + shift / 2, A, B, x) or right(A + 2 * shift, A, B, x)
        ask(good or not halved, "the direction of your shift is right. And its length?")
        ask(
            good or np.allclose(shift, shift[0]),
            "your stamps are shifted by different vectors, and codes go wrong. "
            "Which change leaves all differences of slopes alone?",
        )
        ask(
            good,
            f"with {R} pieces on {D} inputs some points get another number. "
            "For which of the weights does your shift make up?",
        )
    ask(right(got, *relu, u), "ReLU goes wrong. What number must lie halfway between your two stamps?")
