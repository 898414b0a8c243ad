"""The set-up: the lists of packages agree, Binder reads them as meant, and book.py keeps its promises."""

import ast
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
CONDA_NAMES = {"pytorch": "torch", "matplotlib-base": "matplotlib"}


# --- the lists of packages -------------------------------------------------------------------------------


def ranges(lines):
    """{name: range} of lines such as "numpy>=1.26", under the names that pip uses."""
    found = [Requirement(line) for line in lines]
    return {CONDA_NAMES.get(one.name, one.name): one.specifier for one in found}


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
READING = ranges(PROJECT["dependencies"] + EXTRAS["book"])
TESTING = ranges(EXTRAS["test"])


def conda_and_pip_lines():
    lines = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))["dependencies"]
    return [line for line in lines if isinstance(line, str)], lines[-1]["pip"]


def test_conda_and_pip_are_told_the_same_ranges():
    conda, pip = conda_and_pip_lines()
    python, *others = conda
    assert "pip" in others and pip[-1] == "-e ."
    others.remove("pip")
    assert ranges(others + pip[:-1]) == READING | {"pytest": TESTING["pytest"]}
    # Binder's builder takes other spellings (">=3.11", " 3.12.*") silently for 3.10.
    assert re.fullmatch(r"python=3\.\d+", python)
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(python.split("=")[1])


def test_each_package_has_one_tested_version_inside_its_range():
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    both = READING | TESTING
    assert pins.keys() == both.keys()
    assert [name for name, version in pins.items() if Version(version) not in both[name]] == []


def test_binder_reads_the_environment_as_meant():
    pytest.importorskip("repo2docker", reason="needs Binder's builder, the package jupyter-repo2docker")
    command = "-m repo2docker --no-build --debug --user-id=1000 --user-name=reader .".split()
    shown = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=True)
    recipe = shown.stdout + shown.stderr
    assert f"Building conda environment for {conda_and_pip_lines()[0][0]}\n" in recipe
    # "-e ." needs the book to be there before its environment is made
    assert recipe.index(" src/ ") < recipe.index('env update -p ${NB_PYTHON_PREFIX} --file "environment.yml"')
    assert re.search(r'ENV R2D_ENTRYPOINT="\S*/start"', recipe)  # which caps the threads


@pytest.mark.skipif(os.name == "nt", reason="needs a Unix shell")
def test_binder_starts_with_one_thread():
    command = [ROOT / "start", sys.executable, "-c", "import os; print(os.environ['OMP_NUM_THREADS'])"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "1\n"


# --- book.py as a reader meets it ------------------------------------------------------------------------


@pytest.fixture
def copy(tmp_path):
    """A checkout without an environment: what is installed for these tests belongs to another folder."""
    for name in ("book.py", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "mad_max_lib").mkdir()
    (tmp_path / "mad_max_lib" / "__init__.py").write_text('"""A stand-in."""\n')
    return tmp_path


@pytest.fixture
def book(copy):
    spec = importlib.util.spec_from_file_location("book", copy / "book.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def start(folder, *words, before="pass", **environment):
    """Run book.py, with some Python done `before`."""
    code = f"import runpy, sys; {before}; runpy.run_path('book.py', run_name='__main__')"
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(("PIP_", "NO_"))}
    return subprocess.run(
        [sys.executable, "-P", "-c", code, *words],
        cwd=folder,
        env=kept | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_help_and_an_unknown_command_show_the_usage(copy):
    usage = ast.get_docstring(ast.parse((copy / "book.py").read_text("utf-8")))
    asked, mistyped = start(copy, "--help"), start(copy, "tset")
    assert (asked.returncode, asked.stdout.strip()) == (0, usage)
    assert mistyped.returncode == 1 and "'tset'" in mistyped.stderr and usage in mistyped.stderr
    assert not (copy / ".venv").exists()


@pytest.mark.parametrize("version", [(3, 6, 0), (3, 10, 13)])
def test_an_old_python_is_told_so(copy, version):
    answer = start(copy, before=f"sys.version_info = {version}")
    assert answer.returncode == 1 and not (copy / ".venv").exists()
    assert answer.stderr == (
        f"The book needs Python 3.11 or newer and this is Python 3.{version[1]}: "
        "install a newer one from python.org, then start again with it.\n"
    )


def test_an_old_python_can_read_the_file():
    ast.parse((ROOT / "book.py").read_text("utf-8"), feature_version=(3, 7))


@pytest.mark.parametrize("module", ["venv", "ensurepip"])
def test_a_python_without_venv_names_the_package(copy, module):
    answer = start(copy, before=f"sys.modules[{module!r}] = None")
    assert answer.returncode == 1 and not (copy / ".venv").exists()
    assert "`sudo apt install python3." in answer.stderr and answer.stderr.count("\n") == 1


def test_without_a_network_one_sentence_and_nothing_half_made(copy):
    nowhere = "http://127.0.0.1:9"  # a port where nobody listens
    answer = start(
        copy, "test", http_proxy=nowhere, https_proxy=nowhere, PIP_CONFIG_FILE=os.devnull, PIP_RETRIES="0"
    )
    assert answer.returncode == 1 and not (copy / ".venv").exists()
    assert answer.stderr == (
        "The packages could not be downloaded: check the network (or the proxy), then start again.\n"
    )


def test_an_environment_made_by_somebody_else_is_left_alone(copy):
    (copy / ".venv").mkdir()
    (copy / ".venv" / "mine").touch()
    answer = start(copy)
    assert answer.returncode == 1 and "was not made by book.py" in answer.stderr
    assert (copy / ".venv" / "mine").exists()


# --- book.py from the inside -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "trouble, sentence",
    [
        (KeyboardInterrupt(), "Stopped before"),
        (OSError(28, "No space left on device"), "The disk is full"),
        (OSError(30, "Read-only file system"), "Nothing can be written in"),
        (OSError(5, "Input/output error"), "The set-up failed ([Errno 5] Input/output error)"),
    ],
    ids=["ctrl-c", "full", "read-only", "other"],
)
def test_a_set_up_that_stops_leaves_nothing(book, monkeypatch, trouble, sentence):
    def stop(*_, **__):
        raise trouble

    monkeypatch.setattr(book, "step", stop)
    with pytest.raises(SystemExit) as stopped:
        book.main(["test"])
    assert sentence in stopped.value.code and not book.VENV.exists()


@pytest.mark.parametrize(
    "output, sentence",
    [
        (
            "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
            "is full",
        ),
        ("WARNING: Retrying (...) after connection broken by 'NewConnectionError(...)'", "check the network"),
        ("ERROR: No matching distribution found for setuptools>=77", "check the network"),
        ("ERROR: No matching distribution found for torch==2.13.0", "is not yet made for Python"),
        ("Collecting a\nERROR: Cannot install a\nERROR: See more", "The set-up failed (Cannot install a)"),
    ],
)
def test_what_pip_says_becomes_a_sentence(book, output, sentence):
    assert sentence in book.explain(output)


def test_only_a_step_that_may_fail_lets_the_set_up_go_on(book, monkeypatch):
    monkeypatch.setattr(book, "PYTHON", sys.executable)
    book.step("a step", "no_such_module", may_fail=True)
    with pytest.raises(SystemExit, match="No module named no_such_module"):
        book.step("a step", "no_such_module")


def test_an_environment_is_ready_until_what_it_was_made_from_changes(book):
    assert not book.ready()
    book.PYTHON.parent.mkdir(parents=True)
    book.PYTHON.touch()
    book.STAMP.write_text("unfinished")
    assert not book.ready()
    book.STAMP.write_text(book.fingerprint())
    assert book.ready()
    with open(book.ROOT / "constraints.txt", "a") as file:
        file.write("# changed\n")
    assert not book.ready()


def test_the_running_python_is_used_where_it_has_everything(book, monkeypatch):
    made = []
    monkeypatch.setattr(book, "set_up", lambda: made.append(True))
    assert book.missing(True) == ["mad_max_lib"]  # everything, but the library is another folder's
    assert book.environment(True) == str(book.PYTHON) and made
    monkeypatch.setattr(book, "missing", lambda testing: [])
    assert book.environment(True) == sys.executable and len(made) == 1


@pytest.mark.parametrize(
    "platform, driver, cpu",
    [
        ("linux", None, True),
        ("linux", "nvidia-smi", False),
        ("darwin", None, False),
        ("win32", None, False),
    ],
)
def test_the_cpu_wheel_is_for_linux_without_an_nvidia_driver(book, monkeypatch, platform, driver, cpu):
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(shutil, "which", lambda name: driver)
    assert book.wants_cpu_wheel() is cpu


@pytest.mark.parametrize("user", [0, 1000])
def test_jupyterlab_starts_at_the_first_page_and_as_root_too(book, monkeypatch, user):
    monkeypatch.setattr(os, "geteuid", lambda: user, raising=False)
    command = book.module_and_arguments(["--no-browser"])
    assert command[0] == "jupyterlab" and command[-1] == "--no-browser"
    assert "--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb" in command  # as on Binder
    assert ("--allow-root" in command) is (user == 0)


def test_words_are_passed_on(book):
    assert book.module_and_arguments(["test", "-k", "maso"]) == ["pytest", "-k", "maso"]
    assert book.module_and_arguments(["render", "03"]) == ["mad_max_lib.book.publish", "03"]
