"""Chapter 14's section at paper size, which no reader's test run executes: run here on a few tiny images."""

from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest

import mad_max_lib as mm

CHAPTER = Path(__file__).parents[1] / "notebooks" / "14_orthogonal_templates.ipynb"


@pytest.fixture
def section(tmp_path, monkeypatch):
    """The names of the chapter's first cell and of the section, with settings for a run of seconds."""
    monkeypatch.setattr(mm, "setup", lambda chapter: None)  # sets the style of all figures of this process
    cells = [cell for cell in nbformat.read(CHAPTER, 4).cells if cell.cell_type == "code"]
    full = [cell.source for cell in cells if "full" in cell.metadata.get("tags", [])]
    names = {"__name__": "chapter"}
    for source in [cells[0].source, *full[:-1]]:
        exec(source, names)
    assert names["FULL"] is False
    rng = np.random.default_rng(0)
    x, y = rng.random((70, 3, 12, 12)), rng.integers(3, size=70)
    np.savez(tmp_path / "tiny.npz", x_train=x[:40], y_train=y[:40], x_test=x[40:], y_test=y[40:])
    names["FULL_SETTINGS"] |= {
        "data": str(tmp_path / "tiny.npz"), "image": (3, 12, 12), "epochs": 1, "runs": 2, "rates": [1e-3],
        "lambdas": np.array([0.0, 1.0]), "batch": 20,
    }  # fmt: skip
    return names, full[-1]


@pytest.mark.parametrize("penalty", ["last layer", "templates"])
def test_the_section_runs_and_shows_its_figure(section, penalty, capsys, monkeypatch):
    names, last_cell = section
    shown = []
    monkeypatch.setattr(mm, "show", lambda fig, caption: shown.append(fig))
    names |= {"FULL": True, "FULL_SETTINGS": names["FULL_SETTINGS"] | {"penalty": penalty}}
    exec(last_cell, names)
    assert len(shown) == 1 and names["scores"].shape == (1, 2, 2, 2)
    assert ((names["scores"] >= 0) & (names["scores"] <= 100)).all()
    assert "lam 1.00: " in capsys.readouterr().out
    plt.close("all")


def test_images_are_centred_and_scaled(section):
    images = section[0]["paper_images"](np.random.default_rng(0).random((5, 3, 4, 4)))
    assert images.shape == (5, 48) and np.allclose(images.mean(1), 0, atol=1e-6)
    assert np.allclose(abs(images).max(1), 1)


@pytest.mark.parametrize("network, convolutions", [("smallCNN", 3), ("largeCNN", 8)])
def test_the_papers_networks_have_their_layers(section, network, convolutions):
    names = section[0]
    net = names["paper_network"](names["PLANS"][network], (3, 32, 32), 10, np.random.default_rng(0))
    kinds = [type(layer).__name__ for layer in net]
    assert all(kinds.count(kind) == convolutions for kind in ("Conv2d", "BatchNorm2d", "ReLU"))
    assert kinds.count("MaxPool2d") == 2 and net[-1].bias is None and net[-1].out_features == 10


def test_a_missing_file_is_a_clear_error(section):
    names = section[0]
    with pytest.raises(FileNotFoundError, match="nowhere.npz"):
        names["paper_trial"](names["FULL_SETTINGS"] | {"data": "nowhere.npz"})
