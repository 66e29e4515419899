"""The peer: Pipecat's WebSocket transport with its services for OpenAI, as its documentation puts them together.

Runs in an environment of its own and serves any number of clients, each with a pipeline of its own, in one process:

    PROVIDERS=http://127.0.0.1:9200/v1 python bot.py PORT

`docs/reference/benchmarks.md` gives the reason for each setting.
"""

import os
import sys

import uvicorn
from fastapi import FastAPI, WebSocket
from loguru import logger
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADParams
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair, LLMUserAggregatorParams
from pipecat.serializers.protobuf import ProtobufFrameSerializer
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.services.openai.stt import OpenAISTTService
from pipecat.services.openai.tts import OpenAITTSService
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from pipecat.workers.runner import WorkerRunner

PROVIDERS = {"base_url": os.environ["PROVIDERS"], "api_key": "unused"}
SILENCE_S = float(os.environ.get("SILENCE_S", "0.2"))
RTVI = os.environ.get("RTVI") == "1"

app = FastAPI()


def pipeline(transport: FastAPIWebsocketTransport) -> PipelineWorker:
    user_params = LLMUserAggregatorParams(
        vad_analyzer=SileroVADAnalyzer(params=VADParams(stop_secs=SILENCE_S)),
        user_turn_strategies=UserTurnStrategies(stop=[SpeechTimeoutUserTurnStopStrategy(user_speech_timeout=0.0)]),
    )
    context = LLMContext([{"role": "system", "content": "You are terse."}])
    aggregators = LLMContextAggregatorPair(context, user_params=user_params)
    stages = [
        transport.input(),
        OpenAISTTService(settings=OpenAISTTService.Settings(model="whisper-1"), **PROVIDERS),
        aggregators.user(),
        OpenAILLMService(settings=OpenAILLMService.Settings(model="any"), **PROVIDERS),
        OpenAITTSService(settings=OpenAITTSService.Settings(model="tts-1", voice="alloy"), **PROVIDERS),
        transport.output(),
        aggregators.assistant(),
    ]
    params = PipelineParams(audio_in_sample_rate=16_000, audio_out_sample_rate=24_000)
    return PipelineWorker(Pipeline(stages), params=params, enable_rtvi=RTVI, enable_turn_tracking=False)


@app.websocket("/ws")
async def converse(socket: WebSocket) -> None:
    await socket.accept()
    params = FastAPIWebsocketParams(audio_in_enabled=True, audio_out_enabled=True, serializer=ProtobufFrameSerializer())
    transport = FastAPIWebsocketTransport(socket, params)
    worker = pipeline(transport)
    runner = WorkerRunner(handle_sigint=False)

    @transport.event_handler("on_client_disconnected")
    async def gone(_transport: object, _client: object) -> None:
        await runner.cancel()

    await runner.add_workers(worker)
    await runner.run()


@app.get("/readyz")
async def ready() -> None:
    """The models are loaded by each pipeline for itself."""


if __name__ == "__main__":
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", ws_per_message_deflate=False)
