"""Garbage collection passes over what the process has loaded, and over nothing else."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from sessions.host import keep_for_good


class Thing:
    itself: Thing


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_what_is_loaded_is_not_looked_at_again() -> None:
    keep_for_good()
    assert gc.get_freeze_count() > 10_000
    assert len(gc.get_objects()) < 1_000


def test_garbage_of_before_and_after_is_still_collected() -> None:
    def cycle() -> weakref.ref[Thing]:
        thing = Thing()
        thing.itself = thing
        return weakref.ref(thing)

    before = cycle()
    keep_for_good()
    after = cycle()
    gc.collect()
    assert before() is None
    assert after() is None
