from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agents.interfaces import Message, ToolCall
from sessions.pipeline.pairing import PENDING, paired


def told(*messages: Message) -> list[tuple[str, Message]]:
    return [(f"item_{index}", message) for index, message in enumerate(messages)]


def user(text: str = "hello") -> Message:
    return Message("user", text)


def call(name: str) -> Message:
    return Message("assistant", "", calls=(ToolCall(name, f"tool_{name}", "{}"),))


def output(name: str, text: str = "") -> Message:
    return Message("tool", text or name, call_id=name)


def shape(*messages: Message) -> list[str]:
    """Each message in a word: "u", "a", "call:a", "a=result"."""
    return [
        f"call:{message.calls[0].id}"
        if message.calls
        else f"{message.call_id}={message.text}"
        if message.role == "tool"
        else message.role[0]
        for _, message in paired(told(*messages))
    ]


def test_a_call_and_its_output_stay_as_they_are() -> None:
    assert shape(user(), call("a"), output("a")) == ["u", "call:a", "a=a"]


def test_parallel_calls_get_each_its_own_output_in_any_order() -> None:
    wanted = ["u", "call:a", "a=a", "call:b", "b=b", "u"]

    assert shape(user(), call("a"), call("b"), output("a"), output("b"), user()) == wanted
    assert shape(user(), call("a"), call("b"), output("b"), output("a"), user()) == wanted


def test_a_call_without_an_output_says_so() -> None:
    assert shape(call("a"), user()) == ["call:a", f"a={PENDING}", "u"]


def test_an_output_that_came_after_more_was_said_stands_where_it_came() -> None:
    wanted = ["call:a", f"a={PENDING}", "u", "call:a_2", "a_2=a", "u"]

    assert shape(call("a"), user(), output("a"), user()) == wanted


def test_an_output_of_a_call_that_nobody_knows_is_told_all_the_same() -> None:
    messages = paired(told(user(), output("x")))

    assert [message.calls for _, message in messages[1:]] == [(ToolCall("x_1", "function", "{}"),), ()]
    assert messages[2] == ("item_1", Message("tool", "x", call_id="x_1"))


def test_several_outputs_of_one_call_are_all_told() -> None:
    assert shape(call("a"), output("a", "1"), output("a", "2")) == ["call:a", "a=1", "call:a_2", "a_2=2"]


MESSAGES = st.one_of(st.builds(user), st.builds(call, st.sampled_from("ab")), st.builds(output, st.sampled_from("abc")))


@given(st.lists(MESSAGES, max_size=12))
def test_every_call_is_directly_before_its_output_and_nothing_said_is_lost(messages: list[Message]) -> None:
    after = [message for _, message in paired(told(*messages))]
    for index, message in enumerate(after):
        if message.calls:
            assert after[index + 1].call_id == message.calls[0].id
        if message.role == "tool":
            assert after[index - 1].calls
    said = [message.text for message in messages if message.role != "assistant"]
    assert sorted(said) == sorted(m.text for m in after if m.role != "assistant" and m.text != PENDING)
    assert [m for m in after if m.role == "user"] == [m for m in messages if m.role == "user"]
