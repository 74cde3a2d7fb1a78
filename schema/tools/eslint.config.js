// The printed schema, held to graphql-eslint's recommended and Relay rules and more. What is left out, and why:
//   require-nullable-result-in-root   a mutation's result is a union that has a member for each refusal, and never null
//   require-field-of-type-query-in-mutation-result   an answer holds what was changed; the rest is one query away
//   alphabetize                fields stand in the order in which people read them
//   no-root-type               there are queries, mutations and subscriptions
//   require-deprecation-date   wants a directive of its own; breaking.js reads the date in the reason
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import plugin from "@graphql-eslint/eslint-plugin";

const SCHEMA = fileURLToPath(new URL("../schema.graphql", import.meta.url));
const EVERYWHERE = {
  types: true,
  FieldDefinition: true,
  InputValueDefinition: true,
  EnumValueDefinition: true,
  DirectiveDefinition: true,
};

const RECOMMENDED = plugin.configs["flat/schema-recommended"].rules;
const { "ObjectTypeDefinition,ObjectTypeExtension": _, ...NAMES } = RECOMMENDED["@graphql-eslint/naming-convention"][1];

export default [
  {
    files: ["**/*.graphql"],
    plugins: { "@graphql-eslint": plugin },
    languageOptions: {
      parser: plugin.parser,
      parserOptions: { graphQLConfig: { schema: readFileSync(SCHEMA, "utf8") } },
    },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      ...RECOMMENDED,
      ...plugin.configs["flat/schema-relay"].rules,
      // Types are named in the trade's words, and "appointment type" is one of them: no suffix is forbidden.
      "@graphql-eslint/naming-convention": ["error", NAMES],
      // Pages are turned forwards: a list that grows at its end has no use for `last` and `before`.
      "@graphql-eslint/relay-arguments": ["error", { includeBoth: false }],
      // Short lists, such as a user's calendars, are lists: no one turns their pages.
      "@graphql-eslint/relay-edge-types": ["error", { listTypeCanWrapOnlyEdgeType: false }],
      "@graphql-eslint/require-description": ["error", EVERYWHERE],
      // An id is for what `node` finds again; the Node interface says which, and holds `id: ID!` there.
      "@graphql-eslint/strict-id-in-types": "off",
      "@graphql-eslint/input-name": ["error", { checkInputType: true, caseSensitiveInputType: false }],
      "@graphql-eslint/no-scalar-result-type-on-mutation": "error",
      "@graphql-eslint/no-typename-prefix": "error",
      "@graphql-eslint/no-hashtag-description": "error",
      "@graphql-eslint/unique-enum-value-names": "error",
      "@graphql-eslint/no-unreachable-types": "error",
      "@graphql-eslint/require-deprecation-reason": "error",
      "@graphql-eslint/require-nullable-fields-with-oneof": "error",
    },
  },
];
