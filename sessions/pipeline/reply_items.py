"""The items of one reply: announced, filled and finished, in the conversation and to the client alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from agents.audio import Audio, join
from agents.interfaces import Source, ToolCall
from sessions.pipeline.conversation import Conversation
from sessions.pipeline.messages import (
    AudioOut,
    CallItem,
    Content,
    MessageItem,
    OutputDone,
    OutputStarted,
    SourceShown,
    TextOut,
)
from sessions.pipeline.outbox import Outbox
from sessions.pipeline.plan import Plan
from sessions.pipeline.playback import Ledger

MAX_CALL_ID = 32
"""Characters of a call's id that every client can send back."""


class ReplyItems:
    """At most one message, opened by its first word, source or sound, and calls; `all` has them by their index.

    Items of a reply beside the conversation go to the client alone. `audio_ms` of a message are kept with its item.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        ledger: Ledger,
        conversation: Conversation,
        outbox: Outbox,
        new_id: Callable[[str], str],
        audio_ms: float,
    ) -> None:
        self.plan = plan
        self.all: list[MessageItem | CallItem] = []
        self.message: MessageItem | None = None
        self.written = ""
        self._ledger = ledger
        self._conversation = conversation
        self._outbox = outbox
        self._new_id = new_id
        self._audio_ms = audio_ms
        self._audio: list[Audio] = []
        self._sources: list[Source] = []
        self._message_index = 0

    def open_message(self) -> MessageItem:
        """The message, announced if it was not, with the sources that came before it."""
        if self.message is None:
            self._message_index = len(self.all)
            self.message = MessageItem(self._new_id("item"), "assistant", (), "in_progress")
            self._announce(self.message)
            if self.plan.options.in_conversation and self.plan.modality == "audio":
                self._conversation.keep_ledger(self.message.id, self._ledger)
            for source in self._sources:
                self._outbox.put(SourceShown(self.plan.response_id, self.message.id, source))
        return self.message

    def write(self, text: str) -> None:
        message = self.open_message()
        self.written += text
        self._outbox.put(TextOut(self.plan.response_id, message.id, self._message_index, text))

    def show(self, source: Source) -> None:
        """A source of the message; it waits for it, if need be."""
        if self.message is None:
            self._sources.append(source)
        else:
            self._outbox.put(SourceShown(self.plan.response_id, self.message.id, source))

    async def sound(self, audio: Audio, *, begins_answer: bool) -> None:
        """Audio of the message. Waits while the outbox is full."""
        message, plan = self.open_message(), self.plan
        await self._outbox.put_audio(
            AudioOut(
                plan.response_id,
                message.id,
                self._message_index,
                audio,
                plan.turn_id if begins_answer else None,
                plan.user_end_sample if begins_answer else None,
            ),
            self._ledger.deliver,
        )
        self._ledger.release(audio.ms)
        if self._ledger.released_ms <= self._audio_ms:
            self._audio.append(audio)

    def call(self, call: ToolCall) -> None:
        """A call of the client's, whole; under another id if its own is of no use."""
        index = len(self.all)
        usable = 0 < len(call.id) <= MAX_CALL_ID and not self._conversation.has_call(call.id)
        call_id = call.id if usable else self._new_id("call")
        item = CallItem(self._new_id("item"), call_id, call.name, call.arguments, "in_progress")
        self._announce(item)
        self.all[index] = done = replace(item, status="completed")
        self._finish(done, index)

    def finish_message(self, status: Literal["completed", "incomplete"]) -> None:
        """Close the message, if there is one. The client is told what was written, the conversation what was heard."""
        if self.message is None:
            return
        done = replace(self.message, content=(self._content(self.written),), status=status)
        self.message = self.all[self._message_index] = done
        if self._audio and self.plan.options.in_conversation:
            rate = self._audio[0].rate  # an apology may come in another voice
            self._conversation.keep_audio(done.id, join([audio.resampled(rate) for audio in self._audio], rate))
        self._finish(done, self._message_index)
        if self.plan.modality == "audio":
            self._conversation.update(replace(done, content=(self._content(self._ledger.heard_text),)))

    def _content(self, text: str) -> Content:
        return Content("text", text=text) if self.plan.modality == "text" else Content("audio", transcript=text)

    def _announce(self, item: MessageItem | CallItem) -> None:
        plan, index, in_conversation = self.plan, len(self.all), self.plan.options.in_conversation
        self.all.append(item)
        previous = self._conversation.add(item) if in_conversation else None
        self._outbox.put(OutputStarted(plan.response_id, item, index, plan.modality, in_conversation, previous))

    def _finish(self, item: MessageItem | CallItem, index: int) -> None:
        plan, in_conversation = self.plan, self.plan.options.in_conversation
        previous = None
        if in_conversation and item.id in self._conversation:
            self._conversation.update(item)
            previous = self._conversation.previous(item.id)
        self._outbox.put(OutputDone(plan.response_id, item, index, plan.modality, in_conversation, previous))
