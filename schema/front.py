"""What stands above the schema: how it is reached, and what holds of all of it."""

DESCRIPTION = """
Slotwire keeps iCloud calendars and bookable time in step. Times are instants; a length of time is whole minutes or
seconds, and says which in its name. Every list is ordered, and its description says how.

Three kinds of key reach it, as `Authorization: Bearer KEY` over HTTP, and as `{"authorization": "Bearer KEY"}` in a
websocket's connection_init:

- ADMIN, a subaccount's own back end: everything in that subaccount
- OWNER, one user: that user's account, calendars, blocked slots, appointments
- BOOKING, for a booking app in a browser: booking pages, holds, bookings; never a title, a calendar or another guest

A mutation without a note is for an OWNER's own user, and for any of an ADMIN's subaccount. In an update an absent
field leaves things as they are. Limits: `first` 1 to 200; from–to at most 92 days for availability and closedSpans,
400 for other lists; names and titles 200 characters, notes and reasons 5,000. Of an appointment type: lengths and steps
1 to 1,440 minutes, buffers 720 at most, a notice 525,600 at most, a horizon 1 to 400 days, a day's maximum 1 to 100.
""".strip()

PRINTED = f'''"""
{DESCRIPTION}
"""
schema {{
  query: Query
  mutation: Mutation
  subscription: Subscription
}}
'''
