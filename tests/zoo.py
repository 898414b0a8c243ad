"""A zoo of small continuous piecewise affine networks: many ways to write each nonlinearity and affine layer.

``build(name)`` gives a network in evaluation mode, with random weights, biases and batch-norm statistics, and
the shape of its inputs; ``ZOO[name]`` also says which nonlinear calls it makes, in order. Biases are as large
as weights, so that b[x] is never a small part of A[x] x + b[x], but for ``NO_BIAS``. ``LARGER`` has a few
networks with many regions.
"""

import numpy as np
import torch
import torch.nn.functional as F
from helpers import DEVICE, mlp
from torch import nn
from torch.nn import BatchNorm1d, BatchNorm2d, Conv1d, Conv2d, Conv3d, Flatten, Linear, PReLU, ReLU


class Net(nn.Module):
    """A network written as a function of itself, with its layers and constants, and of x."""

    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            self.register_buffer(name, part) if isinstance(part, torch.Tensor) else setattr(self, name, part)

    def forward(self, x):
        return self.function(self, x)


class Block(nn.Module):
    """Two convolutions with batch norm, one in-place ReLU used twice, and a shortcut."""

    def __init__(self, C_in, C, stride):
        super().__init__()
        self.first, self.norm = Conv2d(C_in, C, 3, stride, 1), BatchNorm2d(C)
        self.second, self.last_norm = Conv2d(C, C, 3, 1, 1, bias=False), BatchNorm2d(C)
        self.shortcut, self.relu = Conv2d(C_in, C, 1, stride), ReLU(inplace=True)

    def forward(self, x):
        h = self.last_norm(self.second(self.relu(self.norm(self.first(x)))))
        h += self.shortcut(x)
        return self.relu(h)


def between(function, **parts):
    """A dense layer, the function of its 6 outputs (they may become 6 others) and a dense layer."""
    parts = dict(a=Linear(5, 6), b=Linear(6, 6), c=Linear(6, 6), out=Linear(6, 3)) | parts
    return Net(lambda n, x: n.out(function(n, n.a(x))), **parts)


def layer(function, **parts):
    """A layer without parameters, given as a function of its input."""
    return Net(lambda n, h: function(h), **parts)


def flat(width, *layers):
    """The layers, then a dense one on their ``width`` outputs."""
    return nn.Sequential(*layers, Flatten(), Linear(width, 3))


def reused(relu):
    return nn.Sequential(Linear(5, 7), relu, Linear(7, 6), relu, Linear(6, 3))


def constant(*shape):
    return torch.randn(shape)


def pre_activation(n, h):
    """What the shortcut carries has been through the first ReLU, and the second's output has no name."""
    g = n.b(n.relu(h))
    F.relu(g, inplace=True)
    return n.c(g) + h


def part_in_place(n, h):
    h[:, :2].add_(1)
    h[:, 1:4].relu_()
    return h


def sums_in_place(n, h):
    g = n.b(F.relu(n.b(h), inplace=True))
    g += h
    g = n.c(torch.relu_(g))
    g += 1
    g -= h
    g *= n.six
    g /= 3
    return g.relu_()


def reshuffle(n, x):
    """Affine functions that move numbers around, constants, and tensors made in the likeness of x."""
    N, C, H, W = x.shape
    assert x.dim() == x.ndim == 4 and len(x) == N == x.size(0) and x.numel() == N * C * H * W
    y = x.permute(0, 2, 3, 1).flip(1).roll(1, 2).transpose(1, 3).contiguous().view(N, C, -1)
    y = torch.stack([y, 2 - y, -y / 4], 1).sum(1) + torch.ones_like(y) - y.new_zeros(C, 1)
    y = torch.einsum("ncp,pq->ncq", y, n.square) + y @ n.square.T + torch.matmul(n.small, y) * n.square[0]
    y = torch.where(n.mask, y, torch.zeros_like(y)).masked_fill(n.mask.roll(1), 0.5)
    pieces = [*y[:, 1:].chunk(2, -1), *y[:, :1].split([4, 8], -1), y[..., [0, 2, 2]].mean(1, keepdim=True)]
    y = torch.cat([piece.reshape(N, -1) for piece in pieces], 1).relu().cumsum(1).unsqueeze(1).squeeze(1)
    return n.out(y.to(x.device).to(x.dtype).clone())


def resize(n, x):
    y = F.pad(F.relu(n.conv(x)), (1, 2, 0, 1), value=0.7)
    y = F.interpolate(F.pad(y, (1, 1, 1, 1), mode="reflect"), scale_factor=0.5, mode="bilinear")
    y = F.interpolate(F.dropout(y, 0.5, training=n.training), size=(2, 3), mode="nearest")
    return n.out(n.drop(F.relu(y)).flatten(1))


def recurrent(width, **how):
    """torch's recurrent ReLU network on inputs (N, 4, 3); its caller has the points first in any case."""
    rnn = nn.RNN(3, 4, nonlinearity="relu", **how)
    turn = (lambda x: x) if rnn.batch_first else (lambda x: x.transpose(0, 1))
    return Net(lambda n, x: n.out(turn(n.rnn(turn(x))[0]).flatten(1)), rnn=rnn, out=Linear(4 * width, 3))


def last_states(n, x):
    _, h = n.rnn(x, n.start.expand(-1, len(x), -1).contiguous())
    return n.out(torch.cat(h.unbind(0), 1))


def cell_in_a_loop(n, x):
    h = n.start.expand(len(x), -1)
    for step in x.unbind(1):
        h = n.cell(step, h)
    return n.out(h)


# fmt: off
# name: (a function that makes it, the shape of one input, its nonlinear calls)
ZOO = {
    # ---- one kink or two
    "mlp": (lambda: reused(ReLU()), (5,), "relu relu"),
    "mlp without biases": (
        lambda: nn.Sequential(Linear(5, 8, bias=False), ReLU(), Linear(8, 3, bias=False)), (5,), "relu"),
    "nested": (
        lambda: nn.Sequential(nn.Sequential(Linear(5, 6), nn.Sequential(ReLU())),
                              nn.Sequential(Linear(6, 3), nn.LeakyReLU(0.2))), (5,), "relu leaky_relu"),
    "affine": (
        lambda: nn.Sequential(Linear(5, 6), nn.Identity(), nn.Dropout(), Linear(6, 3)), (5,), ""),
    "relu in place": (lambda: reused(ReLU(inplace=True)), (5,), "relu relu"),
    "relu in place on the input": (
        lambda: Net(lambda n, x: n.out(torch.cat([F.relu_(x), x], 1)), out=Linear(10, 3)), (5,), "relu"),
    "relu in place before a shortcut": (
        lambda: between(pre_activation, relu=ReLU(inplace=True)), (5,), "relu relu"),
    "relu in place on a part": (lambda: between(part_in_place), (5,), "relu"),
    "sums in place": (lambda: between(sums_in_place, six=constant(6)), (5,), "relu relu relu"),
    "relu functions": (
        lambda: between(lambda n, h: n.c(torch.relu(n.b(F.relu(h)))).relu() + h.clamp(min=0)
                        + (h - 1).clamp_min(0) + torch.clamp(h + 1, 0).clamp_(min=0.1)),
        (5,), "relu relu relu clamp clamp_min clamp clamp"),
    "leaky relu": (
        lambda: between(lambda n, h: F.leaky_relu(n.c(n.leaky(n.b(F.leaky_relu(h, 1.5)))), -0.25),
                        leaky=nn.LeakyReLU(0.3)), (5,), "leaky_relu leaky_relu leaky_relu"),
    "leaky relu in place": (
        lambda: between(lambda n, h: F.leaky_relu_(n.c(n.leaky(n.b(h)))), leaky=nn.LeakyReLU(0.3, True)),
        (5,), "leaky_relu leaky_relu"),
    "prelu": (
        lambda: between(lambda n, h: n.many(n.b(n.one(h))), one=PReLU(), many=PReLU(6)), (5,), "prelu prelu"),
    "prelu by channel": (
        lambda: flat(8, PReLU(3), Conv2d(3, 2, 2), PReLU(2), Conv2d(2, 2, 1)), (3, 3, 3), "prelu prelu"),
    "absolute value": (
        lambda: between(lambda n, h: torch.absolute(abs(h.abs() - 1) - 0.5) + n.b(h).abs_()),
        (5,), "abs abs absolute abs"),
    "hard tanh": (
        lambda: between(lambda n, h: F.hardtanh(n.c(n.wide(2 * F.hardtanh(n.b(h)))), 0, 1, True),
                        wide=nn.Hardtanh(-0.5, 1.5)), (5,), "hardtanh hardtanh hardtanh"),
    "relu6": (
        lambda: between(lambda n, h: F.relu6(n.b(n.six(8 * h))), six=nn.ReLU6(inplace=True)),
        (5,), "hardtanh relu6"),
    "clamp": (
        lambda: between(lambda n, h: n.b(h.clamp(-0.5, 1).clip(max=0.7)) + torch.clamp_max(n.c(h), 0.3)
                        + h.clamp(n.low, n.low + 1).clamp_max_(0.8).clamp_(-0.9, 0.9), low=constant(6)),
        (5,), "clamp clip clamp_max clamp clamp_max clamp"),
    # ---- the largest of several
    "maximum": (
        lambda: between(lambda n, h: torch.maximum(n.b(h), n.low).max(n.c(h)) + torch.max(n.low[:1], h),
                        low=constant(6)), (5,), "maximum max max"),
    "maxout": (
        lambda: between(lambda n, h: torch.cat([h.view(-1, 3, 2).amax(-1), h.reshape(-1, 2, 3).amax(1)], 1)
                        + n.b(h).amax(1, keepdim=True)), (5,), "amax amax amax"),
    "max over a dimension": (
        lambda: between(lambda n, h: n.b(h).view(-1, 3, 2).max(dim=1)[0].repeat(1, 3)
                        + torch.max(h, -1, keepdim=True).values), (5,), "max max"),
    "largest over two dimensions": (
        lambda: flat(4, Conv2d(2, 4, 2), layer(lambda h: h.amax((-1, 2)))), (2, 4, 5), "amax"),
    "many pieces": (
        lambda: Net(lambda n, x: n.out(n.a(x).view(-1, 2, 300).amax(2)), a=Linear(5, 600), out=Linear(2, 3)),
        (5,), "amax"),
    # ---- affine layers of all kinds
    "conv1d": (
        lambda: flat(24, Conv1d(2, 6, 3, 2, padding=2, dilation=2, groups=2), ReLU(),
                     nn.ConvTranspose1d(6, 4, 2, groups=2)), (2, 9), "relu"),
    "conv2d": (
        lambda: flat(32, Conv2d(4, 6, (3, 2), (2, 1), (2, 1), (2, 3), groups=2), ReLU(),
                     Conv2d(6, 2, 2, padding_mode="circular", padding=(1, 1)), ReLU()),
        (4, 5, 4), "relu relu"),
    "conv3d": (
        lambda: flat(8, Conv3d(1, 2, 2, (1, 2, 1), padding=1, bias=False), ReLU(),
                     nn.ConvTranspose3d(2, 1, 2, (1, 1, 2), padding=1)), (1, 2, 3, 2), "relu"),
    "transposed conv2d": (
        lambda: flat(80, nn.ConvTranspose2d(3, 4, 3, 2, 1, output_padding=(0, 1)), ReLU(),
                     nn.ConvTranspose2d(4, 2, 3, padding=1, groups=2)), (3, 3, 4), "relu"),
    "batch norm 1d": (
        lambda: nn.Sequential(BatchNorm1d(5), Linear(5, 6), BatchNorm1d(6, affine=False), ReLU(),
                              Linear(6, 3), BatchNorm1d(3)), (5,), "relu"),
    "batch norm 2d": (
        lambda: flat(24, Conv2d(2, 4, 3), BatchNorm2d(4), ReLU(inplace=True), Conv2d(4, 2, 1),
                     BatchNorm2d(2, eps=0.1)), (2, 5, 6), "relu"),
    "averages": (
        lambda: flat(14, Conv2d(2, 2, 2), nn.AvgPool2d(2, 1, 1, count_include_pad=False), ReLU(),
                     nn.AdaptiveAvgPool2d((2, 3)), Flatten(2), nn.AvgPool1d(3, 1, 1), ReLU(),
                     layer(lambda h: torch.cat([h, h.mean(2, keepdim=True)], 2))), (2, 4, 4), "relu relu"),
    "pad, resize, dropout": (
        lambda: Net(resize, conv=Conv2d(2, 2, 2), drop=nn.Dropout(), out=Linear(12, 3)),
        (2, 4, 5), "relu relu"),
    "reshuffle": (
        lambda: Net(reshuffle, square=constant(12, 12), small=constant(3, 3), mask=constant(3, 12) > -1,
                    out=Linear(39, 3)), (3, 4, 3), "relu"),
    "image to image": (
        lambda: nn.Sequential(Conv2d(2, 4, 3, padding=1), ReLU(), nn.PixelShuffle(2), Conv2d(1, 2, 3, 2, 1)),
        (2, 3, 4), "relu"),
    # ---- pools
    "max pool 1d": (
        lambda: flat(36, Conv1d(2, 4, 2), nn.MaxPool1d(3, 2, 1, 2), nn.MaxPool1d(2, 1, ceil_mode=True),
                     layer(lambda h: torch.cat([h, F.max_pool1d(h, 2, 1, 1)], 2))),
        (2, 12), "max_pool1d max_pool1d max_pool1d"),
    "max pool 2d": (
        lambda: flat(6, Conv2d(2, 3, 2), ReLU(), nn.MaxPool2d((3, 2), (1, 2), (1, 0), (1, 2)),
                     nn.MaxPool2d(2, ceil_mode=True)), (2, 5, 7), "relu max_pool2d max_pool2d"),
    "max pool 3d": (
        lambda: flat(24, Conv3d(1, 2, 2), nn.MaxPool3d(2, 1, 1), nn.MaxPool3d((2, 1, 2), ceil_mode=True)),
        (1, 3, 3, 4), "max_pool3d max_pool3d"),
    "pools with indices": (
        lambda: flat(10, Conv2d(2, 2, 2), nn.MaxPool2d(2, 1, return_indices=True), layer(lambda h: h[0]),
                     Flatten(2), layer(lambda h: F.max_pool1d(h, 2, return_indices=True)[0]),
                     layer(lambda h: F.adaptive_max_pool1d(h, 5, return_indices=True)[0])),
        (2, 5, 6), "max_pool2d max_pool1d adaptive_max_pool1d"),
    "adaptive max pools": (
        lambda: flat(14, Conv3d(1, 2, 2), nn.AdaptiveMaxPool3d((2, None, 3)), Flatten(2, 3),
                     nn.AdaptiveMaxPool2d((3, 3)), Flatten(2), nn.AdaptiveMaxPool1d(7)),
        (1, 4, 3, 5), "adaptive_max_pool3d adaptive_max_pool2d adaptive_max_pool1d"),
    # ---- recurrent
    "rnn": (lambda: recurrent(4, batch_first=True), (4, 3), "relu " * 4),
    "rnn, time first": (lambda: recurrent(4), (4, 3), "relu " * 4),
    "rnn, two layers": (
        lambda: recurrent(4, num_layers=2, batch_first=True, dropout=0.5), (4, 3), "relu " * 8),
    "rnn, two ways": (lambda: recurrent(8, num_layers=2, bidirectional=True), (4, 3), "relu " * 16),
    "rnn without biases": (lambda: recurrent(4, bias=False, batch_first=True), (4, 3), "relu " * 4),
    "rnn, last states": (
        lambda: Net(last_states, rnn=nn.RNN(3, 2, 2, "relu", batch_first=True, bidirectional=True),
                    start=constant(4, 1, 2), out=Linear(8, 3)), (4, 3), "relu " * 16),
    "rnn cell": (
        lambda: Net(cell_in_a_loop, cell=nn.RNNCell(3, 4, nonlinearity="relu"), start=constant(1, 4),
                    out=Linear(4, 3)), (4, 3), "relu " * 4),
    # ---- everything at once
    "residual conv net": (
        lambda: flat(4, Conv2d(2, 3, 3, padding=1), BatchNorm2d(3), ReLU(inplace=True), nn.MaxPool2d(3, 2, 1),
                     Block(3, 4, 2), Block(4, 4, 1), nn.AdaptiveAvgPool2d(1)),
        (2, 8, 8), "relu max_pool2d relu relu relu relu"),
}
# fmt: on
NO_BIAS = ["mlp without biases"]


def build(name, seed=0, dtype=torch.float64):
    """A network of the zoo, the same for the same seed, and the shape of one input."""
    make, shape, _ = ZOO[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = make()
        for key, tensor in [*model.named_parameters(), *model.named_buffers()]:
            if key.endswith("running_var"):
                tensor.data.uniform_(0.5, 2)
            elif key.endswith("running_mean") or isinstance(tensor, nn.Parameter):
                fan_in = tensor[0].numel() if tensor.dim() > 1 else 1
                tensor.data.normal_().div_(fan_in**0.5)
    return model.to(DEVICE, dtype).eval(), shape


def points(shape, N=3, seed=0, dtype=torch.float64):
    """N random inputs, inside their regions."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(N, *shape, generator=generator, dtype=torch.float64).to(DEVICE, dtype)


def nonlinear_calls(name):
    """The names that the library gives to a network's nonlinear calls."""
    return [f"{number}:{call}" for number, call in enumerate(ZOO[name][2].split(), 1)]


# Larger networks, whose partitions have many regions.


def residual(n, x):
    h = n.stem(x)
    for first, second in ((n.a, n.b), (n.c, n.d)):
        inner = second(F.relu_(first(h)))
        inner += h
        h = F.relu(inner, inplace=True)
    return n.out(h)


def larger_halves(n, x):
    return n.out(torch.maximum(*n.b(torch.max(*n.a(x).chunk(2, 1))).chunk(2, 1)))


def cnn(*between):
    first, last = Conv2d(1, 3, 3, padding=1), Conv2d(3, 4, 3, padding=1)
    return flat(36, first, *between[:2], last, *between[2:])


# fmt: off
# name: (a function that makes it, the shape of one input, half the width of a rectangle with many regions)
LARGER = {
    "2-32-32-3": (lambda: mlp(2, 32, 32, 3), (2,), 2),
    "2-64-64-64-1": (lambda: mlp(2, 64, 64, 64, 1), (2,), 0.7),
    "plane of 64 dimensions": (lambda: mlp(64, 64, 32, 10), (64,), 4),
    "plane of 784 dimensions": (lambda: mlp(784, 48, 48, 10), (784,), 6),
    "hard tanh": (
        lambda: nn.Sequential(Linear(2, 20), nn.Hardtanh(), Linear(20, 20), nn.Hardtanh(-0.3, 0.6),
                              Linear(20, 2)), (2,), 3),
    "prelu": (
        lambda: nn.Sequential(Linear(2, 24), PReLU(24), Linear(24, 24), nn.LeakyReLU(-0.4), Linear(24, 3)),
        (2,), 2),
    "clamp": (
        lambda: Net(lambda n, x: n.out(n.b(n.a(x).clamp(-0.5, 1)).clamp(max=0.2).abs()),
                    a=Linear(2, 20), b=Linear(20, 20), out=Linear(20, 3)), (2,), 2),
    "maxout": (
        lambda: nn.Sequential(Linear(2, 48), nn.MaxPool1d(3), Linear(16, 48), nn.MaxPool1d(3), Linear(16, 2)),
        (2,), 2),
    "maximum": (lambda: Net(larger_halves, a=Linear(2, 40), b=Linear(20, 40), out=Linear(20, 3)), (2,), 2),
    "residual": (
        lambda: Net(residual, stem=Linear(2, 16), out=Linear(16, 3), **{k: Linear(16, 16) for k in "abcd"}),
        (2,), 2),
    "pooling 2x2": (lambda: cnn(ReLU(), nn.MaxPool2d(2), ReLU(True), nn.MaxPool2d(2)), (1, 12, 12), 0.3),
    "pooling 3x3 with overlap and padding": (
        lambda: cnn(nn.MaxPool2d(3, 2, 1), BatchNorm2d(3), ReLU(), nn.MaxPool2d(3, 2, 1)), (1, 12, 12), 0.5),
    "adaptive pooling": (
        lambda: cnn(nn.AdaptiveMaxPool2d((5, 4)), ReLU(), nn.LeakyReLU(0.1), nn.AdaptiveMaxPool2d(3)),
        (1, 8, 8), 1),
    "recurrent": (lambda: recurrent(4, batch_first=True), (4, 3), 3),
}
# fmt: on


def drawn(model, seed=0):
    """The model in float64 and evaluation mode, with random weights, biases and batch statistics."""
    rng = np.random.default_rng(seed)
    for name, p in [*model.named_parameters(), *model.named_buffers()]:
        if p.dim() > 1:
            p.data.copy_(torch.from_numpy(rng.normal(0, (2 / p[0].numel()) ** 0.5, p.shape)))
        elif p.dim() == 1:
            low, high = (0.5, 1.5) if "var" in name else (-0.5, 0.5)
            p.data.copy_(torch.from_numpy(rng.uniform(low, high, p.shape)))
    return model.to(DEVICE, torch.float64).eval()
