"""What `/healthz`, `/readyz`, `/metrics` and `/loglevel` answer (operations:§3, metrics:SRV-01)."""

from dataclasses import dataclass, replace

import pytest

from flagger_py.http.server.messages import Request, Response
from flagger_py.web import Endpoints


@dataclass(frozen=True)
class Check:
    name: str
    ready: bool
    message: str = ""
    optional: bool = False


class Level:
    def __init__(self) -> None:
        self.level = "info"

    def get(self) -> str:
        return self.level

    def set(self, level: str) -> None:
        if level not in ("info", "debug"):
            raise ValueError(f"log level {level!r} is unknown")
        self.level = level


READY = Check("watches", ready=True)
UNREADY = Check("crd", ready=False, message="apply deploy/crds/canaries.yaml")
OPTIONAL = Check("controllerrevisions", ready=False, message="no right to create", optional=True)

ENDPOINTS = Endpoints(problem=lambda: "", checks=lambda: [READY], metrics=lambda: b"flagger_info 1\n", log_level=Level())


async def ask(path: str, endpoints: Endpoints = ENDPOINTS, *, method: str = "GET", query: str = "") -> Response:
    return await endpoints(Request(method, path, query))


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_healthz_is_ok_for_any_method(method: str) -> None:
    """operations:§3"""
    answer = await ask("/healthz", method=method)
    assert (answer.status, answer.body) == (200, b"OK")


async def test_healthz_fails_for_what_only_a_restart_cures() -> None:
    answer = await ask("/healthz", replace(ENDPOINTS, problem=lambda: "task watch-canaries has ended"))
    assert (answer.status, answer.body) == (500, b"task watch-canaries has ended\n")


async def test_health_does_not_depend_on_readiness() -> None:
    """operations:OPS-03"""
    assert (await ask("/healthz", replace(ENDPOINTS, checks=lambda: [UNREADY]))).status == 200


async def test_readyz_is_ok_while_nothing_but_optional_things_are_missing() -> None:
    answer = await ask("/readyz", replace(ENDPOINTS, checks=lambda: [READY, OPTIONAL]))
    assert (answer.status, answer.body) == (200, b"OK")


async def test_readyz_names_what_is_not_ready() -> None:
    answer = await ask("/readyz", replace(ENDPOINTS, checks=lambda: [READY, UNREADY]))
    assert answer.status == 503
    assert answer.body == b"[-]crd failed: apply deploy/crds/canaries.yaml\nreadyz check failed\n"


async def test_verbose_readyz_lists_everything() -> None:
    answer = await ask("/readyz", replace(ENDPOINTS, checks=lambda: [READY, OPTIONAL]), query="verbose")
    assert answer.status == 200
    assert answer.body == b"[+]watches ok\n[!]controllerrevisions missing: no right to create\nreadyz check passed\n"


async def test_metrics_come_in_the_text_format() -> None:
    answer = await ask("/metrics")
    assert (answer.status, answer.body, answer.content_type) == (200, b"flagger_info 1\n", "text/plain; version=0.0.4; charset=utf-8")


async def test_other_paths_are_not_found() -> None:
    assert (await ask("/")).status == 404


def change(body: bytes, *, peer: str = "127.0.0.1", host: str = "localhost:8080", method: str = "PUT") -> Request:
    return Request(method, "/loglevel", headers={"host": host}, body=body, peer=peer)


@pytest.mark.parametrize(
    ("peer", "host"),
    [("127.0.0.1", "localhost:8080"), ("::1", "[::1]:8080"), ("::ffff:127.0.0.1", "127.0.0.1:8080"), ("127.0.0.1", "localhost")],
)
async def test_the_log_level_can_be_read_and_changed_over_loopback(peer: str, host: str) -> None:
    level = Level()
    endpoints = replace(ENDPOINTS, log_level=level)
    assert (await ask("/loglevel", endpoints)).body == b"info\n"
    assert (await endpoints(change(b"debug\n", peer=peer, host=host))).body == b"debug\n"
    assert level.level == "debug"


@pytest.mark.parametrize(
    ("peer", "host"),
    [
        pytest.param("10.0.0.7", "localhost:8080", id="another machine"),
        pytest.param("", "localhost:8080", id="a peer that is not known"),
        pytest.param("127.0.0.1", "evil.example:8080", id="a name rebound to loopback"),
        pytest.param("127.0.0.1", "", id="no host"),
    ],
)
async def test_the_log_level_cannot_be_changed_from_elsewhere(peer: str, host: str) -> None:
    level = Level()
    answer = await replace(ENDPOINTS, log_level=level)(change(b"debug", peer=peer, host=host))
    assert (answer.status, level.level) == (403, "info")


async def test_an_unknown_level_is_refused_by_name() -> None:
    answer = await ENDPOINTS(change(b"loud"))
    assert (answer.status, answer.body) == (400, b"log level 'loud' is unknown\n")


async def test_a_post_is_refused_because_a_web_page_could_send_it() -> None:
    answer = await ENDPOINTS(change(b"debug", method="POST"))
    assert (answer.status, answer.headers) == (405, (("allow", "GET, HEAD, PUT"),))
