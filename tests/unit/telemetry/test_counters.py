from __future__ import annotations

import pytest

from telemetry import counters


@pytest.fixture(autouse=True)
def empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "_values", {})


def test_counts_add_up_by_attribute() -> None:
    counters.count("queue.dropped", pipe="audio_in")
    counters.count("queue.dropped", 2, pipe="audio_in")
    counters.count("queue.dropped", pipe="inbox")
    assert counters.snapshot() == {("queue.dropped", "audio_in"): 3, ("queue.dropped", "inbox"): 1}


def test_a_gauge_keeps_the_last_level() -> None:
    counters.gauge("queue.depth", 5, pipe="speech")
    counters.gauge("queue.depth", 2, pipe="speech")
    assert counters.snapshot() == {("queue.depth", "speech"): 2}


def test_names_and_attributes_are_fixed() -> None:
    with pytest.raises(KeyError):
        counters.count("queue.invented")
    with pytest.raises(KeyError):
        counters.count("queue.dropped", session="sess_1")
    with pytest.raises(KeyError):
        counters.count("queue.dropped")


def test_too_many_values_become_other() -> None:
    for n in range(counters.MAX_SERIES + 10):
        counters.count("queue.dropped", pipe=f"p{n}")
    found = counters.snapshot()
    assert len(found) == counters.MAX_SERIES + 1
    assert found["queue.dropped", "other"] == 10
