"""What the tests of several modules share."""

import json
import socket
import subprocess
import time
import urllib.request
import warnings
from contextlib import contextmanager
from importlib.resources import files

import numpy as np
import pytest
import torch

import mad_max_lib as mm

DEVICE = mm.device()


def at(x):
    """The numbers in float64, on the device of the tests."""
    return torch.as_tensor(x, dtype=torch.float64).to(DEVICE)


def wait_until(done, seconds, say=lambda: ""):
    """What ``done()`` returns as soon as it is something."""
    limit = time.monotonic() + seconds
    while not (result := done()):
        if time.monotonic() > limit:
            raise AssertionError(f"nothing after {seconds} s {say()}")
        time.sleep(0.1)
    return result


@contextmanager
def served(line, ready, log, **options):
    """A server while it is needed: ``ready()`` has been true; what it says goes into the file ``log``."""
    with log.open("w") as said:
        server = subprocess.Popen(line, stdout=said, stderr=subprocess.STDOUT, **options)
    try:
        wait_until(ready, 60, log.read_text)
        yield
    finally:
        server.terminate()
        server.wait()


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def ask(address, method="GET", **headers):
    """A server's answer in JSON, or None while there is none."""
    try:
        no_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        return json.load(
            no_proxy.open(urllib.request.Request(address, method=method, headers=headers), timeout=30)
        )
    except OSError:
        return None


def barriers(page, where="html"):
    """What shuts out some readers, as axe-core finds it: (rule, element) of level serious or critical."""
    page.add_style_tag(content="* { transition: none !important; animation: none !important; }")
    axe = files(pytest.importorskip("axe_playwright_python")) / "axe.min.js"
    page.evaluate(axe.read_text("utf-8"))
    run = "where => axe.run({include: [[where]]}, {resultTypes: ['violations'], preload: false})"
    return [(one["id"], node["html"][:99]) for one in page.evaluate(run, where)["violations"]
            if one["impact"] in ("serious", "critical") for node in one["nodes"]]  # fmt: skip


def rng(seed=0):
    return np.random.default_rng(seed)


def refuses(match=None):
    return pytest.raises(mm.NotPiecewiseAffineError, match=match)


def mlp(*sizes, seed=0):
    """The book's dense network, in float64."""
    return mm.mlp(list(sizes), rng(seed))


def jacobian(model, x, outputs=None):
    """d f_c / d x by automatic differentiation, one output after another."""
    x = x.clone().requires_grad_()
    f = model(x.clone()).flatten(1)
    columns = [f[:, c].sum() for c in (range(f.shape[1]) if outputs is None else outputs)]
    return torch.stack([torch.autograd.grad(column, x, retain_graph=True)[0] for column in columns], 1)


def relu_of(x: torch.Tensor):
    return torch.relu(x)


with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    scripted = torch.jit.script(relu_of)  # a ReLU that no tracer sees
