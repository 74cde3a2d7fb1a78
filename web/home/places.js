// What the examples' places stand for once an account is connected: asked for as a page opens, and seen in answers.
import { PLACES, send } from "./api.js";
import { HOUR, instant } from "./fill.js";

const WEEK = 7 * 24 * HOUR;

/** `{}` while nothing is connected: the starts that are open until then need not be open afterwards. */
export async function askPlaces(key, { userId, bookingPage }) {
  const from = Date.now() + HOUR;
  const input = { bookingPage, from: instant(from), to: instant(from + WEEK), firstSlots: 1 };
  try {
    const answer = await send(key, PLACES, { userId, input });
    return answer.user?.iCloudAccount ? placesIn(answer) : {};
  } catch {
    return {}; // The examples then show the places, and the panel says what is wrong.
  }
}

/** What an answer's data tells, whichever operation it is of. */
export function placesIn(data) {
  const account = data?.connectICloud?.account ?? data?.user?.iCloudAccount;
  const freeStart = toBook(data?.availability?.slotStarts ?? []);
  const found = { calendarId: toLink(account?.calendars ?? [])?.id, freeStart };
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value));
}

/** Home, as iCloud calls the calendar that an account begins with; else the first that can be written to. */
export function toLink(calendars) {
  const linkable = calendars.filter(({ linkable }) => linkable?.yes);
  return linkable.find(({ name }) => name === "Home") ?? linkable[0];
}

/** Not within the hour, where there is another: it would have passed once whoever reads on books it. */
function toBook(starts) {
  return starts.find((start) => Date.parse(start) >= Date.now() + HOUR) ?? starts[0];
}
