"""What the image contains: the install steps, run into a folder, and used as Flagger's chart uses them (operations:§9, OPS-29)."""

import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

DEPLOY = Path(__file__).parents[3] / "deploy"
CHART = (
    "-log-level=info",
    "-metrics-server=http://prometheus:9090",
    "-mesh-provider=istio",
    "-enable-config-tracking=true",
    "-slack-user=flagger",
)
"""What Flagger's chart passes by default."""
PROBE = ("--quiet", "--tries=1", "--timeout=4", "--spider")


class Answering(BaseHTTPRequestHandler):
    """Answers HEAD with the status that the path names."""

    def do_HEAD(self) -> None:
        self.send_response(int(self.path.strip("/")))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    listening = HTTPServer(("127.0.0.1", 0), Answering)
    thread = Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{listening.server_port}"
    listening.shutdown()
    thread.join()
    listening.server_close()


def wget(*arguments: str) -> int:
    """The exit code of our wget."""
    return subprocess.run(
        [sys.executable, "-IS", str(DEPLOY / "wget.py"), *arguments], check=False, capture_output=True, timeout=10
    ).returncode


@pytest.mark.parametrize(("status", "code"), [(200, 0), (204, 0), (404, 8), (503, 8)])
def test_wget_tells_a_good_answer_from_a_bad_one(server: str, status: int, code: int) -> None:
    assert wget(*PROBE, f"{server}/{status}") == code


@pytest.mark.parametrize("options", [("-q", "-t", "1", "-T", "4", "--spider"), ("--quiet", "--tries=1", "--timeout=2", "--spider")])
def test_wget_takes_the_options_of_the_chart_and_of_the_overlays(server: str, options: tuple[str, ...]) -> None:
    """operations:§9: the chart gives 4 s, kustomize 2 s."""
    assert wget(*options, f"{server}/200") == 0


def test_wget_says_that_nobody_answers() -> None:
    assert wget(*PROBE, "http://127.0.0.1:1/healthz") == 4


@pytest.mark.parametrize("arguments", [(), ("--spider",), ("http://127.0.0.1:1/",), ("--spider", "--post-data=x", "http://127.0.0.1:1/")])
def test_wget_refuses_what_it_cannot_do(arguments: tuple[str, ...]) -> None:
    assert wget(*arguments) == 2


def test_the_installed_wget_runs_without_the_environment(installed: Path, server: str) -> None:
    command = [str(installed / "usr/local/bin/wget"), *PROBE, f"{server}/200"]
    assert subprocess.run(command, check=False, env={}, timeout=10).returncode == 0


def test_the_command_of_flaggers_chart_works_in_its_folder(installed: Path, offline: dict[str, str]) -> None:
    """operations:§9: `command: ./flagger`."""
    command = ["./flagger", *CHART, "-version"]
    done = subprocess.run(command, check=False, cwd=installed, env=offline, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout[:11]) == (0, "flagger-py ")


def test_it_lives_under_flaggers_chart_while_the_cluster_is_away(installed: Path, offline: dict[str, str], tmp_path: Path) -> None:
    """operations:§9, operations:OPS-03: the chart's arguments and its probe; nothing is written; SIGTERM ends it with 0 (OPS-05)."""
    port = free_port()
    arguments = [*CHART, f"-port={port}", "-master=http://127.0.0.1:1"]
    before = files(installed)
    environment = offline | {"PYTHONDONTWRITEBYTECODE": "1"}
    with (tmp_path / "log").open("wb") as output:
        process = subprocess.Popen(["./flagger", *arguments], cwd=installed, env=environment, stdout=output, stderr=output)
        try:
            probe = [str(installed / "usr/local/bin/wget"), *PROBE, f"http://localhost:{port}/healthz"]
            assert until_it_succeeds(probe, process), (tmp_path / "log").read_text()
            assert wget(*PROBE, f"http://localhost:{port}/readyz") == 8
            process.terminate()
            assert process.wait(timeout=10) == 0
        finally:
            process.kill()
            process.wait()
    assert files(installed) == before
    assert all(line.startswith('{"level":') for line in (tmp_path / "log").read_text().splitlines())


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def files(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def until_it_succeeds(command: list[str], process: subprocess.Popen[bytes], limit: float = 20) -> bool:
    """Repeat a probe until it succeeds, the process ends, or the limit in seconds is over."""
    end = time.monotonic() + limit
    while process.poll() is None and time.monotonic() < end:
        if subprocess.run(command, check=False, capture_output=True, timeout=10).returncode == 0:
            return True
        time.sleep(0.05)
    return False


def test_the_image_installs_what_is_pinned_with_hashes() -> None:
    """design §10"""
    pattern = re.compile(r"^([a-z0-9-]+)==(\S+)", re.MULTILINE)
    hashed = dict(pattern.findall((DEPLOY / "requirements.txt").read_text()))
    pins = {
        name.lower().replace("_", "-"): version
        for name, version in re.findall(r"(?m)^(\S+)==(\S+)$", (DEPLOY.parent / "constraints.txt").read_text())
    }
    assert hashed
    assert {name: pins.get(name) for name in hashed} == hashed
    required = re.findall(r'(?m)^  "([A-Za-z0-9-]+)>=', (DEPLOY.parent / "pyproject.toml").read_text().partition("[project.optional")[0])
    assert {name.lower() for name in required} <= hashed.keys()


def test_the_image_runs_as_nobody_in_particular_and_starts_flagger() -> None:
    """operations:§15, operations:OPS-33"""
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    assert "USER 10001:10001" in lines
    assert 'ENTRYPOINT ["./flagger"]' in lines
    assert "WORKDIR /" in lines
    assert sum(line.startswith("FROM ") for line in lines) == 2
