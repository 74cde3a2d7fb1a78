"""Counts, on each account, every change of what a poll that finds nothing new relies on.

The count is kept by triggers, so that no statement can forget it, and is no field of the model: saving a whole row would
write an old count back.
"""

from tortoise import migrations
from tortoise.migrations import operations as ops

# What decides what a poll does, beside iCloud's answer. Stamps of polls that went well are not among it.
ACCOUNT = (
    "apple_id", "home_url", "sealed_password", "has_chosen", "status", "problem_code", "failures", "refusals",
    "expanded_zone", "expanded_until",
)  # fmt: skip
CALENDAR = (
    "path", "name", "color", "kind", "can_write", "is_gone", "is_linked", "is_conflict", "sync_token", "listed_token",
    "compare_at", "generation",
)  # fmt: skip
COUNT = "UPDATE icloud_account SET revision = revision + 1 WHERE"


def differ(columns, word):
    return " OR ".join(f"OLD.{column} {word} NEW.{column}" for column in columns)


def sqlite():
    read_once = "(OLD.last_synced_at IS NULL) <> (NEW.last_synced_at IS NULL)"
    return [
        f"CREATE TRIGGER account_revision AFTER UPDATE OF {', '.join(ACCOUNT)} ON icloud_account"
        f" WHEN {differ(ACCOUNT, 'IS NOT')} BEGIN {COUNT} id = NEW.id; END",
        "CREATE TRIGGER zone_revision AFTER UPDATE OF time_zone ON users"
        f" WHEN OLD.time_zone <> NEW.time_zone BEGIN {COUNT} user_id = NEW.id; END",
        "CREATE TRIGGER calendar_revision_update AFTER UPDATE ON calendar"
        f" WHEN {differ(CALENDAR, 'IS NOT')} OR {read_once} BEGIN {COUNT} id = NEW.account_id; END",
        f"CREATE TRIGGER calendar_revision_insert AFTER INSERT ON calendar BEGIN {COUNT} id = NEW.account_id; END",
        f"CREATE TRIGGER calendar_revision_delete AFTER DELETE ON calendar BEGIN {COUNT} id = OLD.account_id; END",
    ]


def function(name, body):
    return f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$"


def postgres():
    distinct = "IS DISTINCT FROM"
    read_once = "(OLD.last_synced_at IS NULL) <> (NEW.last_synced_at IS NULL)"
    return [
        function("count_account", "NEW.revision := OLD.revision + 1; RETURN NEW;"),
        f"CREATE TRIGGER account_revision BEFORE UPDATE OF {', '.join(ACCOUNT)} ON icloud_account FOR EACH ROW"
        f" WHEN ({differ(ACCOUNT, distinct)}) EXECUTE FUNCTION count_account()",
        function("count_zone", f"{COUNT} user_id = NEW.id; RETURN NULL;"),
        "CREATE TRIGGER zone_revision AFTER UPDATE OF time_zone ON users FOR EACH ROW"
        " WHEN (OLD.time_zone <> NEW.time_zone) EXECUTE FUNCTION count_zone()",
        function("count_calendar", f"{COUNT} id = NEW.account_id; RETURN NULL;"),
        function("count_calendar_gone", f"{COUNT} id = OLD.account_id; RETURN NULL;"),
        "CREATE TRIGGER calendar_revision_update AFTER UPDATE ON calendar FOR EACH ROW"
        f" WHEN ({differ(CALENDAR, distinct)} OR {read_once}) EXECUTE FUNCTION count_calendar()",
        "CREATE TRIGGER calendar_revision_insert AFTER INSERT ON calendar FOR EACH ROW"
        " EXECUTE FUNCTION count_calendar()",
        "CREATE TRIGGER calendar_revision_delete AFTER DELETE ON calendar FOR EACH ROW"
        " EXECUTE FUNCTION count_calendar_gone()",
    ]


async def add(apps, editor):
    is_postgres = editor.client.capabilities.dialect == "postgres"
    await editor.client.execute_query("ALTER TABLE icloud_account ADD COLUMN revision BIGINT NOT NULL DEFAULT 0")
    for statement in postgres() if is_postgres else sqlite():
        await editor.client.execute_query(statement)


async def remove(apps, editor):
    is_postgres = editor.client.capabilities.dialect == "postgres"
    for name, table in (
        ("account_revision", "icloud_account"),
        ("zone_revision", "users"),
        ("calendar_revision_update", "calendar"),
        ("calendar_revision_insert", "calendar"),
        ("calendar_revision_delete", "calendar"),
    ):
        await editor.client.execute_query(f"DROP TRIGGER {name}{f' ON {table}' if is_postgres else ''}")
    if is_postgres:
        for name in ("count_account", "count_zone", "count_calendar", "count_calendar_gone"):
            await editor.client.execute_query(f"DROP FUNCTION {name}()")
    await editor.client.execute_query("ALTER TABLE icloud_account DROP COLUMN revision")


class Migration(migrations.Migration):
    dependencies = [("slotwire", "0003_comparisons")]
    operations = [ops.RunPython(add, remove)]
