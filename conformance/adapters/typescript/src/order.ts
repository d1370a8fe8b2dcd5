/** Canonical order: a topological order that is a function of the graph alone (S4, C6.1). */

import { isModel, type Task } from "./graph.ts";

/** A task, or the resolution of one: the task together with whatever may stand in for it. */
interface Place {
  task: Task;
  resolution: boolean;
  after: Place[];
  waitsFor: number;
  depth: number;
  level: number;
}

/**
 * The tasks in canonical order, or else the ids of a cycle.
 *
 * First by model depth (model tasks on the heaviest path above a task), then deterministic before model, then by level,
 * then by id. A dependent waits for its dependency and for everything that may stand in for it.
 */
export function canonicalOrder(tasks: Task[]): { order: Task[] } | { cycle: string[] } {
  const place = (task: Task, resolution: boolean): Place => ({
    task, resolution, after: [], waitsFor: 0, depth: 0, level: 0,
  });
  const own = new Map(tasks.map((task) => [task.id, place(task, false)]));
  const resolved = new Map(
    tasks.map((task) => [task.id, task.escalation.length > 0 ? place(task, true) : own.get(task.id)!]),
  );
  const arrow = (first: Place, then: Place): void => {
    first.after.push(then);
    then.waitsFor += 1;
  };
  for (const task of tasks) {
    const here = own.get(task.id)!;
    for (const dependency of task.dependencies) {
      arrow((dependency === task.standsInFor ? own : resolved).get(dependency)!, here);
    }
    if (task.escalation.length > 0) arrow(here, resolved.get(task.id)!);
    for (const target of new Set(task.escalation.map((edge) => edge.to))) {
      arrow(here, own.get(target)!);
      arrow(resolved.get(target)!, resolved.get(task.id)!);
    }
  }

  const all = new Set([...own.values(), ...resolved.values()]);
  const ready = [...all].filter((place) => place.waitsFor === 0);
  for (let here = ready.pop(); here !== undefined; here = ready.pop()) {
    all.delete(here);
    for (const then of here.after) {
      const counts = !here.resolution;
      then.depth = Math.max(then.depth, here.depth + Number(counts && isModel(here.task)));
      then.level = Math.max(then.level, here.level + Number(counts));
      then.waitsFor -= 1;
      if (then.waitsFor === 0) ready.push(then);
    }
  }
  if (all.size > 0) return { cycle: cycleAmong(all) };
  const order = [...own.values()].sort(
    (a, b) =>
      a.depth - b.depth ||
      Number(isModel(a.task)) - Number(isModel(b.task)) ||
      a.level - b.level ||
      (a.task.id < b.task.id ? -1 : 1),
  );
  return { order: order.map((place) => place.task) };
}

/** A way around among those that still wait: each of them waits for another one. */
function cycleAmong(waiting: Set<Place>): string[] {
  const before = new Map<Place, Place>();
  for (const here of waiting) for (const then of here.after) if (waiting.has(then)) before.set(then, here);
  const path: Place[] = [];
  const seen = new Set<Place>();
  let [here] = waiting;
  while (!seen.has(here!)) {
    seen.add(here!);
    path.push(here!);
    here = before.get(here!);
  }
  const around = path.slice(path.indexOf(here!)).reverse();
  return [...new Set(around.map((place) => place.task.id))].slice(0, 12);
}
