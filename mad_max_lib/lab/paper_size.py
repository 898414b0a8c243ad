"""The papers' experiment at its own size: does a penalty on the overlap of templates help a large network?

Chapter 15 asks this of small dense networks. Here the convolutional networks of the papers are trained on
images of your own, with and without the penalty. Trainings of one run differ in lambda, the weight of the
penalty, and in Adam's step size alone: the same part of the training images is held out for validation, the
weights start and the batches follow each other alike, so that runs are compared in pairs. Lambda and step
size are chosen on the validation images; the test images tell about what was chosen, and nothing else.

DATA.npz is a file of numpy.savez with x_train and x_test, (N, channels, height, width), real numbers or
bytes, and y_train and y_test, (N,), whole numbers: the classes 0, 1, ... For example, from openml.org:

    data = mm.data.from_openml("CIFAR_10_small", np.random.default_rng(0), n_test=4000)
    x_train, x_test = (x.reshape(-1, 3, 32, 32).astype("uint8") for x in (data.x_train, data.x_test))
    np.savez("cifar.npz", **data._replace(x_train=x_train, x_test=x_test)._asdict())

As in the authors' code each image has its mean taken away and is divided by its largest absolute value, the
last layer has no bias, and the score is the mean of the last three epochs. Unlike there, weights are drawn by
He's rule, Adam corrects its running means, batches are not balanced, and a validation set is held out. Every
finished training is kept: the same command goes on where it was stopped, with more runs, too.
"""

import contextlib
import io
import json
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from itertools import product
from pathlib import Path

import joblib
import numpy as np
import torch
from torch import nn
from tqdm.auto import tqdm

from .data import Data, from_file
from .models import device, draw_weights
from .pairs import paired_difference
from .penalties import overlap, templates
from .training import fit_many

NETWORKS = {  # (filters, size of the kernel, padding), or a pooling that halves height and width
    "smallCNN": [(32, 3, 0), "pool", (64, 3, 0), "pool", (128, 1, 0)],
    "largeCNN": [(96, 3, 1), (96, 3, 2), (96, 3, 2), "pool", (192, 3, 0), (192, 3, 2), (192, 3, 0), "pool",
                 (192, 3, 0), (192, 1, 0)],
}  # fmt: skip
OPTIONS = {
    "network": dict(default="smallCNN", choices=NETWORKS, help="the papers' network"),
    "penalty": dict(default="last-layer", choices=["last-layer", "templates"], 
                    help="on the rows of the last layer (the papers), or on A[x] (the authors' code)"),
    "lambdas": dict(default=[0.0, 0.33, 0.67, 1.0], type=float, nargs="+", help="weights of the penalty"),
    "rates": dict(default=[1e-4, 5e-4, 1e-3], type=float, nargs="+", help="Adam's step sizes"),
    "runs": dict(default=10, type=int, help="trainings for each rate and lambda"),
    "epochs": dict(default=120, type=int, help="passes over the training images"),
    "batch": dict(default=50, type=int, help="images for one step"),
    "validation": dict(default=0.1, type=float, help="share of x_train that is held out"),
    "n-jobs": dict(default=1, type=int, help="trainings side by side; -1: as many as processors"),
    "backend": dict(default="loky", choices=["loky", "dask"], help="processes here, or workers of Dask"),
    "scheduler": dict(help="address of a Dask cluster; without one, n-jobs workers are started here"),
    "out": dict(default="results.npz", help="all accuracies; finished trainings are kept beside it in .runs"),
    "figure": dict(help="save accuracy against lambda here: .png, .pdf or .svg"),
}  # fmt: skip
SHARED = ["network", "penalty", "epochs", "batch", "validation"]  # what all trainings have in common


def paper_network(network, image, C, rng):
    """A network of the papers, smallCNN or largeCNN, for images in rows; image is (channels, height, width).

    >>> paper_network("smallCNN", (3, 32, 32), 10, np.random.default_rng(0))[-1]
    Linear(in_features=128, out_features=10, bias=False)
    """
    channels, side = image[0], min(image[1:])
    layers = [nn.Unflatten(1, tuple(image))]
    for step in NETWORKS[network]:
        if step == "pool":
            layers.append(nn.MaxPool2d(2))
            side //= 2
        else:
            filters, size, padding = step
            conv = nn.Conv2d(channels, filters, size, padding=padding, bias=False)
            layers += [conv, nn.BatchNorm2d(filters), nn.ReLU()]
            channels, side = filters, side + 2 * padding - size + 1
        if side < 1:
            raise ValueError(f"images (channels, height, width) must be larger for {network}, got {image}")
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, C, bias=False)]
    return draw_weights(nn.Sequential(*layers), rng, torch.float32)


def images_in_rows(x):
    """Images in rows of float32, each minus its mean and divided by its largest absolute value."""
    x = x.reshape(len(x), -1).astype(np.float32)
    x -= x.mean(axis=1, keepdims=True)
    return x / np.maximum(np.abs(x).max(axis=1, keepdims=True), 1e-8)


def trial(job, settings, quiet, x, y, x_test, y_test):
    """Train the network of one job: (run, rate, lam), the number of the run, from which all chance follows,
    Adam's step size and the weight of the penalty. Settings is a dict of SHARED; quiet means no progress bar.
    Returns the job and its accuracies in percent: train and validation, of all epochs, and test, at the end.
    """
    (run, rate, lam), C = job, int(y.max()) + 1
    rng = np.random.default_rng(run)
    held, rest = np.split(rng.permutation(len(x)), [round(settings["validation"] * len(x))])
    net = paper_network(settings["network"], x.shape[1:], C, rng)

    def penalty(weights, x, logits):
        if settings["penalty"] == "last-layer":
            return lam * overlap(weights[list(weights)[-1]]).sum()
        return lam * overlap(templates(logits, x)).mean() / C**2

    parts = Data(images_in_rows(x[rest]), y[rest], images_in_rows(x[held]), y[held])
    how = dict(batch=settings["batch"], lr=rate, penalty=penalty if lam else None)
    with contextlib.redirect_stderr(io.StringIO()) if quiet else contextlib.nullcontext():
        scores = fit_many([net], [parts], settings["epochs"], [rng], **how)
    with torch.no_grad():
        images = torch.from_numpy(images_in_rows(x_test)).split(200)
        guesses = torch.cat([net.eval()(some.to(device())).argmax(1).cpu() for some in images])
    test = 100 * float((guesses.numpy() == y_test).mean())
    return job, {"train": scores.train[0].tolist(), "validation": scores.test[0].tolist(), "test": test}


def stored(folder, settings):
    """The results that a folder keeps, by job; raise unless they were made with these settings."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        try:
            job, made, found[tuple(job)] = json.loads(path.read_text("utf-8"))
            differ = [name for name in settings if made[name] != settings[name]]
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{path} holds no result of this script; take it away ({error!r})") from error
        if differ:
            was, now = ({name: it[name] for name in differ} for it in (made, settings))
            raise ValueError(
                f"{path} was made with {was}, not with {now}; return to that, or name another out"
            )
    return found


def study(settings, rates, lambdas, runs, data, folder, n_jobs=1):
    """Train by joblib what the folder does not keep yet; each result is written as soon as it is there.
    Returns a dict of arrays (rates, lambdas, runs): train and validation, with an axis of epochs, and test.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found, jobs = stored(folder, settings), list(product(range(runs), rates, lambdas))
    calls = [joblib.delayed(trial)(job, settings, n_jobs != 1, *data) for job in jobs if job not in found]
    results = joblib.Parallel(n_jobs, batch_size=1, return_as="generator_unordered")(calls)
    for job, result in tqdm(results, "trainings", len(jobs), initial=len(jobs) - len(calls)):
        path = folder / "run{}_rate{}_lambda{}.json".format(*job)
        path.with_suffix(".half").write_text(json.dumps([job, settings, result]), "utf-8")
        path.with_suffix(".half").replace(path)  # whole or not there, whenever the program is stopped
        found[job] = result
    return {
        name: np.array([[[found[r, s, lam][name] for r in range(runs)] for lam in lambdas] for s in rates])
        for name in ("train", "validation", "test")
    }


def report(rates, lambdas, validation, test):
    """What the arrays of `study` say, in words, for lambdas of which the first is 0."""
    scores = validation[..., -3:].mean(axis=-1)
    rows = list(product(range(len(rates)), range(1, len(lambdas))))
    names = {(i, j): f"rate {rates[i]:g}, lambda {lambdas[j]:g}" for i, j in rows}
    control = {name: scores[i, 0] for (i, _), name in names.items()}
    best, plain = max(rows, key=lambda row: scores[row].mean()), scores[:, 0].mean(axis=1).argmax()
    return f"""Validation images: accuracy minus that with lambda 0 at the same rate, in points
{paired_difference({name: scores[row] for row, name in names.items()}, control)}
Chosen there: {names[best]}, against rate {rates[plain]:g}, lambda 0
Test images: {test[best].mean():.2f} % against {test[plain, 0].mean():.2f} %, in pairs \
{paired_difference(test[best], test[plain, 0])}"""


def draw(rates, lambdas, validation, path):
    """Save the papers' figure: accuracy against lambda, mean and spread over the runs, and best epochs."""
    from matplotlib.figure import Figure

    fig = Figure(figsize=(4 * len(rates), 3.6), layout="constrained")
    for i, (rate, at_rate) in enumerate(zip(rates, validation, strict=True)):
        ax, last = fig.add_subplot(1, len(rates), i + 1), at_rate[..., -3:].mean(axis=-1)
        ax.errorbar(lambdas, last.mean(axis=1), last.std(axis=1), fmt="ko-", label="last three epochs")
        ax.plot(lambdas, at_rate.max(axis=-1).mean(axis=1), "s--", color="#56b4e9", label="best epoch")
        ax.set(xlabel=r"$\lambda$", ylabel="validation accuracy (%)", title=f"rate {rate:g}")
    fig.axes[0].legend()
    fig.savefig(path)


def check(asked, data):
    """Raise unless what the command line asks for can be done with these Data."""
    N, y, C = len(data.x_train), data.y_train, data.y_train.max() + 1
    train = N - round(asked.validation * N) if 0 < asked.validation < 1 else 0
    rates, lams, batch, figure = asked.rates, asked.lambdas, asked.batch, asked.figure or ".png"
    for rule, got, holds in [
        ("runs must be at least 2", asked.runs, asked.runs >= 2),
        ("epochs must be at least 1", asked.epochs, asked.epochs >= 1),
        ("n-jobs must be -1 or at least 1", asked.n_jobs, asked.n_jobs == -1 or asked.n_jobs >= 1),
        ("rates must be positive", rates, 0 < np.min(rates) <= np.max(rates) < np.inf),
        ("lambdas must be 0 and others above it", lams, 0 == np.min(lams) < np.max(lams) < np.inf),
        (f"validation must leave some of {N} images in both parts", asked.validation, 2 <= train < N),
        (f"batch must be at least 2 and not leave 1 of {train}", batch, batch >= 2 and train % batch != 1),
        ("out must end with .npz", asked.out, asked.out.endswith(".npz")),
        ("figure must end with .png, .pdf or .svg", figure, figure.endswith((".png", ".pdf", ".svg"))),
        ("x_train must have shape (N, channels, height, width)", data.x_train.shape, data.x_train.ndim == 4),
        ("y_train must hold classes 0, 1, ...", f"{y.min()} to {y.max()}", y.min() == 0 < y.max()),
        ("y_test must hold classes of y_train", set(data.y_test.tolist()), np.isin(data.y_test, y).all()),
    ]:  # fmt: skip
        if not holds:
            raise ValueError(f"{rule}, got {got}")
    paper_network(asked.network, data.x_train.shape[1:], C, np.random.default_rng(0))  # raises if too small


def dask(address, n_jobs):
    """A connection to a Dask cluster, or without an address to n_jobs workers that are started here."""
    try:
        from dask.distributed import Client
    except ImportError as error:
        how = "pip install 'dask[distributed]>=2024.1'"
        raise ImportError(f"backend dask needs the package dask.distributed, not found: {how}") from error
    return Client(address) if address else Client(n_workers=n_jobs, threads_per_worker=1)


def main(argv=None):
    """Run the study that a command line asks for; see ``--help``."""
    parser = ArgumentParser("paper_size", description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("data", metavar="DATA.npz")
    for name, option in OPTIONS.items():
        parser.add_argument(f"--{name}", **option | {"help": option["help"] + " (%(default)s)"})
    asked = parser.parse_args(argv)
    folder, workers = Path(asked.out).with_suffix(".runs"), contextlib.nullcontext()
    try:
        data = from_file(asked.data)
        check(asked, data)
        settings = {name: getattr(asked, name) for name in SHARED} | {"data": joblib.hash(list(data))}
        stored(folder, settings)
        if asked.backend == "dask":
            workers = dask(asked.scheduler, joblib.effective_n_jobs(asked.n_jobs))
    except (OSError, ValueError, ImportError) as error:
        parser.error(str(error))
    rates, lambdas = sorted({*asked.rates}), sorted({*asked.lambdas})
    try:
        with workers, joblib.parallel_config(asked.backend):
            found = study(settings, rates, lambdas, asked.runs, data, folder, asked.n_jobs)
    except KeyboardInterrupt:
        sys.exit(f"\nstopped: {folder} keeps what is finished, and the same command does the rest")
    np.savez(asked.out, rates=rates, lambdas=lambdas, settings=json.dumps(settings), **found)
    print(report(rates, lambdas, found["validation"], found["test"]))
    if asked.figure:
        draw(rates, lambdas, found["validation"], asked.figure)


if __name__ == "__main__":
    main()
