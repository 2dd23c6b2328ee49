"""The two ways to download, against a server of this machine."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from dashfusion_models.records import Progress
from dashfusion_models.weights.fetch import download
from dashfusion_models.weights.known import Weight, WeightFile


class _Hub(BaseHTTPRequestHandler):
    """Answers as the model hub does, for any repository that has model.bin."""

    asked: list[tuple[str, str | None]] = []  # noqa: RUF012

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        self.asked.append((self.path, self.headers.get("authorization")))
        found = self.path.endswith("/model.bin") or self.path == "/single.pt"
        data = b"good" if found else b"no such file"
        self.send_response(200 if found else 404)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def hub() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_file_is_downloaded_by_its_address(hub: str, tmp_path: Path) -> None:
    heard: list[Progress] = []
    weight = Weight(
        name="single",
        purpose="tests",
        licence="MIT",
        size_bytes=4,
        files=(WeightFile(name="single.pt"),),
        single=True,
        url=f"{hub}/single.pt",
    )
    download(weight, tmp_path, heard.append)
    assert (tmp_path / "single.pt").read_bytes() == b"good"
    assert heard[-1] == Progress("download single", 4.0, 4.0, "B")


def test_a_folder_is_downloaded_from_the_hub_without_a_token(hub: str, tmp_path: Path) -> None:
    """In a process of its own: the hub's client reads the environment when it is imported."""
    code = (
        "import sys, json\nfrom pathlib import Path\n"
        "from dashfusion_models.weights.fetch import download\n"
        "from dashfusion_models.weights.known import Weight, WeightFile\n"
        "weight = Weight(name='u', purpose='', licence='', size_bytes=4, hub='nobody/nothing',\n"
        "    revision='main', files=(WeightFile(name='model.bin'),))\n"
        "heard = []\n"
        "download(weight, Path(sys.argv[1]), lambda p: heard.append(p.done))\n"
        "print(json.dumps([heard[-1:], sorted(p.name for p in Path(sys.argv[1]).iterdir())]))\n"
    )
    roots = str(Path(__file__).parents[3] / "models")
    folder = tmp_path / "folder"
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": roots,
            "HF_ENDPOINT": hub,
            "HF_TOKEN": "secret",
            "HF_HOME": str(tmp_path / "hf"),
            "HF_HUB_OFFLINE": "0",
        },
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[4.0], ["model.bin"]]
    assert (folder / "model.bin").read_bytes() == b"good"
    assert {token for path, token in _Hub.asked if "nobody" in path} == {None}
