"""What Apple is asked with, and what its refusals mean to the person who typed it."""

from __future__ import annotations

import re
import unicodedata

from domain.accounts import LONGEST_RETRY
from models.seal import Secret
from resolvers.outcomes import (
    AppSpecificPasswordRequired,
    ICloudPasswordRefused,
    ICloudUnavailable,
    InvalidInput,
)
from sync.remote import RemoteError, Throttled, UnexpectedAnswer, Unreachable

HELP_URL = "https://support.apple.com/102654"
APPLE_ID_LENGTH = 254
_PASSWORD_LENGTH = 256
_TRY_AGAIN_AFTER = 30.0
_FORM = re.compile(r"[A-Za-z]{4}(-[A-Za-z]{4}){3}")
_WITHOUT_DASHES = re.compile(r"[A-Za-z]{16}")

PASSWORD_REFUSED = ICloudPasswordRefused(
    "Apple refused this Apple ID and password: check both, or make a new app-specific password at account.apple.com."
)


def check_apple_id(text: str) -> str | InvalidInput:
    apple_id = text.strip()
    # A colon would end the name in Basic authentication (RFC 7617 section 2).
    if not apple_id or len(apple_id) > APPLE_ID_LENGTH or ":" in apple_id or not _is_plain(apple_id):
        return InvalidInput(
            f"Give the Apple ID: the e-mail address of the Apple account, at most {APPLE_ID_LENGTH} characters.",
            "appleId",
        )
    return apple_id


def check_password(
    password: Secret, *, app_specific_only: bool
) -> Secret | InvalidInput | AppSpecificPasswordRequired:
    """The password as Apple takes it. Its text is in no answer."""
    text = password.reveal().strip()
    if not text or len(text) > _PASSWORD_LENGTH or not _is_plain(text):
        return InvalidInput("Give the app-specific password: it is empty or too long.", "appSpecificPassword")
    if not app_specific_only:
        return Secret(text)
    joined = "".join(text.split())
    if _WITHOUT_DASHES.fullmatch(joined):
        joined = "-".join(joined[place : place + 4] for place in range(0, 16, 4))
    if not _FORM.fullmatch(joined):
        return AppSpecificPasswordRequired(
            "This is not an app-specific password (xxxx-xxxx-xxxx-xxxx): make one at account.apple.com, under Sign-In"
            " and Security, and never give the Apple ID's own.",
            HELP_URL,
        )
    return Secret(joined)


def unavailable(error: RemoteError, *, now: float) -> ICloudUnavailable:
    """`retry_at` where waiting helps."""
    match error:
        case Throttled():
            wait = _TRY_AGAIN_AFTER if error.retry_after is None else error.retry_after
            return ICloudUnavailable(
                "iCloud asks to wait: try again later.", now + min(max(wait, 0.0), LONGEST_RETRY)
            )
        case Unreachable():
            return ICloudUnavailable(
                "iCloud can't be reached right now: try again in a minute.", now + _TRY_AGAIN_AFTER
            )
        case UnexpectedAnswer():
            return ICloudUnavailable(
                "iCloud gave an answer that can't be read: try again later, and tell who runs this server.",
                None,
            )
        case _:
            return ICloudUnavailable(
                "iCloud did not do what was asked: try again later, and tell who runs this server.", None
            )


def _is_plain(text: str) -> bool:
    return not any(unicodedata.category(letter) in {"Cc", "Cs"} for letter in text)
