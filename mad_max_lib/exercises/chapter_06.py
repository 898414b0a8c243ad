"""Chapter 06, MASOs in torch."""

import numpy as np
import torch
import torch.nn.functional as F

from . import ask, call, exercise, within


def held_at_zero(W_1, b_1, W_2, b_2, gates):
    return (gates * b_1) @ W_2.T + b_2


def _held_all_open(W_1, b_1, W_2, b_2, gates):
    return (0 * gates + b_1) @ W_2.T + b_2


def _held_free(W_1, b_1, W_2, b_2, gates):
    return (0 * gates + b_1 * (b_1 > 0)) @ W_2.T + b_2


def _held_no_last(W_1, b_1, W_2, b_2, gates):
    return (gates * b_1) @ W_2.T


_rng = np.random.default_rng(0)
_network = [_rng.normal(size=shape) for shape in ((5, 4), 5, (3, 5), 3)]
_gates = (_rng.normal(size=(6, 4)) @ _network[0].T + _network[1] > 0).astype(float)
exercise(
    "6.1",
    solution=held_at_zero,
    cases=[(*_network, _gates), tuple(map(torch.from_numpy, (*_network, _gates)))],
    wrong={
        _held_all_open: "all points get the same vector, as if every gate were open. "
        "Whose gates decide what gets through?",
        _held_free: "that is what the free network gives at zero, with gates of its own. "
        "Who sets the gates here?",
        _held_no_last: "one constant does not meet any gate. Which bias is missing?",
    },
    otherwise="the vectors are off. What is the pre-activation of a unit when the input is zero?",
)


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


def _leaky_output(u, slope):
    return F.leaky_relu(u, slope)


exercise(
    "6.2",
    solution=leaky_factors,
    cases=[
        (torch.from_numpy(np.random.default_rng(1).normal(size=(5, 4))), 0.1),
        (torch.zeros(1, 2).double(), 0.1),
    ],
    wrong={
        _leaky_output: "that is the output of the leaky ReLU. By what was each entry of u multiplied?",
        _leaky_closed: "these are the gates of a ReLU. What does a leaky ReLU let through below zero?",
        _leaky_swapped: "positive entries are made smaller and negative ones kept. Which side leaks?",
        _leaky_single: "the factors are right to 8 digits only. Which dtype did your constants have?",
        _leaky_upper_tie: "at u = 0 your unit takes its upper piece. Which piece wins a tie in this book?",
    },
    otherwise="the factors times u are not the leaky ReLU of u. Which two values should occur?",
    equal=within(1e-12),
)


exercise(
    "6.5",
    solution=15,
    wrong={
        64: "that counts all paths. How many of them take exactly two branches?",
        30: "you count each pair of blocks twice. Does a path pass block 2 before block 1?",
        12: "that is two ways through each of six blocks, added up. "
        "Are the choices made one by one or together?",
        36: "you let each branch be any of the six. Can a path take one of them twice?",
    },
    otherwise="draw six blocks and mark two. In how many ways can this be done?",
    why="A path is a set of blocks whose branch is taken, "
    "and there are 6 * 5 / 2 = 15 sets of two blocks out of six.",
)


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


_W_rec = np.random.default_rng(2).normal(size=(3, 3))
_steps = np.array([[1.0, 1, 0], [0, 1, 1], [1, 0, 1], [0, 1, 1], [1, 1, 0]])
exercise(
    "6.6",
    solution=memory,
    cases=[(_W_rec, _steps, t) for t in (5, 4, 2)],
    wrong={
        _memory_one_more: "from the last step to the last step something still happens. "
        "Where does your product begin?",
        _memory_one_less: "between the last two steps nothing happens in your version. "
        "Which steps lie after step t?",
        _memory_no_gates: "this is a power of W_rec, the same for all inputs. Where do the gates come in?",
        _memory_reversed: "the right factors stand in the wrong order. Which of them meets the state first?",
        _memory_gate_first: "the gates act before the matrix of their own step. What does a ReLU act on?",
    },
    otherwise=lambda got, truth, W_rec, gates, t: (
        f"the product is off for t = {t} of {len(gates)} steps. Which factors does it have there?"
    ),
)


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


@exercise("6.3")
def check_6_3(attempt):
    rng = np.random.default_rng(3)
    for name, network, D in (("relu", _relus, 6), ("abs", _absolutes, 6), ("max_pool2d", _pooled, 16)):
        for x in torch.from_numpy(rng.normal(size=(5, 1, D))):
            A_x, b_x = _pair(attempt, network, x)
            near = x + 1e-4 * torch.from_numpy(rng.normal(size=(1, D)))
            at_x, beside = (
                np.abs(A_x @ p.numpy()[0] + b_x - network(p.clone())[0].numpy()).max() for p in (x, near)
            )
            ask(
                at_x <= 1e-10,
                f"for a network with {name}, A x + b differs from f(x) by {at_x:.1e}. "
                "Is every call heard, and held in the second run?",
            )
            ask(
                beside <= 1e-10,
                f"for a network with {name}, the pair serves x but no point beside it. "
                "Was b taken from f(x), or A from somewhere else?",
            )
    A_x, _ = _pair(attempt, torch.abs, torch.zeros(1, 2, dtype=torch.float64))
    ask(
        np.allclose(np.abs(A_x), np.eye(2)),
        "at 0 the absolute value has slope -1 or 1, yours has another one. Which piece did you write down?",
    )
    blank = torch.full((1, 4), 0.5, dtype=torch.float64)
    A_x, b_x = _pair(attempt, lambda x: F.max_pool2d(x.reshape(-1, 1, 2, 2), 2).flatten(1), blank)
    ask(
        sorted(A_x[0].round(9).tolist()) == [0, 0, 0, 1] and abs(b_x[0]) < 1e-12,
        "four equal pixels compete in a window, and your row has other entries than one 1. Who won?",
    )


def _pair(attempt, network, x):
    with torch.no_grad():
        C = network(x.clone()).shape[1]
    return call(attempt, network, x, shape=[(C, x.shape[1]), (C,)])
