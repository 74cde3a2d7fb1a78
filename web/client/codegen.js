// Types for every document under src and examples, from the printed schema: `npm run generate`.
export default {
  schema: "../../schema/schema.graphql",
  documents: ["src/**/*.ts", "examples/**/*.ts"],
  ignoreNoDocuments: false,
  emitLegacyCommonJSImports: false,
  generates: {
    "generated/": {
      preset: "client",
      presetConfig: { fragmentMasking: false },
      config: {
        strictScalars: true,
        scalars: { DateTime: "string", Date: "string", LocalTime: "string", TimeZone: "string", Cursor: "string" },
        useTypeImports: true,
        enumsAsTypes: true,
      },
    },
  },
};
