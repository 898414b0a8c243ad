"""Which of torch's functions are taken, which are refused, and what the refusal says."""

import copy
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers import DEVICE, at, refuses
from torch import nn
from zoo import Net, build, points

import mad_max_lib as mm
from mad_max_lib.tracing.functions import PIECEWISE
from mad_max_lib.tracing.operations import KNOWN
from mad_max_lib.tracing.rewriting import REWRITTEN
from mad_max_lib.tracing.tracer import record

# ---------------------------------------------------------------- refused


class Square(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, gradient):
        return 2 * ctx.saved_tensors[0] * gradient


def write_rows(x):
    buffer = torch.zeros(4, 4).to(x)
    buffer[: len(x)] = x
    return buffer[: len(x)]


def write_column(x):
    y = x.new_zeros(len(x), 3)
    y[:, 0], y[:, 1:] = 5.0, x[:, :2]
    y[:, 2] += 1
    return y


def write_view(x):
    y = torch.zeros_like(x)
    there, here = y[:, :2], y.view(-1, 2, 2)
    there.copy_(x[:, :2]).mul_(2)
    here[:, 1] = torch.ones_like(x[:, :2]).mul_(x[:, 2:])
    return here.flatten(1) * 2


def write_copy(x):
    buffer = torch.zeros_like(x)
    buffer.copy_(x)
    return buffer + x


def write_sum(x):
    buffer = torch.zeros_like(x)
    buffer += x
    return buffer


def write_out(x):
    buffer = torch.zeros_like(x)
    torch.add(x, 1, out=buffer)
    return buffer + x


def write_in_place(x):
    buffer = torch.zeros_like(x)
    return F.relu(buffer, inplace=True).add_(x)


def if_positive(x):
    return x if x.sum() > 0 else -x


def if_true(x):
    return x if torch.relu(x).sum().bool() else -x


W4 = torch.randn(4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(DEVICE)
ROW = W4[0].clone()
HEADS = nn.MultiheadAttention(4, 2, batch_first=True).double().to(DEVICE).eval()
NORM = nn.BatchNorm1d(4).double().to(DEVICE)
NORM_ALONE = nn.BatchNorm1d(4, track_running_stats=False).double().to(DEVICE).eval()
LSTM = nn.LSTM(4, 4, batch_first=True).double().to(DEVICE)
TANH_RNN = nn.RNN(4, 4, batch_first=True).double().to(DEVICE).eval()
relu = torch.relu


def sequence(x):
    return x[:, None].expand(-1, 3, -1)


REFUSED = {  # what it is: (model, function named in the message, its number, nonlinear calls before it)
    "square": (lambda x: x * x, "mul", 1, 0),
    "square of a layer": (lambda x: relu(x @ W4) * (x + 1), "mul", 4, 1),
    "power": (lambda x: relu(x) ** 2, "pow", 2, 1),
    "square in place": (lambda x: (x + 1).mul_(x), "mul", 2, 0),
    "self-gate": (lambda x: x * (x > 0), "gt", 1, 0),
    "where": (lambda x: torch.where(x > 0, x, 0 * x), "gt", 1, 0),
    "where not": (lambda x: torch.where(x.le(0), x, 0 * x), "le", 1, 0),
    "masked fill": (lambda x: relu(x - 1).masked_fill(x < 0, 0.0), "lt", 3, 1),
    "equal to the largest": (lambda x: x * (x == x.amax(1, keepdim=True)), "__eq__", 2, 1),
    "Gram matrix": (lambda x: x @ x.T, "matmul", 2, 0),
    "outer product": (lambda x: torch.einsum("ni,nj->nij", x, x), "einsum", 1, 0),
    "batched product": (lambda x: torch.bmm(x[:, None], x[..., None]), "bmm", 3, 0),
    "addmm": (lambda x: torch.addmm(x, x, W4 + x[:1]), "addmm", 3, 0),
    "weights from the input": (lambda x: F.linear(x, x), "linear", 1, 0),
    "kernel from the input": (lambda x: F.conv1d(x[None], x[:, None, :1], groups=len(x))[0], "conv1d", 3, 0),
    "autograd function": (lambda x: x + Square.apply(x), "mul", 1, 0),
    "bilinear": (lambda x: F.bilinear(x, x, W4[None]), "bilinear", 1, 0),
    "attention": (lambda x: F.scaled_dot_product_attention(x, W4, W4), "scaled_dot_product_attention", 1, 0),
    "self-attention": (lambda x: HEADS(*[sequence(x)] * 3)[0], None, None, 0),
    "softmax": (lambda x: torch.softmax(relu(x), 1), "softmax", 2, 1),
    "log of softmax": (lambda x: F.log_softmax(x, 1), "log_softmax", 1, 0),
    "logsumexp": (lambda x: torch.logsumexp(x, 1, keepdim=True), "logsumexp", 1, 0),
    "layer norm": (nn.LayerNorm(4).double().to(DEVICE), "layer_norm", 1, 0),
    "group norm": (nn.GroupNorm(2, 4).double().to(DEVICE), "group_norm", 1, 0),
    "instance norm": (lambda x: F.instance_norm(x[:, None]), "instance_norm", 2, 0),
    "batch norm of the batch": (NORM, "batch_norm", 1, 0),
    "batch norm without statistics": (NORM_ALONE, "batch_norm", 1, 0),
    "gain from the input": (
        lambda x: F.batch_norm(x, W4[0], W4[1].abs(), weight=x[0]), "batch_norm", 2, 0),
    "sigmoid gate": (lambda x: torch.sigmoid(x) * x, "sigmoid", 1, 0),
    "tanh": (lambda x: relu(x).tanh(), "tanh", 2, 1),
    "gelu": (F.gelu, "gelu", 1, 0),
    "silu": (nn.SiLU(inplace=True), "silu", 1, 0),
    "softplus": (F.softplus, "softplus", 1, 0),
    "hard shrink, a jump": (F.hardshrink, "hardshrink", 1, 0),
    "threshold, a jump": (lambda x: F.threshold(x, 1, 0), "threshold", 1, 0),
    "normalized": (lambda x: x / x.norm(dim=1, keepdim=True), "norm", 1, 0),
    "normalized by its sum": (lambda x: x / x.sum(1, keepdim=True), "div", 2, 0),
    "divided in place": (lambda x: (x + 1).div_(x.sum(1, keepdim=True)), "div", 3, 0),
    "one over": (lambda x: 1 / x, "__rdiv__", 1, 0),
    "rounded division": (lambda x: torch.div(x, 2, rounding_mode="floor"), "div", 1, 0),
    "whole division": (lambda x: x // 2, "__floordiv__", 1, 0),
    "remainder": (lambda x: x % 1, "remainder", 1, 0),
    "variance": (lambda x: x / x.var(1, keepdim=True), "var", 1, 0),
    "product": (lambda x: x.prod(1, keepdim=True), "prod", 1, 0),
    "sign": (lambda x: x.sign(), "sign", 1, 0),
    "round": (torch.round, "round", 1, 0),
    "whole numbers": (lambda x: x.to(torch.long).to(x.dtype), "to", 1, 0),
    "whole numbers, other": (lambda x: x.long().double(), "long", 1, 0),
    "exponential": (lambda x: relu(relu(x)).exp(), "exp", 3, 2),
    "waves": (lambda x: torch.cos(2 * x), "cos", 2, 0),
    "NumPy": (lambda x: torch.from_numpy(x.detach().cpu().numpy()), "numpy", 2, 0),
    "NumPy at once": (lambda x: torch.from_numpy(x.numpy()), "numpy", 1, 0),
    "half precision": (lambda x: x.half().double(), "half", 1, 0),
    "list": (lambda x: x + torch.tensor(x.tolist()), "tolist", 1, 0),
    "branch": (if_positive, "gt", 2, 0),
    "branch on a truth": (if_true, "bool", 3, 1),
    "truth": (lambda x: x if (x[0, 0] - 1) else -x, "__bool__", 3, 0),
    "largest of all": (lambda x: x - x.max(), "max", 1, 0),
    "largest of all, amax": (lambda x: x - torch.amax(x, ()), "amax", 1, 0),
    "largest of the points": (lambda x: x - x.amax(0), "amax", 1, 0),
    "largest of the points, max": (lambda x: x - x.max(-2).values, "max", 1, 0),
    "largest of the points and more": (lambda x: x - x.amax((1, 0)), "amax", 1, 0),
    "smallest of all": (lambda x: x - x.min(), "min", 1, 0),
    "sorted points": (lambda x: x.sort(0).values, "sort", 1, 0),
    "median of all": (lambda x: x - x.median(), "median", 1, 0),
    "largest up to each point": (lambda x: x.cummax(0).values + x, "cummax", 1, 0),
    "largest of the points of a group": (
        lambda x: x.scatter_reduce(0, torch.zeros(1, 4, dtype=torch.long, device=DEVICE), x[1:], "amax"),
        "scatter_reduce", 2, 0),
    "Euclidean distances": (lambda x: torch.cdist(x, W4), "cdist", 1, 0),
    "matrix norm": (lambda x: torch.linalg.norm(x[:, None], 1, (1, 2)), "linalg_norm", 2, 0),
    "random pools": (lambda x: F.fractional_max_pool2d(image(x), 1, 2), "fractional_max_pool2d", None, 0),
    "several tensors written": (
        lambda x: torch.max(x, 1, out=(W4[:, 0] * 0, W4[:, 0].long()))[0], "max", 1, 0),
    "index of the largest": (lambda x: W4[x.argmax(1)], "argmax", 1, 0),
    "index of max": (lambda x: W4[x.max(1).indices] + x, "__getitem__", 2, 1),
    "index of max gathered": (lambda x: x.gather(1, x.max(1, keepdim=True)[1]), "gather", 2, 1),
    "index of a pool": (
        lambda x: F.max_pool1d(x[:, None], 2, return_indices=True)[1] + x[:, :1, None], "add", 4, 1),
    "unpooled": (lambda x: F.max_unpool1d(*F.max_pool1d(x[:, None], 2, return_indices=True), 2),
                 "max_unpool1d", 3, 1),
    "dropout": (lambda x: F.dropout(relu(x)), "dropout", 2, 1),
    "dropout in training": (nn.Sequential(nn.ReLU(), nn.Dropout(0.1)), "dropout", 2, 1),
    "dropout of channels": (lambda x: F.dropout1d(x[..., None], 0.2), "dropout1d", 2, 0),
    "random leaky relu": (nn.RReLU(), "rrelu", 1, 0),
    "noise": (lambda x: x + torch.randn_like(x), "randn_like", 1, 0),
    "recurrent tanh": (lambda x: TANH_RNN(sequence(x))[0], "rnn_tanh", 3, 0),
    "lstm": (lambda x: LSTM(sequence(x))[0], "lstm", None, 0),
    "gru cell": (nn.GRUCell(4, 4).double().to(DEVICE), "gru_cell", 1, 0),
    "transformer": (nn.TransformerEncoderLayer(4, 2, 4).double().to(DEVICE).eval(), None, None, 0),
    "local response": (lambda x: F.local_response_norm(x[:, None], 2), None, None, 0),
    "cosine": (lambda x: F.cosine_similarity(x, W4[:1])[:, None], "cosine_similarity", 1, 0),
    "slopes from the input": (lambda x: F.prelu(x, x[0, :1]), "prelu", 2, 0),
    "bounds from the input": (lambda x: x.clamp(max=x[:, :1]), "clamp", 2, 0),
    "fake quantization": (lambda x: torch.fake_quantize_per_tensor_affine(x, 0.1, 0, 0, 255),
                          "fake_quantize_per_tensor_affine", 1, 0),
}  # fmt: skip
X = points((4,))
USES = [mm.region_codes, mm.affine_map, mm.bias_terms, mm.local_lipschitz]


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("what", REFUSED)
def test_refused_with_the_function_and_its_number(what, use):
    model, name, number, before = REFUSED[what]
    if isinstance(model, nn.Module):
        state = {key: value.clone() for key, value in model.state_dict().items()}
    with refuses() as error:
        use(model, X)
    start = r"(\w+) \(function number (\d+) after the input, nonlinear calls before it: (\d+)\) \w"
    said = re.match(start, str(error.value))
    assert said, error.value
    assert name in (said[1], None) and number in (int(said[2]), None) and before == int(said[3]), error.value
    if isinstance(model, nn.Module):
        state.pop("num_batches_tracked", None)  # counted before any function is called
        assert all(torch.equal(value, model.state_dict()[key]) for key, value in state.items())


@pytest.mark.parametrize("use", USES)
def test_dropout_between_recurrent_layers_is_refused(use):
    model = nn.RNN(4, 4, 2, "relu", batch_first=True, dropout=0.5).double().to(DEVICE)
    with refuses(r"rnn_relu .* dropout .*; call model.eval\(\)"):
        use(lambda x: model(sequence(x))[0], X)


@pytest.mark.parametrize(
    "what, reason",
    [
        ("square", "multiplies two tensors that both depend on the input"),
        ("batch norm of the batch", r"uses the statistics of the batch; call model.eval\(\)"),
        ("batch norm without statistics", "uses the statistics of the batch"),
        ("dropout", r"is active and random; call model.eval\(\)"),
        ("largest of the points", "takes the largest of all points together; give it a dim after the first"),
        ("index of max", "uses indices that were chosen by looking at the input"),
        ("self-gate", r"its answer jumps; write relu\(x\) for x \* \(x > 0\)"),
        ("round", "jumps"),
        ("normalized", "is a curved norm"),
        ("half precision", "rounds to float16"),
        ("attention", "does .*softmax inside, which is not known"),
        ("threshold, a jump", r"jumps at 1 from 0; only threshold\(x, t, t\) is continuous"),
        ("NumPy", "leaves torch"),
        ("smallest of all", "takes the largest of all points together"),
        ("bounds from the input", "bends the input at places that depend on the input"),
        ("normalized by its sum", "divides by what depends on the input, or rounds"),
        ("tanh", "is not known to be affine or continuous and piecewise affine"),
    ],
)
def test_the_reason_for_a_refusal(what, reason):
    with refuses(reason):
        mm.region_codes(REFUSED[what][0], X)


def test_the_error_is_a_value_error():
    assert issubclass(mm.NotPiecewiseAffineError, ValueError)


# ---------------------------------------------------------------- taken


def image(x):
    """Four channels of two by two pixels."""
    return torch.stack([x, 2 * x, x + 1, -x], 1).unflatten(2, (2, 2))


AFFINE_CALLS = {
    "add": lambda x: torch.add(x, x, alpha=3), "sub": lambda x: x.sub(ROW),
    "subtract": lambda x: x.subtract(1), "rsub": lambda x: torch.rsub(x, 2), "__rsub__": lambda x: 2 - x,
    "neg": lambda x: -x, "negative": lambda x: x.negative(), "positive": lambda x: +x,
    "sum": lambda x: x.sum(1, keepdim=True), "mean": lambda x: x.mean(1, keepdim=True),
    "cat": lambda x: torch.cat([x, x], 1), "concat": lambda x: torch.concat([x, x], 1),
    "concatenate": lambda x: torch.concatenate((x, 2 * x), 1),
    "stack": lambda x: torch.stack([x, W4[:1].expand(len(x), -1)], 1),
    "hstack": lambda x: torch.hstack([x, x]), "vstack": lambda x: torch.vstack([x.T, x.T]).T,
    "view": lambda x: x.view(-1, 2, 2), "view_as": lambda x: x.view_as(x),
    "reshape": lambda x: x.reshape(-1, 2, 2), "reshape_as": lambda x: x.reshape_as(x),
    "flatten": lambda x: x[:, None].flatten(1), "unflatten": lambda x: x.unflatten(1, (2, 2)),
    "ravel": lambda x: x[:, 0].ravel()[:, None], "squeeze": lambda x: x[:, None].squeeze(1),
    "unsqueeze": lambda x: x.unsqueeze(1), "transpose": lambda x: x.transpose(0, 1).transpose(1, 0),
    "swapaxes": lambda x: x[:, None].swapaxes(1, 2), "permute": lambda x: x[:, None].permute(0, 2, 1),
    "movedim": lambda x: x[None].movedim(0, 1), "t": lambda x: x.t().t(), "T": lambda x: x.T.T,
    "mT": lambda x: x[:, None].mT, "adjoint": lambda x: x[:, None].adjoint(),
    "expand": lambda x: x[:, None].expand(-1, 2, -1), "expand_as": lambda x: x[:, :1].expand_as(x),
    "broadcast_to": lambda x: torch.broadcast_to(x[:, :1], x.shape), "repeat": lambda x: x.repeat(1, 2),
    "tile": lambda x: x.tile(2), "chunk": lambda x: x.chunk(2, 1)[1], "split": lambda x: x.split(3, 1)[1],
    "tensor_split": lambda x: x.tensor_split(3, 1)[0], "unbind": lambda x: x.unbind(1)[2][:, None],
    "narrow": lambda x: x.narrow(1, 1, 2), "select": lambda x: x.select(1, 2)[:, None],
    "index_select": lambda x: x.index_select(1, PLACES[0]),
    "take_along_dim": lambda x: x.take_along_dim(PLACES, 1),
    "gather": lambda x: x.gather(1, PLACES[:, :2].expand( len(x), -1)), "__getitem__": lambda x: x[..., 1:],
    "contiguous": lambda x: x.T.contiguous().T, "clone": lambda x: x.clone(),
    "to": lambda x: x.to(torch.float64), "type_as": lambda x: x.type_as(W4), "float": lambda x: x.float(),
    "double": lambda x: x.double(), "roll": lambda x: x.roll(1, 1), "flip": lambda x: torch.flip(x, (1,)),
    "cpu": lambda x: x.cpu().to(x.device), "diff": lambda x: x.diff(dim=1), "cumsum": lambda x: x.cumsum(1),
    "pad": lambda x: F.pad(x, (1, 2), value=3.0), "avg_pool1d": lambda x: F.avg_pool1d(x, 2),
    "avg_pool2d": lambda x: F.avg_pool2d(image(x), 2), "avg_pool3d": lambda x: F.avg_pool3d(image(x), 2),
    "adaptive_avg_pool1d": lambda x: F.adaptive_avg_pool1d(x, 3),
    "adaptive_avg_pool2d": lambda x: F.adaptive_avg_pool2d(image(x), 1),
    "adaptive_avg_pool3d": lambda x: F.adaptive_avg_pool3d(image(x), (2, 1, 1)),
    "unfold": lambda x: F.unfold(image(x), 2), "fold": lambda x: F.fold(x[..., None], (2, 2), (2, 2)),
    "pixel_shuffle": lambda x: F.pixel_shuffle(image(x), 2),
    "pixel_unshuffle": lambda x: F.pixel_unshuffle( image(x), 2),
    "interpolate": lambda x: F.interpolate(image(x), size=(3, 3), mode="bicubic"),
    "constant_pad_nd": lambda x: torch.constant_pad_nd(x, (1, 0), 2.0),
    "diagonal": lambda x: image(x).diagonal(0, 2, 3), "tril": lambda x: image(x).tril(),
    "triu": lambda x: torch.triu( image(x), 1), "where": lambda x: torch.where(MASK, x, ROW),
    "masked_fill": lambda x: x.masked_fill(MASK, 2.0), "copy": lambda x: (3 * x).copy_(x.flip(1) + 1),
    "dropout": lambda x: F.dropout(x, 0.5, False), "alpha_dropout": lambda x: F.alpha_dropout(x, 0.5, False),
    "dropout1d": lambda x: F.dropout1d(x[..., None], 0.5, False),
    "dropout2d": lambda x: F.dropout2d(image(x), 0.5, False),
    "dropout3d": lambda x: F.dropout3d(image(x)[..., None], 0.5, False),
    "feature_dropout": lambda x: torch.feature_dropout(x, 0.5, False),
    "feature_alpha_dropout": lambda x: F.feature_alpha_dropout(x, 0.5, False),
}  # fmt: skip
KERNEL = at(np.random.default_rng(0).normal(size=(4, 4, 2, 2)))
PRODUCT_CALLS = {  # with a constant; with two tensors that depend on x
    "mul": (lambda x: 3 * x * ROW, lambda x: torch.mul(x, other=x + 1)),
    "multiply": (lambda x: torch.multiply(ROW, x), lambda x: x.multiply(x[:1])),
    "matmul": (lambda x: torch.matmul(W4, x.T).T + x @ W4, lambda x: x @ (W4 + x[0])),
    "mm": (lambda x: torch.mm(x, W4), lambda x: torch.mm(x, mat2=W4 + x[0])),
    "bmm": (lambda x: torch.bmm(x[None], W4[None])[0], lambda x: x[:, None].bmm(x[:, :, None])),
    "mv": (lambda x: x.mv(ROW)[:, None], lambda x: torch.mv(x, x[0])),
    "dot": (lambda x: torch.stack([row.dot(ROW) for row in x])[:, None], lambda x: x[0].dot(x[0])),
    "inner": (lambda x: torch.inner(x, W4), lambda x: torch.inner(x, x)),
    "outer": (lambda x: torch.outer(x[:, 0], ROW), lambda x: torch.outer(x[:, 0], x[0])),
    "linear": (lambda x: F.linear(x, W4, bias=ROW), lambda x: F.linear(ROW + x, weight=W4 + x[0])),
    "einsum": (lambda x: torch.einsum("ij,jk,k->ik", x, W4, ROW), lambda x: torch.einsum("ij,ij->i", x, x)),
    "conv1d": (lambda x: F.conv1d(x[..., None], KERNEL[..., 0, :1], ROW),
               lambda x: F.conv1d(x[None], x[:, :3, None])),
    "conv2d": (lambda x: F.conv2d(image(x), KERNEL), lambda x: F.conv2d(image(x), weight=KERNEL + x[0, 0])),
    "conv3d": (lambda x: F.conv3d(image(x)[:, None], KERNEL[:, :1, None]),
               lambda x: F.conv3d(image(x)[:, None], KERNEL[:, :1, None] * x[0, 0])),
    "conv_transpose1d": (lambda x: F.conv_transpose1d(x[:, None], KERNEL[:1, :, 0], ROW),
                         lambda x: F.conv_transpose1d(x[:, None], KERNEL[:1, :, 0] + x[0, 0])),
    "conv_transpose2d": (lambda x: F.conv_transpose2d(image(x), KERNEL, stride=2),
                         lambda x: F.conv_transpose2d(image(x), KERNEL + x[0, 0])),
    "conv_transpose3d": (lambda x: F.conv_transpose3d(image(x)[:, None], KERNEL[:1, :, None]),
                         lambda x: F.conv_transpose3d(image(x)[:, None], KERNEL[:1, :, None] * x[0, 0])),
    "addmm": (lambda x: torch.addmm(x, x, W4, beta=2), lambda x: torch.addmm(ROW, x, W4 + x[0])),
    "addmv": (lambda x: torch.addmv(x[:, 0], x, ROW)[:, None], lambda x: torch.addmv(ROW[:1], x, x[0])),
    "baddbmm": (lambda x: torch.baddbmm(x[None], x[None], W4[None])[0],
                lambda x: torch.baddbmm(W4[None, :1], x[None], (W4 + x[0])[None])),
    "tensordot": (lambda x: torch.tensordot(x, W4, 1), lambda x: torch.tensordot(x, x, ([1], [1]))),
    "div": (lambda x: torch.div(x / ROW, 3), lambda x: ROW / x),
    "divide": (lambda x: torch.divide(x, ROW), lambda x: torch.divide(ROW, x)),
    "true_divide": (lambda x: torch.true_divide(x, ROW), lambda x: x.true_divide(x[:1])),
    "batch_norm": (lambda x: F.batch_norm(x, ROW, ROW**2, bias=ROW),
                   lambda x: F.batch_norm(x, ROW, ROW**2, weight=x[0])),
}  # fmt: skip


@pytest.mark.parametrize("name", [*AFFINE_CALLS, *PRODUCT_CALLS])
def test_affine_functions_pass(name):
    model = AFFINE_CALLS[name] if name in AFFINE_CALLS else PRODUCT_CALLS[name][0]
    trace = record(model, X)
    f = trace.output.flatten(1)
    assert any(name in met for met in trace.functions) and trace.names == []
    assert torch.equal(f, model(X).flatten(1))
    if name != "float":
        A, b = mm.affine_map(model, X)
        torch.testing.assert_close((A @ X[..., None])[..., 0] + b, f, rtol=0, atol=1e-12)
        torch.testing.assert_close(b, model(0 * X).flatten(1), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", PRODUCT_CALLS)
def test_products_of_two_tensors_that_depend_on_the_input_are_refused(name):
    said = "__rdiv__|div" if name == "div" else name
    with refuses(rf"({said}) \(.*(multiplies|divides|is not known)"):
        mm.region_codes(PRODUCT_CALLS[name][1], X)


def test_every_affine_function_of_the_table_is_tried_here():
    tried = {*AFFINE_CALLS, *PRODUCT_CALLS, "alias", "cuda", "upsample", "__matmul__", "__rmatmul__"}
    assert KNOWN.keys() <= tried


MASK = torch.tensor([True, False, True, True], device=DEVICE)
PLACES = torch.tensor([[2, 0, 1]], device=DEVICE)
TAKEN = {
    "in its likeness": lambda x: x * torch.ones_like(x) + torch.zeros_like(x) - torch.full_like(x, 2),
    "new tensors": lambda x: x * x.new_ones(4) + x.new_zeros(1, 4) + x.new_full((4,), 2) - x.new_tensor([1]),
    "buffer of its kind": lambda x: x + torch.zeros(4, dtype=x.dtype, device=x.device),
    "shapes": lambda x: x.view(x.shape[0], -1)[:, : x.size(1)] * x.dim() * x.ndim + x.shape[-1],
    "numbers of entries": lambda x: x * x.numel() / len(x) + x.nelement() / x.shape[0] - x.ndimension(),
    "questions": lambda x: x + 1 if x.is_floating_point() and x.dtype == torch.float64 else relu(x),
    "places in memory": lambda x: x + 1 if x.stride() == (4, 1) and x.is_contiguous() else relu(x),
    "wishes": lambda x: x + 1 if x.is_leaf or x.grad_fn is not None or not x.requires_grad else relu(x),
    "printed": lambda x: x + 0 * len(f"{x} {x!r}"),
    "constant mask": lambda x: torch.where(MASK, x, -x).masked_fill(~MASK, 7.0),
    "product with a mask": lambda x: x * MASK + x[:, MASK].sum(1, keepdim=True),
    "constant nonlinearity": lambda x: x * ROW.sigmoid() + W4.tanh().softmax(0)[1] / ROW.norm(),
    "constant choice": lambda x: x[:, ROW.argsort()] + x[:, W4.argmax(1)] if W4.sum() > -99 else relu(x),
    "constant comparison": lambda x: torch.where(ROW > 0, x, 0.0 * x),
    "iteration": lambda x: torch.stack([column for column in x.T], 1),
    "sum of Python": lambda x: sum([x, 2 * x]) + sum(x.unbind(1))[:, None],
    "resting dropout": lambda x: F.dropout(F.alpha_dropout(x, 0.5, False), 0.5, False) + F.dropout(x, 0.0),
    "back and forth": lambda x: x.to(torch.float64).double().to("cpu").to(x.device, torch.float64).type_as(x),
    "mask in its type": lambda x: x * MASK.to(x),
    "mask in its type, another way": lambda x: x * MASK.type_as(x),
    "constant that already has it": lambda x: x * ROW + ROW.to(x),
    "constant in its shape": lambda x: x * W4[0].expand_as(x) + x * W4[0].repeat(len(x)).view_as(x),
    "division by name": lambda x: torch.div(x, other=2.0) + torch.div(input=x, other=W4[0]),
    "bias from the input": lambda x: F.linear(x, W4, bias=x[0] * 0),
    "dropout at rest": lambda x: torch.dropout(x, 0.5, False),
    "to the processor": lambda x: x.cpu().to(x.device),
    "detached": lambda x: x + x.detach() - 3 * x.data,
    "copied to a tensor": lambda x: x + torch.tensor(x) + 3 * torch.as_tensor(x) + copy.deepcopy(x),
    "logged": lambda x: x + (0 if isinstance(x.mean().item() + float(x[0, 0]), float) else relu(x)),
    "asserted": lambda x: x + 1 if torch.isfinite(x).all() and not x.isnan().any() else relu(x),
    "written rows": write_rows,
    "written copy": write_copy,
    "written sum": write_sum,
    "written in place": write_in_place,
    "written as out": write_out,
    "written column": write_column,
    "written beside itself": write_view,
    "normalized weights": nn.utils.parametrizations.weight_norm(nn.Linear(4, 4).double().to(DEVICE)),
}  # fmt: skip


@pytest.mark.parametrize("what", TAKEN)
def test_harmless_things_are_taken(what):
    model = TAKEN[what]
    A, b = mm.affine_map(model, X)
    assert mm.region_codes(model, X).names == []
    f = model(X.clone())
    torch.testing.assert_close((A @ X[..., None])[..., 0] + b, f, rtol=1e-12, atol=1e-12)
    zero, one = model(torch.zeros_like(X)), torch.eye(4).to(X)
    torch.testing.assert_close(b, zero, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(A[0], (model(torch.cat([one, one])[:4]) - model(torch.zeros_like(one))).T)


def test_frozen_choices_need_not_come_from_the_first_axis_alone():
    net = Net(lambda n, x: torch.relu(x.reshape(len(x), 2, 2).transpose(1, 2)).flatten(1))
    assert mm.region_codes(net, at([[1, -1, -1, 1]]))[0].tolist() == [[1, 0, 0, 1]]


def test_a_wrong_piece_in_the_library_would_be_noticed(monkeypatch):
    """The comparison is with the model's own output, not with what the library makes of it."""
    x = at([[3.0, -1, 0, -2], [-2, -3, 1, 1]])
    mm.affine_map(torch.abs, x)
    right = dict(PIECEWISE)
    wrong = {
        "abs": lambda input: right["hardtanh"].build(input, -2.0, 5.0),
        "amax": lambda input, dim: right["max"].build(input[..., 2:], dim),
    }
    for name, build_wrongly in wrong.items():
        monkeypatch.setitem(PIECEWISE, name, right[name]._replace(build=build_wrongly))
    for model in [torch.abs, lambda x: x.abs_(), lambda x: x[:, None].amax(-1)]:
        with refuses("differs from the model's own output"):
            mm.affine_map(model, x)
    model, shape = build("rnn")
    mm.affine_map(model, points(shape))
    monkeypatch.setitem(REWRITTEN, "rnn_relu", lambda x, h, *rest: (relu(x @ W4[:3]), h))
    with refuses("differs from the model's own output"):
        mm.affine_map(model, points(shape))
