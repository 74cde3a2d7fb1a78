"""How each of Apple's answers looks: its headers, its challenge, its spelling of hrefs."""

import gzip
import re
import secrets
from dataclasses import replace

from standin.manners import Manners
from standin.messages import Request, Response

_EXPOSED = "X-Apple-Request-UUID,X-Responding-Instance,Via"
_STRANGER = 29  # The partition that answers who has not signed in.
_GZIP_FROM = 200
_HREF = re.compile(rb"<href>[^<]*@[^<]*</href>")


def dressed(response: Response, request: Request, manners: Manners, *, partition: int | None) -> Response:
    response = replace(response, headers=(*response.headers, *_headers(partition or _STRANGER)))
    if manners.at_signs_escaped and b"@" in response.body:
        spelled = _HREF.sub(lambda found: found[0].replace(b"@", b"%40"), response.body)
        response = replace(response, body=spelled)
    if manners.gzips and "gzip" in request.headers.get("accept-encoding", ""):
        return _packed(response)
    return response


def challenge(manners: Manners) -> Response:
    """One 401 for whatever is wrong: unknown, revoked, the main password, or none at all."""
    schemes = ("Basic", "X-MobileMe-AuthToken")
    challenges = [f'{scheme} realm="{manners.realm}"' for scheme in schemes]
    if not manners.basic_first:
        challenges.reverse()
    if manners.challenges_merged:
        challenges = [", ".join(challenges)]
    return Response(401, headers=tuple(("WWW-Authenticate", each) for each in challenges))


def _headers(partition: int) -> tuple[tuple[str, str], ...]:
    return (
        ("Server", "AppleHttpServer/68565d4f92ea"),
        ("X-Responding-Instance", f"caldavj:3:p{partition}-caldavj-standin"),
        ("x-apple-user-partition", str(partition)),
        ("X-Apple-Request-UUID", secrets.token_hex(16)),
        ("X-Apple-Edge-Response-Time", "1"),
        ("Via", "xrail:standin:8301:24R1:grp0"),
        ("Strict-Transport-Security", "max-age=31536000; includeSubDomains"),
        ("Access-Control-Expose-Headers", _EXPOSED),
    )


def _packed(response: Response) -> Response:
    if len(response.body) < _GZIP_FROM or response.header("Content-Encoding"):
        return response
    headers = (*response.headers, ("Content-Encoding", "gzip"))
    return replace(response, body=gzip.compress(response.body, 1), headers=headers)
