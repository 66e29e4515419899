"""Who gets the talk page, and who a secret."""

from __future__ import annotations

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.test import Client

from agents.services import ensure_guide
from sessions.models import ClientSecret

pytestmark = pytest.mark.django_db
ELSEWHERE = "192.0.2.7"


@pytest.fixture(autouse=True)
def _guide() -> None:
    ensure_guide()


def test_the_developer_needs_no_login(client: Client) -> None:
    page = client.get("/")
    assert page.status_code == 200
    assert "Talk to Guide" in page.text
    assert "kept as text for 7 days" in page.text
    assert client.post("/talk/secret", {"agent": "guide"}).json()["value"].startswith("ek_")


@pytest.mark.parametrize("extra", [{"REMOTE_ADDR": ELSEWHERE}, {"HTTP_X_FORWARDED_FOR": ELSEWHERE}])
def test_others_sign_in(extra: dict[str, str]) -> None:
    client = Client(**extra)  # type: ignore[arg-type]  # the stubs want the defaults by name
    assert client.get("/").headers["Location"] == "/login?next=/"
    assert client.post("/talk/secret", {"agent": "guide"}).status_code == 401
    User.objects.create_user("ada", password="a long pass phrase")
    signed_in = client.post("/login", {"username": "ada", "password": "a long pass phrase", "next": "/?agent=guide"})
    assert signed_in.headers["Location"] == "/?agent=guide"
    assert client.get("/").status_code == 200
    client.post("/talk/secret", {"agent": "guide"})
    assert ClientSecret.objects.get().created_by_user_id == User.objects.get().pk


def test_who_signs_in_at_the_admin_gets_there(client: Client) -> None:
    User.objects.create_superuser("ada", password="a long one of hers")
    signed_in = client.post("/admin/login/", {"username": "ada", "password": "a long one of hers"})
    assert signed_in["Location"] == "/admin/"
    assert client.get("/admin/").status_code == 200


def test_in_production_loopback_is_nobody(client: Client, settings: LazySettings) -> None:
    settings.DEVELOPMENT = False
    assert client.get("/").status_code == 302
    assert client.post("/talk/secret", {"agent": "guide"}).status_code == 401


def test_a_secret_needs_the_page(settings: LazySettings) -> None:
    strict = Client(enforce_csrf_checks=True)
    assert strict.post("/talk/secret", {"agent": "guide"}).status_code == 403
    token = strict.get("/").context["csrf_token"]
    assert strict.post("/talk/secret", {"agent": "guide"}, headers={"X-CSRFToken": str(token)}).status_code == 200


def test_one_version(client: Client) -> None:
    assert 'data-version="1"' in client.get("/?agent=guide&version=1").text
    client.post("/talk/secret", {"agent": "guide", "version": "1"})
    assert ClientSecret.objects.get().version == 1


@pytest.mark.parametrize(
    "query",
    [
        "agent=nobody",
        "agent=guide&version=99",
        "agent=guide&version=x",
        pytest.param(f"agent=guide&version={'9' * 5_000}", id="long"),
    ],
)
def test_what_is_not_there_is_said(query: str, client: Client) -> None:
    page = client.get(f"/?{query}")
    assert page.status_code == 404
    assert "Talk to Guide" in page.text  # the way on
    fields = dict(part.split("=") for part in query.split("&"))
    assert client.post("/talk/secret", fields).status_code == 404


def test_only_our_own_files_may_run(client: Client) -> None:
    policy = client.get("/").headers["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "<script>" not in client.get("/").text
    assert " style=" not in client.get("/").text
