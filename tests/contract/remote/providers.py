"""The providers that the contract suites run on. A new adapter is one entry in its list."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from agents.audio import Audio
from agents.interfaces import LLM, STT, TTS, ToolCall
from agents.providers.fallback import Breakers, Candidate, FallbackLLM, FallbackSTT, FallbackTTS, Limits
from agents.providers.openai_compatible.client import Client, Clients
from agents.providers.openai_compatible.llm import OpenAILLM
from agents.providers.openai_compatible.realtime_stt import RealtimeSTT
from agents.providers.openai_compatible.stt import OpenAISTT
from agents.providers.openai_compatible.tts import OpenAITTS
from agents.providers.scripted import Fault, ScriptedLLM, ScriptedSTT, ScriptedTTS, tone
from agents.spec import LLMSpec, STTSpec, TTSSpec
from tests.fakes.scripted_server import ScriptedServer

P = TypeVar("P")

TRANSCRIPT = "What time is it?"
REPLY = "Sure, it is a quarter past nine."
CALL = ToolCall("call_0", "get_time", '{"zone": "Europe/Paris"}')
LIMITS = Limits(first_output_s=1.0, stall_s=0.4)
FAILING = Fault("fail")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a factory may use: the scripted server and the clients of this test."""

    server: ScriptedServer
    clients: Clients = field(default_factory=Clients)

    def client(self, **script: object) -> Client:
        return self.clients.client(self.server.account(**script))


@dataclass(frozen=True, slots=True)
class Case(Generic[P]):
    name: str
    make: Callable[[Surroundings], P]

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class STTCase(Case[STT]):
    """`hears` is an utterance at 16 kHz, `says` the words in it."""

    hears: Callable[[], Audio] = lambda: tone(1500, 16_000)
    says: str = TRANSCRIPT


STTS: list[STTCase] = [
    STTCase("scripted", lambda _: ScriptedSTT([TRANSCRIPT], words_per_s=2, final_s=0.02)),
    STTCase("openai", lambda around: OpenAISTT(around.client(stt_ms=20), STTSpec())),
    STTCase(
        "openai-streaming",
        lambda around: OpenAISTT(around.client(stt_ms=20), STTSpec(model="gpt-4o-mini-transcribe")),
    ),
    STTCase(
        "openai-plain",
        lambda around: OpenAISTT(around.client(stt_ms=20, refuse="response_format=verbose_json"), STTSpec()),
    ),
    STTCase("realtime", lambda around: RealtimeSTT(around.client(stt_ms=20), STTSpec(streaming=True))),
    STTCase(
        "realtime-while-speaking",
        lambda around: RealtimeSTT(around.client(stt_ms=20, stt_words_per_s=2), STTSpec(streaming=True)),
    ),
    STTCase(
        "fallback",
        lambda around: FallbackSTT(
            [
                Candidate("bad", ScriptedSTT([""], fault=FAILING), LIMITS),
                Candidate("good", OpenAISTT(around.client(stt_ms=20), STTSpec())),
            ],
            Breakers(),
        ),
    ),
]


@dataclass(frozen=True, slots=True)
class LLMCase(Case[LLM]):
    """`make` answers REPLY; `make_caller` calls CALL when it may, and else answers REPLY."""

    make_caller: Callable[[Surroundings], LLM]


def _openai_llm(around: Surroundings, **script: object) -> LLM:
    return OpenAILLM(around.client(llm_first_ms=20, llm_tokens_per_s=100, reply=REPLY, **script), LLMSpec(model="any"))


def _openai_case(name: str, **script: object) -> LLMCase:
    return LLMCase(
        name,
        lambda around: _openai_llm(around, **script),
        lambda around: _openai_llm(around, tool=CALL.name, tool_arguments=CALL.arguments, **script),
    )


def _fallback_llm(good: LLM) -> LLM:
    return FallbackLLM(
        [Candidate("bad", ScriptedLLM([""], fault=FAILING), LIMITS), Candidate("good", good)], Breakers()
    )


LLMS: list[LLMCase] = [
    LLMCase(
        "scripted",
        lambda _: ScriptedLLM([REPLY], first_s=0.02, tokens_per_s=100),
        lambda _: ScriptedLLM([[CALL], REPLY], first_s=0.02),
    ),
    _openai_case("openai"),
    _openai_case("ollama", style="ollama", usage=False),
    _openai_case("bare", style="bare"),
    _openai_case("reasoning", reasoning=5),
    _openai_case("dripping", fault="drip"),
    _openai_case("no-stream-options", refuse="stream_options"),
    _openai_case("new-limit-only", refuse="max_tokens"),
    LLMCase(
        "fallback",
        lambda around: _fallback_llm(_openai_llm(around)),
        lambda around: _fallback_llm(_openai_llm(around, tool=CALL.name, tool_arguments=CALL.arguments)),
    ),
]


def _openai_tts(around: Surroundings, **script: object) -> TTS:
    return OpenAITTS(around.client(**({"tts_first_ms": 20, "tts_speed": 20} | script)), TTSSpec())


TTSS: list[Case[TTS]] = [
    Case("scripted", lambda _: ScriptedTTS(first_s=0.02, speed=20)),
    Case("openai", _openai_tts),
    Case("openai-wav", lambda around: _openai_tts(around, tts_format="wav")),
    Case("openai-dripping", lambda around: _openai_tts(around, fault="drip", tts_speed=0)),
    Case(
        "fallback",
        lambda around: FallbackTTS(
            [
                Candidate("bad", ScriptedTTS(fault=FAILING), LIMITS),
                Candidate("good", _openai_tts(around)),
            ],
            Breakers(),
        ),
    ),
]


async def settle() -> None:
    """Let the loop finish generators that were dropped."""
    for _ in range(5):
        await asyncio.sleep(0)
