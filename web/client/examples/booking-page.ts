// A booking page without its HTML: what is free, live; a start held while the guest types; the booking.
//   node build/examples/booking-page.js http://127.0.0.1:8080/graphql sw_booking_… intro-call
import { randomUUID } from "node:crypto";
import { pipe, subscribe } from "wonka";
import { graphql } from "../generated/index.js";
import { live, urql } from "../src/connect.js";
import { unknown } from "../src/unknown.js";

const PAGE = graphql(`
  query Page($slug: String!) {
    bookingPage(slug: $slug) { name hostName hostTimeZone durationMinutes bookableFrom bookableUntil }
  }
`);

const FREE = graphql(`
  subscription Free($slug: String!, $from: DateTime!, $to: DateTime!) {
    availabilityChanges(input: { bookingPage: $slug, from: $from, to: $to }) {
      isSnapshot
      availability { slotStarts freshness { isFresh } }
    }
  }
`);

const HOLD = graphql(`
  mutation Hold($slug: String!, $start: DateTime!) {
    holdSlot(input: { bookingPage: $slug, start: $start }) {
      __typename
      ... on SlotHeld { hold { token expiresAt } }
      ... on SlotUnavailable { message nextSlots { start } }
      ... on UserError { message }
    }
  }
`);

const BOOK = graphql(`
  mutation Book($input: BookAppointmentInput!) {
    bookAppointment(input: $input) {
      __typename
      ... on AppointmentBooked { booking { manageToken start status } }
      ... on SlotUnavailable { message nextSlots { start } }
      ... on UserError { message }
    }
  }
`);

const [url = "", key = "", slug = ""] = process.argv.slice(2);
const socket = live({ url, key });
const client = urql({ url, key }, socket);

const { data: { bookingPage } = {}, error } = await client.query(PAGE, { slug });
if (error || !bookingPage) throw error ?? new Error(`There is no page ${slug}.`);
console.log(`${bookingPage.name} with ${bookingPage.hostName}, ${bookingPage.durationMinutes} minutes`);

// The first frame and each one after it hold the whole: a page shows what came last.
const from = bookingPage.bookableFrom;
const to = new Date(Date.parse(from) + 7 * 86_400_000).toISOString();
let show: (starts: string[]) => void = () => {};
const { unsubscribe } = pipe(
  client.subscription(FREE, { slug, from, to }),
  subscribe(({ data }) => data && show(data.availabilityChanges.availability.slotStarts)),
);
const shown = () => new Promise<string[]>((resolve) => (show = resolve));

const starts = await shown();
const start = starts[0];
if (!start) throw new Error("Nothing is free within a week.");
console.log(`${starts.length} starts`);

const taken = shown();
const held = (await client.mutation(HOLD, { slug, start })).data?.holdSlot;
if (held?.__typename !== "SlotHeld") throw unknown(held ?? {});
console.log(`held; others see ${(await taken).length} starts`);

// One key for one press of the button, however often it has to be sent.
const input = {
  idempotencyKey: randomUUID(),
  bookingPage: slug,
  start,
  holdToken: held.hold.token,
  guest: { name: "Ada Lovelace", email: "ada@example.org" },
};
const answers = [await client.mutation(BOOK, { input }), await client.mutation(BOOK, { input })];
for (const { data } of answers) {
  const answer = data?.bookAppointment;
  switch (answer?.__typename) {
    case "AppointmentBooked":
      console.log(`booked ${answer.booking.start}: ${answer.booking.status}`);
      break;
    case "SlotUnavailable":
      throw new Error(`${answer.message} Next: ${answer.nextSlots.map((slot) => slot.start).join(", ")}`);
    default:
      throw unknown(answer ?? {});
  }
}
unsubscribe();
await socket.dispose();
