/** Looks at a document and collects what is wrong with it, so that everything is said at once. */

import { isObject, isPointer, type Json, type JsonObject } from "./json.ts";

const ID = /^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,127}$/;

/** Nothing ran, and this is why: a refusal is not a failure. */
export class Refused extends Error {
  readonly document: JsonObject;

  constructor(errorType: string, message: string, details?: Json) {
    super(message);
    this.document = { error_type: errorType, message, ...(details === undefined ? {} : { details }) };
  }
}

/** Collects what is wrong. What it gives back after that is only there to go on looking. */
export class Reader {
  /** A newer MINOR may have fields that this version does not know. */
  lenient = false;
  readonly #violations: JsonObject[] = [];

  wrong(code: string, pointer: string, message: string, help = ""): void {
    this.#violations.push({ code, pointer, message, help: help || null });
  }

  /** Throws if anything is wrong. */
  refuse(): never;
  refuse(): void;
  refuse(): void {
    const [first] = this.#violations;
    if (!first) return;
    const more = this.#violations.length - 1;
    const version = this.#violations.some((violation) => violation["code"] === "version-mismatch");
    throw new Refused(
      version ? "VERSION_MISMATCH" : "VALIDATION_ERROR",
      `invalid graph: ${first["pointer"] || "/"}: ${first["message"]}${more ? ` (and ${more} more)` : ""}`,
      { document: "taskgraph", violations: this.#violations.slice(0, 200), omitted: Math.max(0, more - 199) },
    );
  }

  /** The members of an object, unknown and missing ones reported. */
  fields(value: Json | undefined, at: string, known: string, required = ""): JsonObject {
    if (!isObject(value)) {
      this.wrong("wrong-type", at, "this must be an object");
      return {};
    }
    for (const name of Object.keys(value)) {
      if (!known.split(" ").includes(name) && !this.lenient) {
        this.wrong("unknown-field", at, `\`${name.slice(0, 64)}\` is not known here`, `known are: ${known}`);
      }
    }
    for (const name of required.split(" ").filter(Boolean)) {
      if (!(name in value)) this.wrong("missing-field", at, `\`${name}\` is missing`);
    }
    return value;
  }

  list(value: Json | undefined, at: string, most: number): Json[] {
    if (!Array.isArray(value)) {
      this.wrong("wrong-type", at, "this must be an array");
      return [];
    }
    if (value.length > most) this.wrong("too-many", at, `more than ${most} entries`);
    return value.slice(0, most);
  }

  word<W extends string>(value: Json | undefined, at: string, words: readonly W[]): W {
    if (!words.includes(value as W)) this.wrong("unknown-word", at, `this must be one of ${words.join(", ")}`);
    return value as W;
  }

  id(value: Json | undefined, at: string): string {
    if (typeof value === "string" && ID.test(value)) return value;
    this.wrong("invalid-id", at, "no id", "1 to 128 ASCII letters, digits, `_`, `-`, `.` or `:`");
    return "";
  }

  caps<C extends Record<string, number>>(value: Json, at: string, limits: C): Partial<Record<keyof C, number>> {
    const caps = this.fields(value, at, Object.keys(limits).join(" "));
    for (const [name, most] of Object.entries(limits)) {
      const cap = caps[name] ?? (name in caps ? null : 0);
      if (!Number.isInteger(cap) || Number(cap) < 0 || Number(cap) > most) {
        this.wrong("invalid-budget", `${at}/${name}`, `write a whole number from 0 to ${most}`);
      }
    }
    return caps as Partial<Record<keyof C, number>>;
  }

  pointer(value: Json, at: string): string {
    if (isPointer(value)) return value;
    this.wrong("invalid-pointer", at, "no JSON pointer", "it is empty or starts with `/`");
    return "";
  }

  number(value: Json, at: string): number {
    if (typeof value === "number") return value;
    this.wrong("wrong-type", at, "this must be a number");
    return 0;
  }
}
