"""How fast ``mm.partition`` is: regions a second, and its time against forwarding every vertex once.

Run: OMP_NUM_THREADS=1 python tests/benchmarks/partition_speed.py
"""

import numpy as np
import torch
from timing import best
from torch import nn

import mad_max_lib as mm


def random_weights(model, rng, bias=0.5):
    """He weights, random biases and batch statistics, float64, in eval mode."""
    with torch.no_grad():
        for name, p in [*model.named_parameters(), *model.named_buffers()]:
            if p.dim() > 1:
                p.copy_(torch.from_numpy(rng.normal(0, (2 / p[0].numel()) ** 0.5, p.shape)))
            elif p.dim() == 1:
                scale_like = "var" in name or (name.endswith("weight") and p.dim() == 1)
                p.copy_(
                    torch.from_numpy(
                        rng.uniform(0.5, 1.5, p.shape) if scale_like else rng.uniform(-bias, bias, p.shape)
                    )
                )
    return model.double().eval()


class Residual(nn.Module):
    """Two residual blocks with batch norm and in-place ReLUs."""

    def __init__(self, channels=8):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(c, channels, 3, padding=1) for c in (1, *[channels] * 4))
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(5))
        self.head = nn.Linear(channels, 10)

    def forward(self, x):
        h = torch.relu_(self.norms[0](self.convs[0](x)))
        for i in (1, 3):
            inner = torch.relu_(self.norms[i](self.convs[i](h)))
            h = torch.relu_(h + self.norms[i + 1](self.convs[i + 1](inner)))
        return self.head(h.mean((2, 3)))


def conv(*middle, features):
    return nn.Sequential(*middle, nn.Flatten(), nn.Linear(features, 10))


def networks(rng):
    """Name -> (model, shape of an input, half the width of the square)."""
    c = nn.Conv2d
    strided = (
        c(3, 8, 3, 2, 1),
        nn.ReLU(),
        c(8, 16, 3, 2, 1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(1024, 64),
        nn.ReLU(),
    )
    pooled = (c(3, 4, 3, 2, 1), nn.ReLU(), nn.MaxPool2d(2), c(4, 8, 3, 1, 1), nn.ReLU(), nn.MaxPool2d(2))
    overlapping = (
        c(3, 4, 5, 2, 2),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
        c(4, 8, 3, 2, 1),
        nn.ReLU(),
    )
    return {
        "MLP 2-16-16-1": (mm.mlp([2, 16, 16, 1], rng), (2,), 2),
        "MLP 2-64-64-64-1": (mm.mlp([2, 64, 64, 64, 1], rng), (2,), 2),
        "MLP 2-256-256-1": (mm.mlp([2, 256, 256, 1], rng), (2,), 1),
        "MLP 64-64-64-64-10": (mm.mlp([64, 64, 64, 64, 10], rng), (64,), 4),
        "MLP 784-128-128-128-10": (mm.mlp([784, 128, 128, 128, 10], rng), (784,), 8),
        "hard tanh 2-32-32-2": (
            nn.Sequential(
                nn.Linear(2, 32), nn.Hardtanh(), nn.Linear(32, 32), nn.Hardtanh(), nn.Linear(32, 2)
            ),
            (2,),
            3,
        ),
        "maxout 2-16x3-16x3-2": (
            nn.Sequential(
                nn.Linear(2, 48), nn.MaxPool1d(3), nn.Linear(16, 48), nn.MaxPool1d(3), nn.Linear(16, 2)
            ),
            (2,),
            3,
        ),
        "CNN, strides, 3x32x32": (conv(*strided, nn.Linear(64, 64), nn.ReLU(), features=64), (3, 32, 32), 2),
        "CNN, max-pooling 2, 3x32x32": (conv(*pooled, features=128), (3, 32, 32), 1.2),
        "CNN, max-pooling 3 with overlap, 3x32x32": (conv(*overlapping, features=128), (3, 32, 32), 1),
        "residual CNN with batch norm, 1x8x8": (Residual(), (1, 8, 8), 0.4),
    }


def look(name, model, shape, half, rng):
    """Partition, prove, time; returns the number of regions and the seconds."""
    model = random_weights(model, rng)
    plane = None
    if shape != (2,):
        plane = mm.Plane(
            *(torch.from_numpy(rng.normal(size=shape) / np.sqrt(np.prod(shape)) * size) for size in (2, 1, 1))
        )
    bounds = (-half, half, -half, half)
    regions = mm.partition(model, plane, bounds)
    points = torch.from_numpy(regions.vertices) if plane is None else plane.points(regions.vertices)
    times = best(
        {"partition": lambda: mm.partition(model, plane, bounds), "forward": lambda: model(points)}, 3
    )
    errors = regions.check()
    seconds, F = times["partition"], len(regions)
    print(
        f"{name:42} {F:7,} {1e3 * seconds:9.1f} {F / seconds:11,.0f} {seconds / times['forward']:9.1f}"
        f" {errors['area']:9.0e} {errors['jump']:9.0e}",
        flush=True,
    )


def main():
    torch.set_grad_enabled(False)
    rng = np.random.default_rng(0)
    heads = ["regions", "ms", "regions/s", "/forward", "area err", "jump"]
    widths = [7, 9, 11, 9, 9, 9]
    print(f"{'network':42}", *(f"{head:>{width}}" for head, width in zip(heads, widths, strict=True)))
    for name, (model, shape, half) in networks(rng).items():
        look(name, model, shape, half, rng)
    for half in (1, 2, 4):
        model = mm.mlp([64, 64, 64, 64, 10], rng)
        look(f"regions: 64-64-64-64-10, half width {half}", model, (64,), half, rng)
    for width in (16, 32, 64, 128):
        look(f"width: 2-{width}-{width}-1", mm.mlp([2, width, width, 1], rng), (2,), 2, rng)
    for depth in (1, 2, 4, 6):
        look(f"depth: 2-{'32-' * depth}1", mm.mlp([2, *[32] * depth, 1], rng), (2,), 2, rng)


if __name__ == "__main__":
    main()
