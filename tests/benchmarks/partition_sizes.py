"""How far ``mm.partition`` goes within its memory: regions, seconds, peak memory, seconds of the proof.

Run: OMP_NUM_THREADS=1 python tests/benchmarks/partition_sizes.py [words of the names to run]
Each line is a process of its own, because a process never gives its peak back.
"""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from partition_speed import conv, random_weights
from torch import nn

import mad_max_lib as mm

MEMORY = "1 GB"


class Block(nn.Module):
    """Two convolutions with batch norm beside a skip, as in ResNet-18."""

    def __init__(self, before, after, stride):
        super().__init__()
        self.inner = nn.Sequential(
            nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(),
            nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after),
        )  # fmt: skip
        same = before == after and stride == 1
        skip = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))
        self.skip = nn.Identity() if same else skip

    def forward(self, x):
        return nn.functional.relu(self.inner(x) + self.skip(x))


def resnet18():
    """ResNet-18 as torchvision builds it, without pretrained weights."""
    widths = [
        (64, 64, 1),
        (64, 64, 1),
        (64, 128, 2),
        (128, 128, 1),
        (128, 256, 2),
        (256, 256, 1),
        (256, 512, 2),
    ]
    first = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
    blocks = [Block(*width) for width in [*widths, (512, 512, 1)]]
    return nn.Sequential(*first, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


def case(name, rng):
    """The model, the shape of its input and half the width of the square."""
    kind, half = name.split(" at ")
    if kind.startswith("MLP"):
        return mm.mlp([2, *map(int, kind.split("-")[1:])], rng), (2,), float(half)
    if kind == "CNN 3x32x32":
        layers = nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU(), nn.Flatten()
        model = conv(*layers, nn.Linear(1024, 64), nn.ReLU(), features=64)
        return random_weights(model, rng), (3, 32, 32), float(half)
    return random_weights(resnet18(), rng), (3, 32, 32), float(half)


NAMES = [
    "MLP 2-512-512-512-3 at 3", "MLP 2-512-512-512-3 at 7", "MLP 2-256-256-256-1 at 4",
    "CNN 3x32x32 at .05", "CNN 3x32x32 at .2", "CNN 3x32x32 at .5",
    "ResNet-18 at .002", "ResNet-18 at .005", "ResNet-18 at .01", "ResNet-18 at .02",
]  # fmt: skip


def peak():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1e6


def measure(name, n_jobs):
    rng = np.random.default_rng(0)
    model, shape, half = case(name, rng)
    corners = torch.from_numpy(rng.normal(size=(3, *shape)))
    plane = None if shape == (2,) else mm.Plane.through(*corners)
    started, before = time.perf_counter(), peak()
    regions = mm.partition(
        model, plane, (-half, half, -half, half), memory=MEMORY, n_jobs=n_jobs, progress=False
    )
    seconds, held = time.perf_counter() - started, peak()
    started = time.perf_counter()
    regions.check()
    proof = time.perf_counter() - started
    print(f"{name:26s} jobs {n_jobs}: {len(regions):9,} regions, {seconds:7.1f} s, "
          f"{len(regions) / seconds:8,.0f} a second, peak {held:.2f} GB (before {before:.2f}), "
          f"check {proof / seconds:.2f} times as long", flush=True)  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        measure(sys.argv[2], int(sys.argv[3]))
    else:
        for name in NAMES:
            if all(word in name for word in sys.argv[1:]):
                for n_jobs in (1, 2):
                    subprocess.run([sys.executable, __file__, "--one", name, str(n_jobs)], check=False)
