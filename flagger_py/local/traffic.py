"""The load generator: a steady, open-loop rate of real requests, and what came back, by version, status and latency."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

import aiohttp
import orjson

NO_ANSWER: Final = 0
"""The status of a request that got no answer at all."""
UNKNOWN: Final = "?"
"""The version of an answer that does not tell it (one of Envoy's own)."""
KEPT_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class TrafficSettings:
    """What is sent, and how often."""

    url: str
    """`http://host:port/path` of the gateway."""
    host: str
    """The `Host` header: the name that a route serves."""
    rate: float = 60.0
    """Requests per second, whether or not earlier ones have been answered."""
    headers: Mapping[str, str] = field(default_factory=dict)
    clients: int = 0
    """How many clients keep cookies and take turns; 0: one client that keeps none."""
    in_flight: int = 200
    """At most so many at once; beyond it a request is counted as `dropped` and not sent."""
    timeout: float = 10.0
    """Seconds for one request; 0: no limit."""
    method: str = "GET"
    body: bytes | None = field(default=None, repr=False)
    keeps_connections: bool = True
    """Off: each request has a connection of its own."""
    follows_redirects: bool = True
    verify: bool = True
    """Whether a server's TLS certificate has to be a trusted one."""
    proxy: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """One request: when it was answered (loop time), by what, and how long it took (seconds)."""

    at: float
    version: str
    status: int
    latency: float
    size: int = 0
    """Bytes of the body."""

    @property
    def is_failure(self) -> bool:
        return self.status == NO_ANSWER or self.status >= 500


@dataclass(frozen=True, slots=True)
class Window:
    """The answers of some last seconds."""

    answers: tuple[Answer, ...]
    seconds: float

    def versions(self) -> Counter[str]:
        """Answers by version, those of Envoy itself left out."""
        return Counter(answer.version for answer in self.answers if answer.version != UNKNOWN)

    def share(self, version: str) -> float | None:
        """The percentage that a version has answered; `None` where nobody has."""
        counts = self.versions()
        total = sum(counts.values())
        return 100 * counts[version] / total if total else None

    def success_rate(self) -> float | None:
        """The percentage of answers that are no failures; `None` without any."""
        if not self.answers:
            return None
        return 100 * sum(1 for answer in self.answers if not answer.is_failure) / len(self.answers)

    def latency(self, quantile: float) -> float | None:
        """A quantile (0 to 1) of the latencies in seconds; `None` without answers."""
        ordered = sorted(answer.latency for answer in self.answers)
        return ordered[min(len(ordered) - 1, int(quantile * len(ordered)))] if ordered else None

    @property
    def rate(self) -> float:
        return len(self.answers) / self.seconds if self.seconds else 0.0


class Tally:
    """What came back since the start, and each answer of the last two minutes."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.totals: Counter[tuple[str, int]] = Counter()
        """Answers by version and status."""
        self.dropped = 0
        self.errors: Counter[str] = Counter()
        """Requests without an answer, by the kind of error."""
        self._clock = clock
        self._started = clock()
        self._recent: deque[Answer] = deque()

    def add(self, version: str, status: int, latency: float, size: int = 0) -> Answer:
        now = self._clock()
        answer = Answer(now, version, status, latency, size)
        self.totals[version, status] += 1
        self._recent.append(answer)
        while self._recent and self._recent[0].at < now - KEPT_SECONDS:
            self._recent.popleft()
        return answer

    def window(self, seconds: float) -> Window:
        """The answers of the last `seconds` (at most 120)."""
        now = self._clock()
        answers = tuple(answer for answer in self._recent if answer.at >= now - seconds)
        return Window(answers, min(seconds, now - self._started))

    @property
    def requests(self) -> int:
        return sum(self.totals.values())

    def failures(self, version: str | None = None) -> int:
        """Answers from 500 on and requests without an answer; of one version, where given."""
        counted = ((key, number) for key, number in self.totals.items() if version is None or key[0] == version)
        return sum(number for (_, status), number in counted if status == NO_ANSWER or status >= 500)


class LoadGenerator:
    """Sends requests until it is stopped. Its own `tally` counts; a fresh one may be set at any time."""

    def __init__(self, settings: TrafficSettings) -> None:
        self.settings = settings
        self.tally = Tally(asyncio.get_running_loop().time)
        self._in_flight = 0
        self._stopping = False

    def stop(self) -> None:
        """Send nothing more; `run` returns when all requests under way have been answered."""
        self._stopping = True

    async def run(self) -> None:
        """Until `stop`, at the set rate: each request has its time, and one that is late does not move the next."""
        loop = asyncio.get_running_loop()
        sessions = [self.session() for _ in range(max(1, self.settings.clients))]
        try:
            async with asyncio.TaskGroup() as group:
                started = loop.time()
                for number in count():
                    await asyncio.sleep(started + number / self.settings.rate - loop.time())
                    if self._stopping:
                        break
                    self._launch(group, sessions[number % len(sessions)])
        finally:
            for session in sessions:
                await session.close()

    def session(self) -> aiohttp.ClientSession:
        """A client with connections of its own, and cookies where the settings say so. Close it when done."""
        jar = aiohttp.CookieJar(unsafe=True) if self.settings.clients else aiohttp.DummyCookieJar()
        keeping: dict[str, Any] = {"keepalive_timeout": 30} if self.settings.keeps_connections else {"force_close": True}
        return aiohttp.ClientSession(
            cookie_jar=jar,
            timeout=aiohttp.ClientTimeout(total=self.settings.timeout or None),
            connector=aiohttp.TCPConnector(limit=self.settings.in_flight, ssl=self.settings.verify, **keeping),
        )

    async def send(self, session: aiohttp.ClientSession) -> Answer:
        """Send one request, and count its answer, or that there is none."""
        settings, clock = self.settings, asyncio.get_running_loop().time
        started = clock()
        try:
            async with session.request(
                settings.method,
                settings.url,
                headers={**settings.headers, "Host": settings.host},
                data=settings.body,
                allow_redirects=settings.follows_redirects,
                proxy=settings.proxy,
            ) as response:
                body = await response.read()
                return self.tally.add(_version(body), response.status, clock() - started, len(body))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self.tally.errors[type(error).__name__] += 1
            return self.tally.add(UNKNOWN, NO_ANSWER, clock() - started)

    def _launch(self, group: asyncio.TaskGroup, session: aiohttp.ClientSession) -> None:
        if self._in_flight >= self.settings.in_flight:
            self.tally.dropped += 1
            return
        self._in_flight += 1
        group.create_task(self._send(session), name="load request")

    async def _send(self, session: aiohttp.ClientSession) -> None:
        try:
            await self.send(session)
        finally:
            self._in_flight -= 1


def _version(body: bytes) -> str:
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        return UNKNOWN
    return str(content.get("version", UNKNOWN)) if isinstance(content, dict) else UNKNOWN
