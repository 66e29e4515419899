"""From a spec to a voice agent: the one place that knows which class serves which setting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from agents.errors import ConfigurationError
from agents.interfaces import STT, TTS, VAD, Brain, EndOfTurn, Retriever, Toolbox, ToolSpec
from agents.providers import catalog
from agents.providers.catalog import Services
from agents.providers.fallback import Breakers
from agents.spec import Account, AgentSpec
from agents.tools.toolbox import AgentToolbox, server_tools

if TYPE_CHECKING:
    from agents.providers.local.models import LocalModels
    from agents.providers.openai_compatible.client import Clients


@dataclass(frozen=True, slots=True)
class VoiceAgent:
    """The parts of one agent, ready to be used by any number of sessions at once.

    `toolbox` makes one session's Toolbox from the tools its client brings. `prepare`, if there is anything to it,
    opens ahead of need the connections that a turn takes, and counts them by what came of it: "open", "failed".
    `asks_early`: its STT may be asked in vain at little cost.
    """

    spec: AgentSpec
    vad: VAD
    end_of_turn: EndOfTurn | None
    stt: STT
    brain: Brain
    tts: TTS
    toolbox: Callable[[Sequence[ToolSpec]], Toolbox]
    prepare: Callable[[], Coroutine[None, None, Counter[str]]] | None = None
    asks_early: bool = True


def build(
    spec: AgentSpec,
    accounts: Mapping[str, Account],
    retriever: Retriever | None,
    models: LocalModels,
    clients: Clients,
    *,
    webhook_secrets: Mapping[str, str],
    breakers: Breakers | None = None,
    allow_private_webhooks: bool = False,
) -> VoiceAgent:
    """The agent that `spec` describes. ConfigurationError names what is missing or unknown.

    `accounts` and `webhook_secrets` are by account and by tool name. `breakers` remember failed accounts, and
    are best shared by the process; without them the agent remembers its own.
    """
    services = Services(models, clients, breakers or Breakers())
    tools = server_tools(spec.tools, secrets=webhook_secrets, allow_private=allow_private_webhooks)
    return VoiceAgent(
        spec=spec,
        vad=models.vad(),
        end_of_turn=models.end_of_turn(),
        stt=catalog.stt(spec.stt, accounts, services),
        brain=_brain(spec, accounts, retriever, services),
        tts=catalog.tts(spec.tts, accounts, services),
        toolbox=partial(AgentToolbox, tools),
        prepare=catalog.preparing(spec, accounts, services),
        asks_early=catalog.asks_early(spec.stt, accounts),
    )


def _brain(spec: AgentSpec, accounts: Mapping[str, Account], retriever: Retriever | None, services: Services) -> Brain:
    if spec.brain == "llm":
        from agents.brain.llm_brain import LLMBrain

        return LLMBrain(catalog.llm(spec.llm, accounts, services), spec, retriever)
    if spec.brain == "rules":
        from agents.brain.rules_brain import RulesBrain

        return RulesBrain(spec)
    if retriever is None:
        raise ConfigurationError(f"Agent {spec.slug!r} answers from documents but has none: give it a knowledge base.")
    from agents.brain.answers_brain import AnswersBrain
    from agents.knowledge.index import VectorIndex

    topics = retriever.titles if isinstance(retriever, VectorIndex) else ()
    return AnswersBrain(retriever, spec, topics=topics)
