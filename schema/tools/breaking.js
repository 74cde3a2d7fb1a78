// What of a schema breaks clients of the last release: `node breaking.js released.graphql schema.graphql`; exits with 1.
//
// What is deprecated says in its reason until when it stays: "… Gone after 2027-05-31." After that day it may go.
import { readFileSync } from "node:fs";
import { CriticalityLevel, diff } from "@graphql-inspector/core";
import { buildSchema, isEnumType, isInputObjectType, isInterfaceType, isObjectType } from "graphql";

const LAST_DAY = /Gone after (\d{4}-\d{2}-\d{2})\.$/;
const [released, current] = process.argv.slice(2).map((file) => buildSchema(readFileSync(file, "utf8")));
const due = new Set(
  deprecated(released)
    .filter(([, reason]) => new Date(LAST_DAY.exec(reason)?.[1]) < new Date())
    .map(([path]) => path),
);

const undated = deprecated(current).filter(([, reason]) => !LAST_DAY.test(reason));
const changes = await diff(released, current);
const at = (level) => changes.filter(({ criticality, path }) => criticality.level === level && !due.has(path));
const breaking = at(CriticalityLevel.Breaking);

for (const { message } of at(CriticalityLevel.Dangerous)) console.log(`Clients must be told: ${message}`);
for (const { message } of breaking) console.error(`This breaks clients: ${message}`);
for (const [path] of undated) console.error(`${path} is deprecated, and its reason does not end in "Gone after <date>."`);
process.exitCode = breaking.length + undated.length > 0 ? 1 : 0;

/** Everything deprecated, as [path, reason]. */
function deprecated(schema) {
  return Object.values(schema.getTypeMap())
    .flatMap((type) => partsOf(type).map(([name, part]) => [`${type.name}.${name}`, part.deprecationReason]))
    .filter(([, reason]) => typeof reason === "string");
}

function partsOf(type) {
  if (isEnumType(type)) return type.getValues().map((value) => [value.name, value]);
  if (isInputObjectType(type)) return Object.entries(type.getFields());
  if (!isObjectType(type) && !isInterfaceType(type)) return [];
  return Object.entries(type.getFields()).flatMap(([name, field]) => [
    [name, field],
    ...field.args.map((argument) => [`${name}.${argument.name}`, argument]),
  ]);
}
