// The list of changes: newest first, and a flood of one kind, such as a first sync, in one line.
import { clock, clockWithSeconds, dayName } from "./week.js";

const LINES = 8;
const FLOOD = 4;

/** Gathers what comes within a moment, then hands it over at once. */
export function quietly(draw, moment = 250) {
  let gathered = [];
  return (change) => {
    if (gathered.push(change) > 1) return;
    setTimeout(() => {
      const changes = gathered;
      gathered = [];
      draw(changes);
    }, moment);
  };
}

/** `changes` are `{kind, detectedAt, noun, what}`, oldest first; `what` is null where all is to be read anew. */
export function drawChanges(list, changes, zone) {
  const groups = Object.values(Object.groupBy(changes, ({ kind, noun }) => `${kind} ${noun}`));
  const lines = groups.flatMap((group) =>
    group.length < FLOOD ? group.map((change) => line(change, described(change, zone), zone)) : [line(group.at(-1), counted(group), zone)],
  );
  const older = list.querySelectorAll("li:has(strong)");
  list.replaceChildren(...[...lines.reverse(), ...older].slice(0, LINES));
}

function counted(group) {
  return `${group.length} ${group[0].noun}`;
}

function described({ what }, zone) {
  if (!what) return "All was read anew";
  return `${what.title ?? "Busy"} · ${span(Date.parse(what.start), Date.parse(what.end), zone)}`;
}

/** Whole days by their dates, others by the clock. */
function span(start, end, zone) {
  const days = [...new Set([start, end - 1].map((instant) => dayName(instant, zone)))].join(" – ");
  const [from, to] = [clock(start, zone), clock(end, zone)];
  if (from === "00:00" && to === "00:00") return days;
  return days.includes("–") ? `${dayName(start, zone)}, ${from} – ${dayName(end, zone)}, ${to}` : `${days}, ${from}–${to}`;
}

function line({ kind, detectedAt }, content, zone) {
  const learned = ` · learned at ${clockWithSeconds(Date.parse(detectedAt), zone)}`;
  const item = document.createElement("li");
  item.append(
    Object.assign(document.createElement("strong"), { textContent: kind.replaceAll("_", " ") }),
    content,
    Object.assign(document.createElement("span"), { textContent: learned, className: "quiet" }),
  );
  return item;
}
