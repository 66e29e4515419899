"""What a client says of its playing: believed where it can be true, and never an error."""

from __future__ import annotations

import asyncio

from agents.providers.scripted import ScriptedLLM
from agents.spec import TurnDetection
from sessions.pipeline.messages import (
    CreateResponse,
    ErrorOccurred,
    OutputDone,
    ReportPlayback,
    ResponseDone,
    RetrieveItem,
    SessionConfig,
)
from tests.scenario import conversation
from tests.virtual_time import run

TEXT = SessionConfig(modality="text", turn_detection=TurnDetection(type="none"))


def test_a_report_of_playing_a_text_changes_nothing() -> None:
    async def talk_once() -> None:
        async with conversation(llm=ScriptedLLM(["Yes."]), config=TEXT) as talk:
            talk.do(CreateResponse())
            done = await talk.until(ResponseDone)
            item = talk.all(OutputDone)[0].item
            talk.do(ReportPlayback(done.response_id, item.id, 100, "stopped"))
            talk.do(RetrieveItem(item.id, "after"))
            await asyncio.sleep(1)
            assert not talk.all(ErrorOccurred)

    run(talk_once())
