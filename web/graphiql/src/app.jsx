import { GraphiQL } from "graphiql";
import { useMemo, useState } from "react";
import { placesIn } from "../../home/places.js";
import { fetcherFor } from "./fetcher.js";
import { KeyBar } from "./key-bar.jsx";
import { FilledPlaces } from "./places.jsx";
import { editorStorage, storedKey, storeKey } from "./session.js";

export function App({ suggestedKey, facts, tabs }) {
  const [key, setKey] = useState(storedKey() ?? suggestedKey);
  const [known, setKnown] = useState(null);
  const [places, setPlaces] = useState({});
  const fetcher = useMemo(() => fetcherFor(key, (data) => setPlaces((seen) => ({ ...seen, ...placesIn(data) }))), [key]);
  const storage = useMemo(() => editorStorage(facts.userId ?? "own"), [facts]);

  function take(entered) {
    storeKey(entered);
    setKey(entered);
  }

  return (
    <>
      <KeyBar current={key} facts={facts} notice={notice(key, known)} onKey={take} />
      <GraphiQL
        fetcher={fetcher}
        schema={schemaToShow(key, known)}
        onSchemaChange={setKnown}
        defaultTabs={tabs}
        storage={storage}
        defaultEditorToolsVisibility="variables"
        showPersistHeadersSettings={false}
        inputValueDeprecation
        schemaDescription
      >
        <GraphiQL.Logo>{null}</GraphiQL.Logo>
        <FilledPlaces places={places} />
      </GraphiQL>
    </>
  );
}

/** Undefined asks the server; null does not. Without a key, or with a booking key, it would only refuse. */
function schemaToShow(key, known) {
  if (key === "") return null;
  return isBookingKey(key) ? known : undefined;
}

function notice(key, known) {
  if (key === "") return "A key opens the docs and runs the operations.";
  if (!isBookingKey(key)) return "";
  if (known === null) return "A booking key runs operations and opens no docs: an owner or admin key does.";
  return "A booking key opens no docs: those shown are of the key before.";
}

function isBookingKey(key) {
  return key.startsWith("sw_booking_");
}
