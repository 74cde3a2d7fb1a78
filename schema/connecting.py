"""Connecting a user's iCloud account, and what keeps the connection going."""

from typing import Annotated

import strawberry

from resolvers import accounts
from resolvers.outcomes import Refusal
from resolvers.views import AccountView, UserView
from schema.fields import done
from schema.icloud import ICloudAccount
from schema.inputs import Input, secret
from schema.operation import Info
from schema.people import User
from schema.refusals import (
    AlreadyConnected,
    AppSpecificPasswordRequired,
    DifferentICloudAccount,
    Forbidden,
    ICloudAccountInUse,
    ICloudPasswordRefused,
    ICloudUnavailable,
    InvalidInput,
    NotFound,
    RateLimited,
)


@strawberry.input(name="ConnectICloudInput", description="Whose account, and how to sign in to it.")
class ConnectICloudInput:
    user_id: strawberry.ID = strawberry.field(description="The user whose account it is.")
    apple_id: str = strawberry.field(description="The Apple Account's e-mail address or phone number.")
    app_specific_password: str = strawberry.field(
        description="Made at account.apple.com for Slotwire alone; never the Apple Account's own."
    )


@strawberry.input(name="RenewICloudPasswordInput", description="A new password for a connected account.")
class RenewICloudPasswordInput:
    user_id: strawberry.ID = strawberry.field(description="The user whose account it is.")
    app_specific_password: str = strawberry.field(description="A new one, of the same Apple Account.")


@strawberry.input(name="DisconnectICloudInput", description="Whose connection to end.")
class DisconnectICloudInput:
    user_id: strawberry.ID = strawberry.field(description="The user whose account it is.")


@strawberry.input(name="RefreshICloudInput", description="Whose calendars to look at now.")
class RefreshICloudInput:
    user_id: strawberry.ID = strawberry.field(description="The user whose account it is.")


@strawberry.type(name="ICloudConnected", description="The account is connected.")
class ICloudConnected:
    account: ICloudAccount = strawberry.field(description="The account, with all its calendars.")


@strawberry.type(
    name="ICloudDisconnected",
    description="The password, the events and the blocked slots that came from them are deleted;"
    " appointments stay.",
)
class ICloudDisconnected:
    user: User = strawberry.field(description="The user, without the account.")


@strawberry.type(name="ICloudRefreshed", description="iCloud was looked at.")
class ICloudRefreshed:
    account: ICloudAccount = strawberry.field(description="The account as it is now.")
    changes: int = strawberry.field(description="Blocked slots that changed.")
    is_complete: bool = strawberry.field(
        description="False when the poll goes on after the answer; iCloudAccountChanges tells its end."
    )


ConnectICloudResult = Annotated[
    ICloudConnected
    | ICloudPasswordRefused
    | AppSpecificPasswordRequired
    | AlreadyConnected
    | ICloudAccountInUse
    | DifferentICloudAccount
    | ICloudUnavailable
    | RateLimited
    | InvalidInput
    | NotFound
    | Forbidden,
    strawberry.union("ConnectICloudResult", description="The account, or why it was not connected."),
]
DisconnectICloudResult = Annotated[
    ICloudDisconnected | InvalidInput | NotFound | Forbidden,
    strawberry.union("DisconnectICloudResult", description="The user, or why nothing was disconnected."),
]
RefreshICloudResult = Annotated[
    ICloudRefreshed
    | ICloudPasswordRefused
    | ICloudUnavailable
    | RateLimited
    | InvalidInput
    | NotFound
    | Forbidden,
    strawberry.union("RefreshICloudResult", description="What the look brought, or why there was none."),
]


@strawberry.type
class Connecting:
    @done(
        name="connectICloud",
        description="Signs in to iCloud, and lists the account's calendars; nothing is read until some are"
        " chosen.",
        as_type=ConnectICloudResult,
    )
    async def connect_icloud(self, info: Info, given: Input[ConnectICloudInput]) -> ICloudConnected | Refusal:
        answer = await accounts.connect(
            info.context.ctx,
            user_id=given.user_id,
            apple_id=given.apple_id,
            password=secret(given.app_specific_password),
        )
        return _connected(answer)

    @done(
        name="renewICloudPassword",
        description="A new app-specific password for the same Apple account; the calendars' configuration"
        " stays.",
        as_type=ConnectICloudResult,
    )
    async def renew_icloud_password(
        self, info: Info, given: Input[RenewICloudPasswordInput]
    ) -> ICloudConnected | Refusal:
        answer = await accounts.renew_password(
            info.context.ctx, user_id=given.user_id, password=secret(given.app_specific_password)
        )
        return _connected(answer)

    @done(
        name="disconnectICloud",
        description="Ends the connection, and deletes what came by it. What was written to iCloud stays there.",
        as_type=DisconnectICloudResult,
    )
    async def disconnect_icloud(
        self, info: Info, given: Input[DisconnectICloudInput]
    ) -> ICloudDisconnected | Refusal:
        answer = await accounts.disconnect(info.context.ctx, user_id=given.user_id)
        return ICloudDisconnected(user=User.of(answer)) if isinstance(answer, UserView) else answer

    @done(
        name="refreshICloud",
        description="Polls now; answers when the poll has ended, or after 8 s.",
        as_type=RefreshICloudResult,
    )
    async def refresh_icloud(self, info: Info, given: Input[RefreshICloudInput]) -> ICloudRefreshed | Refusal:
        answer = await accounts.refresh(info.context.ctx, user_id=given.user_id)
        if isinstance(answer, Refusal):
            return answer
        return ICloudRefreshed(
            account=ICloudAccount.of(answer.account),
            changes=answer.changes,
            is_complete=answer.is_complete,
        )


def _connected(answer: AccountView | Refusal) -> ICloudConnected | Refusal:
    return answer if isinstance(answer, Refusal) else ICloudConnected(account=ICloudAccount.of(answer))
