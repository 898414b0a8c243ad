"""Sliders without a kernel: the pictures are those of a kernel, drawn once and kept while nothing changes."""

import base64
import hashlib
import html
import itertools
import json
import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from mad_max_lib.book import figures, living, publish, widgets

DRAW = """\
import mad_max_lib as mm

mm.setup(chapter=1)


def draw(ax, k, where="left"):
    ax.plot([0, 1], [0, k], color="black" if where == "left" else "blue")
    ax.set(xlim=(0, 1), ylim=(0, 5))
"""
SHOW = 'mm.Explorer(draw, caption="A line that rises as steeply as the slider tells it to.", k=(0, 3, 2), {})'


def chapter(folder, more=""):
    cells = [
        new_code_cell(source) for source in (DRAW, SHOW.format(more), "raise ValueError('after the last')")
    ]
    path = folder / "01_toy.ipynb"
    nbformat.write(new_notebook(cells=cells), path)
    return path, cells[1].id


def by_hand(k, where="left"):
    """What a reader's kernel shows."""
    figures.setup(1)
    scope = {}
    exec(DRAW, scope)
    explorer = widgets.Explorer(scope["draw"], "A line that rises as steeply as it is told to.",
                                k=(0, 3, 2), where=["left", "right"])  # fmt: skip
    explorer.set(k=k, where=where)
    return explorer._picture.value


def test_the_pictures_are_those_of_a_kernel(tmp_path):
    path, cell = chapter(tmp_path, 'where=["left", "right"]')
    slider = living.drawn(path, tmp_path / "cache")[cell]
    assert slider["choices"] == {"k": [0, 1, 2, 3], "where": ["left", "right"]} and slider["start"] == [2, 0]
    pictures = [base64.b64decode(picture) for picture in slider["pictures"]]
    assert len(pictures) == len(set(pictures)) == 8
    for place, (k, where) in [(0, (0, "left")), (3, (1, "right")), (6, (3, "left"))]:
        assert pictures[place] == by_hand(k, where)


DRAG = """
import gc
import hashlib

explorer, = (each for each in gc.get_objects() if type(each) is mm.Explorer)
for values in {places}:
    for name, value in values.items():
        explorer._sliders[name].value = value  # as a reader's hand does
    print(hashlib.sha256(explorer._picture.value).hexdigest())
"""


@pytest.mark.parametrize("number", [12, 16, 19])
def test_a_chapters_pictures_are_what_a_readers_kernel_draws(number, tmp_path):
    (path,) = publish.NOTEBOOKS.glob(f"{number}_*.ipynb")
    ((cell, slider),) = living.drawn(path, tmp_path).items()
    grid = [
        dict(zip(slider["choices"], values, strict=True))
        for values in itertools.product(*slider["choices"].values())
    ]
    seen = [0, len(grid) // 3, len(grid) - 1]
    nb = nbformat.read(path, as_version=4)
    nb.cells = nb.cells[: [each.id for each in nb.cells].index(cell) + 1]
    nb.cells.append(new_code_cell(DRAG.format(places=[grid[place] for place in seen])))
    publish.execute(nb, path.parent, timeout=600)
    drawn = [hashlib.sha256(base64.b64decode(slider["pictures"][place])).hexdigest() for place in seen]
    printed = "".join(output.text for output in nb.cells[-1].outputs)
    assert printed.split() == drawn and len(set(drawn)) == 3


def test_an_unchanged_chapter_is_not_run_again(tmp_path, monkeypatch):
    path, cell = chapter(tmp_path)
    first = living.drawn(path, tmp_path / "cache")
    monkeypatch.setattr(living.publish, "execute", lambda *_, **__: pytest.fail("it was run again"))
    assert living.drawn(path, tmp_path / "cache") == first
    monkeypatch.undo()
    path.write_text(path.read_text().replace("[0, k]", "[5, k]"))
    second = living.drawn(path, tmp_path / "cache")
    assert second != first and second.keys() == first.keys()
    assert len(list((tmp_path / "cache").iterdir())) == 1  # the old pictures are gone


def test_the_html_names_a_file_for_each_place_and_begins_where_the_slider_stands(tmp_path):
    folder = tmp_path / "sliders"
    folder.mkdir()
    coded = [base64.b64encode(bytes([i // 2])).decode() for i in range(6)]
    slider = {"choices": {"k": [0, 0.123456], "w<h": ["a", "b", '"c"']}, "start": [1, 2], "pictures": coded}
    words = living.as_html(slider, "Figure 1.1. Where a_r < b.", folder)
    files = json.loads(html.unescape(re.search(r'data-files="([^"]*)"', words)[1]))
    assert len(files) == 6 and len(set(files)) == 3 == len(list(folder.iterdir()))
    assert f'<img src="{files[5]}" alt="Figure 1.1. Where a_r &lt; b."' in words
    assert 'max="1" value="1"' in words and 'max="2" value="2"' in words and "0.1235" in words
    assert "w&lt;h" in words and "w<h" not in words
