"""No two confirmed appointments of one user overlap: the backstop behind the user's lock."""

from tortoise import migrations
from tortoise.migrations import operations as ops

CLASH = (
    "SELECT 1 FROM appointment a WHERE a.user_id = NEW.user_id AND a.id <> NEW.id AND a.status = 'CONFIRMED'"
    " AND a.starts < NEW.ends AND NEW.starts < a.ends"
)


async def add(apps, editor):
    run = editor.client.execute_query
    if editor.client.capabilities.dialect == "postgres":
        await run("CREATE EXTENSION IF NOT EXISTS btree_gist")
        await run(
            "ALTER TABLE appointment ADD CONSTRAINT appointment_no_overlap EXCLUDE USING gist"
            " (user_id WITH =, int8range(starts, ends) WITH &&) WHERE (status = 'CONFIRMED')"
        )
        return
    for event in ("INSERT", "UPDATE"):
        await run(
            f"CREATE TRIGGER appointment_no_overlap_{event.lower()} BEFORE {event} ON appointment"
            f" WHEN NEW.status = 'CONFIRMED' AND EXISTS ({CLASH})"
            " BEGIN SELECT RAISE(ABORT, 'appointment_no_overlap'); END"
        )


async def remove(apps, editor):
    run = editor.client.execute_query
    if editor.client.capabilities.dialect == "postgres":
        await run("ALTER TABLE appointment DROP CONSTRAINT appointment_no_overlap")
        return
    for event in ("insert", "update"):
        await run(f"DROP TRIGGER appointment_no_overlap_{event}")


class Migration(migrations.Migration):
    dependencies = [("slotwire", "0001_initial")]
    operations = [ops.RunPython(add, remove)]
