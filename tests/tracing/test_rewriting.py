"""Functions that are written in terms of others: values and maps are torch's, in every way to call them."""

from math import inf

import pytest
import torch
import torch.nn.functional as F
from helpers import DEVICE, at, jacobian, refuses
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from zoo import points

import mad_max_lib as mm
from mad_max_lib.tracing.tracer import record

X = points((5, 6))


def agrees_with_torch(model, x=X):
    """Values, derivatives and constants at points without ties; near by the pieces are the same."""
    trace = record(model, x)
    assert trace.rewritten
    torch.testing.assert_close(trace.output, model(x.clone()), rtol=1e-13, atol=1e-13)
    A, b = mm.affine_map(model, x)
    torch.testing.assert_close(A, jacobian(model, x))
    torch.testing.assert_close(sum(mm.bias_terms(model, x).values(), torch.zeros_like(b)), b)
    near = x + 1e-9 * points(x.shape[1:], len(x), seed=1)
    assert torch.equal(mm.region_codes(model, near).all(), mm.region_codes(model, x).all())


# ---------------------------------------------------------------- norms

NORMS = {
    "inf": lambda x: x.norm(inf, 1),
    "-inf, kept": lambda x: torch.norm(x, -inf, 2, True),
    "inf, two dims": lambda x: x.norm(p=inf, dim=(1, 2), keepdim=True),
    "1, two dims": lambda x: x.norm(p=1, dim=(1, 2), keepdim=True),
    "vector, inf": lambda x: torch.linalg.vector_norm(x, inf, (1, 2), keepdim=True),
    "vector, 1": lambda x: torch.linalg.vector_norm(x, ord=1, dim=-1),
    "linalg, inf": lambda x: torch.linalg.norm(x, inf, 2),
    "linalg, 1": lambda x: torch.linalg.norm(x, ord=1, dim=1, keepdim=True),
    "distance, 1": lambda x: F.pairwise_distance(x[:, 0], 1 - x[:, 1], p=1, eps=0.5, keepdim=True),
    "distance, inf": lambda x: F.pairwise_distance(x[:, 0], x[:, 1], inf)[:, None],
    "distances, inf": lambda x: torch.cdist(x, 1 - 2 * x[:, :2], p=inf),
    "loss": lambda x: F.l1_loss(x[:, 0], x[:, 1], reduction="none"),
}


@pytest.mark.parametrize("name", NORMS)
def test_norms_that_are_piecewise_affine(name):
    agrees_with_torch(NORMS[name])


@pytest.mark.parametrize(
    "model, words",
    [
        (
            lambda x: x.norm(dim=1),
            "norm .* is a curved norm, or one of all points; those of p = 1 and p = inf",
        ),
        (lambda x: x.norm(2, 1), "is a curved norm"),
        (lambda x: torch.norm(x, "nuc", (1, 2)), "is a curved norm"),
        (lambda x: torch.linalg.vector_norm(x, dim=1), "linalg_vector_norm .* is a curved norm"),
        (lambda x: x / torch.linalg.vector_norm(x, 1), "or one of all points"),
        (lambda x: x / x.norm(inf, 0), "takes the largest of all points together"),
        (lambda x: torch.linalg.norm(x, 1, (1, 2)), "is a matrix norm or one of all points; give it one dim"),
        (lambda x: F.pairwise_distance(x, x + 1), "pairwise_distance .* is a curved norm"),
    ],
)
def test_norms_that_are_not(model, words):
    with refuses(words):
        mm.affine_map(model, X)


# ---------------------------------------------------------------- the smallest and the largest

EXTREMES = {
    "both": lambda x: torch.aminmax(x, dim=1).max - 2 * x.aminmax(dim=1).min,
    "both, kept": lambda x: torch.cat(torch.aminmax(x, dim=2, keepdim=True), 1),
    "smallest": lambda x: torch.min(x, dim=-1, keepdim=True).values,
    "smallest of two": lambda x: torch.min(x, other=x.flip(2)),
    "smallest, two dims": lambda x: x.amin(dim=(2, 1), keepdim=True),
    "so far": lambda x: torch.cummax(x, dim=2).values,
    "so far, before the last": lambda x: x.cummax(1)[0],
    "smallest so far": lambda x: x.cummin(-1).values,
}


@pytest.mark.parametrize("name", EXTREMES)
def test_the_smallest_and_the_largest(name):
    agrees_with_torch(EXTREMES[name])


def test_the_largest_so_far_of_equal_numbers_is_the_first():
    """torch gives the place of the last of them, and its derivative goes there; ours is the lowest piece."""
    x = at([[1.0, 3, 3, 2, 3]])
    A, b = mm.affine_map(lambda x: x.cummax(1).values, x)
    assert A[0].argmax(1).tolist() == [0, 1, 1, 1, 1] and (A.sum(-1) == 1).all() and not b.any()


# ---------------------------------------------------------------- in order

IN_ORDER = {
    "sort": lambda x: x.sort().values,
    "sort, last but one": lambda x: torch.sort(x, 1)[0],
    "sort, falling": lambda x: torch.sort(x, dim=2, descending=True)[0],
    "sort, stable": lambda x: torch.sort(x, stable=True, dim=-2, descending=True).values,
    "largest": lambda x: x.topk(2).values,
    "largest, last but one": lambda x: torch.topk(x, k=3, dim=1)[0],
    "smallest": lambda x: torch.topk(x, 2, 2, largest=False).values,
    "the third": lambda x: x.kthvalue(3).values,
    "the second, kept": lambda x: torch.kthvalue(x, 2, dim=1, keepdim=True)[0],
    "median of five": lambda x: x.median(1).values,
    "lower median of six": lambda x: torch.median(x, dim=-1, keepdim=True)[0],
    "median without NaN": lambda x: x.nanmedian(2)[0],
}


@pytest.mark.parametrize("name", IN_ORDER)
@pytest.mark.parametrize("seed", range(3))
def test_numbers_in_order(name, seed):
    agrees_with_torch(IN_ORDER[name], points((5, 6), seed=seed))


TIED = [[2.0, 1, 2, 1, 1, 2]]


@pytest.mark.parametrize("descending, order", [(False, [1, 3, 4, 0, 2, 5]), (True, [0, 2, 5, 1, 3, 4])])
@pytest.mark.parametrize("stable", [False, True])
def test_equal_numbers_stay_in_the_order_they_came_in(descending, order, stable):
    x = at(TIED)
    model = lambda x: torch.sort(x, dim=1, descending=descending, stable=stable).values  # noqa: E731
    A, _ = mm.affine_map(model, x)
    assert (
        A[0].argmax(1).tolist()
        == order
        == torch.sort(x, stable=True, dim=1, descending=descending)[1][0].tolist()
    )
    assert mm.region_codes(model, x)[0][0].tolist() == order
    assert torch.equal(record(model, x).output, model(x))


def test_of_equal_numbers_the_first_are_the_largest():
    x = at(TIED)
    for model, places in [
        (lambda x: x.topk(2, 1).values, [0, 2]),
        (lambda x: x.topk(4, 1, False).values, [1, 3, 4, 0]),
        (lambda x: x.kthvalue(3, 1, True).values, [4]),
        (lambda x: x.median(1, True).values, [4]),
    ]:
        A, _ = mm.affine_map(model, x)
        assert A[0].argmax(1).tolist() == places
        assert torch.equal(record(model, x).output, model(x))


# ---------------------------------------------------------------- groups

PLACES = torch.tensor([[0, 2, 0, 1, 2, 2], [1, 1, 0, 0, 2, 1]], device=DEVICE)  # of 2 rows with 6 numbers


def along_the_last(x, how, include_self=True):
    return x[:, :2, :4].scatter_reduce(
        2, PLACES.expand(len(x), 2, 6), x[:, 3:], how, include_self=include_self
    )


def along_the_middle(x, how, include_self=True):
    groups = PLACES.T[:5, :].expand(len(x), 5, 2)
    return torch.scatter_reduce(x[:, 2:, 1:4], 1, groups, x[..., 4:], how, include_self=include_self)


def in_place(x, how, include_self=True):
    y = 0.5 * x[..., :3]
    y.scatter_reduce_(1, PLACES.T[:5, :].expand(len(x), 5, 2), x[..., 3:5], how, include_self=include_self)
    return y


def into_constants(x, how, include_self=True):
    groups = PLACES[0].expand(len(x), 6)
    return (
        torch.full((len(x), 4), 0.25)
        .to(x)
        .scatter_reduce_(1, groups, x[:, 0], how, include_self=include_self)
    )


@pytest.mark.parametrize("function", [along_the_last, along_the_middle, in_place, into_constants])
@pytest.mark.parametrize("how", ["amax", "amin"])
@pytest.mark.parametrize("include_self", [False, True])
def test_the_largest_of_each_group(function, how, include_self):
    agrees_with_torch(lambda x: function(x, how, include_self))


@pytest.mark.parametrize("how", ["sum", "mean"])
def test_sums_of_each_group_are_affine(how):
    model = lambda x: along_the_middle(x, how)  # noqa: E731
    A, _ = mm.affine_map(model, X)
    torch.testing.assert_close(A, jacobian(model, X))
    assert mm.region_codes(model, X).names == []


def test_groups_of_several_points():
    groups = torch.zeros(3, 5, 6, dtype=torch.long, device=DEVICE)
    with refuses("scatter_reduce .* takes the largest of several points together; group along a dim after"):
        mm.region_codes(lambda x: x.scatter_reduce(0, groups[: len(x)], x, "amax"), X)
    groups[1:] = 1
    with refuses("scatter_reduce .* takes the largest of several points together"):
        mm.region_codes(lambda x: x.scatter_reduce(1, groups[-len(x) :], x, "amax"), torch.cat([X, X])[:3])


# ---------------------------------------------------------------- sums of windows


@pytest.mark.parametrize(
    "model",
    [
        lambda x: F.lp_pool1d(x, 1, 2),
        nn.LPPool1d(1, 3, 2),
        lambda x: F.lp_pool2d(x[:, None], 1.0, (2, 3), stride=1),
        nn.Sequential(nn.Unflatten(2, (2, 3)), nn.LPPool3d(1, (2, 2, 1))),
    ],
)
def test_pools_by_the_norm_of_one(model):
    x = X[:, None] if isinstance(model, nn.Sequential) else X
    model = nn.Sequential(nn.Unflatten(3, (2, 3)), model[1]) if isinstance(model, nn.Sequential) else model
    agrees_with_torch(model, x)


def test_pools_by_another_norm():
    for pool in [nn.LPPool1d(2, 2), lambda x: F.lp_pool2d(x[:, None], 2, 2)]:
        with refuses("lp_pool[12]d .* does pow inside, which is not known to be affine"):
            mm.affine_map(pool, X)


# ---------------------------------------------------------------- copies


@pytest.mark.filterwarnings("ignore:To copy construct")
def test_copies_to_a_tensor():
    def model(x):
        copies = torch.as_tensor(x), torch.as_tensor(x, dtype=x.dtype, device=x.device), torch.tensor(x)
        return sum(copies, torch.tensor(x, dtype=torch.float64, requires_grad=True))

    A, b = mm.affine_map(model, X)
    assert torch.equal(A.flatten(2), 4 * torch.eye(30).to(X).expand(3, 30, 30)) and not b.any()


@pytest.mark.filterwarnings("ignore:To copy construct")
def test_a_tensor_that_is_a_copy_is_another_one():
    def model(x):
        y = torch.tensor(x)
        y += 1
        return y + x

    assert (mm.affine_map(model, X).b == 1).all()


@pytest.mark.filterwarnings("ignore:To copy construct")
def test_copies_that_round_and_numbers_that_are_taken_out():
    with refuses("as_tensor .* does _to_copy inside, which rounds to float16"):
        mm.affine_map(lambda x: torch.as_tensor(x, dtype=torch.float16), X)
    for make in (torch.tensor, torch.as_tensor):
        with refuses("tensor .* takes numbers out of tensors; join these by torch.stack"):
            mm.affine_map(lambda x: make([row.sum() for row in x]), X)  # noqa: B023


# ---------------------------------------------------------------- recurrent networks


def recurrent(**how):
    torch.manual_seed(0)
    return nn.RNN(6, 3, 2, nonlinearity="relu", bidirectional=True, **how).to(X)


def of_packed(rnn, lengths):
    """The states and the last states of a network that gets its points as a packed sequence."""

    def model(x):
        sequence = x if rnn.batch_first else x.transpose(0, 1)
        states, last = rnn(pack_padded_sequence(sequence, lengths(len(x)), rnn.batch_first))
        states = pad_packed_sequence(states, rnn.batch_first)[0]
        states = states if rnn.batch_first else states.transpose(0, 1)
        return torch.cat([states.flatten(1), last.transpose(0, 1).flatten(1)], 1)

    return model


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("length", [3, 5])
def test_packed_sequences_of_equal_lengths(batch_first, length):
    rnn = recurrent(batch_first=batch_first)
    model = of_packed(rnn, lambda N: torch.full((N,), length))
    agrees_with_torch(model)
    padded = lambda x: of_packed(rnn, lambda N: [length] * N)(x)  # noqa: E731
    codes = mm.region_codes(padded, X)
    assert codes.names == [f"{k}:relu" for k in range(1, 4 * length + 1)]
    mm.partition(model, mm.Plane(*X), (-1, 1, -1, 1)).check()


def test_packed_sequences_of_unequal_lengths():
    model = of_packed(recurrent(batch_first=True), lambda N: torch.arange(5, 5 - N, -1))
    with refuses("rnn_relu .* takes a packed sequence of unequal lengths; pass a padded one"):
        mm.affine_map(model, X)
