"""Run the book's notebooks and store them in one form: ``python -m mad_max_lib.book.publish [NN ...]``.

The stored form holds what a reader without a kernel needs, text and pictures, and nothing that changes
from run to run, so that running an unchanged notebook again leaves its file as it was.
"""

import os
import re
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellControlSignal, DeadKernelError

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"
BACK_MATTER = ["your_own_network", "notation", "glossary", "paper_map", "references", "instructor_guide"]
CELL_SECONDS = 60
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


class RenderError(Exception):
    """A cell of a notebook failed; the message names the notebook, the cell and the error."""


def pages(folder=NOTEBOOKS):
    """The notebooks of the book in reading order: numbered chapters, then the back matter."""
    back = [Path(folder) / f"{name}.ipynb" for name in BACK_MATTER]
    return sorted(Path(folder).glob("[0-9][0-9]_*.ipynb")) + [path for path in back if path.exists()]


def navigation(folder=NOTEBOOKS):
    """The navigation bar of each page: links to the page before, the contents, the page after.

    Returns
    -------
    dict from path to a line of Markdown
    """
    order = pages(folder)
    bars = {}
    for i, path in enumerate(order):
        links = [f"[Contents]({order[0].name})"]
        if i > 0:
            links.insert(0, f"[← {_label(order[i - 1])}]({order[i - 1].name})")
        if i + 1 < len(order):
            links.append(f"[{_label(order[i + 1])} →]({order[i + 1].name})")
        bars[path] = " | ".join(links)
    return bars


def canonical(nb, bar=None):
    """The form in which a notebook is stored, as a new notebook; one in this form comes back equal.

    Parameters
    ----------
    nb : notebook, version 4
    bar : str, optional
        The navigation bar that the first and last cell are to hold; left out, they stay as they are.

    Examples
    --------
    >>> from nbformat.v4 import new_code_cell, new_notebook, new_output
    >>> cell = new_code_cell("print(1)", execution_count=7, metadata={"trusted": True},
    ...                      outputs=[new_output("stream", text="1\\n"), new_output("stream", text="2\\n")])
    >>> clean = canonical(new_notebook(cells=[cell]))
    >>> clean.cells[0].execution_count, clean.cells[0].outputs[0].text, clean.cells[0].metadata
    (1, '1\\n2\\n', {})
    >>> canonical(clean) == clean
    True
    """
    nb = nbformat.v4.upgrade(nbformat.from_dict(nb))  # a copy
    nb.metadata = nbformat.from_dict({
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    })  # fmt: skip
    if bar is not None:
        inner = [cell for cell in nb.cells if "navigation" not in cell.metadata.get("tags", [])]
        nb.cells = [_bar_cell("nav-top", bar), *inner, _bar_cell("nav-bottom", bar)]
    count = 0
    for cell in nb.cells:
        kept = {key: cell.metadata[key] for key in ("slideshow", "tags") if cell.metadata.get(key)}
        if cell.metadata.get("jupyter", {}).get("source_hidden"):  # code that a first reading can do without
            kept["jupyter"] = {"source_hidden": True}
        cell.metadata = nbformat.from_dict(kept)
        if cell.cell_type != "code":
            continue
        if cell.execution_count is not None:  # a cell that was not run must not look as if it was
            count += 1
            cell.execution_count = count
        cell.outputs = _clean_outputs(cell.outputs, cell.execution_count)
    return nb


def text(nb):
    """The notebook as its file holds it."""
    return nbformat.writes(nb, version=4).rstrip("\n") + "\n"


def render(path):
    """Run a notebook in its own folder and store it in canonical form with its navigation bar.

    Raises
    ------
    RenderError
        A cell raised, took longer than a minute, or ended the kernel; the file is left as it was.
    """
    path = Path(path).resolve()
    nb = nbformat.read(path, as_version=4)
    reached = [nb.cells[0]]
    try:
        execute(nb, path.parent, on_cell_start=lambda cell, **_: reached.append(cell))
    except (CellControlSignal, DeadKernelError) as error:
        what = f"{error.ename}: {error.evalue}" if hasattr(error, "ename") else _first_line(str(error))
        cell = f"cell {nb.cells.index(reached[-1])} ({_first_line(reached[-1].source)})"
        raise RenderError(f"{path.name}, {cell}: {what}") from error
    _store(path, canonical(nb, navigation(path.parent).get(path)))


def execute(nb, folder, **options):
    """Run all cells of a notebook in a kernel of its own, in a folder; options go to NotebookClient."""
    client = NotebookClient(
        nb, kernel_name="python3", record_timing=False, store_widget_state=False,
        resources={"metadata": {"path": str(folder)}}, **{"timeout": CELL_SECONDS} | options,
    )  # fmt: skip
    # one thread: sums keep their order; no MPLBACKEND: the notebook's own backend shows the figures
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment.pop("MPLBACKEND", None)
    client.execute(env=environment)


def refresh(folder=NOTEBOOKS):
    """Bring every page into canonical form, its navigation bar up to date; nothing is run."""
    for path, bar in navigation(folder).items():
        _store(path, canonical(nbformat.read(path, as_version=4), bar))


def main(numbers, folder=NOTEBOOKS):
    """Render the pages whose names begin with the given numbers (none: all); return the exit status."""
    folder = Path(folder).resolve()
    chosen = [path for path in pages(folder) if path.name.startswith(tuple(numbers) or "")]
    if not chosen:
        print(f"no notebook begins with {' or '.join(numbers)}")
    failed = not chosen
    for path in chosen:
        started = time.perf_counter()
        try:
            render(path)
            seconds, size = time.perf_counter() - started, path.stat().st_size / 1000
            print(f"{path.name:32} {seconds:6.1f} s {size:6.0f} kB", flush=True)
        except RenderError as error:
            failed = True
            print(error, flush=True)
    refresh(folder)  # neighbours may have a new name
    return int(failed)


def _label(path):
    """The text of a link, "03 · Title", from the notebook's file name and first heading."""
    cells = nbformat.read(path, as_version=4).cells
    headings = (re.search(r"^# +(.+)$", cell.source, re.M) for cell in cells if cell.cell_type == "markdown")
    title = next((found[1].strip() for found in headings if found), path.stem)
    number = f"{path.stem[:2]} · " if path.stem[:2].isdigit() else ""
    return number + re.sub(r"^\d+\s*[·.:]\s*", "", title)


def _first_line(words):
    return words.strip().partition("\n")[0]


def _bar_cell(name, bar):
    return nbformat.v4.new_markdown_cell(bar, id=name, metadata={"tags": ["navigation"]})


def _clean_outputs(outputs, count):
    """Keep text and pictures; drop warnings, what only a kernel can show, and what changes with each run."""
    clean = []
    for output in outputs:
        data = output.get("data", {})
        if output.get("name") == "stderr" or (WIDGET_VIEW in data and "image/png" not in data):
            continue  # a warning, or a widget without a picture, such as a progress bar
        if output.output_type == "stream" and clean and clean[-1].output_type == "stream":
            clean[-1].text += output.text
            continue
        data.pop(WIDGET_VIEW, None)
        if data:
            output.metadata = nbformat.NotebookNode()
        if "execution_count" in output:
            output.execution_count = count
        clean.append(output)
    return clean


def _store(path, nb):
    """Write a notebook whole or not at all, and only when something changed."""
    new = text(nb)
    if path.exists() and path.read_text("utf-8") == new:
        return
    part = path.with_suffix(".part")
    part.write_text(new, "utf-8", newline="\n")
    os.replace(part, path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
