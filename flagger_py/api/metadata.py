"""Names in the metadata of a Canary that have a meaning."""

from typing import Final

FINALIZER: Final = "finalizer.flagger.app"
"""Keeps a Canary with `revertOnDeletion` until what was there before it is back (engine:FIN-01); Flagger's own."""
SKIP_REVERT: Final = "flagger.app/skip-revert"
"""Annotation: with `"true"` a deleted Canary goes at once, and nothing is put back (engine:FIN-08)."""
COMMAND: Final = "flagger.app/command"
"""Annotation: a manual command as JSON, `{"id": …, "verb": …, "run": …}` (design §6)."""
