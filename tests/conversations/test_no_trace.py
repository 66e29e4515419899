"""Whatever is said, sent and changed in the middle: with models that take no time, optimism makes no difference.

A reply then leaves at the same moment whether it was begun early or not. So all that an attempt may change is what it
must not: an event, an item, a word of the history or of the records.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.audio import Audio
from agents.errors import Overloaded
from agents.providers.scripted import ScriptedEndOfTurn, ScriptedLLM, ScriptedSTT, ScriptedTTS
from agents.spec import Latency
from sessions.pipeline.messages import Event, SessionConfig, TurnClosed
from sessions.pipeline.records import ItemRecorded
from telemetry import counters, names
from tests.conversations.test_any_script import BOUNDS, REPLIES, Step, check, configs, sounds, steps
from tests.scenario import Talk, conversation, make_agent
from tests.virtual_time import run

PAUSES = st.builds(sounds, st.integers(2, 22).map(lambda n: 20 * n), loud=st.just(False))
SPEECH = st.builds(sounds, st.integers(12, 45).map(lambda n: 20 * n), loud=st.just(True))


def answer(audio: Audio) -> str:
    return f"{audio.ms:.0f} ms" if round(audio.ms / 10) % 9 else ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a script: events with their times, the history, what the model was asked, what is kept."""

    events: list[tuple[float, str]]
    told: list[str]
    asked: list[str]
    kept: list[tuple[int | None, str, str | None]]


@dataclass(frozen=True, slots=True)
class Script:
    config: SessionConfig
    steps: list[Step]
    replies: list[Any]
    stt_s: float

    async def perform(self, *, optimistic: bool) -> Outcome:
        llm = ScriptedLLM(self.replies)
        agent = make_agent(
            stt=ScriptedSTT(answer, final_s=self.stt_s),
            llm=llm,
            tts=ScriptedTTS(),
            end_of_turn=ScriptedEndOfTurn([0.1]),
            latency=Latency(optimistic=optimistic, optimistic_attempts=20),
        )
        async with conversation(agent, config=self.config, bounds=BOUNDS) as talk:
            for n, step in enumerate(self.steps):
                await asyncio.sleep(0.0007)  # no step in the very moment of an event
                with suppress(Overloaded):
                    await step(talk, n)
            await talk.silence(3000)
            await asyncio.sleep(60)
        check([event for _, event in talk.heard], drained=True)
        return outcome(talk, llm)


def outcome(talk: Talk, llm: ScriptedLLM) -> Outcome:
    known: dict[str, str] = {}

    def plain(value: object) -> str:
        """As text, with ids by the order in which they came; resampled audio is not the same twice, to the last bit."""
        text = re.sub(r"pcm=b.*?, rate=", "rate=", repr(value))
        return re.sub(r"\b(item|resp|call)_\d+\b", lambda m: known.setdefault(m[0], f"{m[1]}#{len(known)}"), text)

    events = [(round(at, 6), plain(event)) for at, event in talk.heard if shown(event)]
    return Outcome(
        events=events,
        told=[plain(message) for _, message in talk.session._conversation.told()],
        asked=[plain((asked.messages, asked.tools, asked.options)) for asked in llm.asked],
        kept=[(r.turn_index, plain(r.item_id), r.text) for r in talk.journal.records if isinstance(r, ItemRecorded)],
    )


def shown(event: Event) -> bool:
    """Traces tell of attempts, and are meant to."""
    return not isinstance(event, TurnClosed)


def scripts() -> st.SearchStrategy[Script]:
    turn = st.one_of(SPEECH, SPEECH, PAUSES, PAUSES, steps(captions=False))
    return st.builds(
        Script,
        configs(captions=False),
        st.lists(turn, min_size=3, max_size=14),
        st.just(["Yes, it is so."]) | st.sampled_from(REPLIES).map(lambda reply: [reply]),
        stt_s=st.sampled_from([0.0, 0.05, 0.15, 0.4]),
    )


@settings(max_examples=80, deadline=None)
@given(scripts())
def test_an_attempt_leaves_no_trace(script: Script) -> None:
    plain, early = (run(script.perform(optimistic=optimistic)) for optimistic in (False, True))
    assert early.events == plain.events
    assert (early.told, early.kept) == (plain.told, plain.kept)
    assert Counter(plain.asked) <= Counter(early.asked), "requests in vain are only added"


def test_such_scripts_do_make_attempts_of_which_some_are_in_vain() -> None:
    def counted() -> dict[str, float]:
        return {name: counters.snapshot().get((names.SPECULATIONS, name), 0) for name in ("used", "discarded")}

    before = counted()
    script = Script(
        SessionConfig(transcription=True),
        [sounds(600, loud=True), sounds(300, loud=False), sounds(600, loud=True)],
        ["Yes."],
        0.05,
    )
    run(script.perform(optimistic=True))
    assert {name: value - before[name] for name, value in counted().items()} == {"used": 1, "discarded": 1}
