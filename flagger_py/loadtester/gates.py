"""Gates: doors that people or scripts open and close, and that webhooks of a Canary ask for."""


class Gates:
    """The open ones, by name. All others are closed, unknown ones too (metrics:LT-20).

    They live in this process: a restart closes them all, and a second replica has gates of its own.
    """

    def __init__(self) -> None:
        self._open: set[str] = set()

    def is_open(self, name: str) -> bool:
        return name in self._open

    def open(self, name: str) -> None:
        """It stays open until it is closed, however often it is asked for (metrics:LT-21)."""
        self._open.add(name)

    def close(self, name: str) -> None:
        self._open.discard(name)
