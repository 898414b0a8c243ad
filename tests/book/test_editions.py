"""The editions: nothing in the student edition solves an exercise; slides and pages open from disk."""

import ast
import inspect
import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import nbformat
import pytest
from helpers import barriers
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from mad_max_lib.book import decks, editions, printed, publish
from mad_max_lib.exercises import all_exercises

SCREEN, PHONE = {"width": 1280, "height": 720}, {"width": 390, "height": 844}
PAPER = {"width": 680, "height": 990}  # A4 without its margins
# of Sphinx's extensions, about later versions of Sphinx
pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")


def read(path):
    return nbformat.read(path, as_version=4)


def pictures(nb):
    """How many pictures a page shows."""
    return sum(
        "image/png" in output.get("data", {}) for cell in nb.cells for output in cell.get("outputs", [])
    )


@pytest.fixture(scope="module")
def class_room(tmp_path_factory):
    """The student edition of the book."""
    folder = tmp_path_factory.mktemp("student")
    assert editions.main(["student", str(folder)]) == 0
    return folder


# --- student edition -------------------------------------------------------------------------------------


def test_no_solution_is_left_and_every_attempt_and_check_is(class_room):
    bodies = [inspect.getsource(one.solution).partition("\n")[2].strip()
              for one in all_exercises().values() if callable(one.solution)]  # fmt: skip
    pages, told = publish.pages(class_room), ("What you should see", "mm.show_solution(", "instructor_guide")
    assert {path.stem for path in publish.pages()} - {path.stem for path in pages} <= {"instructor_guide"}
    for path in pages:
        before, after = read(publish.NOTEBOOKS / path.name), read(path)
        nbformat.validate(after)
        source = "\n".join(cell.source for cell in after.cells)
        assert [words for words in told if words in source] == []
        assert [body for body in bodies if "\n" in body and body in source] == []
        assert not any(cell.get("outputs") or cell.get("execution_count") for cell in after.cells)
        for tag in ("exercise", "check"):
            tagged = [[cell.source for cell in nb.cells if tag in cell.metadata.get("tags", [])]
                      for nb in (before, after)]  # fmt: skip
            assert tagged[0] == tagged[1]


def test_nbgrader_accepts_the_checks(class_room):
    schema = pytest.importorskip(
        "nbgrader.nbgraderformat.v3", reason="the Python package nbgrader is missing"
    )
    for path in publish.pages(class_room):
        nb = read(path)
        schema.MetadataValidatorV3().validate_nb(nb)
        names = [cell.metadata.nbgrader.grade_id for cell in nb.cells if "nbgrader" in cell.metadata]
        assert len(names) == len(set(names)) and (names or not path.stem[:2].isdigit())


# --- slides ----------------------------------------------------------------------------------------------

PICTURE = {"image/png": "aGVsbG8=", "text/plain": "a picture"}
CHAPTER = [
    new_markdown_cell("# 01 · Lines\n\n*A motto.*\n\nMuch *text*."),
    new_markdown_cell("## A guess\n\nMore text.\n\n[So](#x) much: *how many?*"),
    new_markdown_cell("### Exercise 1.1\n\n*Which?*\n\n## Next"),
    new_code_cell("f = ...", metadata={"tags": ["exercise"]}),
    new_code_cell("# a comment\npicture()",
                  outputs=[new_output("stream", text="1"), new_output("display_data", PICTURE)]),
    new_markdown_cell("> **Theorem.** True.\n\n<details><summary>Proof</summary>\n\n*Why?*\n\n</details>"),
    new_markdown_cell("### Code"),
    new_code_cell("shown()", metadata={"slideshow": {"slide_type": "slide"}}),
    new_markdown_cell("All *of* this.", metadata={"slideshow": {"slide_type": "slide"}}),
    new_code_cell("hidden()", outputs=[new_output("display_data", PICTURE)],
                  metadata={"slideshow": {"slide_type": "skip"}}),
]  # fmt: skip


def test_slides_follow_the_structure_and_marked_cells_win():
    deck = decks.deck(new_notebook(cells=CHAPTER))
    assert [(cell.metadata.slideshow.slide_type, cell.source) for cell in deck.cells] == [
        ("slide", "# 01 · Lines"),
        ("-", "*A motto.*"),
        ("slide", "## A guess"),
        ("-", "So much: *how many?*"),
        ("slide", "## Next"),
        ("-", "# a comment\npicture()"),
        ("subslide", "> **Theorem.** True."),
        ("subslide", "### Code"),
        ("-", "shown()"),
        ("slide", "All *of* this."),
    ]
    html = decks.slide_page(deck, "01_lines")
    assert html.count("<img") == 1 and "picture()" not in html and "shown" in html and ">1<" not in html
    assert "<title>01_lines slides</title>" in html
    assert re.findall(r"""(?:src|href|from)[= ]*["']([^"'#]+)["']""", html) == [
        "reveal/dist/reveal.js", "reveal/plugin/math/math.js", "reveal/dist/reveal.css",
        "reveal/dist/theme/white.css", "data:image/png;base64,aGVsbG8=",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["01_max_affine_splines", "16_the_exact_partition"])
def test_a_chapter_makes_a_lecture(name):
    nb = read(publish.NOTEBOOKS / f"{name}.ipynb")
    html = decks.slide_page(decks.deck(nb), name)
    assert html.count("<img") == pictures(nb) > 5
    assert "Theorem" in html and "Proof" not in html and "Exercise" not in html


# --- notebooks for Colab ---------------------------------------------------------------------------------


def test_colab_notebooks_lead_to_each_other(tmp_path):
    folder = tmp_path / "colab"
    assert editions.main(["colab", str(folder), "https://github.com/somebody/a-book"]) == 0
    here = "https://colab.research.google.com/github/somebody/a-book/blob/main/colab/"
    for path in publish.pages():
        nb = read(folder / path.name)
        nbformat.validate(nb)
        assert f"({here}{path.name})" in nb.cells[0].source
        links = [link for cell in nb.cells if cell.cell_type == "markdown"
                 for link in re.findall(r"\]\(([^)#]*\.ipynb)", cell.source)]  # fmt: skip
        assert {link.removeprefix(here) for link in links} <= {path.name for path in publish.pages()}
        code = [cell.source for cell in nb.cells if cell.cell_type == "code"]
        assert not code or "install --quiet git+https://github.com/somebody/a-book" in code[0]


@pytest.mark.skipif(os.name == "nt", reason="needs links between folders")
def test_a_colab_notebook_brings_the_library_to_a_machine_without_it(tmp_path):
    """An environment with all packages but ours; the repository is a folder of this machine."""
    if shutil.which("git") is None:
        pytest.skip("git is missing")
    root, repository, fresh = publish.NOTEBOOKS.parent, tmp_path / "book", tmp_path / "fresh"
    repository.mkdir()
    for name in ("pyproject.toml", "LICENSE"):
        shutil.copy(root / name, repository)
    shutil.copytree(root / "mad_max_lib", repository / "mad_max_lib")
    git = ["git", "-C", str(repository), "-c", "user.name=us", "-c", "user.email=us@example.org"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "a book"]):
        subprocess.run([*git, *words], check=True)
    editions.main(["colab", str(tmp_path / "colab"), f"file://{repository}"])

    venv.create(fresh, with_pip=True)
    python = fresh / "bin" / "python"
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    installed = Path(subprocess.check_output([sys.executable, "-c", where], text=True).strip())
    others = tmp_path / "others"
    others.mkdir()
    for path in installed.iterdir():
        if "mad_max_lib" not in path.name and path.name not in ("pip", "setuptools"):
            (others / path.name).symlink_to(path)
    own = Path(subprocess.check_output([python, "-c", where], text=True).strip())
    (own / "others.pth").write_text(str(others))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"MPLBACKEND": "agg", "OMP_NUM_THREADS": "1", "IPYTHONDIR": str(tmp_path)}
    chapter = tmp_path / "colab" / "17_what_a_partition_shows.ipynb"
    line = [python, "-m", "IPython", "--no-banner", "--quick", str(chapter)]
    said = subprocess.run(
        line, cwd=tmp_path / "colab", env=environment, capture_output=True, text=True, timeout=300
    )
    assert said.returncode == 0 and "Traceback" not in said.stdout + said.stderr, said.stdout[-2000:]
    assert said.stdout.count("Checked: ") == chapter.read_text("utf-8").count("mm.checked(")
    assert (own / "mad_max_lib" / "book" / "million_regions.npz").exists()


# --- in a browser, from disk -----------------------------------------------------------------------------


@pytest.fixture
def page():
    """A page of a browser; ``page.problems`` lists what goes wrong, every request but to a file included."""
    from test_browser import CHROMIUM, FLAGS, playwright

    if CHROMIUM is None:
        pytest.skip("neither Chromium nor Google Chrome is installed")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport=SCREEN)
        page.problems = []
        inside = ("file:", "data:", "blob:")
        page.on(
            "request", lambda one: one.url.startswith(inside) or page.problems.append(f"request: {one.url}")
        )
        page.on("requestfailed", lambda one: page.problems.append(f"failed: {one.url}"))
        page.on("pageerror", lambda error: page.problems.append(f"error: {error}"))
        page.on("console", lambda one: one.type == "error" and page.problems.append(f"console: {one.text}"))
        yield page
        browser.close()


def build(form, folder):
    for package in ("sphinx", "myst_nb", "sphinx_book_theme", "sphinx-mathjax-offline", "sphinx_revealjs"):
        pytest.importorskip(package, reason=f"the Python package {package} is missing")
    assert editions.main([form, str(folder)]) == 0


def test_a_barrier_is_found(page):
    page.set_content("<html lang='en'><title>Page</title><main><h1>Page</h1><img src='x.png'></main></html>")
    assert [rule for rule, _ in barriers(page)] == ["image-alt"]


TYPESET = "document.querySelector('script[src*=tex-svg]') ? MathJax.startup.promise : null"
SEE = """() => {
    document.querySelectorAll("details").forEach(fold => { fold.open = true });
    const left = text => /\\$|\\\\\\(/.test(text.replace(/<(pre|code|mjx-container)[^]*?<\\/\\1>/g, ""));
    return {
        pictures: [...document.images].map(picture => picture.naturalWidth > 100),
        formulas: document.querySelectorAll("mjx-container").length,
        wrong: document.querySelectorAll("mjx-merror").length
            + [...document.querySelectorAll("article p, article details, .slides p")]
                .filter(text => left(text.innerHTML)).length,
    };
}"""
MOVE = """async () => {  // the name of each slider, and whether moving it changes its picture
    const found = [];
    for (const slider of document.querySelectorAll(".mm-sliders input")) {
        const picture = slider.closest(".mm-sliders").querySelector("img"), seen = new Set();
        for (let place = +slider.max; place >= 0 && seen.size < 2; place--) {
            slider.value = place;
            slider.dispatchEvent(new Event("input"));
            await picture.decode();  // raises where there is none
            seen.add(picture.src);
        }
        found.push([slider.labels[0].firstChild.data.trim(), seen.size == 2]);
    }
    return found;
}"""
CUT = """[...document.querySelectorAll("article pre, article img, article table")]
    .filter(part => part.offsetParent && part.scrollWidth > part.clientWidth + 1)
    .map(part => part.innerText.slice(0, 200))"""
TURN = """() => {
    const wrong = [];
    for (let last = false; !last; Reveal.next()) {
        last = Reveal.isLastSlide();
        const slide = Reveal.getCurrentSlide();
        const cut = [...slide.querySelectorAll("img, svg")]
            .some(e => e.getBoundingClientRect().right > innerWidth);
        if (slide.scrollHeight > 720 || cut || !slide.innerText.trim()) wrong.push(location.hash);
    }
    return wrong;
}"""


def test_slides_fit_the_screen_without_a_network(page, tmp_path):
    build("slides", tmp_path)
    for path in sorted(tmp_path.glob("*.html")):
        page.goto(path.as_uri())
        page.wait_for_function("window.MathJax?.startup?.promise && Reveal.isReady()")
        page.evaluate("MathJax.startup.promise")
        seen = page.evaluate(SEE)
        assert all(seen["pictures"]) and seen["wrong"] == 0 and page.evaluate(TURN) == [], path.name
        assert 2 < page.evaluate("Reveal.getTotalSlides()") < 40
        assert barriers(page) == [], path.name
    assert page.problems == []


def sliders(path):
    """The names of a chapter's sliders."""
    trees = [ast.parse(cell.source) for cell in read(path).cells if "mm.Explorer(" in cell.source]
    calls = [node for tree in trees for node in ast.walk(tree) if getattr(node, "func", None)]
    calls = [call for call in calls if ast.unparse(call.func) == "mm.Explorer"]
    own = {"caption", "figsize", "subplots"}
    return [word.arg for call in calls for word in call.keywords if word.arg not in own]


def test_the_site_works_without_a_network(page, tmp_path, capsys):
    build("site", tmp_path)
    pages = publish.pages()
    said = capsys.readouterr().err
    planned = re.findall(r"target not found: '(\d\d_\w+\.ipynb)'", said)  # chapters that are not yet there
    assert said.count("WARNING") == len(planned) and not {*planned} & {path.name for path in pages}
    for path in pages:
        page.goto((tmp_path / f"{path.stem}.html").as_uri())
        page.evaluate(TYPESET)
        nb, seen = read(tmp_path / "_sources" / path.name), page.evaluate(SEE)
        for theme in ("dark", "light"):
            page.evaluate("theme => { document.documentElement.dataset.theme = theme }", theme)
            assert barriers(page) == [], f"{path.name}, {theme}"
        page.set_viewport_size(PHONE)
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"], path.name
        page.emulate_media(media="print")
        page.set_viewport_size(PAPER)
        assert page.evaluate(CUT) == [], f"{path.name}: cut on paper"
        page.emulate_media(media="screen")
        page.set_viewport_size(SCREEN)
        assert page.evaluate(MOVE) == [[name, True] for name in sliders(path)], path.name
        assert seen["pictures"] == [True] * pictures(read(path)) and seen["wrong"] == 0, path.name
        assert bool(seen["formulas"]) == any(
            "$" in cell.source for cell in nb.cells if cell.cell_type == "markdown"
        )

    page.goto((tmp_path / "index.html").as_uri())
    for path in pages[:3]:  # page after page
        page.locator("a.right-next").click()
        assert page.url.endswith(f"{path.stem}.html")
    solution = page.locator("details:has(pre):has-text('Solution of exercise')").first
    assert not solution.locator("pre").is_visible()
    solution.locator("summary").click()
    assert solution.locator("pre").is_visible()
    page.locator("article a[href^='#']:not(.headerlink)").first.click()
    assert page.evaluate("!!document.getElementById(decodeURIComponent(location.hash.slice(1)))")
    page.goto((tmp_path / "search.html").as_uri() + "?q=spline")
    page.wait_for_selector("#search-results li a")
    assert page.problems == []


# --- one file to print -----------------------------------------------------------------------------------


def test_two_pages_print_as_one_file(tmp_path):
    from test_browser import CHROMIUM

    if CHROMIUM is None:
        pytest.skip("neither Chromium nor Google Chrome is installed")
    from bs4 import BeautifulSoup

    body = """<html><head><link rel="stylesheet" href="a.css"></head><body><article class="bd-article">
    <h1 id="x">{}<a class="headerlink" href="#x">#</a></h1><a href="{}">on</a><a href="https://b.org">out</a>
    <details><summary>Proof</summary>text</details><details class="hide"><summary>code</summary></details>
    </article></body></html>"""
    (tmp_path / "one.html").write_text(body.format("One", "two.html#x"))
    (tmp_path / "two.html").write_text(body.format("Two", "one.html"))
    whole = BeautifulSoup(printed.joined(tmp_path, "A book", ["one", "two"]), "html.parser")
    links = [link["href"] for link in whole.select("a")]
    assert links == ["#one", "#two", "#two--x", "https://b.org", "#one", "https://b.org"]
    assert {link[1:] for link in links if link[0] == "#"} <= {part["id"] for part in whole.select("[id]")}
    assert [fold.summary.text for fold in whole.select("details[open]")] == ["Proof", "Proof"]
    assert len(whole.select("details")) == 2

    static = tmp_path / "_static"
    static.mkdir()
    (static / "tex-svg.js").write_text("MathJax.startup = {promise: Promise.resolve()}")
    printed.print_site(tmp_path, "A book", ["one", "two"], tmp_path / "book.pdf")
    pages = (tmp_path / "book.pdf").read_bytes()
    assert pages.startswith(b"%PDF") and b"/Outlines" in pages and pages.count(b"/Type /Page\n") == 3


# --- the command -----------------------------------------------------------------------------------------


def test_a_folder_in_use_is_left_alone(tmp_path, capsys):
    (tmp_path / "mine.txt").touch()
    assert editions.main(["student", str(tmp_path)]) == 1 and [path.name for path in tmp_path.iterdir()] == [
        "mine.txt"
    ]
    assert capsys.readouterr().out == f"{tmp_path} is in use: name a new or an empty folder\n"


@pytest.mark.parametrize("words", [[], ["slides"], ["book", "folder"]])
def test_other_words_show_the_usage(words, capsys):
    assert editions.main(words) == 1
    usage, *lines = capsys.readouterr().out.splitlines()
    assert "EDITION FOLDER" in usage
    assert list(editions.EDITIONS) == ["student", "slides", "site", "pdf", "colab"]
    assert [line.split()[0] for line in lines] == list(editions.EDITIONS)
    assert all(len(line.split()) > 5 for line in lines)  # what it writes, from its docstring


@pytest.mark.parametrize("form", ["slides", "site"])
def test_a_missing_package_is_named(form, tmp_path, monkeypatch):
    monkeypatch.setattr(editions, "MATHJAX", ("no-such-package", "file.js"))
    monkeypatch.setattr(editions, "REVEAL", ("no-such-package", "folder"))
    with pytest.raises(SystemExit, match="no-such-package is missing: pip install"):
        editions.main([form, str(tmp_path / "new")])
