"""What one reply is to do: the session's settings, the client's wishes and the history, made into a Plan."""

from __future__ import annotations

from dataclasses import replace

from agents.errors import ProviderError
from agents.interfaces import CompletionOptions, ReplyRequest, VoiceOptions
from agents.spec import AgentSpec
from sessions.pipeline.conversation import Conversation
from sessions.pipeline.messages import Item, ResponseOptions, SessionConfig
from sessions.pipeline.replying import Plan
from sessions.pipeline.turns import Turn


def make_plan(
    response_id: str,
    options: ResponseOptions,
    *,
    spec: AgentSpec,
    config: SessionConfig,
    conversation: Conversation,
    turn: Turn | None,
    turn_id: str | None,
    failure: ProviderError | None,
) -> Plan:
    """ClientError if the options refer to an item that is not there. `turn` None is beside the conversation."""
    limit = options.max_output_tokens or config.max_output_tokens
    greets = turn is not None and not len(conversation) and _asks_for_nothing(options)
    return Plan(
        response_id=response_id,
        options=options,
        modality=options.modality or config.modality,
        voice=VoiceOptions(options.voice or config.voice or spec.tts.voice, config.speed),
        request=ReplyRequest(
            conversation.messages(_context(options, conversation)),
            config.instructions if options.instructions is None else options.instructions,
            CompletionOptions(options.tool_choice or config.tool_choice, limit, spec.llm.temperature),
        ),
        max_output_tokens=limit,
        script=(spec.greeting or None) if greets else None,
        failure=failure,
        turn_id=turn_id,
        user_end_sample=None if turn is None else turn.user_end_sample,
    )


def _asks_for_nothing(options: ResponseOptions) -> bool:
    """A client that only says "speak", into an empty conversation, is greeted."""
    return options == replace(ResponseOptions(), metadata=options.metadata, modality=options.modality)


def _context(options: ResponseOptions, conversation: Conversation) -> list[Item] | None:
    """The items the response is to see instead of the conversation, if the client says so."""
    if options.input is None:
        return None
    return [
        conversation.get(item, code="item_reference_not_found") if isinstance(item, str) else item
        for item in options.input
    ]
