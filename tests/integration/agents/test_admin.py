from __future__ import annotations

from typing import Any, cast

import httpx
import pytest
from django.contrib.auth.models import Permission, User
from django.forms import Field, MultipleChoiceField
from django.forms.models import model_to_dict
from django.test import Client
from django.urls import reverse

from agents import changes, connection_check, selectors, services
from agents.models import Agent, Document, KnowledgeBase, ProviderAccount, Tool
from agents.spec import AgentSpec, Rule, SeriesSpec
from agents.spec_form import LEAVES, AgentForm, field_name

pytestmark = pytest.mark.django_db


def page(client: Client, name: str, *args: object, **query: str) -> str:
    response = client.get(reverse(f"admin:agents_{name}", args=args), query)
    assert response.status_code == 200
    return response.content.decode()


def form_data(agent: Agent, **changed: Any) -> dict[str, Any]:
    """What a browser would send for the agent's form as it is shown, with some fields changed."""
    form = AgentForm(instance=agent)
    shown = {name: _sent(field, form.get_initial_for_field(field, name)) for name, field in form.fields.items()}
    return {**{name: value for name, value in shown.items() if value is not None}, **changed}


def _sent(field: Field, value: Any) -> Any:
    """A box that is not ticked is not sent; several come in the page's order."""
    if isinstance(field, MultipleChoiceField):
        choices = cast("list[tuple[str, str]]", field.choices)
        return [choice for choice, _ in choices if choice in value]
    if isinstance(value, bool):
        return "on" if value else None
    return field.prepare_value(value)


def save(client: Client, agent: Agent, button: str = "_save", **changed: Any) -> str:
    url = reverse("admin:agents_agent_change", args=[agent.pk])
    response = client.post(url, {**form_data(agent, **changed), button: "1"}, follow=True)
    assert response.status_code == 200
    agent.refresh_from_db()
    return response.content.decode()


def operator(*permissions: str) -> Client:
    user = User.objects.create_user("op", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def test_every_page_renders(admin: Client, terse: Agent) -> None:
    services.ensure_guide(environ={})
    for model in ("agent", "provideraccount", "tool", "knowledgebase"):
        page(admin, f"{model}_changelist", q="a")
        page(admin, f"{model}_add")
    assert "Vocabulary" in page(admin, "agent_change", terse.pk)
    assert "version 1" in page(admin, "agent_compare", terse.pk)
    assert "slug: terse" in page(admin, "agent_version", terse.pk, 1)
    page(admin, "provideraccount_change", ProviderAccount.objects.get(name="lab").pk)
    page(admin, "knowledgebase_change", KnowledgeBase.objects.get(name="repartee").pk)


def test_an_agent_is_made_edited_and_published(admin: Client) -> None:
    fresh = form_data(Agent(slug="new"), slug="fresh", greeting="Hello.")
    admin.post(reverse("admin:agents_agent_add"), {**fresh, "_save": "1"})
    agent = Agent.objects.get(slug="fresh")
    assert agent.draft is not None
    assert agent.draft.agent_spec == AgentSpec(slug="fresh", version=1, greeting="Hello.")

    said = save(
        admin, agent, "agents_agent_save_and_publish", greeting="Hi.", turn_detection__silence_duration_ms="300"
    )
    assert "Version 1 is published" in said
    spec = selectors.published_spec("fresh")
    assert (spec.greeting, spec.turn_detection.silence_duration_ms) == ("Hi.", 300)


def test_the_form_shows_what_is_stored_and_saving_it_changes_nothing(admin: Client, terse: Agent) -> None:
    services.ensure_guide(environ={})
    for agent in (terse, Agent.objects.get(slug="guide")):
        assert "Nothing was changed" in save(admin, agent)
        assert agent.versions.count() == 1


def test_every_field_of_the_spec_can_be_edited(terse: Agent) -> None:
    assert {field_name(path) for path in LEAVES} == set(AgentForm(instance=terse).fields) - {"slug"}
    leaves = {path for path, _ in changes.flatten(changes.complete(AgentSpec(slug="a")))}
    assert set(LEAVES) == leaves - set(changes.IDENTITY)


def test_rules_and_schemas_are_edited_as_yaml(admin: Client, terse: Agent) -> None:
    rules = "- name: buy\n  when: event.price < 3\n  decide: {action: buy, size: '{{ event.size }}'}\n"
    schema = "type: object\nproperties:\n  action: {enum: [buy]}\n"
    series = "- {name: fast, of: price, kind: ewma}\n"
    chosen = {"brain": "rules", "feed__mode": "text", "feed__take": "one"}
    save(admin, terse, rules=rules, feed__schema=schema, feed__series=series, **chosen)
    assert terse.draft is not None
    spec = terse.draft.agent_spec
    decide = {"action": "buy", "size": "{{ event.size }}"}
    assert spec.rules == (Rule(name="buy", when="event.price < 3", decide=decide),)
    assert spec.feed.schema == {"type": "object", "properties": {"action": {"enum": ["buy"]}}}
    assert spec.feed.series == (SeriesSpec(name="fast", of="price", kind="ewma"),)
    assert "Nothing was changed" in save(admin, terse)
    assert "event.price &lt; 3" in page(admin, "agent_compare", terse.pk)


def test_text_from_a_browser_keeps_its_lines(admin: Client, terse: Agent) -> None:
    save(admin, terse, instructions="One.\r\n\r\nTwo.\r\n")
    assert terse.draft is not None
    assert terse.draft.agent_spec.instructions == "One.\n\nTwo.\n"


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("turn_detection__threshold", "2", "less than or equal to 1"),
        ("turn_detection__silence_duration_ms", "soon", "Enter a whole number"),
        ("stt__fallbacks", "embedded, lost", "there is no account &quot;lost&quot;"),
        ("brain", "magic", "magic is not one of the available choices"),
        ("tools", ["teleport"], "teleport is not one of the available choices"),
        ("rules", "- {name: a, when: 'event.x >', say: a}", "unexpected"),
        ("rules", "- {name: a, wen: 'true', say: a}", "unknown field `wen`"),
        ("rules", "- [", "not valid YAML"),
        ("feed__schema", "{type: objekt}", "no JSON schema"),
    ],
)
def test_a_wrong_value_is_explained_and_not_stored(
    admin: Client, terse: Agent, field: str, value: Any, message: str
) -> None:
    assert message in save(admin, terse, **{field: value})
    assert terse.draft is None


def test_a_draft_is_compared_published_and_rolled_back(admin: Client, terse: Agent) -> None:
    save(admin, terse, instructions="You are very terse.", tools=["time"], store_text="on")
    compared = page(admin, "agent_compare", terse.pk)
    for words in ("<ins>very </ins>", "Instructions &amp; greeting", "<ins>time</ins>", "<ins>yes</ins>", "Privacy"):
        assert words in compared
    assert "say the same" in page(admin, "agent_compare", terse.pk, **{"from": "1", "to": "1"})

    admin.post(reverse("admin:agents_agent_publish", args=[terse.pk]))
    assert selectors.published_spec("terse").version == 2
    admin.post(reverse("admin:agents_agent_roll_back", args=[terse.pk, 1]))
    spec = selectors.published_spec("terse")
    assert (spec.version, spec.instructions) == (3, "You are terse.")
    history = page(admin, "agent_change", terse.pk)
    assert "Copy of version 1" in history
    assert "/?agent=terse&amp;version=2" in history


def test_a_draft_can_be_discarded(admin: Client, terse: Agent) -> None:
    save(admin, terse, greeting="Hi.")
    admin.post(reverse("admin:agents_agent_discard", args=[terse.pk]))
    assert terse.draft is None


@pytest.mark.parametrize("name", ["agent_publish", "agent_discard"])
def test_nothing_is_changed_by_following_a_link(admin: Client, terse: Agent, name: str) -> None:
    assert admin.get(reverse(f"admin:agents_{name}", args=[terse.pk])).status_code == 405


def test_publishing_needs_its_permission(terse: Agent) -> None:
    editor = operator("view_agent", "change_agent")
    said = save(editor, terse, "agents_agent_save_and_publish", greeting="Hi.")
    assert "Saved as draft version 2" in said
    assert "is published. New sessions" not in said
    assert "Publish version 2" not in said
    assert editor.post(reverse("admin:agents_agent_publish", args=[terse.pk])).status_code == 403
    assert editor.post(reverse("admin:agents_agent_roll_back", args=[terse.pk, 1])).status_code == 403
    assert selectors.published_spec("terse").version == 1


def test_a_viewer_sees_and_changes_nothing(terse: Agent) -> None:
    viewer = operator("view_agent")
    assert "Versions" in page(viewer, "agent_change", terse.pk)
    assert "slug: terse" in page(viewer, "agent_version", terse.pk, 1)
    assert viewer.post(reverse("admin:agents_agent_discard", args=[terse.pk])).status_code == 403
    stranger = Client()
    assert stranger.get(reverse("admin:agents_agent_compare", args=[terse.pk])).status_code == 302


def account_data(account: ProviderAccount, **changed: Any) -> dict[str, Any]:
    return {**model_to_dict(account), **changed}


def test_a_key_is_written_kept_forgotten_and_never_shown(admin: Client, terse: Agent) -> None:
    account = ProviderAccount.objects.get(name="lab")
    url = reverse("admin:agents_provideraccount_change", args=[account.pk])

    admin.post(url, account_data(account, new_secret="sesame-1234"))
    account.refresh_from_db()
    assert account.api_key.reveal() == "sesame-1234"
    admin.post(url, account_data(account, connect_timeout_s="4"))
    account.refresh_from_db()
    assert (account.api_key.reveal(), account.connect_timeout_s) == ("sesame-1234", 4)

    for shown in (
        admin.get(url).content.decode(),
        admin.post(url, account_data(account, new_secret="sesame-5678", base_url="nonsense")).content.decode(),
        page(admin, "provideraccount_changelist"),
        page(admin, "agent_version", terse.pk, 1),
    ):
        assert "sesame" not in shown
        assert account.api_key.token not in shown

    admin.post(url, account_data(account, forget_secret="on"))
    account.refresh_from_db()
    assert not account.api_key


def test_testing_a_connection_says_how_it_went(admin: Client, terse: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = httpx.MockTransport(lambda _: httpx.Response(200, json={"data": [{"id": "one"}]}))
    check = connection_check.check
    monkeypatch.setattr(connection_check, "check", lambda account: check(account, transport=answer))
    account = ProviderAccount.objects.get(name="lab")
    url = reverse("admin:agents_provideraccount_change", args=[account.pk])
    shown = admin.post(url, account_data(account, agents_provideraccount_save_and_test="1"), follow=True)
    assert "Connected: 1 models (one)." in shown.content.decode()


def test_what_is_in_use_cannot_be_deleted_or_renamed(admin: Client, terse: Agent) -> None:
    account = ProviderAccount.objects.get(name="lab")
    asked = admin.get(reverse("admin:agents_provideraccount_delete", args=[account.pk]))
    assert "agent terse" in asked.content.decode()
    admin.post(reverse("admin:agents_provideraccount_delete", args=[account.pk]), {"post": "yes"})
    admin.post(
        reverse("admin:agents_provideraccount_changelist"),
        {"action": "delete_selected", "_selected_action": [account.pk], "post": "yes"},
    )
    admin.post(reverse("admin:agents_provideraccount_change", args=[account.pk]), account_data(account, name="other"))
    assert ProviderAccount.objects.get().name == "lab"


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("parameters", '{"type": "object", "properties": 3}', "Not a valid JSON schema at $.properties"),
        ("parameters", '{"type": "string"}', "Parameters are a JSON schema that starts with"),
        ("name", "time", "is the name of a built-in tool"),
        ("url", "file:///etc/passwd", "Enter a valid URL"),
    ],
)
def test_a_tool_is_checked(admin: Client, field: str, value: str, message: str) -> None:
    good = {"name": "weather", "description": "d", "parameters": "{}", "url": "https://hooks.test/", "timeout_s": "5"}
    url = reverse("admin:agents_tool_add")
    assert message in admin.post(url, {**good, field: value}).content.decode()
    assert not Tool.objects.exists()
    admin.post(url, good)
    assert Tool.objects.get().name == "weather"


def test_a_document_is_cut_embedded_and_found(admin: Client) -> None:
    base = KnowledgeBase.objects.create(name="fruit")
    url = reverse("admin:agents_knowledgebase_change", args=[base.pk])
    inline = {"documents-TOTAL_FORMS": "1", "documents-INITIAL_FORMS": "0"}
    text = "# Apples\n\n## Storing\nApples keep for months in a cool cellar.\n\n## Eating\nPears are best eaten soon.\n"
    admin.post(url, {**inline, "documents-0-title": "Apples", "documents-0-text": text})
    document = Document.objects.get()
    assert document.chunks.count() == 2

    shown = page(admin, "knowledgebase_change", base.pk, question="How long can I keep apples?")
    assert shown.index("cool cellar") < shown.index("best eaten soon")

    kept = {**inline, "documents-INITIAL_FORMS": "1", "documents-0-id": document.pk, "documents-0-title": "Apples"}
    admin.post(url, {**kept, "documents-0-text": "Only one short passage is left in this text."})
    assert document.chunks.get().text.startswith("Only one")
    admin.post(url, {**kept, "documents-0-text": "x", "documents-0-DELETE": "on"})
    assert not Document.objects.exists()
