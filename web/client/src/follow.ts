// A subscription that resumes: each change once, in order, however often the socket is lost.
import type { TypedDocumentNode } from "@graphql-typed-document-node/core";
import { type GraphQLFormattedError, print } from "graphql";
import type { Client } from "graphql-ws";

type Resumable = Record<string, unknown> & { after?: string | null };

/**
 * graphql-ws sends a subscription again, by itself, once it is connected again. What it sends is read anew then: the
 * cursor of the last change stands in `variables.after` by that time. Gives a function that ends it.
 */
export function follow<Data, Variables extends Resumable, Change extends { cursor: string }>(
  client: Client,
  document: TypedDocumentNode<Data, Variables>,
  variables: Variables,
  changeOf: (data: Data) => Change,
  onChange: (change: Change) => void,
  onEnd: (why: readonly GraphQLFormattedError[]) => void,
): () => void {
  const payload = { query: print(document), variables: { ...variables } };
  return client.subscribe<Data>(payload, {
    next({ data }) {
      if (!data) return;
      const change = changeOf(data);
      payload.variables.after = change.cursor;
      onChange(change);
    },
    error: (problem) => onEnd(Array.isArray(problem) ? problem : []),
    complete: () => onEnd([]),
  });
}
