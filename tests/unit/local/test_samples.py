"""The samples are what they claim to be."""

from datetime import timedelta

import pytest
import yaml

from flagger_py.api.canary import Canary
from flagger_py.api.validation import Context, validate
from flagger_py.local.samples import PROVIDERS, Sample, UnknownProvider, canary, new_version, objects
from flagger_py.objects.resource import CANARY, SERVICE


@pytest.mark.parametrize("provider", PROVIDERS)
def test_each_provider_has_a_gateway_an_app_and_a_canary(provider: str) -> None:
    found = objects(Sample(provider, "http://127.0.0.1:9090"))
    kinds = [resource.kind for resource, _ in found]
    assert kinds[0] == "Namespace"
    assert kinds[-1] == "Canary"
    assert "Deployment" in kinds
    assert yaml.safe_dump([manifest for _, manifest in found])


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_canary_is_a_valid_one(provider: str) -> None:
    manifest = {"apiVersion": CANARY.api_version, "kind": "Canary", **canary(Sample(provider, "http://127.0.0.1:9090"))}
    parsed = Canary.model_validate(manifest)
    assert parsed.spec.provider == provider
    assert parsed.spec.analysis is not None
    assert parsed.spec.analysis.step_weight == 10


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_service_can_be_the_target(provider: str) -> None:
    found = objects(Sample(provider, "http://127.0.0.1:9090", target=SERVICE))
    names = [f"{resource.kind} {manifest['metadata']['name']}" for resource, manifest in found]
    assert {"Deployment web-1", "Service web"} <= set(names)
    canary_manifest = {"apiVersion": CANARY.api_version, "kind": "Canary", **found[-1][1]}
    assert validate(Canary.model_validate(canary_manifest), Context(minimum_interval=timedelta(seconds=3))) == ()


def test_an_unknown_provider_is_refused_by_name() -> None:
    with pytest.raises(UnknownProvider, match="'nginx': choose one of gatewayapi:v1, "):
        Sample("nginx", "")


def test_a_new_version_changes_image_and_faults_only() -> None:
    (container,) = new_version("3", {"FAULT_ERROR_PERCENT": "10"})["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "registry.example.com/web:3"
    assert container["env"] == [{"name": "FAULT_ERROR_PERCENT", "value": "10"}]
