"""The book's one command. On Windows, write `py` where it says `python3`.

    python3 book.py                 open the book in JupyterLab
    python3 book.py test            run every test
    python3 book.py render [NN ...] run all notebooks, or those numbered NN, and store their pictures

The first start sets up what the book needs in the folder .venv beside this file; later starts take seconds.
What else you write is passed on: to JupyterLab (`book.py --no-browser`) or to pytest (`book.py test tests`).
"""

import os
import sys

if sys.path[:1] == [os.path.dirname(os.path.abspath(__file__))]:
    del sys.path[0]  # only this script is started here: a random.py beside it is not Python's

import contextlib
import errno
import hashlib
import importlib.util
import json
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

# This file keeps to a syntax that older Pythons can read, so that they can say this and not a SyntaxError.
if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit(
        "The book needs Python 3.11 or newer and this is Python {}.{}: install a newer one "
        "from python.org, then start again with it.".format(*sys.version_info[:2])
    )

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "book.stamp"  # marks the folder as made here; holds fingerprint() once everything is in
FIRST_PAGE = "/lab/tree/notebooks/00_start_here.ipynb"  # an address: a file would make its folder the root
CPU_WHEELS = "https://download.pytorch.org/whl/cpu"
DISTURBING = (  # variables by which pip puts packages elsewhere, and Python finds others than .venv's
    "PIP_USER PIP_PREFIX PIP_TARGET PIP_ROOT PIP_PYTHON PIP_NO_DEPS PIP_DRY_RUN PIP_NO_BUILD_ISOLATION "
    "PIP_REQUIRE_HASHES PYTHONPATH PYTHONHOME PYTHONUSERBASE"
).split()

CAUSES = [  # what pip or the system says, and what the reader can do about it
    (
        r"no space left|not enough space|disk quota|errno 28",
        "The disk is full, and setting up needs about 3 GB: free some space, then start again.",
    ),
    (
        # setuptools exists for every Python: if there is none, no index has answered
        r"connection (broken|refused|reset|aborted)|ConnectionError|TimeoutError|timed out|SSLError"
        r"|ProxyError|no matching distribution found for setuptools",
        "The packages could not be downloaded: check the network (or the proxy), then start again.",
    ),
    (
        r"read-only|permission denied|access is denied",
        f"Nothing can be written in {ROOT}: copy the book to a folder of your own, then start again there.",
    ),
    (
        r"no matching distribution",
        "A package of the book is not yet made for Python {}.{} on this computer: install Python 3.12, "
        "then start again with it.".format(*sys.version_info[:2]),
    ),
]


def explain(output):
    """One sentence for what went wrong, with what to do next."""
    for pattern, sentence in CAUSES:
        if re.search(pattern, output, re.IGNORECASE):
            return sentence
    reason = (re.findall(r"ERROR: (.+)", output) or [output.strip().split("\n")[-1]])[0].strip(" .")
    return f"The set-up failed ({reason}): start again, and if that fails too, report this line as an issue."


def missing(testing):
    """The packages that reading the book, or testing it, needs and the running Python does not have."""
    import tomllib  # both imports are too new for the Pythons that are turned away above
    from importlib import metadata

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = project["dependencies"] + extras["book"] + extras["test"] * testing
    names = [re.match(r"[\w.-]+", line).group() for line in wanted if ";" not in line]  # ";": some systems
    have = {found.name.lower().replace("_", "-") for found in metadata.distributions() if found.name}
    library = importlib.util.find_spec("mad_max_lib")
    ours = library and library.origin and ROOT in Path(library.origin).resolve().parents
    return [name for name in names if name not in have] + ([] if ours else ["mad_max_lib"])


def fingerprint():
    """What an environment was made from: when this changes, it is made anew."""
    parts = [
        (ROOT / "pyproject.toml").read_text("utf-8"),
        (ROOT / "constraints.txt").read_text("utf-8"),
        str(sys.version_info[:2]),
        str(ROOT),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def ready():
    return STAMP.exists() and STAMP.read_text() == fingerprint() and PYTHON.exists()


def wants_cpu_wheel():
    """On Linux alone the ordinary torch brings several GB for NVIDIA cards, whether there is one or not."""
    return sys.platform == "linux" and shutil.which("nvidia-smi") is None


def undisturbed():
    """The reader's environment variables without those that lead to packages outside .venv."""
    return {name: value for name, value in os.environ.items() if name not in DISTURBING}


def step(title, *command, may_fail=False):
    """Run a module in .venv, its output shown as one changing line on a terminal."""
    started, lines, width = time.perf_counter(), [], shutil.get_terminal_size().columns - 1
    print(f"  {title} ...", end="", flush=True)
    process = subprocess.Popen(
        [str(PYTHON), "-I", "-m", *command],
        cwd=str(ROOT),
        env=undisturbed(),
        text=True,
        errors="replace",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # a group of its own, with all that it starts
    )
    try:
        for line in process.stdout:
            lines.append(line)
            if sys.stdout.isatty():
                print("\r" + f"  {title} ... {line.strip()}"[:width].ljust(width), end="", flush=True)
        failed = process.wait() != 0
    finally:
        if os.name == "nt":
            process.kill()  # when we are stopped, nothing may go on writing into .venv
        else:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if sys.stdout.isatty():
            print("\r" + f"  {title} ...".ljust(width) + f"\r  {title} ...", end="")
        print(f" {time.perf_counter() - started:.0f} s", flush=True)
    if failed and not may_fail:
        sys.exit(explain("".join(lines)))


def verify():
    """Stop unless .venv itself holds all packages: pip has settings that send them elsewhere."""
    code = "import runpy; print(*runpy.run_path('book.py')['missing'](True))"
    found = subprocess.run(
        [str(PYTHON), "-I", "-c", code], cwd=str(ROOT), env=undisturbed(), capture_output=True, text=True
    )
    lacking = found.stdout.strip() or found.stderr.strip().split("\n")[-1]
    if lacking or found.returncode:
        sys.exit(
            f"After the set-up {VENV} still lacks {lacking}: look for user, target, prefix or no-deps in "
            "pip's settings (`pip config list` shows them), then start again."
        )


@contextlib.contextmanager
def alone():
    """Wait until no other start is setting up this folder; the system drops the lock of one that dies."""
    with (ROOT / ".venv.lock").open("w") as file:
        if os.name == "nt":
            import msvcrt

            take = lambda: msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # noqa: E731
        else:
            import fcntl

            take = lambda: fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # noqa: E731
        told = False
        while True:
            try:
                take()
                break
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.EACCES, errno.EDEADLOCK):
                    break  # some network disks have no locks
            if not told:
                print("Another start is setting the book up: waiting for it.", flush=True)
            told = True
            time.sleep(0.5)
        yield


def set_up():
    """Make .venv with everything in it, or leave nothing behind."""
    if any(importlib.util.find_spec(name) is None for name in ("venv", "ensurepip")):
        sys.exit(
            "This Python cannot make environments yet: install its venv package (on Debian or Ubuntu "
            "`sudo apt install python{}.{}-venv`), then start again.".format(*sys.version_info[:2])
        )
    if VENV.exists() and not STAMP.exists():
        sys.exit(
            f"The folder {VENV} was not made by book.py, so it is left alone: "
            "rename or remove it, then start again."
        )
    import venv

    try:
        if VENV.exists():
            shutil.rmtree(VENV)
        VENV.mkdir()
        STAMP.write_text("unfinished")
        venv.create(VENV, symlinks=os.name != "nt")
        step("an empty environment", "ensurepip")
        pip = ["pip", "install", "--progress-bar=off", "--disable-pip-version-check", "-c", "constraints.txt"]
        if wants_cpu_wheel():
            # torch alone, once and briefly: an index that does not answer delays every package asked of it
            step(
                "PyTorch without GPU support",
                *pip,
                "--no-deps",
                "--retries=0",
                "--timeout=15",
                f"--extra-index-url={CPU_WHEELS}",
                "torch",
                may_fail=True,
            )
        step("all other packages", *pip, "-e", ".[book,test]")
        settings = VENV / "share/jupyter/lab/settings"
        settings.mkdir(parents=True, exist_ok=True)
        quiet = {"fetchNews": "false", "checkForUpdates": False}  # else a question covers the first page
        (settings / "overrides.json").write_text(
            json.dumps({"@jupyterlab/apputils-extension:notification": quiet})
        )
        verify()
        STAMP.write_text(fingerprint())
    except BaseException:
        shutil.rmtree(VENV, ignore_errors=True)
        raise


def environment(testing):
    """The Python to use: the running one where it has everything, else that of .venv, made when needed."""
    lacking = missing(testing)
    if not lacking and Path(sys.prefix).resolve() != VENV:
        return sys.executable
    if ready():
        return str(PYTHON)
    with alone():
        if not ready():  # the other start may have made it
            started = time.perf_counter()
            why = "What the book needs has changed"
            if lacking:
                why = f"This Python has no {', '.join(lacking[:3])}"
            print(f"{why}: setting up the book in .venv, once (one to five minutes, 2 GB).", flush=True)
            set_up()
            print(f"Ready after {time.perf_counter() - started:.0f} s.")
    return str(PYTHON)


def has_home():
    """Whether the reader has a home folder in which JupyterLab can write."""
    try:
        Path.home().mkdir(parents=True, exist_ok=True)
        return os.access(str(Path.home()), os.W_OK)
    except (OSError, RuntimeError):  # RuntimeError: no home is known
        return False


def module_and_arguments(words):
    """What Python is to run for the words after `book.py`."""
    if words[:1] == ["test"]:
        return ["pytest", *words[1:]]
    if words[:1] == ["render"]:
        return ["mad_max_lib.book.publish", *words[1:]]
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    # whatever folder the reader's own settings name
    folder = [f"--ServerApp.root_dir={ROOT}", f"--ServerApp.preferred_dir={ROOT}"]
    return ["jupyterlab", f"--LabApp.default_url={FIRST_PAGE}", *folder, *["--allow-root"] * is_root, *words]


def main(words):
    if words[:1] in (["-h"], ["--help"]):
        return print(__doc__)
    if words and not words[0].startswith("-") and words[0] not in ("test", "render"):
        sys.exit(f"book.py does not know the command {words[0]!r}.\n\n{__doc__}")
    testing = words[:1] == ["test"]
    try:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # to be stopped is to be interrupted
        python = environment(testing)
    except KeyboardInterrupt:
        sys.exit("\nStopped before the set-up was complete: nothing is left behind, start again any time.")
    except OSError as error:
        sys.exit(explain(str(error)))
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    line = [python, "-P", "-m", *module_and_arguments(words)]  # -P: modules in this folder are not Python's
    os.chdir(ROOT)
    if python == str(PYTHON):
        for name in os.environ.keys() - undisturbed().keys():
            del os.environ[name]
    if not has_home():
        print("Nothing can be written in your home folder: the settings of JupyterLab will not be kept.")
        os.environ["HOME"] = tempfile.mkdtemp()
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # the networks are small: more threads wait for each other
    sys.stdout.flush()
    if os.name == "nt":
        sys.exit(subprocess.call(line))  # exec would let go of the console
    os.execv(python, line)


if __name__ == "__main__":
    main(sys.argv[1:])
