"""How fast ``mm.affine_map`` is, against the usual ways to per-sample Jacobians and the arithmetic floor.

Run: OMP_NUM_THREADS=1 python tests/benchmarks/affine_speed.py
"""

import torch
from timing import best, multiply_rate
from torch import nn
from torch.func import jacrev, vmap
from torch.utils.flop_counter import FlopCounterMode

import mad_max_lib as mm


def networks():
    """Name -> (model, shape of an input): random weights suffice for times."""
    torch.manual_seed(0)
    c, relu, pool = nn.Conv2d, nn.ReLU, nn.MaxPool2d
    return {
        "MLP 784-512-512-10": (
            nn.Sequential(nn.Linear(784, 512), relu(), nn.Linear(512, 512), relu(), nn.Linear(512, 10)),
            (784,)),
        "CNN 3-16-32-32, fc": (
            nn.Sequential(c(3, 16, 3, padding=1), relu(), c(16, 32, 3, 2, 1), relu(), c(32, 32, 3, 2, 1),
                          relu(), nn.Flatten(), nn.Linear(2048, 10)), (3, 32, 32)),
        "CNN with batch norm and pooling": (
            nn.Sequential(c(3, 16, 3, padding=1), nn.BatchNorm2d(16), relu(), pool(2),
                          c(16, 32, 3, padding=1), nn.BatchNorm2d(32), relu(), pool(2),
                          nn.Flatten(), nn.Linear(2048, 10)), (3, 32, 32)),
    }  # fmt: skip


def gradients(model, x):
    """Ten batched gradients, one a class."""
    x = x.clone().requires_grad_()
    out = model(x)
    return torch.stack([torch.autograd.grad(row.sum(), x, retain_graph=True)[0] for row in out.unbind(1)], 1)


def main():
    rate = multiply_rate(torch.float32)
    print(f"float32, {rate / 1e9:.0f} Gflop/s in a matrix product; milliseconds, then ratios to affine_map")
    names = ["vmap(jacrev)", "ten gradients", "channels_last", "affine_map", "floor"]
    print(f"{'network':34} {'N':>4}", *(f"{name:>14}" for name in names), "   vmap/map  channels_last/map")
    for name, (model, shape) in networks().items():
        model.eval()
        for N in (16, 64, 256):
            x = torch.randn(N, *shape)
            last = x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x
            with FlopCounterMode(display=False) as flops:
                model(x[:1])
            times = best({
                "vmap(jacrev)": lambda model=model, x=x: vmap(jacrev(lambda z: model(z[None])[0]))(x),
                "ten gradients": lambda model=model, x=x: gradients(model, x),
                "channels_last": lambda model=model, x=last: gradients(model, x),
                "affine_map": lambda model=model, x=x: mm.affine_map(model, x),
            }, 4)  # fmt: skip
            floor = 11 * N * flops.get_total_flops() / rate  # one pass forward, ten backward
            row = " ".join(f"{1e3 * t:14.1f}" for t in [*times.values(), floor])
            ratios = [times[other] / times["affine_map"] for other in ("vmap(jacrev)", "channels_last")]
            print(f"{name:34} {N:4} {row} {ratios[0]:10.2f} {ratios[1]:18.2f}", flush=True)


if __name__ == "__main__":
    main()
