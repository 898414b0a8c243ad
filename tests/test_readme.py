"""The README's code runs, and what it links to is there."""

import re
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"


def test_the_code_does_what_its_comments_say():
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.S)
    names = {}
    exec(compile(code, "README.md", "exec"), names)
    A, b, x, model = (names[name] for name in ("A", "b", "x", "model"))
    assert A.shape == (5, 3, 2) and ((A @ x[..., None])[..., 0] + b - model(x)).abs().max() < 1e-5
    assert names["codes"][0].shape == (5, 16) and names["apart"].shape == (5, 5)
    assert 0 < (names["soft"](x) - model(x)).abs().max() < 1
    assert len(names["regions"]) > 16 and names["segments"].shape[1:] == (2, 2)


def test_links_lead_somewhere():
    links = re.findall(r"\]\(([^)]+)\)", README.read_text("utf-8"))
    inside = [link for link in links if not link.startswith("https://")]
    assert len(inside) > 8 and not [link for link in inside if not (README.parent / link).exists()]
