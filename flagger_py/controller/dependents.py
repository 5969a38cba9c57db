"""Which Canaries depend on which objects, so that a change wakes those and no others."""

from flagger_py.objects.resource import Ref


class Dependents:
    """Canaries by the objects that they have read.

    Most objects are read by one Canary: with 1,000 Canaries there are some 10,000 of them, and a tuple is a quarter of a set (measured).
    """

    def __init__(self) -> None:
        self._canaries: dict[Ref, tuple[Ref, ...]] = {}

    def of(self, read: Ref) -> tuple[Ref, ...]:
        """Those that have read it."""
        return self._canaries.get(read, ())

    def add(self, read: Ref, canary: Ref) -> None:
        known = self.of(read)
        if canary not in known:
            self._canaries[read] = (*known, canary)

    def discard(self, read: Ref, canary: Ref) -> None:
        left = tuple(known for known in self.of(read) if known != canary)
        if left:
            self._canaries[read] = left
        else:
            self._canaries.pop(read, None)
