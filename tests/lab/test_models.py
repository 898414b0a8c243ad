"""The book's networks: the device rule, weights drawn by NumPy alone, layers against torch's functions."""

import copy
import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers import rng
from torch import nn

import mad_max_lib as mm
from mad_max_lib.lab.models import Residual

pytestmark = pytest.mark.usefixtures("on_cpu")
MAKE = [mm.small_cnn, mm.small_resnet]
LAYER = nn.Linear(3, 4)


def images(N=5, seed=0, dtype=torch.float64):
    return torch.from_numpy(rng(seed).normal(size=(N, 64))).to(dtype)


# ---------------------------------------------------------------- draw_weights


@pytest.mark.parametrize(
    "layer, fan_in",
    [
        (lambda: nn.Linear(10, 2000), 10),
        (lambda: nn.Linear(500, 40), 500),
        (lambda: nn.Conv2d(3, 800, (3, 2)), 18),
        (lambda: nn.Conv1d(8, 1000, 5, groups=2), 20),
        (lambda: nn.Conv3d(2, 1250, 2), 16),
    ],
)
def test_weights_have_he_s_statistics(layer, fan_in):
    layer = mm.draw_weights(layer(), rng())
    weights = layer.weight.detach()
    assert abs(weights.mean()) < 0.03 * weights.std() and not layer.bias.any()
    np.testing.assert_allclose(weights.var(), 2 / fan_in, rtol=0.04)
    np.testing.assert_allclose((weights**4).mean() / weights.var() ** 2, 3, rtol=0.08)  # normal, not uniform


def test_networks_are_changed_in_place_layer_by_layer_and_norms_start_neutral():
    network = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.PReLU(), nn.Sequential(nn.Linear(6, 6)))
    parameters = list(network.parameters())
    nn.init.ones_(network[1].bias)
    assert mm.draw_weights(network, rng()) is network
    assert all(p is q for p, q in zip(network.parameters(), parameters, strict=True))
    assert all(p.requires_grad and p.dtype == torch.float64 for p in parameters)
    assert (network[1].weight == 1).all() and network[2].weight == 0.25
    assert not any(layer.bias.any() for layer in [network[0], network[1], network[3][0]])
    first, second = network[0].weight.detach(), network[3][0].weight.detach()
    assert not np.isin(first, second).any(), "every layer has numbers of its own"


@pytest.mark.parametrize("make", [*MAKE, lambda rng, dtype: mm.draw_weights(nn.Linear(3, 4), rng, dtype)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_generator_decides_everything_and_both_dtypes_start_alike(make, dtype):
    networks = []
    for torch_seed, seed, how in [(1, 0, dtype), (2, 0, dtype), (1, 1, dtype), (1, 0, torch.float64)]:
        torch.manual_seed(torch_seed)
        networks.append(torch.cat([p.flatten() for p in make(rng(seed), how).parameters()]))
    first, again, other, double = networks
    assert first.dtype == dtype and torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(first, double.to(dtype))
    one_rng = rng()
    assert not torch.equal(
        *(torch.cat([p.flatten() for p in make(one_rng, dtype).parameters()]) for _ in range(2))
    )


@pytest.mark.parametrize("make", [*MAKE, lambda rng: mm.draw_weights(LAYER, rng)])
def test_no_global_random_state_is_changed(make):
    np.random.seed(1), torch.manual_seed(1), random.seed(1)
    before = np.random.get_state()[1].copy(), torch.get_rng_state(), random.getstate()
    make(rng())
    assert np.array_equal(np.random.get_state()[1], before[0]) and np.random.get_state()[2] == 624
    assert torch.equal(torch.get_rng_state(), before[1]) and random.getstate() == before[2]


@pytest.mark.parametrize("make", [*MAKE, lambda rng: mm.draw_weights(LAYER, rng)])
def test_bad_generator(make):
    before = LAYER.weight.detach().clone()
    for bad in [0, None, np.random.RandomState(0)]:
        with pytest.raises(
            TypeError, match=f"rng must be a NumPy Generator such as .*, got {type(bad).__name__}"
        ):
            make(bad)
    assert torch.equal(LAYER.weight, before)


@pytest.mark.parametrize("make", [*MAKE, lambda rng, dtype: mm.draw_weights(nn.Linear(3, 4), rng, dtype)])
def test_bad_dtype(make):
    with pytest.raises(TypeError, match="dtype.*torch.int64"):
        make(rng(), torch.int64)


# ---------------------------------------------------------------- the two networks of images


def shaken(make, seed):
    """The network with biases, norms and statistics that are not 0 and 1."""
    network = make(rng(seed))
    with torch.no_grad():
        for name, values in network.state_dict().items():
            if values.dim() == 1:
                low = 0.5 if "var" in name else -1.0
                values.copy_(torch.from_numpy(rng(seed).uniform(low, 2, values.shape)))
    return network


def norm(state, name, z, training):
    if training:
        mean, var = z.mean((0, 2, 3)), z.var((0, 2, 3), correction=0)
    else:
        mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
    scale, shift = state[f"{name}.weight"] / (var + 1e-5).sqrt(), state[f"{name}.bias"]
    return scale[:, None, None] * (z - mean[:, None, None]) + shift[:, None, None]


def cnn_by_hand(state, x, training):
    z = x.reshape(-1, 1, 8, 8)
    for conv, batch_norm in [("1", "2"), ("5", "6")]:
        z = norm(state, batch_norm, F.conv2d(z, state[f"{conv}.weight"], padding=1), training).clamp(min=0)
        z = z.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).amax((3, 5))
    return z.reshape(len(x), 64) @ state["10.weight"].T + state["10.bias"]


def resnet_by_hand(state, x, training):
    z = x.reshape(-1, 1, 8, 8)
    for block in "1234":
        branch = F.conv2d(z, state[f"{block}.branch.0.weight"], padding=1)
        branch = norm(state, f"{block}.branch.1", branch, training).clamp(min=0)
        if block == "1":
            z = torch.einsum("ci,nihw->nchw", state["1.skip.weight"][:, :, 0, 0], z)
        z = branch + z
    return z.reshape(len(x), 192) @ state["6.weight"].T + state["6.bias"]


@pytest.mark.parametrize("make, by_hand", [(mm.small_cnn, cnn_by_hand), (mm.small_resnet, resnet_by_hand)])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_the_networks_are_the_functions_that_they_are_said_to_be(make, by_hand, training, seed):
    network = shaken(make, seed).train(training)
    expected = by_hand(copy.deepcopy(network.state_dict()), images(seed=seed), training)
    assert expected.shape == (5, 10)
    torch.testing.assert_close(network(images(seed=seed)), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("make, size", [(mm.small_cnn, 8 * 9 + 16 * 8 * 9 + 2 * 24 + 650),
                                        (mm.small_resnet, 30 + 3 * 81 + 24 + 1930)])  # fmt: skip
def test_sizes_and_the_state_after_drawing(make, size):
    network = make(rng())
    assert sum(p.numel() for p in network.parameters()) == size
    state = network.state_dict()
    assert not any(values.any() for name, values in state.items() if "bias" in name or "mean" in name)
    assert all((values == 1).all() for name, values in state.items() if "var" in name)
    assert make(rng(), torch.float32)(images(dtype=torch.float32)).dtype == torch.float32


@pytest.mark.parametrize("make", MAKE)
def test_affine_map_follows_the_networks(make):
    network, x = shaken(make, 0).eval(), images()
    affine = mm.affine_map(network, x)
    assert affine.A.shape == (5, 10, 64)
    torch.testing.assert_close(affine(x), network(x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("c_in, c", [(1, 3), (3, 3), (4, 2), (1, 1)])
def test_a_residual_block_adds_its_branch_to_its_input(c_in, c):
    block = Residual(c_in, c).double()
    z = torch.from_numpy(rng().normal(size=(2, c_in, 5, 4)))
    kernel = torch.eye(c, dtype=torch.float64) if c_in == c else block.skip.weight[:, :, 0, 0]
    skip = torch.einsum("ci,nihw->nchw", kernel, z)
    assert block(z).shape == (2, c, 5, 4) and (block(z) >= skip - 1e-12).all()
    with torch.no_grad():
        block.branch[1].weight.zero_(), block.branch[1].bias.fill_(-1)
    torch.testing.assert_close(block(z), skip)  # the branch is switched off
    assert ("skip.weight" in block.state_dict()) == (c_in != c) and "skip.bias" not in block.state_dict()


# ---------------------------------------------------------------- device


@pytest.mark.parametrize(
    "wish, gpu, chosen",
    [
        (None, False, "cpu"),
        (None, True, "cuda"),
        ("auto", False, "cpu"),
        ("auto", True, "cuda"),
        ("cpu", False, "cpu"),
        ("cpu", True, "cpu"),
        ("cuda", True, "cuda"),
    ],
)
def test_device_rule(monkeypatch, wish, gpu, chosen):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.delenv("MAD_MAX_DEVICE") if wish is None else monkeypatch.setenv("MAD_MAX_DEVICE", wish)
    assert mm.device() == torch.device(chosen)


@pytest.mark.parametrize(
    "wish, message",
    [
        ("cuda", "MAD_MAX_DEVICE is cuda, but torch finds no GPU here; use auto or cpu"),
        ("gpu", "MAD_MAX_DEVICE must be auto, cpu or cuda, got 'gpu'"),
        ("CPU", "MAD_MAX_DEVICE must be auto, cpu or cuda, got 'CPU'"),
        ("cuda:0", "MAD_MAX_DEVICE must be auto, cpu or cuda, got 'cuda:0'"),
        ("", "MAD_MAX_DEVICE must be auto, cpu or cuda, got ''"),
    ],
)
def test_bad_device(monkeypatch, wish, message):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("MAD_MAX_DEVICE", wish)
    with pytest.raises(ValueError, match=message):
        mm.device()


# ---------------------------------------------------------------- mlp


def test_mlp_has_the_layers_asked_for():
    layers = list(mm.mlp([2, 5, 7, 3], rng()))
    assert [type(layer) for layer in layers] == [nn.Linear, nn.ReLU, nn.Linear, nn.ReLU, nn.Linear]
    assert [(l.in_features, l.out_features) for l in layers[::2]] == [(2, 5), (5, 7), (7, 3)]  # noqa: E741
    assert len(mm.mlp([4, 2], rng())) == 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_mlp_is_reproducible_from_the_generator_alone(dtype):
    states = []
    for torch_seed, seed in [(1, 0), (2, 0), (1, 1)]:
        torch.manual_seed(torch_seed)
        states.append(torch.cat([p.flatten() for p in mm.mlp([2, 5, 3], rng(seed), dtype).parameters()]))
    assert states[0].dtype == dtype and states[0].requires_grad
    assert torch.equal(states[0], states[1]) and not torch.equal(states[0], states[2])


def test_both_dtypes_start_from_the_same_numbers():
    single, double = (mm.mlp([2, 5, 3], rng(), dtype) for dtype in [torch.float32, torch.float64])
    for p, q in zip(single.parameters(), double.parameters(), strict=True):
        assert torch.equal(p, q.float())


@pytest.mark.parametrize("fan_in", [10, 500])
def test_mlp_s_weights_have_he_s_statistics(fan_in):
    layer = mm.mlp([fan_in, 200_000 // fan_in], rng())[0]
    weights, biases = layer.weight.detach(), mm.mlp([1, 20_000], rng())[0].bias.detach()
    assert abs(weights.mean()) < 0.01 * weights.std()
    np.testing.assert_allclose(weights.var(), 2 / fan_in, rtol=0.02)
    np.testing.assert_allclose((weights**4).mean() / weights.var() ** 2, 3, rtol=0.05)  # normal, not uniform
    assert -0.5 <= biases.min() < -0.499 and 0.499 < biases.max() <= 0.5
    np.testing.assert_allclose(biases.var(), 1 / 12, rtol=0.05)


@pytest.mark.parametrize("sizes", [[], [2], [2, 0, 3], [2, -1], [2.0, 3], [2, "3"]])
def test_bad_sizes(sizes):
    with pytest.raises(
        ValueError, match="sizes must be (two or more whole numbers|a whole number) of at least 1, got "
    ):
        mm.mlp(sizes, rng())


def test_other_bad_arguments_of_mlp():
    with pytest.raises(TypeError, match="rng must be a NumPy Generator such as .*, got int"):
        mm.mlp([2, 3], 0)
    with pytest.raises(TypeError, match="dtype must be a torch floating type, got torch.int64"):
        mm.mlp([2, 3], rng(), torch.int64)


# ---------------------------------------------------------------- the book's network


def test_toy_network_learns_all_its_points_and_is_always_the_same():
    torch.manual_seed(1)
    steps = []
    model, x, y = mm.toy_network(on_step=lambda step, model: steps.append((step, id(model))))
    torch.manual_seed(2)
    again, x_again, y_again = mm.toy_network()
    assert [p.shape[0] for p in model.parameters()] == [45, 45, 45, 45, 4, 4]
    assert x.shape == (400, 2) and y.shape == (400,) and np.bincount(y).tolist() == [100] * 4
    assert (model(torch.from_numpy(x)).argmax(1).numpy() == y).all()
    assert steps == [(step, id(model)) for step in range(641)]
    assert np.array_equal(x, x_again) and np.array_equal(y, y_again)
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), again.parameters(), strict=True))
