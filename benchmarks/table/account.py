"""Where the time of a turn went, by the providers' own log and the client's clock: they are the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.load.figures import Turn

Entry = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Account:
    """ms. `detection`: from the end of the silence wait to the decision that the turn is over. `hear_think`: from
    the STT's answer, or the decision if that came later, to the LLM's request; `think_speak`: from the token that
    completes what is spoken first to the TTS's request; `speak_client`: from the TTS's first byte to the client."""

    detection: float
    hear_think: float
    think_speak: float
    speak_client: float

    @property
    def all_else(self) -> float:
        return self.hear_think + self.think_speak + self.speak_client


def accounted(turn: Turn, log: Sequence[Entry], silence_ms: float) -> Account | None:
    """None for a turn without an answer, or whose requests are not all in `log`.

    The decision is the server's word for it ("speech stopped") where it comes; a server that asks the STT only
    then (Pipecat) has decided when it asks.
    """
    if turn.said is None or turn.first_audio is None:
        return None
    answering = [entry for entry in log if turn.said <= entry["received"] <= turn.first_audio]
    thought, spoken = _first(answering, "completions"), _first(answering, "speech")
    if thought is None or spoken is None:
        return None
    heard = _last_answered(answering, "transcriptions", before=thought["received"])
    if heard is None:
        return None
    decided = turn.silence if turn.silence is not None else heard["received"]
    words = heard["last_byte"]
    return Account(
        detection=(decided - turn.said) * 1000 - silence_ms,
        hear_think=(thought["received"] - max(words, decided)) * 1000,
        think_speak=(spoken["received"] - completed_at(thought, spoken)) * 1000,
        speak_client=(turn.first_audio - spoken["first_byte"]) * 1000,
    )


def completed_at(thought: Entry, spoken: Entry) -> float:
    """When the token left the LLM that completed what the TTS was asked first; piece 0 is the opening."""
    return float(thought["pieces"][len(spoken["asked"]["input"].split())])


def _first(entries: Sequence[Entry], name: str) -> Entry | None:
    return next((entry for entry in entries if entry["path"].endswith(name)), None)


def _last_answered(entries: Sequence[Entry], name: str, *, before: float) -> Entry | None:
    """Words are asked for at each lull; where speech goes on, the request is given up."""
    answered = (entry for entry in entries if entry["path"].endswith(name) and (entry["last_byte"] or before) < before)
    return max(answered, key=lambda entry: float(entry["last_byte"]), default=None)
