// What the types hold: each line that is marked would be a mistake, and the build fails if the compiler lets one pass.
import type { BookMutation, PageQueryVariables, WeekQuery } from "../generated/graphql.js";

export function mistakes(week: WeekQuery, booked: BookMutation, variables: PageQueryVariables): unknown[] {
  // @ts-expect-error -- a user that there is not is null
  const cursor = week.user.cursor;
  // @ts-expect-error -- the time zone was not asked for
  const zone = week.user?.timeZone;
  // @ts-expect-error -- only a booking that was made has one
  const booking = booked.bookAppointment.booking;
  // @ts-expect-error -- there is no such answer
  const isOdd = booked.bookAppointment.__typename === "AppointmentLost";
  // @ts-expect-error -- a slug is a text
  variables.slug = 5;
  return [cursor, zone, booking, isOdd];
}
