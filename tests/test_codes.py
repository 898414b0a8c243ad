"""Region codes against the pre-activations themselves, and distances between codes against scipy."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from networks import ZOO, Net, build, nonlinear_calls, points
from scipy.spatial.distance import cdist
from torch import nn

import mad_max_lib as mm

few = settings(max_examples=40, deadline=None)
each_network = pytest.mark.parametrize("name", ZOO)


def known(reason):
    return pytest.mark.xfail(strict=True, reason=reason)


def coded(*layers):
    """Codes of points that already are the wanted pieces, 0 to 3: hardtanh, leaky ReLU and maxout read them off."""
    parts = [torch.as_tensor(np.asarray(layer), dtype=torch.float64).to(mm.device()) for layer in layers]
    widths = [part.shape[1] for part in parts]

    def read(n, x):
        read = []
        for part in x.split(widths, 1):
            four = torch.stack([r - (part - r) * n.bend for r in range(4)], -1)
            read.append(torch.maximum(four[..., 0], four[..., 1]))
        return torch.cat(read, 1)

    raise NotImplementedError


# ---------------------------------------------------------------- what is recorded


@each_network
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_names_types_and_shapes(name, dtype):
    model, shape = build(name, dtype=dtype)
    x = points(shape, N=4, dtype=dtype)
    codes = mm.region_codes(model, x)
    assert codes.names == nonlinear_calls(name) and len(codes) == len(codes.names) == len(list(codes))
    for layer in codes:
        assert layer.dim() == 2 and len(layer) == 4 and layer.device == x.device
        assert layer.dtype == (torch.int64 if name == "many pieces" else torch.uint8)
    if len(codes):
        assert torch.equal(codes.all(), torch.cat([layer.long() for layer in codes], 1).to(codes.all()))
