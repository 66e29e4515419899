from __future__ import annotations

from datetime import UTC, datetime

import pytest

from agents.errors import ToolError
from agents.tools.builtin import BUILTINS, describe, zone
from agents.tools.schema import Arguments


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("Europe/Paris", "Europe/Paris"),
        ("tokyo", "Asia/Tokyo"),
        ("New York", "America/New_York"),
        ("UTC", "UTC"),
        ("  london ", "Europe/London"),
    ],
)
def test_a_zone_is_known_by_its_name_or_city(place: str, name: str) -> None:
    assert zone(place).key == name


@pytest.mark.parametrize("place", ["Atlantis", "../../etc/passwd", ""])
def test_an_unknown_place_is_a_tool_error(place: str) -> None:
    with pytest.raises(ToolError, match="time zone"):
        zone(place)


def test_a_moment_is_described_for_the_ear() -> None:
    noon = datetime(2025, 11, 22, 12, 5, tzinfo=UTC)
    assert describe(noon) == "It is 12:05 PM on Saturday, 22 November 2025."
    assert describe(noon.replace(hour=0), "America/new_york") == (
        "It is 12:05 AM on Saturday, 22 November 2025, in New York."
    )


async def test_the_time_is_told_here_and_elsewhere() -> None:
    now = datetime.now(UTC)
    assert str(now.year) in (await BUILTINS["time"].call({})).text
    assert (await BUILTINS["time"].call({"timezone": "UTC"})).text.endswith("in Utc.")


async def test_ending_the_call_hangs_up() -> None:
    assert (await BUILTINS["end_call"].call({})).hang_up


@pytest.mark.parametrize("name", list(BUILTINS))
def test_each_has_a_valid_schema_and_a_description(name: str) -> None:
    tool = BUILTINS[name]
    Arguments(name, tool.spec.parameters)
    assert tool.spec.description
    assert tool.spec.side_effects is (name == "end_call")
