/**
 * One question to a model: streamed, to be cut off at the token cap, at the deadline, or when nobody wants it.
 *
 * Speaks to an OpenAI-compatible server over plain HTTP. Each call has a connection of its own: closing it is what
 * makes a server stop generating, and spending.
 */

import { once } from "node:events";
import * as http from "node:http";

import type { Message } from "./graph.ts";
import type { Json, JsonObject } from "./json.ts";

const MAX_LINE_BYTES = 1 << 20;
const MAX_REPLY_BYTES = 16 << 20;
/** A piece that is longer counts as several tokens, so that nobody can send everything as one. */
const MAX_TOKEN_BYTES = 1024;

/** Nobody wants the run any more. */
export class Cancelled extends Error {}

/** What to ask, and what the answer may cost. */
export interface Question {
  model: string;
  messages: Message[];
  parameters: JsonObject;
  schema: Json;
  maxTokens: number;
  /** By `performance.now`. */
  deadline: number;
}

/** What came back. */
export interface Answer {
  /** Whether it was said to the end, or what ended it. */
  end: "said" | "tokens" | "time" | "transient" | "final";
  message: string;
  /** Raw: only the schema gate reads it. */
  text: string;
  tokensIn: number;
  tokensOut: number;
  /** Whether a count was not told, and is the most that it can have been. */
  estimated: boolean;
}

class Ended extends Error {
  readonly end: Answer["end"];

  constructor(end: Answer["end"], message: string) {
    super(message);
    this.end = end;
  }
}

/** What a call has spent so far. Unknown is never zero. */
interface Spent {
  /** Counted as they came; `undefined` once the request is on its way and nothing came yet. */
  counted: number | undefined;
  toldIn: number | undefined;
  toldOut: number;
}

/** An OpenAI-compatible server. */
export class ModelServer {
  readonly #url: URL;

  constructor(baseUrl: string) {
    this.#url = new URL(`${baseUrl.replace(/\/+$/, "")}/`);
    if (this.#url.protocol !== "http:") throw new TypeError("`base_url` is not an http URL");
  }

  /** Whether what is sent there stays on this machine. */
  get isLocal(): boolean {
    return /^(localhost|\[::1\]|127(\.\d+){3})$/.test(this.#url.hostname);
  }

  /** Whether it answers at all. */
  async answers(): Promise<boolean> {
    try {
      const request = http.get(new URL("models", this.#url), { agent: false, signal: AbortSignal.timeout(1_000) });
      const [response] = (await once(request, "response")) as [http.IncomingMessage];
      response.destroy();
      return (response.statusCode ?? 500) < 500;
    } catch {
      return false;
    }
  }

  /** Asks once. Throws `Cancelled`; everything else is an answer. */
  async ask(question: Question, stop: AbortSignal): Promise<Answer> {
    const spent: Spent = { counted: 0, toldIn: 0, toldOut: 0 };
    const text: string[] = [];
    let end: Answer["end"] = "said";
    let message = "";
    try {
      await this.#converse(question, stop, spent, text);
    } catch (error) {
      if (!(error instanceof Ended)) throw error;
      ({ end, message } = error);
    }
    if (stop.aborted) throw new Cancelled();
    const promptBytes = question.messages.reduce((sum, message) => sum + Buffer.byteLength(message.content), 0);
    return {
      end,
      message,
      text: end === "said" ? text.join("") : "",
      tokensIn: spent.toldIn ?? promptBytes,
      tokensOut: Math.max(spent.counted ?? question.maxTokens, spent.toldOut),
      estimated: (spent.counted === undefined && spent.toldOut === 0) || spent.toldIn === undefined,
    };
  }

  async #converse(question: Question, stop: AbortSignal, spent: Spent, text: string[]): Promise<void> {
    const isLate = (): boolean => performance.now() >= question.deadline;
    if (isLate()) throw new Ended("time", "no time is left");
    const deadline = new AbortController();
    // The clock of timers may be a little behind the one that is read.
    const timer = setTimeout(() => deadline.abort(), Math.min(question.deadline - performance.now() + 1, 2 ** 31 - 1));
    const request = http.request(new URL("chat/completions", this.#url), {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      agent: false,
      signal: AbortSignal.any([stop, deadline.signal]),
    });
    request.once("socket", (socket) => {
      socket.once("connect", () => {
        // From here on nobody knows what is spent, until tokens come or a count is told.
        spent.counted = spent.toldIn = undefined;
      });
    });
    try {
      request.end(bodyOf(question));
      const [response] = (await once(request, "response")) as [http.IncomingMessage];
      const status = response.statusCode ?? 0;
      spent.counted = 0;
      if (status !== 200) {
        // Turned down before anything was generated.
        spent.toldIn = 0;
        const passes = status >= 500 || [408, 425, 429].includes(status);
        throw new Ended(passes ? "transient" : "final", `the server answered ${status}`);
      }
      await readEvents(response, question, spent, text);
      if (isLate()) throw new Ended("time", "no complete reply in time");
    } catch (error) {
      if (error instanceof Ended || stop.aborted) throw error instanceof Ended ? error : new Cancelled();
      if (isLate()) throw new Ended("time", "no complete reply in time");
      throw new Ended("transient", `no reply as agreed on (${error instanceof Error ? error.name : "unknown"})`);
    } finally {
      clearTimeout(timer);
      request.destroy();
    }
  }
}

function bodyOf(question: Question): string {
  return JSON.stringify({
    model: question.model,
    messages: question.messages,
    stream: true,
    stream_options: { include_usage: true },
    max_tokens: question.maxTokens,
    temperature: 0,
    ...question.parameters,
    response_format: { type: "json_schema", json_schema: { name: "output", schema: question.schema } },
  });
}

/** Reads events until the end of the stream, and not one token beyond the cap. */
async function readEvents(
  response: http.IncomingMessage,
  question: Question,
  spent: Spent,
  text: string[],
): Promise<void> {
  let finish: string | undefined;
  let size = 0;
  for await (const data of dataOf(response)) {
    if (data === "[DONE]") return checkFinish(finish);
    const event = JSON.parse(data);
    if (event.error) throw new Ended("transient", "the server reported an error instead of a reply");
    if ((event.model ?? question.model) !== question.model) {
      throw new Ended("final", "the server answered with another model than the one asked for");
    }
    spent.toldIn = count(event.usage?.prompt_tokens) ?? spent.toldIn;
    spent.toldOut = Math.max(spent.toldOut, count(event.usage?.completion_tokens) ?? 0);
    const choice = event.choices?.[0];
    const piece = String(choice?.delta?.content ?? "");
    const length = Buffer.byteLength(piece);
    size += length;
    spent.counted = (spent.counted ?? 0) + Math.ceil(length / MAX_TOKEN_BYTES);
    text.push(piece);
    finish = choice?.finish_reason ?? finish;
    if (Math.max(spent.counted, spent.toldOut) > question.maxTokens || finish === "length") {
      throw new Ended("tokens", "cut off at the token cap");
    }
    if (size > MAX_REPLY_BYTES) throw new Ended("final", "the reply is too large");
  }
  if (finish === undefined) throw new Error("the stream ended early");
  checkFinish(finish);
}

function checkFinish(finish: string | undefined): void {
  if (finish === "content_filter") throw new Ended("final", "the reply was withheld");
}

/** What the events of a stream hold. */
async function* dataOf(response: http.IncomingMessage): AsyncGenerator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let rest = "";
  for await (const chunk of response) {
    rest += decoder.decode(chunk as Uint8Array, { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > MAX_LINE_BYTES) throw new Error("a line that is too long");
    for (const line of lines) {
      if (line.startsWith("data:")) yield line.slice(5).trim();
    }
  }
}

/** A number of tokens as a server tells it, if it is one. */
function count(told: unknown): number | undefined {
  return Number.isSafeInteger(told) && Number(told) >= 0 ? Number(told) : undefined;
}
