"""Chapter 10, vector quantization and K-means."""

import numpy as np

from . import ask, call, exercise, value


def move(x, stamps, codes):
    moved = stamps.astype(float)
    for r in range(len(stamps)):
        if (codes == r).any():
            moved[r] = x[codes == r].mean(axis=0)
    return moved


def _move_to_the_median(x, stamps, codes):
    return np.array([np.median(x[codes == r], axis=0) if (codes == r).any() else stamps[r] for r in range(len(stamps))])


def _move_empty_to_nan(x, stamps, codes):
    counts = np.bincount(codes, minlength=len(stamps))[:, None]
    return (np.eye(len(stamps))[codes].T @ x) / counts


def _move_empty_to_zero(x, stamps, codes):
    counts = np.bincount(codes, minlength=len(stamps))[:, None]
    return (np.eye(len(stamps))[codes].T @ x) / counts.clip(min=1)


def _move_to_the_sum(x, stamps, codes):
    return np.array([x[codes == r].sum(axis=0) if (codes == r).any() else stamps[r] for r in range(len(stamps))])


def _move_in_whole_numbers(x, stamps, codes):
    moved = stamps.copy()
    for r in set(codes.tolist()):
        moved[r] = x[codes == r].mean(axis=0)
    return moved


def _move_assigns_anew(x, stamps, codes):
    return move(x, stamps, ((x[:, None] - stamps) ** 2).sum(axis=2).argmin(axis=1))


@exercise(
    "10.1",
    solution=move,
    wrong=[_move_to_the_median, _move_empty_to_nan, _move_empty_to_zero, _move_to_the_sum, _move_in_whole_numbers,
           _move_assigns_anew],
)  # fmt: skip
def _(attempt):
    rng = np.random.default_rng(0)
    x, stamps, codes = rng.normal(size=(30, 2)), 3 * rng.normal(size=(4, 2)), rng.integers(4, size=30)
    got = call(attempt, x, stamps, codes, shape=(4, 2))
    for wrong, question in [
        (_move_to_the_median, "that is the median of the points. Which place makes the sum of squares smallest?"),
        (_move_to_the_sum, "your stamps are many times too far out. Is it the sum of the points that is asked for?"),
        (_move_assigns_anew, "you move stamps to points with other codes than those given. Who chooses the codes?"),
    ]:
        ask(not np.allclose(got, wrong(x, stamps, codes)), question)
    ask(np.allclose(got, move(x, stamps, codes)), "with points for every stamp the means are off. Whose points are whose?")
    with np.errstate(all="ignore"):
        got = np.asarray(attempt(x.copy(), stamps.copy(), 2 * (codes // 2)), float)
    ask(got.shape == (4, 2), "with two stamps without points, four should still be there. Where did they go?")
    ask(not np.isnan(got).any(), "a stamp without points becomes NaN. What is the mean of nothing, and what was asked?")
    ask(np.allclose(got, move(x, stamps, 2 * (codes // 2))), "a stamp without points has moved. Where should it be?")
    whole = np.asarray(attempt(np.array([[0], [1]]), np.array([[0], [5]]), np.array([0, 0])), float)
    ask(np.allclose(whole, [[0.5], [5]]), "whole numbers 0 and 1 do not average to a half. Which dtype has your result?")


@exercise(
    "10.2",
    solution=[0, 1, 2, 1],
    wrong=[[2, 2, 2, 2], [0, 1, 2, 2], [0, 0, 0, 0], [1, 2, 3, 2]],
    why="The offsets are 0, -2 and -8. Scores: (0, -0.2, -4.4), (0, 0.4, -4), (0, 0, 4), and (0, 2, 2), "
    "a tie, because (2, 2.5) is 2.5 away from both stamps.",
)
def _(attempt):
    codes = value(attempt, (4,)).tolist()
    questions = {
        (2, 2, 2, 2): "the longest stamp wins everywhere. Did it pay its handicap?",
        (0, 1, 2, 2): "three are right. Which number wins when two scores are equal?",
        (0, 0, 0, 0): "the empty stamp wins everywhere. Is the handicap the square of the length, or another share of it?",
        (1, 2, 3, 2): "from which number do we count the pieces of a unit?",
    }
    ask(codes == [0, 1, 2, 1], questions.get(tuple(codes), "not all are right. What are the distances to the stamps?"))


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


@exercise(
    "10.3",
    solution=wall,
    wrong=[_wall_halfway, _wall_from_the_other_end, _wall_signs, _wall_length],
)
def _(attempt):
    case = np.array([3.0, 1.0]), -1.0, np.array([1.0, 0.0]), 2.0
    got = float(call(attempt, *case, shape=()))
    for wrong, question in [
        (_wall_halfway, "halfway is K-means' wall. Where do the offsets enter?"),
        (_wall_from_the_other_end, "that is the share seen from the other site. Where does tau = 0 lie?"),
        (_wall_signs, "the wall moves the wrong way. Which region grows when b_r does?"),
        (_wall_length, "that is a length in the plane. How long is the way from site to site?"),
    ]:
        ask(not np.isclose(got, wrong(*case)), question)
    rng = np.random.default_rng(1)
    for _ in range(10):
        (a_r, a_s), (b_r, b_s) = rng.normal(size=(2, 5)), rng.normal(size=2)
        x = a_s + float(call(attempt, a_r, b_r, a_s, b_s, shape=())) * (a_r - a_s)
        ask(np.isclose(a_r @ x + b_r, a_s @ x + b_s), "at your place the two scores differ. Is your equation linear in tau?")


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


@exercise(
    "10.5",
    solution=entropy,
    wrong=[_entropy_nats, _entropy_sign, _entropy_all_equal, _entropy_unweighted],
)
def _(attempt):
    codes = np.array([7] * 8 + [0] * 4 + [3] * 2 + [4] * 2)
    got = float(call(attempt, codes, shape=()))
    for wrong, question in [
        (_entropy_nats, "that is in nats. Which logarithm counts bits?"),
        (_entropy_sign, "your entropy is negative. What is the sign of the logarithm of a share?"),
        (_entropy_all_equal, "that would be right if all numbers occurred equally often. Where do the shares enter?"),
        (_entropy_unweighted, "rare numbers count as much as common ones. How often is each name wired?"),
    ]:
        ask(not np.isclose(got, wrong(codes)), question)
    ask(np.isclose(got, entropy(codes)), "shares of 1/2, 1/4, 1/8, 1/8 go wrong. How long is the name of each?")
    ask(np.isclose(float(call(attempt, codes - 5, shape=())), entropy(codes)), "some whole numbers are negative. "
        "Does it matter for a message which numbers are used as names?")  # fmt: skip
    ask(abs(float(call(attempt, np.full(5, 3), shape=()))) < 1e-12, "one and the same number, always, still costs you. "
        "What is there to say about it?")  # fmt: skip


@exercise("10.6")
def _(attempt):
    def right(stamps, A, B, x):
        scores = x @ A.T + B
        clear = np.diff(np.sort(scores, axis=1)[:, -2:], axis=1)[:, 0] > 1e-6
        near = ((x[:, None] - stamps) ** 2).sum(axis=2).argmin(axis=1)
        return (near == scores.argmax(axis=1))[clear].all()

    u = np.linspace(-3, 3, 50)[:, None]
    relu = np.array([[0.0], [1.0]]), np.zeros(2)
    got = call(attempt, *relu, shape=(2, 1))
    ask(not np.allclose(got, relu[0]), "these are the slopes themselves. Is ReLU's wall halfway between them?")
    rng = np.random.default_rng(2)
    for R, D in [(2, 1), (3, 2), (4, 6), (6, 5)]:
        A, B = rng.normal(size=(R, D)), rng.normal(size=R)
        stamps = call(attempt, A, B, shape=(R, D))
        x, shift = 5 * rng.normal(size=(5000, D)), stamps - A
        ask(right(stamps, A, B, x) or not right(A - shift, A, B, x),
            "you moved all stamps the wrong way. Which sign has the shift's equation?")  # fmt: skip
        halved = right(A + shift / 2, A, B, x) or right(A + 2 * shift, A, B, x)
        ask(right(stamps, A, B, x) or not halved, "the direction of your shift is right. And its length?")
        ask(np.allclose(shift, shift[0]) or right(stamps, A, B, x), "your stamps are shifted by different vectors, "
            "and codes go wrong. Which change leaves all differences of slopes alone?")  # fmt: skip
        ask(right(stamps, A, B, x), f"with {R} pieces on {D} inputs some points get another number. "
            "For which of the weights does your shift make up?")  # fmt: skip
    ask(right(got, *relu, u), "ReLU goes wrong. What number must lie halfway between your two stamps?")
