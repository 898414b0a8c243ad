"""The notebooks keep to the form, the limits and the promises of the book. (nbval runs them.)

Each check is a function from a page to a list of complaints; toy pages prove that each of them can complain.
"""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote, unquote

import nbformat
import pytest
from matplotlib.colors import is_color_like, to_rgb
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from mad_max_lib.book import figures, publish
from mad_max_lib.exercises import all_exercises

NOT_COUNTED = {"exercise", "hint", "solution", "check", "navigation"}
NEW = set(range(30))  # chapters that have the second edition's form
EXERCISE = r"^### Exercise (\d+\.\d+)"
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
SCOPES = (ast.FunctionDef, ast.Lambda, ast.ClassDef, *COMPREHENSIONS)
HEADING = r"^(#{1,6}) +(.+?) *$"


class Page:
    """A stored notebook and what the checks ask of it."""

    def __init__(self, path):
        self.path, self.text = Path(path), Path(path).read_text("utf-8")
        self.nb = nbformat.reads(self.text, as_version=4)
        number = self.path.name[:2]
        self.chapter = int(number) if number.isdigit() else None  # None: back matter
        self.code = [cell for cell in self.nb.cells if cell.cell_type == "code"]
        self.markdown = [cell for cell in self.nb.cells if cell.cell_type == "markdown"]

    def headings(self):
        """(level, text) of every heading."""
        words = "\n\n".join(prose(cell.source) for cell in self.markdown)
        return [(len(marks), title) for marks, title in re.findall(HEADING, words, re.M)]

    def outputs(self, kind=None):
        """All outputs in order; those of one mime type where ``kind`` is given."""
        found = [output for cell in self.code for output in cell.outputs]
        return [output for output in found if kind is None or kind in output.get("data", {})]


def prose(source):
    """Markdown without its blocks of code."""
    return re.sub(r"^```.*?^```", "", source, flags=re.M | re.S)


def tags(cell):
    return set(cell.metadata.get("tags", []))


def symbols(source):
    """What stands between dollars in the first column of a Markdown table."""
    first_columns = re.findall(r"^\|((?:[^|\\\n]|\\.)*)\|", source, re.M)
    found = re.findall(r"\$([^$]+)\$", "\n".join(first_columns))
    return {re.sub(r"\s+", "", symbol) for symbol in found}


# --- the checks ------------------------------------------------------------------------------------------


def check_stored_form(page):
    ids = [cell.get("id") for cell in json.loads(page.text)["cells"]]  # nbformat would mend them
    if len(set(ids)) < len(ids):
        return [f"a cell id is not unique: {sorted(ids)}"]
    try:
        nbformat.validate(page.nb)
    except nbformat.ValidationError as error:
        return [f"not a valid notebook: {error.message}"]
    bar = publish.navigation(page.path.parent).get(page.path)
    if bar is None:
        return ["not a page of the book: number it, or name it in publish.BACK_MATTER"]
    if publish.text(publish.canonical(page.nb, bar)) != page.text:
        return ["not in canonical form, or its navigation bar is old: run `python3 book.py render` for it"]
    return []


def check_outputs(page):
    not_run = [cell for cell in page.code if cell.execution_count is None]
    found = [f"not run: {len(not_run)} cells, first {not_run[0].source[:60]!r}"] if not_run else []
    for output in page.outputs():
        said = output.get("text", "") + output.get("data", {}).get("text/plain", "")
        if output.output_type == "error":
            found.append(f"an error is stored: {output.ename}")
        if output.get("name") == "stderr":
            found.append(f"a warning is stored: {said[:80]!r}")
        if re.search(r"(?<![\w.])/(home|Users|root|tmp|usr|opt|var|mnt|work|srv)/|\b[A-Z]:\\", said):
            found.append(f"an output holds a path of one machine: {said[:80]!r}")
    return found


def check_limits(page):
    found = []
    if len(page.text.encode()) > 1e6:
        found.append(f"the file has {len(page.text.encode()) / 1e6:.2f} MB, over 1 MB")
    for cell in page.code:
        lines, most = len(cell.source.splitlines()), 40 if is_hidden(cell) else 20 if is_new(page) else 25
        if lines > most:
            found.append(f"a code cell has {lines} lines, over {most}: {cell.source[:60]!r}")
    if page.chapter is not None:
        code = [cell for cell in page.code if not tags(cell) & NOT_COUNTED and not is_hidden(cell)]
        lines = [line.strip() for cell in code for line in cell.source.splitlines() if line.strip()]
        counted = "\n\n".join(cell.source for cell in page.markdown if not tags(cell) & NOT_COUNTED)
        counted = re.sub(rf"{EXERCISE}.*?(?=^#{{1,3}} |\Z)", "", counted, flags=re.M | re.S)
        if is_new(page):
            counted = re.sub(r"<details>.*?</details>|\$[^$]*\$", "", counted, flags=re.S)
        words = len(re.findall(r"\S*\w\S*", counted))
        amounts = {
            "words outside exercises": (words, 2500 if is_new(page) else 3500),
            "lines of shown code": (len(lines), 220 if is_new(page) else 500),
            "shown asserts": (sum(line.startswith("assert") for line in lines), 8 if is_new(page) else 60),
        }
        found += [f"{n:,} {what}, over {most:,}" for what, (n, most) in amounts.items() if n > most]
    return found


def is_new(page):
    """Whether a chapter has the second edition's form already."""
    return page.chapter in NEW


def is_hidden(cell):
    return bool(cell.metadata.get("jupyter", {}).get("source_hidden"))


def check_hidden_cells(page):
    """Hidden cells carry both marks; one that checks a claim says what a wrong version gives."""
    found = []
    for cell in page.code if is_new(page) else []:
        if is_hidden(cell) != ("hide-input" in tags(cell)):
            found.append(f"a cell is hidden in JupyterLab or on the web, not in both: {cell.source[:60]!r}")
        if ("claim" in tags(cell)) != ("mm.checked(" in cell.source):
            found.append(f"the tag 'claim' and mm.checked belong together: {cell.source[:60]!r}")
        if "claim" in tags(cell) and not is_hidden(cell):
            found.append(f"a checked cell is not hidden: {cell.source[:60]!r}")
    return found


def check_claims(page):
    """Every theorem box and every line of the recap leads to a cell that could fail."""
    if not is_new(page) or not page.chapter:
        return []
    found, proved, section, heading, recap = [], set(), "", "", ""
    waiting = []  # theorem boxes without a check so far
    for cell in page.nb.cells:
        if cell.cell_type == "code":
            if "claim" in tags(cell) or re.search(r"^\s*assert ", cell.source, re.M):
                proved |= {anchor_of(section), anchor_of(heading)}
                waiting = []
            continue
        for part in re.split(r"(?=^#{1,6} )", prose(cell.source), flags=re.M):
            if title := re.match(HEADING, part, re.M):
                heading = title[2]
                recap = part if heading == "What you have seen" else recap
            if title and len(title[1]) == 2:
                section = heading
                found += [f"no check follows in the section of {box!r}" for box in waiting]
                waiting = []
            waiting += re.findall(r"^> \*\*((?:Theorem|Proposition).*?)\*\*", part, re.M)
    lines = re.findall(r"^- (.+)$", recap, re.M)
    if not 4 <= len(lines) <= 8:
        found.append(f"'What you have seen' has {len(lines)} lines, not four to eight")
    for line in lines:
        if not set(re.findall(r"\]\(#((?:[^()\s]|\([^()\s]*\))+)\)", line)) & proved:
            found.append(f"no link to a section with a check in a line of the recap: {line[:60]!r}")
    return found


def check_headings(page):
    levels = [level for level, _ in page.headings()]
    found = []
    if levels[:1] != [1] or levels.count(1) != 1:
        found.append(f"{levels.count(1)} H1 headings, not one at the top")
    for (before, _), (level, title) in zip(page.headings(), page.headings()[1:], strict=False):
        if level > before + 1:
            found.append(f"a heading level is skipped before {title!r}")
    return found


def check_code(page):
    forbidden = {
        r"\bpip\b": "pip", r"^\s*!": "a shell command", r"\w://": "a URL",
        r"(?i)download|urlretrieve|\burllib\b|^\s*import requests\b": "a download",
        r"""["'](/[A-Za-z]|~/|[A-Z]:[\\/])""": "an absolute path",
    }  # fmt: skip
    return [f"{what} in code: {found[0]!r} in {cell.source[:60]!r}"
            for cell in page.code for pattern, what in forbidden.items()
            if (found := re.search(pattern, cell.source, re.M))]  # fmt: skip


def check_figures(page):
    found, captions = [], []
    for cell in page.code:
        for output, after in zip(cell.outputs, [*cell.outputs[1:], {}], strict=False):
            if "image/png" not in output.get("data", {}):
                continue
            caption = after.get("data", {}).get("text/markdown", "")
            if not caption.startswith("**Figure"):
                found.append(f"a figure without a caption: {cell.source[-60:]!r}")
            elif caption not in captions:
                captions.append(caption)
    chapter = "" if page.chapter is None else f"{page.chapter}."
    for number, caption in enumerate(captions, 1):
        if not caption.startswith(f"**Figure {chapter}{number}.**"):
            found.append(f"expected figure number {chapter}{number}, found {caption[:40]!r}")
    return found


def check_exercises(page, registered=None):
    """Headings, registered exercises and tagged cells belong together."""
    if not page.chapter:
        return []
    registered = all_exercises() if registered is None else registered
    prompts, cells, number = {}, {}, None  # number: of the exercise that the reading has come to
    for cell in page.nb.cells:
        if cell.cell_type == "markdown":
            for part in re.split(r"(?=^#{1,3} )", prose(cell.source), flags=re.M):
                heading = re.match(EXERCISE, part)
                if heading and heading[1] in prompts:
                    return [f"exercise {heading[1]} has two headings"]
                if heading or re.match(HEADING, part, re.M):
                    number = heading and heading[1]
                if number:
                    prompts[number] = prompts.get(number, "") + part
        elif number:
            cells.setdefault(number, []).append(cell)
    found = [] if len(prompts) >= 4 else [f"{len(prompts)} exercises, fewer than four"]
    here = {number for number in registered if number.split(".")[0] == str(page.chapter)}
    found += [f"exercise {number} is registered and not in the chapter" for number in here - set(prompts)]
    for number, prompt in prompts.items():
        if number not in registered:
            if "what you should see" not in prompt.lower():
                found.append(f"exercise {number} has neither a check nor a fold 'What you should see'")
            continue
        wanted = {"exercise": "", "check": f'check("{number}"'}
        if registered[number].solution is not None:
            wanted["solution"] = f'show_solution("{number}")'
        for tag, code in wanted.items():
            if not any(tag in tags(cell) and code in cell.source for cell in cells.get(number, [])):
                found.append(f"exercise {number} has no cell tagged {tag!r}" + f" with {code}" * bool(code))
    return found


def check_links(page):
    found = []
    for cell in page.markdown:
        words = re.sub(r"`[^`\n]*`", "", prose(cell.source))
        inner = r"(?:[^()\s]|\([^()\s]*\))+"  # a target may hold a pair of parentheses
        for target in re.findall(rf"\]\(({inner})\)", words) + re.findall(r'href="([^"]+)"', words):
            if re.match(r"[\w+.-]+:", target):
                continue
            name, _, anchor = target.partition("#")
            path = page.path.parent / unquote(name) if name else page.path
            if not path.exists():
                found.append(f"a link leads nowhere: {target}")
            elif anchor and quote(anchor, safe=";,/?:@&=+$-_.!~*'()%") != anchor:
                found.append(f"JupyterLab cannot follow the characters of a link: {target}")
            elif anchor and anchor not in anchors(Page(path)):
                found.append(f"no such heading: {target}")
    return found


def anchors(page):
    """What JupyterLab calls the headings of a page: their text as shown, spaces as dashes."""
    return {anchor_of(title) for _, title in page.headings()}


def anchor_of(title):
    shown = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title)
    return re.sub(r"[*`]", "", shown).replace(" ", "-")


def check_symbols(page):
    """Chapters list their symbols in a cell tagged ``symbols``; the notation page holds them all."""
    if not page.chapter:
        return []
    own = set().union(*(symbols(cell.source) for cell in page.markdown if "symbols" in tags(cell)))
    if not own:
        return ["no Markdown cell tagged 'symbols' with a table of $symbols$"]
    notation = page.path.with_name("notation.ipynb")
    if not notation.exists():
        return ["there is no notation.ipynb"]
    known = set().union(*(symbols(cell.source) for cell in Page(notation).markdown))
    return [f"the symbol ${symbol}$ is not in notation.ipynb" for symbol in sorted(own - known)]


def check_sliders(page):
    """A slider is moved when all cells have run: no later cell may give its drawing's names a new meaning."""
    functions, found = {}, []
    cells = trees(page)
    for position, tree in enumerate(cells):
        functions.update({node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)})
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "Explorer":
                later = set().union(*map(assigned, cells[position + 1 :]))
                for name in sorted(read_by(call.args[0], functions) & later):
                    found.append(f"a slider's drawing reads {name!r}, which a later cell assigns anew")
    return found


def trees(page):
    """The syntax tree of each cell of Python."""
    return [ast.parse(cell.source) for cell in page.code if not cell.source.lstrip().startswith(("%", "!"))]


def assigned(tree):
    """Global names that a cell assigns, loops over or defines."""
    inner = [node for node in ast.walk(tree) if isinstance(node, SCOPES)]
    local = {name for scope in inner for name in ast.walk(scope) if name is not scope}
    names = {
        n.id
        for n in ast.walk(tree)
        if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store) and n not in local
    }
    return names | {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def read_by(node, functions, seen=()):
    """Global names that a drawing function reads, itself or through functions of the page that it calls."""
    if isinstance(node, ast.Name) and node.id in functions:
        node = functions[node.id]
    parts = list(ast.walk(node))
    own = {part.arg for part in parts if isinstance(part, ast.arg)}
    own |= {part.id for part in parts if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}
    names = {part.id for part in parts if isinstance(part, ast.Name)} - own
    for name in names & set(functions) - set(seen):
        names |= read_by(functions[name], functions, (*seen, name))
    return names


def check_contrast(page):
    """Words in figures stand out from white by 4.5 to 1 (white ones are for dark pictures)."""
    found = []
    for call in (node for tree in trees(page) for node in ast.walk(tree) if isinstance(node, ast.Call)):
        values = [keyword.value for keyword in call.keywords if keyword.arg in ("color", "c")]
        if getattr(call.func, "attr", "") in WRITING:
            found += [
                f"pale words, {part!r}, in {ast.unparse(call)[:60]!r}"
                for value in values
                for part in map(colour, ast.walk(value))
                if part and 1.1 < contrast(part) < 4.5
            ]
    return found


WRITING = {"annotate", "set_title", "set_xlabel", "set_ylabel", "suptitle", "text"}


def colour(node):
    """The colour that a name of the library, or a string, stands for."""
    name = node.value if isinstance(node, ast.Constant) else getattr(node, "id", getattr(node, "attr", None))
    value = getattr(figures, str(name), name) if str(name).isupper() else name
    return value if isinstance(value, str) and is_color_like(value) else None


def contrast(colour):
    """Luminance of white to that of a colour, as the web's accessibility guidelines define it."""
    red, green, blue = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in to_rgb(colour))
    return 1.05 / (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05)


CHECKS = [check_stored_form, check_outputs, check_limits, check_hidden_cells, check_claims, check_headings,
          check_code, check_figures, check_exercises, check_links, check_symbols,
          check_sliders, check_contrast]  # fmt: skip


def test_there_are_notebooks_to_check():
    assert len(list(publish.NOTEBOOKS.glob("*.ipynb"))) > 20


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("path", sorted(publish.NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.name)
def test_notebook(path, check):
    found = check(Page(path))
    assert not found, "\n".join(found)


# --- toy pages: the checks can fail ----------------------------------------------------------------------


def png_output():
    return new_output("display_data", data={"image/png": "aGVsbG8=", "text/plain": "a picture"})


def caption_output(number):
    words = f"**Figure 1.{number}.** What the picture shows."
    return new_output("display_data", data={"text/markdown": words})


HIDDEN = {"tags": ["hide-input"], "jupyter": {"source_hidden": True}}
CLAIM = HIDDEN | {"tags": ["hide-input", "claim"]}
RECAP = "## What you have seen\n\n"


def toy_cells():
    """A sound chapter 1 of four exercises: one checked, three to explore."""
    title = "# 01 · A toy\n\nSee [the end](#How-it-ends:-well) and [notation](notation.ipynb#Notation)."
    explore = "### Exercise 1.{} (explore)\n<details><summary>What you should see</summary>This.</details>"
    table = "| symbol | name |\n|---|---|\n| $A_{k, r}$, $B$ | slopes |"
    return [
        new_markdown_cell(title),
        new_markdown_cell(table, metadata={"tags": ["symbols"]}),
        new_code_cell("x = 1", execution_count=1, outputs=[png_output(), caption_output(1)]),
        new_markdown_cell("## Exercises\n\n### Exercise 1.1: one (2 minutes, quick)\nWhat is it?"),
        new_code_cell("one = ...", execution_count=2, metadata={"tags": ["exercise"]}),
        new_code_cell('one = mm.check("1.1", one)', execution_count=3, metadata={"tags": ["check"]}),
        new_code_cell('mm.show_solution("1.1")', execution_count=4, metadata={"tags": ["solution"]}),
        *[new_markdown_cell(explore.format(n)) for n in (2, 3, 4)],
        new_markdown_cell("## How *it* ends: well\n\n```\n# no heading\n```\n\n> **Theorem (toy).** So."),
        new_code_cell('mm.checked("it ends", True, "not", False)', execution_count=5, metadata=CLAIM),
        new_markdown_cell(RECAP + 4 * "- [It ends](#How-it-ends:-well).\n"),
    ]


class Registered:
    solution = 1


def toy_page(folder, cells):
    """Store the cells as chapter 1 of a small book, in canonical form; the page as the checks see it."""
    rows = "# Notation\n\n| symbol | name |\n|---|---|\n| $A_{k,r}$ | slopes |\n| $B$ | offsets |"
    for name, content in {"01_toy": cells, "notation": [new_markdown_cell(rows)]}.items():
        (folder / f"{name}.ipynb").write_text(nbformat.writes(new_notebook(cells=content)), "utf-8")
    publish.refresh(folder)
    return Page(folder / "01_toy.ipynb")


def complaints(page):
    registered = {"1.1": Registered, "2.1": Registered}
    return {check: check(page, registered) if check is check_exercises else check(page) for check in CHECKS}


def test_a_sound_page_passes(tmp_path):
    assert not any(complaints(toy_page(tmp_path, toy_cells())).values())


def put(position, **changes):
    """A mutation: set attributes of one cell."""

    def mutate(cells):
        for name, value in changes.items():
            cells[position][name] = value

    return mutate


def add(*cells):
    return lambda all_cells: all_cells.extend(cells)


def code(source, **kwargs):
    return new_code_cell(source, execution_count=9, **kwargs)


def output(text):
    return [new_output("stream", text=text)]


BROKEN = {
    "not run: 1 cells": (check_outputs, put(2, execution_count=None)),
    "an error is stored": (check_outputs, put(2, outputs=[new_output("error", ename="ValueError")])),
    "path of one machine": (check_outputs, add(code("f()", outputs=output("read /home/ann/x.npz")))),
    "over 1 MB": (check_limits, add(code("f()", outputs=output("x" * 10**6)))),
    "21 lines": (check_limits, add(code("\n".join(["x = 1"] * 21)))),
    "41 lines": (check_limits, add(code("\n".join(["x = 1"] * 41), metadata=HIDDEN))),
    "words outside": (check_limits, add(new_markdown_cell("word " * 2500))),
    "lines of shown code": (check_limits, add(*[code("x = 1\n" * 20) for _ in range(11)])),
    "9 shown asserts": (check_limits, add(code("assert x\n" * 9))),
    "not in both": (check_hidden_cells, add(code("x = 1", metadata={"tags": ["hide-input"]}))),
    "belong together": (check_hidden_cells, add(code("x = 1", metadata={"tags": ["claim"]}))),
    "is not hidden": (check_hidden_cells, put(-2, metadata={"tags": ["claim"]})),
    "in the section of 'Theorem (toy).'": (check_claims, put(-2, source="x = 1", metadata=HIDDEN)),
    "has 3 lines": (check_claims, put(-1, source=RECAP + 3 * "- [x](#How-it-ends:-well)\n")),
    "in a line of the recap": (check_claims, put(-1, source=RECAP + 4 * "- [x](#A-toy)\n")),
    "2 H1": (check_headings, add(new_markdown_cell("# Another"))),
    "0 H1": (check_headings, put(0, source="## A toy")),
    "skipped before 'Deep'": (check_headings, add(new_markdown_cell("#### Deep"))),
    "reads 'height'": (
        check_sliders,
        add(
            code("height = 1\n\ndef line(ax): ax.plot([0, height])\n\ndef draw(ax, k): line(ax)"),
            code("mm.Explorer(draw, k=(0, 1))"),
            code("for height in range(3): pass"),
        ),
    ),
    "pip": (check_code, add(code("%pip install x"))),
    "a URL": (check_code, add(code('x = "https://example.org"'))),
    "a download": (check_code, add(code("load(download=True)"))),
    "a shell command": (check_code, add(code("!ls"))),
    "an absolute path": (check_code, add(code('open("/data/x")'))),
    "pale words, '#E69F00'": (check_contrast, add(code('ax.text(0, 0, "x", color=ORANGE)'))),
    "pale words, 'gray'": (check_contrast, add(code('ax.set_title("x", color="gray")'))),
    "without a caption": (check_figures, put(2, outputs=[png_output()])),
    "expected figure number 1.1": (check_figures, put(2, outputs=[png_output(), caption_output(2)])),
    "3 exercises, fewer": (check_exercises, lambda cells: cells.pop(7)),
    "registered and not in": (check_exercises, put(3, source="### Exercise 1.9\nWhat you should see: this.")),
    "neither a check nor": (check_exercises, put(7, source="### Exercise 1.2: two\nGuess.")),
    "tagged 'exercise'": (check_exercises, put(4, metadata={})),
    "tagged 'check' with check(\"1.1\"": (check_exercises, put(5, source='mm.check("1.2", one)')),
    "tagged 'solution'": (check_exercises, lambda cells: cells.pop(6)),
    "two headings": (check_exercises, put(8, source="### Exercise 1.2\nWhat you should see: this.")),
    "leads nowhere": (check_links, add(new_markdown_cell("[gone](02_gone.ipynb)"))),
    "no such heading": (check_links, add(new_markdown_cell("[gone](notation.ipynb#Gone)"))),
    "cannot follow": (check_links, add(new_markdown_cell("## Ça va\n[see](#Ça-va)"))),
    "tagged 'symbols'": (check_symbols, put(1, metadata={})),
    "symbol $C$ is not": (check_symbols, put(1, source="| symbol | name |\n|---|---|\n| $C$ | classes |")),
}


@pytest.mark.parametrize("phrase", BROKEN)
def test_a_broken_page_is_reported(tmp_path, phrase):
    check, mutate = BROKEN[phrase]
    cells = toy_cells()
    mutate(cells)
    said = complaints(toy_page(tmp_path, cells))
    assert any(phrase in complaint for complaint in said[check]), said


@pytest.mark.parametrize(
    "phrase, change",
    {
        "not in canonical form": lambda nb: nb.cells[2].metadata.update(collapsed=True),
        "navigation bar is old": lambda nb: nb.cells[0].update(source="[Contents](00_start_here.ipynb)"),
        "run `python3 book.py render`": lambda nb: nb.cells[3].outputs.append(
            new_output("stream", name="stderr", text="a warning")),
        "is not unique": lambda nb: nb.cells[3].update(id=nb.cells[4].id),
        "not a valid notebook": lambda nb: nb.metadata.kernelspec.pop("display_name"),
    }.items(),
)  # fmt: skip
def test_another_form_is_reported(tmp_path, phrase, change):
    page = toy_page(tmp_path, toy_cells())
    change(page.nb)
    page.text = nbformat.v4.writes(page.nb) + "\n"
    assert any(phrase in complaint for complaint in check_stored_form(page))


def test_a_page_that_the_book_does_not_know_is_reported(tmp_path):
    (tmp_path / "Untitled.ipynb").write_text(publish.text(publish.canonical(new_notebook())), "utf-8")
    assert "not a page of the book" in check_stored_form(Page(tmp_path / "Untitled.ipynb"))[0]


def test_memory_is_limited_and_the_table_printed(tmp_path):
    """The notebooks' conftest.py, run on two toys by two workers."""
    (tmp_path / "conftest.py").write_text((publish.NOTEBOOKS / "conftest.py").read_text("utf-8"), "utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]")
    small = 'import os\nassert os.environ["MPLBACKEND"] != "Agg" and os.environ["OMP_NUM_THREADS"] == "1"'
    large = "x = bytearray(600 * 10**6)\nx[::4096] = x[::4096]"
    for name, source in {"01_small": small, "02_large": large}.items():
        cells = [new_code_cell(source), new_code_cell("y = 1")]
        (tmp_path / f"{name}.ipynb").write_text(nbformat.writes(new_notebook(cells=cells)), "utf-8")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "--nbval-lax", "--nbval-current-env", "-n2", "--dist=loadfile"],
        cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "2"},
    )  # fmt: skip
    assert "1 failed, 3 passed" in run.stdout  # the cell that took the memory, not those after it
    assert re.search(r"memory rose from \d+ to 6\d\d MB, over the limit of 500", run.stdout)
    assert re.search(r"01_small.ipynb +\d+\.\d +\d{2,3} +\d\n02_large.ipynb .*\nall 2 .*", run.stdout)
