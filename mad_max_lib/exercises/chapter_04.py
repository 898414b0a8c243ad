"""Chapter 04, MASOs in torch."""

import numpy as np
import torch
import torch.nn.functional as F

from . import Wrong, call, exercise, value


def held_at_zero(W_1, b_1, W_2, b_2, gates):
    return (gates * b_1) @ W_2.T + b_2


def _held_all_open(W_1, b_1, W_2, b_2, gates):
    return (0 * gates + b_1) @ W_2.T + b_2


def _held_free(W_1, b_1, W_2, b_2, gates):
    return (0 * gates + b_1 * (b_1 > 0)) @ W_2.T + b_2


def _held_no_last(W_1, b_1, W_2, b_2, gates):
    return (gates * b_1) @ W_2.T


@exercise("4.1", solution=held_at_zero, wrong=[_held_all_open, _held_free, _held_no_last])
def _(attempt):
    rng = np.random.default_rng(0)
    network = rng.normal(size=(5, 4)), rng.normal(size=5), rng.normal(size=(3, 5)), rng.normal(size=3)
    gates = (rng.normal(size=(6, 4)) @ network[0].T + network[1] > 0).astype(float)
    got, truth = call(attempt, *network, gates, shape=(6, 3)), held_at_zero(*network, gates)
    if np.allclose(got, _held_all_open(*network, gates)):
        raise Wrong("all points get the same vector, as if every gate were open. Whose gates decide what gets through?")
    if np.allclose(got, _held_free(*network, gates)):
        raise Wrong("that is what the free network gives at zero, with gates of its own. Who sets the gates here?")
    if np.allclose(got + network[3], truth):
        raise Wrong("one constant does not meet any gate. Which bias is missing?")
    if not np.allclose(got, truth):
        raise Wrong("the vectors are off. What is the pre-activation of a unit when the input is zero?")


def leaky_factors(u, slope):
    return torch.where(u > 0, torch.ones_like(u), slope * torch.ones_like(u))


def _leaky_single(u, slope):
    return torch.where(u > 0, 1.0, slope)


def _leaky_closed(u, slope):
    return (u > 0).to(u.dtype)


def _leaky_swapped(u, slope):
    return torch.where(u > 0, slope * torch.ones_like(u), torch.ones_like(u))


def _leaky_upper_tie(u, slope):
    return torch.where(u >= 0, torch.ones_like(u), slope * torch.ones_like(u))


@exercise("4.2", solution=leaky_factors, wrong=[_leaky_single, _leaky_closed, _leaky_swapped, _leaky_upper_tie])
def _(attempt):
    u = torch.from_numpy(np.random.default_rng(1).normal(size=(5, 4)))
    got = call(attempt, u, 0.1, shape=(5, 4))
    if np.allclose(got, F.leaky_relu(u, 0.1)):
        raise Wrong("that is the output of the leaky ReLU. By which number was each entry of u multiplied?")
    if np.allclose(got, u > 0):
        raise Wrong("these are the gates of a ReLU. What does a leaky ReLU let through where u is negative?")
    if np.allclose(got, torch.where(u > 0, 0.1, 1.0)):
        raise Wrong("positive entries are made smaller and negative ones kept. Which side leaks?")
    if not np.allclose(got, torch.where(u > 0, 1.0, 0.1)):
        raise Wrong("the factors times u are not the leaky ReLU of u. Which two values should occur?")
    if np.abs(got * u.numpy() - F.leaky_relu(u, 0.1).numpy()).max() > 1e-12:
        raise Wrong("the factors are right to 8 digits only, in float64. Which dtype did your constants have?")
    if not np.allclose(call(attempt, torch.zeros(1, 2, dtype=torch.float64), 0.1, shape=(1, 2)), 0.1):
        raise Wrong("at u = 0 your unit takes its upper piece. Which piece wins a tie in this book?")


@exercise(
    "4.5",
    solution=15,
    wrong=[64, 30, 12, 36],
    why="A path is a set of blocks whose branch is taken, and there are 6 * 5 / 2 = 15 sets of two blocks out of six.",
)
def _(attempt):
    paths = value(attempt, ())
    if paths == 64:
        raise Wrong("that counts all paths. How many of them take exactly two branches?")
    if paths == 30:
        raise Wrong("you count each pair of blocks twice. Does a path pass block 2 before block 1?")
    if paths == 12:
        raise Wrong("that is two ways through each of six blocks, added up. Are the choices made one by one or together?")
    if paths != 15:
        raise Wrong("draw six blocks and mark two. In how many ways can this be done?")


def memory(W_rec, gates, t):
    M = np.eye(len(W_rec))
    for gate in gates[t:]:
        M = gate[:, None] * (W_rec @ M)
    return M


def _memory_reversed(W_rec, gates, t):
    M = np.eye(len(W_rec))
    for gate in gates[t:]:
        M = M @ (gate[:, None] * W_rec)
    return M


def _memory_one_more(W_rec, gates, t):
    return memory(W_rec, gates, t - 1)


def _memory_one_less(W_rec, gates, t):
    return memory(W_rec, gates, t + 1)


def _memory_no_gates(W_rec, gates, t):
    return np.linalg.matrix_power(W_rec, len(gates) - t)


def _memory_gate_first(W_rec, gates, t):
    M = np.eye(len(W_rec))
    for gate in gates[t:]:
        M = W_rec @ (gate[:, None] * M)
    return M


@exercise(
    "4.6",
    solution=memory,
    wrong=[_memory_reversed, _memory_one_more, _memory_one_less, _memory_no_gates, _memory_gate_first],
)
def _(attempt):
    rng = np.random.default_rng(2)
    W_rec, gates = rng.normal(size=(3, 3)), np.array([[1.0, 1, 0], [0, 1, 1], [1, 0, 1], [0, 1, 1], [1, 1, 0]])
    got = {t: call(attempt, W_rec, gates, t, shape=(3, 3)) for t in (2, 4, 5)}
    if np.allclose(got[5], gates[4][:, None] * W_rec):
        raise Wrong("from the last step to the last step something still happens. Where does your product begin?")
    if np.allclose(got[4], np.eye(3)):
        raise Wrong("between the last two steps nothing happens in your version. Which steps lie after step t?")
    if np.allclose(got[2], np.linalg.matrix_power(W_rec, 3)):
        raise Wrong("this is a power of W_rec, the same for all inputs. Where do the gates come in?")
    if np.allclose(got[2], _memory_reversed(W_rec, gates, 2)):
        raise Wrong("the right factors stand in the wrong order. Which of them meets the state first?")
    if np.allclose(got[4], W_rec @ np.diag(gates[4])):
        raise Wrong("the gates act before the matrix of their own step. What does a ReLU act on?")
    if not all(np.allclose(got[t], memory(W_rec, gates, t)) for t in got):
        raise Wrong("the product is off. Can you write down the factors for t = T - 1, and then for t = T - 2?")


def _relus(x):
    z = x - 0.1
    F.relu(z[:, :3], inplace=True)
    return F.relu(0.5 - z) + torch.relu(z - 0.2)


def _absolutes(x):
    z = x - 1
    z[:, 1:].abs_()
    return x.abs() - 2 * torch.absolute(z - 0.5) + z


def _pooled(x):
    """All three functions in one network."""
    z = torch.abs(F.max_pool2d(x.reshape(-1, 1, 4, 4), 2).flatten(1) - 0.3)
    return torch.relu(z @ torch.linspace(-1, 1, 12, dtype=x.dtype).reshape(4, 3) + 0.1)


@exercise("4.3")
def _(attempt):
    rng = np.random.default_rng(3)
    for name, network, D in (("relu", _relus, 6), ("abs", _absolutes, 6), ("max_pool2d", _pooled, 16)):
        for x in torch.from_numpy(rng.normal(size=(5, 1, D))):
            A_x, b_x = _pair(attempt, network, x)
            near = x + 1e-4 * torch.from_numpy(rng.normal(size=(1, D)))
            far = [np.abs(A_x @ p.numpy()[0] + b_x - network(p.clone())[0].numpy()).max() for p in (x, near)]
            if far[0] > 1e-10:
                raise Wrong(f"for a network with {name}, A x + b differs from f(x) by {far[0]:.1e}. "
                            "Is every call heard, and held in the second run?")  # fmt: skip
            if far[1] > 1e-10:
                raise Wrong(f"for a network with {name}, the pair serves x but no point beside it. "
                            "Was b taken from f(x), or A from somewhere else?")  # fmt: skip
    A_x, _ = _pair(attempt, torch.abs, torch.zeros(1, 2, dtype=torch.float64))
    if not np.allclose(np.abs(A_x), np.eye(2)):
        raise Wrong("at 0 the absolute value has slope -1 or 1, yours has another one. Which piece did you write down?")
    blank = torch.full((1, 4), 0.5, dtype=torch.float64)
    A_x, b_x = _pair(attempt, lambda x: F.max_pool2d(x.reshape(-1, 1, 2, 2), 2).flatten(1), blank)
    if sorted(A_x[0].round(9).tolist()) != [0, 0, 0, 1] or abs(b_x[0]) > 1e-12:
        raise Wrong("four equal pixels compete in a window, and your row has other entries than one 1. Who won?")


def _pair(attempt, network, x):
    with torch.no_grad():
        C = network(x.clone()).shape[1]
    return call(attempt, network, x, shape=[(C, x.shape[1]), (C,)])
