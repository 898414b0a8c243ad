"""How fast ``mm.vq_distance`` is, against scipy's Hamming distance and the arithmetic floor.

Run: OMP_NUM_THREADS=1 python tests/benchmarks/distance_speed.py
"""

import numpy as np
import torch
from scipy.spatial.distance import cdist
from timing import best, multiply_rate

import mad_max_lib as mm


def main():
    rng = np.random.default_rng(0)
    rate = multiply_rate(torch.float32)
    for N in (500, 1000, 2000):
        x = torch.from_numpy(rng.normal(size=(N, 1024)).astype(np.float32))
        codes = mm.region_codes(torch.relu, x)
        bits = codes[0].numpy()
        ours, theirs = mm.vq_distance(codes, codes).numpy(), cdist(bits, bits, "hamming")
        times = best(
            {"scipy": lambda b=bits: cdist(b, b, "hamming"), "ours": lambda c=codes: mm.vq_distance(c, c)}, 3
        )
        floor = 2 * N * N * 1024 / rate
        ratio, error = times["scipy"] / times["ours"], abs(ours - theirs).max()
        print(
            f"{N} x {N} codes of 1,024 bits: {1e3 * times['ours']:6.1f} ms, scipy {ratio:.1f} times as long; "
            f"{times['ours'] / floor:.1f} times the arithmetic; largest difference {error:.0e}"
        )


if __name__ == "__main__":
    main()
