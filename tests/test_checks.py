"""The checks of arguments that every module shares."""

import array_api_compat
import numpy as np
import pytest
import torch

import mad_max_lib as mm
from mad_max_lib.checks import array_namespace, cast, check_count


@pytest.mark.parametrize(
    "value", [3, np.int64(3), np.uint8(3), np.array(3), np.array(3, np.int32), torch.tensor(3)]
)
def test_a_whole_number_of_any_kind_becomes_an_int(value):
    assert check_count("n", value) == 3 and type(check_count("n", value)) is int


@pytest.mark.parametrize("value", [True, np.bool_(True), np.array(True), 3.0, np.float64(3), "3", None, [3]])
@pytest.mark.parametrize("high", [None, 5])
def test_nothing_else_is_a_whole_number(value, high):
    with pytest.raises(ValueError, match="n must be a whole number (of at least 1|from 1 to 5), got "):
        check_count("n", value, high=high)


def test_limits_are_included():
    assert [check_count("n", value, 0, 2) for value in range(3)] == [0, 1, 2]
    for value in (-1, 3):
        with pytest.raises(ValueError, match=f"n must be a whole number from 0 to 2, got {value}"):
            check_count("n", value, 0, 2)
    assert check_count("n", 10**30) == 10**30


@pytest.mark.parametrize("two", [np.int64(2), np.array(2)])
def test_numpy_s_whole_numbers_serve_everywhere(two):
    rng, x = np.random.default_rng(0), np.random.default_rng(1).normal(size=(12, 2))
    start = mm.kmeans_plusplus(x, two, rng)
    assert mm.kmeans(x, start, max_iter=two)[0].shape == (2, 2)
    model, points = mm.mlp([two, 4, two], rng), torch.from_numpy(x).to(mm.device())
    assert mm.fit(model, x, (x[:, 0] > 0).astype(int), epochs=two, rng=rng, batch=two).shape == (12,)
    codes = mm.region_codes(model, points)
    assert mm.nearest(codes, codes, k=two).shape == (12, 2)
    assert mm.polytope(model, points[:1], layers=np.array(1)).G.shape[1] == 2
    assert len(mm.data.moons_and_circles(np.array(4), rng)[0]) == 4
    assert len(mm.data.digits(rng, n_train=two).x_train) == 2


def test_the_namespace_is_array_api_compat_s():
    x = np.ones(2)
    assert array_namespace(x=x) is array_api_compat.array_namespace(x)
    assert array_namespace(x=torch.ones(2)) is array_api_compat.array_namespace(torch.ones(2))
    with pytest.raises(TypeError, match=r"mixed \(a is numpy, b is torch\); convert one side first"):
        array_namespace(a=x, b=torch.ones(2))
    with pytest.raises(TypeError, match="a must be a NumPy array or a torch tensor, got list"):
        array_namespace(a=[1.0])


def test_cast_follows_dtype_and_device():
    assert cast(np.ones(2), np.ones(1, np.float32)).dtype == np.float32
    like = torch.ones(1, dtype=torch.float16, device=mm.device())
    assert cast(torch.ones(2), like).dtype == torch.float16
    assert cast(torch.ones(2), like).device == like.device
