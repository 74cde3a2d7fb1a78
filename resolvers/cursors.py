"""Positions in a user's change log, as clients hold them."""

from __future__ import annotations

import base64
import binascii

from domain.actor import UserRef


def write_cursor(epoch: str, user: UserRef, position: int) -> str:
    text = f"{epoch}.{user.user}.{position}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


class ForeignCursorError(ValueError):
    """Not a cursor, or another user's."""


def read_cursor(cursor: str, *, epoch: str, user: UserRef) -> int | None:
    """The position; None where it is of another epoch (a backup was restored since). Raises ForeignCursorError."""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
        of_epoch, of_user, position = text.split(".")
        number = int(position)
    except (ValueError, binascii.Error):
        raise ForeignCursorError("This is not a cursor.") from None
    if of_user != user.user or number < 0 or len(position) > 18:
        raise ForeignCursorError("This cursor belongs to another user.")
    return number if of_epoch == epoch else None
