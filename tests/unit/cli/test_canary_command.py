"""`flagger-py canary`: what is sent to an API server, and how its answers are told. The commands are tested with the controller."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from flagger_py import cli
from flagger_py.api.commands import Verb
from flagger_py.kube.contexts import namespace_of_context

PATH = "/apis/flagger.app/v1beta1/namespaces/shop/canaries/web"


class ApiServer:
    """One Canary; a patch is answered as the controller would acknowledge it."""

    def __init__(self, result: str) -> None:
        self.result = result
        self.annotations: dict[str, str] = {}
        self.paths: set[str] = set()

    def canary(self) -> dict[str, Any]:
        rollout: dict[str, Any] = {"version": 1, "run": "abc"}
        if (text := self.annotations.get("flagger.app/command")) and self.result:
            rollout["command"] = {**json.loads(text), "result": self.result}
        status = {"phase": "Progressing", "canaryWeight": 20, "rollout": rollout}
        metadata = {"name": "web", "namespace": "shop", "annotations": self.annotations}
        return {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": metadata, "status": status}


@contextmanager
def serving(result: str, folder: Path) -> Iterator[tuple[ApiServer, str]]:
    """The server, and a kubeconfig for it."""
    state = ApiServer(result)

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            state.paths.add(self.path.partition("?")[0])
            length = int(self.headers.get("content-length") or 0)
            if length:
                state.annotations |= json.loads(self.rfile.read(length))["metadata"]["annotations"]
            found = self.path.partition("?")[0] == PATH
            body = json.dumps(state.canary() if found else {"kind": "Status", "message": "no such canary", "reason": "NotFound"}).encode()
            self.send_response(200 if found else 404)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PATCH = _answer  # noqa: N815 - the base class names them

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield state, kubeconfig(folder, f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def kubeconfig(folder: Path, server: str, namespace: str = "shop") -> str:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [
            {"name": "here", "context": {"cluster": "c", "user": "u", "namespace": namespace}},
            {"name": "bare", "context": {"cluster": "c", "user": "u"}},
        ],
    }
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return str(path)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, ["canary", *arguments])


@pytest.mark.parametrize("verb", Verb)
def test_the_annotation_names_the_run_under_way_and_the_answer_is_told(verb: Verb, tmp_path: Path) -> None:
    with serving("done", tmp_path) as (server, path):
        result = run(verb.value, "web", "--kubeconfig", path)
    assert (result.exit_code, result.output) == (0, f"Canary shop/web: {verb} done; Progressing, canary weight 20, run abc\n")
    sent = json.loads(server.annotations["flagger.app/command"])
    assert (sent["verb"], sent["run"], len(sent["id"])) == (verb.value, "abc", 36)


def test_a_refusal_exits_1_and_a_silence_3(tmp_path: Path) -> None:
    with serving("refused: the promotion has begun", tmp_path) as (_, path):
        result = run("abort", "web", "-n", "shop", "--kubeconfig", path, "--run", "abc")
    assert (result.exit_code, result.output) == (1, "Canary shop/web: abort refused: the promotion has begun\n")
    with serving("", tmp_path) as (_, path):
        result = run("abort", "web", "--kubeconfig", path, "--timeout", "0.1")
    assert result.exit_code == 3
    assert "abort is not acknowledged after 0.1 s: is a controller running" in result.output


def test_what_does_not_exist_is_named(tmp_path: Path) -> None:
    with serving("done", tmp_path) as (_, path):
        result = run("abort", "nope", "--kubeconfig", path)
    assert result.exit_code == 1
    assert "Canary shop/nope" in result.output
    result = run("abort", "web", "--kubeconfig", str(tmp_path / "nothing"))
    assert result.exit_code == 1
    assert "nothing" in result.output


def test_the_verbs_are_listed_with_what_they_do() -> None:
    output = run("--help").output
    assert all(f"\n  {verb} " in output for verb in Verb)
    assert "..." not in output.partition("Commands:")[2], "each line is whole"


def test_the_namespace_is_that_of_the_context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = kubeconfig(tmp_path, "http://localhost")
    assert namespace_of_context(path) == "shop"
    assert namespace_of_context(path, "bare") == "default"
    assert namespace_of_context(f"{tmp_path / 'missing'}:{path}") == "shop"
    monkeypatch.setenv("KUBECONFIG", path)
    assert namespace_of_context() == "shop"
    (tmp_path / "kubeconfig").write_text("[")
    assert namespace_of_context(path) == "default"
