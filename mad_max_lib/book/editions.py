"""Other forms of the book, written by ``python -m mad_max_lib.book.editions EDITION FOLDER``.

Without words the command lists the editions. A function below with ``@edition`` is one. FOLDER must be new or
empty. Slides and web pages open from disk, without a network; what they need beside the book is installed by
``pip install -e ".[site]"``.
"""

import re
import shutil
import sys
import tempfile
from importlib import metadata
from inspect import signature
from pathlib import Path

import nbformat

from . import decks, living, printed, publish
from .decks import pictures, tags

ANSWER = r"<details><summary>What you should see</summary>.*?</details>"
MATHJAX = "sphinx-mathjax-offline", "sphinx-mathjax-offline/static/mathjax/tex-svg.js"  # one file, no fonts
REVEAL = "sphinx-revealjs", "sphinx_revealjs/_static/revealjs"

EDITIONS = {}  # by the name of the function that writes it


def edition(write):
    """Register a function ``write(folder)``; the first line of its docstring is what the usage says of it."""
    EDITIONS[write.__name__] = write
    return write


# --- student edition -------------------------------------------------------------------------------------


@edition
def student(folder):
    """Write the notebooks without solutions, answers and outputs, and without the page for teachers.

    Outputs go because they answer the questions that the text asks before a cell is run, and because those
    after an exercise were computed with its solution. The checks stay, and with them the need for
    ``mad_max_lib``, where a student can read the solutions of all exercises but those for credit
    (``mm.show_solution``). Give marks for problems for credit only, and give no student the folder ``tests``.
    """
    for path in publish.pages():
        if path.stem != "instructor_guide":
            shutil.copy(path, folder)
    publish.refresh(folder)  # no page leads to the guide
    for path in publish.pages(folder):
        nb = student_page(nbformat.read(path, as_version=4))
        path.write_text(publish.text(nb), "utf-8", newline="\n")


def student_page(nb):
    """One notebook of the student edition, as a new notebook.

    Checks carry nbgrader's metadata: tests worth a point each. A test fails by an error, so nbgrader must be
    started with ``MAD_MAX_STRICT=1``. Stubs carry none: nbgrader would replace what they say.

    Examples
    --------
    >>> from nbformat.v4 import new_code_cell, new_notebook
    >>> stub = new_code_cell("f = ...")
    >>> check = new_code_cell('f = mm.check("1.1", f)', metadata={"tags": ["check"]})
    >>> solution = new_code_cell('mm.show_solution("1.1")', metadata={"tags": ["solution"]})
    >>> page = student_page(new_notebook(cells=[stub, check, solution]))
    >>> [cell.source for cell in page.cells], page.cells[1].metadata.nbgrader.grade_id
    (['f = ...', 'f = mm.check("1.1", f)'], 'check-1-1')
    """
    nb = publish.canonical(nb)
    nb.cells = [cell for cell in nb.cells if "solution" not in tags(cell)]
    for cell in nb.cells:
        if cell.cell_type == "markdown":
            cell.source = re.sub(ANSWER, "", cell.source, flags=re.S).rstrip()
            cell.source = re.sub(r"\[([^]]+)\]\(instructor_guide[^)]*\)", r"\1", cell.source)
            continue
        cell.outputs, cell.execution_count = [], None
        if "check" in tags(cell):
            number = re.search(r'check\("([\d.]+)"', cell.source)[1].replace(".", "-")
            cell.metadata.nbgrader = nbformat.from_dict({
                "schema_version": 3, "grade_id": f"check-{number}", "cell_type": "code", "points": 1,
                "grade": True, "locked": True, "solution": False, "task": False,
            })  # fmt: skip
    return nb


# --- slides ----------------------------------------------------------------------------------------------


@edition
def slides(folder):
    """Write a deck of slides for each chapter, and beside them what a browser needs to show them."""
    unused = shutil.ignore_patterns("*.map", "*.esm.js")
    shutil.copytree(_file(*REVEAL), Path(folder) / "reveal", ignore=unused)
    shutil.copy(_file(*MATHJAX), folder)
    for path in publish.pages():
        if path.stem[:2].isdigit():
            page = decks.slide_page(decks.deck(nbformat.read(path, as_version=4)), path.stem)
            (Path(folder) / f"{path.stem}.html").write_text(page, "utf-8", newline="\n")


# --- web pages -------------------------------------------------------------------------------------------

TITLE = "How deep networks work inside"
SITE = {
    "project": TITLE,
    "html_title": TITLE,
    "author": "the mad_max_lib authors",
    "extensions": ["myst_nb"],
    "nb_execution_mode": "off",
    "nb_render_markdown_format": "myst",  # captions and solutions hold formulas
    "nb_ipywidgets_js": {},  # it would be fetched from the network
    "myst_enable_extensions": ["amsmath", "dollarmath"],
    "myst_dmath_double_inline": True,  # $$ in a theorem follows its words without an empty line
    "myst_heading_anchors": 4,
    "myst_heading_slug_func": "mad_max_lib.book.editions.anchor",
    "mathjax_path": "tex-svg.js",
    "html_js_files": [("living.js", {"defer": "defer"})],
    "html_css_files": ["living.css"],
    "html_theme": "sphinx_book_theme",
    "html_context": {"default_mode": "light"},  # the figures are white
    "html_show_copyright": False,
    "html_show_search_summary": False,  # from disk, one page cannot read another
}


@edition
def site(folder):
    """Write web pages with moving sliders, formulas, folds and a search, beginning at index.html."""
    _web_pages(folder, moving=True)


def _web_pages(folder, moving):
    """The web pages; without ``moving``, figures with sliders keep the picture that the page stores."""
    mathjax = _file(*MATHJAX)
    from sphinx.application import Sphinx

    sliders = living.sliders(publish.pages()) if moving else {}
    with tempfile.TemporaryDirectory() as work:
        static = Path(work) / "static"
        (static / "sliders").mkdir(parents=True)
        (static / "living.js").write_text(living.SCRIPT, "utf-8")
        (static / "living.css").write_text(living.STYLE, "utf-8")
        for path in publish.pages():
            nb = nbformat.read(path, as_version=4)
            nb.cells = [cell for cell in nb.cells if "navigation" not in tags(cell)]  # the site has its own
            for cell in nb.cells:
                _speak(cell, sliders.get(path, {}).get(cell.id), static / "sliders")
                if "jupyter" in cell.metadata:  # code that a first reading can do without
                    cell.metadata.tags = ["hide-input"]
                if cell.cell_type == "markdown":  # an empty line, so that a fold's formulas are read as such
                    cell.source = re.sub("(</summary>)|(</details>)", r"\1\n\n\2", cell.source)
            nbformat.write(nb, Path(work) / path.name)
        names = [path.stem for path in publish.pages()]
        contents = "\n".join(["# " + TITLE, "", "```{toctree}", ":maxdepth: 1", "", *names, "```", ""])
        (Path(work) / "index.md").write_text(contents, "utf-8")
        Sphinx(work, None, folder, Path(work) / "doctrees", "html", status=None,
               confoverrides=SITE | {"html_static_path": [str(mathjax), str(static)]}).build()  # fmt: skip


def _speak(cell, slider, folder):
    """Give a cell's pictures their captions as alternative text, and its slider the pictures to show."""
    for output, caption in pictures(cell):
        cell.metadata.mystnb = {"image": {"alt": caption}}
        if slider:
            output.data = {"text/html": living.as_html(slider, caption, folder)}


def anchor(title):
    """The name under which JupyterLab links to a heading.

    Examples
    --------
    >>> anchor("What is a knot?")
    'What-is-a-knot?'
    """
    return title.replace(" ", "-")


# --- one file to print -----------------------------------------------------------------------------------


@edition
def pdf(folder):
    """Write the whole book as book.pdf, without folded code; needs Chromium and playwright."""
    with tempfile.TemporaryDirectory() as work:
        _web_pages(work, moving=False)
        printed.print_site(work, TITLE, [path.stem for path in publish.pages()], Path(folder) / "book.pdf")


# --- notebooks for Colab ---------------------------------------------------------------------------------

HUB = "https://colab.research.google.com"
INSTALL = """\
# on a machine that has torch but not this book's library
import importlib.util

if importlib.util.find_spec("mad_max_lib") is None:
    %pip install --quiet git+{}
"""


@edition
def colab(folder, address):
    """Write the notebooks for Google Colab; ADDRESS is that of the repository that will hold FOLDER."""
    here = f"{HUB}/github/{'/'.join(address.rstrip('/').split('/')[-2:])}/blob/main/{Path(folder).name}"
    names = [path.name for path in publish.pages()]
    for path in publish.pages():
        nb = nbformat.read(path, as_version=4)
        for cell in nb.cells:
            if cell.cell_type == "markdown":  # Colab opens one notebook alone
                cell.source = re.sub(rf"\]\(({'|'.join(names)})", rf"]({here}/\1", cell.source)
        badge = f"[![Open in Colab]({HUB}/assets/colab-badge.svg)]({here}/{path.name})"
        first = [nbformat.v4.new_markdown_cell(badge, id="colab-badge")]
        if any(cell.cell_type == "code" for cell in nb.cells):
            first.append(nbformat.v4.new_code_cell(INSTALL.format(address), id="colab-install"))
        nb.cells = first + nb.cells
        (Path(folder) / path.name).write_text(publish.text(nb), "utf-8", newline="\n")


# --- common ----------------------------------------------------------------------------------------------


def _file(package, name):
    """A file or folder of an installed package."""
    try:
        return Path(metadata.distribution(package).locate_file(name))
    except metadata.PackageNotFoundError:
        sys.exit(f'The package {package} is missing: pip install -e ".[site]"')


def main(words):
    """Write one edition into a folder; return the exit status."""
    wanted = {name: [name, *map(str.upper, signature(write).parameters)] for name, write in EDITIONS.items()}
    if not words or len(words) != len(wanted.get(words[0], ())):
        print("python -m mad_max_lib.book.editions EDITION FOLDER, with a new or empty folder; the editions:")
        for name, write in EDITIONS.items():
            print(f"  {' '.join(wanted[name]):20} {write.__doc__.splitlines()[0]}")
        return 1
    folder = Path(words[1])
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        print(f"{folder} is in use: name a new or an empty folder")
        return 1
    folder.mkdir(parents=True, exist_ok=True)
    EDITIONS[words[0]](folder, *words[2:])
    print(f"{len(list(folder.rglob('*')))} files in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
