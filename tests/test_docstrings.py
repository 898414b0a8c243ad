"""Every public docstring ends with the chapter of the book that builds the thing, or uses it first."""

import inspect
import re
from pathlib import Path

import pytest

import mad_max_lib as mm

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
LINE = re.compile(
    r"(Built in chapters? [0-9]{2}(, [0-9]{2})*( and [0-9]{2})?|Used from chapter [0-9]{2} on)\."
)
INSIDE = {"numbered": "show", "png": "show"}  # reached through another function


def public(module):
    """The functions and classes that a module defines, by name."""
    members = inspect.getmembers(module, lambda member: inspect.isfunction(member) or inspect.isclass(member))
    return {name: it for name, it in members if it.__module__ == module.__name__ and not name.startswith("_")}


MODULES = {name: public(getattr(mm, name)) for name in ("operators", "data", "figures")}
PUBLIC = {name: getattr(mm, name) for name in mm.__all__ if name not in MODULES}
PUBLIC |= {f"{module}.{name}": it for module, members in MODULES.items() for name, it in members.items()}


def chapters(text):
    """The chapters that a docstring's last line names; none if it has no such line."""
    last = inspect.cleandoc(text).splitlines()[-1]
    return re.findall("[0-9]{2}", last) if LINE.fullmatch(last) else []


def test_the_form_of_the_last_line():
    assert chapters("It.\n\nBuilt in chapter 23.") == ["23"]
    assert chapters("It.\n\nBuilt in chapters 01 and 03.") == ["01", "03"]
    assert chapters("It.\n\nUsed from chapter 00 on.") == ["00"]
    assert chapters("It.\n\nBuilt in chapter 23.\n\nMore.") == chapters("Built in chapter three.") == []


@pytest.mark.parametrize("name", PUBLIC)
def test_a_docstring_ends_with_its_chapter_and_the_chapter_has_the_name(name):
    numbers = chapters(PUBLIC[name].__doc__)
    assert numbers, f"the docstring of {name} must end with a line such as 'Built in chapter 23.'"
    name = name.split(".")[-1]
    for number in numbers:
        (page,) = NOTEBOOKS.glob(f"{number}_*.ipynb")
        word = rf"\b(mm|op|ops|operators|data|figures)\.{INSIDE.get(name, name)}\b"
        assert re.search(word, page.read_text("utf-8")), f"{page.name} does not mention {name}"
