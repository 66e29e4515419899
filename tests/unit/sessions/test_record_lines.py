from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from sessions.pipeline.records import ItemRecorded, Record, SessionClosed, SessionOpened, TurnRecorded
from sessions.record_lines import decode, encode
from tests.unit.telemetry.turns import turn

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
ITEM = ItemRecorded("sess_1", 0, "item_1", 2, "message", "user", "hello\n\x00 \u2028 é", NOW, 100, 200, True, 3)
RECORDS: list[Record] = [
    SessionOpened("sess_1", "guide", 3, "websocket", "api_key", NOW, True, 3),
    ITEM,
    TurnRecorded(turn(facts={"llm_model": "any", "rtt_ms": 1.5})),
    SessionClosed("sess_1", NOW, "closed"),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_is_one_line_and_comes_back(record: Record) -> None:
    line = encode(record)
    assert line.count(b"\n") == 1
    assert line.splitlines(keepends=True) == [line]
    assert decode(line) == record


@pytest.mark.parametrize("line", [b"", b"{}", b"garbage\n", b'["unheard",{}]\n', b'["item",{"session_id":1}]\n'])
def test_what_is_no_record_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError):
        decode(line)


def test_text_that_is_not_unicode_cannot_be_written() -> None:
    with pytest.raises(ValueError):
        encode(replace(ITEM, text="\ud800"))
