/**
 * JSON, read and written so that two readers cannot see two values.
 *
 * Reading refuses what readers disagree about: a key that stands twice, a number that a double cannot carry. Writing
 * gives one text for equal values (RFC 8785), so that texts can be compared in place of values.
 */

export type Json = null | boolean | number | string | Json[] | JsonObject;
export type JsonObject = { [name: string]: Json };

/** Levels of a message: four down to a task's `input`, and a hundred of its own. */
const MAX_DEPTH = 104;

const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
const PLAIN = /[^"\\\u0000-\u001f]*/y;
const SPACE = /[ \t\n\r]*/y;
const STRING_OR_BRACKET = /"[^"\\]*(?:\\[^][^"\\]*)*(?:"|$)|[[\]{}]/g;
const ESCAPES: Record<string, string> = {
  '"': '"', "\\": "\\", "/": "/", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t",
};

/** The text is not one JSON value. Says where, and repeats nothing of the text. */
export class NotJson extends Error {}

/** The value of `text`, and what is wrong with it though it is JSON. */
export function read(text: string): { value: Json; faults: string[] } {
  const reader = new Reader(text);
  return { value: reader.document(), faults: reader.faults };
}

class Reader {
  readonly faults: string[] = [];
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): Json {
    const value = this.#value(0);
    this.#match(SPACE);
    if (this.#at < this.#text.length) this.#fail("more than one value");
    return value;
  }

  #value(depth: number): Json {
    this.#match(SPACE);
    const next = this.#text[this.#at];
    if (next === '"') return this.#string();
    if ((next === "{" || next === "[") && depth >= MAX_DEPTH) return this.#skip();
    if (next === "{") return this.#object(depth);
    if (next === "[") return this.#array(depth);
    for (const [word, value] of [["null", null], ["true", true], ["false", false]] as const) {
      if (this.#take(word)) return value;
    }
    return this.#number();
  }

  #object(depth: number): JsonObject {
    // Without a prototype, `__proto__` is a name like any other.
    const object: JsonObject = Object.create(null);
    this.#at += 1;
    this.#match(SPACE);
    if (this.#take("}")) return object;
    for (;;) {
      this.#match(SPACE);
      if (this.#text[this.#at] !== '"') this.#fail("a member without a name");
      const name = this.#string();
      if (name in object) this.faults.push("a key stands twice in one object");
      this.#match(SPACE);
      if (!this.#take(":")) this.#fail("a name without a value");
      object[name] = this.#value(depth + 1);
      this.#match(SPACE);
      if (this.#take("}")) return object;
      if (!this.#take(",")) this.#fail("an object that is not closed");
    }
  }

  #array(depth: number): Json[] {
    const items: Json[] = [];
    this.#at += 1;
    this.#match(SPACE);
    if (this.#take("]")) return items;
    for (;;) {
      items.push(this.#value(depth + 1));
      this.#match(SPACE);
      if (this.#take("]")) return items;
      if (!this.#take(",")) this.#fail("an array that is not closed");
    }
  }

  #string(): string {
    this.#at += 1;
    let text = "";
    for (;;) {
      text += this.#match(PLAIN);
      if (this.#take('"')) break;
      if (!this.#take("\\")) this.#fail("a string that is not closed");
      const escape = this.#text[this.#at++] ?? "";
      const digits = this.#text.slice(this.#at, this.#at + 4);
      if (escape === "u" && /^[0-9a-fA-F]{4}$/.test(digits)) {
        text += String.fromCharCode(Number.parseInt(digits, 16));
        this.#at += 4;
      } else {
        text += ESCAPES[escape] ?? this.#fail("an escape that is none");
      }
    }
    if (/\p{Surrogate}/u.test(text)) this.#fail("half of a surrogate pair");
    return text;
  }

  #number(): number {
    const digits = this.#match(NUMBER);
    if (digits === "") this.#fail("no value");
    const number = Number(digits);
    if (!Number.isFinite(number) || (/^[-0-9]*$/.test(digits) && !Number.isSafeInteger(number))) {
      this.faults.push("a number is beyond ±(2^53 - 1), where JSON numbers stop being exact; write it as a string");
      return 0;
    }
    return number === 0 ? 0 : number;
  }

  /** Passes over what is nested too deeply, without recursion: the stack is finite. */
  #skip(): null {
    this.faults.push(`nested deeper than ${MAX_DEPTH} levels`);
    STRING_OR_BRACKET.lastIndex = this.#at;
    for (let level = 0; ; ) {
      const token = STRING_OR_BRACKET.exec(this.#text)?.[0] ?? this.#fail("an end in the middle");
      level += "[{".includes(token) ? 1 : "]}".includes(token) ? -1 : 0;
      if (level === 0) break;
    }
    this.#at = STRING_OR_BRACKET.lastIndex;
    return null;
  }

  #match(expression: RegExp): string {
    expression.lastIndex = this.#at;
    const found = expression.exec(this.#text)?.[0] ?? "";
    this.#at += found.length;
    return found;
  }

  #take(expected: string): boolean {
    const taken = this.#text.startsWith(expected, this.#at);
    if (taken) this.#at += expected.length;
    return taken;
  }

  #fail(what: string): never {
    throw new NotJson(`${what} at character ${this.#at}`);
  }
}

/** The one text of `value` (RFC 8785). */
export function canonical(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (!isObject(value)) return JSON.stringify(value);
  const members = Object.keys(value).sort().map((name) => `${JSON.stringify(name)}:${canonical(value[name]!)}`);
  return `{${members.join(",")}}`;
}

/** What a JSON pointer (RFC 6901) finds in `value`; `undefined` is nothing. */
export function follow(pointer: string, value: Json): Json | undefined {
  let found: Json | undefined = value;
  for (const part of pointer.split("/").slice(1)) {
    const token = part.replaceAll("~1", "/").replaceAll("~0", "~");
    if (Array.isArray(found)) found = /^(0|[1-9][0-9]{0,9})$/.test(token) ? found[Number(token)] : undefined;
    else found = isObject(found) && Object.hasOwn(found, token) ? found[token] : undefined;
  }
  return found;
}

export function isPointer(text: unknown): text is string {
  return typeof text === "string" && /^(?:\/(?:[^/~]|~[01])*)*$/.test(text);
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A name as a token of a JSON pointer. */
export function escaped(name: string): string {
  return name.replaceAll("~", "~0").replaceAll("/", "~1");
}
