from __future__ import annotations

import pytest

from agents.providers.local.guards import judge
from agents.providers.local.whisper_model import Decoded


def decoded(text: str, *, log_probability: float = -0.2, no_speech: float = 0.05, capped: bool = False) -> Decoded:
    return Decoded(text, log_probability, no_speech, capped)


@pytest.mark.parametrize(
    "heard",
    [
        decoded("What time is it?"),
        decoded("Thank you."),
        decoded("5, 5", log_probability=-0.9, no_speech=0.27),
        decoded("No, no, no, no!"),
        decoded("It was the best of times, it was the worst of times."),
        decoded("Tell me more.", no_speech=0.9),
    ],
)
def test_speech_passes_unchanged(heard: Decoded) -> None:
    transcript = judge(heard)
    assert (transcript.text, transcript.rejected, transcript.final) == (heard.text, None, True)


@pytest.mark.parametrize(
    ("heard", "reason"),
    [
        (decoded(""), "no_speech"),
        (decoded("... [ ]"), "no_speech"),
        (decoded("I'm going to go to the bathroom.", log_probability=-1.7), "no_speech"),
        (decoded("you", log_probability=-0.6, no_speech=0.89), "no_speech"),
        (decoded("Thank you.", log_probability=-0.8, no_speech=0.33), "no_speech"),
        (decoded("Thank you.", log_probability=-0.2, no_speech=0.4), "no_speech"),
        (decoded("and so on " * 20), "repetition"),
        (decoded("P-P-P-P", log_probability=-0.7, capped=True), "repetition"),
    ],
)
def test_what_was_made_up_is_emptied_with_its_reason(heard: Decoded, reason: str) -> None:
    transcript = judge(heard)
    assert (transcript.text, transcript.rejected, transcript.final) == ("", reason, True)
