"""`manage.py talk AGENT --wav question.wav --out answer.wav`: a spoken conversation without a microphone."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from agents import selectors
from sessions.keys import issue_secret
from sessions.talk_audio import BadWav, read_wav, write_wav
from sessions.talk_client import Clip, Exchange, Record, Talk, TalkError, TalkOptions, realtime_url, talk

SECRET_LIVES_S = 120
WIDEST = 100  # characters of an event's fields in the readable output


class Command(BaseCommand):
    help = "Speak WAV files to an agent over the real WebSocket, and write what a listener would have heard."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Lets our --version replace Django's, which prints Django's."""
        return super().create_parser(prog_name, subcommand, conflict_handler="resolve", **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("agent", help="the agent's slug, such as guide")
        parser.add_argument("--wav", type=Path, action="append", default=[], help="what to say; repeat for more turns")
        parser.add_argument("--out", type=Path, help="where to write what was heard, as WAV")
        parser.add_argument("--url", help="the server, such as wss://host/v1/realtime (default: PORT on this machine)")
        parser.add_argument("--key", help="an API key (default: REPARTEE_DEV_API_KEY, else a secret from the database)")
        parser.add_argument("--json", action="store_true", help="one JSON object a line")
        parser.add_argument(
            "--greeting",
            action=argparse.BooleanOptionalAction,
            default=True,
            help="ask for the agent's greeting and wait for its end",
        )
        parser.add_argument(
            "--barge-in",
            type=int,
            metavar="MS",
            help="start each further clip over the answer before it, this long into it",
        )
        parser.add_argument(
            "--version",
            dest="agent_version",
            type=int,
            metavar="N",
            help="this version of the agent, draft or published",
        )
        parser.add_argument("--timeout", type=float, default=30.0, help="seconds to wait for an answer")

    def handle(self, **given: Any) -> None:
        clips = [self._clip(path) for path in given["wav"]]
        options = TalkOptions(
            url=realtime_url(given["url"] or f"ws://127.0.0.1:{settings.PORT}", given["agent"]),
            key=given["key"] or self._key(given["agent"], given["agent_version"]),
            greeting=given["greeting"],
            barge_in_ms=given["barge_in"],
            answer_timeout_s=given["timeout"],
            certificate=self._certificate(),
        )
        printer = JsonPrinter() if given["json"] else ReadablePrinter()
        try:
            held = asyncio.run(talk(options, clips, printer.event))
        except TalkError as error:
            raise CommandError(str(error)) from error
        if given["out"]:
            self._write(given["out"], held)
        printer.summary(held)
        if held.errors:
            raise CommandError("The conversation had errors: " + " ".join(held.errors))

    @staticmethod
    def _clip(path: Path) -> Clip:
        try:
            return Clip.of(path.name, read_wav(path))
        except BadWav as error:
            raise CommandError(str(error)) from error
        except OSError as error:
            raise CommandError(f"{path} cannot be read: {error.strerror}.") from error

    @staticmethod
    def _write(path: Path, held: Talk) -> None:
        try:
            write_wav(path, held.recording)
        except OSError as error:
            raise CommandError(f"{path} cannot be written: {error.strerror}.") from error

    @staticmethod
    def _key(agent: str, version: int | None) -> str:
        """Whoever may run this command may read the database, so it can make itself a short-lived secret."""
        if settings.REPARTEE_DEV_API_KEY and version is None:
            return str(settings.REPARTEE_DEV_API_KEY)
        try:
            spec = selectors.published_spec(agent) if version is None else selectors.spec_of(agent, version)
            return issue_secret(agent=spec.slug, version=version, lives_s=SECRET_LIVES_S).value
        except selectors.UnknownAgent as error:
            known = ", ".join(selectors.list_agents().values_list("slug", flat=True)) or "none"
            raise CommandError(f"{error} Published agents: {known}.") from error
        except DatabaseError as error:
            raise CommandError(
                f"There is no database in {settings.REPARTEE_DATA}: start the server with `make run`, or give --key."
            ) from error

    @staticmethod
    def _certificate() -> Path | None:
        """The one that `make run TLS=1` made for itself."""
        path: Path = settings.REPARTEE_DATA / "tls" / "certificate.pem"
        return path if path.exists() else None


class JsonPrinter:
    """Everything, one object a line; the answers at the end as `"event": "exchange"`."""

    def event(self, record: Record) -> None:
        sys.stdout.write(json.dumps(record, ensure_ascii=False) + "\n")
        sys.stdout.flush()

    def summary(self, held: Talk) -> None:
        for exchange in held.exchanges:
            self.event({"event": "exchange", **_facts(exchange)})


class ReadablePrinter:
    """One line an event; of an answer's audio only the first piece. The answers with their latencies at the end."""

    def __init__(self) -> None:
        self._sounding: set[str] = set()

    def event(self, record: Record) -> None:
        fields = {name: value for name, value in record.items() if name not in ("t", "event")}
        if record["event"] == "response.output_audio.delta":
            if record["response_id"] in self._sounding:
                return
            self._sounding.add(record["response_id"])
        plain = {name: value for name, value in fields.items() if _readable(name, value)}
        text = " ".join(f"{name}={_brief(value)}" for name, value in plain.items())
        self._line(f"{record['t']:8.3f}  {record['event']:<54} {text[:WIDEST]}")

    def summary(self, held: Talk) -> None:
        for exchange in held.exchanges:
            self._line("")
            self._line(f"{exchange.clip}: {exchange.status}, {exchange.played_ms / 1000:.1f} s heard")
            if exchange.heard:
                self._line(f"  you     {exchange.heard}")
            self._line(f"  agent   {exchange.answer.strip()}")
            if exchange.voice_to_voice_ms is not None:
                self._line(f"  {exchange.voice_to_voice_ms:7.0f} ms  from your last sound to the first of the answer")
            for name, ms in _segments(exchange):
                self._line(f"  {ms:7.0f} ms    {name}")

    @staticmethod
    def _line(text: str) -> None:
        sys.stdout.write(text.rstrip() + "\n")
        sys.stdout.flush()


def _readable(name: str, value: object) -> bool:
    return not name.endswith(("_id", "_index")) and not isinstance(value, dict | list)


def _brief(value: object) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) and " " in value else str(value)


def _segments(exchange: Exchange) -> list[tuple[str, float]]:
    path = (exchange.trace or {}).get("path", [])
    return [(step["name"], step["duration_us"] / 1000) for step in path]


def _facts(exchange: Exchange) -> Record:
    trace = exchange.trace or {}
    return {
        "clip": exchange.clip,
        "heard": exchange.heard,
        "answer": exchange.answer.strip(),
        "status": exchange.status,
        "audio_ms": round(exchange.audio_ms),
        "played_ms": exchange.played_ms,
        "voice_to_voice_ms": exchange.voice_to_voice_ms,
        "reported_ms": exchange.reported_ms,
        "provenance": trace.get("provenance"),
        "segments_ms": dict(_segments(exchange)),
        "latencies_ms": {name: us / 1000 for name, us in trace.get("latencies", {}).items()},
    }
