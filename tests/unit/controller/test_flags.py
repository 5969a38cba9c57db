"""The command line of the controller (operations:§1, engine:ENG-01, engine:ENG-02)."""

import dataclasses
from datetime import timedelta

import pytest

from flagger_py.controller import flags
from flagger_py.controller.flags import ControllerFlags
from flagger_py.controller.goflag import HelpRequested, UsageError

CHART = [
    "-log-level=info",
    "-metrics-server=http://prometheus:9090",
    "-mesh-provider=gatewayapi:v1",
    "-enable-config-tracking=true",
    "-slack-user=flagger",
    "-cluster-name=prod",
]
"""What Flagger's chart passes by default (operations:§9)."""

FLAGGER_FLAGS = {
    "kubeconfig": "",
    "master": "",
    "kubeconfig-qps": 100,
    "kubeconfig-burst": 250,
    "kubeconfig-service-mesh": "",
    "metrics-server": "http://prometheus:9090",
    "control-loop-interval": timedelta(seconds=10),
    "log-level": "debug",
    "port": "8080",
    "slack-url": "",
    "slack-token": "",
    "slack-proxy-url": "",
    "slack-user": "flagger",
    "slack-channel": "",
    "msteams-url": "",
    "msteams-proxy-url": "",
    "event-webhook": "",
    "include-label-prefix": (),
    "threadiness": 2,
    "zap-replace-globals": False,
    "zap-encoding": "json",
    "namespace": "",
    "mesh-provider": "istio",
    "selector-labels": ("app", "name", "app.kubernetes.io/name"),
    "ingress-annotations-prefix": "nginx.ingress.kubernetes.io",
    "ingress-class": "",
    "leader-election-namespace": "kube-system",
    "enable-config-tracking": True,
    "cluster-name": "",
    "no-cross-namespace-refs": False,
    "version": False,
}


def read(*argv: str, **environ: str) -> ControllerFlags:
    return flags.read(argv, environ)


def refusal(*argv: str, **environ: str) -> str:
    with pytest.raises(UsageError) as error:
        flags.read(argv, environ)
    return str(error.value)


def test_every_flag_of_flagger_exists_with_its_default() -> None:
    """operations:OPS-01; only leader election differs, which is on (design §6)."""
    known = {item.flag: item.default for item in flags.settings()}
    assert {name: known.get(name) for name in FLAGGER_FLAGS} == FLAGGER_FLAGS
    assert read().enable_leader_election is True


def test_every_setting_says_what_it_is() -> None:
    assert all(item.text.endswith(".") for item in flags.settings())


@pytest.mark.parametrize("dashes", ["-", "--"])
@pytest.mark.parametrize("form", ["{}mesh-provider=contour", "{}mesh-provider contour"])
def test_one_and_two_dashes_and_both_ways_to_give_a_value_are_equal(dashes: str, form: str) -> None:
    """operations:OPS-01"""
    assert read(*form.format(dashes).split()).mesh_provider == "contour"


def test_the_arguments_of_flaggers_chart_are_accepted() -> None:
    read_flags = read(*CHART)
    assert (read_flags.log_level, read_flags.mesh_provider, read_flags.cluster_name) == ("info", "gatewayapi:v1", "prod")


def test_provider_is_another_name_of_mesh_provider_and_the_last_one_counts() -> None:
    assert read("--provider", "contour").mesh_provider == "contour"
    assert read("-mesh-provider=istio", "-provider=contour").mesh_provider == "contour"
    assert read("-provider=contour", "-mesh-provider=istio").mesh_provider == "istio"


@pytest.mark.parametrize("word", ["1", "t", "T", "true", "TRUE", "True"])
def test_words_for_true(word: str) -> None:
    assert read(f"-freeze={word}").freeze is True


@pytest.mark.parametrize("word", ["0", "f", "F", "false", "FALSE", "False"])
def test_words_for_false(word: str) -> None:
    assert read(f"-enable-config-tracking={word}").enable_config_tracking is False


def test_a_boolean_takes_no_value_from_the_next_word_and_parsing_stops_there() -> None:
    """operations:§1: `-enable-leader-election false -mesh-provider x` means true and drops the rest; we say so."""
    read_flags = read("-enable-leader-election", "false", "-mesh-provider", "contour")
    assert read_flags.enable_leader_election is True
    assert read_flags.mesh_provider == "istio"
    assert read_flags.ignored_arguments == ("false", "-mesh-provider", "contour")


def test_parsing_stops_after_two_dashes_and_at_a_single_one() -> None:
    assert read("-freeze", "--", "-observe-only").ignored_arguments == ("-observe-only",)
    assert read("-freeze", "-", "-observe-only").ignored_arguments == ("-", "-observe-only")


@pytest.mark.parametrize(
    ("text", "number"),
    [("7", 7), ("0x1F", 31), ("010", 8), ("0o17", 15), ("0b101", 5), ("1_000", 1000), ("-3", -3), ("+4", 4), ("0", 0), ("0_7", 7)],
)
def test_integers_are_read_as_go_reads_them(text: str, number: int) -> None:
    assert read(f"-kubeconfig-qps={text}").kubeconfig_qps == number


@pytest.mark.parametrize("text", ["", "x", "1.5", " 1", "08", "1__0", "_1", "0x", "\u0663", "9223372036854775808"])
def test_what_is_no_integer_is_refused(text: str) -> None:
    assert f'invalid value "{text}" for -kubeconfig-qps' in refusal(f"-kubeconfig-qps={text}")


def test_durations_are_read_as_go_reads_them() -> None:
    assert read("-minimum-interval=1m30s").minimum_interval == timedelta(seconds=90)
    assert read("-minimum-interval", "500ms").minimum_interval == timedelta(milliseconds=500)
    assert 'invalid value "10" for -minimum-interval: must be a duration' in refusal("-minimum-interval=10")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["-nope"], "flag provided but not defined: -nope"),
        (["--nope=1"], "flag provided but not defined: -nope"),
        (["-port"], "flag needs an argument: -port"),
        (["---port=1"], "bad flag syntax: ---port=1"),
        (["-=1"], "bad flag syntax: -=1"),
        (["-freeze=yes"], 'invalid boolean value "yes" for -freeze: allowed are 1, t,'),
        (["-log-format=xml"], 'invalid value "xml" for -log-format: allowed are auto, console, json'),
        (["-port=http"], 'invalid value "http" for -port: must be a port number'),
        (["-port=70000"], 'invalid value "70000" for -port: must be a port number'),
        (["-max-concurrent-starts=-1"], 'invalid value "-1" for -max-concurrent-starts: must be at least 0'),
        (["-deny-addresses=10.0.0.0/8,http://x"], "invalid value for -deny-addresses: 'http://x' is no host name, address or CIDR"),
        (["-allow-addresses=10.0.0.0/99"], "invalid value for -allow-addresses: '10.0.0.0/99' is no host name, address or CIDR"),
        (["-minimum-interval=0s"], 'invalid value "0s" for -minimum-interval: must be more than 0s'),
    ],
)
def test_a_bad_command_line_is_refused_by_name_and_value(argv: list[str], message: str) -> None:
    assert message in refusal(*argv)


def test_a_bad_command_line_prints_the_usage_on_stderr_and_exits_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        flags.parse(["-nope"], {})
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith("flag provided but not defined: -nope\nUsage of flagger")


@pytest.mark.parametrize("word", ["-h", "-help", "--help"])
def test_help_prints_every_flag_and_exits_0(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        flags.parse([word], {})
    assert stop.value.code == 0
    printed = capsys.readouterr().out
    assert all(f"  -{item.flag} " in printed for item in flags.settings())


def test_help_is_seen_only_where_a_flag_may_stand() -> None:
    assert read("-cluster-name", "-h").cluster_name == "-h"
    with pytest.raises(HelpRequested):
        read("-freeze", "-h")


def test_klog_flags_and_meaningless_ones_are_accepted_and_remembered() -> None:
    """operations:§1; design §6: logged once."""
    read_flags = read(
        "-v=2", "-logtostderr", "-vmodule", "x=1", "-threadiness=4", "-control-loop-interval=15s", "-zap-replace-globals=true"
    )
    assert read_flags.given_without_effect == ("control-loop-interval", "logtostderr", "threadiness", "v", "vmodule", "zap-replace-globals")
    assert read().given_without_effect == ()


@pytest.mark.parametrize("variable", ["EVENT_WEBHOOK_URL"])
def test_flaggers_variables_beat_the_flag(variable: str) -> None:
    """operations:OPS-02"""
    assert read("-event-webhook=http://flag", **{variable: "http://variable"}).event_webhook == "http://variable"
    assert read("-event-webhook=http://flag", **{variable: ""}).event_webhook == "http://flag"


@pytest.mark.parametrize(
    ("argv", "environ", "source"),
    [
        (["-kubeconfig-service-mesh=/tmp/SECRET"], {}, "-kubeconfig-service-mesh"),
        ([], {"FLAGGER_KUBECONFIG_SERVICE_MESH": "/tmp/SECRET"}, "FLAGGER_KUBECONFIG_SERVICE_MESH"),
    ],
)
def test_a_value_that_asks_for_what_is_missing_is_refused_without_showing_it(argv: list[str], environ: dict[str, str], source: str) -> None:
    message = refusal(*argv, **environ)
    assert message.startswith(f"{source} is set, but ")
    assert "SECRET" not in message


def test_notifier_settings_without_a_url_are_accepted() -> None:
    """design §6: Flagger's chart passes `-slack-user` by default."""
    read_flags = read("-slack-user=flagger", "-slack-channel=general", SLACK_TOKEN="xoxb", SLACK_PROXY_URL="http://proxy")
    assert read_flags.slack_channel == "general"


@pytest.mark.parametrize(("flag", "variable"), [("-slack-url", "SLACK_URL"), ("-msteams-url", "MSTEAMS_URL")])
def test_the_variable_of_a_notifier_wins_over_its_flag(flag: str, variable: str) -> None:
    """metrics:ALR-G-01"""
    read_flags = read(f"{flag}=https://flag.example", **{variable: "https://variable.example"})
    assert getattr(read_flags, variable.lower()) == "https://variable.example"


def test_our_own_variables_count_where_the_flag_is_not_given() -> None:
    assert read(FLAGGER_MINIMUM_INTERVAL="2s").minimum_interval == timedelta(seconds=2)
    assert read("-minimum-interval=3s", FLAGGER_MINIMUM_INTERVAL="2s").minimum_interval == timedelta(seconds=3)
    assert read(FLAGGER_FREEZE="true", FLAGGER_DENY_ADDRESSES="10.0.0.0/8, evil.example").deny_addresses == ("10.0.0.0/8", "evil.example")
    assert "for FLAGGER_FREEZE: allowed are" in refusal(FLAGGER_FREEZE="yes")


def test_the_variable_that_kubernetes_sets_for_a_service_named_flagger_is_no_setting() -> None:
    assert read(FLAGGER_PORT="tcp://10.0.0.1:8080", FLAGGER_SERVICE_PORT="8080").port == "8080"


def test_secrets_stay_out_of_the_repr() -> None:
    assert "xoxb" not in repr(read(SLACK_TOKEN="xoxb", EVENT_WEBHOOK_URL="http://h/xoxb"))


def test_the_lease_lives_in_the_watched_namespace_else_where_the_flag_says() -> None:
    """engine:ENG-07"""
    assert read().lease_namespace == "kube-system"
    assert read("-leader-election-namespace=flagger-system").lease_namespace == "flagger-system"
    assert read("-leader-election-namespace=flagger-system", "-namespace=team").lease_namespace == "team"


def test_leader_election_is_off_only_when_the_flag_says_so() -> None:
    """operations:OPS-17"""
    assert read("-enable-leader-election=false").enable_leader_election is False


def test_flags_are_a_value() -> None:
    assert dataclasses.replace(read(), freeze=True) == read("-freeze")
