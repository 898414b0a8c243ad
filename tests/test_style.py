"""The code and the notebooks follow the rules named in pyproject.toml."""

import subprocess
import sys
from pathlib import Path


def test_ruff_finds_nothing():
    root = Path(__file__).resolve().parents[1]
    run = subprocess.run([sys.executable, "-m", "ruff", "check", root], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
