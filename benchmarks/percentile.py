"""What 99 of 100 values keep within."""

from __future__ import annotations

from collections.abc import Collection


def p99(values: Collection[float]) -> float:
    return sorted(values)[len(values) * 99 // 100]
