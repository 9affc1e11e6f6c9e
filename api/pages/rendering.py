"""Pages out of templates, with headers that let a browser do nothing but show them."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Mapping
from importlib import resources

from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

# Of pages that a secret in their address opens: nobody keeps them, and nobody lists them.
SECRET = {"Cache-Control": "private, no-store", "X-Robots-Tag": "noindex, nofollow"}


def page(
    name: str, status: int = 200, headers: Mapping[str, str] | None = None, secret: bool = True, **values: object
) -> HTMLResponse:
    """Render a template.

    :param secret: whether the page is for whoever knows its address only.
    """
    style = _style()
    text = _templates().get_template(name).render(style=Markup(style), secret=secret, **values)
    own = {"Content-Security-Policy": _policy(style), "Content-Language": "zh-CN", "Referrer-Policy": "no-referrer"}
    return HTMLResponse(text, status, {**own, **(SECRET if secret else {}), **(headers or {})})


@functools.cache
def _policy(style: str) -> str:
    """Nothing is loaded, and only this style applies."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    allowed = {
        "default-src": "'none'",
        "style-src": f"'sha256-{digest}'",
        "img-src": "data:",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in allowed.items())


@functools.cache
def _style() -> str:
    return (resources.files("api.pages") / "templates" / "style.css").read_text("utf-8")


@functools.cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("api.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
