"""The back matter keeps pace with the chapters: references, and the map of the two papers."""

import re

import pytest
from test_notebooks import HEADING, Page, anchor_of, anchors, prose, tags

from mad_max_lib.book import publish

VERDICTS = ("proved and tested", "built and tested", "rerun, agrees", "rerun, differs", "rerun:")
LINK = r"\]\((\d\d_\w+\.ipynb)#?([^\s]*?)\)(?=[^)]|$)"


def markdown(name):
    return [cell.source for cell in Page(publish.NOTEBOOKS / f"{name}.ipynb").markdown]


def rows(source):
    """The rows of the tables of a page, as lists of columns, without heads."""
    lines = re.findall(r"^\|(.+)\|$", source, re.M)
    return [[column.strip() for column in re.split(r"(?<!\\)\|", line)] for line in lines
            if "---" not in line and not line.startswith(" statement")]  # fmt: skip


def asserting_sections(page):
    """What JupyterLab calls the sections, and the headings in them, below which a cell can fail."""
    found, heads = set(), []
    for cell in page.nb.cells:
        if cell.cell_type == "markdown":
            for marks, title in re.findall(HEADING, prose(cell.source), re.M):
                heads = [*(heads[:1] if len(marks) > 2 else []), anchor_of(title)]
        elif "claim" in tags(cell) or re.search(r"^\s*assert ", cell.source, re.M):
            found |= set(heads)
    return found


def complaints(statement, where, verdict):
    """What is wrong with a row of the paper map."""
    found = [] if verdict.startswith(VERDICTS) else [f"no verdict: {verdict!r}"]
    links = re.findall(LINK, where)
    for name, anchor in links:
        page = Page(publish.NOTEBOOKS / name)
        if anchor not in anchors(page):
            found.append(f"{name} has no section {anchor!r}")
        elif anchor not in asserting_sections(page):
            found.append(f"no cell in {name}, {anchor!r}, asserts anything")
    return found if links else [*found, "no link to a section"]


def test_every_row_of_the_paper_map_has_a_verdict_and_a_cell_that_could_fail():
    table = [row for source in markdown("paper_map") for row in rows(source)]
    assert len(table) > 40
    said = {row[0]: complaints(*row) for row in table}
    assert not any(said.values()), {statement: words for statement, words in said.items() if words}


@pytest.mark.parametrize("row, words", {
    ("A", "[01](01_max_affine_splines.ipynb#A-guess-to-begin-with)", "proved and tested"): "asserts anything",
    ("A", "[01](01_max_affine_splines.ipynb#Gone)", "proved and tested"): "no section",
    ("A", "chapter 01", "proved and tested"): "no link",
    ("A", "[01](01_max_affine_splines.ipynb#Planes-instead-of-lines)", "true"): "no verdict",
}.items())  # fmt: skip
def test_a_bad_row_is_reported(row, words):
    assert words in complaints(*row)[0]


def readings(page):
    """The titles that a chapter recommends."""
    whole = "\n".join(cell.source for cell in page.markdown)
    part = re.search(r"^### Further reading$(.*?)(?=^#|\Z)", whole, re.M | re.S)
    return re.findall(r"\*([^*]{12,})\*", part[1]) if part else []


@pytest.mark.parametrize(
    "path", sorted(publish.NOTEBOOKS.glob("[0-9][0-9]_*.ipynb")), ids=lambda path: path.name
)
def test_what_a_chapter_recommends_is_among_the_references(path):
    entries = [line.lower() for source in markdown("references") for line in source.splitlines()]
    titles = readings(Page(path))
    assert titles or path.name.startswith("00")
    missing = [title for title in titles if not any(title.lower() in entry for entry in entries)]
    assert not missing


def test_the_glossary_is_in_order():
    words = [
        word.lower()
        for source in markdown("glossary")
        for word in re.findall(r"^\*\*(.+?)\.\*\*", source, re.M)
    ]
    letters = [re.sub(r"[^a-z]", "", word) for word in words]
    assert len(words) > 40 and letters == sorted(letters)


def test_stored_in_order_of_reading():
    names = [path.stem for path in publish.pages()]
    assert names[-len(publish.BACK_MATTER) :] == publish.BACK_MATTER
