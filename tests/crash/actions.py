"""What people do to a Canary and what goes wrong around it: the words of the scripts that the model check tries."""

import json
from dataclasses import dataclass, field

from flagger_py.api.commands import Verb
from flagger_py.api.metadata import COMMAND
from flagger_py.objects.errors import ApiError
from flagger_py.objects.patch import MergePatch
from flagger_py.objects.resource import CANARY, CONFIG_MAP, SCALED_OBJECT, Manifest, Ref, Resource
from tests.crash.guard import Guard
from tests.crash.scenarios import release
from tests.crash.settings import Setting
from tests.memory.cluster import HTTP_ROUTE, NAMESPACE, MemoryCluster
from tests.memory.interruption import Interruption, Point, Wire
from tests.memory.scaling import PAUSED


@dataclass
class Scripted(Wire):
    """A wire that interrupts what the script has asked for."""

    due: dict[int, Interruption] = field(default_factory=dict)

    def pass_by(self, point: Point) -> Interruption | None:
        self.points.append(point)
        interruption = self.due.pop(len(self.points) - 1, None)
        return interruption if interruption and point.can_be(interruption) else None


@dataclass
class Site:
    """Where a script is played."""

    cluster: MemoryCluster
    guard: Guard
    wire: Scripted
    setting: Setting
    commands: int = 0
    was_scaled: bool = False
    """Somebody has changed the number of the target's pods: that is left alone while nothing is rolled out."""

    async def write(self, resource: Resource, name: str, body: Manifest) -> None:
        """As a user; what is not there is not changed."""
        self.guard.by_user = True
        try:
            await self.cluster.client.patch(Ref(resource, NAMESPACE, name), MergePatch(body))
        except ApiError:
            return
        finally:
            self.guard.by_user = False


@dataclass(frozen=True)
class Release:
    """A new image, or an old one again."""

    image: str

    async def do(self, site: Site) -> None:
        await release(site.cluster, site.setting, self.image)


@dataclass(frozen=True)
class Configure:
    """Another value in the ConfigMap."""

    colour: str

    async def do(self, site: Site) -> None:
        await site.write(CONFIG_MAP, "settings", {"data": {"colour": self.colour}})


@dataclass(frozen=True)
class EditRoute:
    """Somebody sets weights by hand."""

    canary: int

    async def do(self, site: Site) -> None:
        try:
            route = await site.cluster.get(HTTP_ROUTE, "web")
        except ApiError:
            return
        for backend in route["spec"]["rules"][-1]["backendRefs"]:
            backend["weight"] = self.canary if backend["name"] == "web-canary" else 100 - self.canary
        await site.write(HTTP_ROUTE, "web", {"spec": {"rules": route["spec"]["rules"]}})


@dataclass(frozen=True)
class EditSpec:
    """Somebody edits the Canary in the middle of a run."""

    field: str
    value: int | bool

    async def do(self, site: Site) -> None:
        change = {self.field: self.value}
        await site.write(CANARY, "web", {"spec": change if isinstance(self.value, bool) else {"analysis": change}})


@dataclass(frozen=True)
class Command:
    """A manual command for the run that is under way."""

    verb: Verb

    async def do(self, site: Site) -> None:
        site.commands += 1
        body = {"id": str(site.commands), "verb": self.verb.value, "run": site.guard.record.get("run", "")}
        await site.write(CANARY, "web", {"metadata": {"annotations": {COMMAND: json.dumps(body)}}})


@dataclass(frozen=True)
class Scale:
    """Somebody scales the target, or the primary."""

    name: str
    replicas: int

    async def do(self, site: Site) -> None:
        site.was_scaled = site.was_scaled or self.name == "web"
        await site.write(site.setting.target, self.name, {"spec": {"replicas": self.replicas}})


@dataclass(frozen=True)
class EditScaler:
    """Somebody changes the limits of the target's autoscaler, or of the primary's."""

    name: str
    least: int
    most: int

    async def do(self, site: Site) -> None:
        await site.write(SCALED_OBJECT, self.name, {"spec": {"minReplicaCount": self.least, "maxReplicaCount": self.most}})


@dataclass(frozen=True)
class PauseScaler:
    """Somebody pauses an autoscaler at zero, or lets it go on."""

    name: str
    is_paused: bool

    async def do(self, site: Site) -> None:
        await site.write(SCALED_OBJECT, self.name, {"metadata": {"annotations": {PAUSED: "0" if self.is_paused else None}}})


@dataclass(frozen=True)
class DeletePrimary:
    """Somebody deletes what the controller has made."""

    async def do(self, site: Site) -> None:
        site.guard.by_user = True
        try:
            await site.cluster.client.delete(Ref(site.setting.target, NAMESPACE, "web-primary"))
        except ApiError:
            return
        finally:
            site.guard.by_user = False


@dataclass(frozen=True)
class Become:
    """From now on checks pass or fail, hooks answer so, this image comes up or not."""

    success_rate: float = 100.0
    hook_status: int = 200
    broken_image: str = ""

    async def do(self, site: Site) -> None:
        site.cluster.web.success_rate, site.cluster.web.hook_status = self.success_rate, self.hook_status
        site.cluster.broken_images = {self.broken_image} - {""}


@dataclass(frozen=True)
class Interrupt:
    """A call that is made soon is interrupted."""

    interruption: Interruption
    after: int

    async def do(self, site: Site) -> None:
        site.wire.due[len(site.wire.points) + self.after] = self.interruption


Action = Release | Configure | EditRoute | EditSpec | Command | Scale | EditScaler | PauseScaler | DeletePrimary | Become | Interrupt
