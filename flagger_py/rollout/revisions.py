"""What the record says of revisions: the one of the run, and the one that the primary carries (workloads:CHG-02, CFG-11)."""

from typing import Any

from flagger_py.rollout.identity import flagger_hash
from flagger_py.rollout.turn import UNKNOWN_REVISION, Turn


def record_revision(turn: Turn, **fields: Any) -> None:
    """Make the target as it is now the revision of the record, with its configs."""
    configs = turn.world.configs
    turn.update(
        revision=turn.target.revision,
        target_uid=turn.target.uid,
        target_generation=turn.target.generation,
        config_versions=dict(configs.versions),
        **fields,
    )
    turn.set_status(tracked_configs=None if configs.checksums is None else dict(configs.checksums))


def record_promoted(turn: Turn) -> None:
    """Make the target as it is now the revision of the record, and what the primary carries."""
    record_revision(turn, promoted_revision=turn.target.revision, promoted_configs=turn.world.configs.digest)


def rebase_moved_hash(turn: Turn) -> None:
    """Another hash of an unchanged object: our algorithm or a server default moved, not the workload (workloads:CHG-02).

    An object without a generation never says that it is unchanged.
    """
    record, target = turn.record, turn.world.target
    if target is None or not target.generation or record.revision in ("", UNKNOWN_REVISION, target.revision):
        return
    if (record.target_uid, record.target_generation) == (target.uid, target.generation):
        is_promoted = record.promoted_revision == record.revision
        turn.update(revision=target.revision, promoted_revision=target.revision if is_promoted else record.promoted_revision)


def publish_hashes(turn: Turn) -> None:
    """Write both of Flagger's hashes in its form, so that Flagger started again runs the current revision once (design §6)."""
    promoted = flagger_hash(turn.record.promoted_revision, turn.record.promoted_configs)
    turn.set_status(last_applied_spec=promoted, last_promoted_spec=promoted)
