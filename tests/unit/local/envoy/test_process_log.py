"""Envoy's log says why it ended and what it refused, in lines that Envoy 1.40 wrote."""

from pathlib import Path

from flagger_py.local.envoy.process_log import LONGEST_LINE, ProcessLog

REFUSED = (
    "[2026-11-25 13:02:56.675][16962][warning][config] [source/extensions/config_subscription/rest/http_subscription_impl.cc:132] "
    "REST config for /v3/discovery:routes rejected: invalid perl operator: (?=\n"
)
ABORTED = """\
[2026-11-25 13:03:00.650][16962][critical][assert] [source/common/filesystem/inotify/watcher_impl.cc:25] assert failure: inotify_fd_ >= 0.
[2026-11-25 13:03:00.657][16962][critical][backtrace] [./source/server/backtrace.h:173] Caught Aborted, suspect faulting address 0x419f
[2026-11-25 13:03:00.657][16962][critical][backtrace] [./source/server/backtrace.h:157] Backtrace (use tools/stack_decode.py to get lines):
[2026-11-25 13:03:00.657][16962][critical][backtrace] [./source/server/backtrace.h:158] Envoy version: 9e55/1.40.0/Clean/RELEASE/BoringSSL
[2026-11-25 13:03:00.657][16962][critical][backtrace] [./source/server/backtrace.h:160] Address mapping: 55ce8fcb7000-55ce93e1d000 envoy
[2026-11-25 13:03:00.670][16962][critical][backtrace] [./source/server/backtrace.h:167] #0: [0x7f854b08b050]
"""


def log_of(folder: Path, text: str) -> ProcessLog:
    (folder / "envoy.log").write_text(text)
    return ProcessLog(folder / "envoy.log")


def test_failures_are_told_without_the_backtrace(tmp_path: Path) -> None:
    log = log_of(tmp_path, REFUSED + ABORTED)
    assert log.failures() == ["assert failure: inotify_fd_ >= 0.", "Caught Aborted, suspect faulting address 0x419f"]


def test_the_newest_refusal_of_a_kind_is_told(tmp_path: Path) -> None:
    log = log_of(tmp_path, REFUSED.replace("(?=", "(?!") + REFUSED)
    assert log.refusals("routes") == ["invalid perl operator: (?="]
    assert log.refusals("clusters") == []


def test_what_an_earlier_envoy_wrote_does_not_count(tmp_path: Path) -> None:
    log = log_of(tmp_path, REFUSED + ABORTED)
    log.begin()
    assert log.failures() == log.refusals("routes") == []


def test_failures_are_few_and_short(tmp_path: Path) -> None:
    line = "[2026-11-25 13:03:00.650][16962][error][main] [source/server/server.cc:1] " + "x" * 10_000 + "\n"
    failures = log_of(tmp_path, line * 1000).failures()
    assert len(failures) == 5
    assert {len(failure) for failure in failures} == {LONGEST_LINE + 1}


def test_a_log_that_nobody_wrote_has_nothing(tmp_path: Path) -> None:
    log = ProcessLog(tmp_path / "envoy.log")
    log.begin()
    assert log.failures() == []
