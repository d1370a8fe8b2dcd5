/** What is known of one task while it runs, and the record that is left of it (C8.1). */

import type { Task } from "./graph.ts";
import { type Json, type JsonObject, NotJson, read } from "./json.ts";
import { mismatch } from "./schema.ts";

type Category = "VALIDATION_ERROR" | "TIMEOUT" | "BUDGET_BREACH" | "DEPENDENCY_FAILURE" | "EXECUTION_FAILURE";

/** A cap that ran out: which, how much was declared, how much was used. */
interface Breach {
  cap: string;
  declared: number;
  used: number;
}

/** A task failed, in one of the contract's five categories. */
export class Failed extends Error {
  readonly category: Category;
  readonly breach: Breach | undefined;
  retriesExhausted = false;

  constructor(category: Category, message: string, breach?: Breach) {
    super(message);
    this.category = category;
    this.breach = breach;
  }
}

/** A cap that ran out, as a failure. `because` is what the retry would have been for. */
export function breach(category: Category, breach: Breach, because?: Failed): Failed {
  const before = because ? `; before that: ${because.message}` : "";
  return new Failed(category, `${breach.used} of ${breach.declared} used (${breach.cap})${before}`, breach);
}

/** What is known of one task. */
export class State {
  readonly task: Task;
  readonly rank: number;
  waitsFor: number;
  status: "success" | "failed" | "skipped" = "skipped";
  stages = ["TASK_CONSTRUCTED", "DAG_VALIDATED"];
  validation: "pass" | "fail" | "skipped" = "skipped";
  skipReason: "condition" | "dormant" | "fail_fast" | undefined;
  failure: JsonObject | undefined;
  escalatedTo: string | undefined;
  /** Only a validated output travels. */
  output: Json | undefined;
  brokeSchema = false;
  attempts = 0;
  milliseconds = 0;
  tokensIn = 0;
  tokensOut = 0;
  /** Generated tokens that all its attempts may use together. */
  tokensAllowed = 0;
  estimated = false;
  settled = false;
  /** Whoever has the output that dependents see: the task, or what stands in for it. */
  resolvedBy: State | undefined;

  constructor(task: Task, rank: number) {
    this.task = task;
    this.rank = rank;
    this.waitsFor = task.dependencies.length + (task.standsInFor === undefined ? 0 : 1);
  }

  /** The task's telemetry (C8.1). */
  record(): JsonObject {
    return {
      task_id: this.task.id,
      task_type: this.task.type,
      status: this.status,
      duration_ms: Math.floor(this.milliseconds),
      tokens_in: this.tokensIn,
      tokens_out: this.tokensOut,
      ...(this.estimated ? { tokens_estimated: true } : {}),
      retry_count: Math.max(0, this.attempts - 1),
      validation_status: this.validation,
      stages: this.stages,
      ...(this.skipReason ? { skip_reason: this.skipReason } : {}),
      ...(this.escalatedTo ? { escalated_to: this.escalatedTo } : {}),
      ...(this.failure ? { failure: this.failure } : {}),
    };
  }

  /** The gate: only a validated output travels (C11.1). */
  admit(output: Json, schema: Json): void {
    this.stages.push("SCHEMA_VALIDATION");
    const found = mismatch(schema, output);
    this.validation = found ? "fail" : "pass";
    if (found) throw new Failed("VALIDATION_ERROR", found);
    this.stages.push("TASK_COMPLETED");
    this.status = "success";
    this.output = output;
  }

  /** The reply as a value: one JSON value and nothing around it. */
  parsed(text: string): Json {
    let fault: string | undefined;
    try {
      const { value, faults } = read(text);
      if (faults.length === 0) return value;
      [fault] = faults;
    } catch (error) {
      if (!(error instanceof NotJson)) throw error;
      fault = error.message;
    }
    this.stages.push("SCHEMA_VALIDATION");
    this.validation = "fail";
    throw new Failed("VALIDATION_ERROR", `the reply is not one JSON value: ${fault}`);
  }

  /** Throws if no attempt is allowed any more; the last one says why. */
  checkRetry(because: Failed): void {
    const allowed = this.task.budget.max_retries;
    if (this.attempts <= allowed) return;
    because.retriesExhausted = allowed > 0;
    throw because;
  }

  /** A task's own time is a `TIMEOUT`; the run's is a breach. */
  checkTime(milliseconds: number, cutOff = false): void {
    const declared = this.task.budget.max_time_ms;
    if (!cutOff && milliseconds <= declared) return;
    const used = Math.max(declared, Math.floor(milliseconds));
    throw breach("TIMEOUT", { cap: "task.max_time_ms", declared, used });
  }

  /** Settles the task without an output. */
  fail(failed: Failed): void {
    this.status = "failed";
    this.stages.push("TASK_FAILED");
    this.failure = {
      error_type: failed.category,
      task_id: this.task.id,
      message: failed.message,
      ...(failed.breach ? { breach: { ...failed.breach } } : {}),
      ...(failed.retriesExhausted ? { retries_exhausted: true } : {}),
    };
  }

  /** What came after a failure in a `fail_fast` graph does not count. What it spent stays spent. */
  discard(): void {
    this.status = "skipped";
    this.validation = "skipped";
    this.skipReason = "fail_fast";
    this.stages = this.stages.slice(0, 2);
    this.failure = undefined;
    this.escalatedTo = undefined;
    this.resolvedBy = undefined;
    this.output = undefined;
  }
}
