"""Chapter 14, orthogonal templates."""

import numpy as np

from . import ask, call, exercise, within

exercise(
    "14.1",
    solution=[0, 2, 1],
    wrong={
        (0, 1, 0.5): "each pair of rows is counted once here. How many ordered pairs do two rows make?",
        (97, 4, 4): "a row's product with itself is in your sums. Is a row different from itself?",
        (0, 1, 1): "the third sum is right. Are both orders of a pair in the second one?",
        (0, 2, 0.5): "the second sum is right. Are both orders of a pair in the third one?",
        (0, -2, 2): "an overlap came out negative. "
        "What does the definition do to each product before adding?",
        (0, 2, 2): "the third one adds the products themselves, or their sizes. What happens to 0.5 first?",
    },
    otherwise="write down the entries that belong to pairs of different rows. What is done to each of them?",
    why="Only what stands beside the diagonal counts, squared, and every pair twice: 0, "
    "then (-1)^2 + (-1)^2 = 2, then 4 times 0.5^2 = 1. Opposite rows overlap as much as equal ones.",
)


def overlap_gradient(W):
    G = W @ W.T
    np.fill_diagonal(G, 0)
    return 4 * G @ W


def _gradient_half(W):
    return overlap_gradient(W) / 2


def _gradient_with_itself(W):
    return 4 * (W @ W.T) @ W


def _gradient_of_products(W):
    return 2 * (W.sum(axis=0) - W)


def _gradient_of_cosines(W):
    return overlap_gradient(W / np.linalg.norm(W, axis=1, keepdims=True))


def _gradient_downhill(W):
    return -overlap_gradient(W)


def _which_row(got, truth, W):
    c = int((~np.isclose(got, truth)).any(axis=1).argmax())
    return (
        f"row {c} should begin with {truth[c, :2].round(4)} and begins with {got[c, :2].round(4)}. "
        f"Which rows pull on row {c}, and how hard does each of them pull?"
    )


exercise(
    "14.2",
    solution=overlap_gradient,
    cases=[(np.random.default_rng(0).normal(size=(4, 6)),)],
    wrong={
        _gradient_half: "your gradient is half as large as it should be. "
        "How often does a pair appear in the sum?",
        _gradient_downhill: "your answer points the other way. Is the gradient uphill or downhill?",
        _gradient_with_itself: "your row c is also pulled by itself. "
        "Which entries of the Gram matrix does the overlap leave out?",
        _gradient_of_products: "how large a product is does not matter to your gradient. "
        "Are the products squared?",
        _gradient_of_cosines: "your version scales the rows first. Does the overlap see the lengths?",
    },
    otherwise=_which_row,
)


_SHORTER = (13**0.5 - 3) / 2
exercise(
    "14.3",
    solution=_SHORTER**0.5,
    equal=within(2e-3),
    wrong={
        _SHORTER: "that is the square of a length. Which length belongs to it?",
        1.0: "that is the length at the start. What does the theorem say of a row with a product?",
        (_SHORTER + 3) ** 0.5: "that is the length of one of the rows. Of which one?",
        (13**0.5 / 2) ** 0.5: "your s is right. Are the two squared lengths equal?",
        13**0.5: "that is s at the end. What else is kept on the way?",
        0.5**0.5: "are both rows of length 1 here?",
    },
    otherwise="at the start s is 5. What are p and the two kept quantities, and what is s when p is 0?",
    why="s = 1 + 4 = 5 and p = 2 cos 30 = 1.732, so s^2 - 4 p^2 = 25 - 12 = 13. At the end p = 0 and "
    "s = 3.606. The squared lengths still differ by 3, so they are 0.303 and 3.303. The shorter row has the "
    "length 0.550.",
)


def right_angles(W):
    new = []
    for row in W:
        left = row
        for u in new:
            left = left - (left @ u) / (u @ u) * u
        new.append(left * np.linalg.norm(row) / np.linalg.norm(left))
    return np.array(new)


def _angles_length_one(W):
    new = right_angles(W)
    return new / np.linalg.norm(new, axis=1, keepdims=True)


def _angles_length_lost(W):
    Q = _angles_length_one(W)
    return (W * Q).sum(axis=1, keepdims=True) * Q


def _angles_of_columns(W):
    return right_angles(W.T).T


def _angles_old_rows(W):
    new = W.copy()
    for c in range(1, len(W)):
        new[c] -= sum((W[c] @ W[j]) / (W[j] @ W[j]) * W[j] for j in range(c))
        new[c] *= np.linalg.norm(W[c]) / np.linalg.norm(new[c])
    return new


def _angles_first_row_only(W):
    new = W - np.outer(W @ W[0] / (W[0] @ W[0]), W[0])
    new[0] = W[0]
    return new * np.linalg.norm(W, axis=1, keepdims=True) / np.linalg.norm(new, axis=1, keepdims=True)


def _which_angle(got, truth, W):
    products = got @ got.T
    np.fill_diagonal(products, 0)
    if not np.allclose(products, 0):
        c, j = np.unravel_index(np.abs(products).argmax(), products.shape)
        return f"rows {c} and {j} still have the product {products[c, j]:.3f}. Was that part taken away?"
    if not np.allclose(np.linalg.norm(got, axis=1), np.linalg.norm(W, axis=1)):
        return "the angles are right, the lengths are not. When must a row's length be measured?"
    return "the rows are orthogonal, but not those of this recipe. Which row stays as it is?"


exercise(
    "14.4",
    solution=right_angles,
    cases=[(np.random.default_rng(3).normal(size=(4, 6)) * [[1], [2], [3], [4]] + 1,)],
    wrong={
        _angles_length_one: "the angles are right, but all rows have length 1. "
        "Which lengths should they keep?",
        _angles_length_lost: "the angles are right, but the rows became shorter. "
        "What happens when parts are taken away?",
        _angles_of_columns: "you treated the columns of W. Is a template a row or a column?",
        _angles_old_rows: "row 2 is not orthogonal. Are the earlier rows that you use orthogonal themselves?",
        _angles_first_row_only: "every row is orthogonal to row 0, but not to the others. "
        "Which parts are left?",
    },
    otherwise=_which_angle,
)


@exercise("14.5")
def check_14_5(attempt):
    rng = np.random.default_rng(1)
    w = rng.normal(size=5)
    cases = {
        "random rows": rng.normal(size=(2, 5)),
        "nearly equal rows": w + 0.1 * rng.normal(size=(2, 5)),
        "orthogonal rows": np.array([[2.0, 0, 0], [0, 0, 3.0]]),
        "opposite rows": np.stack([w, -w]),
        "opposite rows along the last axis": np.array([[0.0, 0.0, 2.0], [0.0, 0.0, -2.0]]),
        "equal rows": np.stack([w, w]),
        "short rows": 0.01 * rng.normal(size=(2, 5)),
        "rows along an axis": np.array([[3.0, 0.0], [-3.0, 0.0]]),
        "rows of one number": np.array([[3.0], [5.0]]),
    }
    for name, W in cases.items():
        v = call(attempt, W, shape=W.shape[1:])
        product, size = (W[0] + v) @ (W[1] + v), np.linalg.norm(W) ** 2
        ask(
            abs(product) <= 1e-9 * size,
            f"{name}: after adding your row their product is {product:.3g}. "
            "With m the mean of the two rows, how long must m + v be?",
        )
        mean, half = np.linalg.norm(W.sum(axis=0)) / 2, np.linalg.norm(W[0] - W[1]) / 2
        ask(
            np.linalg.norm(v) <= abs(mean - half) + 1e-9 * size,
            f"{name}: the product is zero, but a shorter row does it, too. "
            "In which direction is the way from m the shortest?",
        )


_BOUND = (1000**2 / 512 - 1000) / (1000 * 999)
exercise(
    "14.6",
    solution=[512, _BOUND**0.5],
    equal=within(2e-4),
    wrong={
        (512, _BOUND): "the first number is right. Is the second the mean of the squares, or its root?",
        (512, (2 * _BOUND) ** 0.5): "the bound counts ordered pairs. How many of these do 1,000 rows make?",
        (512, (1000 / 512 / 999) ** 0.5): "the second is too large. Is the term K in your bound?",
        (512, 0): "512 rows can be orthogonal. Can all 1,000 of them?",
        (1000, 0): "can 1,000 rows of 512 numbers be linearly independent?",
        (1000, _BOUND**0.5): "the second number is right. How many rows can be linearly independent?",
        (512, (_BOUND * 999000) ** 0.5): "you took the root of a sum. Over how many pairs is the mean?",
    },
    otherwise="what are K and D here? What does the theorem say of the number of orthogonal rows, and of the "
    "sum of the squared cosines?",
    why="At most D = 512 rows can be orthogonal. The bound is 1000^2 / 512 - 1000 = 953.1, the sum over "
    "1000 times 999 ordered pairs. The mean is 0.000954, and its root is 0.031, about 88 degrees.",
)
