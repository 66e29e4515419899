"""Wires the applications together: settings, addresses, servers, background jobs."""

from project.celery import app as celery_app

__all__ = ["celery_app"]
