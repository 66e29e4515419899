from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from telemetry.jitter import percentile, spread


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = list(range(1, 101))
    assert [percentile(values, p) for p in (1, 50, 95, 99, 100)] == [1, 50, 95, 99, 100]
    assert percentile([7], 95) == 7


def test_jitter_is_the_distance_of_p95_from_p50() -> None:
    found = spread([100] * 90 + [900] * 10)
    assert found is not None
    assert (found.count, found.p50, found.p95, found.jitter) == (100, 100, 900, 800)


def test_nothing_measured_has_no_spread() -> None:
    assert spread([]) is None


@given(st.lists(st.integers(0, 10**7), min_size=1))
def test_percentiles_are_ordered_values_of_the_sample(values: list[int]) -> None:
    found = spread(values)
    assert found is not None
    assert found.p50 <= found.p95 <= found.p99
    assert {found.p50, found.p95, found.p99} <= set(values)
    assert sum(value <= found.p95 for value in values) * 100 >= 95 * len(values)
