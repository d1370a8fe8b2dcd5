/**
 * The gate: a subset of JSON Schema 2020-12 that is kept to the letter, and nothing that is half understood.
 *
 * An object may hold only what its schema names, unless it says otherwise. A keyword that is not in the table below is
 * refused when the graph is read: whoever ignores one admits what KORA did not want.
 */

import { canonical, escaped, isObject, type Json, type JsonObject } from "./json.ts";
import { Pattern, UnsupportedPattern } from "./pattern.ts";

const MAX_DEPTH = 100;
const MAX_BYTES = 16 << 20;
const TYPES = ["null", "boolean", "object", "array", "number", "string", "integer"];
const ANNOTATIONS = [
  "$comment", "default", "deprecated", "description", "examples", "format", "readOnly", "title", "writeOnly",
];
const DIALECT = /^https:\/\/json-schema\.org\/draft\/2020-12\/schema#?$/;

/** What is wrong with a schema, and where in it. */
export interface Fault {
  pointer: string;
  message: string;
  /** Whether it is wrong for everybody, and not only beyond this backend. */
  invalid: boolean;
}

/** The schema with KORA's default written out: no other members than those it names. */
export function close(schema: Json): Json {
  if (!isObject(schema)) return schema;
  const closed: JsonObject = { ...schema };
  for (const keyword of ["items", "additionalProperties"]) {
    if (keyword in closed) closed[keyword] = close(closed[keyword]!);
  }
  for (const keyword of ["anyOf", "oneOf", "prefixItems"]) {
    const members = closed[keyword];
    if (Array.isArray(members)) closed[keyword] = members.map(close);
  }
  if (isObject(closed["properties"])) closed["properties"] = mapped(closed["properties"], close);
  if (isAboutObjects(schema) && !("additionalProperties" in closed)) closed["additionalProperties"] = false;
  return closed;
}

/** Everything that keeps this backend from enforcing the schema. */
export function* faults(schema: Json, at = ""): Generator<Fault> {
  if (typeof schema === "boolean") return;
  if (!isObject(schema)) {
    yield { pointer: at, message: "a schema is an object or a boolean", invalid: true };
    return;
  }
  for (const [keyword, argument] of Object.entries(schema)) {
    const pointer = `${at}/${escaped(keyword)}`;
    if (ANNOTATIONS.includes(keyword)) continue;
    if (at === "" && (keyword === "$id" || keyword === "$schema") && typeof argument === "string") {
      if (keyword === "$schema" && !DIALECT.test(argument)) {
        yield { pointer, message: "only JSON Schema 2020-12 is read here", invalid: true };
      }
      continue;
    }
    const known = KEYWORDS.get(keyword);
    if (!known) {
      yield { pointer, message: `this backend does not know the keyword \`${keyword}\``, invalid: false };
    } else if (!known.isSound(argument)) {
      yield { pointer, message: `\`${keyword}\` takes ${known.takes}`, invalid: true };
    } else if (keyword === "pattern") {
      const problem = patternProblem(argument as string);
      if (problem) {
        yield { pointer, message: `this backend does not match patterns with ${problem}`, invalid: false };
      }
    } else {
      for (const [below, member] of subschemas(keyword, argument)) yield* faults(member, pointer + below);
    }
  }
  // Who closes an object that several schemas describe together is a question of its own; see decision 0001.
  const unions = ["anyOf", "oneOf"].filter((keyword) => keyword in schema).length;
  if (unions === 2 || (unions === 1 && isAboutObjects(schema))) {
    const message = "this backend does not know `anyOf` or `oneOf` beside keywords about objects";
    yield { pointer: at, message, invalid: false };
  }
}

function subschemas(keyword: string, argument: Json): [string, Json][] {
  switch (keyword) {
    case "items":
    case "additionalProperties":
      return [["", argument]];
    case "properties":
      return Object.entries(argument as JsonObject).map(([name, member]) => [`/${escaped(name)}`, member]);
    case "anyOf":
    case "oneOf":
    case "prefixItems":
      return (argument as Json[]).map((member, nth) => [`/${nth}`, member]);
    default:
      return [];
  }
}

function isAboutObjects(schema: JsonObject): boolean {
  return "properties" in schema || "required" in schema || [schema["type"]].flat().includes("object");
}

/** Why the closed `schema` does not admit `value`. Names places and wishes, and nothing that the value holds. */
export function mismatch(schema: Json, value: Json): string | undefined {
  return unbounded(value) ?? mismatchAt(schema, value, "");
}

/** Why no schema would admit `value`: it is too large, too deep, or has a number that is not exact. */
export function unbounded(value: Json): string | undefined {
  let size = 0;
  let level = [value];
  for (let depth = 0; depth <= MAX_DEPTH; depth += 1) {
    const below: Json[] = [];
    for (const item of level) {
      const members = Array.isArray(item) ? item : isObject(item) ? Object.values(item) : [];
      if (isObject(item)) for (const name of Object.keys(item)) size += Buffer.byteLength(name) + 3;
      size += typeof item === "string" ? Buffer.byteLength(item) + 2 : 4 + members.length;
      if (size > MAX_BYTES) return `it is larger than ${MAX_BYTES} bytes`;
      for (const member of members) below.push(member);
    }
    if (below.length === 0) return undefined;
    level = below;
  }
  return `it is nested deeper than ${MAX_DEPTH} levels`;
}

function mismatchAt(schema: Json, value: Json, at: string): string | undefined {
  if (schema === false) return wants(at, "nothing at all");
  if (!isObject(schema)) return undefined;
  return first(Object.entries(schema), ([keyword, argument]) =>
    KEYWORDS.get(keyword)?.mismatch(argument, value, at, schema),
  );
}

function wants(at: string, wish: string): string {
  return `\`${at || "/"}\` wants ${wish}`;
}

/** The first answer that there is. */
function first<T>(items: T[], answer: (item: T, nth: number) => string | undefined): string | undefined {
  for (const [nth, item] of items.entries()) {
    const found = answer(item, nth);
    if (found !== undefined) return found;
  }
  return undefined;
}

function kindOf(value: Json): string {
  return value === null ? "null" : Array.isArray(value) ? "array" : typeof value;
}

function same(a: Json, b: Json): boolean {
  return canonical(a) === canonical(b);
}

const patterns = new Map<string, Pattern>();

function patternOf(source: string): Pattern {
  const known = patterns.get(source) ?? new Pattern(source);
  if (patterns.size >= 256) patterns.clear();
  patterns.set(source, known);
  return known;
}

function patternProblem(source: string): string | undefined {
  try {
    patternOf(source);
    return undefined;
  } catch (error) {
    if (error instanceof UnsupportedPattern) return error.message;
    throw error;
  }
}

/** What a keyword takes, how to tell, and why a value does not meet it. */
interface Keyword {
  takes: string;
  isSound: (argument: Json) => boolean;
  mismatch: (argument: any, value: Json, at: string, schema: JsonObject) => string | undefined;
}

/** A keyword that limits a number, or the size of something. */
function limit(kind: string, wish: string, holds: (size: number, limit: number) => boolean): Keyword {
  return {
    takes: kind === "number" ? "a number" : "a whole number",
    isSound: (argument) =>
      typeof argument === "number" && (kind === "number" || (Number.isInteger(argument) && argument >= 0)),
    mismatch: (argument: number, value, at) => {
      if (kindOf(value) !== kind || holds(sizeOf(value), argument)) return undefined;
      return wants(at, wish.replace("{}", `${argument}`));
    },
  };
}

function sizeOf(value: Json): number {
  if (typeof value === "string") return [...value].length;
  if (Array.isArray(value)) return value.length;
  return isObject(value) ? Object.keys(value).length : Number(value);
}

const atLeast = (size: number, limit: number): boolean => size >= limit;
const atMost = (size: number, limit: number): boolean => size <= limit;
const isNames = (argument: Json): argument is string[] =>
  Array.isArray(argument) && argument.every((name) => typeof name === "string");
const isList = (argument: Json): boolean => Array.isArray(argument) && argument.length > 0;

const KEYWORDS = new Map<string, Keyword>([
  ["type", {
    takes: "the name of a type, or a list of them",
    isSound: (argument) => [argument].flat().every((kind) => TYPES.includes(kind as string)),
    mismatch: (argument: string | string[], value, at) => {
      const kinds = [argument].flat();
      if (kinds.includes(kindOf(value)) || (kinds.includes("integer") && Number.isInteger(value))) return undefined;
      return wants(at, `type ${kinds.map((kind) => `\`${kind}\``).join(" or ")}`);
    },
  }],
  ["enum", {
    takes: "a list of values",
    isSound: isList,
    mismatch: (argument: Json[], value, at) =>
      argument.some((wanted) => same(wanted, value)) ? undefined : wants(at, `one of ${canonical(argument)}`),
  }],
  ["const", {
    takes: "a value",
    isSound: () => true,
    mismatch: (argument: Json, value, at) =>
      same(argument, value) ? undefined : wants(at, `the value ${canonical(argument)}`),
  }],
  ["properties", {
    takes: "an object of schemas",
    isSound: isObject,
    mismatch: (argument: JsonObject, value, at) =>
      isObject(value)
        ? first(Object.entries(argument), ([name, member]) =>
            Object.hasOwn(value, name) ? mismatchAt(member, value[name]!, `${at}/${escaped(name)}`) : undefined,
          )
        : undefined,
  }],
  ["required", {
    takes: "a list of names",
    isSound: isNames,
    mismatch: (argument: string[], value, at) => {
      const missing = isObject(value) ? argument.find((name) => !Object.hasOwn(value, name)) : undefined;
      return missing === undefined ? undefined : wants(at, `the property \`${missing}\``);
    },
  }],
  ["additionalProperties", {
    takes: "a schema",
    isSound: () => true,
    mismatch: (argument: Json, value, at, schema) => {
      if (!isObject(value)) return undefined;
      const named = isObject(schema["properties"]) ? schema["properties"] : {};
      const others = Object.keys(value).filter((name) => !Object.hasOwn(named, name));
      if (argument === false && others.length > 0) {
        return wants(at, `no other properties than the schema's, found ${others.length} more`);
      }
      return first(others, (name) => mismatchAt(argument, value[name]!, `${at}/*`));
    },
  }],
  ["minProperties", limit("object", "at least {} properties", atLeast)],
  ["maxProperties", limit("object", "at most {} properties", atMost)],
  ["items", {
    takes: "a schema",
    isSound: () => true,
    mismatch: (argument: Json, value, at, schema) => {
      const before = Array.isArray(schema["prefixItems"]) ? schema["prefixItems"].length : 0;
      if (!Array.isArray(value)) return undefined;
      return first(value, (item, nth) => (nth < before ? undefined : mismatchAt(argument, item, `${at}/${nth}`)));
    },
  }],
  ["prefixItems", {
    takes: "a list of schemas",
    isSound: isList,
    mismatch: (argument: Json[], value, at) =>
      Array.isArray(value)
        ? first(value.slice(0, argument.length), (item, nth) => mismatchAt(argument[nth]!, item, `${at}/${nth}`))
        : undefined,
  }],
  ["minItems", limit("array", "at least {} items", atLeast)],
  ["maxItems", limit("array", "at most {} items", atMost)],
  ["uniqueItems", {
    takes: "a boolean",
    isSound: (argument) => typeof argument === "boolean",
    mismatch: (argument: boolean, value, at) =>
      argument && Array.isArray(value) && new Set(value.map(canonical)).size < value.length
        ? wants(at, "items that differ from each other")
        : undefined,
  }],
  ["minLength", limit("string", "at least {} characters", atLeast)],
  ["maxLength", limit("string", "at most {} characters", atMost)],
  ["pattern", {
    takes: "a pattern",
    isSound: (argument) => typeof argument === "string",
    mismatch: (argument: string, value, at) =>
      typeof value !== "string" || patternOf(argument).foundIn(value)
        ? undefined
        : wants(at, `text that matches \`${argument}\``),
  }],
  ["minimum", limit("number", "at least {}", atLeast)],
  ["maximum", limit("number", "at most {}", atMost)],
  ["exclusiveMinimum", limit("number", "more than {}", (size, limit) => size > limit)],
  ["exclusiveMaximum", limit("number", "less than {}", (size, limit) => size < limit)],
  ["anyOf", {
    takes: "a list of schemas",
    isSound: isList,
    mismatch: (argument: Json[], value, at) =>
      argument.some((member) => mismatchAt(member, value, at) === undefined)
        ? undefined
        : wants(at, `what one of ${argument.length} schemas under \`anyOf\` admits`),
  }],
  ["oneOf", {
    takes: "a list of schemas",
    isSound: isList,
    mismatch: (argument: Json[], value, at) =>
      argument.filter((member) => mismatchAt(member, value, at) === undefined).length === 1
        ? undefined
        : wants(at, `what exactly one of ${argument.length} schemas under \`oneOf\` admits`),
  }],
]);

function mapped(members: JsonObject, change: (member: Json) => Json): JsonObject {
  const changed: JsonObject = Object.create(null);
  for (const [name, member] of Object.entries(members)) changed[name] = change(member);
  return changed;
}
