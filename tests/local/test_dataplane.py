"""Real requests through a real Envoy to real pods: weights are kept, and no change loses a request."""

import os
import signal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from flagger_py.local.cluster import LocalCluster
from flagger_py.local.envoy.translation import HTTP_PROXY, HTTP_ROUTE, ISTIO_GATEWAY, VIRTUAL_SERVICE
from flagger_py.local.resources import POD
from flagger_py.local.samples import HOST, new_version
from flagger_py.objects.patch import MergePatch
from flagger_py.objects.resource import DAEMON_SET, DEPLOYMENT, SERVICE, Manifest, Ref
from tests.local.deployed import (
    TEST,
    answers,
    client,
    deploy_gateway,
    deploy_two_versions,
    deployment,
    is_likely,
    load,
    named,
    running,
    service,
    set_rules,
    split,
    until,
    until_available,
    until_reason,
    version_of,
)

pytestmark = pytest.mark.local


async def test_weights_hold_and_no_request_fails_while_weights_and_pods_change(tmp_path: Path) -> None:
    """issue 3 §3; the bound is binomial."""
    async with running(tmp_path) as cluster:
        await deploy_two_versions(cluster)
        await deploy_gateway(cluster, split(100, 0))
        async with load(cluster, 200) as generator:
            for weight in (0, 30, 50):
                await set_rules(cluster, split(100 - weight, weight))
                found = await answers(generator, 400)
                assert is_likely(found.get("2", 0), sum(found.values()), weight), (weight, found)
            await release(cluster, "web-canary", "3")
            await cluster.client.patch(Ref(DEPLOYMENT, TEST, "web-primary"), MergePatch({"spec": {"replicas": 4}}))
            for weight in range(10, 100, 10):
                await set_rules(cluster, split(weight, 100 - weight))
            await cluster.client.patch(Ref(DEPLOYMENT, TEST, "web-primary"), MergePatch({"spec": {"replicas": 1}}))
            await until_available(cluster, "web-primary")
            await answers(generator, 300)
        assert generator.tally.failures() == 0
        flags = await cluster.flags()
        assert flags.failures() == {}
        assert flags.requests == generator.tally.requests


async def release(cluster: LocalCluster, name: str, version: str, **environment: str) -> None:
    await cluster.client.patch(Ref(DEPLOYMENT, TEST, name), MergePatch(new_version(version, {"DRAIN_SECONDS": "1", **environment})))
    await until_available(cluster, name)


async def test_a_version_that_cannot_start_gets_no_traffic_and_says_why(tmp_path: Path) -> None:
    async with running(tmp_path) as cluster:
        await deploy_two_versions(cluster)
        await deploy_gateway(cluster, split(0, 100))
        await cluster.client.patch(Ref(DEPLOYMENT, TEST, "web-canary"), MergePatch({"spec": {"progressDeadlineSeconds": 1}}))
        await cluster.client.patch(Ref(DEPLOYMENT, TEST, "web-canary"), MergePatch(new_version("missing")))
        async with load(cluster, 100) as generator:
            found = await until_reason(cluster, DEPLOYMENT, "web-canary", "Progressing", "ProgressDeadlineExceeded")
            assert generator.tally.failures() == 0
            assert set(generator.tally.window(60).versions()) == {"2"}
        assert found["status"]["availableReplicas"] == 2
        assert "ErrImagePull" in await waiting_reasons(cluster) or "ImagePullBackOff" in await waiting_reasons(cluster)


async def waiting_reasons(cluster: LocalCluster) -> set[str]:
    statuses = [status for pod in await cluster.client.find(POD, TEST) for status in pod["status"].get("containerStatuses", ())]
    return {status["state"]["waiting"]["reason"] for status in statuses if "waiting" in status["state"]}


async def test_a_pod_that_is_not_ready_is_no_endpoint(tmp_path: Path) -> None:
    async with running(tmp_path) as cluster:
        await deploy_two_versions(cluster)
        await deploy_gateway(cluster, split(0, 100))
        patch = new_version("3", {"FAULT_NOT_READY": "true"})
        await cluster.client.patch(Ref(DEPLOYMENT, TEST, "web-canary"), MergePatch(patch))

        async def claim() -> bool:
            pods = await cluster.client.find(POD, TEST, label_selector="app=web-canary")
            return any("web:3" in pod["spec"]["containers"][0]["image"] and pod["status"].get("phase") == "Running" for pod in pods)

        await until(claim)
        async with client(cluster) as session:
            assert {await version_of(session) for _ in range(20)} == {"2"}


async def test_a_crash_is_restarted_and_counted(tmp_path: Path) -> None:
    async with running(tmp_path) as cluster:
        await cluster.apply([(DEPLOYMENT, deployment("web-primary", "1", {"FAULT_CRASH_AFTER_S": "0.2"}, replicas=1))])

        async def claim() -> bool:
            return "CrashLoopBackOff" in await waiting_reasons(cluster)

        await until(claim)
        (pod,) = await cluster.client.find(POD, TEST)
        status = pod["status"]["containerStatuses"][0]
        assert (status["restartCount"], status["lastState"]["terminated"]["exitCode"]) == (1, 1)


async def test_envoy_is_started_again_on_the_same_port(tmp_path: Path) -> None:
    async with running(tmp_path) as cluster:
        await deploy_two_versions(cluster)
        await deploy_gateway(cluster, split(100, 0))
        address = await cluster.address()
        os.kill(cluster.gateway.process.pid, signal.SIGKILL)

        async def claim() -> bool:
            return cluster.gateway.process.restarts == 1 and cluster.gateway.process.pid != 0

        await until(claim)
        await cluster.gateway.process.ready()
        assert await cluster.address() == address
        async with client(cluster) as session:
            assert await version_of(session) == "1"


async def test_rules_of_all_kinds(tmp_path: Path) -> None:
    """routers:GW-06, GW-09, SA-05, SA-06: seen through Envoy, not only rendered for it."""
    canary = [{"name": "web-canary", "port": 80}]
    primary = [{"name": "web-primary", "port": 80}]
    cookie = {"responseHeaderModifier": {"add": [{"name": "Set-Cookie", "value": "v=b; Max-Age=5"}]}, "type": "ResponseHeaderModifier"}
    rewrite = {"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}}
    rules: list[dict[str, Any]] = [
        {"matches": [{"headers": [{"name": "x-canary", "value": "insider"}]}], "backendRefs": canary},
        {"matches": [{"headers": [{"name": "Cookie", "type": "RegularExpression", "value": ".*v.*b.*"}]}], "backendRefs": canary},
        {"matches": [{"path": {"type": "PathPrefix", "value": "/shop"}}], "filters": [rewrite], "backendRefs": primary},
        {"matches": [{"queryParams": [{"name": "v", "value": "2"}]}], "backendRefs": canary},
        {"matches": [{"path": {"type": "PathPrefix", "value": "/"}}], "backendRefs": [{**primary[0], "filters": [cookie]}]},
    ]
    async with running(tmp_path) as cluster:
        await deploy_two_versions(cluster)
        await deploy_gateway(cluster, *rules)
        async with client(cluster) as session:
            assert await version_of(session, headers={"Host": HOST, "x-canary": "insider"}) == "2"
            assert await version_of(session, "/?v=2") == "2"
            async with session.get("/") as response:
                assert (await response.json())["version"] == "1"
                assert response.headers["Set-Cookie"] == "v=b; Max-Age=5"
            assert await version_of(session, headers={"Host": HOST, "Cookie": "a=1; v=b"}) == "2"
            async with session.get("/shop/status/418") as response:
                assert response.status == 418


async def test_clients_that_keep_cookies_stay_with_their_version(tmp_path: Path) -> None:
    """routers:SA-17"""
    cookies = [
        {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"add": [{"name": "Set-Cookie", "value": f"v={name}; Path=/"}]}}
        for name in ("primary", "canary")
    ]
    weighted = split(50, 50)
    for backend, cookie in zip(weighted["backendRefs"], cookies, strict=True):
        backend["filters"] = [cookie]
    sticky = [
        {
            "matches": [{"headers": [{"name": "Cookie", "type": "RegularExpression", "value": f".*v={name}.*"}]}],
            "backendRefs": [{"name": f"web-{name}", "port": 80}],
        }
        for name in ("primary", "canary")
    ]
    async with running(tmp_path) as cluster:
        await deploy_two_versions(cluster)
        await deploy_gateway(cluster, *sticky, weighted)
        address = await cluster.address()
        for _ in range(4):
            jar = aiohttp.CookieJar(unsafe=True)
            async with aiohttp.ClientSession(f"http://{address}", headers={"Host": HOST}, cookie_jar=jar) as session:
                first = await version_of(session)
                assert {await version_of(session) for _ in range(10)} == {first}


async def test_a_mirror_gets_copies_and_answers_nobody(tmp_path: Path) -> None:
    """routers:GW-17"""
    mirror = {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "web-canary", "port": 80}}}
    rule = {"filters": [mirror], "backendRefs": [{"name": "web-primary", "port": 80}]}
    async with running(tmp_path) as cluster:
        await deploy_two_versions(cluster)
        await deploy_gateway(cluster, rule)
        async with client(cluster) as session:
            assert {await version_of(session) for _ in range(20)} == {"1"}

        async def claim() -> bool:
            stats = await cluster.gateway.process.admin("/stats?filter=cluster.test_web-canary_80.upstream_rq_completed")
            return stats.strip().endswith(": 20")

        await until(claim)


@pytest.mark.parametrize("kind", ["contour", "istio"])
async def test_the_other_kinds_of_routes_split_alike(kind: str, tmp_path: Path) -> None:
    async with running(tmp_path) as cluster:
        await deploy_two_versions(cluster)
        await cluster.apply(contour_objects() if kind == "contour" else istio_objects())
        await cluster.address()
        async with load(cluster, 200) as generator:
            found = await answers(generator, 400)
        assert is_likely(found.get("2", 0), sum(found.values()), 30), found
        assert (await cluster.flags()).failures() == {}


def contour_objects() -> list[tuple[Any, Manifest]]:
    root = {"virtualhost": {"fqdn": HOST}, "includes": [{"name": "web", "conditions": [{"prefix": "/"}]}]}
    services = [{"name": "web-primary", "port": 80, "weight": 70}, {"name": "web-canary", "port": 80, "weight": 30}]
    child = {"routes": [{"conditions": [{"prefix": "/"}], "services": services}]}
    return [(HTTP_PROXY, {"metadata": named("root"), "spec": root}), (HTTP_PROXY, {"metadata": named("web"), "spec": child})]


def istio_objects() -> list[tuple[Any, Manifest]]:
    server = {"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}
    routes = [{"destination": {"host": "web-primary"}, "weight": 70}, {"destination": {"host": "web-canary"}, "weight": 30}]
    spec = {"hosts": [HOST], "gateways": ["gateway"], "http": [{"route": routes}]}
    return [
        (ISTIO_GATEWAY, {"metadata": named("gateway"), "spec": {"servers": [server]}}),
        (VIRTUAL_SERVICE, {"metadata": named("web"), "spec": spec}),
    ]


async def test_statuses_of_httpproxies(tmp_path: Path) -> None:
    (_, root), (_, web) = contour_objects()
    async with running(tmp_path) as cluster:
        await deploy_two_versions(cluster)
        await cluster.apply([(HTTP_PROXY, web)])
        orphaned = await until_reason(cluster, HTTP_PROXY, "web", "Valid", "Orphaned")
        assert orphaned["status"]["currentStatus"] == "orphaned"
        await cluster.apply([(HTTP_PROXY, root)])
        valid = await until_reason(cluster, HTTP_PROXY, "web", "Valid", "Valid")
        assert (valid["status"]["currentStatus"], valid["status"]["description"]) == ("valid", "Valid HTTPProxy")


async def test_a_route_without_its_service_says_so_and_recovers(tmp_path: Path) -> None:
    async with running(tmp_path) as cluster:
        await deploy_gateway(cluster, {"backendRefs": [{"name": "late", "port": 80}]})
        found = await cluster.client.get(Ref(HTTP_ROUTE, TEST, "web"))
        reasons = {entry["type"]: entry["reason"] for entry in found["status"]["parents"][0]["conditions"]}
        assert reasons == {"Accepted": "Accepted", "ResolvedRefs": "BackendNotFound"}
        await cluster.apply([(DEPLOYMENT, deployment("late", "1")), (SERVICE, service("late"))])
        await until_available(cluster, "late")
        async with client(cluster) as session:

            async def claim() -> bool:
                async with session.get("/") as response:
                    return response.status == 200

            await until(claim)


async def test_a_daemon_set_runs_one_pod_and_none_behind_a_selector(tmp_path: Path) -> None:
    """workloads:DS-01"""
    manifest = deployment("agent", "1")
    spec = {key: manifest["spec"][key] for key in ("selector", "template")}
    async with running(tmp_path) as cluster:
        await cluster.apply([(DAEMON_SET, {"metadata": named("agent"), "spec": spec})])

        async def claims(count: int) -> bool:
            found = await cluster.client.get(Ref(DAEMON_SET, TEST, "agent"))
            return bool((found.get("status") or {}).get("numberReady") == count) and len(await cluster.client.find(POD, TEST)) == count

        await until(lambda: claims(1))
        selector = {"spec": {"template": {"spec": {"nodeSelector": {"flagger.app/scale-to-zero": "true"}}}}}
        await cluster.client.patch(Ref(DAEMON_SET, TEST, "agent"), MergePatch(selector))
        await until(lambda: claims(0))


CONTOUR = 'envoy_cluster_name=~"test_web-canary_[0-9a-zA-Z-]+"'
ISTIO = 'reporter="destination", destination_workload_namespace="test", destination_workload=~"web-canary"'
HTTP = 'kubernetes_namespace="test", kubernetes_pod_name=~"web-canary-[0-9a-zA-Z]+(-[0-9a-zA-Z]+)"'


@pytest.mark.parametrize(
    "query",
    [
        pytest.param(f'sum(rate(envoy_cluster_upstream_rq{{{CONTOUR}, envoy_response_code!~"5.*"}}[5s]))', id="contour"),
        pytest.param(
            f"histogram_quantile(0.99, sum(rate(envoy_cluster_upstream_rq_time_bucket{{{CONTOUR}}}[5s])) by (le))", id="contour latency"
        ),
        pytest.param(f'sum(rate(istio_requests_total{{{ISTIO}, response_code!~"5.*"}}[5s]))', id="istio"),
        pytest.param(
            f"histogram_quantile(0.99, sum(rate(istio_request_duration_milliseconds_bucket{{{ISTIO}}}[5s])) by (le))", id="istio latency"
        ),
        pytest.param(f'sum(rate(http_request_duration_seconds_count{{{HTTP}, status!~"5.*"}}[5s]))', id="app"),
        pytest.param(f"histogram_quantile(0.99, sum(rate(http_request_duration_seconds_bucket{{{HTTP}}}[5s])) by (le))", id="app latency"),
    ],
)
async def test_what_was_served_can_be_queried(query: str, tmp_path: Path) -> None:
    """metrics:OBS-CONTOUR-01, OBS-ISTIO-01, OBS-HTTP-01"""
    async with running(tmp_path) as cluster:
        await deploy_two_versions(cluster)
        await deploy_gateway(cluster, split(50, 50))
        async with load(cluster, 50), aiohttp.ClientSession(cluster.prometheus_url) as prometheus:

            async def claim() -> bool:
                async with prometheus.get("/api/v1/query", params={"query": query}) as response:
                    result = (await response.json())["data"]["result"]
                    return bool(result) and float(result[0]["value"][1]) > 0

            await until(claim)
