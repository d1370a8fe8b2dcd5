/**
 * One run of one graph: what it means, said once and plainly.
 *
 * Tasks run one after the other in canonical order, except that what needs no model goes first (C11.2). Budgets only go
 * down. Every task has a record on every path, and the totals are sums over the records (C8.1, C8.2).
 */

import { setImmediate as breathe, setTimeout as sleep } from "node:timers/promises";

import { type Graph, isModel, type Message, PLACEHOLDER, type Task } from "./graph.ts";
import { canonical, follow, isObject, type Json, type JsonObject } from "./json.ts";
import { type Answer, Cancelled, type ModelServer } from "./model.ts";
import * as operations from "./operations.ts";
import { unbounded } from "./schema.ts";
import { breach, Failed, State } from "./state.ts";

const MAX_FILLED = 64 << 20;
const BACKOFF_MS = 50;
const STAGE = { deterministic: "DETERMINISTIC_EXECUTION", model: "MODEL_INVOCATION", aggregation: "AGGREGATION" };

/** The run's own time is over. */
class LatencyExceeded extends Error {}

/** Runs a graph. `models` has, for each model task, the model that answers it. */
export class Run {
  readonly #graph: Graph;
  readonly #models: Map<string, string>;
  readonly #server: ModelServer | undefined;
  readonly #stop: AbortSignal;
  readonly #states: State[];
  readonly #byId: Map<string, State>;
  readonly #dependents = new Map<string, State[]>();
  /** What needs no model and may run now. */
  readonly #free: State[] = [];
  readonly #started = performance.now();
  readonly #endsAt: number;
  #nextRank = 0;
  /** Nothing after this rank counts (fail_fast). */
  #cut: number;
  #tokens = 0;
  #calls = 0;
  #units = 0;

  constructor(graph: Graph, models: Map<string, string>, server: ModelServer | undefined, stop: AbortSignal) {
    this.#graph = graph;
    this.#models = models;
    this.#server = server;
    this.#stop = stop;
    this.#endsAt = this.#started + (graph.budgets.max_latency_ms ?? Infinity);
    this.#states = graph.tasks.map((task, rank) => new State(task, rank));
    this.#byId = new Map(this.#states.map((state) => [state.task.id, state]));
    this.#cut = this.#states.length;
    for (const state of this.#states) {
      for (const dependency of state.task.dependencies) {
        this.#dependents.set(dependency, [...(this.#dependents.get(dependency) ?? []), state]);
      }
      this.#waitLess(state, 0);
    }
  }

  /** The outcome: everything of a result but the metadata. Throws `Cancelled`. */
  async execute(): Promise<JsonObject> {
    try {
      for (let state = this.#next(); state; state = this.#next()) {
        // Operations alone would never let `cancel` be read.
        if (state.rank % 64 === 0) await breathe();
        this.#checkStop();
        this.#checkLatency();
        await this.#runTask(state);
      }
    } catch (error) {
      if (!(error instanceof LatencyExceeded)) throw error;
      this.#failLate();
    }
    this.#states.slice(this.#cut + 1).forEach((state) => state.discard());
    return this.#outcome();
  }

  /** The next task: the first that needs no model and is ready, or else the first in canonical order. */
  #next(): State | undefined {
    while (this.#states[this.#nextRank]?.settled) this.#nextRank += 1;
    if (this.#nextRank > this.#cut) return undefined;
    for (let state = this.#free.shift(); state; state = this.#free.shift()) {
      if (!state.settled && state.rank <= this.#cut && this.#mayOvertake(state.task)) return state;
    }
    return this.#states[this.#nextRank];
  }

  /** Whether it makes no difference to others that the task runs before its turn. */
  #mayOvertake(task: Task): boolean {
    const asksForTheRest = task.escalation.some((edge) => edge.on === "budget_remaining");
    return this.#graph.budgets.max_cpu_units === undefined && !asksForTheRest;
  }

  // One task

  async #runTask(state: State): Promise<void> {
    const { task } = state;
    let ran = true;
    try {
      for (const dependency of task.dependencies) {
        if (this.#outputFor(task, dependency) === undefined) {
          throw new Failed("DEPENDENCY_FAILURE", `dependency \`${dependency}\` has no output`);
        }
      }
      if (this.#isUnnecessary(task)) {
        this.#skip(state);
        ran = false;
      } else if (isModel(task)) {
        await this.#runModel(state);
      } else {
        this.#runOperation(state);
      }
    } catch (error) {
      if (!(error instanceof Failed)) throw error;
      state.fail(error);
    }
    state.settled = true;
    const target = ran ? this.#edgeToTake(state) : undefined;
    for (const edge of task.escalation) {
      if (edge.to !== target) this.#leaveDormant(this.#byId.get(edge.to)!);
    }
    if (target === undefined) {
      this.#resolve(state);
    } else {
      state.escalatedTo = target;
      const woken = this.#byId.get(target)!;
      this.#waitLess(woken, woken.task.dependencies.includes(task.id) ? 2 : 1);
    }
  }

  /** What `task` sees of its dependency. Only a stand-in sees the output of the task itself. */
  #outputFor(task: Task, dependency: string): Json | undefined {
    const state = this.#byId.get(dependency);
    return task.standsInFor === dependency ? state?.output : state?.resolvedBy?.output;
  }

  #isUnnecessary(task: Task): boolean {
    return (task.skipWhen?.conditions ?? []).some((condition) => {
      const seen = this.#outputFor(task, condition.from);
      const found = seen === undefined ? undefined : follow(condition.pointer, seen);
      return found !== undefined && canonical(found) === canonical(condition.equals);
    });
  }

  #skip(state: State): void {
    const skip = state.task.skipWhen!;
    state.admit(this.#built(state.task, skip.output), skip.schema);
    state.skipReason = "condition";
    state.status = "skipped";
  }

  #runOperation(state: State): void {
    const { task } = state;
    if (!("operation" in task.work)) throw new TypeError("not an operation");
    this.#checkUnits();
    const data = this.#built(task, task.input);
    const args = this.#built(task, task.work.args) as JsonObject;
    for (;;) {
      const began = performance.now();
      state.stages.push(STAGE[task.type]);
      state.attempts += 1;
      this.#units += 1;
      let output: Json | Failed;
      try {
        output = operations.run(task.work.operation, args, data);
      } catch (error) {
        if (!(error instanceof operations.OperationFailed)) throw error;
        output = new Failed("EXECUTION_FAILURE", error.message);
      }
      state.milliseconds += performance.now() - began;
      state.checkTime(state.milliseconds);
      if (output instanceof Failed) throw output;
      state.brokeSchema = false;
      try {
        return state.admit(output, task.schema);
      } catch (error) {
        if (!(error instanceof Failed)) throw error;
        state.brokeSchema = true;
        state.checkRetry(error);
        this.#checkUnits(error);
      }
    }
  }

  async #runModel(state: State): Promise<void> {
    const { task } = state;
    const began = performance.now();
    this.#checkCalls();
    const left = (this.#graph.budgets.max_tokens ?? Infinity) - this.#tokens;
    state.tokensAllowed = Math.min(task.budget.max_tokens, left);
    this.#checkTokens(state);
    // Without any time the model is not even asked.
    state.checkTime(0, task.budget.max_time_ms === 0);
    const messages = this.#filled(task);
    for (;;) {
      state.stages.push(STAGE[task.type]);
      state.attempts += 1;
      this.#calls += 1;
      const answer = await this.#ask(state, messages, began + task.budget.max_time_ms);
      // Spending comes first: an output that cost too much is never looked at (C7.6).
      if (answer.end === "tokens" || state.tokensOut > state.tokensAllowed) throw this.#outOfTokens(state);
      state.checkTime(performance.now() - began, answer.end === "time");
      state.brokeSchema = false;
      try {
        if (answer.end !== "said") throw new Failed("EXECUTION_FAILURE", answer.message);
        return state.admit(state.parsed(answer.text), task.schema);
      } catch (error) {
        if (!(error instanceof Failed) || answer.end === "final") throw error;
        state.brokeSchema = answer.end === "said";
        state.checkRetry(error);
        this.#checkCalls(error);
        this.#checkTokens(state);
      }
      if (answer.end === "transient") {
        const ends = Math.min(began + task.budget.max_time_ms, this.#endsAt);
        const pause = Math.min(BACKOFF_MS * 2 ** (state.attempts - 1), ends - performance.now());
        await sleep(Math.max(0, pause), undefined, { signal: this.#stop }).catch(() => this.#checkStop());
        this.#checkLatency();
      }
      state.checkTime(performance.now() - began);
    }
  }

  async #ask(state: State, messages: Message[], deadline: number): Promise<Answer> {
    const { task } = state;
    const model = this.#models.get(task.id);
    if (!this.#server || model === undefined || !("model" in task.work)) throw new TypeError("not planned");
    const maxTokens = state.tokensAllowed - state.tokensOut;
    const began = performance.now();
    const { parameters } = task.work;
    const ends = Math.min(deadline, this.#endsAt);
    const question = { model, messages, parameters, schema: task.schema, maxTokens, deadline: ends };
    const answer = await this.#server.ask(question, this.#stop);
    state.milliseconds += performance.now() - began;
    state.tokensIn += answer.tokensIn;
    state.tokensOut += answer.tokensOut;
    state.estimated ||= answer.estimated;
    // What a task overruns is its own breach, and takes nothing from others.
    this.#tokens += Math.min(answer.tokensOut, maxTokens);
    this.#checkLatency();
    return answer;
  }

  // Inputs

  /** The template with every reference replaced by what it points to. */
  #built(task: Task, template: Json): Json {
    const value = this.#replaced(task, template);
    const found = unbounded(value);
    if (found) throw new Failed("VALIDATION_ERROR", `the input cannot be built: ${found}`);
    return value;
  }

  #replaced(task: Task, template: Json): Json {
    if (Array.isArray(template)) return template.map((item) => this.#replaced(task, item));
    if (!isObject(template)) return template;
    if ("$from" in template) {
      const { $from: from, pointer = "" } = template as { $from: string; pointer?: string };
      const seen = this.#outputFor(task, from);
      const found = seen === undefined ? undefined : follow(pointer, seen);
      if (found !== undefined) return found;
      throw new Failed("VALIDATION_ERROR", `the output of \`${from}\` has nothing at \`${pointer || "/"}\``);
    }
    const replaced: JsonObject = Object.create(null);
    for (const [name, member] of Object.entries(template)) replaced[name] = this.#replaced(task, member);
    return replaced;
  }

  /** The messages with every placeholder filled from the input. What fills one is data, never parsed again. */
  #filled(task: Task): Message[] {
    if (!("model" in task.work)) throw new TypeError("not a model task");
    const data = this.#built(task, task.input);
    let size = 0;
    const fill = (_: string, literal: string | undefined, pointer: string): string => {
      if (literal) return "{{";
      const found = follow(pointer.trim(), data);
      if (found === undefined) {
        throw new Failed("VALIDATION_ERROR", "the input has nothing where the prompt wants something");
      }
      const text = typeof found === "string" ? found : canonical(found);
      size += text.length;
      if (size > MAX_FILLED) throw new Failed("VALIDATION_ERROR", `the prompt is longer than ${MAX_FILLED} characters`);
      return text;
    };
    return task.work.messages.map(({ role, content }) => ({ role, content: content.replace(PLACEHOLDER, fill) }));
  }

  // Budgets

  #outOfTokens(state: State): Failed {
    const own = state.task.budget.max_tokens;
    const declared = this.#graph.budgets.max_tokens;
    if (declared === undefined || state.tokensAllowed === own) {
      return breach("BUDGET_BREACH", { cap: "task.max_tokens", declared: own, used: state.tokensOut });
    }
    const used = declared - state.tokensAllowed + state.tokensOut;
    return breach("BUDGET_BREACH", { cap: "graph.max_tokens", declared, used });
  }

  #checkTokens(state: State): void {
    if (state.tokensOut >= state.tokensAllowed) throw this.#outOfTokens(state);
  }

  #checkCalls(because?: Failed): void {
    const declared = this.#graph.budgets.max_llm_calls ?? Infinity;
    if (this.#calls < declared) return;
    throw breach("BUDGET_BREACH", { cap: "graph.max_llm_calls", declared, used: this.#calls }, because);
  }

  #checkUnits(because?: Failed): void {
    const declared = this.#graph.budgets.max_cpu_units ?? Infinity;
    if (this.#units < declared) return;
    throw breach("BUDGET_BREACH", { cap: "graph.max_cpu_units", declared, used: this.#units }, because);
  }

  #checkLatency(): void {
    if (performance.now() >= this.#endsAt) throw new LatencyExceeded();
  }

  #checkStop(): void {
    if (this.#stop.aborted) throw new Cancelled();
  }

  // What follows

  /** The target of the first declared edge whose condition holds. None is ever invented (C1.4). */
  #edgeToTake(state: State): string | undefined {
    return state.task.escalation.find((edge) => {
      switch (edge.on) {
        case "failure":
          return state.failure !== undefined;
        case "schema_mismatch":
          return state.brokeSchema && state.failure?.["error_type"] === "VALIDATION_ERROR";
        case "confidence_below_threshold": {
          const confidence = state.output === undefined ? undefined : follow(edge.pointer, state.output);
          return typeof confidence === "number" && confidence < edge.threshold;
        }
        case "budget_remaining":
          return (this.#graph.budgets.max_tokens ?? Infinity) - this.#tokens >= edge.minTokens;
      }
    })?.to;
  }

  /** Settles a target that nothing woke, and with it whatever could only have stood in for it. */
  #leaveDormant(state: State): void {
    if (state.settled) return;
    state.settled = true;
    state.skipReason = "dormant";
    for (const edge of state.task.escalation) this.#leaveDormant(this.#byId.get(edge.to)!);
  }

  /** Tells dependents what became of a task, and of every task that it stands in for. */
  #resolve(state: State): void {
    if (state.output === undefined && this.#graph.failFast) this.#cut = Math.min(this.#cut, state.rank);
    let stoodInFor: State | undefined = state;
    while (stoodInFor) {
      const { id, standsInFor }: Task = stoodInFor.task;
      stoodInFor.resolvedBy = state.output === undefined ? undefined : state;
      for (const dependent of this.#dependents.get(id) ?? []) {
        if (dependent.task.standsInFor !== id) this.#waitLess(dependent, 1);
      }
      stoodInFor = standsInFor === undefined ? undefined : this.#byId.get(standsInFor);
    }
  }

  #waitLess(state: State, count: number): void {
    state.waitsFor -= count;
    if (state.waitsFor > 0 || isModel(state.task)) return;
    const place = this.#free.findIndex((other) => other.rank > state.rank);
    this.#free.splice(place < 0 ? this.#free.length : place, 0, state);
  }

  /** Whatever has not settled when the run's time is over fails, but for what nothing had woken. */
  #failLate(): void {
    const declared = this.#graph.budgets.max_latency_ms ?? 0;
    const used = Math.max(declared, Math.floor(performance.now() - this.#started));
    for (const state of this.#states.slice(0, this.#cut + 1)) {
      if (state.settled) continue;
      if (state.task.standsInFor !== undefined && state.attempts === 0) state.skipReason = "dormant";
      else state.fail(breach("BUDGET_BREACH", { cap: "graph.max_latency_ms", declared, used }));
    }
  }

  #outcome(): JsonObject {
    const records = this.#states.map((state) => state.record());
    const cause = this.#states.find(
      ({ failure, resolvedBy }) =>
        failure && failure["error_type"] !== "DEPENDENCY_FAILURE" && resolvedBy?.output === undefined,
    );
    const executed = this.#states.filter((state) =>
      state.stages.some((stage) => stage === STAGE.deterministic || stage === STAGE.aggregation),
    );
    const tokens = this.#states.reduce((sum, state) => sum + state.tokensIn + state.tokensOut, 0);
    return {
      status: cause ? "failed" : "success",
      final_output: this.#byId.get(this.#graph.root)?.resolvedBy?.output ?? null,
      ...(cause?.failure ? { failure: cause.failure } : {}),
      telemetry_bundle: {
        tasks: records,
        summary: {
          total_tokens: tokens,
          total_latency_ms: Math.floor(performance.now() - this.#started),
          model_invocation_count: this.#calls,
          deterministic_task_count: executed.length,
        },
      },
    };
  }
}
