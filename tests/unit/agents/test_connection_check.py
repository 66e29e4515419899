from __future__ import annotations

import httpx
import pytest

from agents import connection_check
from agents.spec import Account

ACCOUNT = Account(name="lab", kind="openai_compatible", base_url="http://lab.test/v1/", api_key="sesame")


def answering(status: int, **content: object) -> httpx.MockTransport:
    return httpx.MockTransport(lambda _: httpx.Response(status, **content))  # type: ignore[arg-type]  # as given


def failing(error: Exception) -> httpx.MockTransport:
    def fail(request: httpx.Request) -> httpx.Response:
        raise error

    return httpx.MockTransport(fail)


def test_it_asks_for_the_models_with_the_key() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json={"data": [{"id": "one"}, {"id": "two"}]})

    result = connection_check.check(ACCOUNT, transport=httpx.MockTransport(answer))
    assert result == connection_check.CheckResult(True, "Connected: 2 models (one, two).")
    assert str(asked[0].url) == "http://lab.test/v1/models"
    assert asked[0].headers["Authorization"] == "Bearer sesame"


@pytest.mark.parametrize(
    ("transport", "words"),
    [
        (answering(401), "refused the API key"),
        (answering(404), "miss its /v1"),
        (answering(500), "answered 500"),
        (answering(302, headers={"location": "https://lab.test/v1"}), "use that as the base URL"),
        (answering(200, text="<html>"), "something else than a list of models"),
        (answering(200, json=[1]), "something else than a list of models"),
        (failing(httpx.ConnectTimeout("")), "No connection"),
        (failing(httpx.ReadTimeout("")), "gave no answer within"),
        (failing(httpx.ConnectError("")), "Nothing answers"),
        (failing(httpx.ReadError("")), "cannot be asked: ReadError"),
    ],
)
def test_each_failure_says_what_to_look_at(transport: httpx.MockTransport, words: str) -> None:
    result = connection_check.check(ACCOUNT, transport=transport)
    assert not result.ok
    assert words in result.message
    assert "sesame" not in result.message
