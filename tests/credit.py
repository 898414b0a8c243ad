"""Accepted solutions of the problems for credit, and wrong answers that their checks must reject."""

from itertools import combinations

import numpy as np

from mad_max_lib.exercises.chapter_01 import visible


def add(a_1, b_1, a_2, b_2):
    a, b = (a_1[:, None] + a_2).ravel(), (b_1[:, None] + b_2).ravel()
    seen = visible(a, b)
    return a[seen], b[seen]


def add_all_pairs(a_1, b_1, a_2, b_2):
    return (a_1[:, None] + a_2).ravel(), (b_1[:, None] + b_2).ravel()


def add_piece_by_piece(a_1, b_1, a_2, b_2):
    R = max(len(a_1), len(a_2))
    return (np.pad(a_1, (0, R - len(a_1))) + np.pad(a_2, (0, R - len(a_2))),
            np.pad(b_1, (0, R - len(b_1))) + np.pad(b_2, (0, R - len(b_2))))  # fmt: skip


def add_merge(a_1, b_1, a_2, b_2):
    """Walk along both splines, and stop at every kink of either, even at common ones."""
    kinks = [-np.diff(b) / np.diff(a) for a, b in ((a_1, b_1), (a_2, b_2))]
    ends = np.sort(np.concatenate(kinks))
    places = np.r_[ends[:1] - 1, (ends[1:] + ends[:-1]) / 2, ends[-1:] + 1] if len(ends) else np.zeros(1)
    r, s = ((places[:, None] * a + b).argmax(1) for a, b in ((a_1, b_1), (a_2, b_2)))
    return a_1[r] + a_2[s], b_1[r] + b_2[s]


def top_two(D):
    pairs = list(combinations(range(D), 2))
    A = np.zeros((1, len(pairs), D))
    for r, pair in enumerate(pairs):
        A[0, r, list(pair)] = 1.0
    return A, np.zeros((1, len(pairs)))


def top_two_ordered_pairs(D):
    A, B = top_two(D)
    return np.concatenate([A, A], axis=1), np.concatenate([B, B], axis=1)


def top_two_twice_the_largest(D):
    return 2 * np.eye(D)[None], np.zeros((1, D))


def top_two_flat(D):
    A, B = top_two(D)
    return A[0], B[0]


def distance_to_border(params, x):
    A_x, b_x, nearest = np.eye(len(x)), np.zeros(len(x)), np.inf
    for W, b in params[:-1]:
        A_x, b_x = W @ A_x, W @ b_x + b
        u, length = A_x @ x + b_x, np.linalg.norm(A_x, axis=1)
        nearest = min(nearest, (np.abs(u[length > 0]) / length[length > 0]).min(initial=np.inf))
        A_x, b_x = (u > 0)[:, None] * A_x, (u > 0) * b_x
    return nearest


def distance_first_layer(params, x):
    W, b = params[0]
    return (np.abs(W @ x + b) / np.linalg.norm(W, axis=1)).min()


def distance_halved(params, x):
    return distance_to_border(params, x) / 2


SOLUTIONS = {"1.5": add, "2.6": top_two, "3.5": distance_to_border}
WRONG = {
    "1.5": [add_all_pairs, add_piece_by_piece, add_merge],
    "2.6": [top_two_ordered_pairs, top_two_twice_the_largest, top_two_flat],
    "3.5": [distance_first_layer, distance_halved],
}
