"""Chapter 06, reading a torch network."""

import numpy as np
import torch
import torch.nn.functional as F

from . import ask, call, exercise, within
from .answers import Wrong, marks


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


def _leaky_converted_late(u, slope):
    return torch.where(u > 0, 1.0, slope).to(u.dtype)


def _leaky_maximum(u, slope):
    return (u > 0).to(u.dtype).clamp(min=slope)


_LEAKY = [
    (torch.from_numpy(np.random.default_rng(1).normal(size=(5, 4))), 0.1),
    (torch.zeros(1, 2).double(), 0.1),
    (torch.from_numpy(np.random.default_rng(2).normal(size=(3, 4))), -1.0),
    (torch.from_numpy(np.random.default_rng(2).normal(size=(3, 4))), 2.0),
]


@exercise(
    "6.2",
    solution=leaky_factors,
    cases=_LEAKY,
    wrong={
        _leaky_maximum: "the factors are right for slopes from 0 to 1. With the slope -1 the unit is |u|: by "
        "what does it multiply a negative number?",
        _leaky_output: "that is the output of the leaky ReLU. By what was each entry of u multiplied?",
        _leaky_closed: "these are the gates of a ReLU. What does a leaky ReLU let through below zero?",
        _leaky_swapped: "positive entries are made smaller and negative ones kept. Which side leaks?",
        _leaky_single: "",  # both told by the check
        _leaky_converted_late: "",
        _leaky_upper_tie: "at u = 0 your factor is 1. Which one does the text ask for?",
    },
    otherwise="the factors times u are not the leaky ReLU of u. Which two values should occur?",
    equal=within(1e-12),
)
def check_6_2(attempt):
    for u, slope in _LEAKY:
        got, truth = call(attempt, u, slope, shape=u.shape, may_be_nan=True), leaky_factors(u, slope).numpy()
        if np.allclose(got, truth, 1e-6, 0):
            ask(
                got.dtype == truth.dtype,
                f"the numbers are right to 8 digits, in {got.dtype}, and u is {truth.dtype}. "
                "Which dtype did your constants have?",
            )
            ask(
                np.allclose(got, truth, 1e-12, 0),
                f"your factors have the dtype of u, but for a slope of {slope:g} only 8 digits are right. In "
                "which dtype was the slope before you converted the result?",
            )


@exercise(
    "6.3",
    solution=[1, 0, 1, 0, 0, 1],
    wrong={
        (1, 3, 6): "",  # told by the check
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
def check_6_3(attempt):
    marks(attempt, 6, "At which of the inputs is the test passed?")


@exercise(
    "6.5",
    solution=[1, 1, 0, 0, 1, 0],
    wrong=dict(
        zip(
            [(1, 0, 0, 0, 1, 0), (1, 1, 0, 1, 1, 0), (1, 1, 0, 0, 0, 0), (1, 1, 0, 0, 1, 1), (1, 2, 5)],
            [
                "this is what the library accepts. Can a function that it refuses be piecewise affine?",
                "the pieces are affine in all of yours. Do they meet everywhere?",
                "the order of the numbers changes from place to place. Do their sorted values jump there?",
                "in one of yours x stands above and below the line. Is such a quotient affine between kinks?",
                "",  # told by the check
            ],
            strict=True,
        )
    ),
    otherwise="take one formula at a time, and let one number move. Is the result straight between kinks, "
    "and does it jump?",
    why="The second is |x|, although the library refuses the square inside it. The third is quadratic, the "
    "fourth jumps at 0. The sorted numbers are continuous, on each region a permutation of x. The sixth is a "
    "quotient. So the library reads two of the three, the first and the fifth, and refuses all others.",
)
def check_6_5(attempt):
    marks(attempt, 6, "Which of the functions are continuous and piecewise affine?")


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


def _tied_nearly(windows):
    largest = windows.max(axis=2, keepdims=True)
    return ((np.isclose(windows, largest).sum(axis=2) > 1) & (largest[:, :, 0] > 0)).sum(axis=1)


def _tied_points(windows):
    return (tied_windows(windows) > 0).astype(int)


_windows = np.maximum(np.random.default_rng(4).integers(-2, 4, size=(6, 5, 4)), 0) / 2
exercise(
    "6.6",
    solution=tied_windows,
    cases=[
        (_windows,),
        (np.array([[[0.0, 0, 0], [2, 2, 1]], [[3, 3, 3], [1, 1, 2]], [[0, 0, 0], [0, 0, 1]]]),),
        (
            np.array(
                [[[2, 2 + 1e-9, 1], [3, 1, 3], [1e-12, 0, 0]], [[2, 1, 2 - 1e-12], [0, 0, 0], [1, 1, 1]]]
            ),
        ),
    ],
    wrong={
        _tied_nearly: "two numbers that differ by a billionth count as equal in your version. When did the "
        "text call numbers equal?",
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


def _pooled_twice(x):
    z = F.max_pool2d(torch.stack([x, 0.5 - x], dim=1).reshape(-1, 2, 6, 6), 3)
    return torch.cat([z.flatten(1), F.max_pool2d(z, 2).flatten(1)], dim=1)


_SPELLINGS = {
    "torch.relu(u)": torch.relu,
    "F.relu(u)": F.relu,
    "u.relu()": lambda u: u.relu(),
    "abs(u)": abs,
    "torch.abs(u)": torch.abs,
    "u.abs()": lambda u: u.abs(),
    "torch.absolute(u)": torch.absolute,
    "u.absolute()": lambda u: u.absolute(),
    "F.relu(u, inplace=True)": lambda u: F.relu(u, inplace=True),
    "u.relu_()": lambda u: u.relu_(),
    "u.abs_()": lambda u: u.abs_(),
    "u.absolute_()": lambda u: u.absolute_(),
}


def _one_call(function, in_place):
    """A network with a single call, which goes on with u if it is in place."""

    def network(x):
        u = x - 0.25
        out = function(u)
        return (u if in_place else out) + 0.5 * x

    return network


@exercise("6.4")
def check_6_4(attempt):
    rng = np.random.default_rng(3)
    for name, function in _SPELLINGS.items():
        in_place, x = "_(" in name or "inplace" in name, torch.from_numpy(rng.normal(size=(1, 6)))
        network, told = _one_call(function, in_place), f"calls {name}" + " and goes on with u" * in_place
        at_x = _off(network, x, *_pair(attempt, network, x, told))
        ask(
            at_x <= 1e-10,
            f"for a network that {told}, A x + b differs from f(x) by {at_x:.1e}. "
            "Under which name does `Report` show the call"
            + (", and is u itself changed?" if in_place else "?"),
        )
    for name, network, D in (
        ("contains several calls of relu", _relus, 6),
        ("contains several calls of abs", _absolutes, 6),
        ("contains max_pool2d with windows of size 2, then abs and relu", _pooled, 16),
        ("contains max_pool2d with windows of size 3 and of size 2 on two channels", _pooled_twice, 36),
    ):
        for x in torch.from_numpy(rng.normal(size=(5, 1, D))):
            A_x, b_x = _pair(attempt, network, x, name)
            near = x + 1e-4 * torch.from_numpy(rng.normal(size=(1, D)))
            at_x, beside = (_off(network, p, A_x, b_x) for p in (x, near))
            ask(
                at_x <= 1e-10,
                f"for a network that {name}, A x + b differs from f(x) by {at_x:.1e}. "
                "Is every call intercepted, and held in the second run?",
            )
            ask(
                beside <= 1e-10,
                f"for a network that {name}, the pair serves x but no point beside it. "
                "Was b taken from f(x), or A from somewhere else?",
            )
    origin = torch.zeros(1, 2, dtype=torch.float64)
    A_x, b_x = _pair(attempt, torch.relu, origin, "is a ReLU, at 0")
    ask(
        np.isin((A_x + b_x).round(9), (0, 1)).all() and _off(torch.relu, origin, A_x, b_x) < 1e-12,
        "at 0 the ReLU has slope 0 or 1, yours has another one. Which piece did you write down?",
    )
    A_x, b_x = _pair(attempt, torch.abs, origin, "is an absolute value, at 0")
    ask(
        np.allclose(np.abs(A_x), np.eye(2)) and np.allclose(b_x, 0),
        "at 0 the absolute value has slope -1 or 1, yours has another one. Which piece did you write down?",
    )
    blank = torch.full((1, 4), 0.5, dtype=torch.float64)
    A_x, b_x = _pair(
        attempt, lambda x: F.max_pool2d(x.reshape(-1, 1, 2, 2), 2).flatten(1), blank, "pools a tie"
    )
    ask(
        sorted(A_x[0].round(9).tolist()) == [0, 0, 0, 1] and abs(b_x[0]) < 1e-12,
        "four equal pixels compete in a window, and your row has other entries than one 1. Who won?",
    )


def _off(network, x, A_x, b_x):
    return np.abs(A_x @ x.numpy()[0] + b_x - network(x.clone())[0].numpy()).max()


def _pair(attempt, network, x, name):
    with torch.no_grad():
        C = network(x.clone()).shape[1]
    try:
        return call(attempt, network, x, shape=[(C, x.shape[1]), (C,)])
    except Wrong as error:  # say for which network
        if "stopped with" in str(error):
            error = f"{error}. What arrives at your mode there?"
        elif "should have shape" not in str(error):
            raise
        raise Wrong(f"for a network that {name} {error}") from None
