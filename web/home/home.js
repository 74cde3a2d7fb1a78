// Wires the start page: addresses everywhere; in the demo also its facts, its operations and the live panel.
import { fill } from "./fill.js";
import { startPanel } from "./panel.js";
import { askPlaces } from "./places.js";

const FACTS = {
  appleId: "Apple ID",
  appSpecificPassword: "App-specific password",
  caldavUrl: "CalDAV address",
  ownerKey: "Owner key",
  adminKey: "Admin key",
  bookingKey: "Booking key",
  userId: "User id",
  bookingPage: "Booking page",
};
const at = (id) => document.getElementById(id);
const websocketUrl = new URL("/graphql", location.href);
websocketUrl.protocol = location.protocol === "https:" ? "wss:" : "ws:";

function make(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function copyButton(content, name) {
  const button = make("button", { type: "button", className: "copy", ariaLabel: `Copy ${name}` }, "Copy");
  button.onclick = async () => {
    await copy(content, button);
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = "Copy"), 1500);
  };
  return button;
}

/** The clipboard is there on secure origins only; elsewhere the old way still works. */
async function copy(content, button) {
  if (navigator.clipboard) return navigator.clipboard.writeText(content);
  const field = make("textarea", { value: content, className: "aside" });
  button.after(field);
  field.select();
  document.execCommand("copy");
  return field.remove();
}

function snippet(content, name) {
  return [make("pre", { tabIndex: 0 }, make("code", {}, content)), copyButton(content, name)];
}

function showFacts(facts) {
  const known = Object.entries(FACTS).filter(([name]) => facts[name]);
  const rows = known.map(([name, label]) =>
    make("div", {}, make("dt", {}, label), make("dd", {}, make("code", {}, facts[name]), copyButton(facts[name], label))),
  );
  at("facts").replaceChildren(...rows);
}

async function showExamples(known) {
  const examples = fill(await (await fetch("/home/examples.json")).json(), known);
  at("examples").replaceChildren(
    ...examples.map(({ title, about, query, variables }) => {
      const summary = make("summary", {}, make("strong", {}, title), make("span", { className: "quiet" }, about));
      const parts = [make("div", { className: "snippet" }, ...snippet(query, `the operation: ${title}`))];
      if (Object.keys(variables).length > 0) {
        const json = JSON.stringify(variables, null, 2);
        parts.push(make("div", { className: "snippet" }, ...snippet(json, `the variables: ${title}`)));
      }
      return make("details", {}, summary, ...parts);
    }),
  );
}

function showAddresses(key) {
  at("http-url").textContent = `POST ${location.origin}/graphql`;
  at("socket-url").textContent = websocketUrl.href;
  const call = [
    `curl ${location.origin}/graphql`,
    `  -H 'Content-Type: application/json'`,
    `  -H 'Authorization: Bearer ${key ?? "KEY"}'`,
    `  -d '{"query": "{ viewer { role subaccount { name } } }"}'`,
  ].join(" \\\n");
  at("first-call").replaceChildren(...snippet(call, "the call"));
}

const { key, facts, graphiql } = await (await fetch("/home/config.json")).json();
at("to-graphiql").hidden = at("licences").hidden = !graphiql;
showAddresses(key);
if (facts) {
  for (const id of ["to-demo", "demo", "queries", "live"]) at(id).hidden = false;
  showFacts(facts);
  startPanel({ key, facts, websocketUrl: websocketUrl.href });
  await showExamples({ ...facts, ...(await askPlaces(key, facts)) });
}
