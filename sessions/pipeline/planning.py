"""What one reply is to do: the session's settings, the client's wishes and the history, made into a Plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from agents.errors import ContextFull, ProviderError
from agents.interfaces import CompletionOptions, Message, ReplyRequest, ToolSpec, VoiceOptions
from agents.spec import AgentSpec
from sessions.pipeline.conversation import Conversation
from sessions.pipeline.messages import Item, ResponseOptions, SessionConfig
from sessions.pipeline.plan import Plan
from sessions.pipeline.turns import Turn
from sessions.pipeline.window import Truncation, Window


def make_plan(
    response_id: str,
    options: ResponseOptions,
    *,
    spec: AgentSpec,
    config: SessionConfig,
    conversation: Conversation,
    window: Window,
    tools: Sequence[ToolSpec],
    turn: Turn | None,
    turn_id: str | None,
    failure: ProviderError | None,
    cache_key: str,
) -> Plan:
    """ClientError if the options refer to an item that is not there. `turn` None is beside the conversation."""
    limit = _token_limit(options, config)
    greets = turn is not None and not len(conversation) and _asks_for_nothing(options)
    modality = options.modality or config.modality
    instructions = config.instructions if options.instructions is None else options.instructions
    room = window.room(instructions, tools, limit, config.truncation)
    view = _View(conversation, _context(options, conversation), options.in_conversation, window, config.truncation)
    messages: list[Message] = []
    try:
        messages = view.messages(room)
    except ContextFull as full:
        failure = failure or full
    return Plan(
        response_id=response_id,
        options=options,
        modality=modality,
        voice=VoiceOptions(options.voice, config.speed) if options.voice else spoken_by(spec, config),
        request=ReplyRequest(
            messages,
            instructions,
            CompletionOptions(
                options.tool_choice or config.tool_choice, limit, spec.llm.temperature, cache_key=cache_key
            ),
            spoken=modality == "audio",
        ),
        shorter=view.shorter,
        max_output_tokens=limit,
        script=(spec.greeting or None) if greets else None,
        failure=failure,
        turn_id=turn_id,
        user_end_sample=None if turn is None else turn.user_end_sample,
    )


def spoken_by(spec: AgentSpec, config: SessionConfig) -> VoiceOptions:
    """Who speaks in this session, unless a response asks for another voice."""
    return VoiceOptions(config.voice or spec.tts.voice, config.speed)


class _View:
    """What one reply is shown of the conversation, or of `items` instead of it.

    What the conversation's own replies are not shown any more, later ones are not either.
    """

    def __init__(
        self,
        conversation: Conversation,
        items: list[Item] | None,
        in_conversation: bool,
        window: Window,
        policy: Truncation,
    ) -> None:
        self._conversation = conversation
        self._told = conversation.told(items)
        self._lasting = in_conversation and items is None
        self._window = window
        self._policy = policy

    def messages(self, room: int) -> list[Message]:
        start = self._window.fit(self._told, room, self._policy)
        if start and self._lasting:
            self._conversation.show_from(self._told[start][0])
        self._told = self._told[start:]
        return [message for _, message in self._told]

    def shorter(self) -> list[Message] | None:
        """About half of it, for a model that could not read so much; None if there is no half, or it must stay."""
        if self._policy.mode == "disabled":
            return None
        room = self._window.shrink(self._told)
        return None if room is None else self.messages(room)


def _token_limit(options: ResponseOptions, config: SessionConfig) -> int | None:
    own = options.max_output_tokens
    if own is None:
        return config.max_output_tokens
    return None if own == "inf" else own


def _asks_for_nothing(options: ResponseOptions) -> bool:
    """A client that only says "speak", into an empty conversation, is greeted."""
    bare = ResponseOptions(metadata=options.metadata, modality=options.modality, spelling=options.spelling)
    return options in (bare, replace(bare, max_output_tokens="inf"))


def _context(options: ResponseOptions, conversation: Conversation) -> list[Item] | None:
    """The items the response is to see instead of the conversation, if the client says so."""
    if options.input is None:
        return None
    code, param = "item_reference_not_found", "response.input"
    return [conversation.get(item, code=code, param=param) if isinstance(item, str) else item for item in options.input]
