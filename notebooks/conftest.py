"""For ``pytest``: holds each notebook to its memory limit, and prints seconds, memory and size at the end."""

import os
from collections import defaultdict
from pathlib import Path

import psutil
import pytest
from nbval.plugin import IPyNbCell, NbCellError

LIMIT = 500  # MB: Binder gives 1 GB, and a reader has two notebooks open

# the kernels inherit these: one core each, and the notebook's own way of showing figures
os.environ["OMP_NUM_THREADS"] = "1"
os.environ.pop("MPLBACKEND", None)

collect_ignore = ["conftest.py"]  # holds no doctests

_seconds, _peaks = defaultdict(float), defaultdict(int)


def peak(pid):
    """The most memory a process has held so far, in MB (on macOS: what it holds now)."""
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) // 1024
    memory = psutil.Process(pid).memory_info()
    return getattr(memory, "peak_wset", memory.rss) // 2**20


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    result = yield
    if isinstance(item, IPyNbCell):
        before, notebook = getattr(item.parent, "peak", 0), item.parent
        notebook.peak = peak(notebook.kernel.km.provisioner.pid)
        item.user_properties.append(("peak", notebook.peak))  # travels from the worker to the report
        if before <= LIMIT < notebook.peak and not _built_for_gpus():
            why = f"the kernel's memory rose from {before} to {notebook.peak} MB, over the limit of {LIMIT}"
            raise NbCellError(item.cell_num, why, item.cell.source)
    return result


def _built_for_gpus():
    """Whether torch brings a GPU's libraries, whose memory says nothing about the notebook."""
    import torch  # slow to import, seldom needed

    return torch.version.cuda is not None


def pytest_runtest_logreport(report):
    name = report.nodeid.split("::")[0]
    if name.endswith(".ipynb"):
        _seconds[name] += report.duration
        _peaks[name] = max([_peaks[name], *(value for key, value in report.user_properties if key == "peak")])


def pytest_terminal_summary(terminalreporter, config):
    if not _seconds:
        return
    rows = [(name, _seconds[name], _peaks[name], (config.rootpath / name).stat().st_size / 1000)
            for name in sorted(_seconds)]  # fmt: skip
    _, seconds, peaks, sizes = zip(*rows, strict=True)
    terminalreporter.section("notebooks")
    terminalreporter.write_line(f"{'':34} seconds  peak MB  file kB")
    for name, *numbers in [*rows, (f"all {len(rows)}", sum(seconds), max(peaks), sum(sizes))]:
        terminalreporter.write_line("{:34} {:7.1f}  {:7}  {:7.0f}".format(Path(name).name, *numbers))
