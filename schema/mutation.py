"""All that can be done."""

import strawberry

from schema.appointing import Appointing
from schema.blocking import Blocking
from schema.booking import GuestBooking
from schema.configuring import Configuring
from schema.connecting import Connecting
from schema.managing import Managing
from schema.offering import Offering


@strawberry.type(
    description="All that can be done. Each answers with what came of it, or with a typed refusal; what is"
    " read in the answer is read after the change."
)
class Mutation(Managing, Appointing, GuestBooking, Offering, Blocking, Configuring, Connecting):
    pass
