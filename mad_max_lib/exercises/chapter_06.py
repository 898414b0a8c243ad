"""Chapter 06, reading a torch network."""

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
        _leaky_upper_tie: "at u = 0 your factor is 1. Which one does the text ask for?",
    },
    otherwise="the factors times u are not the leaky ReLU of u. Which two values should occur?",
    equal=within(1e-12),
)


exercise(
    "6.3",
    solution=[1, 0, 1, 0, 0, 1],
    wrong={
        (1, 0, 0, 0, 0, 1): "f has a second region, in which it is zero. Where does the pair give zero, too?",
        (0, 0, 0, 0, 0, 0): "the pair is wrong in both regions. Can a wrong pair give the right number "
        "at a single input?",
        (1, 1, 0, 1, 1, 1): "you go by the sign of a difference. Which number does the pair give there, "
        "and which does f?",
    },
    otherwise="write both numbers beside each input. Where are they equal?",
    why="The pair gives the first coordinate, 1, 2, 0, 1, -1, 3, and f gives 1, 1, 0, 0, 1, 3. They "
    "agree where one coordinate is 0 and the other is not negative.",
)


exercise(
    "6.5",
    solution=[1, 1, 0, 0, 1, 0],
    wrong=dict(
        zip(
            [(1, 0, 0, 0, 1, 0), (1, 1, 0, 1, 1, 0), (1, 1, 0, 0, 0, 0), (1, 1, 0, 0, 1, 1)],
            [
                "this is what the library accepts. Can a function that it refuses be piecewise affine?",
                "the pieces are affine in all of yours. Do they meet everywhere?",
                "the order of the numbers changes from place to place. Do their sorted values jump there?",
                "in one of yours x stands above and below the line. Is such a quotient affine between kinks?",
            ],
            strict=True,
        )
    ),
    otherwise="take one formula at a time, and let one number move. Is the result straight between kinks, "
    "and does it jump?",
    why="The second is the ReLU, although the library refuses it. The third is quadratic, the fourth jumps "
    "at 0. The sorted numbers are continuous, on each region a permutation of x. The sixth is a quotient.",
)


def tied_windows(windows):
    largest = windows.max(axis=2, keepdims=True)
    return (((windows == largest).sum(axis=2) > 1) & (largest[:, :, 0] > 0)).sum(axis=1)


def _tied_with_zeros(windows):
    return ((windows == windows.max(axis=2, keepdims=True)).sum(axis=2) > 1).sum(axis=1)


def _tied_exactly_two(windows):
    largest = windows.max(axis=2, keepdims=True)
    return (((windows == largest).sum(axis=2) == 2) & (largest[:, :, 0] > 0)).sum(axis=1)


def _tied_numbers(windows):
    largest = windows.max(axis=2, keepdims=True)
    tied = ((windows == largest).sum(axis=2, keepdims=True) > 1) & (largest > 0)
    return ((windows == largest) & tied).sum(axis=(1, 2))


def _tied_anywhere(windows):
    ordered = np.sort(windows, axis=2)
    return ((np.diff(ordered, axis=2) == 0) & (ordered[:, :, 1:] > 0)).any(axis=2).sum(axis=1)


def _tied_points(windows):
    return (tied_windows(windows) > 0).astype(int)


_windows = np.maximum(np.random.default_rng(4).integers(-2, 4, size=(6, 5, 4)), 0) / 2
exercise(
    "6.6",
    solution=tied_windows,
    cases=[
        (_windows,),
        (np.array([[[0.0, 0, 0], [2, 2, 1]], [[3, 3, 3], [1, 1, 2]], [[0, 0, 0], [0, 0, 1]]]),),
    ],
    wrong={
        _tied_with_zeros: "windows of zeros are counted, too. Which windows were to count?",
        _tied_exactly_two: "a window whose largest number occurs three times is left out. "
        "How often has it to occur?",
        _tied_numbers: "you count the numbers that tie. What was to be counted?",
        _tied_anywhere: "two equal numbers count in your version although a third is larger. "
        "Which numbers of a window compete?",
        _tied_points: "you say for each point whether there is such a window. How many are there?",
    },
    otherwise=lambda got, truth, windows: (
        f"for one of the points you count {got[got != truth][0]}. Which of its windows have a positive "
        "largest number, and how often does it occur there?"
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


@exercise("6.4")
def check_6_4(attempt):
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
                "Is every call intercepted, and held in the second run?",
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
