"""The paths of the load tester, byte for byte as Flagger's has them (metrics:LT-10 to LT-42)."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import orjson
import pytest
from structlog.testing import capture_logs

from flagger_py.http.server import Request, Response
from flagger_py.loadtester import runner as runner_module
from flagger_py.loadtester.endpoints import Endpoints
from flagger_py.loadtester.figures import Figures
from flagger_py.loadtester.runner import Runner

CANARY = {"name": "web", "namespace": "shop"}


class Server:
    """A load tester without a port."""

    def __init__(self, runner: Runner, figures: Figures, namespaces: str) -> None:
        self.figures = figures
        self._endpoints = Endpoints(runner, figures, re.compile(namespaces) if namespaces else None)

    async def ask(self, path: str, body: object = None, method: str = "POST", query: str = "") -> Response:
        raw = body if isinstance(body, bytes) else orjson.dumps(body)
        return await self._endpoints(Request(method, path, query, {}, raw))

    async def task(self, **metadata: str) -> tuple[int, str]:
        answer = await self.ask("/", {**CANARY, "metadata": metadata})
        return answer.status, answer.body.decode()

    def count(self, line: str) -> float:
        """A figure of the exposition; 0 where it is not there yet."""
        found = re.search(rf"^flagger_loadtester_tasks_{re.escape(line)} (\S+)$", self.figures.render().decode(), re.MULTILINE)
        return float(found[1]) if found else 0.0

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not holds():  # noqa: ASYNC110 (a condition with a limit)
                await asyncio.sleep(0.01)


@asynccontextmanager
async def running(namespaces: str = "", parallel: int = 10, seconds: float = 30) -> AsyncIterator[Server]:
    figures = Figures()
    runner = Runner(timedelta(seconds=seconds), parallel, figures)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(runner.run())
        try:
            yield Server(runner, figures, namespaces)
        finally:
            task.cancel()


@pytest.fixture
async def tester() -> AsyncIterator[Server]:
    async with running() as found:
        yield found


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
@pytest.mark.parametrize(
    ("path", "status", "body"),
    [("/healthz", 200, "OK"), ("/gate/approve", 200, "OK"), ("/gate/halt", 403, "Forbidden")],
)
async def test_fixed_answers_need_no_payload(tester: Server, method: str, path: str, status: int, body: str) -> None:
    """metrics:LT-10."""
    answer = await tester.ask(path, b"no JSON", method)
    assert (answer.status, answer.body.decode()) == (status, body)


@pytest.mark.parametrize("kind", ["gate", "rollback"])
async def test_a_gate_is_closed_until_it_is_opened_and_stays_open_until_it_is_closed(tester: Server, kind: str) -> None:
    """metrics:LT-20, metrics:LT-21."""
    seen = []
    for verb in ("check", "open", "check", "check", "close", "check"):
        answer = await tester.ask(f"/{kind}/{verb}", CANARY)
        seen.append((answer.status, answer.body.decode()))
    assert seen == [(403, "Forbidden"), (202, ""), (200, "Approved"), (200, "Approved"), (202, ""), (403, "Forbidden")]


async def test_gates_of_rollbacks_and_of_other_canaries_are_others(tester: Server) -> None:
    """metrics:LT-20: keys `<name>.<namespace>` and `rollback.<name>.<namespace>`."""
    await tester.ask("/gate/open", CANARY)
    assert (await tester.ask("/rollback/check", CANARY)).status == 403
    assert (await tester.ask("/gate/check", {**CANARY, "name": "other"})).status == 403
    assert (await tester.ask("/gate/check", {"name": "rollback.web", "namespace": "shop"})).status == 403


@pytest.mark.parametrize("path", ["/gate/check/", "/gate", "/gate/odd", "/rollback/approve", "/anything", "/healthz/"])
async def test_every_other_path_takes_tasks(tester: Server, path: str) -> None:
    """metrics:LT-10."""
    answer = await tester.ask(path, CANARY)
    assert (answer.status, answer.body) == (400, b"metadata not found in payload")


@pytest.mark.parametrize(
    ("path", "location"),
    [("//gate/check", "/gate/check"), ("/gate/./check", "/gate/check"), ("/a/../gate/check/", "/gate/check/"), ("/..", "/")],
)
async def test_a_path_that_is_not_clean_is_moved(tester: Server, path: str, location: str) -> None:
    """metrics:LT-10."""
    answer = await tester.ask(path, CANARY, query="a=b")
    assert (answer.status, answer.body, dict(answer.headers)) == (301, b"", {"location": f"{location}?a=b"})


@pytest.mark.parametrize("path", ["/", "/gate/check", "/gate/open", "/rollback/check"])
@pytest.mark.parametrize("body", [b"", b"[]", b'{"metadata":{"cmd":1}}'])
async def test_a_bad_payload_gets_an_empty_answer_and_a_line_in_the_log(tester: Server, path: str, body: bytes) -> None:
    """metrics:LT-11."""
    with capture_logs() as logs:
        answer = await tester.ask(path, body)
    assert (answer.status, answer.body) == (400, b"")
    assert logs[0]["event"] == "payload_refused"
    assert logs[0]["problem"]


async def test_namespaces_are_matched_anywhere_in_the_name() -> None:
    """metrics:LT-12."""
    async with running(namespaces="shop") as tester:
        assert (await tester.ask("/gate/open", {"name": "web", "namespace": "my-shop-2"})).status == 202
        refused = await tester.ask("/gate/open", {"name": "web", "namespace": "other"})
        assert (refused.status, refused.body) == (403, b"Forbidden")
        assert (await tester.ask("/", {"name": "web", "namespace": "other"})).status == 403
        assert (await tester.ask("/gate/approve")).status == 200


@pytest.mark.parametrize(
    ("metadata", "status", "body"),
    [
        pytest.param({"type": "bash", "cmd": "echo hi"}, 200, "", id="LT-32 output is not returned"),
        pytest.param({"type": "bash", "cmd": "echo hi", "returnCmdOutput": "true"}, 200, "hi\n", id="LT-32 unless it is asked for"),
        pytest.param({"type": "bash", "cmd": "false"}, 500, "command false failed: : exit status 1", id="LT-32 the vector"),
        pytest.param({"type": "bash"}, 200, "", id="LT-31 a missing command is an empty one"),
        pytest.param({"type": "helm", "cmd": "-x"}, 500, "command -x failed: -x\n: exit status 1", id="LT-31 helm"),
        pytest.param({"type": "kubectl", "cmd": "run --o='{ \"a\": 1 }' $HOME"}, 200, "", id="LT-31 quotes"),
        pytest.param({"type": "kubectl", "cmd": "a 'b"}, 400, 'metadata.cmd "a \'b": No closing quotation', id="LT-31 an open quote"),
        pytest.param({"type": "odd", "cmd": "x"}, 400, "unknown task type odd", id="LT-35"),
        pytest.param({"type": ""}, 400, "unknown task type ", id="LT-35 empty"),
        pytest.param({"type": "cmd"}, 400, "cmd not found in metadata", id="LT-30 missing command"),
        pytest.param({"cmd": "false"}, 202, "", id="LT-30 a failure is not told"),
        pytest.param({"cmd": ""}, 202, "", id="LT-30 an empty command"),
        pytest.param(
            {"type": "concord"},
            400,
            "task type concord is not supported by this version yet: use cmd, bash, helm, helmv3, kubectl",
            id="not yet",
        ),
    ],
)
async def test_tasks_are_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metadata: dict[str, str], status: int, body: str
) -> None:
    """metrics:LT-30 to LT-35."""
    _program(tmp_path, "helm", 'printf "%s\\n" "$@"; exit 1')
    _program(tmp_path, "kubectl", '[ "$2" = "--o={ \\"a\\": 1 }" ] && [ "$3" = "\\$HOME" ]')
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    async with running() as tester:
        assert await tester.task(**metadata) == (status, body)


def _program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(("metadata", "shown"), [({}, False), ({"logCmdOutput": "true"}, True), ({"logCmdOutput": "yes"}, False)])
async def test_output_is_logged_where_it_is_asked_for(tester: Server, metadata: dict[str, str], shown: bool) -> None:
    """metrics:LT-30, metrics:LT-33."""
    with capture_logs() as logs:
        await tester.task(cmd="echo seen", **metadata)
        await tester.until(lambda: tester.count('finished_total{result="succeeded",type="cmd"}') == 1)
    finished = next(line for line in logs if line["event"] == "task_finished")
    assert (finished.get("output") == "seen\n") == shown
    assert finished["canary"] == "web.shop"


async def test_a_failed_command_is_logged_with_its_output(tester: Server) -> None:
    """metrics:LT-30."""
    with capture_logs() as logs:
        await tester.task(cmd="echo why; exit 7")
        await tester.until(lambda: tester.count('finished_total{result="failed",type="cmd"}') == 1)
    failed = next(line for line in logs if line["event"] == "task_failed")
    assert (failed["log_level"], failed["output"], failed["cause"]) == ("error", "why\n", "exit status 7")


async def test_equal_tasks_run_once_at_a_time_and_again_after_their_end(tester: Server, tmp_path: Path) -> None:
    """metrics:LT-40, metrics:LT-41: the vector: two commands, three times each, give two executions; again after they ended, four."""
    gate = tmp_path / "gate"
    commands = [f"while [ ! -e {gate} ]; do sleep 0.02; done # {number}" for number in (1, 2)]
    for _ in range(3):
        for command in commands:
            await tester.task(cmd=command)
        await tester.until(lambda: tester.count('running{type="cmd"}') == 2)
    await tester.until(lambda: tester.count('skipped_total{type="cmd"}') >= 2)  # the third may have replaced the second in the queue
    assert tester.count('started_total{type="cmd"}') == 2
    gate.touch()
    await tester.until(lambda: tester.count('finished_total{result="succeeded",type="cmd"}') == 2)
    for command in commands:
        await tester.task(cmd=command)
    await tester.until(lambda: tester.count('finished_total{result="succeeded",type="cmd"}') == 4)


async def test_a_task_is_another_one_for_another_canary_but_not_for_another_log_switch(tester: Server) -> None:
    """metrics:LT-40."""
    body = {"metadata": {"cmd": "sleep 30"}}
    await tester.ask("/", {**CANARY, **body})
    await tester.ask("/", {**CANARY, **body, "name": "other"})
    await tester.until(lambda: tester.count('running{type="cmd"}') == 2)
    await tester.task(cmd="sleep 30", logCmdOutput="true")
    await tester.until(lambda: tester.count('skipped_total{type="cmd"}') == 1)
    assert tester.count('running{type="cmd"}') == 2


async def test_blocking_tasks_are_never_one(tester: Server) -> None:
    """metrics:LT-32."""
    async with asyncio.TaskGroup() as group:
        answers = [group.create_task(tester.task(type="bash", cmd="sleep 0.1")) for _ in range(3)]
    assert [answer.result()[0] for answer in answers] == [200] * 3
    assert tester.count('started_total{type="bash"}') == 3


async def test_no_more_commands_run_at_once_than_allowed() -> None:
    """Of each kind; the others have their turn when one ends. Flagger has no limit (metrics:LT-32, LT-41)."""
    async with running(parallel=1) as tester:
        await tester.task(cmd="sleep 0.2")
        await tester.task(cmd="sleep 0.1")
        async with asyncio.TaskGroup() as group:
            for _ in range(2):
                group.create_task(tester.task(type="bash", cmd="sleep 0.05"))
            await tester.until(lambda: tester.count('started_total{type="bash"}') == 1)
            assert tester.count('running{type="cmd"}') == 1
            assert tester.count('running{type="bash"}') == 1
        await tester.until(lambda: tester.count('finished_total{result="succeeded",type="cmd"}') == 2)


async def test_who_does_not_get_a_turn_is_told() -> None:
    async with running(parallel=1, seconds=0.2) as tester, asyncio.TaskGroup() as group:
        first = group.create_task(tester.task(type="bash", cmd="trap '' TERM; sleep 0.6"))
        await tester.until(lambda: tester.count('running{type="bash"}') == 1)
        status, body = await tester.task(type="bash", cmd="true")
        assert (status, body) == (500, "command true failed: : not started: 1 other tasks did not end within the time-out")
        assert (await first)[0] == 500


async def test_a_queue_that_is_full_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "QUEUE_LIMIT", 1)
    async with running(parallel=1) as tester:
        await tester.task(cmd="sleep 30")
        await tester.until(lambda: tester.count('running{type="cmd"}') == 1)
        assert await tester.task(cmd="sleep 31") == (202, "")
        assert await tester.task(cmd="sleep 32") == (503, "1 tasks wait already")


async def test_the_metrics_are_those_of_the_process_and_of_tasks(tester: Server) -> None:
    """metrics:LT-10, metrics:LT-42."""
    answer = await tester.ask("/metrics", method="GET")
    assert answer.status == 200
    assert b"process_cpu_seconds_total" in answer.body
