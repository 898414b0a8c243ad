"""Chapter 12, from codes back to signals."""

import numpy as np
import torch
from scipy.optimize import linprog

from . import Wrong, call, exercise, value


@exercise(
    "12.1",
    solution=[1, 1],
    wrong=[[1.5, 0.5], [2, 0], [0, 2], [0.5, -0.5], [0, 0]],
    why="The shortest point of the line x1 + x2 = 2 lies where the line through the origin along (1, 1) meets it. "
    "There u2 = 1 - 1 - 1 is negative, so the second answer is no, as the letter says.",
)
def _(attempt):
    point = value(attempt, (2,))
    u = point[0] + point[1], point[0] - point[1] - 1
    if abs(u[0] - 2) > 1e-6:
        if u[0] > 0 > u[1] or not point.any():
            raise Wrong(f"at your point the first unit has the value {u[0]:g}. Which value does the letter give?")
        raise Wrong("the first unit says yes with the value 2. Which equation is that?")
    if u[1] > 1e-6:
        raise Wrong("there the second unit says yes. On which part of the line does it say no?")
    if abs(u[1]) <= 1e-6:
        raise Wrong("that is the end of the ray. Does the norm grow or shrink when you walk from there along the ray?")
    if np.abs(point - 1).max() > 1e-6:
        raise Wrong("the point has this letter. Is there a shorter one, halfway between the two axes?")


def least_norm(A, b, z):
    return np.linalg.pinv(A) @ (z - b)


def _transposed(A, b, z):
    return A.T @ (z - b)


def _no_offset(A, b, z):
    return np.linalg.pinv(A) @ z


def _some_solution(A, b, z):
    use = np.flatnonzero(A.any(axis=1))
    u = np.zeros(A.shape[1])
    u[: len(use)] = np.linalg.solve(A[use][:, : len(use)], (z - b)[use])
    return u


def _ridge(A, b, z):
    return np.linalg.solve(A.T @ A + 0.1 * np.eye(A.shape[1]), A.T @ (z - b))


def _live_rows(A, b, z):
    on = np.abs(A).sum(axis=1) > 0
    return A[on].T @ np.linalg.inv(A[on] @ A[on].T) @ (z - b)[on]


def _coarse(A, b, z):
    return np.linalg.pinv(A, rcond=1e-3) @ (z - b)


@exercise("12.2", solution=least_norm, wrong=[_transposed, _no_offset, _some_solution, _ridge, _live_rows, _coarse])
def _(attempt):
    rng = np.random.default_rng(0)
    A, b, x = rng.normal(size=(6, 5)), rng.normal(size=6), rng.normal(size=5)
    A[[1, 3, 4]], b[[1, 3, 4]] = 0, 0
    z = A @ x + b
    got, truth = call(attempt, A, b, z, shape=(5,)), least_norm(A, b, z)
    if np.allclose(got, A.T @ (z - b)):
        raise Wrong("the transpose turns the arrows round but undoes no stretching. Does your picture give z again?")
    if np.allclose(A @ got, z):
        raise Wrong("your picture gives z itself without the offset. What does the layer add to A u?")
    if not np.allclose(A @ got + b, z, rtol=0, atol=1e-6):
        raise Wrong("A u + b is not z. Is the inverse the exact one, on the part that has an inverse?")
    if np.linalg.norm(got) > np.linalg.norm(truth) + 1e-6:
        raise Wrong("your picture has the right values, but there is a shorter one. Does yours contain a part "
                    "that A does not see?")  # fmt: skip
    for smallest, question in [
        (1.0, "nine rows, one of them a mixture of the others, go wrong. Which inverse bears that?"),
        (1e-4, "a part of u that A shrinks ten thousand times is lost, though z tells it. What counts as zero?"),
    ]:
        A = rng.normal(size=(9, 5)) @ np.diag([1, 1, 1, smallest, 0]) @ np.linalg.qr(rng.normal(size=(5, 5)))[0]
        z = A @ x + 1.0
        got = call(attempt, A, np.ones(9), z, shape=(5,))
        if not np.allclose(got, least_norm(A, np.ones(9), z), rtol=0, atol=1e-6):
            raise Wrong(question)


def half_spaces(A, c, bits):
    s = np.where(bits, 1.0, -1.0)
    return -s[:, None] * A, s * c


def _sign_forgotten(A, c, bits):
    return -A, c


def _other_side(A, c, bits):
    G, h = half_spaces(A, c, bits)
    return -G, -h


def _offset_sign(A, c, bits):
    G, h = half_spaces(A, c, bits)
    return G, -h


def _zeros_for_no(A, c, bits):
    return -1.0 * bits[:, None] * A, bits * c


@exercise("12.3", solution=half_spaces, wrong=[_sign_forgotten, _other_side, _offset_sign, _zeros_for_no])
def _(attempt):
    rng = np.random.default_rng(1)
    A, c, bits = rng.normal(size=(6, 3)), rng.normal(size=6), np.array([1, 0, 1, 0, 0, 1], bool)
    G, h = call(attempt, A, c, bits, shape=[(6, 3), (6,)])
    u = 2 * rng.normal(size=(500, 3))
    inside, wanted = u @ G.T <= h, (u @ A.T + c > 0) == bits
    if not G[~bits].any():
        raise Wrong("the rows of the units that say no are empty. Does a no tell nothing?")
    if (inside == ~wanted).all():
        raise Wrong("every point is on the wrong side of every row. Does a yes mean A u + c at least 0, or at most?")
    if (inside[:, bits] == wanted[:, bits]).all() and (inside[:, ~bits] != wanted[:, ~bits]).all():
        raise Wrong("all rows are made as if every unit said yes. Which way do the others point?")
    if (inside.all(axis=1) == wanted.all(axis=1)).all() and (inside != wanted).any():
        raise Wrong("the polytope is right, but row k should be the side of unit k. In which order do yours come?")
    if (inside != wanted).any():
        raise Wrong("the normals may be right, the borders are in the wrong place. To which side of <= does c go, "
                    "and with which sign?")  # fmt: skip


def ball_program(G, h):
    M, D = G.shape
    sides = np.concatenate([G, np.eye(D), -np.eye(D)])
    lengths = np.linalg.norm(sides, axis=1)
    cost = np.append(np.zeros(D), -1.0)
    return cost, np.column_stack([sides, lengths]), np.concatenate([h, np.ones(D), np.zeros(D)])


def _column(G, h, change):
    cost, sides, room = ball_program(G, h)
    sides[:, -1] = change(sides[:, -1])
    return cost, sides, room


def _radius_small(G, h):
    cost, sides, room = ball_program(G, h)
    return -cost, sides, room


def _no_lengths(G, h):
    return _column(G, h, np.ones_like)


def _squared(G, h):
    return _column(G, h, np.square)


def _walls_only_for_the_centre(G, h):
    return _column(G, h, lambda lengths: np.where(np.arange(len(lengths)) < len(h), lengths, 0))


def _wall_at_minus_one(G, h):
    cost, sides, room = ball_program(G, h)
    return cost, sides, np.concatenate([h, np.ones(2 * G.shape[1])])


@exercise(
    "12.4",
    solution=ball_program,
    wrong=[_radius_small, _no_lengths, _squared, _walls_only_for_the_centre, _wall_at_minus_one],
)
def _(attempt):
    rng = np.random.default_rng(2)
    G = rng.normal(size=(5, 3)) * np.array([[0.2], [1], [3], [0.5], [2]])
    h = G @ np.full(3, 0.4) + np.linalg.norm(G, axis=1) * rng.uniform(0.3, 1, size=5)
    cost, sides, room = call(attempt, G, h, shape=[(4,), (11, 4), (11,)])
    if np.abs(cost[:3]).max() > 0 or cost[3] == 0:
        raise Wrong("the cost should be about the radius alone. Which entry of v is it?")
    if cost[3] > 0:
        raise Wrong("this makes the radius as small as it can be. Which cost falls when the radius grows?")
    if (sides[:, 3] <= 0).all():
        raise Wrong("your sides give way as the ball grows. Does a larger ball need more room or less?")
    walls = sides[5:, 3], sides[:5, 3] / np.linalg.norm(G, axis=1)
    if not walls[0].any():
        raise Wrong("the ball may stick out of the box. Do its walls hold only the centre?")
    if np.allclose(walls[1], np.linalg.norm(G, axis=1)):
        raise Wrong("the farthest point of the ball is u + rho g / |g|. What is its inner product with g?")
    if np.ptp(sides[:, 3]) == 0:
        raise Wrong("a row multiplied by 2 is the same side. Does the ball need the same room then, in your rows?")
    found, truth = (linprog(*program, bounds=(None, None)) for program in ((cost, sides, room), ball_program(G, h)))
    if not found.success or abs(found.x[3] - truth.x[3]) > 1e-7:
        raise Wrong("the ball that comes out is not the largest one in the box from 0 to 1. What is the room at each wall?")


def backward(network, x):
    x = x.clone().requires_grad_()
    z = network(x)
    return torch.autograd.grad(z, x, z.detach())[0]


def _ones(network, x):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(network(x).sum(), x)[0]


def _squared_norm(network, x):
    x = x.clone().requires_grad_()
    return torch.autograd.grad((network(x) ** 2).sum(), x)[0]


def _mean(network, x):
    return backward(network, x) / len(x)


def _inverse(network, x):
    rows = [torch.autograd.functional.jacobian(lambda u: network(u[None])[0], point) for point in x]
    return torch.stack([torch.linalg.pinv(A) @ z for A, z in zip(rows, network(x), strict=True)])


@exercise("12.6", solution=backward, wrong=[_ones, _squared_norm, _mean, _inverse])
def _(attempt):
    rng = np.random.default_rng(3)
    W, b, V, x = (torch.from_numpy(rng.normal(size=size)) for size in ((7, 4), 7, (5, 7), (3, 4)))

    def network(u):
        return torch.relu(torch.relu(u @ W.T + b) @ V.T + 0.1)

    got, truth = call(attempt, network, x, shape=(3, 4)), backward(network, x).numpy()
    if np.allclose(got, _ones(network, x).numpy()):
        raise Wrong("that is the sum of the rows of A. With which weights should the rows be added?")
    if np.allclose(got, 2 * truth):
        raise Wrong("everything is twice too large. What is the derivative of a square?")
    if np.allclose(3 * got, truth):
        raise Wrong("three points come out three times too small. Should one point know how many others there are?")
    if np.allclose(got, _inverse(network, x).numpy()):
        raise Wrong("that inverts A. What does a backward pass multiply with?")
    if not np.allclose(got, truth):
        raise Wrong("the answer is not the transpose of A times z. What goes into the backward pass, and at which layer?")


def _known_corner(rng, goal):
    """G, h, a point u with the smallest <goal, u> in the polytope: a mix of active sides and walls balances goal."""
    D, M = 6, 12
    u, G = rng.uniform(0.2, 0.8, D), rng.normal(size=(M, D))
    u[:2] = goal[:2] < 0  # at a wall that stops the way down
    push = np.append(rng.uniform(0.5, 1, D - 3), 1.0)
    G[D - 3] = -push[:-1] @ G[: D - 3] - goal / D
    G[D - 3, :2] = -push[:-1] @ G[: D - 3, :2]
    return G, G @ u + np.where(np.arange(M) < D - 2, 0, rng.uniform(0.2, 1, M)), u


@exercise("12.5")
def _(attempt):
    rng = np.random.default_rng(4)
    for which, goal in [(0, np.ones(6)), (1, -np.ones(6))] * 5:
        G, h, best = _known_corner(rng, goal)
        points = np.array(call(attempt, G, h, shape=[(6,), (6,)]))
        if (points < -1e-6).any() or (points > 1 + 1e-6).any():
            raise Wrong("an entry of your points is below 0 or above 1. Which pixels are paper and ink?")
        if (points @ G.T > h + 1e-6).any():
            raise Wrong("a point violates a row of G u <= h. Is it in the polytope, or only in the box?")
        if points[0].mean() > points[1].mean() + 1e-6:
            raise Wrong("the first point has more ink than the second. In which order do they come?")
        if abs(points[which].mean() - best.mean()) > 1e-6:
            wish = "less" if which == 0 else "more"
            raise Wrong(f"there is a point in the polytope with {wish} ink than yours. Did you search all of it?")
