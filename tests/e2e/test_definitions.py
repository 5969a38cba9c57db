"""Our CustomResourceDefinitions on a real API server: what is accepted and refused, what survives, what `kubectl get` shows."""

from pathlib import Path

import pytest
import yaml

from flagger_py.kube.client import Client
from flagger_py.kube.schema_check import CanarySchema, read_canary_schema
from flagger_py.objects.errors import Invalid
from flagger_py.objects.patch import MergePatch
from flagger_py.objects.resource import ALERT_PROVIDER, CANARY, METRIC_TEMPLATE, Manifest, Ref, Resource
from tests.e2e.kubectl import kubectl
from tests.e2e.waiting import until
from tests.unit.api.cases import CASES, Case
from tests.unit.api.manifests import valid_canary

FIXTURES = Path(__file__).parents[1] / "fixtures"
CORPUS: list[Manifest] = list(yaml.safe_load_all((FIXTURES / "api" / "flagger-canaries.yaml").read_text()))
RECORDED = {
    f"{path.parent.name}-{path.stem}": next(manifest for manifest in yaml.safe_load_all(path.read_text()) if manifest["kind"] == "Canary")
    for path in sorted((FIXTURES / "takeover").glob("*/*.yaml"))
}

ROLLOUT = {
    "version": 1,
    "run": "run-1",
    "revision": "6f9c8d",
    "promotedRevision": "5b7d9c",
    "desired": {"primary": 80, "canary": 20, "mirrored": False},
    "step": 2,
}


def in_namespace(manifest: Manifest, namespace: str) -> Manifest:
    """The same object elsewhere, as someone applies it: without what the server adds."""
    metadata = {key: value for key, value in manifest["metadata"].items() if key in ("name", "labels", "annotations")}
    return {**{key: value for key, value in manifest.items() if key != "status"}, "metadata": {**metadata, "namespace": namespace}}


async def test_what_the_models_refuse_at_admission_is_refused_and_nothing_else(client: Client, namespace: str) -> None:
    """api:§12, for every case that the unit tests know."""
    wrong = [case.id for case in CASES if await _is_refused(client, case, namespace) != case.admission]
    assert wrong == []


async def _is_refused(client: Client, case: Case, namespace: str) -> bool:
    manifest = in_namespace(case.manifest(), namespace)
    manifest["metadata"].pop("name", None)
    manifest["metadata"]["generateName"] = "case-"
    try:
        await client.create(CANARY, manifest)
    except Invalid:
        return True
    return False


@pytest.mark.parametrize("recorded", RECORDED.values(), ids=RECORDED.keys())
async def test_a_canary_of_flagger_is_accepted_with_its_status(client: Client, namespace: str, recorded: Manifest) -> None:
    """design:§6: what Flagger left behind is stored as it is."""
    created = await client.create(CANARY, in_namespace(recorded, namespace), field_validation="Strict")
    assert created["spec"] == recorded["spec"]
    ref = Ref.of(CANARY, created)
    stored = await client.patch(ref, MergePatch({"status": recorded["status"]}), subresource="status", field_validation="Strict")
    assert stored["status"] == recorded["status"]


@pytest.mark.parametrize("manifest", CORPUS, ids=lambda manifest: f"{manifest['metadata']['namespace']}-{manifest['metadata']['name']}")
async def test_a_canary_of_the_corpus_is_accepted(client: Client, namespace: str, manifest: Manifest) -> None:
    """E2E-69, api:API-35."""
    created = await client.create(CANARY, in_namespace(manifest, namespace), field_validation="Strict")
    assert created["spec"] == manifest["spec"]


async def test_the_rollout_record_survives_and_a_field_that_is_not_defined_is_refused(client: Client, namespace: str) -> None:
    """design:§5: every status write with `rollout` carries `fieldValidation=Strict`."""
    ref = Ref.of(CANARY, await client.create(CANARY, in_namespace(valid_canary(), namespace)))
    status = {"phase": "Progressing", "canaryWeight": 20, "conditions": [], "rollout": ROLLOUT}
    stored = await client.patch(ref, MergePatch({"status": status}), subresource="status", field_validation="Strict")
    assert stored["status"]["rollout"] == ROLLOUT
    unknown = MergePatch({"status": {"rollout": {"notDefined": 1}}})
    with pytest.raises(Invalid, match="unknown field"):
        await client.patch(ref, unknown, subresource="status", field_validation="Strict")


async def test_a_write_of_the_status_leaves_the_spec_alone(client: Client, namespace: str) -> None:
    ref = Ref.of(CANARY, await client.create(CANARY, in_namespace(valid_canary(), namespace)))
    patched = await client.patch(ref, MergePatch({"spec": {"suspend": True}, "status": {"phase": "Waiting"}}), subresource="status")
    assert "suspend" not in patched["spec"]
    patched = await client.patch(ref, MergePatch({"spec": {"suspend": True}, "status": {"phase": "Failed"}}))
    assert (patched["spec"]["suspend"], patched["status"]["phase"]) == (True, "Waiting")


async def test_the_published_schema_says_that_the_definition_is_ours(client: Client) -> None:
    """design:§5."""

    async def is_ours() -> bool:
        return await read_canary_schema(client) is CanarySchema.KEEPS_ROLLOUT

    await until(is_ours, seconds=20)


async def test_kubectl_shows_the_columns_of_flagger(client: Client, namespace: str) -> None:
    """api:API-01."""
    ref = Ref.of(CANARY, await client.create(CANARY, in_namespace(valid_canary(), namespace)))
    status = {"phase": "Progressing", "canaryWeight": 20, "lastTransitionTime": "2026-01-01T00:00:00Z"}
    await client.patch(ref, MergePatch({"status": status}), subresource="status")
    header, row = (await kubectl("get", "canaries", "--namespace", namespace)).splitlines()
    assert header.split() == ["NAME", "STATUS", "WEIGHT", "LASTTRANSITIONTIME"]
    assert row.split() == ["shop", "Progressing", "20", "2026-01-01T00:00:00Z"]
    wide = (await kubectl("get", "canaries", "--namespace", namespace, "--output", "wide")).splitlines()[0]
    assert len(wide.split()) > 4


OTHERS = [
    pytest.param(
        METRIC_TEMPLATE,
        {"provider": {"type": "prometheus", "address": "http://prometheus:9090"}, "query": "vector(1)"},
        {"provider": {"type": "prometheus"}},
        id="a MetricTemplate without a query",
    ),
    pytest.param(
        ALERT_PROVIDER, {"type": "slack", "address": "https://hooks.example.com/1"}, {"type": ""}, id="an AlertProvider without a type"
    ),
]


@pytest.mark.parametrize(("resource", "good", "bad"), OTHERS)
async def test_the_other_kinds_are_served_and_checked(
    client: Client, namespace: str, resource: Resource, good: Manifest, bad: Manifest
) -> None:
    """api:API-05."""
    stored = await client.create(resource, {"metadata": {"name": "good", "namespace": namespace}, "spec": good}, field_validation="Strict")
    assert stored["spec"] == good
    with pytest.raises(Invalid):
        await client.create(resource, {"metadata": {"name": "bad", "namespace": namespace}, "spec": bad})
