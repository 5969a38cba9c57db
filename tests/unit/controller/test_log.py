"""The log of the process (operations:§5)."""

import json
import logging
import re
from io import StringIO
from typing import Any

import pytest
import structlog

from flagger_py.controller import log
from flagger_py.controller.log import Level, Sampling


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def lines(stream: StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_json_with_flaggers_keys() -> None:
    """operations:§5, operations:OPS-13"""
    stream = StringIO()
    log.configure("info", "json", stream)
    structlog.get_logger().warning("weight_changed", canary="web.test", canary_weight=20)
    (line,) = lines(stream)
    assert list(line) == ["level", "ts", "caller", "msg", "canary", "canary_weight"]
    assert (line["level"], line["msg"], line["canary"], line["canary_weight"]) == ("warn", "weight_changed", "web.test", 20)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["ts"])
    assert re.fullmatch(r"controller/test_log\.py:\d+", line["caller"])


def test_what_a_task_has_bound_is_on_its_lines() -> None:
    stream = StringIO()
    log.configure("info", "json", stream)
    with structlog.contextvars.bound_contextvars(canary="web.test"):
        structlog.get_logger().info("pass_done")
    assert lines(stream)[0]["canary"] == "web.test"


def test_an_exception_comes_with_its_stacktrace_and_without_local_variables() -> None:
    for log_format in ("json", "console"):
        stream = StringIO()
        log.configure("info", log_format, stream)
        password = "p4ssw0rd"
        try:
            int("no number")
        except ValueError:
            structlog.get_logger().exception("pass_failed")
        assert "Traceback" in stream.getvalue()
        assert password not in stream.getvalue()
        if log_format == "json":
            assert (lines(stream)[0]["level"], "stacktrace" in lines(stream)[0]) == ("error", True)


@pytest.mark.parametrize(
    ("level", "written"),
    [
        ("debug", ["debug", "info", "warn", "error", "fatal"]),
        ("info", ["info", "warn", "error", "fatal"]),
        ("warn", ["warn", "error", "fatal"]),
        ("warning", ["warn", "error", "fatal"]),
        ("error", ["error", "fatal"]),
        ("fatal", ["fatal"]),
        ("panic", ["fatal"]),
        ("loud", ["info", "warn", "error", "fatal"]),
    ],
)
def test_a_level_lets_itself_and_what_is_above_it_through(level: str, written: list[str]) -> None:
    """operations:§1: unknown words are info; `warning` works, unlike in Flagger."""
    stream = StringIO()
    log.configure(level, "json", stream)
    logger = structlog.get_logger()
    for method in (logger.debug, logger.info, logger.warning, logger.error, logger.critical):
        method("x")
    assert [line["level"] for line in lines(stream)] == written


def test_the_level_can_be_changed_while_the_process_runs() -> None:
    stream = StringIO()
    level = log.configure("info", "json", stream)
    logger = structlog.get_logger()
    logger.debug("before")
    level.set("debug")
    logger.debug("after")
    assert [line["msg"] for line in lines(stream)] == ["after"]
    assert level.get() == "debug"


def test_a_word_that_is_no_level_is_refused_at_run_time() -> None:
    with pytest.raises(ValueError, match="log level 'loud' is unknown: use debug, info, warn, warning, error, fatal, panic"):
        Level("info").set("loud")


@pytest.mark.parametrize(
    ("log_format", "stream", "is_json"),
    [
        ("json", Terminal(), True),
        ("console", StringIO(), False),
        ("auto", StringIO(), True),
        ("auto", Terminal(), False),
    ],
)
def test_the_format_is_as_asked_and_auto_goes_by_the_terminal(log_format: str, stream: StringIO, is_json: bool) -> None:
    log.configure("info", log_format, stream)
    structlog.get_logger().info("weight_changed", canary="web.test")
    assert stream.getvalue().startswith("{") is is_json
    assert "weight_changed" in stream.getvalue()


def test_other_libraries_are_in_the_same_form_from_warnings_on() -> None:
    """At debug, Kubernetes clients log bodies with tokens in them."""
    stream = StringIO()
    log.configure("debug", "json", stream)
    logging.getLogger("kubernetes_asyncio.client.rest").debug("response body: %s", "s3cret")
    logging.getLogger("asyncio").warning("slow %s", "task")
    (line,) = lines(stream)
    assert (line["level"], line["msg"]) == ("warn", "slow task")
    assert list(line)[:4] == ["level", "ts", "caller", "msg"]


@pytest.mark.parametrize("name", ["token", "authorization", "password", "headers", "secret"])
def test_values_under_secret_names_are_hidden(name: str) -> None:
    stream = StringIO()
    log.configure("info", "json", stream)
    structlog.get_logger().info("x", **{name: "s3cret"})
    assert lines(stream)[0][name] == "***"


def test_values_that_json_cannot_hold_are_written_as_text() -> None:
    stream = StringIO()
    log.configure("info", "json", stream)
    structlog.get_logger().info("x", path=re.compile("a"))
    assert lines(stream)[0]["path"] == "re.compile('a')"


def test_a_line_that_comes_too_often_is_sampled_each_second() -> None:
    """operations:§5: the first 100 with one level and message, then every 100th."""
    seconds = 0.0
    sampling = Sampling(lambda: seconds)

    def kept(lines: int, method: str = "info", event: str = "watch_broken") -> int:
        return sum(_is_kept(sampling, method, event) for _ in range(lines))

    assert kept(350) == 102
    assert kept(20, method="warning") == kept(20, event="other") == 20
    seconds = 1.5
    assert kept(100) == 100


def _is_kept(sampling: Sampling, method: str, event: str) -> bool:
    try:
        sampling(None, method, {"event": event})
    except structlog.DropEvent:
        return False
    return True
