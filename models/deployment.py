"""Facts of this deployment: the change log's epoch, and the probe that tells a wrong sealing key at start."""

from __future__ import annotations

from tortoise import fields
from tortoise.models import Model

from models.database import Db


class Fact(Model):
    name = fields.CharField(max_length=64, primary_key=True)
    value = fields.TextField()

    class Meta:
        table = "deployment_fact"


async def read_fact(db: Db, name: str) -> str | None:
    fact = await Fact.filter(name=name).using_db(db).first()
    return None if fact is None else fact.value


async def keep_fact(db: Db, name: str, value: str) -> None:
    """Sets it, whatever it was."""
    await Fact.filter(name=name).using_db(db).delete()
    await Fact.create(using_db=db, name=name, value=value)
