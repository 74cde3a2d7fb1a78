"""What a command takes: a count of nothing would pass for one that holds."""

from __future__ import annotations

import argparse


def at_least_one(text: str) -> int:
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"a whole number from 1 on, not {text}")
    return int(text)
