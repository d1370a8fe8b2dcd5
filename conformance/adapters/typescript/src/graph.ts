/**
 * The task graph, read and checked once: whatever is wrong is said at once, and nothing runs (C3.2, C10.3).
 *
 * Plain data after that. The rules between tasks are in `checkEdges`, their order is in `order.ts`.
 */

import { canonical, escaped, isObject, isPointer, type Json, type JsonObject } from "./json.ts";
import { canonicalOrder } from "./order.ts";
import { Reader } from "./reader.ts";
import * as schemas from "./schema.ts";

const MAX_TASKS = 10_000;
const MAX_DEPENDENCIES = 1_000;
const MAX_SCHEMA_BYTES = 256 << 10;
const MAX_PROMPT_BYTES = 1 << 20;
const MAX_EDGES = 16;
const OPERATION_TIME_MS = 60_000;
const CAPS = { max_tokens: 10_000_000, max_time_ms: 86_400_000, max_retries: 100 };
const RUN_CAPS = {
  max_tokens: Number.MAX_SAFE_INTEGER,
  max_llm_calls: Number.MAX_SAFE_INTEGER,
  max_cpu_units: Number.MAX_SAFE_INTEGER,
  max_latency_ms: Number.MAX_SAFE_INTEGER,
};
const MODEL_NAME = /^[!#-;=?-[\]-_a-~]{1,128}$/;
const TYPES = ["deterministic", "model", "aggregation"] as const;
const POLICIES = ["continue_on_error", "fail_fast"];
const CONDITIONS = ["failure", "schema_mismatch", "confidence_below_threshold", "budget_remaining"] as const;

/** A placeholder in a prompt, `{{/pointer}}`, or `{{{{` for a literal `{{`. */
export const PLACEHOLDER = /\{\{(?:(?<literal>\{\{)|(?<pointer>[^]*?)\}\})/g;

export type Budget = Record<keyof typeof CAPS, number>;
export type Budgets = Partial<Record<keyof typeof RUN_CAPS, number>>;
export type Message = { role: string; content: string };

/** What a task does. */
export type Work =
  | { operation: string; args: JsonObject }
  | { model: string; messages: Message[]; parameters: JsonObject };

/** When this happens to a task, that task stands in for it. */
export interface Edge {
  on: (typeof CONDITIONS)[number];
  to: string;
  pointer: string;
  threshold: number;
  minTokens: number;
}

/** When a task is unnecessary, and what stands in its place. */
export interface SkipWhen {
  conditions: { from: string; pointer: string; equals: Json }[];
  output: Json;
  schema: Json;
}

/** One task, its budget complete. */
export interface Task {
  id: string;
  type: (typeof TYPES)[number];
  dependencies: string[];
  input: Json;
  work: Work;
  schema: Json;
  budget: Budget;
  skipWhen: SkipWhen | undefined;
  escalation: Edge[];
  localOnly: boolean;
  standsInFor: string | undefined;
  /** What of its schemas this backend cannot enforce. */
  unsupported: schemas.Fault[];
}

/** A graph that passed every check. `tasks` are in canonical order. */
export interface Graph {
  id: string;
  root: string;
  tasks: Task[];
  budgets: Budgets;
  failFast: boolean;
}

/** Whether a task asks a model. Everything else is deterministic work. */
export function isModel(task: Task): boolean {
  return task.type === "model";
}

/** The graph. Throws the `Refused` that says everything that is wrong with it. */
export function readGraph(document: Json): Graph {
  const reader = new Reader();
  checkVersion(reader, document);
  reader.refuse();
  const top = reader.fields(
    document,
    "",
    "kora_version graph_id root tasks defaults failure_policy budgets schema_version request_id tenant_id created_at",
    "graph_id root tasks",
  );
  const id = reader.id(top["graph_id"], "/graph_id");
  const version = given(top["schema_version"], "1.0");
  if (typeof version !== "string" || !/^1(\..*)?$/s.test(version)) {
    reader.wrong("version-mismatch", "/schema_version", "not read here", 'write "1.0"');
  }
  const defaults = reader.fields(given(top["defaults"], {}), "/defaults", "budget");
  const defaultBudget = reader.caps(given(defaults["budget"], {}), "/defaults/budget", CAPS);
  const budgets = reader.caps(given(top["budgets"], {}), "/budgets", RUN_CAPS);
  const policy = reader.word(given(top["failure_policy"], "continue_on_error"), "/failure_policy", POLICIES);
  const listed = reader.list(top["tasks"], "/tasks", MAX_TASKS);
  if (listed.length === 0) reader.wrong("empty-graph", "/tasks", "a graph without tasks", "declare at least the root");
  const tasks = listed.map((task, nth) => readTask(reader, task, `/tasks/${nth}`, defaultBudget));
  reader.refuse();
  checkEdges(reader, tasks, top["root"]);
  reader.refuse();
  const ordered = canonicalOrder(tasks);
  if ("cycle" in ordered) {
    reader.wrong("cycle", "/tasks", `these tasks wait for each other: ${ordered.cycle.join(" → ")}`, "take one away");
    return reader.refuse();
  }
  return { id, root: top["root"] as string, tasks: ordered.order, budgets, failFast: policy === "fail_fast" };
}

/** Before anything else: what another MAJOR means by the rest is not known here. */
function checkVersion(reader: Reader, document: Json): void {
  const found = isObject(document) ? document["kora_version"] : undefined;
  const parts = typeof found === "string" ? /^1\.(0|[1-9]\d{0,9})\.(0|[1-9]\d{0,9})$/.exec(found) : null;
  if (parts) reader.lenient = parts[1] !== "0";
  else reader.wrong("version-mismatch", "/kora_version", "not a version that is read here", 'declare "1.0.0"');
}

/** A member, or what its absence means. `null` is not absent. */
function given(value: Json | undefined, absent: Json): Json {
  return value === undefined ? absent : value;
}

/** One task by itself. */
function readTask(reader: Reader, document: Json, at: string, defaults: Partial<Budget>): Task {
  const task = reader.fields(
    document,
    at,
    "version id type dependencies input run schema budget routing metadata constraints skip_when escalation",
    "version id type dependencies input run schema",
  );
  const version = given(task["version"], "1.0");
  const newer = reader.lenient && typeof version === "string" && /^1\.\d{1,4}$/.test(version);
  if (version !== "1.0" && !newer) {
    reader.wrong("version-mismatch", `${at}/version`, "not read here", 'write "1.0"');
  }
  const type = reader.word(task["type"], `${at}/type`, TYPES);
  const dependencies = reader
    .list(given(task["dependencies"], []), `${at}/dependencies`, MAX_DEPENDENCIES)
    .map((id, nth) => reader.id(id, `${at}/dependencies/${nth}`));
  const routing = reader.fields(given(task["routing"], {}), `${at}/routing`, "preferred_backend priority");
  reader.word(given(routing["priority"], "normal"), `${at}/routing/priority`, ["normal", "high"]);
  reader.fields(given(task["metadata"], {}), `${at}/metadata`, "created_at trace_id");
  const constraints = reader.fields(given(task["constraints"], {}), `${at}/constraints`, "privacy");
  const privacy = reader.word(given(constraints["privacy"], "allow_remote"), `${at}/constraints/privacy`, [
    "local_only",
    "allow_remote",
  ]);
  if (!isObject(given(task["input"], {}))) reader.wrong("wrong-type", `${at}/input`, "this must be an object");
  if (type === "aggregation" && dependencies.length === 0) {
    reader.wrong("nothing-to-aggregate", `${at}/dependencies`, "an aggregation task without dependencies");
  }
  const declared = new Set(dependencies);
  if (declared.size < dependencies.length) {
    reader.wrong("duplicate-dependency", `${at}/dependencies`, "a dependency is declared twice");
  }
  const unsupported: schemas.Fault[] = [];
  const schema = readSchema(reader, given(task["schema"], true), `${at}/schema`, unsupported);
  const skip = task["skip_when"];
  const read: Task = {
    id: reader.id(task["id"], `${at}/id`),
    type,
    dependencies,
    input: given(task["input"], {}),
    work: readWork(reader, given(task["run"], {}), `${at}/run`, type),
    schema,
    budget: readBudget(reader, given(task["budget"], {}), `${at}/budget`, type, defaults),
    skipWhen:
      skip === undefined ? undefined : readSkip(reader, skip, `${at}/skip_when`, type, declared, schema, unsupported),
    escalation: reader
      .list(given(task["escalation"], []), `${at}/escalation`, MAX_EDGES)
      .map((edge, nth) => readEdge(reader, edge, `${at}/escalation/${nth}`)),
    localOnly: privacy === "local_only",
    standsInFor: undefined,
    unsupported,
  };
  checkReferences(reader, read.input, `${at}/input`, declared);
  if ("args" in read.work) checkReferences(reader, read.work.args, `${at}/run/args`, declared);
  if (read.skipWhen) checkReferences(reader, read.skipWhen.output, `${at}/skip_when/output`, declared);
  return read;
}

/** The caps of a task. KORA's default budget is one for model tasks. */
function readBudget(reader: Reader, document: Json, at: string, type: string, defaults: Partial<Budget>): Budget {
  const own = reader.caps(document, at, CAPS);
  const none = { max_tokens: 0, max_time_ms: OPERATION_TIME_MS, max_retries: 0 };
  if (type !== "model") {
    if (own.max_tokens) reader.wrong("tokens-without-model", `${at}/max_tokens`, "tokens for a task without a model");
    return { ...none, ...own };
  }
  const budget = { ...defaults, ...own };
  for (const cap of Object.keys(CAPS)) {
    if (!(cap in budget)) reader.wrong("missing-budget", at, `a model task without \`${cap}\``);
  }
  return { ...none, ...budget };
}

/** What the task does. A prompt becomes a conversation of one message. */
function readWork(reader: Reader, run: Json, at: string, type: string): Work {
  const nothing: Work = { operation: "", args: {} };
  if (!isObject(run) || ("operation" in run || "args" in run) === "model" in run) {
    reader.wrong("mixed-run", at, "`run` names either an operation or a model");
    return nothing;
  }
  if ("model" in run !== (type === "model")) {
    reader.wrong("model" in run ? "model-not-allowed" : "operation-not-allowed", at, "not for this type of task");
  }
  if (!("model" in run)) {
    reader.fields(run, at, "operation args", "operation");
    const args = given(run["args"], {});
    if (!isObject(args)) reader.wrong("wrong-type", `${at}/args`, "this must be an object");
    return { operation: reader.id(run["operation"], `${at}/operation`), args: isObject(args) ? args : {} };
  }
  reader.fields(run, at, "model prompt messages parameters");
  const model = run["model"];
  if (typeof model !== "string" || !MODEL_NAME.test(model)) {
    reader.wrong("invalid-id", `${at}/model`, "not the name of a model");
    return nothing;
  }
  if ("prompt" in run === "messages" in run) {
    reader.wrong("missing-field", at, "`run` needs either `prompt` or `messages`");
    return nothing;
  }
  const parameters = readParameters(reader, given(run["parameters"], {}), `${at}/parameters`);
  if ("prompt" in run) {
    const content = readPrompt(reader, run["prompt"], `${at}/prompt`);
    return { model, parameters, messages: [{ role: "user", content }] };
  }
  const messages = reader.list(run["messages"], `${at}/messages`, 1_000).map((message, nth) => {
    const place = `${at}/messages/${nth}`;
    const fields = reader.fields(message, place, "role content", "role content");
    const role = reader.word(fields["role"], `${place}/role`, ["system", "user", "assistant"]);
    return { role, content: readPrompt(reader, fields["content"], `${place}/content`) };
  });
  if (messages.length === 0) reader.wrong("invalid-prompt", `${at}/messages`, "no messages");
  return { model, parameters, messages };
}

function readPrompt(reader: Reader, content: Json | undefined, at: string): string {
  if (typeof content !== "string" || Buffer.byteLength(content) > MAX_PROMPT_BYTES) {
    reader.wrong("invalid-prompt", at, `a prompt is a text of at most ${MAX_PROMPT_BYTES} bytes`);
    return "";
  }
  for (const found of content.matchAll(PLACEHOLDER)) {
    if (!found.groups?.["literal"] && !isPointer(found.groups?.["pointer"]?.trim())) {
      reader.wrong("invalid-prompt", at, "a placeholder that holds no JSON pointer", "write `{{/name}}`");
    }
  }
  if (content.replace(PLACEHOLDER, "").includes("{{")) {
    reader.wrong("invalid-prompt", at, "a placeholder that is not closed", "write `{{{{` for a literal `{{`");
  }
  return content;
}

function readParameters(reader: Reader, document: Json, at: string): JsonObject {
  const parameters = reader.fields(document, at, "seed temperature top_p");
  const isSound: Record<string, (value: number) => boolean> = {
    seed: (value) => Number.isSafeInteger(value) && value >= 0,
    temperature: (value) => value >= 0 && value <= 2,
    top_p: (value) => value > 0 && value <= 1,
  };
  for (const [name, check] of Object.entries(isSound)) {
    const value = parameters[name];
    if (value !== undefined && (typeof value !== "number" || !check(value))) {
      reader.wrong("invalid-parameter", `${at}/${name}`, "out of range");
    }
  }
  return parameters;
}

/** The schema, closed. What this backend cannot enforce is kept for a refusal of its own. */
function readSchema(reader: Reader, document: Json, at: string, unsupported: schemas.Fault[]): Json {
  if (Buffer.byteLength(canonical(document)) > MAX_SCHEMA_BYTES) {
    reader.wrong("schema-too-large", at, `a schema of more than ${MAX_SCHEMA_BYTES} bytes`);
    return true;
  }
  for (const fault of schemas.faults(document)) {
    if (fault.invalid) reader.wrong("invalid-schema", at + fault.pointer, fault.message);
    else unsupported.push(fault);
  }
  return schemas.close(document);
}

function readSkip(
  reader: Reader,
  document: Json,
  at: string,
  type: string,
  declared: Set<string>,
  taskSchema: Json,
  unsupported: schemas.Fault[],
): SkipWhen {
  if (type !== "model") {
    reader.wrong("invalid-skip", at, "only a model can be unnecessary: `skip_when` is for model tasks");
  }
  const skip = reader.fields(document, at, "any_of output schema", "any_of output");
  const conditions = reader.list(given(skip["any_of"], []), `${at}/any_of`, 10_000).map((document, nth) => {
    const place = `${at}/any_of/${nth}`;
    const condition = reader.fields(document, place, "$from pointer equals", "$from equals");
    const from = condition["$from"];
    if (typeof from !== "string" || !declared.has(from)) {
      reader.wrong("undeclared-reference", place, "not a declared dependency", "add it to `dependencies`");
    }
    const pointer = reader.pointer(given(condition["pointer"], ""), `${place}/pointer`);
    return { from: String(from), pointer, equals: given(condition["equals"], null) };
  });
  if (conditions.length === 0) reader.wrong("invalid-skip", `${at}/any_of`, "no conditions");
  const own = skip["schema"];
  return {
    conditions,
    output: given(skip["output"], null),
    schema: own === undefined ? taskSchema : readSchema(reader, own, `${at}/schema`, unsupported),
  };
}

/** An escalation edge. Each condition has fields of its own, and no others. */
function readEdge(reader: Reader, document: Json, at: string): Edge {
  const on = reader.word(isObject(document) ? document["on"] : undefined, `${at}/on`, CONDITIONS);
  const needed =
    on === "confidence_below_threshold" ? "threshold" : on === "budget_remaining" ? "min_tokens" : "";
  const pointer = needed === "threshold" ? " pointer" : "";
  const edge = reader.fields(document, at, `on to ${needed}${pointer}`, `to ${needed}`);
  const minTokens = reader.number(given(edge["min_tokens"], 0), `${at}/min_tokens`);
  if (!Number.isInteger(minTokens) || minTokens < 0) {
    reader.wrong("invalid-escalation", `${at}/min_tokens`, "this must be a whole number");
  }
  return {
    on,
    to: reader.id(edge["to"], `${at}/to`),
    pointer: reader.pointer(given(edge["pointer"], "/confidence"), `${at}/pointer`),
    threshold: reader.number(given(edge["threshold"], 0), `${at}/threshold`),
    minTokens,
  };
}

/** References, `{"$from": task, "pointer": "/…"}`, name declared dependencies and nothing else. */
function checkReferences(reader: Reader, template: Json, at: string, declared: Set<string>): void {
  if (Array.isArray(template)) {
    template.forEach((item, nth) => checkReferences(reader, item, `${at}/${nth}`, declared));
  } else if (isObject(template) && "$from" in template) {
    const { $from: from, pointer, ...others } = template;
    if (typeof from !== "string" || Object.keys(others).length > 0) {
      reader.wrong("invalid-reference", at, 'a reference is {"$from": "task", "pointer": "/path"}');
    } else if (!declared.has(from)) {
      reader.wrong("undeclared-reference", at, "not a declared dependency", "add it to `dependencies`");
    }
    reader.pointer(pointer ?? "", at);
  } else if (isObject(template)) {
    for (const [name, member] of Object.entries(template)) {
      checkReferences(reader, member, `${at}/${escaped(name)}`, declared);
    }
  }
}

/** The rules between tasks: unique ids, known dependencies, and targets that stand in for one task only. */
function checkEdges(reader: Reader, tasks: Task[], root: Json | undefined): void {
  const byId = new Map<string, Task>();
  tasks.forEach((task, nth) => {
    if (byId.has(task.id)) reader.wrong("duplicate-id", `/tasks/${nth}/id`, `a second task with the id \`${task.id}\``);
    else byId.set(task.id, task);
  });
  if (typeof root !== "string" || !byId.has(root)) {
    reader.wrong("unknown-root", "/root", "the root is no task of the graph");
  }
  tasks.forEach((task, nth) => {
    for (const edge of task.escalation) {
      const at = `/tasks/${nth}/escalation`;
      const target = byId.get(edge.to);
      if (!target) {
        reader.wrong("unknown-escalation-target", at, `\`${edge.to}\` is no task of the graph`);
      } else if (target === task || edge.to === root || ![undefined, task.id].includes(target.standsInFor)) {
        reader.wrong("escalation-target-not-dormant", at, `\`${edge.to}\` cannot stand in for this task alone`);
      } else {
        target.standsInFor = task.id;
      }
    }
  });
  tasks.forEach((task, nth) => {
    const at = `/tasks/${nth}/dependencies`;
    for (const id of task.dependencies) {
      const dependency = byId.get(id);
      const edges = dependency?.escalation.filter((edge) => edge.to === task.id) ?? [];
      if (!dependency) {
        reader.wrong("unknown-dependency", at, `\`${id}\` is no task of the graph`);
      } else if (dependency.standsInFor !== undefined) {
        reader.wrong("escalation-target-not-dormant", at, `\`${id}\` may never run: name its source`);
      } else if (id === task.standsInFor && edges.some((edge) => edge.on !== "confidence_below_threshold")) {
        reader.wrong("escalation-target-not-dormant", at, `\`${id}\` may have no output to depend on`);
      }
    }
  });
}
