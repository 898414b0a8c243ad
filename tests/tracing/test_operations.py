"""Every ATen operation of the table: reached by a call of torch, right where it is taken, else refused.

In each call all tensors that may depend on the input do, and together where the operation allows it.
"""

import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers import DEVICE, at, jacobian, refuses, rng
from torch import nn
from zoo import points

import mad_max_lib as mm
from mad_max_lib.tracing import calls, operations, tracer
from mad_max_lib.tracing.operations import AFFINE

aten = torch.ops.aten
X = points((4,))
W, ROW, KERNEL = (
    at(rng(0).normal(size=(4, 4))),
    at(rng(1).normal(size=4)),
    at(rng(2).normal(size=(4, 4, 2, 2))),
)
TRIANGLE = torch.tril(W).fill_diagonal_(2.0)
SPARSE = W.to_sparse()
PIVOTS = torch.arange(1, 5, dtype=torch.int32, device=DEVICE)
PLACES = torch.tensor([2, 0, 1], device=DEVICE)
MASK = torch.tensor([True, False, True, True], device=DEVICE)


def image(x):
    """Four channels of two by two pixels."""
    return torch.stack([x, 2 * x, x + 1, -x], 1).unflatten(2, (2, 2))


def volume(x):
    """One channel of two by two by two."""
    return torch.stack([x, 2 * x], 1).reshape(len(x), 1, 2, 2, 2)


def grid(x, *sizes):
    return torch.linspace(-0.9, 0.8, sizes[-1]).to(x).expand(len(x), *sizes)


def rows(x):
    """For each point the place (its number, 0)."""
    number = torch.arange(len(x), device=x.device)
    return number, torch.zeros_like(number)


def into(x):
    return PLACES.expand(len(x), -1)


def padded(mode, d):
    maps = [lambda x: image(x).flatten(2), image, volume]
    return lambda x: F.pad(maps[d - 1](x), (1, 0) * d, mode=mode)


def resized(mode, d, **how):
    maps = [lambda x: x[:, None], image, volume]
    return lambda x: F.interpolate(maps[d - 1](x), (5,) if d == 1 else (3,) * d, mode=mode, **how)


def waves(x):
    return torch.complex(x, x.flip(1) + 1)


def each(function):
    return lambda x: torch.stack([function(row) for row in x])


TOGETHER = {  # affine in all arguments at once
    "add": lambda x: torch.add(x, x, alpha=2), "sub": lambda x: x.subtract(2 * x + 1),
    "rsub": lambda x: torch.rsub(x, x.flip(1)), "neg": lambda x: x.negative(), "sum": lambda x: x.sum(1),
    "mean": lambda x: x.mean(1), "cumsum": lambda x: x.cumsum(1), "cat": lambda x: torch.hstack([x, x]),
    "stack": lambda x: torch.stack([x, x], 1), "copy": lambda x: torch.zeros_like(x).copy_(x),
    "clone": lambda x: x.clone(), "fill": each(lambda row: torch.zeros(2).to(row).fill_(row[1])),
    "zero": lambda x: x.clone().zero_() + x, "index": lambda x: x[:, PLACES],
    "index_select": lambda x: x.index_select(1, PLACES), "gather": lambda x: x.gather(1, into(x)),
    "take": each(lambda row: torch.take(row, PLACES)), "masked_fill": lambda x: x.masked_fill(MASK, 1.0),
    "masked_select": lambda x: x.masked_select(MASK).reshape(len(x), 3),
    "masked_scatter": lambda x: x.flip(1).masked_scatter(MASK.expand_as(x), x[:, :3].contiguous()),
    "where": lambda x: torch.where(MASK, x, 1 - x), "index_put": lambda x: x.index_put(rows(x), x[:, 1]),
    "_index_put_impl": lambda x: aten._index_put_impl_(x + 1, [*rows(x)], x[:, 1]),
    "_unsafe_index": lambda x: aten._unsafe_index(x, [None, PLACES]),
    "_unsafe_masked_index": lambda x: aten._unsafe_masked_index(
        x, MASK.expand_as(x), [rows(x)[0][:, None], torch.arange(4, device=x.device)], 0.5),
    "_unsafe_index_put": lambda x: aten._unsafe_index_put(x, [*rows(x)], x[:, 1]),
    "index_add": lambda x: x.index_add(1, PLACES, x[:, 1:]),
    "index_copy": lambda x: x.index_copy(1, PLACES, x[:, 1:]),
    "index_fill": lambda x: x.index_fill(1, PLACES, 2.0),
    "scatter": lambda x: x.scatter(1, into(x), x[:, 1:]),
    "scatter_add": lambda x: x.scatter_add(1, into(x), x[:, 1:]),
    "slice_scatter": lambda x: x.slice_scatter(x[:, :2] + 1, 1, 1, 3),
    "select_scatter": lambda x: x.select_scatter(x[:, 0] + 1, 1, 2),
    "diagonal_scatter": lambda x: image(x).diagonal_scatter(image(x)[:, :, 0], 0, 2, 3),
    "as_strided_scatter": lambda x: torch.as_strided_scatter(x, x[:, 1] + 1, (len(x),), (4,)),
    "put": lambda x: x.flip(1).contiguous().put(4 * rows(x)[0], x[:, 1]), "repeat": lambda x: x.repeat(1, 2),
    "roll": lambda x: x.roll(1, 1), "flip": lambda x: x.fliplr(), "tril": lambda x: image(x).tril(),
    "triu": lambda x: image(x).triu(), "trace": each(lambda row: torch.trace(row.reshape(2, 2))),
    "diag_embed": lambda x: x.diag_embed(),
    "constant_pad_nd": lambda x: torch.constant_pad_nd(x, (1, 1), 2.0),
    **{f"reflection_pad{d}d": padded("reflect", d) for d in (1, 2, 3)},
    **{f"replication_pad{d}d": padded("replicate", d) for d in (1, 2, 3)},
    "im2col": lambda x: F.unfold(image(x), 2, padding=1),
    "col2im": lambda x: F.fold(x[..., None], (2, 2), (2, 2)),
    "pixel_shuffle": lambda x: F.pixel_shuffle(image(x), 2),
    "pixel_unshuffle": lambda x: F.pixel_unshuffle(image(x), 2),
    "channel_shuffle": lambda x: F.channel_shuffle(image(x), 2),
    "avg_pool2d": lambda x: F.avg_pool2d(image(x), 2), "avg_pool3d": lambda x: F.avg_pool3d(volume(x), 2),
    "_adaptive_avg_pool2d": lambda x: F.adaptive_avg_pool1d(x[:, None], 3),
    "_adaptive_avg_pool3d": lambda x: F.adaptive_avg_pool3d(volume(x), (1, 2, 1)),
    **{f"upsample_nearest{d}d": resized("nearest", d) for d in (1, 2, 3)},
    **{f"_upsample_nearest_exact{d}d": resized("nearest-exact", d) for d in (1, 2, 3)},
    "upsample_linear1d": resized("linear", 1), "upsample_bilinear2d": resized("bilinear", 2),
    "upsample_trilinear3d": resized("trilinear", 3), "upsample_bicubic2d": resized("bicubic", 2),
    "_upsample_bilinear2d_aa": resized("bilinear", 2, antialias=True),
    "_upsample_bicubic2d_aa": resized("bicubic", 2, antialias=True),
    "_fft_r2c": lambda x: torch.fft.rfft(x, dim=1).real,
    "_fft_c2r": lambda x: torch.fft.irfft(torch.fft.rfft(x, dim=1), dim=1),
    "_fft_c2c": lambda x: torch.view_as_real(torch.fft.fft(waves(x), dim=1)),
    "_conj_physical": lambda x: torch.conj_physical(waves(x)).imag,
    "conj_physical": lambda x: waves(x).conj_physical_().imag, "complex": lambda x: waves(x).imag,
    "_reshape_copy": lambda x: aten._reshape_copy(x, [-1, 2, 2]),
    "_unsafe_view": lambda x: aten._unsafe_view(x + 0, [len(x), 2, 2]),
    "unfold": lambda x: x.unfold(1, 2, 1),
    "_pack_padded_sequence": lambda x: aten._pack_padded_sequence(
        x[..., None], torch.full((len(x),), 4), True)[0].reshape(4, len(x)).T,
    "affine_grid_generator": lambda x: F.affine_grid(
        torch.stack([x[:, :3], x[:, 1:]], 1), (len(x), 1, 2, 2), align_corners=False),
    "unsafe_split": lambda x: torch.unsafe_chunk(x, 2, 1)[1],
    "unsafe_split_with_sizes": lambda x: torch.unsafe_split_with_sizes(x, [1, 3], 1)[1],
    "narrow_copy": lambda x: torch.narrow_copy(x, 1, 1, 2),
    "view_copy": lambda x: aten.view_copy(x, [-1, 2, 2]),
    "rot90": lambda x: image(x).rot90(1, (2, 3)),
    "block_diag": each(lambda row: torch.block_diag(row[None], row[None])),
    "transpose": lambda x: image(x).transpose_(1, 2), "t": lambda x: (x + 0).t_().t_(),
    "squeeze": lambda x: (x[:, None] + 0).squeeze_(1), "unsqueeze": lambda x: (x + 0).unsqueeze_(1),
    "as_strided": lambda x: (x + 0).as_strided_((len(x), 2), (4, 1)),
}  # fmt: skip
TWO, ONE_OVER = "multiplies two tensors that both depend on the input", "divides by what depends on the input"
NOT_AFFINE = "depends on the input in an argument in which it is not affine"
RULED = {  # taken, with all that may depend on the input; refused; what is said
    "mul": (lambda x: x.multiply(ROW), lambda x: x.multiply(x + 1), TWO),
    "mm": (lambda x: torch.chain_matmul(x, W), lambda x: torch.chain_matmul(x, W + x[0]), TWO),
    "bmm": (lambda x: torch.einsum("ni,ij->nj", x, W), lambda x: torch.bmm(x[:, None], x[..., None]), TWO),
    "mv": (lambda x: x.mv(ROW), lambda x: x.mv(x[0]), TWO),
    "dot": (each(lambda row: row.dot(ROW)), each(lambda row: row.dot(row)), TWO),
    "vdot": (each(lambda row: torch.vdot(ROW, row)), each(lambda row: torch.vdot(row, row + 1)), TWO),
    "linalg_cross": (lambda x: torch.linalg.cross(x[:, :3], ROW[:3].expand(len(x), 3)),
                     lambda x: torch.linalg.cross(x[:, :3], x[:, 1:]), TWO),
    "convolution": (lambda x: torch.convolution(image(x), KERNEL, ROW, [1], [0], [1], False, [0], 1),
                    lambda x: torch.convolution(image(x), image(x)[:, :, :1, :1], None, [1], [0], [1], False,
                                                [0], 1), TWO),
    "mkldnn_convolution": (
        lambda x: aten.mkldnn_convolution(image(x.float()), KERNEL.float(), None, [0], [1], [1], 1),
        lambda x: aten.mkldnn_convolution(image(x.float()), KERNEL.float() + x[0, 0].float(), None, [0], [1],
                                          [1], 1), TWO),
    "_trilinear": (lambda x: F.bilinear(ROW.expand_as(x), x, W[None]),
                   lambda x: F.bilinear(x, x, W[None]), TWO),
    "addmm": (lambda x: torch.addmm(x, x, W), lambda x: torch.addmm(x, x, W + x[0]), TWO),
    "addmv": (lambda x: torch.addmv(x[:, 0], x, ROW), lambda x: torch.addmv(ROW[0], x, x[0]), TWO),
    "baddbmm": (lambda x: torch.baddbmm(x[:, None], x[:, None], W.expand(len(x), 4, 4)),
                lambda x: torch.baddbmm(W[:1], x[:, None], x[:, None] * W), TWO),
    "addbmm": (lambda x: torch.addbmm(x, x[None], W[None]),
               lambda x: torch.addbmm(x, x[None], (W + x[0])[None]), TWO),
    "addr": (lambda x: torch.addr(x, x[:, 0], ROW), lambda x: torch.addr(x, x[:, 0], x[0]), TWO),
    "addcmul": (lambda x: torch.addcmul(x, x, ROW), lambda x: torch.addcmul(ROW, x, x), TWO),
    "_sparse_addmm": (lambda x: torch.sparse.addmm(x.T, SPARSE, x.T).T,
                      lambda x: torch.sparse.addmm(x.T, (SPARSE * x[0, 0]), x.T).T, TWO),
    "div": (lambda x: x.divide(ROW), lambda x: ROW.divide(x), ONE_OVER),
    "addcdiv": (lambda x: torch.addcdiv(x, x, ROW), lambda x: torch.addcdiv(ROW, ROW, x), ONE_OVER),
    "lerp": (lambda x: torch.lerp(x, 2 * x + 1, ROW), lambda x: torch.lerp(x, ROW, x), TWO),
    "native_batch_norm": (lambda x: F.batch_norm(x, ROW, ROW**2, ROW, ROW),
                          lambda x: F.batch_norm(x, ROW, ROW**2, x[0]), TWO),
    "_to_copy": (lambda x: x.float(), lambda x: x.half(), "rounds to float16"),
    "scatter_reduce": (lambda x: x.scatter_reduce(1, into(x), x[:, 1:], "mean"),
                       lambda x: x.scatter_reduce(1, into(x), x[:, 1:], "prod"), "reduce='sum' and"),
    "grid_sampler_2d": (lambda x: F.grid_sample(image(x), grid(x, 2, 2, 2), align_corners=False),
                        lambda x: F.grid_sample(image(x), image(x)[:, :2], align_corners=False), NOT_AFFINE),
    "grid_sampler_3d": (lambda x: F.grid_sample(volume(x), grid(x, 2, 2, 2, 3), align_corners=False),
                        lambda x: F.grid_sample(volume(x), x[:, None, None, None, :3], align_corners=False),
                        NOT_AFFINE),
    "_linalg_solve_ex": (lambda x: torch.linalg.solve(W, x.T).T,
                         lambda x: torch.linalg.solve(W + x[0], x.T).T, NOT_AFFINE),
    "linalg_solve_triangular": (lambda x: torch.linalg.solve_triangular(TRIANGLE, x.T, upper=False).T,
                                lambda x: torch.linalg.solve_triangular(W + x[0], x.T, upper=False).T,
                                NOT_AFFINE),
    "linalg_lstsq": (lambda x: torch.linalg.lstsq(W, x.T).solution.T,
                     lambda x: torch.linalg.lstsq(W + x[0], x.T).solution.T, NOT_AFFINE),
    "linalg_lu_solve": (lambda x: torch.linalg.lu_solve(*torch.linalg.lu_factor(W), x.T).T,
                        lambda x: torch.linalg.lu_solve(W + x[0], PIVOTS, x.T).T,
                        NOT_AFFINE),
    "triangular_solve": (lambda x: torch.triangular_solve(x.T, TRIANGLE, upper=False).solution.T,
                         lambda x: torch.triangular_solve(x.T, W + x[0]).solution.T, NOT_AFFINE),
    "cholesky_solve": (lambda x: torch.cholesky_solve(x.T, TRIANGLE).T,
                       lambda x: torch.cholesky_solve(x.T, TRIANGLE + x[0]).T, NOT_AFFINE),
    "reciprocal": (None, lambda x: x.reciprocal(), ONE_OVER),
    **{name: (None, lambda x, name=name: x * getattr(torch, name)(x, 0), "its answer jumps; write relu")
       for name in "gt ge lt le eq ne".split()},
    **{name: (None, lambda x, name=name: x * getattr(torch, name)(x), "jumps")
       for name in "sign sgn floor ceil round trunc frac argmax argmin".split()},
    "heaviside": (None, lambda x: torch.heaviside(x, ROW), "jumps"),
    "hardshrink": (None, F.hardshrink, "jumps"),
}  # fmt: skip
# On other devices, or whole in other versions of torch; here they are made of other operations of the table.
ELSEWHERE = set(
    """
    cudnn_convolution cudnn_batch_norm miopen_batch_norm cudnn_grid_sampler avg_pool1d
    adaptive_avg_pool1d""".split()
)
TAKEN = {**TOGETHER, **{name: taken for name, (taken, *_) in RULED.items() if taken}}


@pytest.fixture
def reached(monkeypatch):
    """The names that are looked up; also in functions that are known by their own name."""
    names = set()

    class Watched(dict):
        def __getitem__(self, name):
            names.add(name)
            return super().__getitem__(name)

    monkeypatch.setattr(operations, "AFFINE", Watched(AFFINE))
    for module in (tracer, calls):
        monkeypatch.setattr(module, "KNOWN", {})
    return names


def test_every_operation_of_the_table_is_tried_here():
    assert TOGETHER.keys() | RULED.keys() | ELSEWHERE == AFFINE.keys()


@pytest.mark.parametrize("name", TAKEN)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_an_operation_is_taken_and_right(name, reached):
    model = TAKEN[name]
    assert mm.region_codes(model, X).names == [] and name in reached
    if name == "as_strided_scatter":  # torch's own derivative of it is wrong, which the comparison notices
        return
    A, b = mm.affine_map(model, X)
    torch.testing.assert_close(A, jacobian(lambda x: model(x).reshape(len(x), -1), X))
    torch.testing.assert_close(b, model(0 * X).reshape(len(X), -1))
    terms = mm.bias_terms(model, X)
    torch.testing.assert_close(sum(terms.values(), torch.zeros_like(b)), b)


@pytest.mark.parametrize("name", RULED)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_an_operation_is_refused(name, reached):
    _, model, words = RULED[name]
    for use in (mm.region_codes, mm.affine_map):
        with refuses(words):
            use(model, X)
    assert name in reached


def test_a_refusal_names_the_function_and_the_operation_inside():
    with refuses(r"^corrcoef \(function number 1 after the input, .*\) does mm inside, which multiplies two"):
        mm.region_codes(lambda x: torch.corrcoef(x), X)
    with refuses(
        r"^reciprocal \(function number 1 after the input, .* before it: 0\) divides by what depends"
    ):
        mm.region_codes(lambda x: x.reciprocal(), X)
    with refuses(
        r"^erf \(function number 2 .*\) is not known to be affine or continuous and piecewise affine$"
    ):
        mm.region_codes(lambda x: (x + 1).erf(), X)


@pytest.mark.parametrize(
    "model, words",
    [
        (lambda x: x * (x > 0), r"gt .* write relu\(x\) for x \* \(x > 0\)"),
        (lambda x: torch.where(x > 0, x, 0.1 * x), r"gt .* leaky_relu\(x, a\) for where\(x > 0, x, a \* x\)"),
        (
            lambda x: torch.where(x > x.flip(1), x, x.flip(1)),
            r"gt .* maximum\(x, y\) for where\(x > y, x, y\)",
        ),
        (lambda x: x.round(), "round .* jumps"),
        (lambda x: x / x.sum(1, keepdim=True), "div .* divides by what depends on the input, or rounds"),
        (lambda x: x.bfloat16().double(), "bfloat16 .* rounds to bfloat16"),
        (lambda x: x.to(torch.int32).double(), "to .* rounds to whole numbers"),
    ],
)
def test_the_sentence_says_what_to_write_or_what_is_wrong(model, words):
    with refuses(words):
        mm.affine_map(model, X)


# ---------------------------------------------------------------- memory that is shared


def write_a_view(x):
    y = torch.zeros(len(x), 4).to(x)
    y[:, :2].copy_(x[:, 2:]).mul_(3)
    y.view(-1, 2, 2)[:, 1].add_(x[:, :2])
    return y


def write_by_index(x):
    y = torch.zeros(len(x), 4).to(x)
    y[:, PLACES] = x[:, 1:]
    y[rows(x)] += 2 * x[:, 3]
    return y.index_put_(rows(x), x[:, 0], accumulate=True)


def write_by_scatter(x):
    y = torch.ones(len(x), 4).to(x)
    y.scatter_add_(1, into(x), x[:, :3]).index_add_(1, PLACES, x[:, 1:], alpha=-2)
    return y.index_copy_(1, PLACES[:1], x[:, :1])


def write_a_part(x):
    whole = x + 1
    first, second = whole[:, :2], whole[:, 2:]
    first += second
    return whole


def write_from_a_view_of_itself(x):
    y = x.clone()
    y[:, 1:] = y[:, :-1] * 2
    return y


WRITES = [write_a_view, write_by_index, write_by_scatter, write_a_part, write_from_a_view_of_itself]


@pytest.mark.parametrize("model", WRITES)
def test_what_is_written_into_a_part_of_memory_is_followed(model):
    A, b = mm.affine_map(model, X)
    zero, units = model(torch.zeros_like(X)), torch.eye(4).to(X)
    torch.testing.assert_close(b, zero)
    torch.testing.assert_close(A, (model(units).T - zero[:1].T).expand(3, 4, 4))
    torch.testing.assert_close(sum(mm.bias_terms(model, X).values(), torch.zeros_like(b)), b)
    with refuses("multiplies two tensors that both depend on the input"):
        mm.region_codes(lambda x: model(x) * x, X)


@pytest.mark.parametrize(
    "model",
    [
        lambda x: (lambda y: y[:, :1].copy_(x[:, :1]) * y.view(-1, 4))(torch.ones_like(x)),
        lambda x: (lambda y: y[:, :2].mul_(y[:, 2:]))(x + 0),
        lambda x: (lambda y: y.view(-1)[: len(x)].copy_(x[:, 0]) @ y[:, :1])(torch.ones_like(x)),
    ],
)
def test_views_of_memory_that_was_written_into_depend_on_the_input(model):
    with refuses("multiplies two tensors that both depend on the input"):
        mm.region_codes(model, X)


# ---------------------------------------------------------------- networks on graphs

NODES = 5
FROM, TO = torch.tensor([[0, 1, 1, 2, 3, 4, 4, 0], [1, 0, 2, 3, 2, 3, 0, 4]], device=DEVICE)
IN, OUT, ITSELF = (at(rng(seed).normal(size=size)) for seed, size in enumerate([(2, 4), (4, 3), (2, 4)]))
DEGREE = torch.bincount(TO, minlength=NODES).double()


def convolution(x, W):
    """Kipf and Welling: the sum over the neighbours, each by the root of both degrees."""
    messages = (x @ W)[:, FROM] / (DEGREE[FROM] * DEGREE[TO]).sqrt()[:, None]
    into = TO[:, None].expand_as(messages)
    return messages.new_zeros(len(x), NODES, W.shape[1]).scatter_add_(1, into, messages)


def graph_convolutions(x):
    return convolution(torch.relu(convolution(x, IN) + ROW), OUT).flatten(1)


def aggregated(x, how):
    messages = x[:, FROM]
    into = TO[:, None].expand_as(messages)
    return torch.zeros_like(x).scatter_reduce(1, into, messages, how, include_self=False)


def sage(x, how):
    """Hamilton, Ying and Leskovec: the mean or the largest of the neighbours, beside the node itself."""
    return torch.relu(aggregated(x, how) @ IN + x @ ITSELF + ROW) @ OUT


def isomorphism(x):
    """Xu, Hu, Leskovec and Jegelka: the sum of the neighbours and of the node itself."""
    hidden = torch.relu(x.mul(1.1).index_add(1, TO, x[:, FROM]) @ IN + ROW)
    return (torch.zeros_like(hidden).index_add_(1, TO, hidden[:, FROM]) @ OUT).sum(1)


GRAPHS = {
    "convolution": (graph_convolutions, ["1:relu"]),
    "mean": (lambda x: sage(x, "mean"), ["1:relu"]),
    "largest": (lambda x: sage(x, "amax"), ["1:largest_of", "2:relu"]),
    "isomorphism": (isomorphism, ["1:relu"]),
}


@pytest.mark.parametrize("kind", GRAPHS)
def test_networks_on_graphs(kind):
    model, names = GRAPHS[kind]
    x = points((NODES, 2))
    A, b = mm.affine_map(model, x)
    torch.testing.assert_close(A, jacobian(model, x))
    torch.testing.assert_close((A.flatten(2) @ x.flatten(1)[..., None])[..., 0] + b, model(x).flatten(1))
    torch.testing.assert_close(sum(mm.bias_terms(model, x).values()), b)
    codes = mm.region_codes(model, x)
    assert codes.names == names
    near = x + 1e-9 * points((NODES, 2), seed=1)
    assert torch.equal(mm.region_codes(model, near).all(), codes.all())
    assert mm.polytope(model, x[:1]).contains(x.flatten(1).cpu()).tolist()[0]
    p = mm.partition(model, mm.Plane(*x), (-1, 1, -1, 1))
    p.check()
    assert len(p) > 5


def test_the_largest_of_the_neighbours_has_its_place_as_its_code():
    x = points((NODES, 1))
    model = lambda x: x.scatter_reduce(1, TO[:, None].expand(len(x), -1, 1), x[:, FROM], "amax")  # noqa: E731
    (codes,) = mm.region_codes(model, x)
    for values, row in zip(x[..., 0].tolist(), codes.tolist(), strict=True):
        for node, code in enumerate(row):
            arrived = [values[node], *(values[i] for i, j in zip(FROM, TO, strict=True) if j == node)]
            assert code == int(np.argmax(arrived))


# ---------------------------------------------------------------- the compiler stays away

REFUSAL = """
import sys, torch
loaded = "torch._dynamo" in sys.modules
import mad_max_lib as mm
try:
    mm.affine_map(torch.sigmoid, torch.ones(1, 2))
except mm.NotPiecewiseAffineError:
    print(loaded, "torch._dynamo" in sys.modules)
"""


def test_a_refusal_does_not_load_torch_s_compiler():
    run = subprocess.run([sys.executable, "-c", REFUSAL], capture_output=True, text=True, check=True)
    assert run.stdout.split() in (["False", "False"], ["True", "True"])


def test_a_layer_that_is_known_by_its_name_is_judged_alike_inside(reached):
    layers = nn.Sequential(
        nn.Conv2d(1, 2, 2), nn.BatchNorm2d(2), nn.AvgPool2d(2, 1), nn.Flatten(), nn.Linear(8, 3)
    )
    layers, x = layers.to(X).eval(), points((1, 4, 4))
    A, _ = mm.affine_map(layers, x)
    torch.testing.assert_close(A, jacobian(layers, x))
    assert {"convolution", "native_batch_norm", "avg_pool2d", "addmm"} <= reached
