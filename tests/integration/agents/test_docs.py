"""The files shown in the documentation do what it says."""

from __future__ import annotations

import re

import pytest
from django.conf import settings

from agents import as_code, selectors
from agents.agent_file import FileError

GUIDE = (settings.BASE_DIR / "docs" / "howto" / "agents-as-code.md").read_text(encoding="utf-8")
(FILE,) = re.findall(r"^```yaml\n(.*?)^```", GUIDE, flags=re.DOTALL | re.MULTILINE)
ENVIRON = {"MAIN_KEY": "key", "HOOK_SECRET": "secret"}

pytestmark = pytest.mark.django_db


def test_the_file_can_be_applied() -> None:
    as_code.apply_document(FILE, environ=ENVIRON)
    spec = selectors.published_spec("shop")
    assert (spec.stt.account, spec.tts.fallbacks, spec.turn_detection.eagerness) == ("embedded", ("embedded",), "high")
    assert [tool.kind for tool in spec.tools] == ["builtin", "webhook", "builtin"]
    assert selectors.accounts_for(spec)["main"].api_key == "key"


def test_the_files_for_streaming_ears_can_be_applied() -> None:
    page = (settings.BASE_DIR / "docs" / "howto" / "streaming-speech-recognition.md").read_text(encoding="utf-8")
    for file in re.findall(r"^```yaml\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE):
        as_code.apply_document(file, environ={"OPENAI_API_KEY": "key", "EARS_KEY": "key"})
    specs = [selectors.published_spec(slug) for slug in ("cloud-ears", "two-servers")]
    assert [(spec.stt.streaming, spec.stt.fallbacks) for spec in specs] == [(True, ("embedded",))] * 2


def test_the_shown_error_is_the_one_that_is_given() -> None:
    (shown,) = re.findall(r"^agents\.yaml: (line .*)$", GUIDE, flags=re.MULTILINE)
    wrong = FILE.replace("eagerness: high", "silense_duration_ms: 300")
    with pytest.raises(FileError) as caught:
        as_code.apply_document(wrong, environ=ENVIRON)
    assert str(caught.value) == shown
