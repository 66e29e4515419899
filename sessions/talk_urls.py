"""Addresses of the talk page."""

from __future__ import annotations

from django.urls import path

from sessions import talk_views

urlpatterns = [
    path("", talk_views.talk, name="talk"),
    path("talk/secret", talk_views.secret, name="talk-secret"),
    path("login", talk_views.Login.as_view(), name="talk-login"),
]
