"""The `scale` sub-resource: an `autoscaling/v1 Scale` as a view of an object, read and written."""

from typing import Any, Final

from flagger_py.local.apiserver.answers import Answer, json_answer
from flagger_py.local.apiserver.kinds import ScalePaths
from flagger_py.local.apiserver.patching import MERGE, merge, parsed_patch
from flagger_py.local.apiserver.selectors import selector_string
from flagger_py.local.apiserver.status import Refused, Subject, bad_request, internal, invalid, invalid_value
from flagger_py.local.apiserver.store import Record
from flagger_py.local.apiserver.writing import Writer
from flagger_py.objects.resource import Manifest

_FROM_OBJECT: Final = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def get_scale(writer: Writer) -> Answer:
    """The scale of the object that the call names. Raises 404, and 500 where a custom object has no replicas."""
    return json_answer(_scale(writer, _record(writer)))


def update_scale(writer: Writer) -> Answer:
    """Replace the scale by the one in the body (PUT)."""
    return _write(writer, parsed_patch(writer))


def patch_scale(writer: Writer) -> Answer:
    """Patch the scale; merge patches only, as all clients send them."""
    if writer.call.content_type not in {MERGE, "application/strategic-merge-patch+json"}:
        raise Refused(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})
    current = _scale(writer, _record(writer), must_have_replicas=False)
    return _write(writer, merge(current, parsed_patch(writer)))


def _write(writer: Writer, scale: Any) -> Answer:
    if not isinstance(scale, dict):
        raise bad_request("the object provided is unrecognized (must be of type Scale)")
    replicas = (scale.get("spec") or {}).get("replicas", 0)
    if not isinstance(replicas, int) or isinstance(replicas, bool):
        raise bad_request('Scale in version "v1" cannot be handled as a Scale: spec.replicas must be a whole number')
    if replicas < 0:
        error = invalid_value("spec.replicas", replicas, "must be greater than or equal to 0")
        raise invalid(Subject("autoscaling", "scales", "Scale", writer.call.target.name), [error])
    paths = writer.kind.scale or ScalePaths()

    def change(old: Manifest, _: Record) -> Manifest:
        _set(old, paths.spec_replicas, replicas)
        old["metadata"]["resourceVersion"] = scale.get("metadata", {}).get("resourceVersion") or old["metadata"]["resourceVersion"]
        return old

    return json_answer(_scale(writer, writer.change(change)))


def _record(writer: Writer) -> Record:
    namespace = writer.call.target.namespace if writer.kind.resource.namespaced else ""
    return writer.state.record(writer.kind, (namespace, writer.call.target.name))


def _scale(writer: Writer, record: Record, *, must_have_replicas: bool = True) -> dict[str, Any]:
    paths, manifest = writer.kind.scale or ScalePaths(), record.manifest
    replicas = _at(manifest, paths.spec_replicas)
    if replicas is None and writer.kind.is_custom and must_have_replicas:
        raise internal(f'the spec replicas field ".{".".join(paths.spec_replicas)}" does not exist')
    metadata = {name: manifest["metadata"][name] for name in _FROM_OBJECT if name in manifest["metadata"]}
    status: dict[str, Any] = {"replicas": _at(manifest, paths.status_replicas) or 0}
    if selector := _selector(manifest, paths):
        status["selector"] = selector
    spec = {"replicas": replicas} if replicas is not None else {}
    return {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status}


def _selector(manifest: Manifest, paths: ScalePaths) -> str:
    if paths.selector:
        return str(_at(manifest, paths.selector) or "")
    selector = _at(manifest, ("spec", "selector"))
    return selector_string(selector) if isinstance(selector, dict) else ""


def _at(manifest: Manifest, path: tuple[str, ...]) -> Any:
    value: Any = manifest
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _set(manifest: Manifest, path: tuple[str, ...], value: int) -> None:
    for name in path[:-1]:
        manifest = manifest.setdefault(name, {})
    manifest[path[-1]] = value
