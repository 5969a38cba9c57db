"""How objects of a kind are prepared for storage and judged. Kinds with rules of their own override parts of `Strategy`."""

from collections.abc import Callable
from typing import Any, ClassVar

from flagger_py.local.apiserver.names import subdomain_errors
from flagger_py.local.apiserver.status import FieldError
from flagger_py.objects.resource import Manifest


class Strategy:
    """The rules of most kinds. Manifests given to `prepare_*` may be changed; those called `old` may not."""

    may_update_unpinned: ClassVar[bool] = True
    """Whether a PUT without resourceVersion overwrites whatever is there."""
    creates_on_update: ClassVar[bool] = False
    """Whether a PUT to a missing name creates it."""
    has_generation: ClassVar[bool] = False
    """Whether `metadata.generation` counts changes of the specification."""
    answers_deleted_object: ClassVar[bool] = False
    """Whether a delete answers the object instead of a Status."""
    deletion_finalizers: ClassVar[tuple[str, ...]] = ()
    """Finalizers that the server adds when a deletion begins."""
    name_errors: Callable[[str], list[str]] = staticmethod(subdomain_errors)

    def set_defaults(self, new: Manifest) -> None:
        """Fill in what depends on other fields; the schema's own defaults are there already."""

    def decoding_error(self, new: Manifest) -> str:
        """Why the object cannot even be decoded; empty where it can."""
        del new
        return ""

    def prepare_create(self, new: Manifest) -> None:
        """Set what the server decides about a new object, after defaults and before validation."""
        new.pop("status", None)

    def prepare_update(self, new: Manifest, old: Manifest) -> None:
        """Carry over what a plain update may not change."""
        keep_field(new, old, "status")

    def prepare_status(self, new: Manifest, old: Manifest) -> None:
        """Carry over what an update of the status may not change: all but the status."""
        for name in {*new, *old} - {"status", "metadata", "apiVersion", "kind"}:
            keep_field(new, old, name)
        keep_metadata(new, old)

    def prepare_subresource(self, new: Manifest, old: Manifest) -> None:
        """Carry over what an update through another sub-resource may not change."""
        self.prepare_update(new, old)

    def validate(self, new: Manifest, old: Manifest | None) -> list[FieldError]:
        """All complaints about an object; `old` is what an update replaces."""
        del new, old
        return []

    def unowned(self, new: Manifest) -> frozenset[tuple[str, ...]]:
        """Fields that the server gave a new object, which are nobody's in `managedFields`."""
        del new
        return frozenset()

    def warnings(self, new: Manifest) -> list[str]:
        """What the server remarks about an object that it takes."""
        del new
        return []

    def is_new_generation(self, new: Manifest, old: Manifest) -> bool:
        """Whether an update changes what `metadata.generation` counts."""
        return bool(new.get("spec") != old.get("spec"))

    def grace_seconds(self, old: Manifest) -> int:
        """Seconds between the request to delete and the removal; 0 where objects of this kind go at once."""
        del old
        return 0

    def is_held(self, manifest: Manifest) -> bool:
        """Whether an object that is being deleted stays for other reasons than `metadata.finalizers`."""
        del manifest
        return False

    def deletion_refusal(self, old: Manifest) -> str:
        """Why an object may not be deleted at all; empty where it may."""
        del old
        return ""

    def prepare_deletion(self, new: Manifest) -> None:
        """Set what the server writes when a deletion begins that does not end at once."""


def keep_field(new: Manifest, old: Manifest, name: str) -> None:
    """Make a top-level field what it was."""
    if name in old:
        new[name] = old[name]
    else:
        new.pop(name, None)


def keep_metadata(new: Manifest, old: Manifest) -> None:
    """Keep the metadata; only the managed fields are the update's own."""
    metadata: dict[str, Any] = {**old["metadata"]}
    if "managedFields" in new["metadata"]:
        metadata["managedFields"] = new["metadata"]["managedFields"]
    new["metadata"] = metadata
