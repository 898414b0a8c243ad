"""Partitions of larger networks against the networks themselves, and all that a partition can do."""

import copy
import traceback

import contourpy
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers import DEVICE, at, mlp, refuses
from partitions import (
    SQUARE,
    affine,
    assert_same,
    assert_tiled,
    axes,
    by_code,
    codes_at,
    corners_of,
    crosses,
    every_net,
    map_at,
    outputs,
    partitioned,
    plane_for,
    random_points,
)
from torch import nn
from torch.nn import Conv2d, Hardtanh, LeakyReLU, Linear, ReLU, Sequential
from zoo import LARGER, Net, drawn

import mad_max_lib as mm


@every_net
def test_regions_tile_the_rectangle(name):
    assert_tiled(partitioned(name), corners_of(name))


@every_net
def test_codes_are_those_of_the_model_in_the_middle_and_next_to_all_corners(name):
    """With convex regions and a convex set of points for each code, this leaves no room for other regions."""
    p, corners = partitioned(name), corners_of(name)
    codes = p.codes.all().numpy()
    own = mm.region_codes(p.model, p.plane.points(p.centers))
    assert p.codes.names == own.names and len(p.codes) == len(own)
    for ours, theirs in zip(p.codes, own, strict=True):
        assert ours.dtype == theirs.dtype and torch.equal(ours, theirs.cpu())
    assert len(np.unique(codes, axis=0)) == len(p)
    inside = p.vertices[corners.here] + 1e-3 * (p.centers[corners.face] - p.vertices[corners.here])
    np.testing.assert_array_equal(codes[corners.face], codes_at(p, inside))


@every_net
def test_a_point_has_the_code_and_the_output_of_the_region_that_locate_finds(name):
    p = partitioned(name)
    points = random_points(p.bounds, 20_000 if p.plane.origin.shape == (2,) else 3_000)
    found = p.locate(points)
    assert found.dtype.kind == "i" and found.min() >= 0
    np.testing.assert_array_equal(p.codes.all().numpy()[found], codes_at(p, points))
    own = outputs(p, points)
    np.testing.assert_allclose(map_at(p, found, points), own, rtol=0, atol=1e-12 * abs(own).max())


@every_net
def test_maps_are_those_of_the_model_along_the_plane(name):
    p = partitioned(name)
    some = np.random.default_rng(0).permutation(len(p))[:200]
    A, b = mm.affine_map(p.model, p.plane.points(p.centers[some]))
    along = [(A * direction).flatten(2).sum(2).cpu().numpy() for direction in p.plane]
    assert p.A.shape == (len(p), b.shape[1], 2) and p.b.shape == b.shape[:0] + (len(p), b.shape[1])
    assert p.A.dtype == p.b.dtype == np.float64
    np.testing.assert_allclose(p.A[some], np.stack(along[1:], -1), rtol=0, atol=1e-12 * abs(p.A).max())
    np.testing.assert_allclose(p.b[some], along[0] + b.cpu().numpy(), rtol=0, atol=1e-12 * abs(p.b).max())


@every_net
def test_all_regions_around_a_vertex_give_the_output_of_the_model_there(name):
    p, corners = partitioned(name), corners_of(name)
    own = outputs(p, p.vertices)
    there = map_at(p, corners.face, p.vertices[corners.here])
    np.testing.assert_allclose(there, own[corners.here], rtol=0, atol=1e-11 * abs(own).max())
    for end in corners.inner.T:
        one, other = (map_at(p, face, p.vertices[end]) for face in corners.sides.T)
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-11 * abs(own).max())


# fmt: off
LAYERS = {  # K lines each, or 2 K
    "relu": (ReLU(), [0]), "abs": (torch.abs, [0]), "leaky relu": (LeakyReLU(0.2), [0]),
    "hard tanh": (Hardtanh(-1, 0.5), [-1, 0.5]), "clamp": (lambda u: u.clamp(max=0.25), [0.25]),
}
# fmt: on


def counts(lines, bounds):
    """Lines ``a s + b t + c = 0`` that cross the rectangle, and where inside it two of them meet."""
    left, right, bottom, top = bounds
    corners = np.array([[left, bottom, 1], [right, bottom, 1], [right, top, 1], [left, top, 1]])
    above = (corners @ lines.T > 0).sum(0)
    lines = lines[(above > 0) & (above < 4)]
    i, j = np.triu_indices(len(lines), 1)
    x, y, w = np.cross(lines[i], lines[j]).T
    with np.errstate(divide="ignore", invalid="ignore"):
        meet = (x / w > left) & (x / w < right) & (y / w > bottom) & (y / w < top)
    return len(lines), meet.sum()


@pytest.mark.parametrize("D", [2, 5])
@pytest.mark.parametrize("K", [1, 2, 7, 32, 63, 64, 65, 70, 129])
@pytest.mark.parametrize("kind", LAYERS)
def test_one_layer_has_as_many_regions_as_its_lines_make(kind, K, D):
    function, kinks = LAYERS[kind]
    linear, plane, bounds = drawn(Linear(D, K), seed=K), plane_for((D,), seed=K), (-2, 3, -1.5, 2.5)
    p = mm.partition(Net(lambda n, x: function(n.linear(x)), linear=linear), plane, bounds)
    with torch.no_grad():
        at_0, at_s, at_t = linear(p.plane.points([[0, 0], [1, 0], [0, 1]])).cpu().numpy()
    lines = [np.stack([at_s - at_0, at_t - at_0, at_0 - kink], 1) for kink in kinks]
    crossing, meeting = counts(np.concatenate(lines), bounds)
    assert len(p) == 1 + crossing + meeting
    assert len(p.vertices) == 4 + 2 * crossing + meeting


def test_a_convolution_cuts_along_the_lines_of_its_units():
    conv, plane = drawn(Conv2d(2, 3, 2)), plane_for((2, 4, 4))
    p = mm.partition(Net(lambda n, x: n.conv(x).relu(), conv=conv), plane, (-9, 9, -9, 9))
    with torch.no_grad():
        at_0, at_s, at_t = conv(plane.points([[0, 0], [1, 0], [0, 1]])).flatten(1).cpu().numpy()
    crossing, meeting = counts(np.stack([at_s - at_0, at_t - at_0, at_0], 1), p.bounds)
    assert len(p) == 1 + crossing + meeting > 100


@pytest.mark.parametrize("pool", [False, True])
def test_each_layer_subdivides_the_one_before(pool):
    if pool:
        model, plane, bounds = (
            drawn(LARGER["pooling 2x2"][0]()),
            plane_for((1, 12, 12)),
            (-0.2, 0.3, -0.3, 0.2),
        )
    else:
        model, plane, bounds = mlp(2, 16, 12, 8, 2), None, SQUARE
    coarse = mm.partition(model[:2], plane, bounds)
    for depth in range(3, len(model) + 1):
        fine = mm.partition(model[:depth], plane, bounds)
        around = coarse.locate(fine.centers)
        units = coarse.codes.all().shape[1]
        assert torch.equal(fine.codes.all()[:, :units], coarse.codes.all()[around])
        np.testing.assert_allclose(np.bincount(around, fine.areas, len(coarse)), coarse.areas, rtol=1e-9)
        coarse = fine


# ---------------------------------------------------------------- planes, bounds, types


def test_points_of_a_plane():
    plane = mm.Plane(at([[1, 2, 3], [4, 5, 6]]), at(torch.ones(2, 3)), at([[0, 1, 0], [0, 0, 2]]))
    points = plane.points(np.array([[0, 0], [2, 0], [0.5, -1]]))
    assert points.dtype == torch.float64 and points.device.type == DEVICE.type
    assert points.tolist() == [
        [[1, 2, 3], [4, 5, 6]],
        [[3, 4, 5], [6, 7, 8]],
        [[1.5, 1.5, 3.5], [4.5, 5.5, 4.5]],
    ]
    for st_ in ([[0.5, -1]], torch.tensor([[0.5, -1]]), np.float32([[0.5, -1]])):
        assert torch.equal(plane.points(st_), points[2:])
    assert plane.points(np.zeros((0, 2))).shape == (0, 2, 3)


def test_a_plane_through_three_inputs():
    x0, x1, x2 = at(np.random.default_rng(0).normal(size=(3, 2, 4)))
    plane = mm.Plane.through(x0, x1, x2)
    torch.testing.assert_close(plane.points([[0, 0], [1, 0], [0, 1]]), torch.stack([x0, x1, x2]))
    assert plane.u.shape == (2, 4) and isinstance(plane, mm.Plane)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.int64])
def test_a_plane_of_any_type_is_read_in_float64(dtype):
    model = mlp(3, 8, 2)
    x = torch.tensor([[0, 1, 2], [1, 0, 1], [-1, 1, 0]], dtype=dtype, device=DEVICE)
    p, q = mm.partition(model, mm.Plane(*x)), mm.partition(model, mm.Plane(*x.double()))
    assert (
        (p.A == q.A).all() and (p.areas == q.areas).all() and (p.locate(p.centers) == np.arange(len(p))).all()
    )


def test_the_default_plane_is_the_input_space_itself():
    model = mlp(2, 12, 3)
    p, q = mm.partition(model), mm.partition(model, axes(), SQUARE)
    assert (
        p.bounds == SQUARE and (p.vertices == q.vertices).all() and (p.A == q.A).all() and (p.b == q.b).all()
    )
    own, (A, b) = outputs(p, p.centers), mm.affine_map(model, at(p.centers))
    np.testing.assert_allclose(p.A, A.cpu(), atol=1e-13)
    np.testing.assert_allclose(p.b, b.cpu(), atol=1e-13)
    np.testing.assert_allclose(map_at(p, np.arange(len(p)), p.centers), own, atol=1e-13)


@pytest.mark.parametrize(
    "bounds",
    [[-1, 2, 0, 1], np.array([-1, 2, 0, 1]), torch.tensor([-1.0, 2, 0, 1])],
)
def test_bounds_may_be_any_four_numbers(bounds):
    p = mm.partition(mlp(2, 5, 1), bounds=bounds)
    p.check()
    assert (
        p.areas.sum() == pytest.approx(3)
        and (p.locate([[2, 1], [-1, 0], [2.1, 1], [0, -0.1]]) < 0).sum() == 2
    )


def test_two_halves_of_a_rectangle_make_the_whole():
    model = mlp(2, 10, 10, 2)
    parts = [by_code(mm.partition(model, bounds=bounds)) for bounds in ((-2, 0.3, -1, 2), (0.3, 1, -1, 2))]
    added = {code: sum(part.get(code, 0) for part in parts) for code in parts[0] | parts[1]}
    assert_same(added, by_code(mm.partition(model, bounds=(-2, 1, -1, 2))))


def test_a_plane_seen_in_other_coordinates():
    """Turned, stretched and shifted coordinates change the areas by one factor and leave the codes."""
    model, plane = mlp(6, 12, 12, 2), plane_for((6,))
    p = mm.partition(model, plane, (-1, 1, -2, 2))
    turned = mm.Plane(plane.origin + plane.u, 4 * plane.v, -plane.u)
    q = mm.partition(model, turned, (-0.5, 0.5, 0, 2))
    assert_same({code: 4 * area for code, area in by_code(q).items()}, by_code(p))


def test_a_flat_plane_is_cut_along_parallels():
    model = mlp(3, 10, 1)
    u = at([1, 2, -1])
    p = mm.partition(model, mm.Plane(at([0, 0.1, 0]), u, 0 * u))
    p.check()
    assert len(p) == len(p.vertices) / 2 - 1 and set(p.vertices[:, 1]) == {-1, 1}


def test_a_float32_model_is_read_in_float64():
    model = mlp(2, 16, 16, 2).float()
    p, q = mm.partition(model), mm.partition(copy.deepcopy(model).double())
    assert p.A.dtype == p.b.dtype == p.areas.dtype == p.vertices.dtype == np.float64
    assert (p.A == q.A).all() and (p.vertices == q.vertices).all()
    assert torch.equal(p.codes.all(), q.codes.all())
    assert all(
        t.dtype == torch.float32 and t.grad is None for t in model.parameters()
    )  # the caller's is as it was
    assert p.check()["jump"] < 1e-13


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_partition_is_a_snapshot(dtype):
    model = nn.Sequential(nn.Linear(2, 16), nn.BatchNorm1d(16), nn.ReLU(), mlp(16, 16, 3)).to(dtype).eval()
    expected, p = mm.partition(copy.deepcopy(model)), mm.partition(model)
    with torch.no_grad():
        for tensor in [*model.parameters(), model[1].running_mean]:
            tensor += 1
    assert (p.A == expected.A).all() and (p.b == expected.b).all()
    p.check()
    points = random_points(SQUARE, 100)
    assert (p.locate(points) == expected.locate(points)).all()
    assert len(mm.partition(model)) != len(p)


def test_a_partition_changes_nothing():
    model = mlp(2, 8, 8, 3).train()
    state = copy.deepcopy(model.state_dict())
    torch.manual_seed(0)
    np.random.seed(0)
    expected = torch.rand(1), np.random.rand()
    torch.manual_seed(0)
    np.random.seed(0)
    plane, bounds = axes(), [-1, 1, -1, 1]
    p = mm.partition(model, plane, bounds)
    p.check(), p.boundary(), p.A, p.locate([[0, 0]])
    assert (torch.rand(1), np.random.rand()) == expected  # takes no random numbers of yours
    assert model.training and all(torch.equal(state[key], value) for key, value in model.state_dict().items())
    assert torch.is_grad_enabled() and bounds == [-1, 1, -1, 1]
    assert torch.equal(plane.u, at([1, 0]))
    again = mm.partition(model, plane, bounds)
    assert (p.vertices == again.vertices).all() and torch.equal(p.codes.all(), again.codes.all())


def test_using_a_partition_does_not_change_it():
    used, fresh = (mm.partition(mlp(2, 10, 3)) for _ in range(2))
    boundary = used.boundary()
    mm.figures.draw_partition(plt.figure().add_subplot(), used)
    plt.close("all")
    used.check(), used.locate(used.vertices)
    assert all(map(np.array_equal, used.faces, fresh.faces))
    for key in ("vertices", "A", "b", "areas", "centers", "neighbours"):
        assert np.array_equal(getattr(used, key), getattr(fresh, key)), key
    assert np.array_equal(boundary, used.boundary()) and np.array_equal(boundary, fresh.boundary())


@pytest.mark.parametrize("gradients", [False, True])
def test_functions_are_as_good_as_modules(gradients):
    model = mlp(2, 8, 8, 3)
    u, v = at([1, 0]).requires_grad_(gradients), at([0, 1])
    with torch.set_grad_enabled(gradients):
        p = mm.partition(lambda x: model(x), mm.Plane(0 * v, u, v))
        p.check()
    assert_same(by_code(p), by_code(mm.partition(model)))
    assert isinstance(p.A, np.ndarray)


def test_more_axes_of_the_output_are_flattened():
    p = mm.partition(lambda x: torch.stack([x.relu(), -x.relu()], 1))
    assert len(p) == 4 and p.A.shape == (4, 4, 2) and p.b.shape == (4, 4)
    p.check()


def test_it_says_how_many_regions_it_has():
    assert repr(mm.partition(torch.abs)) == "Partition into 4 regions"


# ---------------------------------------------------------------- wrong arguments and refusals

E3 = torch.eye(3, dtype=torch.float64, device=DEVICE)
WRONG = {
    "bounds reversed": (dict(bounds=(1, -1, -1, 1)), r"bounds must be \(left, right, bottom, top\)"),
    "bounds upside down": (dict(bounds=(-1, 1, 2, 1)), "bounds must be .* bottom < top, got .*2, 1"),
    "bounds without area": (dict(bounds=(-1, 1, 1, 1)), "bounds must be"),
    "bounds without width": (dict(bounds=(1, 1, -1, 1)), "bounds must be"),
    "bounds with NaN": (dict(bounds=(-1, 1, -1, np.nan)), "bounds must be"),
    "bounds without end": (dict(bounds=(-np.inf, 1, -1, 1)), "bounds must be"),
    "plane of three tensors": (dict(plane=tuple(E3)), "plane must be a Plane"),
    "bounds in the place of the plane": (dict(plane=SQUARE), "plane must be a Plane"),
    "plane of two shapes": (
        dict(plane=mm.Plane(E3[0], E3[1], E3[2, :2])),
        "plane must be .* the shape of one",
    ),
    "plane of two shapes, one an origin": (dict(plane=mm.Plane(E3[0, :2], E3[1], E3[2])), "plane must be"),
    "three bounds": (dict(bounds=(-1, 1, -1)), "bounds must be"),
    "five bounds": (dict(bounds=(-1, 1, -1, 1, 0)), "bounds must be"),
    "pairs of bounds": (dict(bounds=((-1, 1), (-1, 1))), "bounds must be"),
    "one bound": (dict(bounds=2), "bounds must be"),
    "bounds in words": (dict(bounds="abcd"), "bounds must be"),
    "no bounds": (dict(bounds=None), "bounds must be"),
    "plane of one array": (dict(plane=np.eye(3)), "plane must be a Plane"),
    "plane of one tensor": (dict(plane=E3), "plane must be a Plane"),
    "plane of arrays": (dict(plane=mm.Plane(*np.eye(3))), "plane must"),
    "plane of lists": (dict(plane=mm.Plane([0, 0, 0], [1, 0, 0], [0, 1, 0])), "plane must"),
    "plane of numbers": (dict(plane=mm.Plane(*E3[0])), "points of plane"),
    "plane of another space": (dict(plane=mm.Plane(*torch.eye(4).to(E3)[:3])), "plane"),
    "no plane where one is needed": (dict(), "plane"),
    "plane with NaN in its origin": (dict(plane=mm.Plane(E3[0] * np.nan, E3[1], E3[2])), "plane .*finite"),
    "plane with NaN in u": (dict(plane=mm.Plane(E3[0], E3[1] * np.nan, E3[2])), "plane .*finite"),
    "plane without end": (dict(plane=mm.Plane(E3[0], E3[1], E3[2] / 0)), "plane .*finite"),
    "plane of complex numbers": (dict(plane=mm.Plane(*E3.to(torch.complex128))), "plane"),
}


@pytest.mark.parametrize("what", WRONG)
@pytest.mark.filterwarnings("ignore:Casting complex")
def test_wrong_arguments_are_named(what):
    arguments, message = WRONG[what]
    with pytest.raises((ValueError, TypeError), match=message):
        mm.partition(mlp(3, 4, 2), **arguments)


def test_the_bounds_that_were_given_are_in_the_message():
    with pytest.raises(ValueError, match=r"left < right, bottom < top, got \(1, -1, -1, 1\)$"):
        mm.partition(torch.relu, bounds=(1, -1, -1, 1))


@pytest.mark.parametrize(
    "points",
    [[0.0, 0.0], [[0.0, 0.0, 0.0]], [[np.nan, 0.0]], [[0.0, np.inf]]],
    ids=["one", "3-D", "NaN", "inf"],
)
def test_wrong_points_are_named(points):
    with pytest.raises(ValueError, match="points must"):
        mm.partition(torch.relu).locate(points)


def test_no_points_lie_nowhere():
    assert mm.partition(torch.relu).locate(np.zeros((0, 2))).shape == (0,)


def test_an_output_may_come_without_a_second_axis_but_not_without_the_first():
    p = mm.partition(lambda x: x.relu().sum(1))
    assert len(p) == 4 and p.b.shape == (4, 1)
    with refuses("model must have an output for each point"):
        mm.partition(lambda x: x.relu().sum())


def test_a_function_with_float32_weights_is_refused_in_words():
    model = mlp(2, 4, 2).float()
    with pytest.raises((ValueError, TypeError), match="float64"):
        mm.partition(lambda x: model(x))


NORM, DROPOUT = nn.BatchNorm1d(4).to(DEVICE), nn.Dropout(0.5)
REFUSED = {  # a function of (N, 4) inputs, the function that is refused, nonlinear calls before it
    "sigmoid": (lambda x: torch.sigmoid(x.relu()), "sigmoid", 1),
    "tanh": (lambda x: x.tanh(), "tanh", 0),
    "gelu": (F.gelu, "gelu", 0),
    "softmax": (lambda x: F.softmax(x.abs().relu(), 1), "softmax", 2),
    "square": (lambda x: x.relu() * x, "mul", 1),
    "power": (lambda x: x**2, "__?pow__|pow", 0),
    "layer norm": (lambda x: F.layer_norm(x, (4,)), "layer_norm", 0),
    "batch statistics": (Sequential(ReLU(), NORM), "batch_norm", 1),
    "dropout": (Sequential(ReLU(), ReLU(), DROPOUT), "dropout", 2),
    "indices": (lambda x: x.relu()[:, x.argsort(1)[0]], "argsort", 1),
    "step": (lambda x: torch.where(x > 0, x, x - 1), "gt", 0),
    "largest of all points": (lambda x: x - x.relu().amax(0), "amax", 1),
    "product with itself": (lambda x: x.relu() @ x.abs().T, "matmul|__matmul__", 2),
    "branch": (lambda x: x if x[0, 0] > 0 else -x, "gt", 0),
    "truth": (lambda x: x if x.relu()[0, 0] else -x, "__bool__", 1),
}
PLANE4 = plane_for((4,))


@pytest.mark.parametrize("what", REFUSED)
def test_refused_with_the_name_of_the_function_once(what):
    function, name, before = REFUSED[what]
    said = rf"^({name}) \(function number \d+ after the input, nonlinear calls before it: {before}\) \w"
    with refuses(said) as error:
        mm.partition(function, PLANE4)
    assert str(error.value).count("function number") == 1 and str(error.value).count("nonlinear calls") == 1
    assert sum("Traceback" in line for line in traceback.format_exception(error.value)) == 1, "not a chain"


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning", "ignore:The .grad")
def test_compiled_models_are_refused(nested):
    model = torch.jit.script(Sequential(Linear(2, 3), ReLU()))
    with refuses("model is or holds a scripted"):
        mm.partition(Sequential(model) if nested else model)


@pytest.mark.parametrize(
    "model",
    [lambda x: (x, x), lambda x: torch.ones(len(x), 2, dtype=x.dtype), lambda x: None, lambda x: {"out": x}],
)
def test_the_output_must_be_one_tensor_that_comes_from_x(model):
    with refuses("model must return one tensor, got|model must return what is seen to come from x"):
        mm.partition(model)


@pytest.mark.parametrize("look", [lambda x: x[0, 0].item(), lambda x: float(x[0, 0])])
def test_what_is_made_of_one_number_is_caught(look):
    with refuses("not affine on a region"):
        mm.partition(lambda x: x * look(x), PLANE4)


@pytest.mark.parametrize("model", [None, "relu", 3.0])
def test_a_model_must_be_callable(model):
    with pytest.raises(TypeError, match="not callable"):
        mm.partition(model)


SLICE = (-1.3, 1, -0.9, 1.1)
MIXED = {
    "minus the sum": lambda x: x.relu() - x.relu().sum(0),
    "running sum": lambda x: x.cumsum(0).relu(),
    "flipped": lambda x: x.flip(0).relu(),
    "rolled": lambda x: x.roll(1, 0).relu(),
}


@pytest.mark.parametrize("what", MIXED)
def test_points_must_not_depend_on_each_other(what):
    with refuses("not affine on a region, by .*one point's output depends on another"):
        mm.partition(MIXED[what], bounds=SLICE)


def test_points_must_not_depend_on_their_mean():
    with refuses():
        mm.partition(lambda x: (x - x.mean(0)).relu(), bounds=SLICE)


@pytest.mark.parametrize("D", [3, 4, 5])
def test_points_must_stay_on_the_first_axis(D):
    with refuses("does not keep the points on the first axis"):
        mm.partition(lambda x: x.T.relu().T, plane_for((D,)), SLICE)


@pytest.mark.parametrize("D", [3, 4, 5])
def test_points_may_leave_the_first_axis_in_between(D):
    plane = plane_for((D,))
    p = mm.partition(lambda x: (2 * x.relu().T - 1).T.relu(), plane, (-3, 3, -3, 3))
    p.check()
    assert_same(by_code(p), by_code(mm.partition(lambda x: (2 * x.relu() - 1).relu(), plane, (-3, 3, -3, 3))))


@pytest.mark.parametrize("slip", [1e-8, 1.0])
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_what_cannot_be_seen_is_caught(slip):
    hidden = torch.jit.script(hidden_relu)
    with refuses("not affine on a region, by .*could not be seen"):
        mm.partition(lambda x: x.relu() + slip * hidden(x[:, :1] + x[:, 1:] - 0.3).detach())


def hidden_relu(x: torch.Tensor):
    return torch.relu(x)


# ---------------------------------------------------------------- the decision boundary


def crossings(a, b, p, q):
    """Whether segment a b crosses segment p q, for all pairs: (N, M)."""
    a, b = a[:, None], b[:, None]
    on_both_sides = crosses(b - a, p - a) * crosses(b - a, q - a) < 0
    return on_both_sides & (crosses(q - p, a - p) * crosses(q - p, b - p) < 0)


DECIDED = [
    "2-32-32-3",
    "2-64-64-64-1",
    "hard tanh",
    "prelu",
    "maximum",
    "plane of 64 dimensions",
    "recurrent",
]


@pytest.mark.parametrize("name", DECIDED)
def test_on_the_boundary_the_two_largest_outputs_tie(name):
    p = partitioned(name)
    segments = p.boundary()
    assert segments.shape == (len(segments), 2, 2) and len(segments) > 10
    assert np.linalg.norm(segments[:, 1] - segments[:, 0], axis=1).min() > 0
    for share in (0, 0.1, 0.5, 0.83, 1):
        own = np.sort(outputs(p, (1 - share) * segments[:, 0] + share * segments[:, 1]), 1)
        gap = own[:, -1] - own[:, -2] if own.shape[1] > 1 else own[:, -1]
        assert abs(gap).max() < 1e-10 * abs(outputs(p, p.vertices)).max()


@pytest.mark.parametrize("name", DECIDED)
def test_each_piece_of_the_boundary_lies_in_one_region(name):
    p, corners = partitioned(name), corners_of(name)
    segments = p.boundary()
    middle = segments.mean(1)
    face = p.locate(middle)
    for end in segments.transpose(1, 0, 2):
        values = np.sort(map_at(p, face, end), 1)
        gap = values[:, -1] - values[:, -2] if values.shape[1] > 1 else values[:, -1]
        assert abs(gap).max() < 1e-10 * abs(outputs(p, p.vertices)).max()
    here, step = p.vertices[corners.here], p.vertices[corners.next] - p.vertices[corners.here]
    for f, ends in zip(face, segments, strict=True):
        mine = corners.face == f
        heights = crosses(step[mine][:, None], ends - here[mine][:, None]).min(1)
        assert (heights > -1e-9 * np.linalg.norm(step[mine], axis=1)).all()


@pytest.mark.parametrize("name", DECIDED)
def test_the_class_changes_where_the_boundary_is_crossed(name):
    """With two classes: on the way to a point of the other class, an odd number of times."""
    p = partitioned(name)
    a, b = random_points(p.bounds, 1_000), random_points(p.bounds, 1_000, seed=1)
    b = a + 0.1 * (b - a)
    one, other = (
        own.argmax(1) if own.shape[1] > 1 else own[:, 0] > 0 for own in (outputs(p, a), outputs(p, b))
    )
    crossed = crossings(a, b, *p.boundary().transpose(1, 0, 2)).sum(1)
    assert (crossed[one != other] > 0).all() and (one != other).sum() > 20
    if p.b.shape[1] <= 2:
        np.testing.assert_array_equal(crossed % 2, one != other)


@pytest.mark.parametrize("sizes", [(2, 12, 12, 1), (2, 12, 12, 2)])
def test_the_boundary_is_as_long_as_the_contour_of_a_fine_grid(sizes):
    p = mm.partition(mlp(*sizes, seed=2), bounds=(-3, 2, -2, 3))
    x = np.linspace(-3, 2, 501)
    own = outputs(p, np.stack(np.meshgrid(x, x + 1), -1).reshape(-1, 2))
    z = (own[:, 0] - own[:, 1] if own.shape[1] > 1 else own[:, 0]).reshape(501, 501)
    lines = contourpy.contour_generator(x, x + 1, z).lines(0)
    expected = sum(np.linalg.norm(np.diff(line, axis=0), axis=1).sum() for line in lines)
    segments = p.boundary()
    assert np.linalg.norm(segments[:, 1] - segments[:, 0], axis=1).sum() == pytest.approx(expected, rel=5e-3)
    assert expected > 3


def test_boundaries_found_by_hand():
    first = mm.partition(affine([[1, 0], [0, 1]])).boundary()  # s = t
    assert np.sort(first[:, :, 0], 1).tolist() == np.sort(first[:, :, 1], 1).tolist() == [[-1, 1]]
    three = mm.partition(affine([[1, 0], [0, 1], [0, 0]])).boundary()  # 0 where both are negative
    rays = sorted(np.sort(np.round(segment, 12), 0).tolist() for segment in three)
    assert rays == [[[-1, 0], [0, 0]], [[0, -1], [0, 0]], [[0, 0], [1, 1]]]
    sign = mm.partition(affine([[2, 0]], -1)).boundary()
    assert np.sort(sign[0], 0).tolist() == [[0.5, -1], [0.5, 1]] and len(sign) == 1
    corner = mm.partition(lambda x: x.relu().sum(1, keepdim=True)).boundary()  # zero on a whole quadrant
    assert sorted(np.sort(s, 0).tolist() for s in corner) == [[[-1, 0], [0, 0]], [[0, -1], [0, 0]]]


@pytest.mark.parametrize(
    "model",
    [
        lambda x: x.relu().sum(1, keepdim=True) + 1,
        lambda x: x.relu() * 0,
        lambda x: torch.cat([x[:, :1].relu()] * 3, 1),
        lambda x: torch.cat([x.relu(), x + 5], 1),
        lambda x: -x.abs().sum(1, keepdim=True),
    ],
    ids=["positive", "zero", "equal outputs", "one largest", "never above zero"],
)
def test_a_network_without_a_boundary(model):
    p = mm.partition(model)
    assert p.boundary().shape == (len(p.boundary()), 2, 2)
    classes = np.unique(outputs(p, random_points(SQUARE, 500)).argmax(1))
    assert len(p.boundary()) == 0 or len(classes) > 1


# ---------------------------------------------------------------- finding regions


def test_a_border_belongs_to_the_lowest_piece():
    p = mm.partition(torch.relu)
    codes = p.codes[0].tolist()
    places = {(0, 0): [0, 0], (0, 0.5): [0, 1], (0, -0.5): [0, 0], (0.5, 0): [1, 0], (1e-9, 0): [1, 0],
              (1, 1): [1, 1], (-1, 1): [0, 1], (-1, 0): [0, 0], (1, 0): [1, 0]}  # fmt: skip
    assert [codes[f] for f in p.locate(list(places))] == list(places.values())


def test_points_outside_are_in_no_region():
    p = mm.partition(torch.relu, bounds=(-1, 2, 0, 1))
    inside = [[-1, 0], [2, 1], [-1, 1], [2, 0], [0.5, 0.5]]
    outside = [[-1.001, 0.5], [2.001, 0.5], [0, -0.001], [0, 1.001], [5, 5], [-1e9, 0.5]]
    assert (p.locate(inside) >= 0).all() and p.locate(outside).tolist() == [-1] * 6
    assert p.locate(inside + outside).shape == (11,) and (p.locate(inside + outside)[5:] == -1).all()


@pytest.mark.parametrize(
    "W", [[[1, 0], [0, 1], [-1, -1]], [[1, 0], [-1, 0], [1, 0]], [[1, 1], [-1, -1], [1, -1], [-1, 1]]]
)
def test_where_no_region_has_all_the_lowest_pieces_one_that_touches_is_found(W):
    p = mm.partition(Sequential(affine(W), ReLU()))
    points = np.array([[0, 0], [0, 0.5], [0, -0.25], [0.5, 0.5], [0.5, -0.5], [0, 1]])
    found = p.locate(points)
    for point, face in zip(points, found, strict=True):
        polygon = p.vertices[p.faces[face]]
        assert crosses(np.roll(polygon, -1, 0) - polygon, point - polygon).min() >= -1e-15


@pytest.mark.parametrize("name", ["2-32-32-3", "maxout", "hard tanh"])
def test_a_vertex_is_found_in_one_of_the_regions_around_it(name):
    p, corners = partitioned(name), corners_of(name)
    around = [set() for _ in p.vertices]
    for vertex, face in zip(corners.here, corners.face, strict=True):
        around[vertex].add(face)
    found = p.locate(p.vertices)
    lost = [v for v, face in enumerate(found) if face not in around[v]]
    for v in lost:  # next to another region, by rounding
        polygon = p.vertices[p.faces[found[v]]]
        step = np.roll(polygon, -1, 0) - polygon
        assert (crosses(step, p.vertices[v] - polygon) / np.linalg.norm(step, axis=1)).min() > -1e-12
    assert len(lost) < 0.01 * len(p.vertices)


def test_neighbours_found_by_hand():
    p = mm.partition(torch.relu)
    codes = p.codes[0].tolist()
    pairs = sorted(sorted((codes[f], codes[g])) for f, g in p.neighbours)
    assert pairs == [[[0, 0], [0, 1]], [[0, 0], [1, 0]], [[0, 1], [1, 1]], [[1, 0], [1, 1]]]
    assert (p.neighbours[:, 0] < p.neighbours[:, 1]).all()
    assert mm.partition(lambda x: (x + 5).relu()).neighbours.shape == (0, 2)


@pytest.mark.parametrize("name", ["2-32-32-3", "plane of 64 dimensions", "hard tanh"])
def test_neighbours_differ_in_one_piece(name):
    p = partitioned(name)
    one, other = (p.codes.all()[face].long() for face in p.neighbours.T)
    assert ((one - other).abs().sum(1) == 1).all() and len(p.neighbours) > len(p)


@pytest.mark.parametrize("name", ["2-32-32-3", "pooling 2x2", "maxout"])
def test_neighbours_are_listed_once(name):
    pairs = partitioned(name).neighbours
    assert len(np.unique(pairs, axis=0)) == len(pairs)
