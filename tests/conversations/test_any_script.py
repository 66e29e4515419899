"""Whatever a user and a client do, in whatever order: what clients rely on holds, and nothing is left behind."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.audio import Audio
from agents.errors import Overloaded
from agents.interfaces import ToolCall
from agents.providers.scripted import Fault, ScriptedEndOfTurn, ScriptedLLM, ScriptedSTT, ScriptedTTS, tone
from agents.spec import TurnDetection
from sessions.pipeline.bounds import Bounds
from sessions.pipeline.messages import (
    AppendAudio,
    AudioCommitted,
    AudioOut,
    CancelResponse,
    ClearAudio,
    Command,
    CommitAudio,
    Configure,
    Configured,
    Content,
    CreateItem,
    CreateResponse,
    DeleteItem,
    ErrorOccurred,
    Event,
    ItemAdded,
    ItemDeleted,
    ItemDone,
    MessageItem,
    Modality,
    OutputDone,
    OutputStarted,
    ReportPlayback,
    ResponseDone,
    ResponseOptions,
    ResponseStarted,
    RetrieveItem,
    SessionConfig,
    SessionEnded,
    SourceShown,
    SpeechStarted,
    TextOut,
    TranscriptCompleted,
    TranscriptFailed,
    TruncateItem,
    TurnClosed,
)
from tests.scenario import RATE, Talk, conversation, make_agent
from tests.virtual_time import run

Step = Callable[[Talk, int], Awaitable[None]]
"""Something that is done as the n-th of a script."""

BOUNDS = Bounds(reply_stall_s=8, utterance_ms=4000, conversation_items=12, side_responses=2)
LONG = "One two three, four five six. Seven eight nine ten. " * 3
REPLIES: list[str | list[str | ToolCall]] = [
    LONG,
    "Yes.",
    ["Wait. ", ToolCall("call", "look", "{}")],
    "",
    "a " * 300,
    "Well, yes. And no.",
]


# --- scripts -------------------------------------------------------------------------------------


def sounds(ms: float, *, loud: bool, at_once: bool = False) -> Step:
    audio = tone(ms, RATE) if loud else Audio.silence(ms, RATE)

    async def step(talk: Talk, n: int) -> None:
        if at_once:
            await talk.session.hear(AppendAudio(audio))
        else:
            await talk.play(audio)

    return step


def waits(ms: int) -> Step:
    return lambda talk, n: asyncio.sleep(ms / 1000)


def of_buffer(command: type[CommitAudio | ClearAudio]) -> Step:
    return lambda talk, n: talk.session.hear(command())


def does(make: Callable[[Talk, int], Command]) -> Step:
    async def step(talk: Talk, n: int) -> None:
        talk.do(make(talk, n))

    return step


def creates(modality: Modality | None, in_conversation: bool, about: tuple[str, ...] | None) -> Step:
    return does(
        lambda talk, n: CreateResponse(
            ResponseOptions(
                modality=modality, in_conversation=in_conversation, input=about, metadata={"n": f"create_{n}"}
            ),
            f"create_{n}",
        )
    )


def items(talk: Talk) -> list[str]:
    known = [event.item.id for _, event in talk.heard if isinstance(event, ItemAdded | OutputStarted)]
    return known or ["nothing"]


def some_item(command: type[DeleteItem | RetrieveItem], back: int) -> Step:
    return does(lambda talk, n: command(items(talk)[-1 - back % len(items(talk))]))


def truncates(back: int, ms: int) -> Step:
    return does(lambda talk, n: TruncateItem(items(talk)[-1 - back % len(items(talk))], ms))


def plays(ms: int, state: str) -> Step:
    def command(talk: Talk, n: int) -> Command:
        last = (talk.all(AudioOut) or [AudioOut("none", "none", 0, Audio.silence(20, RATE))])[-1]
        return ReportPlayback(last.response_id, last.item_id, ms, state, 500.0)  # type: ignore[arg-type] # drawn from the names

    return does(command)


def detections() -> st.SearchStrategy[TurnDetection]:
    return st.builds(
        TurnDetection,
        type=st.sampled_from(["server_vad", "server_vad", "semantic_vad", "none"]),
        silence_duration_ms=st.sampled_from([0, 200, 500]),
        prefix_padding_ms=st.sampled_from([0, 300]),
        create_response=st.booleans(),
        interrupt_response=st.booleans(),
    )


def configs(*, captions: bool) -> st.SearchStrategy[SessionConfig]:
    """`captions` are sessions that only transcribe."""
    return st.builds(
        SessionConfig,
        modality=st.sampled_from(["audio", "audio", "text"]),
        turn_detection=detections(),
        transcription=st.just(True),
        transcription_only=st.just(captions),
    )


STEPS = st.one_of(
    st.builds(sounds, st.integers(1, 45).map(lambda n: 20 * n), loud=st.just(True)),
    st.builds(sounds, st.integers(1, 60).map(lambda n: 20 * n), loud=st.just(False)),
    st.builds(sounds, st.integers(1, 3000), loud=st.booleans(), at_once=st.just(True)),
    st.builds(waits, st.integers(0, 3000)),
    st.builds(of_buffer, st.sampled_from([CommitAudio, ClearAudio])),
    st.builds(
        creates,
        st.sampled_from([None, None, "text"]),
        st.sampled_from([True, True, False]),
        st.sampled_from([None, None, (), ("nothing",)]),
    ),
    st.builds(lambda: does(lambda talk, n: CancelResponse(event_id=f"cancel_{n}"))),
    st.builds(
        lambda: does(lambda talk, n: CreateItem(MessageItem(f"mine_{n}", "user", (Content("text", text="why?"),))))
    ),
    st.builds(some_item, st.sampled_from([DeleteItem, RetrieveItem]), st.integers(0, 3)),
    st.builds(truncates, st.integers(0, 3), st.integers(0, 5000)),
    st.builds(plays, st.integers(0, 5000), st.sampled_from(["started", "playing", "stopped", "ended"])),
)


def steps(*, captions: bool) -> st.SearchStrategy[Step]:
    changes = st.builds(lambda config: does(lambda talk, n: Configure(config)), configs(captions=captions))
    return st.one_of(STEPS, changes)


def faults() -> st.SearchStrategy[Fault | None]:
    striking = st.builds(
        Fault,
        st.sampled_from(["fail", "stall", "end"]),
        after=st.integers(0, 4),
        calls=st.sets(st.integers(0, 3), min_size=1),
    )
    return st.one_of(st.none(), st.none(), striking)


@dataclass(frozen=True, slots=True)
class Script:
    config: SessionConfig
    steps: list[Step]
    ending: str
    texts: list[str]
    stt_s: float
    settled: bool
    llm_s: float
    tokens_per_s: float
    reads_s: float
    faults: tuple[Fault | None, Fault | None, Fault | None]

    async def perform(self) -> list[Event]:
        stt_fault, llm_fault, tts_fault = self.faults
        agent = make_agent(
            stt=ScriptedSTT(self.texts, final_s=self.stt_s, words_per_s=5, settled=self.settled, fault=stt_fault),
            llm=ScriptedLLM(REPLIES, first_s=self.llm_s, tokens_per_s=self.tokens_per_s, fault=llm_fault),
            tts=ScriptedTTS(first_s=0.1, speed=5, fault=tts_fault),
            end_of_turn=ScriptedEndOfTurn([0.9, 0.1], delay_s=0.15),
            greeting="Hello.",
        )
        async with conversation(agent, config=self.config, bounds=BOUNDS) as talk:
            talk.reads_s = self.reads_s
            for n, step in enumerate(self.steps):
                with suppress(Overloaded):
                    await step(talk, n)
            if self.ending == "drained":
                await talk.silence(3000)
                await asyncio.sleep(120)
                check_nothing_left(talk)
                if not talk.all(SessionEnded):
                    talk.wire.rules.end()
            elif self.ending == "shutdown":
                talk.session.end("shutdown")
        return [event for _, event in talk.heard]


def scripts(*, captions: bool = False) -> st.SearchStrategy[Script]:
    return st.builds(
        Script,
        configs(captions=captions),
        st.lists(steps(captions=captions), min_size=1, max_size=14),
        st.sampled_from(["drained", "drained", "closed", "shutdown"]),
        texts=st.lists(st.sampled_from(["hello", "go on with it now", ""]), min_size=1, max_size=4),
        stt_s=st.sampled_from([0.0, 0.1, 0.7, 2.0]),
        settled=st.booleans(),
        llm_s=st.sampled_from([0.0, 0.3, 1.5]),
        tokens_per_s=st.sampled_from([20.0, 1000.0]),
        reads_s=st.sampled_from([0.0, 0.0, 0.02, 0.2]),
        faults=st.tuples(faults(), faults(), faults()),
    )


# --- what holds ----------------------------------------------------------------------------------


@dataclass
class _Response:
    """What was seen of one response."""

    in_conversation: bool
    done: ResponseDone | None = None
    started: dict[int, OutputStarted] = field(default_factory=dict)
    ended: dict[int, OutputDone] = field(default_factory=dict)
    texts: dict[int, str] = field(default_factory=dict)
    audio_ms: float = 0.0
    cut: bool = False


def check(events: list[Event], *, drained: bool) -> None:
    if events[-1] == SessionEnded("slow_client"):
        return  # nothing is owed to those who do not read
    check_responses(events)
    check_places(events)
    check_turns(events)
    assert [type(event) for event in events].count(SessionEnded) == 1
    assert isinstance(events[-1], SessionEnded)
    assert events[-1].reason in ("closed", "shutdown")
    if drained:
        check_answers(events)


def check_responses(events: list[Event]) -> None:
    """One done for each started, everything of a response between them, its outputs closed, its texts whole."""
    seen: dict[str, _Response] = {}
    interrupts = False
    for event in events:
        match event:
            case Configured(config):
                interrupts = config.turn_detection.interrupt_response
            case SpeechStarted() if interrupts:
                for response in seen.values():
                    response.cut = response.cut or response.in_conversation
            case ResponseStarted(response_id, options):
                assert response_id not in seen
                in_conversation = options.in_conversation
                assert not in_conversation or all(r.done for r in seen.values() if r.in_conversation)
                seen[response_id] = _Response(in_conversation)
            case OutputStarted() | TextOut() | AudioOut() | OutputDone() | SourceShown() | ResponseDone():
                response = seen[event.response_id]
                assert response.done is None
                follow(response, event)
    assert all(response.done for response in seen.values())


def follow(
    response: _Response, event: OutputStarted | TextOut | AudioOut | OutputDone | SourceShown | ResponseDone
) -> None:
    match event:
        case OutputStarted():
            assert event.output_index == len(response.started)
            response.started[event.output_index] = event
        case TextOut():
            assert event.output_index in response.started.keys() - response.ended.keys()
            response.texts[event.output_index] = response.texts.get(event.output_index, "") + event.text
        case AudioOut():
            assert not response.cut, "stale audio"
            assert event.output_index in response.started.keys() - response.ended.keys()
            response.audio_ms += event.audio.ms
        case OutputDone():
            assert event.item.id == response.started[event.output_index].item.id
            response.ended[event.output_index] = event
            if isinstance(event.item, MessageItem):
                (part,) = event.item.content
                assert (part.text or part.transcript) == response.texts.get(event.output_index, "")
        case ResponseDone():
            assert response.started.keys() == response.ended.keys()
            assert event.output == tuple(response.ended[index].item for index in sorted(response.ended))
            assert abs(event.audio_ms - response.audio_ms) <= 0.5
            response.done = event


def check_places(events: list[Event]) -> None:
    """An item is put after one that the client knows and has not deleted."""
    known: set[str] = set()
    for event in events:
        match event:
            case ItemAdded(item, previous) | ItemDone(item, previous):
                assert previous is None or previous in known
                known.add(item.id)
            case OutputStarted() | OutputDone():
                assert event.previous_id is None or event.previous_id in known
                if event.in_conversation and isinstance(event, OutputStarted):
                    known.add(event.item.id)
            case AudioCommitted(_, previous):
                assert previous is None or previous in known
            case ItemDeleted(item_id):
                known.remove(item_id)


def check_turns(events: list[Event]) -> None:
    traces = [event.trace for event in events if isinstance(event, TurnClosed)]
    assert len({trace["index"] for trace in traces}) == len(traces)
    for trace in traces:
        marks = trace["marks"]
        assert max(marks.values()) == marks["turn_close"]
        assert marks.get("user_speech_start", 0) <= marks.get("user_speech_end", marks["turn_close"])
        assert sum(step["duration_us"] for step in trace["path"]) == trace["latencies"].get("voice_to_voice", 0)


def check_answers(events: list[Event]) -> None:
    """Each request was answered once, each committed turn has its words or a failure, each reply its trace."""
    asked = Counter(
        event.options.metadata["n"] for event in events if isinstance(event, ResponseStarted) and event.options.metadata
    )
    refused = Counter(event.event_id for event in events if isinstance(event, ErrorOccurred))
    answers = asked + Counter({name: n for name, n in refused.items() if name and name.startswith("create_")})
    assert set(answers.values()) <= {1}
    committed = [event.item_id for event in events if isinstance(event, AudioCommitted)]
    worded = [event.item_id for event in events if isinstance(event, TranscriptCompleted | TranscriptFailed)]
    assert sorted(committed) == sorted(worded)


def check_nothing_left(talk: Talk) -> None:
    session = talk.session
    assert not session._replies._tasks
    assert not session._replies.beside
    assert not session._inbox._deferred
    assert not session._transcripts.awaited
    assert session._owed.due is None
    assert session._speculation.discard() is None
    assert session._turns.answering is None
    assert not any(reply for reply in [session._replies.current] if reply is not None and not reply.closed)
    names = [task.get_name() for task in asyncio.all_tasks()]
    assert not any(name.startswith(("resp", "think", "sentences", "synthesize", "room")) for name in names)
    assert len(asyncio.all_tasks()) <= 6  # the test, the session, the listener, listening, and what hears a turn begun


@settings(max_examples=80, deadline=None)
@given(scripts())
def test_any_script(script: Script) -> None:
    check(run(script.perform()), drained=script.ending == "drained")


@settings(max_examples=80, deadline=None)
@given(scripts(captions=True))
def test_any_script_of_a_session_that_only_transcribes(script: Script) -> None:
    check(run(script.perform()), drained=script.ending == "drained")
