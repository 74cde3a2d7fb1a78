"""Polls that find nothing new: one request, whose answer is byte for byte one that once meant nothing to do.

An account's revision counts every change of what decides what a poll does (migration 0004). Where a whole poll had
nothing to do, what it began from and what iCloud answered are remembered; while both are the same, so is the outcome.
It goes on record with the first stamp, so that a process that begins, or takes the account over, need not read it all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from models.glances import GlanceError
from models.polling import Lease, Stamp
from models.seal import UnsealError
from sync.context import Quiet, SyncContext
from sync.plan import plan_next_poll, plan_roll
from sync.poll import Poll
from sync.remote import Glance, RemoteError

_FORM = 2
"""To be counted up where a poll comes to do something else with the same answer and the same account."""


@dataclass(frozen=True, slots=True)
class Looked:
    """The home's answer, or what was met instead, for a poll that has more to do than to compare it."""

    started: float
    met: Glance | RemoteError


async def look(context: SyncContext, lease: Lease) -> Stamp | Looked | None:
    """A stamp where nothing is new; None where nothing is remembered that it could be compared with."""
    memory, started = context.memory.quiet, context.clock()
    quiet = memory.get(lease.account_id)
    if quiet is None or quiet.revision != lease.revision:
        quiet = await _recall(context, lease)
        if quiet is not None:
            memory[lease.account_id] = quiet
    if quiet is None or started >= quiet.until:
        return None
    try:
        found = await quiet.remote.glance(quiet.home_url)
    except RemoteError as error:
        return Looked(started, error)
    if not _is_the_same(found, quiet):
        return Looked(started, found)
    return _stamp(context, lease, quiet, started, found)


def _is_the_same(found: Glance, quiet: Quiet) -> bool:
    if quiet.digest is not None:
        return found.digest == quiet.digest
    if found.fingerprint() != quiet.fingerprint:
        return False
    quiet.digest = found.digest
    return True


async def _recall(context: SyncContext, lease: Lease) -> Quiet | None:
    """What another process put on record of the account as it is now. Whatever is amiss, a whole poll tells."""
    try:
        rows = await context.database.glance(
            "SELECT seen, apple_id, sealed_password, home_url, connected_at, last_changed_at, expanded_rules"
            " FROM icloud_account WHERE id = $1 AND revision = $2 AND seen IS NOT NULL",
            lease.account_id,
            lease.revision,
        )
        if not rows:
            return None
        [row] = rows
        revision, until, form, fingerprint = row["seen"].split(" ")
        if int(revision) != lease.revision or form != _form(context):
            return None
        password = context.sealer.unseal(row["sealed_password"], row=lease.account_id)
    except (GlanceError, UnsealError):
        return None
    return Quiet(
        revision=lease.revision,
        digest=None,
        fingerprint=fingerprint,
        until=_until(context, lease.account_id, row["expanded_rules"], float(until)),
        remote=context.server.sign_in(row["apple_id"], password, home_url=row["home_url"]),
        home_url=row["home_url"],
        connected_at=row["connected_at"],
        last_changed_at=row["last_changed_at"],
    )


def _on_record(context: SyncContext, quiet: Quiet, found: Glance) -> str | None:
    """For a stamp; None where it is there already."""
    if quiet.fingerprint is not None:
        return None
    quiet.fingerprint = found.fingerprint()
    return f"{quiet.revision} {int(quiet.until)} {_form(context)} {quiet.fingerprint}"


def _form(context: SyncContext) -> str:
    """What a poll goes by beside the account and iCloud's answer."""
    settings = context.settings
    return f"{_FORM}/{settings.past_days}/{settings.horizon_days}"


def _stamp(context: SyncContext, lease: Lease, quiet: Quiet, started: float, found: Glance) -> Stamp:
    now, chance = context.clock(), context.chance()

    def planned(watched_until: float | None) -> float:
        return plan_next_poll(
            context.settings,
            now=now,
            watched_until=watched_until,
            last_changed_at=quiet.last_changed_at,
            connected_at=quiet.connected_at,
            chance=chance,
        )

    return Stamp(
        account_id=lease.account_id,
        revision=lease.revision,
        started=started,
        lag=max(started - (lease.due_at or started), 0.0),
        asked_at=lease.asked_at,
        next_poll_at=planned(None),
        # Whether somebody watches is known when it is stored: they may have begun to meanwhile.
        next_if_watched=planned(now + 1),
        seen=_on_record(context, quiet, found),
    )


def remember(poll: Poll, tokens: Mapping[str, str | None]) -> None:
    """Where this poll changed anything, its revision is not the account's any more, and nothing comes of it."""
    memory = poll.context.memory.quiet
    memory.pop(poll.account.id, None)
    if poll.is_recorded or poll.digest is None or not _is_settled(poll, tokens):
        return
    account = poll.account
    due = [calendar.compare_at for calendar in poll.chosen if calendar.compare_at is not None]
    roll = plan_roll(poll.started, poll.zone, account.id, poll.context.settings)
    memory[account.id] = Quiet(
        revision=poll.lease.revision,
        digest=poll.digest,
        fingerprint=None,
        until=_until(poll.context, account.id, account.expanded_rules, min([roll, *due])),
        remote=poll.signed_in,
        home_url=account.home_url,
        connected_at=account.connected_at,
        last_changed_at=account.last_changed_at,
    )


def _until(context: SyncContext, account_id: str, rules: str | None, until: float) -> float:
    """Where other rules of time zones were read by: its turn at most, to be read again."""
    memory, every = context.memory, context.settings.rereads_every
    if rules == context.rules:
        memory.rereads.pop(account_id, None)
        return until
    return min(until, memory.turn_of(account_id, now=context.clock(), every=every))


def _is_settled(poll: Poll, tokens: Mapping[str, str | None]) -> bool:
    """Nothing is left to look at again, and all that is chosen has a token in the answer that tells when it changes.

    What can't be read has none: a stamp would make it as young as the others.
    """
    if poll.look_again_after is not None or poll.missing or poll.account.failures:
        return False
    return all(
        calendar.id in poll.verified
        and (token := tokens.get(calendar.path)) is not None
        and token == calendar.listed_token
        for calendar in poll.chosen
    )
