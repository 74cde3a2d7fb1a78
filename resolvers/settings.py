"""The numbers that use cases go by; read from the environment in one place, far from here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ResolverSettings:
    """Lengths of time in seconds."""

    staleness_limit: int = 30 * 60
    look_again_after: int = 60
    look_at_most: float = 3.0
    refresh_at_most: float = 8.0
    hold_for: int = 5 * 60
    holds_per_address_and_page: int = 3
    horizon_ahead_days: int = 400
    # Who looks at a user's time makes its account a watched one for so long; said again at most so often.
    watch_for: int = 60
    watch_again_after: int = 30
    # How soon a watched account's next poll comes, where it was not watched before.
    watched_poll_every: int = 15
    # Subscriptions look at least so often, in case a ring is lost.
    look_every: float = 5.0
    app_specific_passwords_only: bool = True
    # Calls a minute and the like are set in resolvers.limits' own table.
