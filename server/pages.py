"""The pages a browser shows: the start page and GraphiQL, each under its own content security policy."""

import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from anyio.to_thread import run_sync
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import NotModifiedResponse, StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

HOME_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# Monaco lays its lines out by inline styles, carries its icon font as data, and works in three module workers.
GRAPHIQL_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self' data:; "
    "img-src 'self' data:; connect-src 'self'; worker-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
ALWAYS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "vary": "accept-encoding",
}
# Python's own table is the machine's, and some machines call scripts text/plain: nosniff would stop those.
MEDIA_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".ttf": "font/ttf",
    ".txt": "text/plain",
}
SUFFIXES = {"br": ".br", "gzip": ".gz"}  # By content coding, the smaller first.
NOT_BUILT = "GraphiQL is not built here: install Node.js 20.19 or later and run `make web`.\n"
Endpoint = Callable[[Request], Awaitable[Response]]


def page_routes(*, web_root: Path, demo: Mapping[str, str] | None, graphiql: bool) -> list[BaseRoute]:
    """What `/`, `/home` and, where it is on, `/graphiql` answer; `demo` holds facts that are handed to anyone."""
    handed_out: dict[str, object] = {"key": demo["ownerKey"], "facts": dict(demo)} if demo else {}
    home = Pages(web_root / "home", policy=HOME_POLICY)
    examples = Pages(web_root / "graphiql" / "src", policy=HOME_POLICY)
    routes: list[BaseRoute] = [
        Route("/", file_at(home, "index.html")),
        Route("/home/config.json", config(handed_out | {"graphiql": graphiql})),
        Route("/home/examples.json", file_at(examples, "examples.json")),
        Mount("/home", home),
    ]
    if graphiql:
        routes += [
            Route("/graphiql", RedirectResponse("/graphiql/")),
            Route("/graphiql/config.json", config(handed_out)),
            Mount("/graphiql", built(web_root / "graphiql" / "dist")),
        ]
    return routes


class Pages(StaticFiles):
    """A folder of files, each in the smallest form that was made beside it and the browser accepts."""

    def __init__(self, root: Path, *, policy: str) -> None:
        super().__init__(directory=root, html=True, check_dir=False)
        self.root = root
        self.headers = ALWAYS | {"content-security-policy": policy}

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        file, request = Path(full_path), Headers(scope=scope)
        headers = self.headers | {"cache-control": caching(file.relative_to(self.root.resolve()))}
        coding = best_coding(file, accepted(request.get("accept-encoding", "")))
        if coding is not None:
            headers["content-encoding"] = coding
            file = file.with_name(file.name + SUFFIXES[coding])
            stat_result = file.stat()
        response = FileResponse(
            file,
            status_code=status_code,
            headers=headers,
            media_type=MEDIA_TYPES.get(Path(full_path).suffix),
            stat_result=stat_result,
        )
        if self.is_not_modified(response.headers, request):
            return NotModifiedResponse(response.headers)
        return response


def caching(path: Path) -> str:
    """What vite puts under `assets` carries its content's hash in its name."""
    return "public, max-age=31536000, immutable" if path.parts[0] == "assets" else "no-cache"


def best_coding(file: Path, codings: frozenset[str]) -> str | None:
    made = (coding for coding in SUFFIXES if file.with_name(file.name + SUFFIXES[coding]).is_file())
    return next((coding for coding in made if coding in codings), None)


def accepted(header: str) -> frozenset[str]:
    """The codings of an Accept-Encoding, less those that `q=0` refuses (RFC 9110 12.5.3)."""
    choices = (choice.replace(" ", "").lower().partition(";q=") for choice in header.split(","))
    return frozenset(coding for coding, _, weight in choices if weight.strip("0.") or not weight)


def file_at(pages: Pages, name: str) -> Endpoint:
    async def answer(request: Request) -> Response:
        return await pages.get_response(name, request.scope)

    return answer


def config(values: Mapping[str, object]) -> Endpoint:
    async def answer(_: Request) -> Response:
        return JSONResponse(values, headers=ALWAYS | {"cache-control": "no-store"})

    return answer


def built(dist: Path) -> ASGIApp:
    """Looks at each request, so that a build that ends after the server's start is seen."""
    pages = Pages(dist, policy=GRAPHIQL_POLICY)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        is_built = await run_sync((dist / "index.html").is_file)
        app = pages if is_built else PlainTextResponse(NOT_BUILT, status_code=503, headers=ALWAYS)
        await app(scope, receive, send)

    return answer
