"""What the load generator counts."""

from flagger_py.local.traffic import NO_ANSWER, UNKNOWN, Tally


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_shares_and_rates_of_a_window() -> None:
    clock = Clock()
    tally = Tally(clock)
    tally.add("1", 200, 0.1)
    clock.now += 5
    for version, status in (("1", 200), ("1", 200), ("2", 200), ("2", 500)):
        tally.add(version, status, 0.2)
    window = tally.window(5 - 1e-6)
    assert window.share("2") == 50.0
    assert window.success_rate() == 75.0
    assert window.latency(0.99) == 0.2
    assert round(window.rate, 3) == 0.8
    assert tally.window(10).versions() == {"1": 3, "2": 2}


def test_an_empty_window_claims_nothing() -> None:
    window = Tally(Clock()).window(5)
    assert (window.share("1"), window.success_rate(), window.latency(0.5), window.rate) == (None, None, None, 0.0)


def test_failures_are_server_errors_and_missing_answers() -> None:
    tally = Tally(Clock())
    for version, status in (("1", 200), ("1", 404), ("2", 500), (UNKNOWN, 503), (UNKNOWN, NO_ANSWER)):
        tally.add(version, status, 0.1)
    assert tally.requests == 5
    assert tally.failures() == 3
    assert tally.failures("2") == 1
    assert tally.window(1).versions() == {"1": 2, "2": 1}


def test_old_answers_are_forgotten_but_counted() -> None:
    clock = Clock()
    tally = Tally(clock)
    tally.add("1", 200, 0.1)
    clock.now += 1000
    tally.add("2", 200, 0.1)
    assert tally.window(2000).versions() == {"2": 1}
    assert tally.requests == 2
