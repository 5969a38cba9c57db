"""What Flagger 1.44 left in a cluster, by scenario and phase (`tests/fixtures/takeover`)."""

from copy import deepcopy
from functools import cache
from pathlib import Path

import yaml

from flagger_py.api.canary import Canary
from flagger_py.objects.resource import Manifest
from tests.unit.workloads.memory import RESOURCES, MemoryObjects

FOLDER = Path(__file__).parents[2] / "fixtures" / "takeover"


@cache
def _documents(scenario: str, phase: str) -> tuple[Manifest, ...]:
    return tuple(yaml.safe_load_all((FOLDER / scenario / f"{phase}.yaml").read_text()))


class Recording:
    """One phase of one scenario, loaded into memory."""

    def __init__(self, scenario: str, phase: str) -> None:
        documents = deepcopy(_documents(scenario, phase))
        self.canary = Canary.model_validate(next(document for document in documents if document["kind"] == "Canary"))
        self.objects = MemoryObjects(document for document in documents if document["kind"] in RESOURCES)

    def find(self, kind: str, name: str) -> Manifest:
        return self.objects.manifest(kind, self.canary.namespace, name)
