"""The library as a whole: what an import loads, the order of packages, sizes, checks without assertions."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import mad_max_lib as mm

LIBRARY = Path(mm.__file__).parent
FILES = sorted(LIBRARY.rglob("*.py"))
ORDER = ["checks", "splines", "tracing", "plane", "lab", "book", "exercises"]  # each may use those before it


def python(code, *options):
    """What a fresh Python prints."""
    ran = subprocess.run(
        [sys.executable, *options, "-c", code], capture_output=True, text=True, cwd=LIBRARY.parent
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


# ---------------------------------------------------------------- imports

IMPORTS = """
import sys, time
import torch
before, seconds = set(sys.modules), []
for _ in range(3):
    start = time.perf_counter()
    import mad_max_lib as mm
    seconds.append(time.perf_counter() - start)
    print(*{name.partition(".")[0] for name in set(sys.modules) - before})
    del sys.modules["mad_max_lib"]
import mad_max_lib as mm
mm.MASO, mm.operators, mm.kmeans, mm.affine_map, mm.region_codes, mm.polytope, mm.soften, mm.partition
print(*{name.partition(".")[0] for name in set(sys.modules) - before})
print(sorted(seconds)[1])
"""


def test_an_import_loads_what_it_needs(tell):
    *after_import, after_engine, seconds = python(IMPORTS)
    assert all("mad_max_lib" in loaded.split() for loaded in after_import)
    for loaded in [*after_import, after_engine]:
        assert not {"matplotlib", "sklearn", "IPython", "ipywidgets", "mnist1d"} & set(loaded.split())
    tell(f"import mad_max_lib, after torch: {float(seconds):.3f} s, the median of 3")


def test_every_public_name_is_there():
    assert set(mm.__all__) <= set(dir(mm)) and sorted(mm.__all__) == mm.__all__
    assert all(getattr(mm, name) is not None for name in mm.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        mm.nothing  # noqa: B018


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(LIBRARY).as_posix())
def test_no_public_name_hides_a_module(path):
    """``import mad_max_lib.plane.regions as m`` gives the module, after all public names are loaded, too."""
    assert all(hasattr(mm, name) for name in mm.__all__)
    parts = path.relative_to(LIBRARY.parent).with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    module = importlib.import_module(name)
    names = {}
    exec(f"import {name} as m", names)
    assert names["m"] is module


# ---------------------------------------------------------------- form


def imported(path):
    """The packages of the library that a file imports from, wherever in the file."""
    here = [LIBRARY.name, *path.relative_to(LIBRARY).parent.parts]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom):
            start = here[: len(here) + 1 - node.level] if node.level else []
            base = ".".join([*start, *filter(None, [node.module])])
            names = [f"{base}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for package, *rest in (name.split(".") for name in names):
            if package == LIBRARY.name and rest and rest[0] in ORDER:
                yield rest[0]


def test_packages_use_only_those_before_them():
    against = []
    for path in FILES:
        own = path.relative_to(LIBRARY).with_suffix("").parts[0]
        if own != "__init__":
            against += [f"{path.name} of {own} uses {used}" for used in imported(path)
                        if ORDER.index(used) > ORDER.index(own)]  # fmt: skip
    assert not against


def test_the_import_of_a_later_package_would_be_seen(tmp_path, monkeypatch):
    (tmp_path / "mad_max_lib" / "splines").mkdir(parents=True)
    path = tmp_path / "mad_max_lib" / "splines" / "wrong.py"
    path.write_text("def f():\n    from ..book.figures import show\n    import mad_max_lib.lab.data\n")
    monkeypatch.setattr(sys.modules[__name__], "LIBRARY", tmp_path / "mad_max_lib")
    assert list(imported(path)) == ["book", "lab"]


def lines(path):
    """How many lines are written, blank ones not counted."""
    return sum(map(bool, map(str.strip, path.read_text("utf-8").splitlines())))


def test_modules_and_the_library_stay_small():
    inner = [path for path in FILES if "exercises" not in path.parts]
    assert [path.name for path in inner if len(path.read_text("utf-8").splitlines()) > 300] == []
    assert sum(map(lines, inner)) <= 5_900


# ---------------------------------------------------------------- without assertions


def test_nothing_in_the_library_relies_on_assert():
    """``python -O`` takes them out."""
    trees = {path.name: ast.parse(path.read_text("utf-8")) for path in FILES}
    assert not [
        name for name, tree in trees.items() if any(isinstance(n, ast.Assert) for n in ast.walk(tree))
    ]


OPTIMIZED = """
import mad_max_lib as mm, torch
from mad_max_lib.exercises import chapter_01, verdict
assert False, "taken out"
regions = mm.partition(torch.relu)
regions.check()
regions.bounds = (-1, 1, -1, 1.1)
try:
    regions.check()
except AssertionError as error:
    print(error)
mm.check("1.1", [-1.0, -1.0])
print(verdict("1.3", lambda f, slope, u: (slope(u), f(u))))
"""


def test_wrong_things_are_refused_without_assertions_too():
    proof, first, second = python(OPTIMIZED, "-O")
    assert "the regions do not tile the rectangle" in proof
    assert first.startswith("Exercise 1.1: not yet right") and second.endswith("?")
