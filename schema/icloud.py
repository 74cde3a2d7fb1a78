"""The connection to iCloud: how it fares, and what it shows."""

from typing import Self

import strawberry

from domain.actor import UserRef
from resolvers.views import AccountProblem, AccountView, Progress
from schema.calendars import Calendar
from schema.enums import AccountStatus, ICloudProblemCode
from schema.fields import shown
from schema.nodes import Node
from schema.operation import Info
from schema.scalars import DateTime
from schema.times import moment


@strawberry.type(description="What is wrong with an account, or with its choice of calendars.")
class ICloudProblem:
    code: ICloudProblemCode = strawberry.field(description="Its kind.")
    message: str = strawberry.field(description="What it is and what to do, for the owner to read.")
    since: DateTime = strawberry.field(description="When it began.")
    retry_at: DateTime | None = strawberry.field(
        description="When the next try is due; null where the owner must act."
    )

    @classmethod
    def of(cls, view: AccountProblem) -> Self:
        return cls(
            code=ICloudProblemCode(view.code),
            message=view.message,
            since=DateTime(float(view.since)),
            retry_at=moment(view.retry_at),
        )


@strawberry.type(description="How far the first sync is.")
class SyncProgress:
    done: int = strawberry.field(description="Events fetched so far.")
    total: int | None = strawberry.field(description="Events to fetch, once known.")

    @classmethod
    def of(cls, view: Progress) -> Self:
        return cls(done=view.done, total=view.total)


@strawberry.type(name="ICloudAccount", description="The one connection that a user has to iCloud.")
class ICloudAccount(Node):
    user_ref: strawberry.Private[UserRef]
    apple_id: str = strawberry.field(description="As it was typed when connecting.")
    status: AccountStatus = strawberry.field(description="How it fares.")
    problem: ICloudProblem | None = strawberry.field(
        description="What is wrong with it, for the owner to read. CONNECTED has one too, where the choice of calendars"
        " is at fault."
    )
    connected_at: DateTime = strawberry.field(description="When it was connected.")
    last_synced_at: DateTime | None = strawberry.field(
        description="The start of the last poll that left every conflict calendar as it is in iCloud; can"
        " be a second behind."
    )
    next_sync_at: DateTime | None = strawberry.field(description="When the next poll is due.")
    progress: SyncProgress | None = strawberry.field(description="While the first sync runs.")

    @shown(description="All that the account shows, usable or not. By name, then id.")
    async def calendars(self, info: Info) -> list[Calendar]:
        return [Calendar.of(view) for view in await info.context.load.calendars.load(self.user_ref) or ()]

    @classmethod
    def of(cls, view: AccountView) -> Self:
        return cls(
            id=strawberry.ID(view.id),
            user_ref=view.user,
            apple_id=view.apple_id,
            status=view.status,
            problem=None if view.problem is None else ICloudProblem.of(view.problem),
            connected_at=DateTime(float(view.connected_at)),
            last_synced_at=moment(view.last_synced_at),
            next_sync_at=moment(view.next_sync_at),
            progress=None if view.progress is None else SyncProgress.of(view.progress),
        )
