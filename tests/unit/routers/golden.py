"""Golden files: what is rendered for a Canary. `python -m tests.unit.routers.golden` writes the expectations anew: read the diff."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from flagger_py.rollout.traffic import Affinity, Routes, Traffic
from flagger_py.routers.base import RouterError
from tests.unit.routers.samples import canary_of, router_of

FOLDER = Path(__file__).parents[2] / "fixtures" / "routers"


@dataclass(frozen=True)
class Golden:
    """One file: the given part, then the objects or the error that follow from it."""

    path: Path
    given: dict[str, Any]
    expected: list[dict[str, Any]]

    @classmethod
    def load(cls, path: Path) -> "Golden":
        given, *expected = yaml.safe_load_all(path.read_text())
        return cls(path, given, expected)

    @property
    def name(self) -> str:
        return f"{self.path.parent.name}/{self.path.stem}"

    @property
    def traffic(self) -> Traffic:
        """`traffic: 80/20`, `traffic: 100/0/mirror`, and the cookies."""
        primary, canary, *mirror = str(self.given["traffic"]).split("/")
        return Traffic(Routes(int(primary), int(canary), mirror == ["mirror"]), Affinity(**self.given.get("cookies", {})))

    def rendered(self) -> list[dict[str, Any]]:
        """The objects, in the order in which they are written, or the error."""
        canary = canary_of(self.given["provider"], service=self.given.get("service"), analysis=self.given.get("analysis"))
        router = router_of(self.given["provider"], ingress_class=self.given.get("ingressClass", ""))
        try:
            return list(router.render(canary, self.traffic, {}).values())
        except RouterError as error:
            return [{"error": str(error)}]


def all_golden() -> list[Golden]:
    return [Golden.load(path) for path in sorted(FOLDER.glob("*/*.yaml"))]


def rewrite() -> None:
    for golden in all_golden():
        golden.path.write_text(yaml.safe_dump_all([golden.given, *golden.rendered()], sort_keys=False, width=140))


if __name__ == "__main__":
    rewrite()
