from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.waterfall import COLOURS, waterfall
from tests.unit.telemetry.test_critical_path import MARKS
from tests.unit.telemetry.turns import SPOKEN, turn

SVG = "{http://www.w3.org/2000/svg}"


def parsed(picture: str) -> ET.Element:
    return ET.fromstring(picture)  # noqa: S314 - our own


def rects(picture: str) -> list[ET.Element]:
    return list(parsed(picture).iter(f"{SVG}rect"))


def test_the_critical_path_fills_the_wait_in_its_owners_colours() -> None:
    trace = turn(facts={"client_voice_to_voice_ms": 900})
    bars = [bar for bar in rects(waterfall(trace)) if float(bar.get("y", 0)) == 34]
    assert [bar.get("fill") for bar in bars] == [COLOURS[step.owner] for step in trace.path]
    scale = (960 - 130 - 24) / (900 * 1.5)
    assert float(bars[0].get("x", 0)) == pytest.approx(130 + 225 * scale, abs=0.1)
    assert sum(float(bar.get("width", 0)) for bar in bars) == pytest.approx(900 * scale, abs=1)


def test_it_says_in_words_what_it_shows() -> None:
    root = parsed(waterfall(turn()))
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None
    assert description is not None
    assert title.text == "Turn 0: answered after 850 ms (server)"
    assert "llm_ttft 150 ms (llm)" in (description.text or "")
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"


def test_the_axis_counts_from_the_end_of_speech() -> None:
    labels = [text.text for text in parsed(waterfall(turn())).iter(f"{SVG}text")]
    assert labels[:7] == ["-200 ms", "0 ms", "200 ms", "400 ms", "600 ms", "800 ms", "1000 ms"]


def test_every_mark_in_view_stands_on_the_axis() -> None:
    titles = {title.text for title in parsed(waterfall(turn())).iter(f"{SVG}title")}
    assert {"stt_final: 450 ms", "first_audio_sent: 850 ms"} <= titles


def test_an_optimistic_reply_is_unheard_until_the_turn_is_certain() -> None:
    early = {**SPOKEN, "spec_started": 2150}
    committed, began = SPOKEN["turn_committed"], 2150
    titles = {title.text for title in parsed(waterfall(turn(early, {"spec_outcome": "used"}))).iter(f"{SVG}title")}
    assert f"unheard: {committed - began} ms" in titles


def test_a_search_has_a_bar_of_its_own() -> None:
    titles = {
        title.text
        for title in parsed(waterfall(turn({**SPOKEN, "retrieval.start": 2321, "retrieval.end": 2328}))).iter(
            f"{SVG}title"
        )
    }
    assert "search: 7 ms" in titles


def test_nothing_in_a_trace_becomes_markup() -> None:
    evil = "<script>alert('1')</script>&\""
    picture = waterfall(turn({**SPOKEN, evil: 2000}, index=0, kind="text", end_reason=evil))
    assert "<script" not in picture
    parsed(picture)


@given(
    st.dictionaries(st.sampled_from(MARKS), st.floats(-2000, 60_000)),
    st.sampled_from(["plain", "tool", "text", "agent_initiated", "event"]),
)
def test_any_turn_can_be_drawn(marks: dict[str, float], kind: str) -> None:
    for bar in rects(waterfall(turn(marks, kind=kind))):
        left, width = float(bar.get("x", 0)), float(bar.get("width", 0))
        assert left >= 130 - 0.1
        assert left + width <= 960
