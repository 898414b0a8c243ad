"""The book's data: chance comes from the Generator alone, and the digit that the book follows is held out."""

import importlib.util
import os
import pickle
import random
import re
import sys
import urllib.error
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from mnist1d.data import make_dataset
from sklearn.datasets import load_digits

import mad_max_lib.lab.data
from mad_max_lib.lab.data import Data, digits, from_file, from_openml, mnist1d, moons_and_circles

GENERATED = [lambda rng: moons_and_circles(40, rng), digits, lambda rng: mnist1d(rng, 100)]


def flat(data):
    return [np.asarray(part) for part in data]


@pytest.mark.parametrize("generate", GENERATED)
def test_the_generator_decides_everything(generate):
    first, again, other = (flat(generate(np.random.default_rng(seed))) for seed in [0, 0, 1])
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])
    rng = np.random.default_rng(0)
    generate(rng)
    assert not np.array_equal(first[0], flat(generate(rng))[0]), "the generator must move on"


@pytest.mark.parametrize("generate", GENERATED)
def test_global_random_states_are_neither_used_nor_changed(generate):
    results = []
    for seed in [1, 2]:
        np.random.seed(seed), torch.manual_seed(seed), random.seed(seed)
        before = np.random.get_state()[1].copy(), torch.get_rng_state(), random.getstate()
        results.append(flat(generate(np.random.default_rng(0))))
        assert np.array_equal(np.random.get_state()[1], before[0]) and np.random.get_state()[2] == 624
        assert torch.equal(torch.get_rng_state(), before[1]) and random.getstate() == before[2]
    assert all(np.array_equal(a, b) for a, b in zip(*results, strict=True))


# ---------------------------------------------------------------- moons and circles


@pytest.mark.parametrize("N", [4, 8, 400, np.int64(12)])
def test_moons_and_circles_are_balanced(N):
    x, y = moons_and_circles(N, np.random.default_rng(0))
    assert x.shape == (N, 2) and x.dtype == np.float64
    assert y.shape == (N,) and np.issubdtype(y.dtype, np.integer)
    assert np.bincount(y).tolist() == [N // 4] * 4


def test_another_seed_moves_every_class():
    (x, y), (other, _) = (moons_and_circles(400, np.random.default_rng(seed)) for seed in [0, 1])
    for label in range(4):
        assert not np.isin(x[y == label], other).any()


@pytest.mark.parametrize("seed", range(10))
def test_moons_and_circles_lie_where_the_docstring_says(seed):
    x, y = moons_and_circles(2000, np.random.default_rng(seed))
    assert (abs(x) < 2).all()
    assert x[y < 2, 1].max() < x[y >= 2, 1].min() + 0.3, "the moons lie below the circles"
    radius = np.linalg.norm(x - [0.0, 0.75], axis=1)  # both circles have this centre
    assert abs(radius[y == 2] - 1).max() < 0.15 and abs(radius[y == 3] - 0.5).max() < 0.15
    for moon, centre, side in [(0, (-0.5, -1.25), 1), (1, (0.5, -0.75), -1)]:
        arc = x[y == moon] - centre
        assert abs(np.linalg.norm(arc, axis=1) - 1).max() < 0.25 and (side * arc[:, 1] > -0.25).all()


def test_the_noise_is_the_papers():
    x, y = moons_and_circles(40_000, np.random.default_rng(0))
    spread = [
        np.std(np.linalg.norm(x[y == 0] - [-0.5, -1.25], axis=1)),
        np.std(np.linalg.norm(x[y == 2] - [0, 0.75], axis=1)),
    ]
    np.testing.assert_allclose(spread, [0.035, 0.02], rtol=0.05)


@pytest.mark.parametrize("N", [0, -4, 2, 6, 401, 8.0, "8", None])
def test_bad_number_of_points(N):
    with pytest.raises(ValueError, match=f"N must be a (whole number of at least|multiple of) 4, got {N!r}"):
        moons_and_circles(N, np.random.default_rng(0))


# ---------------------------------------------------------------- digits


@pytest.mark.parametrize("n_train", [1, 100, 797])
def test_digits_have_the_promised_shapes_and_range(n_train):
    data = digits(np.random.default_rng(0), n_train)
    assert data.x_train.shape == (n_train, 64) and data.y_train.shape == (n_train,)
    assert data.x_test.shape == (1000, 64) and data.y_test.shape == (1000,)
    for x, y in [(data.x_train, data.y_train), (data.x_test, data.y_test)]:
        assert x.dtype == np.float64 and x.min() == 0 and x.max() == 1
        assert set(y) <= set(range(10))


def test_images_keep_their_labels():
    images, labels = load_digits(return_X_y=True)
    label = {image.tobytes(): y for image, y in zip(images, labels, strict=True)}
    data = digits(np.random.default_rng(0))
    for x, y in [(data.x_train, data.y_train), (data.x_test, data.y_test)]:
        assert [label[image.tobytes()] for image in 16 * x] == y.tolist()


def test_the_book_s_digit_is_always_first_in_testing_and_never_in_training():
    first = digits(np.random.default_rng(0))
    for seed in range(50):
        data = digits(np.random.default_rng(seed))
        assert np.array_equal(data.x_test[0], first.x_test[0]) and data.y_test[0] == 3
        assert not (data.x_train == first.x_test[0]).all(1).any()


def test_training_and_testing_share_no_image_and_together_hold_all():
    data = digits(np.random.default_rng(0))
    train, test = ({image.tobytes() for image in x} for x in [data.x_train, data.x_test])
    assert not train & test
    assert len(train) == 797 and len(test) == 1000


def test_a_smaller_training_set_is_a_part_of_the_larger_one_with_the_same_test_set():
    small, large = (digits(np.random.default_rng(0), n_train) for n_train in [50, 797])
    assert np.array_equal(small.x_train, large.x_train[:50]) and np.array_equal(small.x_test, large.x_test)


@pytest.mark.parametrize("n_train", [0, -1, 798, 100.0, "100"])
def test_bad_number_of_training_images(n_train):
    with pytest.raises(ValueError, match=f"n_train must be a whole number from 1 to 797, got {n_train!r}"):
        digits(np.random.default_rng(0), n_train)


@pytest.mark.parametrize(
    "rng, kind", [(0, "int"), (None, "NoneType"), (np.random.RandomState(0), "RandomState")]
)
@pytest.mark.parametrize("generate", GENERATED)
def test_bad_generator(generate, rng, kind):
    with pytest.raises(TypeError, match=f"rng must be a NumPy Generator such as .*, got {kind}"):
        generate(rng)


# ---------------------------------------------------------------- MNIST-1D


@pytest.fixture(scope="module")
def published():
    """The 5,000 signals and their labels, from the package itself."""
    states = random.getstate(), np.random.get_state()
    made = make_dataset()
    random.setstate(states[0]), np.random.set_state(states[1])
    return np.concatenate([made["x"], made["x_test"]]), np.concatenate([made["y"], made["y_test"]])


def rows(x, y):
    """Points and labels in an order of their own."""
    return np.array(sorted(np.column_stack([x, y]).tolist()))


@pytest.mark.parametrize("n_train", [1, 500, np.int64(4000)])
def test_signals_have_the_promised_shapes(n_train):
    data = mnist1d(np.random.default_rng(0), n_train)
    assert data.x_train.shape == (n_train, 40) and data.y_train.shape == (n_train,)
    assert data.x_test.shape == (1000, 40) and data.y_test.shape == (1000,)
    assert data.x_train.dtype == data.x_test.dtype == np.float64
    assert data.y_train.dtype.kind == data.y_test.dtype.kind == "i"


@pytest.mark.parametrize("seed", range(3))
def test_training_and_testing_share_no_signal_and_together_are_the_package_s(published, seed):
    data = mnist1d(np.random.default_rng(seed))
    assert len(data.x_train) == 4000, "all of them by default"
    together = np.concatenate([data.x_train, data.x_test]), np.concatenate([data.y_train, data.y_test])
    np.testing.assert_array_equal(rows(*together), rows(*published))
    assert not {signal.tobytes() for signal in data.x_train} & {signal.tobytes() for signal in data.x_test}
    assert len({signal.tobytes() for signal in together[0]}) == 5000


def test_other_seeds_test_on_other_signals_and_not_on_the_published_split(published):
    tests = [mnist1d(np.random.default_rng(seed)).x_test for seed in range(3)] + [published[0][4000:]]
    for k, one in enumerate(tests):
        for other in tests[:k]:
            assert 100 < np.isin(one[:, 0], other[:, 0]).sum() < 300, "a fifth by chance"


def test_fewer_signals_are_a_part_of_more_with_the_same_test_set():
    small, large = (mnist1d(np.random.default_rng(0), n_train) for n_train in [50, 4000])
    assert np.array_equal(small.x_train, large.x_train[:50]) and np.array_equal(
        small.y_train, large.y_train[:50]
    )
    assert np.array_equal(small.x_test, large.x_test) and np.array_equal(small.y_test, large.y_test)


def test_what_a_reader_does_to_the_signals_does_not_come_back():
    first = mnist1d(np.random.default_rng(0), 10)
    kept = [part.copy() for part in first]
    for part in first:
        part[:] = 0
    assert all(np.array_equal(a, b) for a, b in zip(kept, mnist1d(np.random.default_rng(0), 10), strict=True))


@pytest.fixture
def fresh():
    """The module of data as it is before anyone has asked for signals."""
    spec = importlib.util.spec_from_file_location("mad_max_lib.lab.fresh_data", mad_max_lib.lab.data.__file__)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_two_threads_that_ask_first_at_once_get_the_same_signals_and_keep_the_global_random_states(fresh):
    np.random.seed(1), torch.manual_seed(1), random.seed(1)
    before = np.random.get_state()[1].copy(), torch.get_rng_state(), random.getstate()
    with ThreadPoolExecutor(2) as threads:
        both = list(threads.map(lambda seed: fresh.mnist1d(np.random.default_rng(seed)), [0, 0]))
    assert np.array_equal(np.random.get_state()[1], before[0]) and np.random.get_state()[2] == 624
    assert torch.equal(torch.get_rng_state(), before[1]) and random.getstate() == before[2]
    for data in [*both, fresh.mnist1d(np.random.default_rng(0))]:
        assert np.array_equal(data.x_test, mnist1d(np.random.default_rng(0)).x_test)


@pytest.mark.parametrize("n_train", [0, -1, 4001, 100.0, "100"])
def test_bad_number_of_training_signals(n_train):
    with pytest.raises(ValueError, match=f"n_train must be a whole number from 1 to 4000, got {n_train!r}"):
        mnist1d(np.random.default_rng(0), n_train)


# ---------------------------------------------------------------- a reader's file


def arrays(**change):
    """Four arrays that fit each other, but for the changes; None leaves one away."""
    rng = np.random.default_rng(0)
    parts = dict(
        x_train=rng.normal(size=(5, 2)),
        y_train=np.arange(5),
        x_test=rng.normal(size=(3, 2)),
        y_test=np.arange(3),
    )
    return {name: part for name, part in (parts | change).items() if part is not None}


def same(data, parts):
    return all(
        part.dtype == parts[name].dtype and np.array_equal(part, parts[name])
        for name, part in data._asdict().items()
    )


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("kind", [str, Path])
@pytest.mark.parametrize(
    "change",
    [
        {},
        dict(more=np.ones(3)),
        dict(y_train=np.arange(5, dtype=np.uint8), x_train=np.ones((5, 2), np.float16)),
        dict(x_train=np.ones((5, 3, 8, 8), np.uint8), x_test=np.ones((3, 3, 8, 8), bool)),
    ],
)
def test_what_was_saved_is_read(tmp_path, save, kind, change):
    save(tmp_path / "mine.npz", **arrays(**change))
    data = from_file(kind(tmp_path / "mine.npz"))
    assert type(data) is Data and same(data, arrays(**change))


def test_no_file(tmp_path):
    for path in [tmp_path / "mine.npz", tmp_path, str(tmp_path / "no" / "mine.npz")]:
        with pytest.raises(FileNotFoundError, match=f"there is none at {re.escape(str(path))}$"):
            from_file(path)


@pytest.mark.parametrize("save, step", [(np.savez, 3), (np.savez_compressed, 2)])
def test_truncated_files(tmp_path, save, step):
    save(path := tmp_path / "mine.npz", **arrays())
    whole = path.read_bytes()
    for size in [*range(0, len(whole), step), len(whole) - 1]:
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=re.escape(str(path))):
            from_file(path)


@pytest.mark.parametrize(
    "save, flipped", [(np.savez, 0x01), (np.savez_compressed, 0x80), (np.savez_compressed, 0xFF)]
)
def test_a_flipped_byte_is_noticed_or_does_no_harm(tmp_path, save, flipped):
    save(path := tmp_path / "mine.npz", **arrays())
    whole, noticed = path.read_bytes(), 0
    for place in range(len(whole)):
        broken = bytearray(whole)
        broken[place] ^= flipped
        path.write_bytes(broken)
        try:
            data = from_file(path)
        except ValueError as error:
            assert str(path) in str(error)
            noticed += 1
        else:
            assert same(data, arrays()), f"byte {place} changed the data in silence"
    assert noticed > len(whole) / 2


def test_bytes_flipped_in_an_array_are_noticed(tmp_path):
    np.savez(path := tmp_path / "mine.npz", **arrays())
    whole = path.read_bytes()
    for part in arrays().values():
        place = whole.index(part.tobytes())
        for shift in range(part.nbytes):
            broken = bytearray(whole)
            broken[place + shift] ^= 0x10
            path.write_bytes(broken)
            with pytest.raises(ValueError, match=rf"{re.escape(str(path))} is no readable .npz file: .*CRC"):
                from_file(path)


def not_an_archive(path, kind):
    if kind == "npy":
        with path.open("wb") as file:
            np.save(file, np.ones(3))
    elif kind == "pickle":
        path.write_bytes(pickle.dumps(arrays()))
    elif kind == "zip of text":
        with zipfile.ZipFile(path, "w") as archive:
            for name in Data._fields:
                archive.writestr(name, "1, 2, 3")
    elif kind == "zip of broken arrays":
        with zipfile.ZipFile(path, "w") as archive:
            for name in Data._fields:
                archive.writestr(f"{name}.npy", b"\x93NUMPY\x01\x00\x10\x00{'descr': '<f8'}\n")
    else:
        path.write_bytes({"text": b"x,y\n1,2\n", "nothing": b"", "zeros": bytes(1000)}[kind])


@pytest.mark.parametrize("name", ["mine.npz", "mine.npy", "mine.txt"])
@pytest.mark.parametrize(
    "kind", ["text", "nothing", "zeros", "npy", "pickle", "zip of text", "zip of broken arrays"]
)
def test_another_kind_of_file(tmp_path, name, kind):
    not_an_archive(tmp_path / name, kind)
    with pytest.raises(ValueError, match=re.escape(str(tmp_path / name))):
        from_file(tmp_path / name)


class Harmful:
    def __reduce__(self):
        return exec, ("import os; os.environ['HARM'] = 'done'",)


def test_pickled_objects_are_never_loaded(tmp_path, monkeypatch):
    monkeypatch.delenv("HARM", raising=False)
    harm = np.empty((5, 2), dtype=object)
    harm[:] = Harmful()
    np.savez(tmp_path / "mine.npz", allow_pickle=True, **arrays(x_train=harm))
    path = tmp_path / "pickle.npz"
    path.write_bytes(pickle.dumps(Harmful()))
    for bad in [tmp_path / "mine.npz", path]:
        with pytest.raises(ValueError, match=re.escape(str(bad))):
            from_file(bad)
    assert "HARM" not in os.environ


@pytest.mark.parametrize("missing", [["x_train"], ["y_train"], ["x_test"], ["y_test"], ["x_train", "y_test"]])
def test_missing_arrays(tmp_path, missing):
    np.savez(path := tmp_path / "mine.npz", **arrays(**dict.fromkeys(missing)))
    message = f"{path} must hold x_train, y_train, x_test, y_test; missing: {', '.join(missing)}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        from_file(path)


NAN, INF = np.ones((2, 3, 2))
NAN[1, 1], INF[0, 1] = np.nan, -np.inf
UNFIT = [
    (dict(x_train=np.ones(5)), r"x_train must hold finite numbers, a row a point, got float64 \(5,\)"),
    (dict(x_test=np.ones(())), r"x_test must hold finite numbers, a row a point, got float64 \(\)"),
    (dict(x_test=NAN), r"x_test must hold finite numbers, a row a point, got float64 \(3, 2\)"),
    (dict(x_test=INF), "x_test must hold finite numbers"),
    (
        dict(x_train=np.full((5, 2), "1")),
        r"x_train must hold finite numbers, a row a point, got <U1 \(5, 2\)",
    ),
    (
        dict(x_train=np.ones((5, 2), complex)),
        "x_train must hold finite numbers, a row a point, got complex128",
    ),
    (dict(x_train=np.ones((4, 2))), r"y_train must hold an integer for each of 4 points, got int64 \(5,\)"),
    (dict(y_train=np.arange(4)), r"y_train must hold an integer for each of 5 points, got int64 \(4,\)"),
    (dict(y_test=np.arange(5)), r"y_test must hold an integer for each of 3 points, got int64 \(5,\)"),
    (
        dict(y_test=np.eye(3, dtype=int)),
        r"y_test must hold an integer for each of 3 points, got int64 \(3, 3\)",
    ),
    (dict(y_train=np.arange(5.0)), r"y_train must hold an integer for each of 5 points, got float64 \(5,\)"),
    (dict(y_test=np.ones(3, bool)), "y_test must hold an integer for each of 3 points, got bool"),
    (dict(y_test=np.array(["a", "b", "c"])), "y_test must hold an integer for each of 3 points, got <U1"),
    (
        dict(x_train=np.ones((0, 2)), y_train=np.ones(0, int)),
        "y_train must hold an integer for each of 0 points",
    ),
    (
        dict(x_test=np.ones((0, 2)), y_test=np.ones(0, int)),
        "y_test must hold an integer for each of 0 points",
    ),
    (dict(x_test=np.ones((3, 3))), r"x_train and x_test must hold alike points, got \(5, 2\) and \(3, 3\)"),
    (
        dict(x_test=np.ones((3, 2, 1))),
        r"x_train and x_test must hold alike points, got \(5, 2\) and \(3, 2, 1\)",
    ),
]


@pytest.mark.parametrize("change, message", UNFIT)
def test_arrays_that_do_not_fit(tmp_path, change, message):
    np.savez(path := tmp_path / "mine.npz", **arrays(**change))
    with pytest.raises(ValueError, match=message):
        from_file(path)


# ---------------------------------------------------------------- openml.org


@pytest.fixture
def openml(monkeypatch):
    """Let openml.org hold these points and labels, or fail with this error."""

    def hold(x=None, y=None, error=None):
        def fetch(name, *, return_X_y, as_frame, **settings):
            assert name == "few" and return_X_y is True and as_frame is False
            if error:
                raise error
            return x, y

        monkeypatch.setattr("sklearn.datasets.fetch_openml", fetch)

    return hold


SOME_X = np.arange(24.0).reshape(12, 2)
SOME_Y = np.array(["dog", "cat", "10", "9", "cat", "Bee", "dog", "9", "10", "10", "cat", "Bee"])


@pytest.mark.parametrize("kind", [object, str])
@pytest.mark.parametrize("n_test", [1, 4, 11])
def test_every_point_keeps_its_label_as_a_number_in_alphabetical_order(openml, kind, n_test):
    openml(SOME_X, SOME_Y.astype(kind))
    data = from_openml("few", np.random.default_rng(0), n_test)
    assert type(data) is Data and data.x_train.shape == (12 - n_test, 2) and data.x_test.shape == (n_test, 2)
    number = {"10": 0, "9": 1, "Bee": 2, "cat": 3, "dog": 4}
    seen = []
    for x, y in [data[:2], data[2:]]:
        assert y.dtype.kind == "i" and len(x) == len(y)
        for point, label in zip(x, y, strict=True):
            place = int(point[0]) // 2
            assert np.array_equal(point, SOME_X[place]) and label == number[SOME_Y[place]]
            seen.append(place)
    assert sorted(seen) == list(range(12))


def test_numbers_are_labels_too_and_start_from_0(openml):
    openml(SOME_X, np.array([7, 3, 5] * 4))
    data = from_openml("few", np.random.default_rng(0), 4)
    for x, y in [data[:2], data[2:]]:
        assert y.tolist() == [[2, 0, 1][int(point[0]) // 2 % 3] for point in x]


def test_the_generator_decides_on_the_split(openml):
    openml(SOME_X, SOME_Y)
    first, again, other = (from_openml("few", np.random.default_rng(seed), 4) for seed in [0, 0, 1])
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first.x_test, other.x_test)
    assert not np.array_equal(first.x_test, SOME_X[:4]) and not np.array_equal(first.x_test, SOME_X[-4:])


@pytest.mark.parametrize(
    "error",
    [
        urllib.error.URLError("no route"),
        urllib.error.HTTPError("https://openml.org", 503, "no route", None, None),
        ConnectionError("no route"),
        TimeoutError("no route"),
    ],
)
def test_no_network(openml, error):
    openml(error=error)
    with pytest.raises(ConnectionError, match="openml.org does not answer .*no route.*from_file") as caught:
        from_openml("few", np.random.default_rng(0), 4)
    assert caught.value.__cause__ is error


def test_an_unknown_name_is_scikit_learn_s_own_error(openml):
    openml(error=ValueError("No active dataset few found."))
    with pytest.raises(ValueError, match="^No active dataset few found.$"):
        from_openml("few", np.random.default_rng(0), 4)


@pytest.mark.parametrize("n_test", [0, -1, 12, 13, 2.5, "4", None])
def test_bad_number_of_test_points(openml, n_test):
    openml(SOME_X, SOME_Y)
    with pytest.raises(ValueError, match=f"n_test must be a whole number from 1 to 11, got {n_test!r}"):
        from_openml("few", np.random.default_rng(0), n_test)


@pytest.mark.parametrize(
    "x, y, message",
    [
        (np.where(SOME_X == 5, np.nan, SOME_X), SOME_Y, r"x_(train|test) must hold finite numbers"),
        (
            SOME_X.astype(object),
            SOME_Y,
            r"x_train must hold finite numbers, a row a point, got object \(8, 2\)",
        ),
        (
            SOME_X,
            np.stack([SOME_Y, SOME_Y], 1),
            r"y_train must hold an integer for each of 8 points, got .* \(8, 2\)",
        ),
    ],
)
def test_sets_that_are_no_points_with_labels(openml, x, y, message):
    openml(x, y)
    with pytest.raises(ValueError, match=message):
        from_openml("few", np.random.default_rng(0), 4)


def test_the_generator_is_looked_at_before_anything_is_fetched(openml):
    openml(error=AssertionError("fetched"))
    with pytest.raises(TypeError, match="rng must be a NumPy Generator such as .*, got int"):
        from_openml("few", 0, 4)
