"""The shell around the plans: watches, one queue, and the writes. Does what kube-controller-manager does for these kinds."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from flagger_py.kube.cluster import Cluster
from flagger_py.local.resources import ENDPOINT_SLICE, ENDPOINTS, NODE, POD, REPLICA_SET
from flagger_py.local.workloads import endpoints
from flagger_py.local.workloads.daemonset import plan_daemon_set
from flagger_py.local.workloads.deployment import REVISION_ANNOTATION, DeploymentPlan, plan_deployment
from flagger_py.local.workloads.ownership import HASH_LABEL, controller_of, owned_by, pod_from
from flagger_py.local.workloads.replicaset import plan_replica_set
from flagger_py.local.workqueue import WorkQueue
from flagger_py.objects.errors import AlreadyExists
from flagger_py.objects.patch import MergePatch, merge_patch
from flagger_py.objects.resource import DAEMON_SET, DEPLOYMENT, SERVICE, Manifest, Ref, Resource

WATCHED: Final = (DEPLOYMENT, REPLICA_SET, DAEMON_SET, POD, SERVICE, NODE, ENDPOINT_SLICE, ENDPOINTS)
_OWNERS: Final = {"Deployment": DEPLOYMENT, "ReplicaSet": REPLICA_SET, "DaemonSet": DAEMON_SET}

_WITH_ZEROS: Final = {
    "ReplicaSet": frozenset({"replicas"}),
    "DaemonSet": frozenset({"currentNumberScheduled", "desiredNumberScheduled", "numberMisscheduled", "numberReady"}),
}
"""The counts that a status has even where they are zero."""


class Key(NamedTuple):
    """What is reconciled: a workload, or a Service's endpoints."""

    resource: Resource
    namespace: str
    name: str

    def __str__(self) -> str:
        return str(Ref(self.resource, self.namespace, self.name))

    @property
    def ref(self) -> Ref:
        return Ref(self.resource, self.namespace, self.name)


class WorkloadControllers:
    """Runs Deployments, ReplicaSets, DaemonSets and endpoints of the whole cluster."""

    def __init__(self, cluster: Cluster, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._cluster = cluster
        self._objects = cluster.objects()
        self._clock = clock
        self._queue: WorkQueue[Key] = WorkQueue(self._reconcile)

    async def run(self) -> None:
        """For ever."""
        self._cluster.subscribe(self._on_change)
        for resource in WATCHED:
            await self._cluster.ensure_watched(resource)
        await self._queue.run()

    def _on_change(self, ref: Ref) -> None:
        if not ref.name:
            return
        if ref.resource in (DEPLOYMENT, REPLICA_SET, DAEMON_SET, SERVICE):
            self._queue.add(Key(ref.resource, ref.namespace, ref.name))
        if ref.resource in (REPLICA_SET, POD, ENDPOINT_SLICE, ENDPOINTS):
            self._wake_dependants(ref)
        elif ref.resource == NODE:
            self._wake_all(DAEMON_SET)

    def _wake_dependants(self, ref: Ref) -> None:
        """The owner of what has changed, and for a pod every Service of its namespace: its labels may have been others before.

        Of a pod that is gone the owner is not known any more, so all that may have owned it look.
        """
        found = next((entry for entry in self._cluster.items(ref.resource, ref.namespace) if entry["metadata"]["name"] == ref.name), None)
        if ref.resource in (POD, ENDPOINT_SLICE, ENDPOINTS):
            self._wake_all(SERVICE, ref.namespace)
        owner = controller_of(found) if found else None
        if owner and owner["kind"] in _OWNERS:
            self._queue.add(Key(_OWNERS[owner["kind"]], ref.namespace, owner["name"]))
        elif found is None:
            for resource in (DEPLOYMENT,) if ref.resource == REPLICA_SET else (REPLICA_SET, DAEMON_SET):
                self._wake_all(resource, ref.namespace)

    def _wake_all(self, resource: Resource, namespace: str = "") -> None:
        for entry in self._cluster.items(resource, namespace):
            self._queue.add(Key(resource, entry["metadata"]["namespace"], entry["metadata"]["name"]))

    async def _reconcile(self, key: Key) -> float | None:
        manifest = await self._objects.read(key.ref)
        if manifest is None:
            return None
        match key.resource.kind:
            case "Deployment":
                return await self._deployment(manifest)
            case "ReplicaSet":
                return await self._replica_set(manifest)
            case "DaemonSet":
                return await self._daemon_set(manifest)
            case _:
                await self._service(manifest)
                return None

    def _owned(self, resource: Resource, owner: Manifest) -> list[Manifest]:
        return owned_by(owner, self._cluster.items(resource, owner["metadata"]["namespace"]))

    async def _deployment(self, deployment: Manifest) -> float | None:
        """Status first: what a step is for is said before it is done."""
        plan = plan_deployment(deployment, self._owned(REPLICA_SET, deployment), self._clock())
        await self._write_status(DEPLOYMENT, deployment, plan.status)
        namespace = deployment["metadata"]["namespace"]
        if plan.revision:
            annotations = {REVISION_ANNOTATION: plan.revision}
            await self._objects.patch(Ref.of(DEPLOYMENT, deployment), MergePatch({"metadata": {"annotations": annotations}}))
        if plan.create:
            await self._create(REPLICA_SET, plan.create)
        await self._change_replica_sets(namespace, plan)
        return plan.wake_after

    async def _change_replica_sets(self, namespace: str, plan: DeploymentPlan) -> None:
        for name, body in plan.patches.items():
            await self._objects.patch(Ref(REPLICA_SET, namespace, name), MergePatch(body))
        for name in plan.delete:
            await self._objects.delete(Ref(REPLICA_SET, namespace, name))

    async def _create(self, resource: Resource, manifest: Manifest) -> None:
        """One of this name may have been made by a pass whose reply was lost; the watch will show it."""
        try:
            await self._objects.create(resource, manifest)
        except AlreadyExists:
            return

    async def _replica_set(self, replica_set: Manifest) -> float | None:
        plan = plan_replica_set(replica_set, self._owned(POD, replica_set), self._clock())
        template = replica_set["spec"]["template"]
        hashed = (replica_set["metadata"].get("labels") or {}).get(HASH_LABEL)
        labels = {HASH_LABEL: hashed} if hashed else {}
        for _ in range(plan.create):
            await self._objects.create(POD, pod_from(replica_set, REPLICA_SET, template, labels))
        await self._delete_pods(replica_set, plan.delete)
        await self._write_status(REPLICA_SET, replica_set, plan.status)
        return plan.wake_after

    async def _delete_pods(self, owner: Manifest, names: Iterable[str]) -> None:
        for name in names:
            await self._objects.delete(Ref(POD, owner["metadata"]["namespace"], name))

    async def _daemon_set(self, daemon_set: Manifest) -> float | None:
        nodes = list(self._cluster.items(NODE))
        plan = plan_daemon_set(daemon_set, self._owned(POD, daemon_set), nodes, self._clock())
        for pod in plan.create:
            await self._objects.create(POD, pod)
        await self._delete_pods(daemon_set, plan.delete)
        await self._write_status(DAEMON_SET, daemon_set, plan.status)
        return plan.wake_after

    async def _service(self, service: Manifest) -> None:
        if "deletionTimestamp" in service["metadata"] or not service["spec"].get("selector"):
            return
        pods = endpoints.selected(service, list(self._cluster.items(POD, service["metadata"]["namespace"])))
        slices = endpoints.endpoint_slices(service, pods)
        for entry in slices:
            await self._ensure(ENDPOINT_SLICE, entry)
        await self._remove_other_slices(service, {entry["metadata"]["name"] for entry in slices})
        await self._ensure(ENDPOINTS, endpoints.endpoints(service, slices))

    async def _ensure(self, resource: Resource, wanted: Manifest) -> None:
        """Create it, or give it the content that is wanted; foreign labels stay."""
        found = await self._objects.read(Ref.of(resource, wanted))
        if found is None:
            await self._create(resource, wanted)
            return
        labels = {**(found["metadata"].get("labels") or {}), **wanted["metadata"]["labels"]}
        after = {**found, **wanted, "metadata": {**found["metadata"], "labels": labels}}
        patch = merge_patch(found, after)
        if not patch.is_empty:
            await self._objects.patch(Ref.of(resource, wanted), patch)

    async def _remove_other_slices(self, service: Manifest, kept: set[str]) -> None:
        for entry in self._owned(ENDPOINT_SLICE, service):
            if entry["metadata"]["name"] not in kept:
                await self._objects.delete(Ref.of(ENDPOINT_SLICE, entry))

    async def _write_status(self, resource: Resource, manifest: Manifest, status: dict[str, Any]) -> None:
        """Only what differs is written; fields that we do not set stay. Counts of zero are left out where Kubernetes leaves them out."""
        before = manifest.get("status") or {}
        kept = _WITH_ZEROS.get(resource.kind, frozenset())
        after = {field: value for field, value in {**before, **status}.items() if value != 0 or field in kept}
        patch = merge_patch({"status": before}, {"status": after})
        if not patch.is_empty:
            await self._objects.patch(Ref.of(resource, manifest), patch, subresource="status")
