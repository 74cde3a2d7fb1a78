"""What Slotwire remembers: Tortoise tables, and the queries on them."""

MODULES = (
    "models.people",
    "models.icloud",
    "models.calendar",
    "models.blocked",
    "models.booking",
    "models.changelog",
    "models.audit",
    "models.deployment",
)
"""Every module that holds tables, for Tortoise."""
