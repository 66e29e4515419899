from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.errors import ContextFull
from agents.interfaces import Message, Role, ToolCall, ToolSpec
from agents.spec import AgentSpec, LLMSpec
from sessions.pipeline.pairing import paired
from sessions.pipeline.window import Truncation, Window, message_tokens, tokens_of

AUTO = Truncation()
HOSTED = LLMSpec(account="hosted", context_tokens=8_000, max_output_tokens=1_000)


def window(llm: LLMSpec = HOSTED) -> Window:
    return Window(AgentSpec(slug="a", brain="llm", llm=llm))


def history(turns: int, words: str = "x" * 368) -> list[tuple[str, Message]]:
    """Turns of 200 tokens: 100 of the user's, 100 of the agent's."""
    roles: tuple[Role, ...] = ("user", "assistant") * turns
    return [(f"item_{n}", Message(role, words)) for n, role in enumerate(roles)]


def test_tokens_are_estimated_by_length() -> None:
    assert tokens_of("") == 0
    assert tokens_of("four") == 1
    assert tokens_of("four.") == 2
    assert tokens_of("你好世界") == 3
    assert tokens_of("\ud83d") == 1
    assert message_tokens(history(1)[0][1]) == 100


def test_the_room_is_what_the_rest_of_a_request_leaves() -> None:
    bare = window().room("", (), None, AUTO)
    assert 6_800 < bare < 7_000
    assert window().room("x" * 4_000, (), None, AUTO) == bare - 1_000
    assert window().room("", (), 200, AUTO) == bare + 800
    assert window().room("", (ToolSpec("look", "x" * 400, {"type": "object"}),), None, AUTO) < bare - 100
    assert window().room("", (), None, Truncation(post_instructions=500)) == 500
    assert window().room("x" * 99_000, (), None, AUTO) == 0


def test_a_brain_without_a_model_reads_all_but_what_the_client_forbids() -> None:
    answers = Window(AgentSpec(slug="a", llm=HOSTED))
    assert answers.fit(history(2_000), answers.room("", (), None, Truncation("disabled")), Truncation("disabled")) == 0
    assert answers.room("", (), None, Truncation(post_instructions=500)) == 500


def test_a_gguf_file_reads_less() -> None:
    assert window(LLMSpec(context_tokens=99_999)).room("", (), None, AUTO) < 8_192


def test_what_fits_is_told_whole() -> None:
    assert window().fit(history(5), 1_000, AUTO) == 0


def test_the_oldest_are_left_out_down_to_the_retention() -> None:
    assert window().fit(history(10), 1_999, Truncation(retention=1.0)) == 2
    assert window().fit(history(10), 1_999, Truncation(retention=0.5)) == 10
    assert window().fit(history(10), 1_999, Truncation(retention=0.0)) == 19
    assert window().fit(history(10), 1_999, AUTO) == 6


def test_without_truncation_a_full_context_is_an_error() -> None:
    with pytest.raises(ContextFull, match="longer than the 1999 tokens"):
        window().fit(history(10), 1_999, Truncation("disabled"))
    assert window().fit(history(10), 2_000, Truncation("disabled")) == 0


def test_the_last_message_stays_whatever_its_size() -> None:
    assert window().fit(history(1)[:1], 10, AUTO) == 0
    call = Message("assistant", "", calls=(ToolCall("c", "look", "{}"),))
    told = [*history(1), ("call", call), ("output", Message("tool", "x" * 9_000, call_id="c"))]
    assert window().fit(told, 10, AUTO) == 2


def test_a_model_that_reads_less_than_was_thought_is_told_half() -> None:
    one = window()
    assert one.shrink(history(10)) == 1_000
    assert one.room("", (), None, AUTO) == 1_000
    assert one.shrink(history(1)[:1]) is None


KINDS = st.sampled_from(["user", "assistant", "call", "output"])


def messages(kinds: list[tuple[str, int]]) -> list[tuple[str, Message]]:
    made = {
        "user": lambda n, size: Message("user", "x" * size),
        "assistant": lambda n, size: Message("assistant", "x" * size),
        "call": lambda n, size: Message("assistant", "", calls=(ToolCall(f"c{n}", "look", "{}"),)),
        "output": lambda n, size: Message("tool", "x" * size, call_id=f"c{n - 1}"),
    }
    return paired([(f"item_{n}", made[kind](n, size)) for n, (kind, size) in enumerate(kinds)])


@given(st.lists(st.tuples(KINDS, st.integers(1, 400)), min_size=1, max_size=20), st.integers(0, 600), st.floats(0, 1))
def test_what_is_told_fits_begins_well_and_ends_with_the_newest(
    kinds: list[tuple[str, int]], room: int, retention: float
) -> None:
    told = messages(kinds)
    start = window().fit(told, room, Truncation(retention=retention))
    kept = [message for _, message in told[start:]]

    assert kept
    assert kept[0].role != "tool"
    exchange = 2 if kept[-1].role == "tool" else 1
    assert sum(message_tokens(message) for message in kept) <= room or len(kept) <= exchange
