"""Scrapes targets into the store: one task for each, `up` for each, and a mark where a series or a target ends."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from time import time
from types import MappingProxyType
from typing import Final, TypeAlias

import structlog

from flagger_py.http.client import HttpClient, HttpError, HttpRequest
from flagger_py.local.promql.exposition import BadExposition, labels_of, lines
from flagger_py.local.promql.store import METRIC_NAME, STALE, Labels, SampleStore, Series

Translate: TypeAlias = Callable[[Labels], Labels | None]
"""From the labels of a scraped series, its name among them, to those that are stored; `None` drops the series.

It is asked once for each series of a target, not for each sample; again after `Scraper.retranslate`.
"""

DEFAULT_INTERVAL_SECONDS: Final = 0.5
_SHORTEST_TIMEOUT: Final = 2.0
_FORGET_EVERY_SECONDS: Final = 60.0
_SPARE_NAMES: Final = 1000
"""How many series a target may remember beyond twice those of its page, before it forgets the ones that are gone."""
_ACCEPT: Final = "text/plain;version=0.0.4"

log = structlog.get_logger(__name__)


def as_scraped(labels: Labels) -> Labels:
    return labels


@dataclass(frozen=True, slots=True)
class Target:
    """A page to scrape. `labels` are added to every series; `job` and `instance` should be among them.

    Where the page has a label of the same name, the page's is kept as `exported_<name>`, as in Prometheus.
    """

    url: str
    labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    interval: float = DEFAULT_INTERVAL_SECONDS
    translate: Translate = as_scraped


@dataclass(slots=True)
class TargetState:
    """What the last scrape of a target brought; shown by `/api/v1/targets`."""

    target: Target
    is_up: bool = False
    error: str = ""
    last_scrape: float = 0.0
    known: dict[str, Series | None] = field(default_factory=dict)
    """From a series as the page writes it to where its samples go; `None` for a dropped one."""
    present: dict[str, Series] = field(default_factory=dict)
    """The series of the last scrape."""


class Scraper:
    """Keeps one task for each target in the group that is given. `now` is in seconds since 1970."""

    def __init__(self, group: asyncio.TaskGroup, http: HttpClient, store: SampleStore, now: Callable[[], float] = time) -> None:
        self._group = group
        self._http = http
        self._store = store
        self._now = now
        self._forgot_at = now()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.states: dict[str, TargetState] = {}
        """By URL."""

    def set_targets(self, targets: Iterable[Target]) -> None:
        """Scrape exactly these from now on; the series of a target that is gone, or has changed, end at once."""
        wanted = {target.url: target for target in targets}
        for url, state in list(self.states.items()):
            if wanted.get(url) != state.target:
                self._drop(url)
        for url, target in wanted.items():
            if url not in self.states:
                self.states[url] = TargetState(target)
                self._tasks[url] = self._group.create_task(self._watch(self.states[url]), name=f"scrape {url}")

    def retranslate(self) -> None:
        """Ask the `translate` of all targets anew, because what it depends on has changed; series that it now names otherwise end."""
        for state in self.states.values():
            state.known.clear()

    def stop(self) -> None:
        """End all tasks."""
        self.set_targets(())

    async def scrape(self, state: TargetState) -> None:
        """Scrape one target once; a page that cannot be had makes it down and ends its series."""
        started = self._now()
        try:
            found = self._read(state, await self._page(state.target), round(started * 1000))
        except (HttpError, BadExposition) as error:
            self._report(state, str(error))
            found = {}
        else:
            self._report(state, "")
        state.last_scrape = started
        self._end(state, found, round(started * 1000))
        self._store.append(self._up(state.target), round(started * 1000), float(state.is_up))
        if started - self._forgot_at > _FORGET_EVERY_SECONDS:
            self._forgot_at = started
            self._store.forget_ended(round(started * 1000))

    async def _page(self, target: Target) -> str:
        timeout = max(target.interval, _SHORTEST_TIMEOUT)
        response = await self._http.send(HttpRequest("GET", target.url, {"Accept": _ACCEPT}, timeout=timeout))
        if response.status != 200:
            raise BadExposition(f"HTTP {response.status} {response.reason}")
        return response.body.decode("utf-8", errors="replace")

    def _read(self, state: TargetState, page: str, time_ms: int) -> dict[str, Series]:
        """Store the samples of a page, all of them or none."""
        samples = list(lines(page))
        found: dict[str, Series] = {}
        for sample in samples:
            series = self._series(state, sample.series)
            if series is not None:
                self._store.append(series, time_ms if sample.time_ms is None else sample.time_ms, sample.value)
                found[sample.series] = series
        if len(state.known) > 2 * len(samples) + _SPARE_NAMES:
            state.known = {text: state.known[text] for text in {sample.series for sample in samples}}
        return found

    def _series(self, state: TargetState, text: str) -> Series | None:
        if text not in state.known:
            labels = state.target.translate(_with_target(labels_of(text), state.target.labels))
            state.known[text] = None if labels is None else self._store.series(_without_empty(labels))
        return state.known[text]

    def _end(self, state: TargetState, found: dict[str, Series], time_ms: int) -> None:
        """Mark the end of what the last scrape had and this one has not, and forget it."""
        still_there = {id(series) for series in found.values()}
        for text, series in state.present.items():
            if text not in found:
                state.known.pop(text, None)
            if id(series) not in still_there:
                self._store.append(series, time_ms, STALE)
        state.present = found

    def _report(self, state: TargetState, error: str) -> None:
        if error and (state.is_up or error != state.error):
            log.debug("target_down", target=state.target.url, error=error)
        state.is_up, state.error = not error, error

    def _drop(self, url: str) -> None:
        self._tasks.pop(url).cancel()
        state = self.states.pop(url)
        moment = round(self._now() * 1000)
        self._end(state, {}, moment)
        self._store.append(self._up(state.target), moment, STALE)

    def _up(self, target: Target) -> Series:
        return self._store.series(_without_empty({**target.labels, METRIC_NAME: "up"}))

    async def _watch(self, state: TargetState) -> None:
        """Scrape at even distances; a slow page delays the next scrape instead of piling up."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            await self.scrape(state)
            due = max(due + state.target.interval, loop.time())
            await asyncio.sleep(due - loop.time())


def _with_target(labels: Labels, added: Mapping[str, str]) -> Labels:
    merged = {(f"exported_{name}" if name in added else name): value for name, value in labels.items()}
    return {**merged, **added}


def _without_empty(labels: Labels) -> Labels:
    return {name: value for name, value in labels.items() if value}
