"""Who may vouch for a calendar server: whom the machine trusts, and the operator's own authority beside them."""

from __future__ import annotations

import ssl
from pathlib import Path

import wassima


def verifying(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context


def bundle(ca_file: Path | None) -> bool | str:
    """For niquests, in PEM: a file by itself would stand in place of the machine's. True: those alone."""
    return True if ca_file is None else f"{wassima.generate_ca_bundle()}\n{ca_file.read_text()}"
