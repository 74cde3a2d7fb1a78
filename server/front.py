"""What every transport has behind it: keys looked at, documents made ready, operations run and followed."""

from __future__ import annotations

from dataclasses import dataclass

from graphql import OperationType

from domain.actor import Actor
from domain.work import Watch, unwatched
from resolvers.context import Context, Services
from schema.errors import Code, error
from schema.operation import Operation
from server import persisted
from server.access import Gate
from server.engine import Answer, Engine, Prepared, Request
from server.persisted import Documents
from server.request import Asked
from server.sockets import Sockets


@dataclass(frozen=True, slots=True)
class Ready:
    """`prepared` is `request`, known to be one that can be run."""

    request: Request
    prepared: Prepared

    @property
    def kind(self) -> OperationType:
        return self.prepared.kind

    @property
    def told(self) -> str:
        """As a log has it: the name is the document's own, never what was asked."""
        return f"{self.kind.value} {self.prepared.name or ''}".strip()


@dataclass(frozen=True, slots=True)
class Front:
    """One a process."""

    services: Services
    gate: Gate
    engine: Engine
    documents: Documents
    sockets: Sockets
    watch: Watch = unwatched

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
        return Ready(request, prepared)

    def operation(self, actor: Actor, *, address: str) -> Operation:
        return Operation(Context(self.services, actor, address=address))


def wrong(message: str) -> Answer:
    return Answer(None, (error(Code.BAD_REQUEST, message),), began=False)


def codes_of(answer: Answer) -> list[object]:
    """For a log: what was wrong, without what was sent."""
    return [problem.extensions["code"] for problem in answer.errors if problem.extensions]
