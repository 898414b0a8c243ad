"""What the benchmark scripts share: best times, taken in turns so that a busy moment hits all alike."""

import time

import torch


def best(functions, rounds=5):
    """The best time in seconds of each named function; every round runs all of them."""
    times = dict.fromkeys(functions, float("inf"))
    for _ in range(rounds):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            times[name] = min(times[name], time.perf_counter() - start)
    return times


def multiply_rate(dtype, n=1024):
    """Floating-point operations a second in a product of two n x n matrices: the arithmetic floor's unit."""
    a = torch.ones(n, n, dtype=dtype)
    return 2 * n**3 / best({"product": lambda: a @ a})["product"]
