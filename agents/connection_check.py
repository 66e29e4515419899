"""Does a provider account answer? Asked from the admin, with short timeouts."""

from __future__ import annotations

from dataclasses import dataclass

import httpx

from agents.spec import Account

CONNECT_TIMEOUT_S = 3.0
ANSWER_TIMEOUT_S = 5.0
_OPENAI_URL = "https://api.openai.com/v1"
_SHOWN_MODELS = 5


@dataclass(frozen=True, slots=True)
class CheckResult:
    ok: bool
    message: str


def check(account: Account, *, transport: httpx.BaseTransport | None = None) -> CheckResult:
    """The outcome of `GET {base_url}/models` in words for an operator. Never repeats the key."""
    url = f"{(account.base_url or _OPENAI_URL).rstrip('/')}/models"
    headers = {"Authorization": f"Bearer {account.api_key}"} if account.api_key else {}
    timeout = httpx.Timeout(ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
    try:
        with httpx.Client(timeout=timeout, transport=transport) as client:
            return _judged(client.get(url, headers=headers), url)
    except httpx.ConnectTimeout:
        return CheckResult(False, f"No connection to {url} within {CONNECT_TIMEOUT_S:g} s.")
    except httpx.TimeoutException:
        return CheckResult(False, f"{url} took the connection but gave no answer within {ANSWER_TIMEOUT_S:g} s.")
    except httpx.ConnectError:
        return CheckResult(False, f"Nothing answers at {url}. Check the base URL, and that the server runs.")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return CheckResult(False, f"{url} cannot be asked: {type(error).__name__}. Check the base URL.")


def _judged(answer: httpx.Response, url: str) -> CheckResult:
    if answer.status_code in (401, 403):
        return CheckResult(False, f"{url} answered, but refused the API key ({answer.status_code}).")
    if answer.status_code == 404:
        return CheckResult(False, f"{url} does not exist (404). Does the base URL miss its /v1?")
    if answer.is_redirect:
        return CheckResult(False, f"{url} redirects to {answer.headers.get('location')}: use that as the base URL.")
    if not answer.is_success:
        return CheckResult(False, f"{url} answered {answer.status_code}.")
    names = _models(answer)
    if names is None:
        return CheckResult(False, f"{url} answered something else than a list of models. Check the base URL.")
    shown = ", ".join(names[:_SHOWN_MODELS]) + (", …" if len(names) > _SHOWN_MODELS else "")
    return CheckResult(True, f"Connected: {len(names)} models ({shown})." if names else "Connected; no models listed.")


def _models(answer: httpx.Response) -> list[str] | None:
    try:
        return [str(model["id"]) for model in answer.json()["data"]]
    except (ValueError, KeyError, TypeError):
        return None
