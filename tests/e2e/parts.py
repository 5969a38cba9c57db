"""The parts of the suite. Each runs in a network namespace of its own, beside servers of its own, so that parts can run side by side."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

TOP: Final = Path(__file__).parents[2]
TESTS: Final = "tests/e2e"


class Servers(Enum):
    """What is started before the tests of a part."""

    NONE = "each test starts and breaks its own"
    API_SERVER = "etcd, kube-apiserver and all definitions: nothing that acts by itself"
    CONTROL_PLANE = "etcd, kube-apiserver, kube-controller-manager, all definitions"
    GATEWAY = "all but the controller"
    ALL = "nodes, Contour, Envoy, Prometheus and the controller as a pod, too"


@dataclass(frozen=True, slots=True)
class Part:
    """Some test files."""

    name: str
    about: str
    paths: tuple[str, ...]
    servers: Servers
    workers: int = 0
    """Test processes side by side; 0: one."""
    arguments: tuple[str, ...] = ()

    @property
    def pytest_arguments(self) -> list[str]:
        side_by_side = ["-n", str(self.workers)] if self.workers else []
        return [*self.paths, *side_by_side, *self.arguments]


PARTS: Final = (
    Part(
        "scenarios",
        "strategies, gates and faults through Contour and Envoy",
        (f"{TESTS}/test_scenarios.py", f"{TESTS}/test_strategies.py", f"{TESTS}/test_operations.py"),
        Servers.ALL,
        workers=4,
    ),
    Part("absences", "Prometheus and Contour away in the middle of a rollout", (f"{TESTS}/test_absences.py",), Servers.NONE),
    Part("rights", "controllers that lack a right", (f"{TESTS}/test_rights.py",), Servers.GATEWAY),
    Part("leadership", "two replicas, killed and stopped", (f"{TESTS}/test_leadership.py",), Servers.NONE),
    Part("outages", "API server and etcd away in the middle of a rollout", (f"{TESTS}/test_outages.py",), Servers.NONE),
    Part("contour", "rollouts through Contour and Envoy", (f"{TESTS}/test_rollouts.py", f"{TESTS}/test_autoscaling.py"), Servers.ALL, 4),
    Part("refusals", "token and rights lost in the middle of a rollout", (f"{TESTS}/test_refusals.py",), Servers.NONE),
    Part("contract", "the contract suite on kube-apiserver", ("tests/contract",), Servers.CONTROL_PLANE, 2, ("-k", "kube-apiserver")),
    Part("tutorials", "the pages of docs/tutorials, as a reader types them", (f"{TESTS}/test_tutorials.py",), Servers.ALL),
    Part("deletions", "deletions and manual commands", (f"{TESTS}/test_deletions.py",), Servers.ALL, workers=3),
    Part("takeover", "what Flagger left, with real pods", (f"{TESTS}/test_takeover.py",), Servers.GATEWAY),
    Part("uninstallation", "definitions taken away and given back", (f"{TESTS}/test_uninstallation.py",), Servers.NONE),
    Part(
        "objects",
        "CRDs, rendered routes and copies of Services",
        (f"{TESTS}/test_definitions.py", f"{TESTS}/test_router_objects.py", f"{TESTS}/test_service_targets.py"),
        Servers.CONTROL_PLANE,
    ),
    Part("flagger-role", "under the ClusterRole that Flagger ships", (f"{TESTS}/test_flagger_role.py",), Servers.GATEWAY),
    Part("namespaced", "a controller for one namespace", (f"{TESTS}/test_namespaced.py",), Servers.GATEWAY),
)
"""The longest first: two that run side by side end together."""
BY_NAME: Final = {part.name: part for part in PARTS}
SCENARIOS: Final = tuple(f"E2E-{number:02d}" for number in (*range(1, 44), *range(50, 71)))
"""Ids of spec/operations.md §16."""


class UnknownPart(ValueError):
    """There is no part of this name; the message lists those that there are."""


def chosen(names: str) -> list[Part]:
    """The parts of a list separated by commas; all for an empty one. Raises `UnknownPart`."""
    if not names:
        return list(PARTS)
    for name in names.split(","):
        if name not in BY_NAME:
            raise UnknownPart(f"there is no part {name!r} of the end-to-end suite: choose from {', '.join(BY_NAME)}")
    return [BY_NAME[name] for name in names.split(",")]


def scenarios_not_run(parts: Iterable[Part]) -> list[str]:
    """The ids of the specification's scenarios that no test of these parts names."""
    named = {scenario for part in parts for scenario in _named_in(part)}
    return [scenario for scenario in SCENARIOS if scenario not in named]


def _named_in(part: Part) -> Iterator[str]:
    for path in part.paths:
        for file in [TOP / path] if path.endswith(".py") else []:
            yield from re.findall(r"E2E-\d\d", file.read_text())
