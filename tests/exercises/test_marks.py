"""nbgrader's whole way on two chapters of the student edition: hand out, hand in, mark, give back."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from test_solved_chapter import solve

from mad_max_lib.book import editions

pytest.importorskip("nbgrader", reason="the Python package nbgrader is missing")
CHAPTERS = ["01_max_affine_splines", "03_network_operators_as_masos"]


def nbgrader(course, *words, refused=False, **environment):
    """Run one of nbgrader's commands in the course's folder, as the page for teachers says."""
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", *words], cwd=course, env={**os.environ, **environment},
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == refused, done.stderr[-3000:]


def numbered(nb, number):
    """The cell that checks an exercise."""
    return next(
        cell for cell in nb.cells if f'mm.check("{number}"' in cell.source and "nbgrader" in cell.metadata
    )


def test_marks_are_those_that_students_deserve(tmp_path, monkeypatch):
    # nbgrader starts programs of its environment by name
    monkeypatch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    student, course = tmp_path / "student", tmp_path / "course"
    editions.main(["student", str(student)])
    (course / "source" / "week1").mkdir(parents=True)
    for name in CHAPTERS:
        shutil.copy(student / f"{name}.ipynb", course / "source" / "week1")
    nbgrader(course, "generate_assignment", "week1", "--create")

    def hand_in(who, change):
        folder = course / "submitted" / who / "week1"
        folder.mkdir(parents=True)
        for name in CHAPTERS:
            nb = nbformat.read(course / "release" / "week1" / f"{name}.ipynb", as_version=4)
            change(nb, name)
            nbformat.write(nb, folder / f"{name}.ipynb")

    def right(nb, name):
        solve(nb)

    def partly(nb, name):  # two exercises of each chapter are not solved
        solve(nb, but=[f"{int(name[:2])}.{i}" for i in (1, 3)])

    def careless(nb, name):  # one check deleted, one typed anew, one told what to say
        solve(nb, but=["3.1", "3.3"])
        if name.startswith("03"):
            nb.cells.remove(numbered(nb, "3.2"))
            numbered(nb, "3.4").metadata = nbformat.from_dict({"tags": ["check"]})
            numbered(nb, "3.1").source = "print('Exercise 3.1: correct.')"

    def renaming(nb, name):  # only by editing the notebook's file
        if name.startswith("03"):
            numbered(nb, "3.4").metadata.nbgrader.grade_id = "mine"

    for who, change in (("right", right), ("partly", partly), ("careless", careless)):
        hand_in(who, change)
    nbgrader(course, "autograde", "week1", MAD_MAX_STRICT="1")
    nbgrader(course, "generate_feedback", "week1")
    hand_in("renaming", renaming)
    nbgrader(course, "autograde", "week1", refused=True, MAD_MAX_STRICT="1")  # and marks nobody else anew
    assert marks(course) == {
        "right": {CHAPTERS[0]: 5, CHAPTERS[1]: 6},
        "partly": {CHAPTERS[0]: 3, CHAPTERS[1]: 4},
        "careless": {CHAPTERS[0]: 5, CHAPTERS[1]: 2},  # what is not checked counts zero
        "renaming": {CHAPTERS[0]: 0, CHAPTERS[1]: 0},
    }
    told = (course / "feedback" / "partly" / "week1" / f"{CHAPTERS[1]}.html").read_text("utf-8")
    assert "Exercise 3.1: not attempted yet" in told
    # after an unsolved exercise the chapter goes on: no cell fails but its check
    path = course / "autograded" / "partly" / "week1" / f"{CHAPTERS[1]}.ipynb"
    failed = [
        cell.metadata.get("nbgrader", {}).get("grade_id")
        for cell in nbformat.read(path, as_version=4).cells
        if any(output.output_type == "error" for output in cell.get("outputs", []))
    ]
    assert failed == ["check-3-1", "check-3-3"]


def marks(course):
    """The marks of each student and notebook."""
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        return {
            student.id: {nb.name: nb.score for nb in book.find_submission("week1", student.id).notebooks}
            for student in book.students
        }
