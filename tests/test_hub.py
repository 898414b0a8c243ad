"""The hub of the README: two students log in, work in folders of their own, and cannot take all memory."""

import json
import os
import re
import shutil
import sys
from pathlib import Path

import nbformat
import pytest
from helpers import ask, free_port, served
from jupyter_client.session import Session

from mad_max_lib.book import publish

pytest.importorskip("jupyterhub", reason="the Python package jupyterhub is missing")
websocket = pytest.importorskip("websocket", reason="the Python package websocket-client is missing")
PROXY = shutil.which("configurable-http-proxy")
pytestmark = pytest.mark.skipif(PROXY is None, reason="the program configurable-http-proxy is missing")

ROOT = publish.NOTEBOOKS.parent
STUDENTS = ["ann", "ben"]
CHAPTER = "05_one_matrix_and_one_vector.ipynb"


@pytest.fixture
def hub(tmp_path):
    """The README's hub on free ports; its address."""
    config = re.search(r"```py\n(book = .*?)```", (ROOT / "README.md").read_text("utf-8"), re.S)[1]
    ports = [free_port() for _ in range(3)]
    for old, new in {"/srv/book": str(ROOT), "/srv/students": str(tmp_path), ":8000": f":{ports[0]}"}.items():
        assert old in config
        config = config.replace(old, new)
    config += f"""
c.JupyterHub.hub_port = {ports[1]}
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{ports[2]}"
c.Spawner.args = ["--allow-root"]
c.JupyterHub.services = [{{"name": "test", "api_token": "secret-of-the-test"}}]
scopes = ["access:servers", "admin:servers"]
c.JupyterHub.load_roles = [{{"name": "test", "services": ["test"], "scopes": scopes}}]
"""
    (tmp_path / "jupyterhub_config.py").write_text(config)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    address = f"http://127.0.0.1:{ports[0]}"
    line = [sys.executable, "-m", "jupyterhub", "-f", "jupyterhub_config.py"]
    environment = os.environ | {"PATH": path}
    with served(
        line, lambda: ask(f"{address}/hub/api/"), tmp_path / "log.txt", cwd=tmp_path, env=environment
    ):
        yield address


class Kernel:
    """A kernel of one student's server, asked over the hub's proxy."""

    def __init__(self, hub, student):
        kernels = f"{hub}/user/{student}/api/kernels"
        token = {"Authorization": "token secret-of-the-test"}
        name = ask(kernels, "POST", **token)["id"]
        where = f"{kernels.replace('http', 'ws')}/{name}/channels"
        self.socket = websocket.create_connection(where, timeout=300, header=token)

    def run(self, code):
        """What the code prints; the error's name where it fails."""
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}}
        message = Session().msg("execute_request", content) | {"channel": "shell"}
        self.socket.send(json.dumps(message, default=str))
        said = ""
        while True:
            frame = self.socket.recv()
            answer = json.loads(frame) if isinstance(frame, str) else {"parent_header": {}}  # else a picture
            if answer["parent_header"].get("msg_id") != message["msg_id"]:
                continue
            match answer["msg_type"], answer["content"]:
                case "stream", {"text": text}:
                    said += text
                case "display_data", {"data": {"text/plain": text}}:
                    said += text
                case "error", {"ename": error}:
                    said += error
                case "status", {"execution_state": "idle"}:
                    return said


def test_two_students_at_once(hub, tmp_path):
    from test_browser import CHROMIUM, FLAGS, playwright

    if CHROMIUM is None:
        pytest.skip("neither Chromium nor Google Chrome is installed")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for student in STUDENTS:
            page = browser.new_context().new_page()
            page.goto(hub)
            page.fill("input[name=username]", student)
            page.fill("input[name=password]", "splines")
            page.click("input[type=submit]")
            page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=120_000)
            assert f"/user/{student}/lab/tree/notebooks/00_start_here.ipynb" in page.url
        browser.close()

    ann, ben = (Kernel(hub, student) for student in STUDENTS)
    assert ann.run("import os; print(os.environ['OMP_NUM_THREADS'], os.getcwd())").split()[0] == "1"
    assert ann.run("x = bytearray(3 * 2**30)") == "MemoryError"
    ann.run("open('mine.txt', 'w').write('mine')")
    assert list((tmp_path / "ann").rglob("mine.txt"))
    assert ben.run("import os; print(os.path.exists('mine.txt'))") == "False\n"
    nb = nbformat.read(tmp_path / "ben" / "notebooks" / CHAPTER, as_version=4)
    said = [ben.run(cell.source) for cell in nb.cells if cell.cell_type == "code"]
    assert not [words for words in said if "Error" in words]
    assert sum("Checked: " in words for words in said) > 3
