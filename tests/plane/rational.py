"""The exact partition of small networks, in fractions: what ``partition`` has to find.

``partition`` works with floats, so it must guess which of its numbers are zero. Networks with whole or
dyadic weights make the guess hard (many lines through a point, two along one line, one along the frame, units
that are zero on a whole region), and yet they have one right answer. Here it is found without any guess and
without any of the library: each unit clips each convex polygon to the part that each of its pieces wins.
Slow, but everything is a Fraction.

A polygon is an array of rows (s, t, 1), counter-clockwise; an affine function of (s, t) is a row of three
coefficients, so that ``polygon @ row`` are its values at the vertices.
"""

from collections import namedtuple
from fractions import Fraction

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

R = 3  # pieces of a maxout unit
SCALAR = {  # kinks, and (slope, offset) of the pieces between them
    "linear": ([], [(1, 0)]),
    "relu": ([0], [(0, 0), (1, 0)]),
    "leaky": ([0], [(Fraction(1, 4), 0), (1, 0)]),
    "abs": ([0], [(-1, 0), (1, 0)]),
    "hardtanh": ([-1, 1], [(0, -1), (1, 0), (0, 1)]),
    "residual": ([0], [(0, 0), (1, 0)]),  # and then z is added
}
Layer = namedtuple("Layer", "kind W b")
Region = namedtuple("Region", "polygon map area")


def exact(numbers, over=1):
    """The whole numbers divided by ``over``, as an array of fractions."""
    return np.vectorize(lambda number: Fraction(int(number), over), otypes=[object])(numbers)


ONE = exact([0, 0, 1])
PLANE = exact([[1, 0, 0], [0, 1, 0]])  # s and t themselves are the inputs


def layer(kind, W, b, over=1):
    """A layer with weights ``W / over`` and biases ``b / over``, all of them whole numbers."""
    return Layer(kind, exact(W, over), exact(b, over))


def regions(layers, bounds, start=PLANE):
    """Every region of the rectangle by its code, which has a tuple for each nonlinear layer."""
    s_0, s_1, t_0, t_1 = bounds
    cells = [(exact([[s_0, t_0, 1], [s_1, t_0, 1], [s_1, t_1, 1], [s_0, t_1, 1]]), start, ())]
    for one in layers:
        cells = [finer for cell in cells for finer in through(one, *cell)]
    found = {code: Region(polygon, outputs, area(polygon)) for polygon, outputs, code in cells}
    assert len(found) == len(cells), "the points of one code are a convex set, so no code is met twice"
    return found


def through(layer, polygon, inputs, code):
    """The parts into which a layer cuts a polygon, each with the maps and codes of the layer's outputs."""
    parts = [(polygon, [], ())]
    for pieces in units(layer, inputs):
        parts = [
            (smaller, [*outputs, output], (*chosen, r))
            for part, outputs, chosen in parts
            for r, (limits, output) in enumerate(pieces)
            if (smaller := clip(part, limits)) is not None
        ]
    return [
        (part, np.array(outputs), code if layer.kind == "linear" else (*code, chosen))
        for part, outputs, chosen in parts
    ]


def units(layer, inputs):
    """For each unit its pieces: where the piece wins, as ``limits`` for ``clip``, and its output there."""
    u = layer.W @ inputs + np.outer(layer.b, ONE)
    if layer.kind == "maxout":
        return [
            [([(group[r] - group[q], q < r) for q in range(R) if q != r], group[r]) for r in range(R)]
            for group in u.reshape(-1, R, 3)
        ]
    kinks, pieces = SCALAR[layer.kind]
    rest = inputs if layer.kind == "residual" else 0 * u
    return [
        [
            (
                [(row - k * ONE, True) for k in kinks[:r]] + [(k * ONE - row, False) for k in kinks[r:]],
                slope * row + offset * ONE + more,
            )
            for r, (slope, offset) in enumerate(pieces)
        ]
        for row, more in zip(u, rest, strict=True)
    ]


def clip(polygon, limits):
    """The part where every line is positive, or zero throughout unless ``strictly``; None without area."""
    for line, strictly in limits:
        values = polygon @ line
        if max(values) <= 0:
            if strictly or min(values) < 0:
                return None
        elif min(values) < 0:
            kept = []
            for n in range(len(polygon)):
                p, q, v, w = polygon[n - 1], polygon[n], values[n - 1], values[n]
                if v * w < 0:
                    kept.append(p + v / (v - w) * (q - p))
                if w >= 0:
                    kept.append(q)
            polygon = np.array(kept)
    return polygon


def area(polygon):
    s, t, _ = polygon.T
    return (s * np.roll(t, -1) - np.roll(s, -1) * t).sum() / 2


def evaluate(layers, z):
    """Code and output at one point: the definition, with no polygon in it."""
    code = ()
    for kind, W, b in layers:
        u = W @ z + b
        if kind == "maxout":
            groups = u.reshape(-1, R).tolist()
            chosen, z = [group.index(max(group)) for group in groups], np.array([max(g) for g in groups])
        else:
            kinks, pieces = SCALAR[kind]
            chosen = [sum(k < value for k in kinks) for value in u]
            out = [pieces[r][0] * value + pieces[r][1] for r, value in zip(chosen, u, strict=True)]
            z = np.array(out) + (z if kind == "residual" else 0)
        code += () if kind == "linear" else (tuple(chosen),)
    return code, z


# ---------------------------------------------------------------- the same network in torch

MODULES = {  # of each kind one module, which serves all layers: many people share their nn.ReLU
    "linear": nn.Identity(),
    "relu": nn.ReLU(),
    "leaky": nn.LeakyReLU(0.25),
    "hardtanh": nn.Hardtanh(),
}
CALLS = {
    "linear": lambda u, z: u,
    "relu": lambda u, z: F.relu(u),
    "leaky": lambda u, z: F.leaky_relu(u, 0.25),
    "abs": lambda u, z: u.abs(),
    "hardtanh": lambda u, z: u.clamp(-1, 1),
    "residual": lambda u, z: z + torch.relu(u),
    "maxout": lambda u, z: u.reshape(len(u), -1, R).amax(-1),
}


class Block(nn.Module):
    """One layer without any other module: a matrix product and a function."""

    def __init__(self, kind, W, b):
        super().__init__()
        self.kind, self.W, self.b = kind, nn.Parameter(W), nn.Parameter(b)

    def forward(self, z):
        return CALLS[self.kind](z @ self.W.T + self.b, z)


def in_torch(layers, functional=False):
    """The network in float64, from the modules of torch where there are any, or else from functions."""
    steps = []
    for kind, *parameters in layers:
        W, b = (torch.tensor(array.astype(float)) for array in parameters)
        if functional or kind not in MODULES:
            steps.append(Block(kind, W, b))
        else:
            linear = nn.Linear(*W.T.shape, dtype=torch.float64)
            linear.load_state_dict({"weight": W, "bias": b})
            steps += [linear, MODULES[kind]]
    return nn.Sequential(*steps)
