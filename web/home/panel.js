// The live panel: follows one user's changes, and reads the coming week anew at each.
import * as api from "./api.js";
import { drawChanges, quietly } from "./changes.js";
import { HOUR, instant } from "./fill.js";
import { follow } from "./live.js";
import { toLink } from "./places.js";
import { clock, drawWeek, midnights, within } from "./week.js";

const QUARTER = HOUR / 4;
const TITLE = "Blocked on the start page";
const STATES = { connecting: "Connecting…", live: "Live", refused: "Refused" };
const ACCOUNT = {
  NEEDS_CALENDARS: "iCloud is connected; no calendar is chosen yet.",
  SYNCING: "Reading the calendars for the first time…",
  CONNECTED: "iCloud is connected.",
  NEEDS_NEW_PASSWORD: "iCloud asks for a new app-specific password.",
  UNREACHABLE: "iCloud can't be reached; it is tried again by itself.",
};
const at = (id) => document.getElementById(id);

export function startPanel({ key, facts, websocketUrl }) {
  const userId = facts.userId;
  let made = []; // The blocked slots made here that stand, to open again.
  let zone = "UTC";
  let windows = [];
  let reading = null;
  let again = false;
  let isConnected = false;
  const log = quietly((changes) => drawChanges(at("changes"), changes, zone));

  async function read() {
    const now = Date.now();
    const [from, to] = [instant(now - 24 * HOUR), instant(now + 8 * 24 * HOUR)];
    const input = { userIds: [userId], from: instant(now), to, durationMinutes: 30 };
    const { user, availability } = await api.send(key, api.WEEK, { userId, from, to, input });
    zone = user.timeZone;
    windows = availability.windows.map((window) => timed("free", window));
    show(user, now);
    return user.cursor;
  }

  function show(user, now) {
    const days = midnights(now, zone);
    const nodes = (kind, { edges }) => edges.map(({ node }) => timed(kind, node));
    const spans = [...windows, ...nodes("blocked", user.blockedSlots), ...nodes("booked", user.appointments)];
    drawWeek(at("week"), { days, zone, spans });
    showToday(within(windows, days[0], days[1]), zone);
    isConnected = user.iCloudAccount !== null;
    showAccount(user.iCloudAccount, zone);
    at("block").disabled = freeHour(windows) === undefined;
    made = user.blockedSlots.edges.map(({ node }) => node).filter(({ source, title }) => source === "MANUAL" && title === TITLE);
    at("unblock").hidden = made.length === 0;
    at("unblock").disabled = false;
  }

  /** One reading at a time; what changes during it is read after it. */
  function readSoon() {
    again = true;
    reading ??= (async () => {
      while (again) {
        again = false;
        await read().then(() => say("", "reading"), (problem) => say(problem, "reading"));
      }
      reading = null;
    })();
  }

  async function act(query, variables) {
    try {
      say("");
      return await api.send(key, query, variables);
    } catch (error) {
      return say(error);
    }
  }

  /** Another click does nothing until what this one did is shown; where it did nothing, why is shown. */
  function onClick(button, acted) {
    at(button).onclick = async () => {
      at(button).disabled = true;
      if (await acted()) readSoon();
      else at(button).disabled = false;
    };
  }

  onClick("block", () => {
    const start = freeHour(windows);
    return act(api.BLOCK, { input: { userId, start: instant(start), end: instant(start + HOUR), title: TITLE } });
  });
  onClick("unblock", () => act(api.UNBLOCK, { input: { blockedSlotId: made.at(-1).id } }));
  at("connect").onclick = async () => {
    at("connect").disabled = true;
    const account = isConnected ? await found() : await connected();
    const isChosen = account && (await act(api.CHOOSE, choice(userId, account.calendars)));
    at("connect").disabled = false;
    if (isChosen) readSoon();
  };

  async function found() {
    const answer = await act(api.CALENDARS, { userId });
    return answer?.user.iCloudAccount;
  }

  async function connected() {
    const { appleId, appSpecificPassword } = facts;
    const answer = await act(api.CONNECT, { input: { userId, appleId, appSpecificPassword } });
    return answer?.connectICloud.account;
  }

  function followChanges(cursor) {
    const changes = (query, field, noun, describe) => {
      let after = cursor;
      return {
        query,
        variables: () => ({ userId, after }),
        onData: ({ [field]: change }) => {
          after = change.cursor;
          log({ ...change, noun, what: describe(change) });
          readSoon();
        },
      };
    };
    follow({
      url: websocketUrl,
      key,
      onState: showState,
      subscriptions: [
        changes(api.BLOCKED_SLOT_CHANGES, "blockedSlotChanges", "blocked slots", ({ slot, previous }) => slot ?? previous),
        changes(api.APPOINTMENT_CHANGES, "appointmentChanges", "appointments", ({ appointment }) => appointment),
        { query: api.ACCOUNT_CHANGES, variables: () => ({ userId }), onData: readSoon },
      ],
    });
  }

  function start() {
    read().then(followChanges, (problem) => {
      say(problem, "reading");
      setTimeout(start, 5000);
    });
  }

  start();
  setInterval(readSoon, 60_000); // Time passing closes time too.
}

function timed(kind, { start, end, title }) {
  return { kind, title, start: Date.parse(start), end: Date.parse(end) };
}

/** The first quarter from which a whole hour is free. */
function freeHour(windows) {
  const rounded = windows.map(({ start, end }) => ({ start: Math.ceil(start / QUARTER) * QUARTER, end }));
  return rounded.find(({ start, end }) => end - start >= HOUR)?.start;
}

/** One to write to, and every one that can block time. */
function choice(userId, calendars) {
  const conflicts = calendars.filter(({ conflictSelectable }) => conflictSelectable.yes);
  return {
    conflicts: { userId, calendarIds: conflicts.map(({ id }) => id) },
    linked: { userId, calendarId: toLink(calendars)?.id ?? null },
  };
}

function showToday(free, zone) {
  const chips = free.map(({ start, end }) => text("span", `${clock(start, zone)}–${clock(end, zone)}`));
  at("today").replaceChildren(...(chips.length ? ["Free today:", ...chips] : ["Nothing is free today."]));
}

function showAccount(account, zone) {
  at("connect-row").hidden = account !== null && account.status !== "NEEDS_CALENDARS";
  at("connect").textContent = account === null ? "Connect it and choose calendars" : "Choose calendars";
  const parts = account && [
    account.problem?.message ?? ACCOUNT[account.status],
    account.progress && `${account.progress.done} of ${account.progress.total ?? "…"} events so far.`,
    account.lastSyncedAt && `Last read at ${clock(Date.parse(account.lastSyncedAt), zone)}.`,
  ];
  at("account").textContent = [...(parts ?? []), `Times are in ${zone}.`].filter(Boolean).join(" ");
}

function showState(state, reason) {
  at("socket").textContent = STATES[state];
  at("socket").classList.toggle("on", state === "live");
  if (reason) say(reason);
}

function text(tag, content, className = "") {
  return Object.assign(document.createElement(tag), { textContent: content, className });
}

const problems = { acting: "", reading: "" };

/** A reading that does well takes back what one before it said, and not why a click did nothing: the next click does. */
function say(problem, by = "acting") {
  problems[by] = problem?.message ?? problem;
  at("problem").textContent = [...new Set(Object.values(problems))].filter(Boolean).join(" ");
}
