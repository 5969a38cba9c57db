"""The Canary definition on the embedded server: it judges as a real API server does (tests/e2e/test_definitions.py has the counterpart)."""

import pytest
import yaml

from flagger_py.kube.client import Client
from flagger_py.local.apiserver import ApiServer
from flagger_py.objects.errors import Invalid
from flagger_py.objects.resource import CANARY, Manifest
from tests.unit.api.cases import CASES, Case
from tests.unit.local.crds.routes import ROOT

CORPUS: list[Manifest] = list(yaml.safe_load_all((ROOT / "tests/fixtures/api/flagger-canaries.yaml").read_text()))
NAMESPACE = "default"


@pytest.fixture(scope="module")
def client() -> Client:
    server = ApiServer()
    server.load(yaml.safe_load_all((ROOT / "deploy/crds/canaries.flagger.app.yaml").read_text()))
    return Client(server.transport(), jitter=lambda: 0.5)


async def _create(client: Client, manifest: Manifest) -> Manifest:
    metadata = {"generateName": "case-", "namespace": NAMESPACE}
    return await client.create(CANARY, {key: value for key, value in manifest.items() if key != "status"} | {"metadata": metadata})


@pytest.mark.parametrize("case", [case for case in CASES if case.admission], ids=lambda case: case.id)
async def test_what_is_refused_at_admission_is_refused_here(client: Client, case: Case) -> None:
    """api:§12; and by a verdict, not because a rule cannot be evaluated."""
    with pytest.raises(Invalid) as refusal:
        await _create(client, case.manifest())
    assert "evaluation error" not in str(refusal.value)


@pytest.mark.parametrize("case", [case for case in CASES if not case.admission], ids=lambda case: case.id)
async def test_what_only_the_controller_refuses_is_stored(client: Client, case: Case) -> None:
    """api:§12."""
    await _create(client, case.manifest())


@pytest.mark.parametrize("manifest", CORPUS, ids=[f"{index}" for index in range(len(CORPUS))])
async def test_canaries_of_flaggers_users_are_stored(client: Client, manifest: Manifest) -> None:
    """api:§1: what Flagger's definition accepts, ours accepts."""
    await _create(client, manifest)


async def test_step_weights_are_stored(client: Client) -> None:
    """engine:WGT: rules about lists are evaluated too."""
    spec = {**CORPUS[0]["spec"], "analysis": {"interval": "1m", "threshold": 5, "stepWeights": [1, 5, 20]}}
    stored = await _create(client, CORPUS[0] | {"spec": spec})
    assert stored["spec"]["analysis"]["stepWeights"] == [1, 5, 20]
