"""Chapters in a real JupyterLab in a real browser: every slider redraws its picture.

The chapters with sliders, each up to its last one (nbval runs the rest), or those named by
MAD_MAX_BROWSER_CHAPTERS="00 03"; with MAD_MAX_SCREENSHOTS=folder
a picture of every screen is kept.
"""

import base64
import io
import json
import os
import re
import statistics
import sys
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import matplotlib.image
import nbformat
import pytest
from helpers import ask, barriers, free_port, served, wait_until
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from mad_max_lib.book import publish
from mad_max_lib.book.printed import CHROMIUM

playwright = pytest.importorskip("playwright.sync_api", reason="the Python package playwright is missing")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="neither Chromium nor Google Chrome is installed")

WISHED = os.environ.get("MAD_MAX_BROWSER_CHAPTERS")
SLIDER = "mm.Explorer("
WITH_SLIDERS = [path.name[:2] for path in sorted(publish.NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
                if SLIDER in path.read_text("utf-8")]  # fmt: skip
CHAPTERS = WISHED.split() if WISHED else WITH_SLIDERS
SCREENSHOTS = os.environ.get("MAD_MAX_SCREENSHOTS")
RUN_SECONDS, PICTURE_SECONDS = 600, 10
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--no-first-run", "--no-proxy-server",
         "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]  # fmt: skip
SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    # else cells out of sight are not in the page
    "notebook-extension/tracker": {"windowingMode": "none"},
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """JupyterLab on a copy of the notebooks, with none of its user's settings: (address, token, folder)."""
    home = tmp_path_factory.mktemp("lab")
    folder = home / "notebooks"
    folder.mkdir()
    for path in publish.NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"):
        notebook = nbformat.read(path, 4)
        sliders = [i for i, cell in enumerate(notebook.cells) if SLIDER in cell.source]
        notebook.cells = notebook.cells[: sliders[-1] + 1] if sliders else notebook.cells
        nbformat.write(notebook, folder / path.name)
    for name, values in SETTINGS.items():
        path = home / "JUPYTERLAB_SETTINGS_DIR" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    port = free_port()
    own = ["JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR",
           "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **{name: str(home / name) for name in own}}
    environment.pop("MPLBACKEND", None)
    lab = f"http://127.0.0.1:{port}", "secret", folder
    line = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root",
            f"--ServerApp.root_dir={folder}", "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}",
            "--ServerApp.port_retries=0", "--IdentityProvider.token=secret"]  # fmt: skip
    with served(line, lambda: ask_lab(lab, "api/status"), home / "log.txt", env=environment):
        yield lab


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


def ask_lab(lab, what):
    return ask(f"{lab[0]}/{what}?token={lab[1]}")


class Reader:
    """Somebody who opens one notebook and writes down what goes wrong in ``problems``."""

    def __init__(self, browser, lab, name):
        self.lab, self.name, self.problems, self.milliseconds = lab, name, [], []
        self.page = browser.new_page(viewport={"width": 1200, "height": 1400})
        self.page.on("request", lambda request: self._left(request.url))
        self.page.on("websocket", self._listen)
        self.page.on("pageerror", lambda error: self.problems.append(f"error in the page: {error}"))
        self.page.on("console", self._console)
        self.page.goto(f"{lab[0]}/doc/tree/{name}?token={lab[1]}&reset")
        self.page.wait_for_selector(".jp-Notebook .jp-Cell")
        wait_until(lambda: self._kernel_is("idle"), 60)
        self.page.wait_for_selector('.jp-Notebook-ExecutionIndicator[data-status="idle"]')

    def close(self):
        self.page.close()
        for session in ask_lab(self.lab, "api/sessions"):  # a machine has room for a few kernels only
            where = f"{self.lab[0]}/api/sessions/{session['id']}?token={self.lab[1]}"
            no_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            no_proxy.open(urllib.request.Request(where, method="DELETE"), timeout=20)

    def _left(self, url):
        if urlsplit(url).scheme not in ("data", "blob") and urlsplit(url).hostname != "127.0.0.1":
            self.problems.append(f"a request left the machine: {url}")

    def _listen(self, socket):
        self._left(socket.url)
        socket.on("framereceived", self._hear)

    def _hear(self, frame):
        """What the kernel says: the page shows errors and warnings alike."""
        message = frame if isinstance(frame, str) else frame.decode("utf-8", "replace")
        if re.search(r'"msg_type": ?"error"', message):
            words = [re.search(rf'"{key}": ?"((?:[^"\\]|\\.)*)"', message)[1] for key in ("ename", "evalue")]
            self.problems.append(f"a cell failed: {': '.join(words)}")

    def _console(self, message):
        if message.type == "error":
            self.problems.append(f"console: {message.text} {message.location.get('url', '')}")

    def _kernel_is(self, state):
        kernels = [session["kernel"] for session in ask_lab(self.lab, "api/sessions") or []
                   if session["path"] == self.name]  # fmt: skip
        return any(kernel["execution_state"] == state and kernel["connections"] for kernel in kernels)

    def menu(self, menu, item):
        self.page.get_by_role("menuitem", name=menu, exact=True).click()
        self.page.get_by_role("menuitem", name=item, exact=True).click()

    def run_all(self):
        """Run > Run All Cells, and wait till no cell is waiting to run."""
        self.menu("Edit", "Clear Outputs of All Cells")  # also the stored numbers
        prompts = self.page.locator(".jp-CodeCell .jp-InputArea-prompt")
        wait_until(lambda: not re.search(r"\d", "".join(prompts.all_inner_texts())), 10)
        self.menu("Run", "Run All Cells")

        last = self.page.locator(".jp-CodeCell").last.locator(".jp-OutputArea-child")

        def done():
            numbers = "".join(prompts.all_inner_texts())  # a cell whose code is folded shows none
            started = re.search(r"\d", numbers) or last.count()
            return "*" not in numbers and started and self._kernel_is("idle")

        wait_until(done, RUN_SECONDS)
        # between two cells with folded code the kernel rests and no star shows
        cells = nbformat.read(self.lab[2] / self.name, 4).cells
        expected = sum(SLIDER in cell.source for cell in cells if cell.cell_type == "code")
        if not self.problems:
            wait_until(lambda: self.boxes().count() == expected, RUN_SECONDS)

    def boxes(self):
        """The figures with sliders."""
        return self.page.locator(".jp-OutputArea-output .widget-vbox:has(.widget-hslider)")

    def move_sliders(self):
        """Press keys on every slider; each must change the inside of its picture."""
        boxes = self.boxes()
        for i in range(boxes.count()):
            box = boxes.nth(i)
            sliders = box.locator(".widget-hslider")
            wait_until(lambda: box.locator(".noUi-handle").count() == sliders.count(), 10)  # noqa: B023
            for slider in sliders.all():
                name = f"slider {slider.locator('.widget-label').inner_text()!r} of figure {i + 1}"
                self._move(box, slider, name)
        return boxes.count()

    def _move(self, box, slider, name):
        picture, handle = box.locator("img"), slider.locator(".noUi-handle")
        number = slider.locator(".widget-readout")  # the handle's own aria-valuenow has one decimal only
        if picture.count() != 1:
            return self.problems.append(f"{name} has no picture")
        # before it is decoded its natural width is 0
        if picture.evaluate(
            "async picture => { await picture.decode(); return picture.width > picture.naturalWidth }"
        ):
            self.problems.append(f"{name} has a stretched picture")
        changed, before = False, inside(picture)
        handle.focus()
        for key in ["ArrowRight", "ArrowRight", "ArrowLeft", "Home", "End"]:
            at = number.inner_text()
            picture.evaluate(WATCH)
            handle.press(key)
            if number.inner_text() == at:
                continue  # at the end of its range
            try:
                self.page.wait_for_function("window.redrawn !== null", timeout=PICTURE_SECONDS * 1000)
                self.milliseconds.append(self.page.evaluate("window.redrawn"))
            except playwright.TimeoutError:
                pass  # an equal picture is not sent again
            after = inside(picture)
            changed |= (abs(after - before) > 0.1).any()  # a palette may shift a shade
            before = after
            said = box.locator(".widget-html pre")
            if said.count():
                return self.problems.append(f"{name} shows an error: {said.inner_text()}")
        if not changed:
            self.problems.append(f"{name} changes nothing inside the axes")

    def keep_screenshots(self, name):
        """The whole notebook, screen by screen."""
        Path(SCREENSHOTS).mkdir(parents=True, exist_ok=True)
        scroller = self.page.locator(".jp-WindowedPanel-outer").first
        height, step = scroller.evaluate("e => [e.scrollHeight, e.clientHeight]")
        for i, top in enumerate(range(0, height, step - 40)):
            scroller.evaluate("(e, top) => e.scrollTo(0, top)", top)
            self.page.wait_for_timeout(200)
            self.page.screenshot(path=str(Path(SCREENSHOTS) / f"{name}_{i:02}.png"))


# From the key press to the moment when the new picture is decoded.
WATCH = """picture => {
    window.redrawn = null;
    let pressed = null;
    addEventListener("keydown", () => { pressed = performance.now() }, {capture: true, once: true});
    picture.addEventListener("load", function listen() {
        if (pressed === null) return;  // a late picture of the step before
        window.redrawn = performance.now() - pressed;
        picture.removeEventListener("load", listen);
    });
}"""
READ = """async picture => {
    const bytes = new Uint8Array(await (await fetch(picture.src)).arrayBuffer());
    return btoa(Array.from(bytes, byte => String.fromCharCode(byte)).join(""));
}"""


def inside(picture):
    """The pixels of a picture without the outer fifth, where titles and numbers are."""
    pixels = matplotlib.image.imread(io.BytesIO(base64.b64decode(picture.evaluate(READ))))
    height, width = pixels.shape[0] // 5, pixels.shape[1] // 5
    return pixels[height:-height, width:-width]


@pytest.fixture
def read(browser, lab):
    """Open, run, move all sliders; returns the reader, with its problems."""
    readers = []

    def read(name):
        readers.append(Reader(browser, lab, name))
        readers[-1].run_all()
        readers[-1].sliders = readers[-1].move_sliders()
        return readers[-1]

    yield read
    for reader in readers:
        reader.close()


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_chapter(read, lab, tell, chapter):
    names = [path.name for path in lab[2].glob(f"{chapter}_*.ipynb")]
    assert names, f"there is no chapter {chapter}"
    started = time.perf_counter()
    reader = read(names[0])
    if SCREENSHOTS:
        reader.keep_screenshots(chapter)
    tell(f"{names[0]}: {time.perf_counter() - started:.0f} s in the browser, {said(reader)}")
    assert not reader.problems, "\n".join(reader.problems)


def said(reader):
    median = f"{statistics.median(reader.milliseconds):.0f} ms" if reader.milliseconds else "-"
    return f"{reader.sliders} figures with sliders, median from key to picture {median}"


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_text_and_folds_shut_nobody_out(browser, lab, theme):
    settings = lab[2].parent / "JUPYTERLAB_SETTINGS_DIR/@jupyterlab/apputils-extension"
    (settings / "themes.jupyterlab-settings").write_text(json.dumps({"theme": theme}))
    reader = Reader(browser, lab, "05_one_matrix_and_one_vector.ipynb")
    try:
        reader.page.wait_for_selector(f"body[data-jp-theme-name='{theme}']", state="attached")
        reader.page.evaluate("document.querySelectorAll('details').forEach(fold => { fold.open = true })")
        # the rest of the page is JupyterLab's own, pictures without alternative text included:
        # their captions follow as text
        assert barriers(reader.page, ".jp-RenderedHTMLCommon") == []
    finally:
        reader.close()


# --- toy notebooks ---------------------------------------------------------------------------------------

SETUP = """\
import matplotlib.pyplot as plt
import mad_max_lib as mm
mm.setup(1)
def line(ax, k, b=0, mix="up"):
    ax.plot([0, 1], [b, k if mix == "up" else -k])
    ax.set(xlim=(0, 1), ylim=(-5, 5))
CAPTION = "A line that rises as steeply as the slider tells it to.\""""
GOOD = """mm.Explorer(line, CAPTION, k=(1, 5), b=(0.0, 1.0), mix=["down", "up"])"""
STUCK = """\
def draw(ax, k):
    line(ax, 1)
    ax.set(title=f"only the title knows that k = {k}")
mm.Explorer(draw, CAPTION, k=(0, 5))"""
FAILING = """\
def draw(ax, k):
    line(ax, k)
    if k > 0:
        raise RuntimeError("too steep")
mm.Explorer(draw, CAPTION, k=(0, 5))"""


@pytest.fixture
def toy(lab):
    def toy(name, *sources):
        cells = [new_markdown_cell(f"# {name}"), *map(new_code_cell, sources)]
        nb = publish.canonical(new_notebook(cells=cells))
        (lab[2] / f"{name}.ipynb").write_text(publish.text(nb), "utf-8")
        return f"{name}.ipynb"

    return toy


def test_a_stored_page_shows_its_pictures_and_has_sliders_when_run(browser, lab, toy, tell):
    name = toy("stored", SETUP, GOOD, "mm.show(plt.figure(), CAPTION + ' No, it does not.')")
    publish.render(lab[2] / name)
    reader = Reader(browser, lab, name)
    try:
        pictures = reader.page.locator(".jp-OutputArea-output img")
        assert pictures.count() == 2 and reader.page.locator(".noUi-handle").count() == 0
        assert all(picture.bounding_box()["width"] == 540 for picture in pictures.all())
        reader.run_all()
        assert pictures.count() == 2 and reader.page.locator(".noUi-handle").count() == 3
        reader.sliders = reader.move_sliders()
        assert reader.problems == [] and reader.sliders == 1 and len(reader.milliseconds) > 8
        tell(f"toy notebook: {said(reader)}")
    finally:
        reader.close()


def test_sliders_that_do_nothing_or_fail_are_reported(read, toy):
    stuck, failing = read(toy("broken_sliders", SETUP, STUCK, FAILING)).problems
    assert stuck == "slider 'k' of figure 1 changes nothing inside the axes"
    assert re.match("slider 'k' of figure 2 shows an error: .*RuntimeError: too steep", failing, re.S)


@pytest.mark.parametrize("source, error", [("1/0", "ZeroDivisionError"), ("1 +", "SyntaxError")])
def test_a_failing_cell_is_reported(read, toy, source, error):
    warning = "import sys; print('only a warning', file=sys.stderr)"
    (problem,) = read(toy("broken_cell", warning, source)).problems
    assert re.match(f"a cell failed: .*{error}", problem, re.S)


def test_a_request_to_elsewhere_and_an_error_in_the_page_are_reported(read, toy):
    show = "from IPython.display import HTML\nHTML('<img src=http://elsewhere.invalid/x.png>')"
    reader = read(toy("elsewhere", show))
    left, console = sorted(reader.problems, reverse=True, key=lambda problem: "left" in problem)
    assert left == "a request left the machine: http://elsewhere.invalid/x.png"
    assert console.startswith("console: ") and "elsewhere.invalid" in console
