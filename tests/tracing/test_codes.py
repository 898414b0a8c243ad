"""Region codes against the pre-activations themselves, and distances between codes against scipy."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers import DEVICE, at, refuses
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import cdist
from torch import nn
from zoo import ZOO, build, nonlinear_calls, points

import mad_max_lib as mm

few = settings(max_examples=40, deadline=None)


def read_off(x, R):
    """One unit for each entry of x, whole numbers from 0 to R - 1: it chooses the piece of this number."""
    if R == 2:
        return F.relu(x - 0.5)
    r = torch.arange(R, dtype=x.dtype, device=x.device)
    return (x[..., None] * r - r * r / 2).amax(-1)


def coded(*layers, R=2):
    """The RegionCodes that hold these arrays of whole numbers, (N, units), one for each nonlinear call."""
    widths = [layer.shape[1] for layer in layers]
    x = at(np.concatenate(layers, 1))
    codes = mm.region_codes(lambda x: torch.cat([read_off(p, R) for p in x.split(widths, 1)], 1), x)
    for layer, wanted in zip(codes, layers, strict=True):
        np.testing.assert_array_equal(layer.cpu(), wanted)
    return codes


# ---------------------------------------------------------------- what is recorded


@pytest.mark.parametrize("name", ZOO)
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
        assert torch.equal(codes.all().long(), torch.cat([layer.long() for layer in codes], 1))
        assert torch.equal(codes[-1], codes[len(codes) - 1])


WIDTHS = {
    "mlp": [7, 6], "prelu by channel": [27, 8], "maximum": [6, 6, 6], "maxout": [3, 3, 1],
    "max over a dimension": [2, 1], "many pieces": [2], "residual conv net": [192, 48, 16, 16, 16, 16],
    "max pool 2d": [72, 24, 6], "adaptive max pools": [24, 18, 14], "rnn, two ways": [4] * 16,
}  # fmt: skip


@pytest.mark.parametrize("name", WIDTHS)
def test_numbers_of_units(name):
    model, shape = build(name)
    assert [layer.shape[1] for layer in mm.region_codes(model, points(shape))] == WIDTHS[name]


@pytest.mark.parametrize(
    "name",
    ["mlp", "mlp without biases", "nested", "relu in place", "prelu by channel", "conv1d", "conv2d", "conv3d",
     "transposed conv2d", "batch norm 1d", "batch norm 2d", "averages", "image to image", "max pool 2d",
     "residual conv net"],
)  # fmt: skip
@pytest.mark.parametrize("seed", range(2))
def test_the_code_of_a_relu_is_the_sign_of_what_it_gets(name, seed):
    model, shape = build(name, seed)
    x, signs = points(shape, N=5, seed=seed), []
    hooks = [
        module.register_forward_pre_hook(lambda module, inputs: signs.append((inputs[0] > 0).flatten(1)))
        for module in model.modules()
        if isinstance(module, (nn.ReLU, nn.LeakyReLU, nn.PReLU))
    ]
    model(x.clone())
    for hook in hooks:
        hook.remove()
    codes = mm.region_codes(model, x)
    relus = [layer for layer, call in zip(codes, codes.names, strict=True) if call.endswith("relu")]
    assert len(relus) == len(signs) > 0
    assert all(torch.equal(layer.bool(), sign) for layer, sign in zip(relus, signs, strict=True))
    assert all(layer.max() <= 1 for layer in relus)


def test_the_codes_of_a_recurrent_network_are_the_signs_of_its_states():
    model, shape = build("rnn, time first")
    x = points(shape)
    states, _ = model.rnn(x.transpose(0, 1))
    codes = mm.region_codes(model, x)
    assert all(torch.equal(code.bool(), state > 0) for code, state in zip(codes, states, strict=True))
    model, shape = build("rnn, two ways")
    codes = mm.region_codes(model, x)
    states, _ = model.rnn(x.transpose(0, 1))  # of the second layer: forwards, then backwards
    for time in range(4):
        assert torch.equal(codes[8 + time].bool(), states[time, :, :4] > 0)
        assert torch.equal(codes[12 + time].bool(), states[3 - time, :, 4:] > 0)


@pytest.mark.parametrize("name", ZOO)
def test_the_codes_of_a_point_do_not_depend_on_the_others(name):
    model, shape = build(name)
    x = points(shape, N=4)
    together = mm.region_codes(model, x)
    for n in range(4):
        alone = mm.region_codes(model, x[n : n + 1])
        assert all(torch.equal(one, layer[n : n + 1]) for one, layer in zip(alone, together, strict=True))


@pytest.mark.parametrize("R, kind", [(2, "uint8"), (3, "uint8"), (256, "uint8"), (257, "int64")])
def test_more_than_256_pieces_need_int64(R, kind):
    codes = coded(np.array([[0, R - 1], [R // 2, 1]]), R=R)
    assert codes[0].dtype == getattr(torch, kind) and codes[0].tolist() == [[0, R - 1], [R // 2, 1]]
    assert codes.all().tolist() == codes[0].tolist()


def test_all_joins_both_types():
    codes = mm.region_codes(lambda x: torch.cat([read_off(x, 2), read_off(x, 300)], 1), at([[0, 299]]))
    assert codes.all().tolist() == [[0, 1, 0, 299]]


@pytest.mark.parametrize(
    "model",
    [
        lambda x: torch.relu(x.T).T,
        lambda x: torch.relu(x.reshape(-1, 1)).reshape(x.shape),
        lambda x: torch.relu(x.reshape(-1)).reshape(x.shape),
        lambda x: torch.relu(x[None])[0],
        nn.RNN(3, 3, nonlinearity="relu").double().to(DEVICE),
    ],
)
def test_points_must_stay_on_the_first_axis(model):
    function = (lambda x: model(x[:, None])[0][:, 0]) if isinstance(model, nn.RNN) else model
    with refuses("first axis|depends on another point"):
        mm.region_codes(function, at([[1, -2, 3], [4, 5, -6]]))


def test_points_must_stay_on_the_first_axis_as_the_message_says():
    message = r"1:relu sees \(3, 2\) numbers for 2 points and \(3, 2\) for 2; the points must stay"
    with refuses(message):
        mm.region_codes(lambda x: torch.relu(x.T).T, at([[1, -2, 3], [4, 5, -6]]))


@pytest.mark.parametrize("N", [1, 2, 5])
@pytest.mark.parametrize(
    "model",
    [
        lambda x: torch.relu(x.flip(0) - 0.5).flip(0),
        lambda x: torch.relu(x.roll(1, 0)).roll(-1, 0),
        lambda x: torch.relu(x[torch.arange(len(x)) - 1])[(torch.arange(len(x)) + 1) % len(x)],
    ],
)
def test_points_that_change_places_and_back_are_refused(model, N):
    """Their outputs are right, also beside other points; their codes would stand in other rows."""
    with refuses("held at the pieces in its row .have points changed places.. the output at a point differs"):
        mm.region_codes(model, points((4,), N))


# ---------------------------------------------------------------- regions

small = st.integers(1, 5)


@few
@given(arrays(np.int64, st.tuples(st.integers(1, 12), st.integers(1, 3)), elements=st.integers(0, 1)))
def test_regions_are_numbered_in_order_of_first_appearance(rows):
    regions = coded(rows).regions()
    seen = {}
    expected = [seen.setdefault(tuple(row), len(seen)) for row in rows.tolist()]
    assert regions.tolist() == expected and regions.dtype == torch.int64
    assert regions.device.type == DEVICE.type
    assert int(regions.max()) + 1 == len(np.unique(rows, axis=0))


@pytest.mark.parametrize("name", [name for name in ZOO if name != "affine"])
def test_points_close_to_each_other_share_a_region(name):
    model, shape = build(name)
    x = points(shape, N=4)
    codes = mm.region_codes(model, torch.cat([x, x + 1e-9 * points(shape, N=4, seed=1)]))
    regions = codes.regions()
    assert torch.equal(regions[:4], regions[4:])
    assert len(regions.unique()) == len(np.unique(codes.all().cpu(), axis=0))


def test_regions_of_codes_of_both_types_and_many_pieces():
    codes = mm.region_codes(lambda x: torch.cat([read_off(x[:, :1], 2), read_off(x[:, 1:], 300)], 1),
                            at([[1, 256], [0, 256], [1, 0], [1, 256], [0, 0]]))  # fmt: skip
    assert codes.regions().tolist() == [0, 1, 2, 0, 3]


def test_an_affine_network_has_one_region():
    model, shape = build("affine")
    assert mm.region_codes(model, points(shape)).regions().tolist() == [0, 0, 0]


# ---------------------------------------------------------------- distances


@st.composite
def pairs(draw, many=2):
    """Two or three arrays of codes of two nonlinear calls, for the same units."""
    R, units = draw(st.integers(2, many)), [draw(small), draw(small)]
    codes = [
        [draw(arrays(np.int64, (N, width), elements=st.integers(0, R - 1))) for width in units]
        for N in (draw(small), draw(small))
    ]
    return R, *codes


@few
@given(pairs(many=5))
def test_distances_are_scipy_s(case):
    R, a, b = case
    codes_a, codes_b = coded(*a, R=R), coded(*b, R=R)
    distance = mm.vq_distance(codes_a, codes_b)
    assert distance.shape == (len(a[0]), len(b[0])) and distance.dtype == torch.float32
    assert distance.device.type == DEVICE.type
    expected = cdist(np.concatenate(a, 1), np.concatenate(b, 1), "hamming")
    np.testing.assert_allclose(distance.cpu(), expected, rtol=0, atol=1e-6)
    for layer in (0, 1, -1):
        of_layer = mm.vq_distance(codes_a, codes_b, layer)
        np.testing.assert_allclose(of_layer.cpu(), cdist(a[layer], b[layer], "hamming"), rtol=0, atol=1e-6)
        assert torch.equal(of_layer, mm.vq_distance(codes_a, codes_b, layer=layer))


@few
@given(pairs(many=4))
def test_a_distance_is_a_metric_between_codes(case):
    R, a, b = case
    codes = coded(*[np.concatenate(both) for both in zip(a, b, strict=True)], R=R)
    distance = mm.vq_distance(codes, codes).cpu()
    assert (distance >= 0).all() and (distance <= 1).all() and torch.equal(distance, distance.T)
    rows = codes.all()
    assert torch.equal(distance == 0, (rows[:, None] == rows).all(-1).cpu())
    assert (distance[:, None] <= distance[:, :, None] + distance + 1e-6).all()


@pytest.mark.parametrize("name", [name for name in ZOO if name != "affine"])
def test_distances_in_the_zoo(name):
    model, shape = build(name)
    a, b = mm.region_codes(model, points(shape, N=6)), mm.region_codes(model, points(shape, N=4, seed=1))
    expected = cdist(a.all().cpu(), b.all().cpu(), "hamming")
    np.testing.assert_allclose(mm.vq_distance(a, b).cpu(), expected, rtol=0, atol=1e-6)


def test_a_distance_counts_exactly_among_many_units():
    rng = np.random.default_rng(0)
    for R in (2, 3):
        a, b = (rng.integers(0, R, (20, 5000)) for _ in range(2))
        distance = mm.vq_distance(coded(a, R=R), coded(b, R=R)).cpu().numpy()
        np.testing.assert_array_equal(np.rint(distance * 5000), (a[:, None] != b).sum(-1))
        assert (np.diag(mm.vq_distance(coded(a, R=R), coded(a, R=R)).cpu()) == 0).all()


def test_codes_of_different_networks_do_not_compare():
    x = at([[0.0, 1], [1, 1]])
    relu = mm.region_codes(torch.relu, x)
    for other, points_there in [(torch.abs, x), (lambda x: F.relu(F.relu(x)), x), (torch.relu, x[:, :1])]:
        with pytest.raises(ValueError, match="codes_a and codes_b must come from one network"):
            mm.vq_distance(relu, mm.region_codes(other, points_there))
        with pytest.raises(ValueError, match="codes_a and codes_b must come from one network"):
            mm.nearest(mm.region_codes(other, points_there), relu, 1)
    with pytest.raises(IndexError):
        mm.vq_distance(relu, relu, layer=1)


@pytest.mark.parametrize("codes", [None, torch.zeros(2, 2), np.zeros((2, 2))])
def test_only_codes_have_distances(codes):
    with pytest.raises(TypeError, match="codes_[ab]"):
        mm.vq_distance(codes, codes)


# ---------------------------------------------------------------- nearest


@few
@given(pairs(many=4), st.data())
def test_nearest_sorts_and_ties_go_to_the_first(case, data):
    R, a, b = case
    k = data.draw(st.integers(1, len(b[0])))
    layer = data.draw(st.sampled_from([None, 0, 1]))
    counts = [np.concatenate(x, 1) if layer is None else x[layer] for x in (a, b)]
    differing = (counts[0][:, None] != counts[1]).sum(-1)
    found = mm.nearest(coded(*a, R=R), coded(*b, R=R), k, layer)
    assert found.shape == (len(a[0]), k) and found.dtype == torch.int64 and found.device.type == DEVICE.type
    np.testing.assert_array_equal(found.cpu(), differing.argsort(1, kind="stable")[:, :k])


def test_among_many_equal_points_the_first_are_nearest():
    codes = coded(np.zeros((200, 3), dtype=int) + np.arange(200)[:, None] % 2)
    assert mm.nearest(codes, codes, 100)[0].tolist() == list(range(0, 200, 2))


@pytest.mark.parametrize("k", [0, -1, 3])
def test_k_must_be_there(k):
    codes = coded(np.eye(2, dtype=int))
    with pytest.raises(ValueError, match=f"k must be a whole number from 1 to 2, got {k}"):
        mm.nearest(codes, codes, k)


@pytest.mark.parametrize("k", [1.5, "1", None])
def test_k_must_be_a_whole_number(k):
    codes = coded(np.eye(2, dtype=int))
    with pytest.raises((TypeError, ValueError), match="k must"):
        mm.nearest(codes, codes, k)
