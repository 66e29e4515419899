"""Addresses of the API, and of the pages that show or steer a session."""

from __future__ import annotations

from django.urls import include, path, re_path, register_converter

from sessions import openapi, paths, text_views, views
from sessions.api import endpoint
from sessions.control import agents, sessions, turns

for name, converter in paths.CONVERTERS.items():
    register_converter(converter, name)

urlpatterns = [
    path("v1/realtime/client_secrets", endpoint(POST=views.client_secrets)),
    path("v1/chat/completions", endpoint(POST=text_views.chat_completions)),
    path("v1/responses", endpoint(POST=text_views.create_response)),
    path(
        "v1/responses/<str:response_id>",
        endpoint(GET=text_views.get_response, DELETE=text_views.delete_response),
    ),
    path("v1/responses/<str:response_id>/cancel", endpoint(POST=text_views.cancel_response)),
    path("v1/models", endpoint(GET=text_views.list_models)),
    path("v1/models/<str:model>", endpoint(GET=text_views.get_model)),
    path("v1/sessions", endpoint(GET=sessions.list_sessions, POST=sessions.create_session)),
    path("v1/sessions/<session:session_id>", endpoint(GET=sessions.show_session)),
    path("v1/sessions/<session:session_id>/items", endpoint(GET=sessions.list_items, POST=sessions.create_item)),
    path("v1/sessions/<session:session_id>/end", endpoint(POST=sessions.end_session)),
    path("v1/agents", endpoint(GET=agents.list_agents)),
    path("v1/agents/<agent:slug>", endpoint(GET=agents.show_agent)),
    path("v1/agents/<agent:slug>/versions", endpoint(GET=agents.list_versions)),
    path("v1/agents/<agent:slug>/versions/<version:number>", endpoint(GET=agents.show_version)),
    path("v1/turns", endpoint(GET=turns.list_turns)),
    path("v1/turns/<turn:turn_id>", endpoint(GET=turns.show_turn)),
    path("v1/openapi.json", endpoint(GET=openapi.openapi)),
    re_path(r"^v1/(?P<path>.*)$", views.unknown_path),
    path("", include("sessions.talk_urls")),
]
