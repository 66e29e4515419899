"""The addresses of the server.

The API lies at /v1 as scripted on the command line, and at /with/<changes>/v1 with changes to that, such as
/with/llm_first_ms=50&fault=stall/v1: any client can be given its own script through its base URL alone.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket

from benchmarks.providers import audio, chat
from benchmarks.providers.ears import Ears
from benchmarks.providers.log import Entry, Log
from benchmarks.providers.script import Script
from benchmarks.providers.timed import Piece, Timed

MODELS = ("scripted", "whisper-1", "gpt-4o-mini-transcribe", "tts-1")
PAGE = b"<!doctype html><title>Welcome</title><p>It works."


class Server:
    def __init__(self, script: Script) -> None:
        self._script = script
        self._log = Log()

    def app(self) -> Starlette:
        api = [
            Route("/models", self.models),
            Route("/chat/completions", self.chat, methods=["POST"]),
            Route("/audio/transcriptions", self.transcriptions, methods=["POST"]),
            Route("/audio/speech", self.speech, methods=["POST"]),
            WebSocketRoute("/realtime", self.realtime),
        ]
        return Starlette(
            routes=[
                Mount("/v1", routes=api),
                Mount("/with/{changes}/v1", routes=api),
                Route("/_log", self.log),
                Route("/_script", self.set_script, methods=["POST"]),
            ]
        )

    async def models(self, request: Request) -> Response:
        script, entry = self._open(request)
        if refusal := _refusal(script, entry):
            return refusal
        models = [{"id": name, "object": "model", "created": 0, "owned_by": "repartee"} for name in MODELS]
        return JSONResponse({"object": "list", "data": models})

    async def chat(self, request: Request) -> Response:
        script, entry = self._open(request)
        asked = await request.json()
        self._note(entry, script, asked)
        if refusal := _refusal(script, entry, asked):
            return refusal
        if asked.get("stream"):
            return Timed(chat.streamed(script, asked), entry, script, media_type="text/event-stream")
        return Timed(chat.whole(script, asked), entry, script, media_type="application/json")

    async def transcriptions(self, request: Request) -> Response:
        script, entry = self._open(request)
        async with request.form() as form:
            file = form["file"]
            size = getattr(file, "size", 0)
            asked: dict[str, Any] = {name: value for name, value in form.items() if name != "file"}
        self._note(entry, script, asked | {"file_bytes": size})
        if refusal := _refusal(script, entry, asked):
            return refusal
        if str(asked.get("stream", "")).lower() == "true":
            return Timed(audio.transcription_stream(script), entry, script, media_type="text/event-stream")
        pieces = audio.transcription(script, str(asked.get("response_format", "json")))
        return Timed(pieces, entry, script, media_type="application/json")

    async def speech(self, request: Request) -> Response:
        script, entry = self._open(request)
        asked = await request.json()
        self._note(entry, script, asked)
        if refusal := _refusal(script, entry, asked):
            return refusal
        pieces = audio.speech(script, asked["input"], float(asked.get("speed", 1)))
        kind = {"mp3": "audio/mpeg", "wav": "audio/wav"}.get(script.tts_format, "audio/pcm")
        return Timed(pieces, entry, script, media_type=kind)

    async def realtime(self, socket: WebSocket) -> None:
        script, entry = self._open(socket)
        if script.fault == "html":
            await socket.send_denial_response(Response(PAGE, media_type="text/html"))
        elif script.fault.isdigit():
            await socket.send_denial_response(Response("scripted refusal", int(script.fault)))
        else:
            await Ears(socket, script, entry).converse()

    async def log(self, request: Request) -> Response:
        """The requests from ?since=ID on, and what the clock shows now."""
        entries = self._log.since(int(request.query_params.get("since", 0)))
        return JSONResponse({"now": time.monotonic(), "requests": [asdict(entry) for entry in entries]})

    async def set_script(self, request: Request) -> Response:
        """Change the script for all later requests to /v1; the body is a JSON object of changes."""
        try:
            self._script = self._script.with_values(await request.json())
        except (ValueError, TypeError) as error:
            return JSONResponse({"error": str(error)}, 400)
        return JSONResponse(asdict(self._script))

    def _open(self, request: HTTPConnection) -> tuple[Script, Entry]:
        changes = unquote(request.path_params.get("changes", ""))
        try:
            script = self._script.changed(changes)
        except ValueError as error:
            raise HTTPException(400, str(error)) from error
        return script, self._log.open(request.url.path, changes, dict(request.headers))

    def _note(self, entry: Entry, script: Script, asked: dict[str, Any]) -> None:
        left_out = {"messages", "tools", "prompt"} - ({"messages"} if script.messages else set())
        entry.body = time.monotonic()
        entry.asked = {name: value for name, value in asked.items() if name not in left_out}


def _refusal(script: Script, entry: Entry, asked: dict[str, Any] | None = None) -> Response | None:
    """The answer of a server that will not."""
    if script.fault == "html":
        return Timed(iter([Piece(0, PAGE)]), entry, script, media_type="text/html")
    if script.fault.isdigit():
        return _error(script, entry, int(script.fault), "scripted refusal", asked)
    if script.refuse and asked is not None and _has(asked, script.refuse):
        message = f"Unsupported parameter: '{script.refuse}' is not supported with this model."
        return _error(script, entry, 400, message, asked)
    return None


def _has(asked: dict[str, Any], refused: str) -> bool:
    name, _, value = refused.partition("=")
    return name in asked and (not value or str(asked[name]) == value)


def _error(script: Script, entry: Entry, status: int, message: str, asked: dict[str, Any] | None) -> Response:
    headers = {"retry-after": script.retry_after} if script.retry_after else None
    said = f"{message} The request was {asked}" if script.quote else message
    body = _json({"error": {"message": said, "type": "scripted", "param": None, "code": None}})
    return Timed(body, entry, script, media_type="application/json", status=status, headers=headers)


def _json(data: dict[str, Any]) -> Iterator[Piece]:
    yield Piece(0, bytes(JSONResponse(data).body))
