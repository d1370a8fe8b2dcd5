/** The stdio protocol 1.0: one JSON object a line. Standard output carries nothing else; logs go to standard error. */

import type { Readable, Writable } from "node:stream";

import { isObject, type Json, type JsonObject, NotJson, read } from "./json.ts";

export const VERSION = "1.0";
const MAX_LINE_BYTES = 64 << 20;

/** A line that was read. */
export interface Request {
  id: number;
  verb: Json | undefined;
  document: JsonObject;
  /** What is wrong with its JSON though it is JSON: two readers could see two documents. */
  faults: string[];
}

/** Lines in, lines out. Answers may be written in any order. */
export class Connection {
  readonly #input: Readable;
  readonly #output: Writable;

  constructor(input: Readable, output: Writable) {
    this.#input = input;
    this.#output = output;
  }

  /** Every request until the end of the input. A line that is none is answered here. */
  async *requests(): AsyncGenerator<Request> {
    for await (const line of this.#lines()) {
      const request = line && this.#request(line);
      if (request) yield request;
    }
  }

  ok(id: number, result: Json): void {
    this.#write({ id, ok: result });
  }

  refused(id: number, refusal: JsonObject): void {
    this.#write({ id, refused: refusal });
  }

  cancelled(id: number): void {
    this.#write({ id, cancelled: {} });
  }

  unsupported(id: number, reason: string): void {
    this.#write({ id, unsupported: { reason } });
  }

  error(id: number | null, message: string): void {
    this.#write({ id, error: { message } });
  }

  #request(line: Buffer): Request | undefined {
    try {
      const text = new TextDecoder("utf-8", { fatal: true }).decode(line);
      if (text.trim() === "") return undefined;
      const { value: document, faults } = read(text);
      const id = isObject(document) ? document["id"] : undefined;
      if (isObject(document) && Number.isSafeInteger(id) && Number(id) >= 0) {
        return { id: Number(id), verb: document["verb"], document, faults };
      }
      this.error(null, "a request is an object with an `id` and a `verb`");
    } catch (error) {
      this.error(null, `not a line of JSON: ${error instanceof NotJson ? error.message : "not UTF-8"}`);
    }
    return undefined;
  }

  async *#lines(): AsyncGenerator<Buffer> {
    let pieces: Buffer[] = [];
    let size = 0;
    for await (const chunk of this.#input) {
      let rest = chunk as Buffer;
      for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
        const last = rest.subarray(0, end);
        rest = rest.subarray(end + 1);
        if (size + last.length <= MAX_LINE_BYTES) yield Buffer.concat([...pieces, last]);
        else this.error(null, `a line of more than ${MAX_LINE_BYTES} bytes`);
        pieces = [];
        size = 0;
      }
      size += rest.length;
      // What is too long is passed over, not kept.
      pieces = size <= MAX_LINE_BYTES ? [...pieces, rest] : [];
    }
    if (size > 0) yield Buffer.concat(pieces);
  }

  #write(message: JsonObject): void {
    this.#output.write(`${JSON.stringify(message)}\n`);
  }
}
