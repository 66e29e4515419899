"""Which classes serve which kind of provider account. A new kind is one entry here."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import msgspec

from agents.errors import ConfigurationError
from agents.interfaces import LLM, STT, TTS
from agents.providers.fallback import Breakers, Candidate, FallbackLLM, FallbackSTT, FallbackTTS, Limits
from agents.providers.openai_compatible.client import Clients
from agents.providers.openai_compatible.llm import OpenAILLM
from agents.providers.openai_compatible.realtime_stt import RealtimeSTT
from agents.providers.openai_compatible.stt import OpenAISTT
from agents.providers.openai_compatible.tts import OpenAITTS
from agents.providers.scripted import ScriptedLLM, ScriptedSTT, ScriptedTTS
from agents.spec import EMBEDDED, Account, AgentSpec, LLMSpec, STTSpec, TTSSpec

if TYPE_CHECKING:
    from agents.providers.local.models import LocalModels

P = TypeVar("P")
S = TypeVar("S", STTSpec, LLMSpec, TTSSpec)

SCRIPTED = "scripted"
OPENAI_COMPATIBLE = "openai_compatible"
VOICE_CONNECTIONS = 2
"""A segment is asked for while the one before it is read."""


@dataclass(frozen=True, slots=True)
class Services:
    """What the agents of one process share. `models` is imported late: it brings the inference runtimes."""

    models: LocalModels
    clients: Clients
    breakers: Breakers = field(default_factory=Breakers)


@dataclass(frozen=True, slots=True)
class Kind:
    """How to make each provider from an account and its part of a spec.

    `watched`: its providers do not watch the account's timeouts themselves. `in_process`: they call no server.
    `prepare` opens so many connections of an account ahead of need, and counts them by what came of it.
    `costly_stt`: its STT takes a thread of this process for each transcript, and cannot be called off.
    """

    stt: Callable[[Account, STTSpec, Services], STT]
    llm: Callable[[Account, LLMSpec, Services], LLM]
    tts: Callable[[Account, TTSSpec, Services], TTS]
    watched: bool = False
    in_process: bool = False
    prepare: Callable[[Account, int, Services], Coroutine[None, None, Counter[str]]] | None = None
    costly_stt: bool = False


KINDS: Mapping[str, Kind] = {
    EMBEDDED: Kind(
        stt=lambda _account, spec, services: services.models.stt(spec),
        llm=lambda _account, spec, services: services.models.llm(spec),
        tts=lambda _account, _spec, services: services.models.tts(),
        in_process=True,
        costly_stt=True,
    ),
    OPENAI_COMPATIBLE: Kind(
        stt=lambda account, spec, services: (RealtimeSTT if spec.streaming else OpenAISTT)(
            services.clients.client(account), spec
        ),
        llm=lambda account, spec, services: OpenAILLM(services.clients.client(account), spec),
        tts=lambda account, spec, services: OpenAITTS(services.clients.client(account), spec),
        prepare=lambda account, count, services: services.clients.client(account).prepare(count),
    ),
    SCRIPTED: Kind(  # the model is the text it hears, or answers, whatever it is given
        stt=lambda _account, spec, _services: ScriptedSTT((spec.model,)),
        llm=lambda _account, spec, _services: ScriptedLLM((spec.model,)),
        tts=lambda _account, _spec, _services: ScriptedTTS(),
        watched=True,
        in_process=True,
    ),
}


def stt(spec: STTSpec, accounts: Mapping[str, Account], services: Services) -> FallbackSTT:
    candidates = _candidates(spec, accounts, lambda kind, account, part: kind.stt(account, part, services))
    return FallbackSTT(candidates, services.breakers)


def asks_early(spec: STTSpec, accounts: Mapping[str, Account]) -> bool:
    """Whether a transcript may be asked for in vain at little cost: that of a stream, or of a model here, may not.

    Fallbacks are not looked at: they are rare.
    """
    return not spec.streaming and not _kind(_account(spec.account, accounts)).costly_stt


def llm(spec: LLMSpec, accounts: Mapping[str, Account], services: Services) -> FallbackLLM:
    candidates = _candidates(spec, accounts, lambda kind, account, part: kind.llm(account, part, services))
    return FallbackLLM(candidates, services.breakers)


def tts(spec: TTSSpec, accounts: Mapping[str, Account], services: Services) -> FallbackTTS:
    candidates = _candidates(spec, accounts, lambda kind, account, part: kind.tts(account, part, services))
    return FallbackTTS(candidates, services.breakers)


def preparing(
    spec: AgentSpec, accounts: Mapping[str, Account], services: Services
) -> Callable[[], Coroutine[None, None, Counter[str]]] | None:
    """What opens the connections that a turn of this agent takes, ahead of need; None if it takes none.

    Its first accounts only: a fallback may wait. Streaming ears open theirs with each utterance.
    """
    wanted = Counter({spec.tts.account: VOICE_CONNECTIONS})
    wanted.update([spec.llm.account] if spec.brain == "llm" else [])
    wanted.update([] if spec.stt.streaming else [spec.stt.account])
    ways = []
    for name, count in wanted.items():
        account = _account(name, accounts)
        if (prepare := _kind(account).prepare) is not None:
            ways.append((prepare, account, count))
    if not ways:
        return None

    async def open_all() -> Counter[str]:
        found = await asyncio.gather(*(prepare(account, count, services) for prepare, account, count in ways))
        return sum(found, Counter())

    return open_all


def _candidates(
    spec: S, accounts: Mapping[str, Account], make: Callable[[Kind, Account, S], P]
) -> Sequence[Candidate[P]]:
    """The provider of the spec's account, then those of its fallbacks.

    The embedded models have names of their own, so as a fallback the embedded account takes its default.
    """
    found = []
    for name in (spec.account, *spec.fallbacks):
        account = _account(name, accounts)
        kind = _kind(account)
        own_model = account.kind == EMBEDDED and name != spec.account
        part = msgspec.structs.replace(spec, model="") if own_model else spec
        limits = Limits(account.first_output_timeout_s, account.stall_timeout_s) if kind.watched else None
        found.append(Candidate(name, make(kind, account, part), limits, account.kind if kind.in_process else ""))
    return found


def _account(name: str, accounts: Mapping[str, Account]) -> Account:
    if name in accounts:
        return accounts[name]
    if name == EMBEDDED:
        return Account(name=EMBEDDED, kind=EMBEDDED)
    known = ", ".join(sorted({*accounts, EMBEDDED}))
    raise ConfigurationError(f"There is no provider account {name!r}; there are {known}.")


def _kind(account: Account) -> Kind:
    try:
        return KINDS[account.kind]
    except KeyError:
        message = f"Account {account.name!r} has the unknown kind {account.kind!r}; kinds are {', '.join(KINDS)}."
        raise ConfigurationError(message) from None
