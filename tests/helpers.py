"""What the tests of several modules share."""

import numpy as np
import pytest
import torch

import mad_max_lib as mm

DEVICE = mm.device()


def at(x):
    """The numbers in float64, on the device of the tests."""
    return torch.as_tensor(x, dtype=torch.float64).to(DEVICE)


def rng(seed=0):
    return np.random.default_rng(seed)


def refuses(match=None):
    return pytest.raises(mm.NotPiecewiseAffineError, match=match)


def mlp(*sizes, seed=0):
    """The book's dense network, in float64."""
    return mm.mlp(list(sizes), rng(seed))
