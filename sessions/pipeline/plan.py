"""Everything that a reply is to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agents.errors import ProviderError
from agents.interfaces import Message, ReplyRequest, VoiceOptions
from agents.structured import OutputSchema
from sessions.pipeline.messages import Modality, ResponseOptions


@dataclass(frozen=True, slots=True)
class Plan:
    """Decided when the reply starts.

    `script` is spoken instead of asking the brain (a greeting). `failure` is a fault that came before the
    reply: it only apologises. `shorter` gives fewer messages, for a model that could not read those of the
    request; None when there are no fewer.
    """

    response_id: str
    options: ResponseOptions
    modality: Modality
    voice: VoiceOptions
    request: ReplyRequest
    shorter: Callable[[], list[Message] | None]
    max_output_tokens: int | None = None
    script: str | None = None
    failure: ProviderError | None = None
    turn_id: str | None = None
    user_end_sample: int | None = None
    output: OutputSchema | None = None
    due: float | None = None

    @property
    def apologises(self) -> bool:
        """A decision that fails says nothing: nobody asked, and words are not what a program expects."""
        return self.output is None and self.request.news is None
