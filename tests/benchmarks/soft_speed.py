"""How fast soft ReLUs are, forward and backward, against ``torch.nn.functional.silu``.

Run: OMP_NUM_THREADS=1 python tests/benchmarks/soft_speed.py
"""

import torch
from timing import best

import mad_max_lib as mm


def there_and_back(function, u):
    """One pass forward and one backward, to the input and to what the function learns."""

    def run():
        u.grad = None
        function(u).backward(torch.ones_like(u))

    return run


def main():
    units = {
        "silu": torch.nn.functional.silu,
        "relu": torch.relu,
        "by hand": lambda u: u * torch.sigmoid(u),
        "fixed": mm.BetaVQ("relu", beta=0.7),
        "per layer": mm.BetaVQ("relu", beta=0.7, learn="layer"),
        "per unit": mm.BetaVQ("relu", beta=0.7, learn="unit", units=256),
    }
    print("float32, milliseconds, then ratios to silu; by hand: u * sigmoid(u), eta = 1")
    print(f"{'input':>18}", *(f"{name:>10}" for name in units))
    for shape in ((50, 256), (1000, 256), (16, 256, 16, 16)):
        u = torch.randn(shape, generator=torch.Generator().manual_seed(0), requires_grad=True)
        times = best({name: there_and_back(unit, u) for name, unit in units.items()}, 40)
        print(f"{str(shape):>18}", *(f"{1e3 * t:10.2f}" for t in times.values()))
        print(f"{'':18}", *(f"{t / times['silu']:10.2f}" for t in times.values()), flush=True)


if __name__ == "__main__":
    main()
