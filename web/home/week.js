// Draws seven days of one zone as tracks: what is free, what is blocked, what is booked.
const DAY = 86_400_000;
const MINUTE = 60_000;

/** How far the zone's wall clock is ahead of UTC at an instant. */
function offset(instant, zone) {
  const parts = new Intl.DateTimeFormat("en-US", {
    timeZone: zone,
    hourCycle: "h23",
    ...{ year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric", second: "numeric" },
  }).formatToParts(instant);
  const { year, month, day, hour, minute, second } = Object.fromEntries(parts.map(({ type, value }) => [type, +value]));
  return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(instant / 1000) * 1000;
}

function midnight(now, daysOn, zone) {
  const wall = Math.floor((now + offset(now, zone)) / DAY) * DAY + daysOn * DAY;
  return wall - offset(wall - offset(wall, zone), zone); // Twice: the offset that counts is the one at that midnight.
}

/** The midnights that bound today and the six days after it. */
export function midnights(now, zone) {
  return Array.from({ length: 8 }, (_, daysOn) => midnight(now, daysOn, zone));
}

export function clock(instant, zone) {
  return new Intl.DateTimeFormat(undefined, { timeZone: zone, hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).format(instant);
}

export function clockWithSeconds(instant, zone) {
  const parts = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
  return new Intl.DateTimeFormat(undefined, { timeZone: zone, ...parts }).format(instant);
}

export function dayName(instant, zone) {
  return new Intl.DateTimeFormat(undefined, { timeZone: zone, weekday: "short", day: "numeric", month: "short" }).format(instant);
}

/** `spans` are `{kind, start, end, title}` in milliseconds; later kinds are drawn over earlier ones. */
export function drawWeek(list, { days, zone, spans }) {
  const rows = days.slice(0, 7).map((start, index) => ({ start, pieces: within(spans, start, days[index + 1]) }));
  const scale = hoursToShow(rows);
  list.replaceChildren(hourRow(scale), ...rows.map((row, index) => dayRow(row, { index, zone, scale })));
}

export function within(spans, from, to) {
  return spans
    .filter(({ start, end }) => start < to && end > from)
    .map((span) => ({ ...span, start: Math.max(span.start, from), end: Math.min(span.end, to) }));
}

/** From eight to six, and wider where time is free outside. */
function hoursToShow(rows) {
  const edges = rows.flatMap(({ start, pieces }) =>
    pieces.filter(({ kind }) => kind === "free").flatMap((piece) => [piece.start - start, piece.end - start]),
  );
  const hours = edges.map((edge) => edge / (60 * MINUTE));
  return { from: Math.floor(Math.min(8, ...hours)) * 60, to: Math.ceil(Math.max(18, ...hours)) * 60 };
}

function dayRow({ start, pieces }, { index, zone, scale }) {
  const row = document.createElement("li");
  const track = trackOf(pieces.map((piece) => mark(piece.kind, (piece.start - start) / MINUTE, (piece.end - start) / MINUTE, scale, piece.title)));
  const free = pieces.filter(({ kind }) => kind === "free").map((piece) => `${clock(piece.start, zone)} to ${clock(piece.end, zone)}`);
  row.append(index === 0 ? "Today" : dayName(start + 12 * 60 * MINUTE, zone), track);
  row.append(Object.assign(document.createElement("span"), { className: "aside", textContent: `Free: ${free.join(", ") || "nothing"}` }));
  return row;
}

function hourRow(scale) {
  const row = Object.assign(document.createElement("li"), { className: "hours", ariaHidden: "true" });
  const marks = [];
  for (let minute = scale.from; minute < scale.to; minute += 120) {
    marks.push(mark("hour", minute, minute + 60, scale, `${String(minute / 60).padStart(2, "0")}:00`));
  }
  row.append(document.createElement("span"), trackOf(marks));
  return row;
}

function trackOf(marks) {
  const track = Object.assign(document.createElement("div"), { className: "track", ariaHidden: "true" });
  track.append(...marks.filter(Boolean));
  return track;
}

function mark(kind, from, to, scale, title = "") {
  const [left, right] = [Math.max(from, scale.from), Math.min(to, scale.to)];
  if (left >= right) return null;
  const element = Object.assign(document.createElement("span"), { className: kind, textContent: title, title });
  element.style.left = `${(100 * (left - scale.from)) / (scale.to - scale.from)}%`;
  element.style.width = `${(100 * (right - left)) / (scale.to - scale.from)}%`;
  return element;
}
