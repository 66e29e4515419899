"""How many characters a conversation holds, whatever happens to its items."""

from __future__ import annotations

from agents.interfaces import Message, ToolCall
from sessions.pipeline.conversation import MAX_ASIDES, Conversation
from sessions.pipeline.messages import CallItem, CallOutputItem, Content, MessageItem


def holding(max_chars: int) -> Conversation:
    return Conversation(max_items=1000, max_chars=max_chars, audio_items=2, audio_ms=1000)


def said(item_id: str, chars: int) -> MessageItem:
    return MessageItem(item_id, "user", (Content("text", text="x" * chars),))


def test_all_words_count() -> None:
    conversation = holding(40)
    conversation.add(MessageItem("spoken", "user", (Content("audio", transcript="x" * 10), Content("image"))))
    conversation.add(CallItem("call", "c1", "look", "x" * 10))
    conversation.add(CallOutputItem("output", "c1", "x" * 10))
    conversation.remember(Message("assistant", "", calls=(ToolCall("c2", "look", "x" * 5),)), Message("tool", "x" * 5))
    assert "spoken" in conversation

    conversation.add(said("one more", 1))

    assert [item.id for item in conversation] == ["call", "output", "one more"]


def test_what_has_gone_counts_no_more() -> None:
    conversation = holding(20)
    conversation.add(said("first", 20))
    conversation.update(said("first", 5))
    conversation.add(said("second", 10))
    for _ in range(2 * MAX_ASIDES):
        conversation.remember(Message("user", "x"))
    conversation.delete("second")
    conversation.update(said("second", 100))
    conversation.add(said("third", 15))
    assert [item.id for item in conversation] == ["first", "third"]

    conversation.add(said("fourth", 1))

    assert [item.id for item in conversation] == ["third", "fourth"]


def test_an_item_that_is_put_first_stays() -> None:
    conversation = holding(20)
    conversation.add(said("first", 10))
    conversation.add(said("second", 10))
    assert conversation.add(said("rules", 10), "root") is None
    assert [item.id for item in conversation] == ["rules", "second"]


def test_an_item_that_has_grown_makes_others_leave_with_the_next() -> None:
    conversation = holding(20)
    conversation.add(said("first", 5))
    conversation.add(said("reply", 0))
    conversation.update(said("reply", 20))
    conversation.add(said("next", 0))

    assert [item.id for item in conversation] == ["reply", "next"]
