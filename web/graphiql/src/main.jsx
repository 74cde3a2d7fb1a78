import "./workers.js";
import "graphiql/style.css";
import "./page.css";
import { createRoot } from "react-dom/client";
import { fill } from "../../home/fill.js";
import { askPlaces } from "../../home/places.js";
import { App } from "./app.jsx";
import examples from "./examples.json";

/** `{}` in production; the demo hands out its key and the ids to fill the examples with. */
async function loadConfig() {
  const response = await fetch("config.json");
  return response.ok ? response.json() : {};
}

const { key = "", facts = {} } = await loadConfig();
const places = key ? await askPlaces(key, facts) : {};
const tabs = fill(examples, { ...facts, ...places }).map(({ query, variables }) => ({
  query,
  variables: JSON.stringify(variables, null, 2),
}));
createRoot(document.getElementById("root")).render(<App suggestedKey={key} facts={facts} tabs={tabs} />);
