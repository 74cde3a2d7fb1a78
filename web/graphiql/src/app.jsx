import { GraphiQL } from "graphiql";
import { useMemo, useState } from "react";
import { fetcherFor } from "./fetcher.js";
import { KeyBar } from "./key-bar.jsx";
import { editorStorage, storedKey, storeKey } from "./session.js";

export function App({ suggestedKey, facts, tabs }) {
  const [key, setKey] = useState(storedKey() ?? suggestedKey);
  const [known, setKnown] = useState(null);
  const fetcher = useMemo(() => fetcherFor(key), [key]);
  const storage = useMemo(() => editorStorage(facts.userId ?? "own"), [facts]);

  function take(entered) {
    storeKey(entered);
    setKey(entered);
  }

  return (
    <>
      <KeyBar current={key} facts={facts} onKey={take} />
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
      </GraphiQL>
    </>
  );
}

/** Undefined asks the server; null does not. Without a key, or with a booking key, it would only refuse. */
function schemaToShow(key, known) {
  if (key === "") return null;
  return key.startsWith("sw_booking_") ? known : undefined;
}
