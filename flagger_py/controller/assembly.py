"""Puts the parts together above a transport: what `process` runs against a real cluster, and tests against one in memory."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog

from flagger_py import __version__
from flagger_py.api.canary import Canary
from flagger_py.api.capabilities import Capabilities
from flagger_py.api.validation import Context, Problem, validate
from flagger_py.controller.admission import Admission
from flagger_py.controller.alert_receivers import GlobalNotifier, global_notifier
from flagger_py.controller.alerts import AlertSender, AlertSettings
from flagger_py.controller.analysis import Analyst
from flagger_py.controller.answerer import WebhookAnswerer
from flagger_py.controller.clock import Clock
from flagger_py.controller.crd import CrdCheck
from flagger_py.controller.events import EventPost, EventRecorder, Post
from flagger_py.controller.exported import ExportedMetrics
from flagger_py.controller.flags import ControllerFlags
from flagger_py.controller.fleet import Fleet
from flagger_py.controller.hooks import HookClient
from flagger_py.controller.metric_providers import MetricSettings
from flagger_py.controller.passes import PassRunner
from flagger_py.controller.ports import Settings
from flagger_py.controller.reporting import PassReporter
from flagger_py.controller.rights import missing_rights
from flagger_py.controller.supervisor import Supervisor
from flagger_py.http.client import HttpClient
from flagger_py.kube.client import Client
from flagger_py.kube.cluster import Cluster
from flagger_py.kube.lease import Election
from flagger_py.kube.retry import TokenBucket
from flagger_py.kube.store import Projection, identity_only
from flagger_py.kube.transport import Transport
from flagger_py.metrics import registry as metric_providers
from flagger_py.notify import registry as notifiers
from flagger_py.objects.knative import KNATIVE_REVISION, KNATIVE_SERVICE, project_revision, project_service
from flagger_py.objects.plugins import PluginError
from flagger_py.objects.resource import (
    CANARY,
    CONFIG_MAP,
    DAEMON_SET,
    DEPLOYMENT,
    HORIZONTAL_POD_AUTOSCALER,
    SCALED_OBJECT,
    SECRET,
    Resource,
)
from flagger_py.routers import registry as routers
from flagger_py.routers.base import RouterSettings
from flagger_py.workloads.autoscaling.copies import project as scaler_projection
from flagger_py.workloads.daemonset import DaemonSetWorkload
from flagger_py.workloads.deployment import DeploymentWorkload
from flagger_py.workloads.settings import WorkloadSettings

log = structlog.get_logger(__name__)

PROJECTIONS: Mapping[Resource, Projection] = {
    DEPLOYMENT: Projection(DeploymentWorkload.project),
    DAEMON_SET: Projection(DaemonSetWorkload.project),
    KNATIVE_SERVICE: Projection(project_service),
    KNATIVE_REVISION: Projection(project_revision),
    CONFIG_MAP: Projection(identity_only, metadata_only=True),
    SECRET: Projection(identity_only, metadata_only=True),
    HORIZONTAL_POD_AUTOSCALER: Projection(scaler_projection),
    SCALED_OBJECT: Projection(scaler_projection),
}


@dataclass(frozen=True, slots=True)
class ReadinessCheck:
    """One line of `/readyz`; `optional` ones are shown, but no reason to be unready."""

    name: str
    ready: bool
    message: str = ""
    optional: bool = False


@dataclass(slots=True)
class Controller:
    """One controller above one transport. `run` returns after `stop`."""

    flags: ControllerFlags
    transport: Transport
    http: HttpClient
    clock: Clock
    identity: str
    exported: ExportedMetrics = field(init=False)
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _supervisor: Supervisor | None = None
    _cluster: Cluster | None = None
    _crd: CrdCheck | None = None
    _election: Election | None = None
    _missing_rights: tuple[str, ...] = ()
    _global_notifier: GlobalNotifier = field(init=False)

    def __post_init__(self) -> None:
        self._global_notifier = global_notifier(self.flags)
        self.exported = ExportedMetrics(__version__, self.flags.mesh_provider)

    def stop(self) -> None:
        """Finish the passes under way, release the lease, end."""
        self._stop.set()
        if self._supervisor:
            self._supervisor.stop()

    async def run(self) -> None:
        """Look after the Canaries of the cluster until stopped or cancelled."""
        self._global_notifier.announce()
        client = Client(self.transport, limiter=_limiter(self.flags))
        self._crd = CrdCheck(client)
        cluster = Cluster(client, namespace=self.flags.namespace, projections=PROJECTIONS, on_watch_ended=self._on_watch_ended)
        async with cluster, asyncio.TaskGroup() as group:
            self._cluster = cluster
            background = [group.create_task(self._crd.follow(self._wake_all), name="crd-check")]
            background.append(group.create_task(self._ask_rights(client), name="optional-rights"))
            await self._lead(cluster, client)
            for task in background:
                task.cancel()

    async def _lead(self, cluster: Cluster, client: Client) -> None:
        if self.flags.observe_only:
            log.info("observe_only", reason="nothing is written, and no Lease is taken")
            await self._work(cluster, client)
            return
        if not self.flags.enable_leader_election:
            log.warning("leader_election_off", reason="safe with one replica only")
            await self._work(cluster, client)
            return
        election = Election(Client(self.transport), self.flags.lease_namespace, self.identity, now=self.clock.now)
        self._election = election
        fenced = client.fenced(election.may_write)
        async with asyncio.TaskGroup() as group:
            leading = group.create_task(election.lead(lambda: self._work(cluster, fenced)), name="leader-election")
            campaign_end = group.create_task(self._end_campaign(leading), name="stop")
            await asyncio.wait({leading})
            campaign_end.cancel()

    async def _end_campaign(self, leading: asyncio.Task[None]) -> None:
        """A replica that still campaigns has nothing to finish."""
        await self._stop.wait()
        if self._supervisor is None:
            leading.cancel()

    async def _work(self, cluster: Cluster, client: Client) -> None:
        """What only the leader does."""
        if self._crd:
            await self._crd.looked.wait()
        if self._stop.is_set():
            return
        async with asyncio.TaskGroup() as group:
            hooks = HookClient(self.http)
            events = EventRecorder(group, cluster.objects(client=client), _poster(hooks), self.clock, webhook=self.flags.event_webhook)
            reporter = PassReporter(events, self.exported)
            supervisor = self._supervise(cluster, client, hooks, reporter)
            self._supervisor = supervisor
            try:
                await supervisor.run()
            finally:
                self._supervisor = None
                await events.drain(1.0)

    def _supervise(self, cluster: Cluster, client: Client, hooks: HookClient, reporter: PassReporter) -> Supervisor:
        runner = PassRunner(
            cluster=cluster,
            settings=_settings(self.flags),
            admission=Admission(
                validate=_validator(self.flags),
                minimum_interval=self.flags.minimum_interval,
                crd_problem=lambda: self._crd.problem if self._crd else "",
            ),
            clock=self.clock,
            reporter=reporter,
            fleet=Fleet(),
            max_concurrent_starts=self.flags.max_concurrent_starts,
            frozen=self.flags.freeze,
            observe_only=self.flags.observe_only,
            has_global_notifier=self._global_notifier.receiver is not None,
        )
        analyst = Analyst(self.http, _metric_settings(self.flags), reporter.measured)
        alerts = AlertSender(self.http, self._alert_settings(), self.clock, reporter.warned)
        answerer = WebhookAnswerer(hooks, analyst, reporter.analysed, alerts)
        supervisor = Supervisor(cluster, client, runner, answerer, self.clock)
        supervisor.on_removed(reporter.forget)
        return supervisor

    def _alert_settings(self) -> AlertSettings:
        return AlertSettings(
            cluster_name=self.flags.cluster_name,
            receiver=self._global_notifier.receiver,
            cross_namespace_refs=not self.flags.no_cross_namespace_refs,
        )

    def _on_watch_ended(self, resource: Resource) -> None:
        if resource == CANARY and self._crd:
            self._crd.look_again()

    def _wake_all(self) -> None:
        if self._supervisor:
            self._supervisor.wake_all()

    async def _ask_rights(self, client: Client) -> None:
        missing = await missing_rights(client, self.flags.namespace)
        self._missing_rights = tuple(right.feature for right in missing)
        for feature in self._missing_rights:
            log.warning("right_missing", feature=feature)

    def checks(self) -> list[ReadinessCheck]:
        """What `/readyz` shows."""
        checks = [ReadinessCheck("crd", not (self._crd and self._crd.problem), self._crd.problem if self._crd else "")]
        watches = self._cluster.health() if self._cluster else {}
        checks.append(ReadinessCheck("watch-canaries", any(r == CANARY and state.has_synced for r, state in watches.items())))
        for resource, state in watches.items():
            checks.append(ReadinessCheck(f"watch-{resource}", state.problem is None, str(state.problem or ""), optional=True))
        if self._election:
            is_leader = self._election.is_leader
            checks.append(ReadinessCheck("leader", is_leader, "" if is_leader else "another replica leads", optional=True))
        if problem := self._global_notifier.problem:
            checks.append(ReadinessCheck("global-notifier", ready=False, message=problem, optional=True))
        checks += [ReadinessCheck("right", ready=False, message=feature, optional=True) for feature in self._missing_rights]
        return checks


def _limiter(flags: ControllerFlags) -> TokenBucket | None:
    return TokenBucket(flags.kubeconfig_qps, max(1, flags.kubeconfig_burst)) if flags.kubeconfig_qps > 0 else None


def _settings(flags: ControllerFlags) -> Settings:
    return Settings(
        workload=WorkloadSettings(flags.selector_labels, flags.include_label_prefix, flags.enable_config_tracking),
        router=RouterSettings(provider=flags.mesh_provider, ingress_class=flags.ingress_class, selector_labels=flags.selector_labels),
    )


def _metric_settings(flags: ControllerFlags) -> MetricSettings:
    return MetricSettings(
        metrics_server=flags.metrics_server,
        mesh_provider=flags.mesh_provider,
        cross_namespace_refs=not flags.no_cross_namespace_refs,
    )


def _validator(flags: ControllerFlags) -> Callable[[Canary], tuple[Problem, ...]]:
    context = Context(
        provider=flags.mesh_provider,
        capabilities=_capabilities,
        routers=frozenset(routers.names()),
        metric_providers=frozenset(metric_providers.names()),
        notifiers=frozenset(notifiers.names()),
        minimum_interval=flags.minimum_interval,
        no_cross_namespace_refs=flags.no_cross_namespace_refs,
    )
    return lambda canary: tuple(validate(canary, context))


def _capabilities(provider: str) -> Capabilities | None:
    """What an installed router can do; one that cannot be loaded is reported when its ports are opened."""
    try:
        return routers.load(provider).capabilities(provider)
    except PluginError:
        return None


def _poster(hooks: HookClient) -> Post:
    async def post(event: EventPost) -> None:
        result = await hooks.call(event.hook, event.payload)
        if not result.passed:
            log.warning("event_webhook_failed", canary=event.canary, hook=event.hook.name, reason=result.message)

    return post
