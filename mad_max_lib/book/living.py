"""Sliders that move on a web page, where no kernel runs.

The pictures over a grid of values are drawn when the pages are built, and a few lines of script show the one
asked for. Drawing takes the time of the chapter; ``build/sliders`` keeps the pictures until the chapter or
the library changes.
"""

import base64
import hashlib
import html
import json
from pathlib import Path

import joblib
import nbformat
from tqdm.auto import tqdm

from . import publish

SLIDER = "mm.Explorer("
PICTURES = "application/vnd.mad_max_lib.pictures+json"
CACHE = publish.NOTEBOOKS.parent / "build" / "sliders"
RECORD = f"""
import base64
from IPython.display import display
from mad_max_lib.book import widgets

def record(explorer):
    choices, pictures = explorer.pictures()
    start = [choices[name].index(value) for name, value in explorer.values.items()]
    coded = [base64.b64encode(picture).decode() for picture in pictures]
    display({{{PICTURES!r}: {{"choices": choices, "start": start, "pictures": coded}}}}, raw=True)

widgets.Explorer._ipython_display_ = record
"""
SCRIPT = """\
for (const box of document.querySelectorAll(".mm-sliders")) {
    const picture = box.querySelector("img"), files = JSON.parse(box.dataset.files);
    const sliders = [...box.querySelectorAll("input")];
    const show = () => {
        picture.src = files[sliders.reduce((place, s) => place * (+s.max + 1) + +s.value, 0)];
        for (const slider of sliders) {
            const value = JSON.parse(slider.dataset.values)[slider.value];
            slider.nextElementSibling.value = value;
            slider.setAttribute("aria-valuetext", value);
        }
    };
    const load = () => files.forEach(file => { new Image().src = file; });
    box.addEventListener("pointerenter", load, {once: true});
    box.addEventListener("focusin", load, {once: true});
    sliders.forEach(slider => slider.addEventListener("input", show));
    box.querySelectorAll("label").forEach(label => { label.hidden = false; });
}
"""
STYLE = """\
.mm-sliders label { display: flex; gap: 0.6em; align-items: center; flex-wrap: wrap; }
.mm-sliders label[hidden] { display: none; }
.mm-sliders input { width: min(420px, 60%); }
.mm-sliders img { background: white; }
@media print {
    html { font-size: 12px; } pre { white-space: pre-wrap; }
    details.hide, .mm-sliders label { display: none; }
}
"""


def sliders(paths):
    """The sliders of notebooks: ``{path: {cell id: {"choices", "start", "pictures"}}}``.

    Parameters
    ----------
    paths : list of Path
        Chapters; two are drawn at a time, each in a kernel of its own.
    """
    paths = [path for path in paths if SLIDER in path.read_text("utf-8")]
    work = joblib.Parallel(n_jobs=2, return_as="generator")(joblib.delayed(drawn)(path) for path in paths)
    return dict(zip(paths, tqdm(work, "sliders of chapters", total=len(paths), delay=3), strict=True))


def drawn(path, cache=CACHE):
    """The sliders of one notebook by cell id, from the cache where nothing has changed."""
    nb = nbformat.read(path, as_version=4)
    last = max(i for i, cell in enumerate(nb.cells) if cell.cell_type == "code" and SLIDER in cell.source)
    nb.cells = [cell for cell in nb.cells[: last + 1] if cell.cell_type == "code"]
    library = sorted(Path(__file__).parents[1].rglob("*.py"))
    parts = [cell.source.encode() for cell in nb.cells] + [file.read_bytes() for file in library]
    kept = Path(cache) / f"{path.stem}-{hashlib.sha256(b'|'.join(parts)).hexdigest()[:16]}.json"
    if not kept.exists():
        nb.cells.insert(0, nbformat.v4.new_code_cell(RECORD))
        publish.execute(nb, path.parent, timeout=600)
        found = {cell.id: output.data[PICTURES] for cell in nb.cells for output in cell.outputs
                 if PICTURES in output.get("data", {})}  # fmt: skip
        kept.parent.mkdir(parents=True, exist_ok=True)
        for old in kept.parent.glob(f"{path.stem}-*.json"):
            old.unlink()
        kept.write_text(json.dumps(found), "utf-8")
    return json.loads(kept.read_text("utf-8"))


def as_html(slider, caption, folder):
    """The HTML of one slider; its pictures become files of ``folder`` (equal ones the same file)."""
    files = []
    for coded in slider["pictures"]:
        data = base64.b64decode(coded)
        file = Path(folder) / f"{hashlib.sha256(data).hexdigest()[:16]}.png"
        file.write_bytes(data)
        files.append(f"_static/{file.parent.name}/{file.name}")
    place, labels = 0, []
    for (name, values), start in zip(slider["choices"].items(), slider["start"], strict=True):
        place = place * len(values) + start
        said = [value if isinstance(value, str) else f"{value:.4g}" for value in values]
        labels.append(
            f'<label hidden>{html.escape(name)} <input type="range" min="0" max="{len(values) - 1}" '
            f'value="{start}" autocomplete="off" aria-valuetext="{html.escape(said[start])}" '
            f'data-values="{html.escape(json.dumps(said))}"><output>{html.escape(said[start])}</output></label>'
        )
    return (
        f'<div class="mm-sliders" data-files="{html.escape(json.dumps(files))}">{"".join(labels)}'
        f'<img src="{files[place]}" alt="{html.escape(caption)}"></div>'
    )
