from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import Any

import pytest

from agents.audio import Audio
from agents.errors import ContextFull, ProviderError, ProviderTimeout
from agents.interfaces import (
    LLM,
    STT,
    TTS,
    CompletionOptions,
    LLMOutput,
    Message,
    Segment,
    Speech,
    TextDelta,
    Transcript,
    VoiceOptions,
)
from agents.providers import fallback
from agents.providers.fallback import Breakers, Candidate, FallbackLLM, FallbackSTT, FallbackTTS, Guarded, Limits
from agents.providers.scripted import Fault, ScriptedLLM, ScriptedSTT, ScriptedTTS, tone
from telemetry.trace import TurnMarks
from tests.virtual_time import run

LIMITS = Limits(first_output_s=3.0, stall_s=1.0)
HISTORY = [Message("user", "Hello")]


def now() -> float:
    return asyncio.get_running_loop().time()


def on_virtual_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def call() -> None:
        run(test())

    call.__name__ = test.__name__
    return call


async def reply(llm: FallbackLLM) -> str:
    stream = llm.complete(HISTORY, (), CompletionOptions(), TurnMarks(now))
    return "".join([output.text async for output in stream if isinstance(output, TextDelta)])


def llms(*providers: ScriptedLLM, breakers: Breakers | None = None) -> FallbackLLM:
    candidates: list[Candidate[LLM]] = [
        Candidate(f"account-{n}", provider, LIMITS) for n, provider in enumerate(providers)
    ]
    return FallbackLLM(candidates, breakers or Breakers())


# --- the next one --------------------------------------------------------------------------------


@on_virtual_time
async def test_the_next_one_answers_when_one_fails() -> None:
    assert await reply(llms(ScriptedLLM(["bad"], fault=Fault("fail")), ScriptedLLM(["good"]))) == "good"


@on_virtual_time
async def test_the_next_one_answers_when_one_is_silent() -> None:
    assert await reply(llms(ScriptedLLM(["bad"], fault=Fault("stall")), ScriptedLLM(["good"]))) == "good"
    assert now() == pytest.approx(LIMITS.first_output_s)


@on_virtual_time
async def test_the_next_one_answers_when_one_ends_without_a_word() -> None:
    assert await reply(llms(ScriptedLLM(["bad"], fault=Fault("end")), ScriptedLLM(["good"]))) == "good"


@on_virtual_time
async def test_after_the_first_word_a_failure_goes_up() -> None:
    good = ScriptedLLM(["good"])
    with pytest.raises(ProviderError, match="scripted failure"):
        await reply(llms(ScriptedLLM(["one two three"], fault=Fault("fail", after=1)), good))
    assert good.calls == 0


@on_virtual_time
async def test_after_the_first_word_a_stall_goes_up() -> None:
    with pytest.raises(ProviderTimeout, match="account-0"):
        await reply(llms(ScriptedLLM(["one two"], fault=Fault("stall", after=1)), ScriptedLLM(["good"])))
    assert now() == pytest.approx(LIMITS.stall_s)


@on_virtual_time
async def test_when_all_fail_the_last_failure_goes_up() -> None:
    failing = [ScriptedLLM([""], fault=Fault("fail")), ScriptedLLM([""], fault=Fault("stall"))]
    with pytest.raises(ProviderTimeout, match="account-1"):
        await reply(llms(*failing))


@on_virtual_time
async def test_a_reader_that_dawdles_is_no_stall() -> None:
    stream = llms(ScriptedLLM(["one two three"])).complete(HISTORY, (), CompletionOptions(), TurnMarks(now))
    words = []
    async for output in stream:
        words.append(output)
        await asyncio.sleep(10 * LIMITS.stall_s)
    assert len(words) == 4


# --- hearing -------------------------------------------------------------------------------------


async def spoken(seconds: float) -> AsyncGenerator[Audio, None]:
    for piece in tone(seconds * 1000, 16_000).split(100):
        await asyncio.sleep(0.1)
        yield piece


def length(audio: Audio) -> str:
    return f"{audio.ms:.0f} ms"


async def transcripts(stt: FallbackSTT, seconds: float = 5.0) -> list[Transcript]:
    return [transcript async for transcript in stt.transcribe(spoken(seconds), TurnMarks(now))]


@on_virtual_time
async def test_the_next_stt_hears_all_of_the_audio() -> None:
    bad = ScriptedSTT(["one two three"], words_per_s=1, fault=Fault("fail", after=2))
    stt = FallbackSTT([Candidate("bad", bad, LIMITS), Candidate("good", ScriptedSTT(length), LIMITS)], Breakers())
    assert (await transcripts(stt))[-1] == Transcript("5000 ms", final=True)


@on_virtual_time
async def test_waiting_for_speech_is_not_waiting_for_the_provider() -> None:
    stt = FallbackSTT([Candidate("slow", ScriptedSTT(length, final_s=2.9), LIMITS)], Breakers())
    assert (await transcripts(stt, seconds=20))[-1] == Transcript("20000 ms", final=True)
    assert now() == pytest.approx(22.9)


@on_virtual_time
async def test_a_silent_stt_is_given_up_after_the_speech() -> None:
    bad = ScriptedSTT([""], final_s=100)
    stt = FallbackSTT([Candidate("bad", bad, LIMITS), Candidate("good", ScriptedSTT(length), LIMITS)], Breakers())
    assert (await transcripts(stt))[-1] == Transcript("5000 ms", final=True)
    assert now() == pytest.approx(5 + LIMITS.first_output_s)


@on_virtual_time
async def test_an_stt_that_never_says_final_has_failed() -> None:
    bad = ScriptedSTT(["one two"], words_per_s=1, fault=Fault("end", after=1))
    stt = FallbackSTT([Candidate("bad", bad, LIMITS), Candidate("good", ScriptedSTT(length), LIMITS)], Breakers())
    assert (await transcripts(stt))[-1] == Transcript("5000 ms", final=True)


def test_audio_beyond_the_bound_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fallback, "REPLAY_AUDIO_S", 1.0)
    bad = ScriptedSTT(["one two three"], words_per_s=1, fault=Fault("fail", after=2))
    good = ScriptedSTT(length)

    async def hear() -> None:
        stt = FallbackSTT([Candidate("bad", bad, LIMITS), Candidate("good", good, LIMITS)], Breakers())
        with pytest.raises(ProviderError, match="scripted failure"):
            await transcripts(stt)

    run(hear())
    assert good.calls == 0


# --- speaking ------------------------------------------------------------------------------------


async def written(*texts: str, gap_s: float = 0.0) -> AsyncGenerator[Segment, None]:
    for number, text in enumerate(texts):
        await asyncio.sleep(gap_s)
        yield Segment(number, text)


async def speech(tts: FallbackTTS, text: AsyncGenerator[Segment, None]) -> list[Speech]:
    return [piece async for piece in tts.synthesize(text, VoiceOptions(), TurnMarks(now))]


@on_virtual_time
async def test_the_next_tts_speaks_from_the_start() -> None:
    bad, good = ScriptedTTS(fault=Fault("stall")), ScriptedTTS()
    tts = FallbackTTS([Candidate("bad", bad, LIMITS), Candidate("good", good, LIMITS)], Breakers())
    pieces = await speech(tts, written("One.", "Two."))
    assert {piece.segment_id for piece in pieces} == {0, 1}
    assert list(good.spoken) == ["One.", "Two."]


@on_virtual_time
async def test_waiting_for_text_is_not_waiting_for_the_provider() -> None:
    tts = FallbackTTS([Candidate("only", ScriptedTTS(first_s=2.5), LIMITS)], Breakers())
    await speech(tts, written("One.", gap_s=30))
    assert now() == pytest.approx(32.5)


@on_virtual_time
async def test_nothing_to_say_is_no_failure() -> None:
    breakers = Breakers()
    assert await speech(FallbackTTS([Candidate("only", ScriptedTTS(), LIMITS)], breakers), written()) == []
    assert breakers.admits("only")


# --- who answered --------------------------------------------------------------------------------


@on_virtual_time
async def test_the_trace_names_the_account_that_answered() -> None:
    marks = TurnMarks(now)
    llm = llms(ScriptedLLM(["bad"], fault=Fault("fail")), ScriptedLLM(["good"]))
    bad_stt: Candidate[STT] = Candidate("mute", ScriptedSTT([""], final_s=100), LIMITS)
    stt = FallbackSTT([bad_stt, Candidate("ours", ScriptedSTT(length), LIMITS, kind="embedded")], Breakers())
    bad_tts: Candidate[TTS] = Candidate("hoarse", ScriptedTTS(fault=Fault("fail")), LIMITS)
    tts = FallbackTTS([bad_tts, Candidate("clear", ScriptedTTS(), LIMITS)], Breakers())
    for stream in (
        llm.complete(HISTORY, (), CompletionOptions(), marks),
        stt.transcribe(spoken(1.0), marks),
        tts.synthesize(written("One."), VoiceOptions(), marks),
    ):
        assert [output async for output in stream]
    providers = {name: value for name, value in marks.facts.items() if name.endswith("_provider")}
    assert providers == {"llm_provider": "account-1", "stt_provider": "embedded", "tts_provider": "clear"}


@on_virtual_time
async def test_an_account_that_was_skipped_is_not_named() -> None:
    breakers = Breakers()
    breakers.failed("account-0")
    marks = TurnMarks(now)
    async for _ in llms(ScriptedLLM(["a"]), ScriptedLLM(["b"]), breakers=breakers).complete(
        HISTORY, (), CompletionOptions(), marks
    ):
        assert marks.facts["llm_provider"] == "account-1"


# --- accounts that have failed -------------------------------------------------------------------


@on_virtual_time
async def test_an_account_that_failed_is_skipped_for_a_while_and_then_probed() -> None:
    flaky = ScriptedLLM(["first"], fault=Fault("fail", calls=[0]))
    llm = llms(flaky, ScriptedLLM(["second"]), breakers=Breakers(cooldown_s=10))
    assert await reply(llm) == "second"
    assert await reply(llm) == "second"
    assert flaky.calls == 1
    await asyncio.sleep(10)
    assert await reply(llm) == "first"
    assert await reply(llm) == "first"


class SmallLLM(ScriptedLLM):
    """Its model cannot read what it is told."""

    async def _complete(self, *args: Any) -> AsyncGenerator[LLMOutput, None]:
        for _ in args:
            raise ContextFull
        yield TextDelta("")


@on_virtual_time
async def test_an_account_whose_model_reads_less_is_asked_again() -> None:
    small = SmallLLM([""])
    llm = llms(small, ScriptedLLM(["second"]))
    for _ in range(2):
        assert await reply(llm) == "second"
    assert small.calls == 2


@on_virtual_time
async def test_a_failed_probe_closes_the_account_again() -> None:
    bad = ScriptedLLM([""], fault=Fault("fail"))
    llm = llms(bad, ScriptedLLM(["second"]), breakers=Breakers(cooldown_s=10))
    for _ in range(4):
        await reply(llm)
        await asyncio.sleep(5)
    assert bad.calls == 2


@on_virtual_time
async def test_only_one_call_probes() -> None:
    breakers = Breakers(cooldown_s=10)
    breakers.failed("lab")
    await asyncio.sleep(10)
    assert [breakers.admits("lab"), breakers.admits("lab")] == [True, False]


@on_virtual_time
async def test_the_last_chance_is_taken_though_it_has_just_failed() -> None:
    flaky = ScriptedLLM(["mended"], fault=Fault("fail", calls=[0]))
    llm = llms(flaky)
    with pytest.raises(ProviderError):
        await reply(llm)
    assert await reply(llm) == "mended"


@on_virtual_time
async def test_only_so_many_failed_accounts_are_remembered() -> None:
    breakers = Breakers(size=2)
    for account in ("a", "b", "c"):
        breakers.failed(account)
    assert [breakers.admits(account) for account in ("a", "b", "c")] == [True, False, False]


@on_virtual_time
async def test_a_reply_broken_off_by_the_user_is_no_failure() -> None:
    breakers = Breakers()
    llm = llms(ScriptedLLM(["one two three"], tokens_per_s=10), breakers=breakers)
    async with aclosing(llm.complete(HISTORY, (), CompletionOptions(), TurnMarks(now))) as stream:
        await anext(stream)
    assert breakers.admits("account-0")


# --- the watchdog --------------------------------------------------------------------------------


@on_virtual_time
async def test_a_providers_own_timeout_error_is_not_taken_for_the_watchdogs() -> None:
    async def buggy() -> AsyncGenerator[int, None]:
        yield 1
        raise TimeoutError("mine")

    with pytest.raises(TimeoutError, match="mine"):
        _ = [item async for item in Guarded[int]("lab", LIMITS).watch(buggy())]


@on_virtual_time
async def test_the_watchdog_counts_only_the_providers_part_of_a_wait() -> None:
    guard = Guarded[int]("lab", LIMITS)

    async def inputs() -> AsyncGenerator[int, None]:
        for number in range(3):
            await asyncio.sleep(10)
            yield number

    async def slow(source: Any) -> AsyncGenerator[int, None]:
        async for number in source:
            await asyncio.sleep(0.9)
            yield number

    assert [item async for item in guard.watch(slow(guard.feed(inputs())))] == [0, 1, 2]

    async def hanging(source: Any) -> AsyncGenerator[int, None]:
        async for number in source:
            yield number
            await asyncio.sleep(5)

    with pytest.raises(ProviderTimeout):
        _ = [item async for item in guard.watch(hanging(guard.feed(inputs())))]
