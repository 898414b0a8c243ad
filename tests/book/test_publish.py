"""Rendering: one stored form, the same on every run, and a navigation bar that is up to date."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from mad_max_lib.book import publish

EXPLORER = """\
import sys
import mad_max_lib as mm
mm.setup(1)
mm.Explorer(lambda ax, k: ax.plot([0, k]), k=(0, 5),
            caption="A line that rises as steeply as the slider tells it to.")"""


@pytest.fixture
def book(tmp_path):
    """A book of three pages; the middle one has titles, sources and outputs of every kind."""
    cells = [
        new_markdown_cell("# 01 · In the *middle*"),
        new_code_cell(EXPLORER, metadata={"tags": ["first"], "collapsed": True}),
        new_code_cell("print(1)\nprint('careful', file=sys.stderr, flush=True)\nprint(2)\n3"),
    ]
    titles = {"00_start_here": "# Start here", "glossary": "# Glossary"}
    pages = {name: [new_markdown_cell(title)] for name, title in titles.items()} | {"01_middle": cells}
    for name, content in pages.items():
        nbformat.write(new_notebook(cells=content), tmp_path / f"{name}.ipynb")
    return tmp_path


def test_rendering_twice_gives_the_same_bytes_and_only_what_a_page_needs(book, capsys):
    assert publish.main(["01"], book) == 0
    assert capsys.readouterr().out.startswith("01_middle.ipynb")
    path = book / "01_middle.ipynb"
    first = path.read_bytes()
    publish.render(path)
    assert path.read_bytes() == first and first.endswith(b"}\n")

    nb = nbformat.read(path, as_version=4)
    _, _, explorer, prints, _ = nb.cells
    assert explorer.metadata == {"tags": ["first"]}
    assert [cell.execution_count for cell in (explorer, prints)] == [1, 2]
    _, picture, caption = explorer.outputs
    assert set(picture.data) == {"image/png", "text/plain"} and picture.metadata == {}
    assert caption.data["text/markdown"].startswith("**Figure 1.1.**")
    assert [output.get("text") for output in prints.outputs] == ["1\n2\n", None]  # no warning, one stream
    assert set(nb.metadata) == {"kernelspec", "language_info"} and nb.metadata.kernelspec.name == "python3"


def test_each_page_is_linked_with_its_neighbours(book):
    publish.refresh(book)
    bars = {}
    for path in publish.pages(book):
        cells = nbformat.read(path, as_version=4).cells
        assert (cells[0].id, cells[-1].id) == ("nav-top", "nav-bottom")
        assert cells[0].source == cells[-1].source and cells[0].metadata.tags == ["navigation"]
        bars[path.stem] = cells[0].source
    assert bars == {
        "00_start_here": "[Contents](00_start_here.ipynb) | [01 · In the *middle* →](01_middle.ipynb)",
        "01_middle": "[← 00 · Start here](00_start_here.ipynb) | [Contents](00_start_here.ipynb)"
                     " | [Glossary →](glossary.ipynb)",
        "glossary": "[← 01 · In the *middle*](01_middle.ipynb) | [Contents](00_start_here.ipynb)",
    }  # fmt: skip


def test_a_new_title_reaches_the_neighbours_and_cells_keep_their_ids(book):
    publish.refresh(book)
    nb = nbformat.read(book / "00_start_here.ipynb", as_version=4)
    ids = [cell.id for cell in nb.cells]
    nb.cells[1].source = "# A new title"
    nbformat.write(nb, book / "00_start_here.ipynb")
    publish.refresh(book)
    assert "[← 00 · A new title]" in (book / "01_middle.ipynb").read_text("utf-8")
    assert [cell.id for cell in nbformat.read(book / "00_start_here.ipynb", as_version=4).cells] == ids


def test_pages_come_in_reading_order(tmp_path):
    names = ["references", "10_ten", "notation", "02_two", "Untitled"]
    for name in names:
        (tmp_path / f"{name}.ipynb").touch()
    assert [path.stem for path in publish.pages(tmp_path)] == ["02_two", "10_ten", "notation", "references"]


def test_canonical_twice_is_canonical_once():
    view = {publish.WIDGET_VIEW: {"model_id": "1"}, "image/png": "aGVsbG8=", "text/plain": "a slider"}
    outputs = [
        new_output("stream", name="stderr", text="careful"), new_output("stream", text="1\n"),
        new_output("stream", name="stderr", text="careful"), new_output("stream", text="2\n"),
        new_output("display_data", data=view, metadata={"image/png": {"width": 3}}),
        new_output("display_data", data={publish.WIDGET_VIEW: {"model_id": "2"}, "text/plain": "0%"}),
        new_output("execute_result", data={"text/plain": "3"}, execution_count=40),
    ]  # fmt: skip
    slide = {"slideshow": {"slide_type": "sub"}}
    cells = [
        new_code_cell("f()", execution_count=40, outputs=outputs, metadata=slide),
        new_code_cell("not_run()"),
        new_markdown_cell("text", metadata={"tags": []}),
    ]
    kernel = {"name": "x", "display_name": "x"}
    messy = new_notebook(cells=cells, metadata={"widgets": {}, "kernelspec": kernel})
    once = publish.canonical(messy, bar="[Contents](00_start_here.ipynb)")
    assert publish.text(publish.canonical(once, bar="[Contents](00_start_here.ipynb)")) == publish.text(once)
    assert publish.canonical(once) == once
    assert len(messy.cells[0].outputs) == 7, "canonical changed its argument"

    nbformat.validate(once)
    ran, not_run, words = once.cells[1:-1]
    assert ran.metadata == slide and words.metadata == {}
    assert [output.output_type for output in ran.outputs] == ["stream", "display_data", "execute_result"]
    assert ran.outputs[0].text == "1\n2\n" and publish.WIDGET_VIEW not in ran.outputs[1].data
    assert ran.execution_count == ran.outputs[2].execution_count == 1 and not_run.execution_count is None


@pytest.mark.parametrize(
    "source, said",
    [("1/0", "ZeroDivisionError: division by zero"), ("import time; time.sleep(99)", "timed out")],
)
def test_a_failing_notebook_is_named_and_left_alone(book, capsys, monkeypatch, source, said):
    monkeypatch.setattr(publish, "CELL_SECONDS", 20 if source == "1/0" else 1)
    path = book / "00_start_here.ipynb"
    nbformat.write(new_notebook(cells=[new_markdown_cell("# Start here"), new_code_cell(source)]), path)
    publish.refresh(book)
    before = path.read_bytes()
    assert publish.main(["00"], book) == 1
    printed = capsys.readouterr().out
    assert printed.startswith(f"00_start_here.ipynb, cell 2 ({source})") and said in printed
    assert path.read_bytes() == before and not list(book.glob("*.part"))


def test_an_unknown_chapter_is_said(book, capsys):
    assert publish.main(["77"], book) == 1
    assert capsys.readouterr().out == "no notebook begins with 77\n"
