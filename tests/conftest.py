"""For ``pytest``: no test opens a window; what tests measure is printed at the end of the run."""

import matplotlib
import pytest

matplotlib.use("Agg")
pytest.register_assert_rewrite("partitions")  # so that its asserts say what was compared

collect_ignore = ["conftest.py"]  # the other conftest.py is in the way of its doctests

_told = []


@pytest.fixture
def tell(record_property):
    """Call it with a line to print at the end of the run; a plain print is lost on its way from a worker."""
    return lambda line: record_property("tell", line)


@pytest.fixture(scope="module")
def on_cpu():
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("MAD_MAX_DEVICE", "cpu")
        yield


def pytest_runtest_logreport(report):
    if report.when == "call":
        _told.extend(line for name, line in report.user_properties if name == "tell")


def pytest_terminal_summary(terminalreporter):
    if _told:
        terminalreporter.section("measured")
        for line in _told:
            terminalreporter.write_line(line)
