import { useGraphiQL } from "@graphiql/react";
import { useEffect } from "react";

/** Puts what answers told in the places (`<calendarId>`) of the variables on show, and of each tab as it is shown. */
export function FilledPlaces({ places }) {
  const editor = useGraphiQL((state) => state.variableEditor);
  useEffect(() => {
    if (!editor) return undefined;
    function put() {
      const text = editor.getValue();
      const filled = text.replace(/<(\w+)>/g, (place, name) => places[name] ?? place);
      if (filled !== text) editor.setValue(filled);
    }
    put();
    // After the change is over: the editor takes no other value while it tells of one.
    const listening = editor.onDidChangeModelContent(() => queueMicrotask(put));
    return () => listening.dispose();
  }, [editor, places]);
  return null;
}
