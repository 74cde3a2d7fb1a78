// Fills the `{{places}}` of the example operations with facts (ids, the demo's names) and with times near now.
export const HOUR = 3_600_000;

/** The examples with every place filled; a place that no fact is known for stays visible as `<place>`. */
export function fill(examples, facts, now = new Date()) {
  const values = { ...times(now), ...facts };
  const fillText = (text) =>
    text.replace(/\{\{(\w+)\}\}/g, (_, place) => (place === "uuid" ? newId() : (values[place] ?? `<${place}>`)));
  const fillAll = (value) => {
    if (typeof value === "string") return fillText(value);
    if (Array.isArray(value)) return value.map(fillAll);
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, fillAll(inner)]));
  };
  return examples.map((example) => ({ ...example, variables: fillAll(example.variables) }));
}

function times(now) {
  const hour = new Date(Math.ceil(now / HOUR) * HOUR);
  const later = (hours) => instant(+hour + hours * HOUR);
  return { now: instant(now), nextHour: later(0), hourAfter: later(1), inAWeek: later(168) };
}

export function instant(moment) {
  return new Date(moment).toISOString().replace(/\.\d+Z$/, "Z");
}

/** crypto.randomUUID exists on secure origins only, which plain http by another name than localhost is not. */
function newId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
