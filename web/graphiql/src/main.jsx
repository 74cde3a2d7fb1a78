import "./workers.js";
import "graphiql/style.css";
import "./page.css";
import { createRoot } from "react-dom/client";
import { fill } from "../../home/fill.js";
import { App } from "./app.jsx";
import examples from "./examples.json";

/** `{}` in production; the demo hands out its key and the ids to fill the examples with. */
async function loadConfig() {
  const response = await fetch("config.json");
  return response.ok ? response.json() : {};
}

const { key = "", facts = {} } = await loadConfig();
const tabs = fill(examples, facts).map(({ query, variables }) => ({
  query,
  variables: JSON.stringify(variables, null, 2),
}));
createRoot(document.getElementById("root")).render(<App suggestedKey={key} facts={facts} tabs={tabs} />);
