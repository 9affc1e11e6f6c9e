"""The application factory; importing this module starts nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version

from anyio import to_thread
from fastapi import FastAPI, Request

from api import batching, docs, errors
from api.access import may_send_files
from api.limits import BodyLimit, RequestEnvelope, log_access_somewhere
from api.openapi import DESCRIPTION, TAGS, TITLE, DescribedApi
from api.pages import mail as mail_pages
from api.pages import records as record_pages
from api.routes import (
    accounts,
    duplicates,
    health,
    judgements,
    lead_lists,
    leads,
    match,
    partners,
    people,
    programmes,
    records,
    subscriptions,
    summary,
    tag,
    uploads,
)
from api.service import Service
from matcher.engine import Matcher
from matcher.settings import Settings, load_settings


def create_app(settings: Settings | None = None, matcher: Matcher | None = None) -> FastAPI:
    """Make the application.

    :param settings: the matcher's by default, or else those of the environment.
    :param matcher: an engine that is open already; the caller closes it.
    :raises SettingError: if a MATCHER_* variable is wrong.
    """
    settings = settings or (matcher.settings if matcher else load_settings())
    service = Service(settings, matcher)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        log_access_somewhere()
        await to_thread.run_sync(service.start)
        try:
            yield
        finally:
            await to_thread.run_sync(service.stop)

    async def limit_of(request: Request) -> int:
        # Only for those with a key: a body is read before its route is asked who may call it.
        sends_file = request.method == "POST" and request.url.path in (uploads.PATH, f"{uploads.PATH}/preview")
        if sends_file and await to_thread.run_sync(may_send_files, request, service):
            return settings.max_file_bytes + uploads.FORM_BYTES
        return settings.max_body_bytes

    app = DescribedApi(
        title=TITLE,
        description=DESCRIPTION,
        version=_version(),
        openapi_tags=TAGS,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.state.service = service
    errors.install(app)
    docs.install(app)
    for subject in (
        match,
        partners,
        tag,
        programmes,
        records,
        uploads,
        duplicates,
        judgements,
        leads,
        lead_lists,
        subscriptions,
        accounts,
        people,
        summary,
        health,
        record_pages,
        mail_pages,
    ):
        app.include_router(subject.router)
    batching.install(app, service.answers, [*match.router.routes, *partners.router.routes])
    # The last one added is the outermost.
    app.add_middleware(BodyLimit, limit_of=limit_of)
    app.add_middleware(RequestEnvelope, observe=service.metrics.request)
    return app


def _version() -> str:
    try:
        return version("matcher")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "0"
