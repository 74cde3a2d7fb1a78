"""Users and keys: what an administrator sets up."""

from typing import Annotated

import strawberry

from resolvers import keys, people
from resolvers.outcomes import Refusal
from schema.enums import Role
from schema.fields import done
from schema.inputs import Input, change, given
from schema.keys import Key
from schema.operation import Info
from schema.people import User
from schema.refusals import Forbidden, HasUpcomingAppointments, InvalidInput, NotFound
from schema.scalars import TimeZone


@strawberry.input(description="Someone new whose time can be booked.")
class CreateUserInput:
    name: str = strawberry.field(description="What guests and colleagues read; at most 200 characters.")
    email: str | None = strawberry.field(default=strawberry.UNSET, description="Where to reach the person.")
    time_zone: TimeZone = strawberry.field(
        description="The zone that working hours are in, and that all-day events are read in."
    )


@strawberry.input(description="What to change of a user; absent fields stay as they are.")
class UpdateUserInput:
    user_id: strawberry.ID = strawberry.field(description="The user to change.")
    name: str | None = strawberry.field(
        default=strawberry.UNSET, description="What guests and colleagues read; at most 200 characters."
    )
    email: str | None = strawberry.field(
        default=strawberry.UNSET, description="Where to reach the person; null for nowhere."
    )
    time_zone: TimeZone | None = strawberry.field(
        default=strawberry.UNSET,
        description="The zone that working hours are in, and that all-day events are read in.",
    )


@strawberry.input(description="A user to take out of the subaccount, with all that is the user's.")
class RemoveUserInput:
    user_id: strawberry.ID = strawberry.field(description="Who goes.")
    cancel_upcoming: bool | None = strawberry.field(
        default=False, description="Without it a user with appointments to come is not removed."
    )


@strawberry.input(description="What a new key may do.")
class CreateKeyInput:
    label: str = strawberry.field(description="What to call it; at most 200 characters.")
    role: Role = strawberry.field(description="How far it reaches: ADMIN, OWNER or BOOKING.")
    user_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="Whom an OWNER key speaks for; for another role, leave it out."
    )
    allowed_origins: list[str] | None = strawberry.field(
        default=strawberry.UNSET,
        description="For a BOOKING key: pages in browsers may call only from these origins, at most 50."
        " Null: from any.",
    )


@strawberry.input(description="Which key to refuse from now on.")
class RevokeKeyInput:
    key_id: strawberry.ID = strawberry.field(
        description="The key's id, as `keys` lists it: never its secret."
    )


@strawberry.type(description="The user was made, with working hours from Monday to Friday.")
class UserCreated:
    user: User = strawberry.field(description="As stored, with its id.")


@strawberry.type(
    description="The change is stored. A new zone has moved the user's hours, and moves all-day and floating"
    " events with the next poll, at once where iCloud answers: until then all time is closed."
)
class UserUpdated:
    user: User = strawberry.field(description="As it is after the change.")


@strawberry.type(description="The user and all that was the user's is gone; the audit log keeps ids.")
class UserRemoved:
    user_id: strawberry.ID = strawberry.field(description="What its id was: nothing has it any more.")


@strawberry.type(description="The key was made; hand its secret to whoever is to use it.")
class KeyCreated:
    key: Key = strawberry.field(description="All of it but the secret.")
    secret: str = strawberry.field(description="Shown this once; only its hash is kept.")


@strawberry.type(
    description="The key is refused from now on, by other processes of the server after 2 s; its sockets"
    " are closed within 5 s."
)
class KeyRevoked:
    key_id: strawberry.ID = strawberry.field(
        description="Its id; it stays in the list of keys, with the time, until its user is removed."
    )


CreateUserResult = Annotated[
    UserCreated | InvalidInput | NotFound | Forbidden,
    strawberry.union("CreateUserResult", description="The user, or why there is none."),
]
UpdateUserResult = Annotated[
    UserUpdated | InvalidInput | NotFound | Forbidden,
    strawberry.union("UpdateUserResult", description="The user, or why it was not changed."),
]
RemoveUserResult = Annotated[
    UserRemoved | HasUpcomingAppointments | InvalidInput | NotFound | Forbidden,
    strawberry.union("RemoveUserResult", description="The id that was, or why the user stays."),
]
CreateKeyResult = Annotated[
    KeyCreated | InvalidInput | NotFound | Forbidden,
    strawberry.union("CreateKeyResult", description="The key, or why there is none."),
]
RevokeKeyResult = Annotated[
    KeyRevoked | InvalidInput | NotFound | Forbidden,
    strawberry.union("RevokeKeyResult", description="The key that was, or why it stays."),
]


@strawberry.type
class Managing:
    @done(
        description="OWNER, ADMIN. A new zone moves working hours, all-day and floating events with it.",
        as_type=UpdateUserResult,
    )
    async def update_user(self, info: Info, changes: Input[UpdateUserInput]) -> UserUpdated | Refusal:
        answer = await people.update_user(
            info.context.ctx,
            user_id=changes.user_id,
            name=change(changes.name),
            email=change(changes.email),
            time_zone=change(changes.time_zone),
        )
        return answer if isinstance(answer, Refusal) else UserUpdated(user=User.of(answer))

    @done(description="ADMIN. Makes a user, with no iCloud account yet.", as_type=CreateUserResult)
    async def create_user(self, info: Info, new: Input[CreateUserInput]) -> UserCreated | Refusal:
        answer = await people.create_user(
            info.context.ctx, name=new.name, email=given(new.email), time_zone=new.time_zone
        )
        return answer if isinstance(answer, Refusal) else UserCreated(user=User.of(answer))

    @done(
        description="ADMIN. Disconnects the user, and deletes its keys, pages, holds and appointments. What"
        " was written of these to iCloud stays there.",
        as_type=RemoveUserResult,
    )
    async def remove_user(self, info: Info, old: Input[RemoveUserInput]) -> UserRemoved | Refusal:
        answer = await people.remove_user(
            info.context.ctx, user_id=old.user_id, cancel_upcoming=bool(old.cancel_upcoming)
        )
        return answer if isinstance(answer, Refusal) else UserRemoved(user_id=strawberry.ID(answer))

    @done(description="ADMIN. The secret is shown once, here.", as_type=CreateKeyResult)
    async def create_key(self, info: Info, new: Input[CreateKeyInput]) -> KeyCreated | Refusal:
        answer = await keys.create_key(
            info.context.ctx,
            label=new.label,
            role=new.role,
            user_id=given(new.user_id),
            allowed_origins=given(new.allowed_origins),
        )
        if isinstance(answer, Refusal):
            return answer
        key, secret = answer
        return KeyCreated(key=Key.of(key), secret=secret)

    @done(description="ADMIN. Revoking twice answers twice alike.", as_type=RevokeKeyResult)
    async def revoke_key(self, info: Info, old: Input[RevokeKeyInput]) -> KeyRevoked | Refusal:
        answer = await keys.revoke_key(info.context.ctx, key_id=old.key_id)
        return answer if isinstance(answer, Refusal) else KeyRevoked(key_id=strawberry.ID(answer))
