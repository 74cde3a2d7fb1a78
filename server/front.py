"""What every transport has behind it: keys looked at, documents made ready, operations run and followed."""

from __future__ import annotations

from dataclasses import dataclass, field

from graphql import OperationType

from domain.actor import Actor
from domain.work import Watch, unwatched
from resolvers.context import Context, Services
from resolvers.kept import Kept
from schema.errors import Code, error
from schema.operation import Operation
from server import persisted
from server.access import Gate
from server.engine import Answer, Engine, Prepared, Request
from server.persisted import Documents
from server.request import Asked, read_body
from server.sockets import Sockets


@dataclass(frozen=True, slots=True)
class Ready:
    """`prepared` is `request`, known to be one that can be run.

    `told` is it as a log has it: the name is the document's own, never what was asked.
    """

    request: Request
    prepared: Prepared
    kind: OperationType
    told: str


_LONGEST_NAME = 100
"""Of an operation, in the log: one as long as a body would fill it."""
# Of bodies that were asked before, and what they were read as.
_MOST_BYTES = 1024 * 1024
_LONGEST = 4096
_EACH = 1024


@dataclass(frozen=True, slots=True)
class Front:
    """One a process."""

    services: Services
    gate: Gate
    engine: Engine
    documents: Documents
    sockets: Sockets
    watch: Watch = unwatched
    _asked: Kept[Ready] = field(default_factory=lambda: Kept(most=_MOST_BYTES))

    def read(self, body: bytes, actor: Actor) -> Ready | Answer | str:
        """What a body asks, or what is wrong with it; of the same body, and role, the same as before."""
        known = self._asked.find((actor.role, body))
        if known is not None:
            return known
        asked = read_body(body)
        if isinstance(asked, str):
            return asked
        ready = self.made_ready(asked, actor)
        if isinstance(ready, Ready) and _is_to_keep(asked, ready, body):
            self._asked.keep((actor.role, body), ready, weight=len(body) + _EACH)
        return ready

    def made_ready(self, asked: Asked, actor: Actor) -> Ready | Answer:
        """What can be run, or what is wrong with it."""
        if not persisted.is_its_hash(asked):
            return wrong(persisted.NOT_ITS_HASH)
        text = self.documents.find(asked, subaccount=actor.subaccount)
        if text is None:
            return wrong(persisted.NOT_FOUND)
        request = Request(text, asked.operation_name, asked.variables)
        prepared = self.engine.prepare(request, actor.role)
        if isinstance(prepared, Answer):
            return prepared
        self.documents.keep(asked, subaccount=actor.subaccount)
        told = f"{prepared.kind.value} {(prepared.name or '')[:_LONGEST_NAME]}".strip()
        return Ready(request, prepared, prepared.kind, told)

    def operation(self, actor: Actor, *, address: str) -> Operation:
        return Operation(Context(self.services, actor, address=address))


def _is_to_keep(asked: Asked, ready: Ready, body: bytes) -> bool:
    """A mutation's may hold a password. Who names a hash is told by subaccount whether it is known."""
    return ready.kind is OperationType.QUERY and asked.sha256 is None and len(body) <= _LONGEST


def wrong(message: str) -> Answer:
    return Answer(None, (error(Code.BAD_REQUEST, message),), began=False)
