/**
 * A small complete backend that speaks the stdio protocol: `node dist/backend.js`.
 *
 * Runs are made one at a time; health, capabilities and cancellation are answered meanwhile.
 */

import { createHash } from "node:crypto";

import { type Graph, isModel, readGraph } from "./graph.ts";
import { canonical, isObject, type Json, type JsonObject } from "./json.ts";
import { Cancelled, ModelServer } from "./model.ts";
import * as operations from "./operations.ts";
import { Connection, type Request, VERSION } from "./protocol.ts";
import { Refused } from "./reader.ts";
import { Run } from "./run.ts";

const NAME = "small-typescript-backend";
const BACKEND_VERSION = "1.0.0";
const INTERFACE_VERSION = "1.0.0";
const MAX_RUNS = 64;

interface Model {
  id: string;
  tier: string | null;
  context: number | null;
}

interface Context {
  runId: string;
  traceId: string;
}

/** The contract's three methods over documents: `execute`, `health` and `capabilities`. */
class Backend {
  readonly #models: Model[];
  readonly #server: ModelServer | undefined;
  #active = 0;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(models: Model[], server: ModelServer | undefined) {
    this.#models = models;
    this.#server = server;
  }

  /** Runs a graph to its result. Throws `Refused` if nothing ran, `Cancelled` if nobody wants it any more. */
  async execute(graphDocument: Json, contextDocument: Json, stop: AbortSignal): Promise<JsonObject> {
    const context = readContext(contextDocument);
    const graph = readGraph(graphDocument);
    const models = this.#plan(graph);
    return this.#inTurn(stop, async () => {
      const began = performance.now();
      const outcome = await new Run(graph, models, this.#server, stop).execute();
      return {
        ...outcome,
        execution_metadata: {
          run_id: context.runId,
          trace_id: context.traceId,
          backend: "local",
          backend_version: BACKEND_VERSION,
          interface_version: INTERFACE_VERSION,
          graph_id: graph.id,
          graph_digest: `sha256:${createHash("sha256").update(canonical(graphDocument)).digest("hex")}`,
          duration_ms: Math.floor(performance.now() - began),
        },
      };
    });
  }

  /** Whether a run would be taken now (C3.5). */
  async health(): Promise<JsonObject> {
    const reachable = this.#server === undefined || (await this.#server.answers());
    return {
      status: reachable ? "healthy" : "degraded",
      capacity_summary: { active_runs: this.#active, max_concurrency: 1 },
      backend_version: BACKEND_VERSION,
    };
  }

  /** What can be run (C3.6). What is not said here, nobody may assume. */
  capabilities(): JsonObject {
    const windows = this.#models.flatMap((model) => (model.context === null ? [] : [model.context]));
    return {
      max_model_size: null,
      max_concurrency: 1,
      supported_task_types: ["deterministic", ...(this.#models.length > 0 ? ["model"] : []), "aggregation"],
      supported_context_window: windows.length > 0 ? Math.max(...windows) : null,
      distributed: false,
      models: this.#models.map(({ id, tier, context }) => ({ model_id: id, tier, context_tokens: context })),
      operations: operations.names(),
      extensions: [],
    };
  }

  /** Does `work` when everything before it is done: that is what `max_concurrency` promises. */
  async #inTurn<T>(stop: AbortSignal, work: () => Promise<T>): Promise<T> {
    const before = this.#turn;
    const mine = before.then(async () => {
      if (stop.aborted) throw new Cancelled();
      this.#active += 1;
      try {
        return await work();
      } finally {
        this.#active -= 1;
      }
    });
    this.#turn = mine.catch(() => undefined);
    const stopped = new Promise<never>((_, reject) => {
      stop.addEventListener("abort", () => reject(new Cancelled()), { once: true });
    });
    return Promise.race([mine, stopped]);
  }

  /** Which model answers each model task. Throws `Refused` for all that is beyond the capabilities (C3.7). */
  #plan(graph: Graph): Map<string, string> {
    const models = new Map<string, string>();
    const unmet: { task_id: string; capability: string; offered: string }[] = [];
    for (const task of graph.tasks) {
      const lacks = (capability: string, offered: string): void => {
        unmet.push({ task_id: task.id, capability, offered });
      };
      for (const fault of task.unsupported) lacks("schemas", `${fault.pointer || "/"}: ${fault.message}`);
      if ("operation" in task.work) {
        const fault = operations.fault(task.work.operation, task.work.args);
        if (fault) lacks("operations", fault);
      } else if (isModel(task)) {
        // Exactly the declared model, or the first of the declared tier: never a heavier one (C11.3).
        const declared = task.work.model;
        const model = this.#models.find(({ id, tier }) => id === declared || tier === declared);
        if (!model) lacks("models", `no model or tier is called \`${declared}\``);
        else if (task.localOnly && !this.#server?.isLocal) {
          lacks("models", `\`${declared}\` is served elsewhere, and the task is \`local_only\``);
        } else if (task.budget.max_tokens > (model.context ?? Infinity)) {
          lacks("supported_context_window", "`max_tokens` does not fit the model's window");
        } else models.set(task.id, model.id);
      }
    }
    if (unmet.length === 0) return models;
    const said = unmet.slice(0, 20).map(({ task_id, offered }) => `task \`${task_id}\`: ${offered}`);
    throw new Refused("VALIDATION_ERROR", `beyond this backend's capabilities: ${said.join("; ")}`, { unmet });
  }
}

/** The context. Throws the `Refused` that says what is wrong. Fields that are not known here are accepted. */
function readContext(document: Json): Context {
  const context = isObject(document) ? document : {};
  const { run_id: runId, trace_id: traceId, user_id: userId, backend_mode: mode } = context;
  const version = context["interface_version"] ?? INTERFACE_VERSION;
  // First: what another MAJOR means by the other fields is not known here (C10.3).
  if (typeof version === "string" && !/^1(\.(0|[1-9]\d*)){0,2}$/.test(version)) {
    throw new Refused("VERSION_MISMATCH", `interface version ${INTERFACE_VERSION} is what there is`);
  }
  const violations: { pointer: string; message: string }[] = [];
  for (const [name, value] of Object.entries({ run_id: runId, trace_id: traceId, user_id: userId ?? "none" })) {
    if (isName(value)) continue;
    violations.push({ pointer: `/${name}`, message: "write a text of 1 to 128 bytes without control characters" });
  }
  if (mode !== "local" && mode !== "krako") {
    violations.push({ pointer: "/backend_mode", message: 'write "local" or "krako"' });
  }
  if (typeof version !== "string") {
    violations.push({ pointer: "/interface_version", message: "write a version as a text" });
  }
  if (violations.length > 0) {
    const said = violations.map(({ pointer, message }) => `${pointer}: ${message}`).join("; ");
    const details = { document: "execution_context", violations };
    throw new Refused("VALIDATION_ERROR", `invalid \`execution_context\`: ${said}`, details);
  }
  if (mode !== "local") {
    throw new Refused("VALIDATION_ERROR", "the context asks for backend `krako`, and this is `local`");
  }
  return { runId: runId as string, traceId: traceId as string };
}

function isName(name: Json | undefined): boolean {
  return typeof name === "string" && name !== "" && Buffer.byteLength(name) <= 128 && !/\p{Cc}/u.test(name);
}

/** One conversation: `hello` first, then everything else. */
class Session {
  readonly #connection: Connection;
  readonly #runs = new Map<number, { stop: AbortController; answered: Promise<void> }>();
  #backend: Backend | undefined;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Until `shutdown`, or the end of the input, which means the same. */
  async serve(): Promise<void> {
    for await (const request of this.#connection.requests()) {
      if (request.verb === "shutdown") {
        await this.#stopAll();
        this.#connection.ok(request.id, {});
        return;
      }
      this.#answer(request);
    }
    await this.#stopAll();
  }

  #answer(request: Request): void {
    const backend = this.#backend;
    if (request.verb === "hello") {
      this.#hello(request);
    } else if (!backend) {
      this.#connection.unsupported(request.id, "say `hello` first");
    } else if (request.verb === "capability_descriptor") {
      this.#connection.ok(request.id, backend.capabilities());
    } else if (request.verb === "health_check") {
      void backend.health().then((status) => this.#connection.ok(request.id, status));
    } else if (request.verb === "execute_taskgraph") {
      this.#execute(request, backend);
    } else if (request.verb === "cancel") {
      this.#runs.get(request.document["target"] as number)?.stop.abort();
      this.#connection.ok(request.id, {});
    } else {
      this.#connection.unsupported(request.id, "this backend does not know this verb");
    }
  }

  #hello(request: Request): void {
    const { protocol, models: offered } = request.document;
    if (typeof protocol !== "string" || protocol.split(".")[0] !== VERSION.split(".")[0]) {
      return this.#connection.error(request.id, `protocol ${VERSION} is spoken here`);
    }
    try {
      const models = isObject(offered) ? readModels(offered["models"] ?? []) : [];
      const baseUrl = isObject(offered) ? offered["base_url"] : undefined;
      this.#backend = new Backend(models, models.length > 0 ? new ModelServer(String(baseUrl)) : undefined);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      return this.#connection.error(request.id, "`models` is not what protocol 1.0 says");
    }
    this.#connection.ok(request.id, {
      protocol: VERSION, name: NAME, version: BACKEND_VERSION, backend_mode: "local",
    });
  }

  #execute(request: Request, backend: Backend): void {
    const { id } = request;
    if (this.#runs.has(id)) return this.#connection.error(null, "a run with this id is under way");
    if (this.#runs.size >= MAX_RUNS) {
      const refusal = new Refused("UNAVAILABLE", `${MAX_RUNS} runs are under way; try again later`);
      return this.#connection.refused(id, refusal.document);
    }
    const stop = new AbortController();
    const answered = this.#run(request, backend, stop.signal).finally(() => this.#runs.delete(id));
    this.#runs.set(id, { stop, answered });
  }

  async #run({ id, document, faults }: Request, backend: Backend, stop: AbortSignal): Promise<void> {
    try {
      if (faults.length > 0) throw new Refused("VALIDATION_ERROR", `invalid request: ${faults[0]}`);
      const { taskgraph = null, execution_context: context = null } = document;
      this.#connection.ok(id, await backend.execute(taskgraph, context, stop));
    } catch (error) {
      if (error instanceof Refused) this.#connection.refused(id, error.document);
      else if (error instanceof Cancelled) this.#connection.cancelled(id);
      else {
        console.error("a bug:", error);
        this.#connection.error(id, "a bug of this backend");
      }
    }
  }

  /** Stops every run, and waits until each has been answered. */
  async #stopAll(): Promise<void> {
    const runs = [...this.#runs.values()];
    for (const { stop } of runs) stop.abort();
    await Promise.all(runs.map(({ answered }) => answered));
  }
}

function readModels(offered: Json): Model[] {
  if (!Array.isArray(offered)) throw new TypeError("not a list of models");
  return offered.map((model) => {
    const { id, tier, context_tokens: context } = isObject(model) ? model : {};
    if (typeof id !== "string") throw new TypeError("a model without an id");
    return {
      id,
      tier: typeof tier === "string" ? tier : null,
      context: typeof context === "number" ? context : null,
    };
  });
}

await new Session(new Connection(process.stdin, process.stdout)).serve();
// What is still under way was stopped; what was written goes out first.
process.stdin.destroy();
