"""`flagger-py load`: hey's command line."""

from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner

from flagger_py import cli
from flagger_py.cli.load import summary
from flagger_py.cli.load_options import read
from flagger_py.controller.goflag import UsageError
from flagger_py.local.workers import Plan, Results

URL = "http://web.shop/"


@pytest.mark.parametrize(
    ("line", "plan"),
    [
        pytest.param("", Plan(50, 200), id="hey's defaults"),
        pytest.param("-z 1m -q 10 -c 2", Plan(2, None, 60, 10), id="as the webhooks of Flagger's documentation have it"),
        pytest.param("-n 1000 -c 5 -q 0.5", Plan(5, 1000, None, 0.5), id="a number of requests"),
        pytest.param("-z=30s -n 3 -c 5", Plan(5, None, 30), id="the number has no effect beside a time"),
    ],
)
def test_the_amount(line: str, plan: Plan) -> None:
    assert read([*line.split(), URL]).plan == plan


def test_the_request(tmp_path: Path) -> None:
    body = tmp_path / "body"
    body.write_bytes(b"{}")
    words = [
        "-m",
        "post",
        "-H",
        "X-One: 1",
        "-H",
        "x-two:2",
        "-T",
        "application/json",
        "-D",
        str(body),
        "-host",
        "a.example.com",
        "-t",
        "3",
    ]
    settings = read([*words, "-a", "u:p", "-disable-keepalive", "-disable-redirects", "-h2", "-cpus", "2", URL]).settings
    assert (settings.method, settings.body, settings.host, settings.timeout) == ("POST", b"{}", "a.example.com", 3)
    assert (settings.keeps_connections, settings.follows_redirects) == (False, False)
    sent = {"X-One": "1", "X-Two": "2", "Content-Type": "application/json", "Authorization": "Basic dTpw"}
    assert sent.items() <= settings.headers.items()


def test_the_host_is_that_of_the_url_where_none_is_given() -> None:
    assert read(["http://u:p@web.shop:8080/a"]).settings.host == "web.shop:8080"
    assert read(["-H", "Host: other", URL]).settings.host == "other"


def test_words_after_the_url_are_named_and_not_read() -> None:
    assert read([URL, "-z", "1m"]).ignored == ("-z", "1m")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ([], "the URL is missing"),
        (["web.shop"], "'web.shop' is no URL"),
        (["http://:80/"], "is no URL"),
        (["-q", "x", URL], 'invalid value "x" for -q: must be a number'),
        (["-q", "-1", URL], "must not be negative"),
        (["-n", "3", "-c", "5", URL], "at least one request for each worker"),
        (["-c", "0", URL], "both must be at least 1"),
        (["-z", "1x", URL], 'invalid value "1x" for -z: must be a duration'),
        (["-H", "odd", URL], "invalid value for -H: must be as in 'Name: value'"),
        (["-H", "A: b\nC: d", URL], "invalid value for -H"),
        (["-a", "secret", URL], "invalid value for -a: must be user:password"),
        (["-D", "/nowhere", URL], "cannot read /nowhere of -D: No such file"),
        (["-o", "csv", URL], 'invalid value "csv" for -o'),
        (["-nope", URL], "flag provided but not defined: -nope"),
    ],
)
def test_what_cannot_be_understood_is_named(words: list[str], problem: str) -> None:
    with pytest.raises(UsageError) as raised:
        read(words)
    assert problem in str(raised.value)
    assert "secret" not in str(raised.value)


def test_a_bad_command_line_shows_the_options() -> None:
    result = CliRunner().invoke(cli.main, ["load"])
    assert result.exit_code == 1
    assert result.stderr.startswith("the URL is missing\nUsage: flagger-py load")
    assert "  -disable-keepalive" in CliRunner().invoke(cli.main, ["load", "-h"]).stdout


def test_the_summary() -> None:
    results = Results(Counter({200: 3, 500: 1}), seconds=2.0, size=20)
    results.latencies.extend([0.1, 0.2, 0.3, 0.4])
    lines = list(summary(results, {"TimeoutError": 2}))
    assert "  Requests/sec:\t3.0000" in lines
    assert "  50% in 0.3000 secs" in lines
    assert "  99% in 0.4000 secs" in lines
    assert lines[-5:-2] == ["\nStatus code distribution:", "  [200]\t3 responses", "  [500]\t1 responses"]
    assert lines[-2:] == ["\nError distribution:", "  [2]\tTimeoutError"]
    assert list(summary(Results(), {}))[1] == "  Total:\t0.0000 secs"
