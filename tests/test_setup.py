"""The set-up: the lists of packages agree, Binder reads them as meant, and book.py keeps its promises."""

import ast
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from helpers import ask, free_port, wait_until
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
    return loaded(copy)


def loaded(folder):
    """The book.py of a folder, as a module."""
    spec = importlib.util.spec_from_file_location("book", folder / "book.py")
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


# --- a stand-in for the book: small, and set up in seconds without a network ------------------------------

BACKEND = """
import zipfile

def build_editable(folder, config_settings=None, metadata_directory=None):
    info = "{name}-1.dist-info/"
    files = {{
        "{name}.pth": {path!r},
        info + "METADATA": "Metadata-Version: 2.1\\nName: {name}\\nVersion: 1\\n{needs}",
        info + "WHEEL": "Wheel-Version: 1.0\\nGenerator: us\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }}
    files[info + "RECORD"] = "".join(f"{{file}},,\\n" for file in [*files, info + "RECORD"])
    with zipfile.ZipFile(folder + "/{name}-1-py3-none-any.whl", "w") as wheel:
        for file, text in files.items():
            wheel.writestr(file, text)
    return "{name}-1-py3-none-any.whl"

build_wheel = build_editable
"""
TELL = """
import json, os, sys, tiny
print(json.dumps({"arguments": sys.argv[1:], "tiny": tiny.__file__, "home": os.path.expanduser("~"),
                  "python": sys.executable}))
"""


@pytest.fixture
def stand_in(tmp_path):
    """The book with one small package in place of all; what it starts tells how it was started."""
    root, tiny = tmp_path / "the book (copy)", tmp_path / "tiny"
    needed = f"Requires-Dist: tiny @ {tiny.as_uri()}"
    for folder, name, needs in ((tiny, "tiny", ""), (root, "mad_max_lib", needed)):
        folder.mkdir()
        (folder / "backend.py").write_text(BACKEND.format(name=name, path=str(folder), needs=needs))
        dependencies = f'dependencies = ["{needs.partition(": ")[2]}"]' if needs else ""
        (folder / "pyproject.toml").write_text(
            '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
            f'[project]\nname = "{name}"\nversion = "1"\n{dependencies}\n'
            "[project.optional-dependencies]\nbook = []\ntest = []\n"
        )
    (tiny / "tiny.py").write_text("")
    shutil.copy(ROOT / "book.py", root)
    (root / "constraints.txt").touch()
    (root / "mad_max_lib").mkdir()
    (root / "mad_max_lib" / "__init__.py").touch()
    for name in ("pytest", "jupyterlab"):
        (root / f"{name}.py").write_text(TELL)
    return root


SMALL = "import shutil; shutil.which = lambda name: name"  # with a driver torch has no step of its own


def told(answer):
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout.splitlines()[-1])


def test_the_settings_of_pip_and_python_do_not_lead_packages_astray(stand_in, tmp_path):
    names = "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PYTHONUSERBASE"
    astray = {name: str(tmp_path / name) for name in names}
    answer = start(stand_in, "test", before=SMALL, PIP_NO_DEPS="1", PIP_DRY_RUN="1", **astray)
    assert told(answer)["tiny"] == str(tmp_path / "tiny" / "tiny.py")
    assert not [name for name, folder in astray.items() if Path(folder).exists()]
    # PIP_USER excludes the others; and a package that Python has elsewhere is not one of .venv
    shutil.rmtree(stand_in / ".venv")
    other = tmp_path / "other"
    (other / "tiny-1.dist-info").mkdir(parents=True)
    (other / "tiny-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny\nVersion: 1\n")
    (other / "tiny.py").touch()
    both = [start(stand_in, "test", before=SMALL, PIP_USER="1", PYTHONPATH=str(other)) for _ in range(2)]
    assert [told(answer)["tiny"] for answer in both] == [str(tmp_path / "tiny" / "tiny.py")] * 2


def test_packages_that_went_elsewhere_all_the_same_are_noticed(stand_in, tmp_path):
    settings = tmp_path / "pip.conf"
    settings.write_text(f"[install]\ntarget = {tmp_path / 'elsewhere'}\n")
    answer = start(stand_in, "test", before=SMALL, PIP_CONFIG_FILE=str(settings))
    assert answer.returncode == 1 and not (stand_in / ".venv").exists()
    assert "still lacks tiny mad_max_lib: look for user, target" in answer.stderr
    assert answer.stderr.count("\n") == 1


def test_modules_beside_the_book_do_not_hide_those_of_python(stand_in):
    for name in ("random", "json", "hashlib", "tempfile", "subprocess", "runpy", "venv", "torch"):
        (stand_in / f"{name}.py").write_text("raise SystemExit('a module of the reader')")
    line = [sys.executable, "book.py", "test", "-k", "x"]
    answer = subprocess.run(
        line, cwd=stand_in, env=with_driver(stand_in), capture_output=True, text=True, timeout=60
    )
    assert told(answer)["arguments"] == ["-k", "x"]


def with_driver(folder):
    """Environment variables that find an nvidia-smi, so that torch has no step of its own."""
    program = folder / "bin" / ("nvidia-smi.bat" if os.name == "nt" else "nvidia-smi")
    program.parent.mkdir()
    program.touch(mode=0o755)
    return {**os.environ, "PATH": os.pathsep.join([str(program.parent), os.environ["PATH"]])}


@pytest.mark.skipif(os.name == "nt", reason="needs Unix signals")
def test_a_second_start_waits_and_one_that_is_ended_leaves_nothing(stand_in, tmp_path):
    backend, reached = tmp_path / "tiny" / "backend.py", tmp_path / "reached"
    works = backend.read_text()
    backend.write_text(
        f"import os, time; open({str(reached)!r}, 'w').write(str(os.getpid())); time.sleep(600)\n" + works
    )
    options = {"cwd": stand_in, "env": with_driver(stand_in), "text": True}
    options |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    first = subprocess.Popen([sys.executable, "-u", "book.py", "test"], **options)
    wait_until(lambda: reached.exists() and reached.read_text(), 60)
    second = subprocess.Popen([sys.executable, "-u", "book.py", "test"], **options)
    assert second.stdout.readline() == "Another start is setting the book up: waiting for it.\n"
    backend.write_text(works)
    first.terminate()
    assert "Stopped before the set-up was complete" in first.communicate(timeout=30)[1]
    assert first.returncode == 1
    wait_until(lambda: not Path(f"/proc/{reached.read_text()}").exists(), 60)  # what pip had started
    shown, errors = second.communicate(timeout=60)
    assert second.returncode == 0, errors
    assert "Ready after" in shown and json.loads(shown.splitlines()[-1])["python"].startswith(str(stand_in))


@pytest.mark.parametrize("settings", ["root_dir", "notebook_dir", "preferred_dir"])
def test_the_book_is_served_whatever_folder_the_reader_has_set(settings, tmp_path):
    chosen = {"root_dir": str(tmp_path), settings: str(tmp_path)}
    (tmp_path / "jupyter_server_config.json").write_text(json.dumps({"ServerApp": chosen}))
    port = free_port()
    options = ["--no-browser", f"--ServerApp.port={port}", "--IdentityProvider.token=secret"]
    line = [sys.executable, "-P", "-m", *loaded(ROOT).module_and_arguments(options)]
    own = {"JUPYTER_CONFIG_DIR": str(tmp_path), "JUPYTER_RUNTIME_DIR": str(tmp_path)}
    server = subprocess.Popen(
        line, cwd=ROOT, env=os.environ | own, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        page = f"http://127.0.0.1:{port}/api/contents/notebooks/00_start_here.ipynb?content=0&token=secret"
        answer = wait_until(lambda: ask(page), 60, lambda: f"(JupyterLab has ended: {server.poll()})")
        assert answer["name"] == "00_start_here.ipynb"
    finally:
        server.kill()
        server.wait()


@pytest.mark.skipif(os.name == "nt", reason="needs Unix homes")
@pytest.mark.parametrize("home", ["/dev/null/nowhere", None])
def test_without_a_home_the_book_opens_all_the_same(book, monkeypatch, capsys, home):
    started = []
    monkeypatch.setattr(book, "environment", lambda testing: sys.executable)
    monkeypatch.setattr(os, "execv", lambda python, line: started.append(line))
    monkeypatch.setattr(os, "chdir", lambda folder: None)
    monkeypatch.setenv("HOME", home or os.environ["HOME"])
    book.main(["--no-browser"])
    lost = "Nothing can be written in your home folder" in capsys.readouterr().out
    assert lost == bool(home) and os.access(os.environ["HOME"], os.W_OK) and len(started) == 1


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
