"""Static files. WhiteNoise's own middleware is synchronous, and would hold a thread as long as any request lasts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from asgiref.sync import markcoroutinefunction, sync_to_async
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from whitenoise.middleware import WhiteNoiseMiddleware


class StaticFiles(WhiteNoiseMiddleware):  # type: ignore[misc]  # the package has no types
    """WhiteNoise for an asynchronous chain: only a request for a static file visits a thread.

    Nothing synchronous may stand between the server and a view, or the view runs in a task of its own and does
    not learn when the client leaves (`sessions.text_views`).
    """

    sync_capable = False
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Awaitable[HttpResponseBase]]) -> None:
        super().__init__(get_response)
        markcoroutinefunction(self)

    async def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info.startswith(self.static_prefix):
            file: HttpResponseBase | None = await sync_to_async(self._file)(request)
            if file is not None:
                return file
        answer: HttpResponseBase = await self.get_response(request)
        return answer

    def _file(self, request: HttpRequest) -> HttpResponseBase | None:
        path = request.path_info
        found = self.find_file(path) if self.autorefresh else self.files.get(path)
        return None if found is None else self.serve(found, request)
