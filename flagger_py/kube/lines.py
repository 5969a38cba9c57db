"""From chunks of bytes, cut anywhere, to whole lines."""


class LineJoiner:
    """Keeps the half line at the end of a chunk for the next one. What is left when a stream ends was not whole, and is dropped."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that this chunk completes, without their ends; empty lines are left out."""
        *lines, rest = chunk.split(b"\n")
        if lines:
            self._parts.append(lines[0])
            lines[0] = b"".join(self._parts)
            self._parts.clear()
        if rest:
            self._parts.append(rest)
        return [line for line in lines if line.strip()]
