from __future__ import annotations

import json
import logging
import sys

import pytest

from project.logs import JsonFormatter, NotYetReady, PlainFormatter


def record(**extra: object) -> logging.LogRecord:
    made = logging.makeLogRecord({"name": "sessions.host", "levelname": "INFO", "msg": "session ended", **extra})
    made.created = 0.0
    return made


def test_json_carries_the_extra_values() -> None:
    assert json.loads(JsonFormatter().format(record(session="s1", turns=3))) == {
        "time": "1970-01-01T00:00:00.000+00:00",
        "level": "info",
        "logger": "sessions.host",
        "message": "session ended",
        "session": "s1",
        "turns": 3,
    }


def test_json_stays_one_line_with_an_exception() -> None:
    try:
        raise ValueError("no")
    except ValueError:
        line = JsonFormatter().format(record(exc_info=sys.exc_info()))
    assert "\n" not in line
    assert "ValueError: no" in json.loads(line)["exception"]


def test_plain_lines_end_with_the_extra_values() -> None:
    assert (
        PlainFormatter()
        .format(record(session="s1", turns=3))
        .endswith("INFO    sessions.host: session ended session=s1 turns=3")
    )


def test_what_celery_and_django_attach_stays_out() -> None:
    """A job's arguments and a request's query may be personal."""
    attached = record(data={"args": "secret"}, request="GET /?name=secret")
    assert "secret" not in JsonFormatter().format(attached)
    assert "secret" not in PlainFormatter().format(attached)


def test_only_readiness_is_silent_about_503() -> None:
    drop = NotYetReady()
    assert not drop.filter(record(msg="%s: %s", args=("Service Unavailable", "/readyz"), status_code=503))
    assert drop.filter(record(msg="%s: %s", args=("Service Unavailable", "/v1/other"), status_code=503))
    assert drop.filter(record())


@pytest.mark.parametrize("name", ["httpx", "httpx2", "httpcore", "httpcore2", "openai", "django.db.backends"])
def test_libraries_that_log_what_they_send_or_store_are_quiet(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At REPARTEE_LOG_LEVEL=DEBUG, too."""
    monkeypatch.setattr(logging.getLogger(), "level", logging.DEBUG)
    assert not logging.getLogger(name).isEnabledFor(logging.DEBUG)
    assert logging.getLogger(name).isEnabledFor(logging.INFO) == (name == "django.db.backends")
