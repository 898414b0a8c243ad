"""Code and notebooks follow the rules of pyproject.toml; the code has one form, that of ``ruff format``."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CODE = [ROOT / "mad_max_lib", ROOT / "tests", ROOT / "book.py", ROOT / "notebooks" / "conftest.py"]


@pytest.mark.parametrize(
    "command",
    [["check", ROOT], ["check", "--select", "E501", *CODE], ["format", "--check", *CODE]],
    ids=["rules", "lines of 110 characters", "form"],
)
def test_ruff_finds_nothing(command):
    run = subprocess.run([sys.executable, "-m", "ruff", *command], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
