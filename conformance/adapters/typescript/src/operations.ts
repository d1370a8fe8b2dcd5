/** What deterministic and aggregation tasks can do: pure, and bounded by their input. See docs/operations.md. */

import { canonical, follow, isObject, isPointer, type Json, type JsonObject } from "./json.ts";

/** The input is not what the operation works on. Names places, and nothing that the input holds. */
export class OperationFailed extends Error {}

interface Operation {
  /** The arguments that it takes, and how to tell. */
  takes: Record<string, (argument: Json) => boolean>;
  needs?: string;
  run: (args: JsonObject, data: Json) => Json;
}

/** Why the operation cannot be run with these arguments, found out before anything runs. */
export function fault(name: string, args: JsonObject): string | undefined {
  const operation = OPERATIONS.get(name);
  if (!operation) return `no operation is named \`${name}\``;
  for (const [argument, value] of Object.entries(args)) {
    if (!Object.hasOwn(operation.takes, argument)) return `\`${name}\` takes no argument \`${argument.slice(0, 64)}\``;
    if (!operation.takes[argument]!(value)) return `\`${argument}\` is not what \`${name}\` takes there`;
  }
  if (operation.needs && !(operation.needs in args)) return `\`${name}\` lacks \`${operation.needs}\``;
  if ("at" in args && "pointers" in args) return "`at` and `pointers` exclude each other";
  return undefined;
}

/** The operation's output. Throws `OperationFailed`. */
export function run(name: string, args: JsonObject, data: Json): Json {
  return OPERATIONS.get(name)!.run(args, data);
}

/** Those that are declared. */
export function names(): string[] {
  return [...OPERATIONS.keys()].sort();
}

function find(pointer: string, data: Json): Json {
  const found = follow(pointer, data);
  if (found === undefined) throw new OperationFailed(`the input has nothing at \`${pointer || "/"}\``);
  return found;
}

/** The values that `at` or `pointers` choose, each with its place. */
function selected(args: JsonObject, data: Json): [string, Json][] {
  if (Array.isArray(args["pointers"])) {
    return args["pointers"].map((pointer) => [pointer as string, find(pointer as string, data)]);
  }
  const at = (args["at"] ?? "") as string;
  const items = find(at, data);
  if (!Array.isArray(items)) throw new OperationFailed(`the input has no array at \`${at || "/"}\``);
  return items.map((item, nth) => [`${at}/${nth}`, item]);
}

function collect(args: JsonObject, data: Json): Json {
  const collected: Json[] = [];
  for (const [place, value] of selected(args, data)) {
    if (args["skip_null"] && value === null) continue;
    if (args["flatten"] && !Array.isArray(value)) throw new OperationFailed(`the input has no array at \`${place}\``);
    for (const item of args["flatten"] ? (value as Json[]) : [value]) {
      if (!(args["skip_null"] && item === null)) collected.push(item);
    }
  }
  return collected;
}

function merge(args: JsonObject, data: Json): Json {
  let merged: JsonObject = Object.create(null);
  for (const [place, value] of selected(args, data)) {
    if (!isObject(value)) throw new OperationFailed(`the input has no object at \`${place || "/"}\``);
    merged = mergeTwo(merged, value, args["depth"] === "deep", args["on_conflict"] ?? "error");
  }
  return merged;
}

function mergeTwo(first: JsonObject, second: JsonObject, deep: boolean, onConflict: Json): JsonObject {
  const merged: JsonObject = Object.assign(Object.create(null), first);
  for (const [name, value] of Object.entries(second)) {
    const present = merged[name];
    if (present === undefined) merged[name] = value;
    else if (deep && isObject(present) && isObject(value)) merged[name] = mergeTwo(present, value, deep, onConflict);
    else if (onConflict === "last") merged[name] = value;
    else if (onConflict === "error" && canonical(present) !== canonical(value)) {
      throw new OperationFailed("two objects have different values for one key, and `on_conflict` is `error`");
    }
  }
  return merged;
}

function pick(args: JsonObject, data: Json): Json {
  const picked: JsonObject = Object.create(null);
  for (const [name, pointer] of Object.entries(args["members"] as JsonObject)) {
    const found = follow(pointer as string, data);
    if (found !== undefined) picked[name] = found;
    else if ((args["missing"] ?? "error") === "error") find(pointer as string, data);
    else if (args["missing"] === "null") picked[name] = null;
  }
  return picked;
}

const oneOf =
  (...words: string[]) =>
  (argument: Json): boolean =>
    words.includes(argument as string);
const flag = (argument: Json): boolean => typeof argument === "boolean";
const selection = {
  at: isPointer,
  pointers: (argument: Json) => Array.isArray(argument) && argument.every(isPointer),
};

const OPERATIONS = new Map<string, Operation>([
  ["collect", { takes: { ...selection, flatten: flag, skip_null: flag }, run: collect }],
  ["constant", { takes: { value: () => true }, needs: "value", run: (args) => args["value"]! }],
  ["echo", { takes: {}, run: (_, data) => data }],
  ["merge", {
    takes: { ...selection, depth: oneOf("shallow", "deep"), on_conflict: oneOf("error", "first", "last") },
    run: merge,
  }],
  ["pick", {
    takes: {
      members: (argument) => isObject(argument) && Object.values(argument).every(isPointer),
      missing: oneOf("error", "null", "omit"),
    },
    needs: "members",
    run: pick,
  }],
]);
