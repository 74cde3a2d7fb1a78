"""Who may vouch for a calendar server: whom the machine trusts, and the operator's own authority beside them."""

from __future__ import annotations

import ssl
from pathlib import Path


def verifying(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    # From 3.13 on Python refuses what names no key of its authority, as certificates that people make for themselves
    # often don't. Whom the operator trusts, every Python trusts.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context
