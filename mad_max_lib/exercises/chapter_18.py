"""Chapter 18, vector quantization and K-means."""

import numpy as np

from . import ask, call, exercise


def move(x, centroids, codes):
    moved = centroids.astype(float)
    for r in range(len(centroids)):
        if (codes == r).any():
            moved[r] = x[codes == r].mean(axis=0)
    return moved


def _move_to_the_median(x, centroids, codes):
    return np.array([
        np.median(x[codes == r], axis=0) if (codes == r).any() else centroids[r]
        for r in range(len(centroids))
    ])  # fmt: skip


def _move_to_the_sum(x, centroids, codes):
    return move(x, centroids, codes) * _counts(centroids, codes).clip(min=1)


def _move_to_one_number(x, centroids, codes):
    """mean() without an axis."""
    return np.array([
        np.full(x.shape[1], x[codes == r].mean()) if (codes == r).any() else centroids[r]
        for r in range(len(centroids))
    ])  # fmt: skip


def _move_assigns_anew(x, centroids, codes):
    return move(x, centroids, ((x[:, None] - centroids) ** 2).sum(axis=2).argmin(axis=1))


def _move_empty_to_nan(x, centroids, codes):
    return (np.eye(len(centroids))[codes].T @ x) / _counts(centroids, codes)


def _move_empty_to_zero(x, centroids, codes):
    return move(x, 0 * centroids, codes)


def _move_one_point_stays(x, centroids, codes):
    return np.where(_counts(centroids, codes) > 1, move(x, centroids, codes), centroids)


def _move_points_at_zero_stay(x, centroids, codes):
    """any() of the coordinates in place of whether there are points."""
    there = np.array([[x[codes == r].any()] for r in range(len(centroids))])
    return np.where(there, move(x, centroids, codes), centroids)


def _counts(centroids, codes):
    return np.bincount(codes, minlength=len(centroids))[:, None]


def _move_off(got, truth, x, centroids, codes):
    used = np.unique(codes)
    if np.allclose(got[used], truth[used]):
        return "a centroid without points is not where it was. Where should it be?"
    r = used[np.abs(got[used] - truth[used]).max(axis=1).argmax()]
    return f"centroid {r} is not at the mean of its points. Which points have the code {r}?"


_rng = np.random.default_rng(0)
_x, _CENTROIDS, _CODES = _rng.normal(size=(30, 2)), 3 * _rng.normal(size=(4, 2)), _rng.integers(4, size=30)
exercise(
    "18.1",
    solution=move,
    cases=[
        (_x, _CENTROIDS, _CODES),
        (_x, _CENTROIDS, 2 * (_CODES // 2)),  # two centroids without points
        (_rng.normal(size=(9, 5)), _rng.normal(size=(3, 5)), np.arange(9) % 3),
        (np.array([[0], [1]]), np.array([[0], [5]]), np.array([0, 0])),
        (_rng.normal(size=(5, 2)), _rng.normal(size=(3, 2)), np.array([0, 2, 0, 1, 0])),  # one point each
        (np.array([[0.0, 0], [3, 1], [0, 0], [3, 5]]), np.array([[1.0, 1], [4, 4]]), np.array([0, 1, 0, 1])),
    ],
    wrong={
        _move_to_the_median: "that is the median of the points. "
        "Which place makes the sum of squares smallest?",
        _move_to_the_sum: "your centroids are many times too far out. "
        "Is it the sum of the points that is asked for?",
        _move_to_one_number: "all coordinates of a moved centroid are the same number. "
        "Over which axis is the mean?",
        _move_assigns_anew: "you move centroids to points with other codes than those given. "
        "Who chooses the codes?",
        _move_empty_to_nan: "a centroid without points becomes NaN. "
        "What is the mean of nothing, and what was asked?",
        _move_empty_to_zero: "a centroid without points goes to the origin. Where should it be?",
        _move_one_point_stays: "a centroid with a single point stays where it is. "
        "What is the mean of one point?",
        _move_points_at_zero_stay: "a centroid whose points all lie at the origin does not move there. "
        "What does `.any()` ask of an array of coordinates?",
    },
    otherwise=_move_off,
)


def seeding(x, centroids):
    squares = ((x[:, None] - centroids) ** 2).sum(axis=2).min(axis=1)  # (N,), to the nearest
    return squares / squares.sum()


def _squares(x, centroids):
    return ((x[:, None] - centroids) ** 2).sum(axis=2)


def _seeding_unsquared(x, centroids):
    distances = np.sqrt(_squares(x, centroids).min(axis=1))
    return distances / distances.sum()


def _seeding_last_centroid(x, centroids):
    return seeding(x, centroids[-1:])


def _seeding_all_centroids(x, centroids):
    total = _squares(x, centroids).sum(axis=1)
    return total / total.sum()


def _seeding_farthest_centroid(x, centroids):
    most = _squares(x, centroids).max(axis=1)
    return most / most.sum()


def _seeding_farthest_point(x, centroids):
    return np.eye(len(x))[_squares(x, centroids).min(axis=1).argmax()]


def _seeding_not_divided(x, centroids):
    return _squares(x, centroids).min(axis=1)


def _seeding_by_the_largest(x, centroids):
    squares = _squares(x, centroids).min(axis=1)
    return squares / squares.max()


def _seeding_each_coordinate(x, centroids):
    squares = ((x[:, None] - centroids) ** 2).min(axis=1).sum(axis=1)
    return squares / squares.sum()


def _seeding_expanded(x, centroids):
    squares = (x**2).sum(axis=1)[:, None] - 2 * x @ centroids.T + (centroids**2).sum(axis=1)
    return squares.min(axis=1) / squares.min(axis=1).sum()


_BELOW_ZERO = (
    "one of your numbers is a little below 0, and a probability is not. "
    "Where does rounding make a squared distance negative?"
)


def _seeding_off(got, truth, x, centroids):
    if (got < 0).any():
        return "some of your probabilities are negative. Which squared distance is negative?"
    if not np.isclose(got.sum(), 1):
        return f"your numbers add up to {got.sum():.3f}. What do probabilities add up to?"
    there = truth == 0
    if got[there].any():
        return "a point on a centroid can be drawn again. How far is it from its nearest centroid?"
    return "the proportions are off. What are the squared distances of two points, by hand?"


_rng = np.random.default_rng(1)
_x = _rng.normal(size=(7, 3))


@exercise(
    "18.2",
    solution=seeding,
    cases=[
        (_x, _x[[4]]),
        (_x, _x[[1, 5, 0]]),
        (np.array([[1.0], [2.0], [9.0], [9.0]]), np.array([[1.0], [9.0]])),
        (_rng.normal(size=(12, 2)), 2 * _rng.normal(size=(5, 2))),
    ],
    wrong={
        _seeding_unsquared: "your probabilities grow with the distance itself. With what should they grow?",
        _seeding_last_centroid: "with one centroid you are right. With several, whose distance counts?",
        _seeding_all_centroids: "with one centroid you are right. "
        "With several, does every centroid count, or one of them?",
        _seeding_farthest_centroid: "with one centroid you are right. Which of several centroids counts?",
        _seeding_farthest_point: "always the same point is drawn. Which others should have a chance?",
        _seeding_not_divided: "those are the squared distances themselves. What do probabilities add up to?",
        _seeding_by_the_largest: "the largest of your numbers is always 1. What should they add up to?",
        _seeding_each_coordinate: "with one centroid you are right. "
        "With several, is one centroid the nearest, or another one for each coordinate?",
        _seeding_expanded: _BELOW_ZERO,
    },
    otherwise=_seeding_off,
)
def check_18_2(attempt):
    """Points on a centroid, where an expanded square is zero up to rounding."""
    for D in (2, 20):
        x = np.random.default_rng(2).normal(size=(60, D)) + 2
        chances = call(attempt, x, x[:40], shape=(60,), like=x, may_be_nan=True)
        ask(not ((chances < 0) & (chances > -1e-9)).any(), _BELOW_ZERO)


exercise(
    "18.3",
    solution=[0, 1, 2, 1],
    wrong={
        (2, 1, 2, 2): "some codes have the largest inner product. Where do the offsets enter?",
        (2, 2, 2, 2): "the longest centroid wins everywhere. Where do the offsets enter?",
        (0, 1, 2, 2): "three are right. Which number wins when two scores are equal?",
        (0, 0, 0, 0): "the centroid at the origin wins everywhere. "
        "Is the offset the square of the length, or another share of it?",
        (0, 0, 0, 1): "centroid 0 wins too often. "
        "Is the offset the square of the length, or another share of it?",
        (1, 2, 3, 2): "from which number do we count the pieces of a unit?",
    },
    otherwise="not all are right. What are the distances to the centroids?",
    why="The offsets are 0, -2 and -8. Scores: (0, -0.2, -4.4), (0, 0.4, -4), (0, 0, 4), and (0, 2, 2), "
    "a tie, because (2, 2.5) is 2.5 away from both centroids.",
)


exercise(
    "18.4",
    solution=[1, 1, 1, 0, 1, 0],
    wrong={
        (0, 0, 0, 1, 0, 1): "are your ones the centroids with a region, or those without?",
        (1, 1, 0, 1, 1, 0): "you dropped the two shortest centroids. Does the picture at h = 0 agree?",
        (1, 1, 1, 1, 1, 1): "that is the picture at h = 1. Which colours are left at h = 0?",
    },
    otherwise="the picture at h = 0 shows other regions. Which colours are left there?",
    why="Centroids 3 and 5 lie inside the polygon that the other four span. So each is a mean of those four "
    "with positive weights, and its inner product with any x is the same weighted mean of their inner "
    "products. For x other than 0 these four are not all equal, so the mean is below the largest. "
    "Centroid 2 is the shortest, and keeps a region.",
)


def quantize(x, books):
    codes, decoded = [], []
    parts = x.reshape(len(x), len(books), -1)  # (N, M, D / M)
    for m, A in enumerate(books):
        codes.append((parts[:, m] @ A.T - (A**2).sum(axis=1) / 2).argmax(axis=1))
        decoded.append(A[codes[-1]])  # (N, D / M)
    return np.stack(codes, axis=1), np.concatenate(decoded, axis=1)


def _decode(codes, books):
    return codes, books[np.arange(len(books)), codes].reshape(len(codes), -1)


def _part_scores(x, books, share=0.5):
    """Scores (N, M, R)."""
    parts = x.reshape(len(x), len(books), -1)
    return np.einsum("nmd,mrd->nmr", parts, books) - share * (books**2).sum(axis=2)


def _quantize_interleaved(x, books):
    M = len(books)
    across = x.reshape(len(x), -1, M).transpose(0, 2, 1)
    codes, decoded = quantize(across.reshape(len(x), -1), books)
    return codes, decoded.reshape(len(x), M, -1).transpose(0, 2, 1).reshape(len(x), -1)


def _quantize_first_book(x, books):
    return quantize(x, np.repeat(books[:1], len(books), axis=0))


def _quantize_no_offsets(x, books):
    """None, or the same one for all centroids."""
    return _decode(_part_scores(x, books, 0).argmax(axis=2), books)


def _quantize_full_squares(x, books):
    return _decode(_part_scores(x, books, 1).argmax(axis=2), books)


def _quantize_farthest(x, books):
    return _decode(_part_scores(x, books).argmin(axis=2), books)


def _quantize_one_code(x, books):
    joint = _part_scores(x, books).sum(axis=1).argmax(axis=1)
    return _decode(np.repeat(joint[:, None], len(books), axis=1), books)


def _quantize_decodes_with_the_first(x, books):
    return quantize(x, books)[0], _decode(quantize(x, books)[0], np.repeat(books[:1], len(books), axis=0))[1]


def _quantize_parts_reversed(x, books):
    codes, decoded = quantize(x, books)
    return codes, decoded.reshape(len(x), len(books), -1)[:, ::-1].reshape(len(x), -1)


def _quantize_by(x, books, cost):
    """The smallest cost (N, M, R) wins, of the differences (N, M, R, D / M) between parts and centroids."""
    parts = x.reshape(len(x), len(books), 1, -1)
    return _decode(cost(parts - books).argmin(axis=2), books)


def _quantize_wrong_sign(x, books):
    return _decode(_part_scores(x, books, -0.5).argmax(axis=2), books)


def _quantize_from_one(x, books):
    codes, decoded = quantize(x, books)
    return codes + 1, decoded


def _quantize_lengths(x, books):
    """The length in place of its square in the offset."""
    squares = (books**2).sum(axis=2)
    return _decode((_part_scores(x, books, 0) - np.sqrt(squares) / 2).argmax(axis=2), books)


def _quantize_absolute(x, books):
    return _quantize_by(x, books, lambda apart: np.abs(apart).sum(axis=3))


def _quantize_stacked(x, books):
    """The decoded parts stacked along a first axis, and then reshaped."""
    codes, decoded = quantize(x, books)
    return codes, decoded.reshape(len(x), len(books), -1).transpose(1, 0, 2).reshape(len(x), -1)


def _quantize_not_decoded(x, books):
    return quantize(x, books)[0], x


def _quantize_rounded(x, books):
    """Decoded into np.zeros_like(x)."""
    codes, decoded = quantize(x, books)
    return codes, decoded.astype(x.dtype)


def _quantize_off(got, truth, x, books):
    if (got[0] == truth[0]).all():
        return (
            "your codes are right, the decoded points are not. Which numbers of row 0 come from which part?"
        )
    if len(books) == 1:
        return (
            "with one codebook some codes are not the nearest centroid's. Which score belongs to the nearest?"
        )
    n, m = np.argwhere(got[0] != truth[0])[0]
    return (
        f"with {len(books)} codebooks, part {m} of point {n} gets another code than the nearest centroid's. "
        "Which numbers of the point make up this part, and which codebook serves it?"
    )


_WHOLE = "for points of whole numbers your decoded points are whole numbers, too. Are the centroids?"
_rng = np.random.default_rng(2)


@exercise(
    "18.5",
    solution=quantize,
    cases=[
        (_rng.normal(size=(15, 3)), _rng.normal(size=(1, 7, 3))),  # one codebook: the scores alone
        (_rng.normal(size=(20, 6)), _rng.normal(size=(3, 5, 2))),
        (_rng.normal(size=(11, 8)), _rng.normal(size=(2, 4, 4))),
        (_rng.normal(size=(10, 4)), _rng.normal(size=(4, 3, 1))),
    ],
    wrong={
        _quantize_interleaved: "with one codebook you are right. "
        "Do the numbers of a part stand next to each other in yours?",
        _quantize_first_book: "all your parts have the same codebook. Which belongs to each part?",
        _quantize_no_offsets: "you choose by the inner product. Has each centroid an offset of its own?",
        _quantize_full_squares: "short centroids win too often. Which share of the square is the offset?",
        _quantize_farthest: "you choose the farthest centroids. Which score belongs to the nearest?",
        _quantize_one_code: "all parts of a point get the same code. May each part choose its own?",
        _quantize_decodes_with_the_first: "your codes are right. Which codebook does each part decode with?",
        _quantize_parts_reversed: "your codes are right. In which order do the decoded parts stand?",
        _quantize_wrong_sign: "long centroids win too often. Which sign has the offset?",
        _quantize_from_one: "your decoded points are right. From which number do we count the centroids?",
        _quantize_lengths: "your offsets grow with the length of a centroid. With what should they grow?",
        _quantize_absolute: "you compare sums of absolute differences. Which distance is meant?",
        _quantize_stacked: "your codes are right, and the decoded parts stand in the wrong rows. "
        "Along which axis do the parts of one point lie?",
        _quantize_not_decoded: "your decoded points are the points themselves. "
        "What is left of a point once it is a code?",
        _quantize_rounded: _WHOLE,
    },
    otherwise=_quantize_off,
)
def check_18_5(attempt):
    books, x = np.random.default_rng(3).normal(size=(3, 5, 2)), np.random.default_rng(4).normal(size=(20, 6))
    codes, _ = call(attempt, x, books, shape=[(20, 3), (20, 6)], like=[x > 0, x], may_be_nan=True)
    ask(codes.dtype.kind in "iu", f"your codes have the dtype {codes.dtype}. Could they serve as indices?")
    whole = np.arange(24).reshape(4, 6)
    _, decoded = call(attempt, whole, books, shape=[(4, 3), (4, 6)], may_be_nan=True)
    ask(decoded.dtype.kind == "f" or (decoded == whole).all(), _WHOLE)


def _is_none(attempt, R):
    """Whether an attempt returns None for R centroids."""
    try:
        return attempt(np.arange(2.0 * R).reshape(R, 2), np.arange(1, R + 1)) is None
    except Exception:  # told by what follows
        return False


@exercise("18.6")
def check_18_6(attempt):
    rng = np.random.default_rng(6)
    ask(
        not (_is_none(attempt, 2) and not _is_none(attempt, 3)),
        "with 2 centroids your version returns None, with 3 it does not. Which pairs does it try?",
    )
    for R, D, most in [(2, 1, 5), (5, 2, 30), (6, 3, 60), (8, 5, 200), (7, 1, 40), (9, 2, 3)] * 3:
        A, counts = rng.normal(size=(R, D)), rng.integers(1, most, size=R)
        points = []
        for a, n in zip(A, counts, strict=True):
            around = rng.normal(size=(n, D))
            points.append(a + around - around.mean(axis=0))

        def growth(i, j, points=points, A=A):
            both = np.concatenate([points[i], points[j]])
            apart = sum(((points[r] - A[r]) ** 2).sum() for r in (i, j))
            return ((both - both.mean(axis=0)) ** 2).sum() - apart

        i, j, grown = call(attempt, A, counts, shape=(3,), like=0.0)
        ask(
            i == int(i) and j == int(j) and 0 <= i < R and 0 <= j < R,
            f"with {R} centroids you name {i:g} and {j:g}. Which numbers do the centroids have?",
        )
        i, j = int(i), int(j)
        ask(i != j, f"you merge centroid {i} with itself. Which two are asked for?")
        ask(i < j, f"you name {i} before {j}. Which of the two should come first?")
        n_i, n_j, square = counts[i], counts[j], ((A[i] - A[j]) ** 2).sum()
        halfway = (n_i + n_j) / 4 * square
        ask(
            np.isclose(grown, growth(i, j)) or not np.isclose(grown, halfway),
            "your growth is that of a new centroid halfway between the two. "
            "Is there a better place if one has more points?",
        )
        squared_sum = n_i * n_j / (n_i + n_j) * (A[i] - A[j]).sum() ** 2
        ask(
            np.isclose(grown, growth(i, j)) or not np.isclose(grown, squared_sum),
            "with one coordinate you are right. With two, what is the squared distance of (0, 0) and (3, 3)?",
        )
        ask(
            np.isclose(grown, growth(i, j)),
            f"for {n_i} and {n_j} points whose means are {square**0.5:.3f} apart you say that the inertia "
            f"grows by {grown:.4g}. What do you find for two points at (0, 0) and one at (3, 3), by hand?",
        )
        pairs = [(r, s) for r in range(R) for s in range(r + 1, R)]
        best = grown <= min(growth(*pair) for pair in pairs) + 1e-9
        apart = [((A[r] - A[s]) ** 2).sum() for r, s in pairs]
        ask(
            best or square > min(apart),
            f"{i} and {j} are the two closest centroids, but another pair costs less. "
            "What else does the growth depend on?",
        )
        ask(
            best or n_i + n_j > np.sort(counts)[:2].sum(),
            f"{i} and {j} are the two centroids with the fewest points, but another pair costs less. "
            "What else does the growth depend on?",
        )
        ask(
            best,
            f"your growth is right for the centroids {i} and {j}, but with these {R} centroids another pair "
            "costs less. Which quantity must be smallest, and over which pairs?",
        )
