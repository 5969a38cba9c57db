"""What is scraped, and under which labels."""

from typing import Any

import pytest

from flagger_py.local.monitoring import pod_targets
from flagger_py.local.node.agent import PORTS_ANNOTATION
from flagger_py.objects.resource import Manifest


def pod(phase: str = "Running", **annotations: str) -> Manifest:
    return {
        "metadata": {
            "name": "web-1",
            "namespace": "test",
            "annotations": annotations,
        },
        "spec": {"containers": [{"name": "web", "ports": [{"containerPort": 9898}]}]},
        "status": {"phase": phase, "podIP": "127.64.0.1"},
    }


def test_a_pod_is_labelled_as_flaggers_own_prometheus_does_it() -> None:
    """metrics:OBS-HTTP-02"""
    (target,) = pod_targets([pod()], 0.5)
    assert target.url == "http://127.64.0.1:9898/metrics"
    assert target.labels == {
        "job": "kubernetes-pods",
        "instance": "127.64.0.1:9898",
        "kubernetes_namespace": "test",
        "kubernetes_pod_name": "web-1",
    }


@pytest.mark.parametrize(
    "manifest",
    [
        pytest.param(pod("Pending"), id="not running"),
        pytest.param(pod(**{"prometheus.io/scrape": "false"}), id="unwilling"),
    ],
)
def test_some_pods_are_not_scraped(manifest: Manifest) -> None:
    assert list(pod_targets([manifest], 0.5)) == []


@pytest.mark.parametrize(
    ("annotations", "url"),
    [
        ({"prometheus.io/port": "9797", "prometheus.io/path": "/stats"}, "http://127.64.0.1:9797/stats"),
        ({PORTS_ANNOTATION: "9898=40123"}, "http://127.64.0.1:40123/metrics"),
    ],
)
def test_annotations_say_where_the_page_is(annotations: dict[str, Any], url: str) -> None:
    assert [target.url for target in pod_targets([pod(**annotations)], 0.5)] == [url]
