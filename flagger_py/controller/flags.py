"""The controller's settings: Flagger's flags and their environment (operations:§1, engine:ENG-01), and our additive ones."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import Any, Final, NoReturn, TypeVar, cast

from flagger_py.controller import goflag
from flagger_py.controller.goflag import FlagValue, HelpRequested, UsageError
from flagger_py.http.addresses import HostSet

T = TypeVar("T", str, int, bool, timedelta, tuple[str, ...])

_ALIASES: Final = {"provider": "mesh-provider"}
_KLOG: Final[dict[str, FlagValue]] = {
    "add_dir_header": False,
    "alsologtostderr": False,
    "log_backtrace_at": "",
    "log_dir": "",
    "log_file": "",
    "log_file_max_size": 1800,
    "logtostderr": True,
    "one_output": False,
    "skip_headers": False,
    "skip_log_headers": False,
    "stderrthreshold": "",
    "v": 0,
    "vmodule": "",
}
_WITHOUT_EFFECT: Final = frozenset({"threadiness", "control-loop-interval", "zap-replace-globals", *_KLOG})
"""Accepted and logged once: watches replace the sync loop, one task per Canary the workers, structlog zap and klog (design §6)."""
_MISSING: Final = {
    "kubeconfig-service-mesh": "a second cluster for routing objects",
}
"""Flags whose value asks for something that this version cannot do yet: to go on without it would lose what the user relies on."""


def setting(default: T, text: str, *, env: str = "", wins: bool = False, env_form: bool = True, secret: bool = False) -> T:
    """One flag: its default and its documentation, which is also what `-help` prints.

    `env` names its environment variable, else `FLAGGER_<NAME>` does, unless `env_form` is off. `wins` says that the variable
    beats the flag; a `secret` is left out of the `repr`.
    """
    spec: T = field(default=default, repr=not secret, metadata={"text": text, "env": env, "wins": wins, "env_form": env_form})
    return spec


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerFlags:
    """Every setting of the controller, named like its flag with `_` for `-`; the defaults are Flagger's but where named."""

    kubeconfig: str = setting("", "Path of a kubeconfig file; empty: the pod's service account. The KUBECONFIG variable is not read.")
    master: str = setting("", "URL of the Kubernetes API server; overrides the one of the kubeconfig.")
    kubeconfig_qps: int = setting(100, "Requests per second to the API server that we allow ourselves; 0 or less: no limit.")
    kubeconfig_burst: int = setting(250, "Requests to the API server that may exceed kubeconfig-qps at once.")
    kubeconfig_service_mesh: str = setting("", "Kubeconfig of the cluster that holds the routing objects; empty: the same cluster.")
    metrics_server: str = setting("http://prometheus:9090", "URL of the Prometheus that answers the built-in checks.")
    # `setting` makes a dataclass field, which RUF009 cannot see where the type is no builtin.
    control_loop_interval: timedelta = setting(  # noqa: RUF009
        timedelta(seconds=10), "Without effect: Canaries are watched, not polled."
    )
    log_level: str = setting(
        "debug", "debug, info, warn (or warning), error, fatal, panic; anything else is info. Can be changed at run time."
    )
    port: str = setting(
        "8080",
        "Port of /healthz, /readyz and /metrics, on all interfaces. No variable: a Service `flagger` sets FLAGGER_PORT.",
        env_form=False,
    )
    slack_url: str = setting(
        "", "Slack webhook that gets the alerts of Canaries without alerts of their own.", env="SLACK_URL", wins=True, secret=True
    )
    slack_token: str = setting("", "Bearer token for slack-url; without effect alone.", env="SLACK_TOKEN", wins=True, secret=True)
    slack_proxy_url: str = setting("", "Proxy for slack-url; without effect alone.", env="SLACK_PROXY_URL", wins=True, secret=True)
    slack_user: str = setting("flagger", "User name for slack-url; without effect alone (Flagger's chart always passes it).")
    slack_channel: str = setting("", "Channel for slack-url, which is off without it.")
    msteams_url: str = setting(
        "", "The same for Microsoft Teams, connector or workflow; wins over slack-url.", env="MSTEAMS_URL", wins=True, secret=True
    )
    msteams_proxy_url: str = setting("", "Proxy for msteams-url; without effect alone.", env="MSTEAMS_PROXY_URL", wins=True, secret=True)
    event_webhook: str = setting(
        "", "URL that gets every event of Canaries without an event hook of their own.", env="EVENT_WEBHOOK_URL", wins=True, secret=True
    )
    include_label_prefix: tuple[str, ...] = setting(
        (), "Prefixes of the labels and annotations that generated objects take over from the target; * means all. Comma-separated."
    )
    threadiness: int = setting(2, "Without effect: each Canary has a task of its own.")
    zap_replace_globals: bool = setting(False, "Without effect.")
    zap_encoding: str = setting("json", "json or console: another name for log-format, which wins.")
    namespace: str = setting("", "The one namespace to watch; empty: all.")
    mesh_provider: str = setting("istio", "Router of the Canaries without spec.provider; `flagger-py routers` lists them. Also -provider.")
    selector_labels: tuple[str, ...] = setting(
        ("app", "name", "app.kubernetes.io/name"),
        "Labels that may select the target's pods, the first one found in matchLabels counts. Comma-separated.",
    )
    ingress_annotations_prefix: str = setting("nginx.ingress.kubernetes.io", "Prefix of NGINX Ingress annotations.")
    ingress_class: str = setting("", "Class for the HTTPProxy objects of Contour.")
    enable_leader_election: bool = setting(
        True, "Work only while holding the Lease flagger-leader-election. On, unlike in Flagger: two active controllers double every step."
    )
    leader_election_namespace: str = setting("kube-system", "Namespace of the Lease; -namespace overrides it where that is set.")
    enable_config_tracking: bool = setting(True, "Start a rollout when a ConfigMap or Secret of the target changes.")
    cluster_name: str = setting("", "Shown as `Cluster` on alerts.")
    no_cross_namespace_refs: bool = setting(False, "Refuse references from a Canary to objects of other namespaces.")
    version: bool = setting(False, "Print the version and exit.", env_form=False)

    minimum_interval: timedelta = setting(  # noqa: RUF009
        timedelta(seconds=10),
        "Shortest analysis interval; a shorter one in a Canary counts as this. 10s as in Flagger; less for demo and tests.",
    )
    observe_only: bool = setting(False, "List per Canary what the first pass would write, and write nothing: a look before a take-over.")
    freeze: bool = setting(False, "Hold every rollout where it is; deletions and a settled state are still looked after.")
    max_concurrent_starts: int = setting(
        0, "New rollouts that may be under way at once, so that a base-image bump does not start them all; 0: no limit, as in Flagger."
    )
    deny_addresses: tuple[str, ...] = setting(
        (),
        "Networks (CIDR), addresses or hosts that hooks and metric providers must not reach, besides cloud metadata. Comma-separated.",
    )
    allow_addresses: tuple[str, ...] = setting(
        (), "Networks (CIDR), addresses or host names that hooks and metric providers may reach, nothing else; empty: all. Comma-separated."
    )
    log_format: str = setting("auto", "json, console, or auto: console on a terminal, else json.")
    identity: str = setting("", "Name of this replica in the Lease and the User-Agent; empty: <hostname>_<uuid>, unique for each start.")

    given_without_effect: tuple[str, ...] = ()
    """Flags that were given and do nothing here: logged once at start."""
    ignored_arguments: tuple[str, ...] = ()
    """Words after the first one that is no flag. Go reads no further, so neither do we; logged, because it is nearly always a slip."""

    @property
    def lease_namespace(self) -> str:
        """Where the Lease lives (engine:ENG-07)."""
        return self.namespace or self.leader_election_namespace


@dataclass(frozen=True, slots=True)
class Setting:
    """One field of `ControllerFlags` that has a flag."""

    attribute: str
    default: FlagValue
    text: str
    environment: str
    """Its variable; empty where it has none."""
    environment_wins: bool

    @property
    def flag(self) -> str:
        return self.attribute.replace("_", "-")


def settings() -> tuple[Setting, ...]:
    """All flags, in the order of the documentation."""
    return tuple(_setting(item.name, cast("FlagValue", item.default), item.metadata) for item in fields(ControllerFlags) if item.metadata)


def parse(argv: Sequence[str], environ: Mapping[str, str]) -> ControllerFlags:
    """Read the command line as Flagger does: exits 2 with the usage on stderr for a bad one, and 0 after printing it for `-help`."""
    try:
        return read(argv, environ)
    except HelpRequested:
        sys.stdout.write(usage())
        raise SystemExit(0) from None
    except UsageError as error:
        _refuse(str(error))


def read(argv: Sequence[str], environ: Mapping[str, str]) -> ControllerFlags:
    """The settings that flags and environment give together. Raises `UsageError` and `HelpRequested`."""
    table = settings()
    line = goflag.read(argv, _defaults(table))
    given = {_ALIASES.get(item.name, item.name): item.value for item in line.flags}
    values: dict[str, Any] = {item.attribute: given[item.flag] for item in table if item.flag in given}
    sources = {item.attribute: f"-{item.flag}" for item in table}
    for item in table:
        text = environ.get(item.environment, "") if item.environment else ""
        if text and (item.environment_wins or item.attribute not in values):
            values[item.attribute] = goflag.convert(text, item.default, item.environment)
            sources[item.attribute] = item.environment
    without_effect = tuple(sorted(_WITHOUT_EFFECT & given.keys()))
    flags = ControllerFlags(**values, given_without_effect=without_effect, ignored_arguments=line.rest)
    _check(flags, sources)
    return flags


def usage() -> str:
    """The table of all flags, as `-help` prints it."""
    lines = ["Usage of flagger (one or two dashes; booleans take a value only after `=`):"]
    for item in settings():
        kind = type(item.default).__name__.replace("timedelta", "duration").replace("tuple", "list").replace("str", "string")
        lines.append(f"  -{item.flag} {kind}")
        lines.append(f"        {item.text}{_hint(item)}")
    lines.append(f"  -{', -'.join(_KLOG)}")
    lines.append("        Flags of klog: accepted, without effect.")
    return "\n".join(lines) + "\n"


def _setting(name: str, default: FlagValue, metadata: Mapping[str, Any]) -> Setting:
    environment = metadata["env"] or (f"FLAGGER_{name.upper()}" if metadata["env_form"] else "")
    return Setting(name, default, metadata["text"], environment, metadata["wins"])


def _defaults(table: Sequence[Setting]) -> dict[str, FlagValue]:
    defaults: dict[str, FlagValue] = {item.flag: item.default for item in table} | _KLOG
    return defaults | {alias: defaults[name] for alias, name in _ALIASES.items()}


def _hint(item: Setting) -> str:
    hints = [f"default {goflag.show(item.default)}"] if item.default not in ("", ()) else []
    if item.environment:
        hints.append(f"{'overridden by' if item.environment_wins else 'or'} ${item.environment}")
    return f" ({'; '.join(hints)})" if hints else ""


def _check(flags: ControllerFlags, sources: Mapping[str, str]) -> None:
    """Refuse values that cannot work. Never shows a value that may hold a secret, as webhook URLs do."""
    for name, feature in _MISSING.items():
        attribute = name.replace("-", "_")
        if getattr(flags, attribute):
            raise UsageError(f"{sources[attribute]} is set, but {feature} is not supported by this version yet: leave it empty")
    for attribute, allowed in (("log_format", ("auto", "console", "json")), ("zap_encoding", ("console", "json"))):
        if (value := getattr(flags, attribute)) not in allowed:
            raise UsageError(f'invalid value "{value}" for {sources[attribute]}: allowed are {", ".join(allowed)}')
    if flags.max_concurrent_starts < 0:
        raise UsageError(f'invalid value "{flags.max_concurrent_starts}" for {sources["max_concurrent_starts"]}: must be at least 0')
    if flags.minimum_interval <= timedelta():
        raise UsageError(f'invalid value "{goflag.show(flags.minimum_interval)}" for {sources["minimum_interval"]}: must be more than 0s')
    for attribute in ("deny_addresses", "allow_addresses"):
        try:
            HostSet.parse(getattr(flags, attribute))
        except ValueError as error:
            raise UsageError(f"invalid value for {sources[attribute]}: {error}") from error
    if not (flags.port.isascii() and flags.port.isdigit() and int(flags.port) < 65536):
        raise UsageError(f'invalid value "{flags.port}" for {sources["port"]}: must be a port number, 0 to 65535')


def _refuse(message: str) -> NoReturn:
    sys.stderr.write(f"{message}\n{usage()}")
    raise SystemExit(2)
