"""The bench counts what the server says was asked of it."""

from pathlib import Path

import orjson
import pytest

from tests.bench.audit import AuditLog

FIRST: dict[str, object] = {
    "kind": "Event",
    "level": "Metadata",
    "stage": "ResponseComplete",
    "requestURI": "/apis/flagger.app/v1beta1/namespaces/bench/canaries/web/status?fieldManager=flagger",
    "verb": "patch",
    "userAgent": "flagger-py/0.1.0 replica",
    "objectRef": {"resource": "canaries", "namespace": "bench", "name": "web", "subresource": "status"},
    "responseStatus": {"code": 200},
    "requestReceivedTimestamp": "2026-01-01T00:00:00.250000Z",
    "stageTimestamp": "2026-01-01T00:00:00.500000Z",
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "audit.log"
    file.touch()
    return file


def write(path: Path, *events: dict[str, object]) -> None:
    with path.open("ab") as log:
        log.writelines(orjson.dumps(event) + b"\n" for event in events)


def test_a_request_tells_what_was_asked_and_when(path: Path) -> None:
    log = AuditLog(path, "flagger-py")
    write(path, FIRST)
    (request,) = log.read()
    assert (request.what, request.name, request.code, request.is_write) == ("patch canaries/status", "web", 200, True)
    assert request.answered - request.received == pytest.approx(0.25)


def test_only_the_controller_is_counted_and_only_from_when_the_log_is_opened(path: Path) -> None:
    write(path, FIRST)
    log = AuditLog(path, "flagger-py")
    write(path, {**FIRST, "userAgent": "bench-driver"}, {**FIRST, "userAgent": "kubectl for flagger-py"})
    assert log.read() == []


def test_a_watch_counts_once_when_it_is_opened_with_the_time_it_was_asked_to_last(path: Path) -> None:
    log = AuditLog(path, "flagger-py")
    watch = {
        **FIRST,
        "verb": "watch",
        "requestURI": "/api/v1/services?watch=true&timeoutSeconds=290",
        "objectRef": {"resource": "services"},
    }
    write(path, {**watch, "stage": "ResponseStarted"}, {**watch, "stage": "ResponseComplete"})
    (request,) = log.read()
    assert (request.is_watch, request.watch_seconds) == (True, 290)


def test_a_line_that_is_still_being_written_is_read_when_it_is_whole(path: Path) -> None:
    log = AuditLog(path, "flagger-py")
    line = orjson.dumps(FIRST) + b"\n"
    path.write_bytes(line[:40])
    assert log.read() == []
    path.write_bytes(line)
    assert len(log.read()) == 1


def test_a_request_for_no_object_is_named_by_its_path(path: Path) -> None:
    log = AuditLog(path, "flagger-py")
    write(path, {**FIRST, "verb": "get", "objectRef": None, "requestURI": "/version?timeout=10s"})
    assert [request.what for request in log.read()] == ["get /version"]
