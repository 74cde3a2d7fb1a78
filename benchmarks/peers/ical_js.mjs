// What ical.js takes from iCalendar text to merged busy time: node ical_js.mjs MODULE FILE START END ZONE ROUNDS.
// FILE holds the resources, each ended by a NUL. Writes the CPU milliseconds of each round, a line each, then "--",
// then the busy intervals before they are merged.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [module, file, start, end, ownerName, rounds] = process.argv.slice(2);
const ICAL = (await import(pathToFileURL(module))).default;
const texts = readFileSync(file, "utf8").split("\0").slice(0, -1);
const from = Number(start), to = Number(end);
const last = ICAL.Time.fromJSDate(new Date((to + 2 * 86_400) * 1000), true);

// A zone is registered once by its name, as its makers advise.
function register(calendar) {
  for (const part of calendar.getAllSubcomponents("vtimezone")) {
    const name = part.getFirstPropertyValue("tzid");
    if (!ICAL.TimezoneService.has(name)) ICAL.TimezoneService.register(name, new ICAL.Timezone(part));
  }
}

function instant(time) {
  if (!time.isDate) return time.toUnixTime();
  const { year, month, day } = time;
  const owner = ICAL.TimezoneService.get(ownerName);
  return new ICAL.Time({ year, month, day, hour: 0, minute: 0, second: 0, isDate: false }, owner).toUnixTime();
}

function blocks(event) {
  const value = (name) => event.component.getFirstPropertyValue(name);
  return value("status") !== "CANCELLED" && value("transp") !== "TRANSPARENT";
}

function add(found, event, startDate, endDate) {
  const span = [instant(startDate), instant(endDate)];
  if (blocks(event) && span[0] < to && span[1] > from && span[1] > span[0]) found.push(span);
}

function read(text, found) {
  const calendar = new ICAL.Component(ICAL.parse(text));
  register(calendar);
  const events = calendar.getAllSubcomponents("vevent").map((part) => new ICAL.Event(part));
  const master = events.find((event) => !event.isRecurrenceException());
  for (const event of events) if (event !== master) master.relateException(event);
  if (!master.isRecurring()) return add(found, master, master.startDate, master.endDate);
  const iterator = master.iterator();
  for (let next = iterator.next(); next && next.compare(last) < 0; next = iterator.next()) {
    const { item, startDate, endDate } = master.getOccurrenceDetails(next);
    add(found, item, startDate, endDate);
  }
}

function merge(spans) {
  spans.sort((one, other) => one[0] - other[0]);
  const merged = [];
  for (const span of spans) {
    const open = merged[merged.length - 1];
    if (open && span[0] <= open[1]) open[1] = Math.max(open[1], span[1]);
    else merged.push([...span]);
  }
  return merged;
}

let found = [];
for (let round = 0; round < Number(rounds); round++) {
  const before = process.cpuUsage();
  found = [];
  for (const text of texts) read(text, found);
  merge(found);
  const used = process.cpuUsage(before);
  console.log(((used.user + used.system) / 1000).toFixed(3));
}
console.log("--");
console.log(found.map(([one, other]) => `${one} ${other}`).join("\n"));
