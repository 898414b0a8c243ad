"""The book's data: chance comes from the Generator alone, and the digit that the book follows is held out."""

import random

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from mad_max_lib.data import digits, moons_and_circles


def flat(data):
    return [np.asarray(part) for part in data]


@pytest.mark.parametrize("generate", [lambda rng: moons_and_circles(40, rng), digits])
def test_the_generator_decides_everything(generate):
    first, again, other = (flat(generate(np.random.default_rng(seed))) for seed in [0, 0, 1])
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])
    rng = np.random.default_rng(0)
    generate(rng)
    assert not np.array_equal(first[0], flat(generate(rng))[0]), "the generator must move on"


@pytest.mark.parametrize("generate", [lambda rng: moons_and_circles(40, rng), digits])
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
    with pytest.raises(ValueError, match=f"N must be a positive multiple of 4, got {N!r}"):
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


@pytest.mark.parametrize("n_train", [0, -1, 798, 100.0, "100", None])
def test_bad_number_of_training_images(n_train):
    with pytest.raises(ValueError, match=f"n_train must be a whole number from 1 to 797, got {n_train!r}"):
        digits(np.random.default_rng(0), n_train)


@pytest.mark.parametrize(
    "rng, kind", [(0, "int"), (None, "NoneType"), (np.random.RandomState(0), "RandomState")]
)
@pytest.mark.parametrize("generate", [lambda rng: moons_and_circles(40, rng), digits])
def test_bad_generator(generate, rng, kind):
    with pytest.raises(TypeError, match=f"rng must be a NumPy Generator such as .*, got {kind}"):
        generate(rng)
