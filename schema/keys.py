"""Keys, the audit log, and how well the sync loop keeps up: what an administrator looks at."""

from typing import Self

import strawberry

from domain.actor import UserRef
from resolvers.views import AuditView, KeyView, SyncHealthView
from schema.enums import AccountStatus, Role
from schema.fields import shown
from schema.nodes import Node
from schema.operation import Info
from schema.people import User
from schema.scalars import DateTime
from schema.times import moment


@strawberry.type(description="What a caller shows to be let in.")
class Key(Node):
    user_ref: strawberry.Private[UserRef | None]
    label: str = strawberry.field(description="What it is called.")
    role: Role = strawberry.field(description="What it may do.")
    allowed_origins: list[str] | None = strawberry.field(
        description="For a BOOKING key: pages in browsers may call only from these origins. Null: from any."
    )
    created_at: DateTime = strawberry.field(description="When it was made.")
    last_used_at: DateTime | None = strawberry.field(
        description="When it was last used, give or take a minute."
    )
    revoked_at: DateTime | None = strawberry.field(description="When it was revoked.")

    @shown(description="Whom an OWNER key speaks for; null for another role. It is deleted with that user.")
    async def user(self, info: Info) -> User | None:
        if self.user_ref is None:
            return None
        view = await info.context.load.user.load(self.user_ref.user)
        return None if view is None else User.of(view)

    @classmethod
    def of(cls, view: KeyView) -> Self:
        return cls(
            id=strawberry.ID(view.id),
            user_ref=view.user,
            label=view.label,
            role=view.role,
            allowed_origins=None if view.allowed_origins is None else list(view.allowed_origins),
            created_at=DateTime(float(view.created_at)),
            last_used_at=moment(view.last_used_at),
            revoked_at=moment(view.revoked_at),
        )


@strawberry.type(description="One thing that was done in the subaccount.")
class AuditEntry(Node):
    at: DateTime = strawberry.field(description="When it was done.")
    actor: str = strawberry.field(description="The key's label, or `command line`.")
    action: str = strawberry.field(description="What was done, such as `key.created`.")
    subject_id: strawberry.ID | None = strawberry.field(description="To what; it may be gone since.")

    @classmethod
    def of(cls, view: AuditView) -> Self:
        return cls(
            id=strawberry.ID(view.id),
            at=DateTime(float(view.at)),
            actor=view.actor,
            action=view.action,
            subject_id=None if view.subject_id is None else strawberry.ID(view.subject_id),
        )


@strawberry.type(description="How many accounts fare alike.")
class StatusCount:
    status: AccountStatus = strawberry.field(description="The state that is counted.")
    count: int = strawberry.field(description="How many accounts are in it.")


@strawberry.type(description="How well the sync loop keeps up.")
class SyncHealth:
    accounts: int = strawberry.field(description="Accounts that are connected.")
    accounts_by_status: list[StatusCount] = strawberry.field(
        description="The same by how they fare; in the order of the statuses."
    )
    poll_lag_seconds_p50: float = strawberry.field(
        name="pollLagSecondsP50",
        description="Seconds between when a poll was due and when it ran, over the last five minutes: the"
        " median.",
    )
    poll_lag_seconds_p99: float = strawberry.field(
        name="pollLagSecondsP99", description="The same: 99 of 100 ran as soon, or sooner."
    )
    pending_writes: int = strawberry.field(
        description="Appointments whose copies wait to be written, changed or removed."
    )
    oldest_pending_write_at: DateTime | None = strawberry.field(
        description="Since when the longest of them waits."
    )

    @classmethod
    def of(cls, view: SyncHealthView) -> Self:
        return cls(
            accounts=view.accounts,
            accounts_by_status=[StatusCount(status=status, count=count) for status, count in view.by_status],
            poll_lag_seconds_p50=view.lag_p50,
            poll_lag_seconds_p99=view.lag_p99,
            pending_writes=view.pending_writes,
            oldest_pending_write_at=moment(view.oldest_pending_write_at),
        )
