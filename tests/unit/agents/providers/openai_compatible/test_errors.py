"""Whatever the client library raises, nothing that a server wrote comes through."""

from __future__ import annotations

import ssl
import traceback

import httpx2
import openai
import pytest

from agents.errors import ContextFull, ProviderError, ProviderTimeout
from agents.providers.openai_compatible.errors import ConnectionLost, Refused, provider_error, refusal
from agents.spec import Account

CANARY = "canary-4711"
LAB = Account(name="lab", kind="openai_compatible", base_url="http://lab.test/v1", api_key=CANARY)
REQUEST = httpx2.Request("POST", "http://lab.test/v1/chat/completions", content=CANARY)
BODY = {"message": f"You said {CANARY}", "code": CANARY, "param": CANARY, "type": CANARY}


def status_error(status: int) -> openai.APIStatusError:
    response = httpx2.Response(status, request=REQUEST, headers={"retry-after": CANARY}, json={"error": BODY})
    return openai.APIStatusError(f"Error code: {status} - {BODY}", response=response, body=BODY)


@pytest.mark.parametrize(
    "error",
    [
        *map(status_error, (400, 401, 404, 409, 418, 422, 429, 500)),
        openai.APIError(CANARY, REQUEST, body=BODY),
        openai.APIConnectionError(message=CANARY, request=REQUEST),
        openai.APITimeoutError(REQUEST),
        openai.OpenAIError(CANARY),
        httpx2.RemoteProtocolError(CANARY),
        httpx2.InvalidURL(CANARY),
        ssl.SSLError(CANARY),
        ValueError(CANARY),
    ],
    ids=lambda error: type(error).__name__ + str(getattr(error, "status_code", "")),
)
def test_a_servers_words_stay_out_of_the_error_and_of_its_traceback(error: Exception) -> None:
    def fail() -> None:
        try:
            raise error
        except type(error) as caught:
            raise provider_error(LAB, caught) from None

    with pytest.raises(ProviderError, match=r"account 'lab': .{15}") as failure:
        fail()
    assert CANARY not in str(failure.value)
    assert CANARY not in "".join(traceback.format_exception(failure.value))


def test_programs_may_read_why_a_request_was_refused() -> None:
    refused = provider_error(LAB, status_error(400))
    assert isinstance(refused, Refused)
    assert CANARY in refusal(refused)
    assert refusal(provider_error(LAB, status_error(401))) == ""
    assert refusal(provider_error(LAB, ValueError(CANARY))) == ""


def test_a_lost_connection_is_told_from_a_slow_one() -> None:
    assert isinstance(provider_error(LAB, openai.APIConnectionError(request=REQUEST)), ConnectionLost)
    slow = provider_error(LAB, openai.APITimeoutError(REQUEST))
    assert isinstance(slow, ProviderTimeout)
    assert not isinstance(slow, ConnectionLost)


TOO_LONG = {
    "OpenAI": "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
    "OpenAI's code": "context_length_exceeded",
    "vLLM": "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens",
    "llama.cpp": "the request exceeds the available context size, try increasing it",
    "Anthropic": "prompt is too long: 210000 tokens > 200000 maximum",
    "Gemini": "The input token count (2000000) exceeds the maximum number of tokens allowed (1048576).",
    "Groq": "Please reduce the length of the messages or completion.",
}


@pytest.mark.parametrize("server", TOO_LONG)
def test_a_context_that_is_full_is_told_from_other_refusals(server: str) -> None:
    def refused(status: int, words: str) -> ProviderError:
        response = httpx2.Response(status, request=REQUEST)
        return provider_error(LAB, openai.APIStatusError(words, response=response, body={"message": words}))

    assert isinstance(refused(400, TOO_LONG[server]), ContextFull)
    assert "llm.context_tokens" in str(refused(400, TOO_LONG[server]))
    assert not isinstance(refused(429, TOO_LONG[server]), ContextFull)
    assert not isinstance(refused(400, "Unknown parameter: 'max_tokens'"), ContextFull)
