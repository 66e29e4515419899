"""What went wrong at a provider, as a ProviderError that says what to do about it.

Nothing that a server wrote is in its message: a refusal may quote what a user said, and messages reach
clients and logs. For the same reason these errors are raised without their cause.
"""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Iterator
from typing import Final

import httpx2
import openai
from websockets.exceptions import InvalidHandshake, InvalidStatus, WebSocketException

from agents.errors import ContextFull, ProviderError, ProviderTimeout
from agents.spec import Account

OPENAI_BASE_URL: Final = "https://api.openai.com/v1"
_OWN_HOSTS: Final = ("//api.openai.com", ".openai.azure.com")

FAILURES: Final = (
    openai.OpenAIError,
    httpx2.HTTPError,
    httpx2.InvalidURL,
    httpx2.StreamError,
    WebSocketException,
    OSError,
    json.JSONDecodeError,
    UnicodeDecodeError,
)
"""All that the client libraries, the network and a server's nonsense can raise."""

_ADVICE: Final = {
    400: "the request was refused (400); check the model's name, and which settings it knows",
    401: "the key was refused (401); check it in the admin",
    403: "the key may not do this (403); check what the account allows",
    404: "no such address or model (404); check the base URL, which usually ends in /v1, and the model's name",
    413: "the request is too large (413)",
    422: "the request was refused (422); check the model's name, and which settings it knows",
    429: "too many requests, or no credit left (429)",
}
_TOO_LONG: Final = re.compile(
    r"context.?(length|size|window|limit)|prompt is too long|reduce the length|number of tokens allowed",
    re.IGNORECASE,
)
"""How servers say that a request has more tokens than their model reads."""
_RETRYABLE: Final = frozenset({408, 409, 425, 429})


class Refused(ProviderError):
    """The server answered with an error status. `words` are its own, to be read by programs only."""

    def __init__(self, message: str, *, provider: str, retryable: bool, status: int, words: str) -> None:
        super().__init__(message, provider=provider, retryable=retryable)
        self.status = status
        self.words = words


class TooLong(Refused, ContextFull):
    """The model cannot read so much."""


class ConnectionLost(ProviderError):
    """No answer began: there was no connection, or a pooled one had gone stale."""


def provider_error(account: Account, error: BaseException) -> ProviderError:
    """`error` in plain words. The account's key is never in them."""
    match error:
        case openai.APIStatusError(status_code=status):
            return refused(
                account,
                status,
                words=f"{error.message} {error.body}",
                retry_after=error.response.headers.get("retry-after", ""),
            )
        case InvalidStatus(response=response) if response.status_code >= 400:
            return refused(account, response.status_code, retry_after=response.headers.get("retry-after", ""))
        case openai.APITimeoutError() | httpx2.TimeoutException():
            return ProviderTimeout(_worded(account, "no connection or no answer in time"), provider=account.name)
        case openai.APIConnectionError():
            text, retryable = _connection(account, error)
            return ConnectionLost(_worded(account, text), provider=account.name, retryable=retryable)
        case InvalidHandshake() if not any(isinstance(cause, EOFError) for cause in _causes(error)):
            text, retryable = not_the_api("something else than a WebSocket"), False
        case httpx2.TransportError() | ssl.SSLError() | WebSocketException() | OSError():
            text, retryable = _connection(account, error)
        case openai.APIError():
            text, retryable = "the server broke off with an error", True
        case httpx2.InvalidURL():
            text, retryable = _BAD_URL, False
        case _:
            text, retryable = not_the_api("text that cannot be read"), False
    return ProviderError(_worded(account, text), provider=account.name, retryable=retryable)


def is_openai(base_url: str) -> bool:
    """Whether the server is OpenAI's own, or Azure's, which differ from all others in what they refuse."""
    return any(f"{host}/" in f"{base_url or OPENAI_BASE_URL}/" for host in _OWN_HOSTS)


def refused(account: Account, status: int, *, words: str = "", retry_after: str = "") -> Refused:
    """The server answered with an HTTP status, or with an event that means the same."""
    text, retryable = _status(status, retry_after)
    kind = Refused
    if status in (400, 413, 422) and _TOO_LONG.search(words):
        text, kind = "the conversation is longer than its model can read; set the agent's llm.context_tokens", TooLong
    return kind(_worded(account, text), provider=account.name, retryable=retryable, status=status, words=words)


def failure(account: Account, text: str, *, retryable: bool = True) -> ProviderError:
    return ProviderError(_worded(account, text), provider=account.name, retryable=retryable)


def unexpected(account: Account, what: str) -> ProviderError:
    """The server answered something that the API does not know."""
    return failure(account, not_the_api(what), retryable=False)


def broken_off(account: Account) -> ProviderError:
    return failure(account, "the answer broke off before its end")


def timed_out(account: Account) -> ProviderTimeout:
    limits = f"{account.first_output_timeout_s:g} s to the first output, {account.stall_timeout_s:g} s between two"
    return ProviderTimeout(_worded(account, f"silent for too long (limits: {limits})"), provider=account.name)


def refusal(error: ProviderError) -> str:
    """The server's words if it found the request itself wrong (400, 422), else ""."""
    return error.words if isinstance(error, Refused) and error.status in (400, 422) else ""


def not_the_api(what: str) -> str:
    return f"answered {what} instead of what the OpenAI API specifies; check the base URL, which usually ends in /v1"


_BAD_URL: Final = "the base URL is not valid; it must begin with http:// or https://"


def _worded(account: Account, text: str) -> str:
    if account.api_key:
        text = text.replace(account.api_key, "***")
    return f"account {account.name!r}: {text}"


def _status(code: int, retry_after: str) -> tuple[str, bool]:
    retryable = code in _RETRYABLE or code >= 500
    if code == 429 and retry_after.isdecimal():
        return f"{_ADVICE[429]}; it asks to wait {retry_after[:6]} s", retryable
    if code in _ADVICE:
        return _ADVICE[code], retryable
    if code >= 500:
        return f"the server failed ({code})", retryable
    return f"the request was refused ({code})", retryable


def _connection(account: Account, error: BaseException) -> tuple[str, bool]:
    causes = list(_causes(error))
    if any(isinstance(cause, httpx2.UnsupportedProtocol | httpx2.InvalidURL) for cause in causes):
        return _BAD_URL, False
    where = _address(account)
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return f"the TLS certificate of {where} is not trusted; add its authority to the system's certificates", False
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return f"{where} does not speak TLS properly; check whether the base URL should begin with http://", False
    if isinstance(error, OSError) or any(isinstance(cause, httpx2.ConnectError) for cause in causes):
        return f"cannot connect to {where}; check that the server runs and that the base URL is right", True
    return f"the connection to {where} broke", True


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _address(account: Account) -> str:
    url = httpx2.URL(account.base_url or OPENAI_BASE_URL)
    return f"{url.host}:{url.port}" if url.port else url.host
