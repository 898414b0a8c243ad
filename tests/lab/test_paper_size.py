"""The study at paper size, on images of 3 x 12 x 12 pixels: pairs, the resumption, workers, clear errors."""

import json
import sys

import numpy as np
import pytest
import torch
from helpers import rng

import mad_max_lib as mm
from mad_max_lib.lab import paper_size
from mad_max_lib.lab.data import Data
from mad_max_lib.lab.paper_size import images_in_rows, main, paper_network, trial

pytestmark = pytest.mark.usefixtures("on_cpu")
SETTINGS = {"network": "smallCNN", "penalty": "last-layer", "epochs": 2, "batch": 20, "validation": 0.25}


def some_images(N=60, C=3):
    """Noisy copies of one image a class."""
    y = rng(1).permutation(np.arange(N) % C)
    x = rng(2).normal(size=(C, 3, 12, 12))[y] + 2 * rng(3).normal(size=(N, 3, 12, 12))
    return Data(x[: N // 2], y[: N // 2], x[N // 2 :], y[N // 2 :])


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Calls main on a file of images; gives what it saved. Words replace those with which it is called."""
    np.savez(tmp_path / "tiny.npz", **some_images()._asdict())
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # of workers: with more the sums end in other digits
    threads = torch.get_num_threads()
    torch.set_num_threads(1)

    def called(*words, out="results.npz", data="tiny.npz"):
        usual = "--epochs 2 --batch 12 --validation 0.3 --runs 2 --rates 1e-2 --lambdas 0 0.5".split()
        main([str(tmp_path / data), *usual, "--out", str(tmp_path / out), *map(str, words)])
        return dict(np.load(tmp_path / out))

    yield called
    torch.set_num_threads(threads)


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


# ---------------------------------------------------------------- the networks and the images


@pytest.mark.parametrize("network, filters, sizes", [
    ("smallCNN", [32, 64, 128], [3, 3, 1]),
    ("largeCNN", [96, 96, 96, 192, 192, 192, 192, 192], [3, 3, 3, 3, 3, 3, 3, 1]),
])  # fmt: skip
def test_the_networks_have_the_papers_layers(network, filters, sizes):
    net = paper_network(network, (3, 32, 32), 10, rng())
    kinds = [type(layer).__name__ for layer in net]
    convolutions = [layer for layer in net if isinstance(layer, torch.nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == filters
    assert [layer.kernel_size for layer in convolutions] == [(size, size) for size in sizes]
    assert [kind for kind in kinds if kind in ("Conv2d", "BatchNorm2d", "ReLU")] == [
        "Conv2d", "BatchNorm2d", "ReLU"] * len(filters)  # fmt: skip
    assert (
        kinds.count("MaxPool2d") == 2 and net[-1].bias is None and net[-1].weight.shape == (10, filters[-1])
    )


@pytest.mark.parametrize("network, sides", [
    ("smallCNN", [32, 30, 15, 13, 6, 6, 1]),
    ("largeCNN", [32, 32, 34, 36, 18, 16, 18, 16, 8, 6, 6, 1]),
])  # fmt: skip
def test_maps_have_the_papers_sizes(network, sides):
    maps = [torch.zeros(2, 3 * 32 * 32)]
    for layer in paper_network(network, (3, 32, 32), 10, rng()).cpu().eval():
        maps.append(layer(maps[-1]))
    changing = (torch.nn.Unflatten, torch.nn.Conv2d, torch.nn.MaxPool2d, torch.nn.AdaptiveAvgPool2d)
    net = paper_network(network, (3, 32, 32), 10, rng())
    found = [made.shape[-1] for layer, made in zip(net, maps[1:], strict=True) if isinstance(layer, changing)]
    assert found == sides and maps[-1].shape == (2, 10)


@pytest.mark.parametrize("network, smallest", [("smallCNN", 10), ("largeCNN", 12)])
def test_images_that_are_too_small_are_refused(network, smallest):
    image = (3, smallest, smallest)
    assert paper_network(network, image, 2, rng()).eval()(torch.zeros(1, 3 * smallest**2)).shape == (1, 2)
    with pytest.raises(ValueError, match=f"images .* must be larger for {network}, got \\(3, 40, "):
        paper_network(network, (3, 40, smallest - 1), 2, rng())


def test_images_are_centred_and_scaled():
    x = rng().integers(0, 256, size=(5, 3, 4, 4), dtype=np.uint8)
    x[-1] = 7
    rows = images_in_rows(x)
    assert rows.shape == (5, 48) and rows.dtype == np.float32 and np.allclose(rows.mean(1), 0, atol=1e-6)
    assert np.allclose(abs(rows[:-1]).max(1), 1) and (rows[-1] == 0).all()


# ---------------------------------------------------------------- one training


def seen(monkeypatch, job, penalty="last-layer"):
    """The weights and the order of the batches that a training begins with, its data, and its result."""
    found = {}

    def fit_many(models, data, epochs, rngs, **how):
        found["weights"] = [values.clone() for values in models[0].state_dict().values()]
        found["data"], found["state"] = data[0], rngs[0].bit_generator.state
        found["penalty"] = how["penalty"]
        return mm.fit_many(models, data, epochs, rngs, **how)

    monkeypatch.setattr(paper_size, "fit_many", fit_many)
    found["job"], found["scores"] = trial(job, SETTINGS | {"penalty": penalty}, True, *some_images())
    return found


@pytest.mark.parametrize("penalty", ["last-layer", "templates"])
def test_pairs_share_split_weights_and_order(monkeypatch, penalty):
    plain, twin = (seen(monkeypatch, (4, rate, lam), penalty) for rate, lam in [(1e-2, 0.0), (3e-2, 0.5)])
    stranger = seen(monkeypatch, (5, 1e-2, 0.0), penalty)
    assert all(map(torch.equal, plain["weights"], twin["weights"])) and plain["state"] == twin["state"]
    assert all(map(np.array_equal, plain["data"], twin["data"]))
    assert not torch.equal(plain["weights"][0], stranger["weights"][0])
    assert not np.array_equal(plain["data"].x_test, stranger["data"].x_test)
    assert plain["penalty"] is None and twin["penalty"] is not None


def test_lambda_0_is_training_without_a_penalty():
    x, y, x_test, y_test = some_images()
    one = rng(4)
    order = one.permutation(len(x))
    held, rest = order[:8], order[8:]  # 0.25 of 30
    net = paper_network("smallCNN", (3, 12, 12), 3, one)
    data = Data(images_in_rows(x[rest]), y[rest], images_in_rows(x[held]), y[held])
    expected = mm.fit_many([net], [data], 2, [one], batch=20, lr=1e-2)
    guesses = net(torch.from_numpy(images_in_rows(x_test))).argmax(1).numpy()
    job, scores = trial((4, 1e-2, 0.0), SETTINGS, True, x, y, x_test, y_test)
    assert job == (4, 1e-2, 0.0) and scores["test"] == 100 * (guesses == y_test).mean()
    assert scores["train"] == expected.train[0].tolist()
    assert scores["validation"] == expected.test[0].tolist()


@pytest.mark.parametrize("penalty", ["last-layer", "templates"])
def test_the_penalty_is_the_papers_or_the_codes(monkeypatch, penalty):
    found = seen(monkeypatch, (4, 1e-2, 0.5), penalty)["penalty"]
    W, x = (torch.from_numpy(rng(i).normal(size=size)) for i, size in enumerate([(1, 3, 7), (1, 6, 7)]))
    x.requires_grad_()
    products = W[0] @ W[0].T  # of the templates, too: W x is a network with the same templates everywhere
    value = (products**2).sum() - (products.diagonal() ** 2).sum()
    weights = {"0.weight": torch.ones(1, 7, 7), "1.weight": W}
    expected = 0.5 * value if penalty == "last-layer" else 0.5 * value / 9  # the mean over pairs of classes
    assert torch.isclose(found(weights, x, x @ W.mT), expected)


# ---------------------------------------------------------------- the whole study


@pytest.mark.parametrize("penalty", ["last-layer", "templates"])
def test_the_script_runs_and_says_what_it_found(call, penalty, capsys, tmp_path):
    words = ["--penalty", penalty, "--figure", tmp_path / "figure.png"]
    found = call(*words, "--rates", "1e-2", "1e-3", "--lambdas", 1, 0)
    assert found["rates"].tolist() == [1e-3, 1e-2] and found["lambdas"].tolist() == [0, 1]
    assert found["validation"].shape == found["train"].shape == (2, 2, 2, 2)
    assert found["test"].shape == (2, 2, 2)
    assert json.loads(str(found["settings"]))["penalty"] == penalty
    said = capsys.readouterr().out
    for part in ("rate 0.001, lambda 1 ", "rate 0.01, lambda 1 ", "Chosen there: rate 0.", "Test images: "):
        assert part in said
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert len(list((tmp_path / "results.runs").iterdir())) == 8


def test_what_is_chosen_is_chosen_on_the_validation_images():
    validation = np.zeros((2, 3, 2, 4))  # (rates, lambdas, runs, epochs)
    validation[1, 2, :, -3:], validation[0, 0, :, -3:], validation[0, 1, :, 0] = 70, 60, 99
    test = np.arange(12.0).reshape(2, 3, 2)
    said = paper_size.report([0.1, 0.2], [0.0, 0.5, 1.0], validation, test)
    assert "Chosen there: rate 0.2, lambda 1, against rate 0.1, lambda 0" in said
    assert "Test images: 10.50 % against 0.50 %, in pairs +10.00" in said
    rows = {line[:20].strip(): line[20:].split()[0] for line in said.splitlines()[2:6]}
    assert rows == {"rate 0.1, lambda 0.5": "-60.00", "rate 0.1, lambda 1": "-60.00",
                    "rate 0.2, lambda 0.5": "+0.00", "rate 0.2, lambda 1": "+70.00"}  # fmt: skip


def test_a_stopped_study_goes_on_where_it_was(call, monkeypatch, tmp_path):
    expected = call(out="whole.npz")
    jobs = []

    def stopped(job, *rest):
        jobs.append(job)
        if len(jobs) == 2:
            raise KeyboardInterrupt
        return trial(job, *rest)

    monkeypatch.setattr(paper_size, "trial", stopped)
    with pytest.raises(SystemExit, match="stopped: .*results.runs keeps what is finished"):
        call()
    assert len(jobs) == 2 and not (tmp_path / "results.npz").exists()
    (kept,) = (tmp_path / "results.runs").iterdir()
    assert_same(call(), expected)
    assert len(jobs) == 5 and jobs.count(jobs[0]) == 1 and jobs.count(jobs[1]) == 2
    more = call("--runs", 3)
    assert len(jobs) == 7 and np.array_equal(more["test"][..., :2], expected["test"])
    assert kept.exists()


def test_two_processes_find_what_one_does(call):
    assert_same(call("--n-jobs", 2, out="two.npz"), call())


def test_workers_of_dask_find_what_one_process_does(call):
    pytest.importorskip("distributed")
    assert_same(call("--backend", "dask", "--n-jobs", 2, out="dask.npz"), call())


# ---------------------------------------------------------------- clear errors


def refused(call, capsys, *words, **how):
    with pytest.raises(SystemExit) as stop:
        call(*words, **how)
    assert stop.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


def test_other_settings_than_those_of_what_is_kept_are_refused(call, capsys, tmp_path):
    call()
    said = refused(call, capsys, "--epochs", 3, "--batch", 9)
    assert (
        "lambda0.0.json was made with {'epochs': 2, 'batch': 12}, not with {'epochs': 3, 'batch': 9}" in said
    )
    data = some_images()
    np.savez(tmp_path / "other.npz", **data._replace(x_test=data.x_test + 1)._asdict())
    assert "was made with {'data': " in refused(call, capsys, data="other.npz")
    (tmp_path / "results.runs" / "run0_rate0.01_lambda0.0.json").write_text("[[0, 0.01")
    assert "lambda0.0.json holds no result of this script; take it away" in refused(call, capsys)


def test_dask_that_is_not_installed_is_a_clear_error(call, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "dask.distributed", None)
    said = refused(call, capsys, "--backend", "dask")
    assert (
        "backend dask needs the package dask.distributed, not found: pip install 'dask[distributed]" in said
    )


@pytest.mark.parametrize("words, said", [
    ("--runs 1", "runs must be at least 2, got 1"),
    ("--epochs 0", "epochs must be at least 1, got 0"),
    ("--n-jobs 0", "n-jobs must be -1 or at least 1, got 0"),
    ("--rates 1e-3 0", "rates must be positive, got [0.001, 0.0]"),
    ("--rates nan", "rates must be positive, got [nan]"),
    ("--lambdas 0.1 1", "lambdas must be 0 and others above it, got [0.1, 1.0]"),
    ("--lambdas 0", "lambdas must be 0 and others above it, got [0.0]"),
    ("--lambdas 0 1 nan", "lambdas must be 0 and others above it, got [0.0, 1.0, nan]"),
    ("--lambdas 0 -1", "lambdas must be 0 and others above it, got [0.0, -1.0]"),
    ("--validation 0", "validation must leave some of 30 images in both parts, got 0.0"),
    ("--validation 1", "validation must leave some of 30 images in both parts, got 1.0"),
    ("--batch 1", "batch must be at least 2 and not leave 1 of 21, got 1"),
    ("--batch 20", "batch must be at least 2 and not leave 1 of 21, got 20"),
    ("--figure a.doc", "figure must end with .png, .pdf or .svg, got a.doc"),
    ("--out results", "out must end with .npz, got results"),
    ("--network hugeCNN", "argument --network: invalid choice: 'hugeCNN'"),
])  # fmt: skip
def test_wrong_words_are_refused(call, capsys, words, said):
    assert said in refused(call, capsys, *words.split())


def images(*size):
    return {"x_train": np.zeros(size), "x_test": np.zeros(size)}


@pytest.mark.parametrize("change, said", [
    (images(30, 432), "x_train must have shape (N, channels, height, width), got (30, 432)"),
    (dict(x_test=np.zeros((30, 3, 10, 10))), "x_train and x_test must hold alike points"),
    (images(30, 3, 8, 8), "must be larger for smallCNN, got (3, 8, 8)"),
    (images(30, 12, 12, 3), "must be larger for smallCNN, got (12, 12, 3)"),
    (dict(y_train=1 + some_images().y_train), "y_train must hold classes 0, 1, ..., got 1 to 3"),
    (dict(y_train=-some_images().y_train), "y_train must hold classes 0, 1, ..., got -2 to 0"),
    (dict(y_train=np.zeros(30, int)), "y_train must hold classes 0, 1, ..., got 0 to 0"),
    (dict(y_test=1 + some_images().y_test), "y_test must hold classes of y_train, got {1, 2, 3}"),
    (dict(y_test=np.zeros(29, int)), "y_test must hold an integer for each of 30 points"),
], ids=["rows", "unlike", "small", "last", "from 1", "negative", "one", "new", "short"])  # fmt: skip
def test_misshapen_data_are_refused(call, capsys, tmp_path, change, said):
    np.savez(tmp_path / "wrong.npz", **some_images()._asdict() | change)
    assert said in refused(call, capsys, data="wrong.npz")
    assert not list(tmp_path.glob("*.runs"))


def test_missing_and_damaged_files_are_clear_errors(call, capsys, tmp_path):
    assert "there is none at" in refused(call, capsys, data="nowhere.npz")
    (tmp_path / "half.npz").write_bytes((tmp_path / "tiny.npz").read_bytes()[:1000])
    assert "half.npz is no readable .npz file" in refused(call, capsys, data="half.npz")
    with np.load(tmp_path / "tiny.npz") as whole:
        np.savez(tmp_path / "part.npz", **{name: whole[name] for name in ("x_train", "y_train")})
    assert "missing: x_test, y_test" in refused(call, capsys, data="part.npz")


def test_help_explains_every_word_and_the_file(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out
    assert all(f"--{name}" in said for name in paper_size.OPTIONS)
    assert all(name in said for name in [*Data._fields, "(N, channels, height, width)"])
