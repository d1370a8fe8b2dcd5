"""One run of one graph: what it means, said once and plainly.

Tasks run one after the other in canonical order, except that what needs no model goes first (C11.2). Budgets only go
down. Every task has a record on every path, and the totals are sums over the records (C8.1, C8.2).
"""

from __future__ import annotations

import heapq
import time
from typing import Any

import operations
from graph import PLACEHOLDER, Graph, Task
from model import Answer, ModelServer, Question, Stop
from schema import unbounded
from state import Failed, State, breach
from strict_json import canonical, follow

MAX_FILLED_BYTES = 64 << 20
BACKOFF_SECONDS = 0.05
STAGE = {"deterministic": "DETERMINISTIC_EXECUTION", "model": "MODEL_INVOCATION", "aggregation": "AGGREGATION"}


class LatencyExceeded(Exception):
    """The run's own time is over."""


class CannotBuild(Exception):
    """An input refers to something that is not there."""


class Run:
    """Runs a graph. `models` has, for each model task, the model that answers it."""

    def __init__(self, graph: Graph, models: dict[str, str], server: ModelServer | None, stop: Stop) -> None:
        self._graph, self._models, self._server, self._stop = graph, models, server, stop
        self._states = [
            State(task, rank, len(task.dependencies) + (task.stands_in_for is not None))
            for rank, task in enumerate(graph.tasks)
        ]
        self._by_id = {state.task.id: state for state in self._states}
        self._dependents: dict[str, list[State]] = {state.task.id: [] for state in self._states}
        for state in self._states:
            for dependency in state.task.dependencies:
                self._dependents[dependency].append(state)
        # What needs no model and may run now, by rank.
        self._free = [state.rank for state in self._states if state.waits_for == 0 and not state.task.is_model]
        self._next_rank = 0
        # Nothing after this rank counts (fail_fast).
        self._cut = len(self._states)
        self._tokens = self._calls = self._units = 0
        self._started = time.monotonic()
        self._ends_at = self._started + graph.budgets.get("max_latency_ms", float("inf")) / 1000

    def execute(self) -> dict[str, Any]:
        """The outcome: everything of a result but the metadata. Raises `Cancelled`."""
        try:
            while (state := self._next()) is not None:
                self._stop.check()
                self._check_latency()
                self._run_task(state)
        except LatencyExceeded:
            self._fail_late()
        for state in self._states[self._cut + 1 :]:
            state.discard()
        return self._outcome()

    def _next(self) -> State | None:
        """The next task: the first that needs no model and is ready, or else the first in canonical order."""
        while self._next_rank < len(self._states) and self._states[self._next_rank].settled:
            self._next_rank += 1
        if self._next_rank >= len(self._states) or self._next_rank > self._cut:
            return None
        while self._free:
            state = self._states[heapq.heappop(self._free)]
            if not state.settled and state.rank <= self._cut and self._may_overtake(state.task):
                return state
        return self._states[self._next_rank]

    def _may_overtake(self, task: Task) -> bool:
        """Whether it makes no difference to others that the task runs before its turn."""
        return "max_cpu_units" not in self._graph.budgets and not any(
            edge.on == "budget_remaining" for edge in task.escalation
        )

    # One task

    def _run_task(self, state: State) -> None:
        task, ran = state.task, True
        try:
            for dependency in task.dependencies:
                if self._seen_by(task, dependency) is None:
                    raise Failed("DEPENDENCY_FAILURE", f"dependency `{dependency}` has no output")
            if task.skip_when and self._is_unnecessary(task):
                self._skip(state)
                ran = False
            elif task.is_model:
                self._run_model(state)
            else:
                self._run_operation(state)
        except Failed as failed:
            state.fail(failed)
        state.settled = True
        edge = self._edge_to_take(state) if ran else None
        for other in task.escalation:
            if other.to != edge:
                self._leave_dormant(self._by_id[other.to])
        if edge is None:
            self._resolve(state)
        else:
            state.escalated_to = edge
            target = self._by_id[edge]
            self._wait_less(target, 1 + (task.id in target.task.dependencies))

    def _seen_by(self, task: Task, dependency: str) -> State | None:
        """Who has the output that `task` sees of its dependency. Only a stand-in sees that of the task itself."""
        state = self._by_id[dependency]
        if task.stands_in_for == dependency:
            return state if state.has_output else None
        return state.resolved_by

    def _is_unnecessary(self, task: Task) -> bool:
        assert task.skip_when
        for condition in task.skip_when["any_of"]:
            seen = self._seen_by(task, condition["$from"])
            found, value = follow(condition.get("pointer", ""), seen.output) if seen else (False, None)
            if found and canonical(value) == canonical(condition["equals"]):
                return True
        return False

    def _skip(self, state: State) -> None:
        skip = state.task.skip_when
        assert skip
        output = self._built(state.task, skip["output"])
        state.admit(output, skip["schema"])
        state.skip_reason, state.status = "condition", "skipped"

    def _run_operation(self, state: State) -> None:
        task = state.task
        self._check_units()
        data, args = self._built(task, task.input), self._built(task, task.run["args"])
        while True:
            began = time.monotonic()
            state.stages.append(STAGE[task.type])
            state.attempts += 1
            self._units += 1
            problem: Failed | None = None
            try:
                output = operations.run(task.run["operation"], args, data)
            except operations.OperationFailed as error:
                problem = Failed("EXECUTION_FAILURE", str(error))
            state.seconds += time.monotonic() - began
            state.check_time(state.seconds)
            if problem:
                raise problem
            state.broke_schema = False
            try:
                return state.admit(output, task.schema)
            except Failed as failed:
                state.broke_schema = True
                state.check_retry(failed)
                self._check_units(failed)

    def _run_model(self, state: State) -> None:
        task, began = state.task, time.monotonic()
        self._check_calls()
        left = self._left("max_tokens", self._tokens)
        state.tokens_allowed = task.budget["max_tokens"] if left is None else min(task.budget["max_tokens"], left)
        self._check_tokens(state)
        # Without any time the model is not even asked.
        state.check_time(0.0, cut_off=task.budget["max_time_ms"] == 0)
        messages = self._filled(task)
        while True:
            state.stages.append(STAGE[task.type])
            state.attempts += 1
            self._calls += 1
            answer = self._ask(state, messages, began + task.budget["max_time_ms"] / 1000)
            # Spending comes first: an output that cost too much is never looked at (C7.6).
            if answer.end == "tokens" or state.tokens_out > state.tokens_allowed:
                raise self._out_of_tokens(state)
            state.check_time(time.monotonic() - began, answer.end == "time")
            state.broke_schema = False
            try:
                if answer.end != "said":
                    raise Failed("EXECUTION_FAILURE", answer.message)
                return state.admit(state.parsed(answer.text), task.schema)
            except Failed as failed:
                state.broke_schema = answer.end == "said"
                if answer.end == "final":
                    raise
                state.check_retry(failed)
                self._check_calls(failed)
                self._check_tokens(state)
            if answer.end == "transient":
                ends_at = min(began + task.budget["max_time_ms"] / 1000, self._ends_at)
                pause = BACKOFF_SECONDS * 2 ** (state.attempts - 1)
                self._stop.wait(min(pause, ends_at - time.monotonic()))
                self._check_latency()
            state.check_time(time.monotonic() - began)

    def _ask(self, state: State, messages: list[dict[str, str]], deadline: float) -> Answer:
        task = state.task
        assert self._server
        left = state.tokens_allowed - state.tokens_out
        parameters, model = task.run["parameters"], self._models[task.id]
        began = time.monotonic()
        question = Question(model, messages, parameters, task.schema, left, min(deadline, self._ends_at))
        answer = self._server.ask(question, self._stop)
        state.seconds += time.monotonic() - began
        state.tokens_in += answer.tokens_in
        state.tokens_out += answer.tokens_out
        state.estimated |= answer.estimated
        # What a task overruns is its own breach, and takes nothing from others.
        self._tokens += min(answer.tokens_out, left)
        self._check_latency()
        return answer

    # Inputs

    def _built(self, task: Task, template: Any) -> Any:
        """The template with every reference replaced by what it points to."""
        try:
            value = self._replaced(task, template)
        except CannotBuild as error:
            raise Failed("VALIDATION_ERROR", str(error)) from None
        found = unbounded(value)
        if found:
            raise Failed("VALIDATION_ERROR", f"the input cannot be built: {found}")
        return value

    def _replaced(self, task: Task, template: Any) -> Any:
        if isinstance(template, list):
            return [self._replaced(task, item) for item in template]
        if not isinstance(template, dict):
            return template
        if "$from" not in template:
            return {name: self._replaced(task, member) for name, member in template.items()}
        seen = self._seen_by(task, template["$from"])
        found, value = follow(template.get("pointer", ""), seen.output) if seen else (False, None)
        if not found:
            raise CannotBuild(f"the output of `{template['$from']}` has nothing at `{template.get('pointer') or '/'}`")
        return value

    def _filled(self, task: Task) -> list[dict[str, str]]:
        """The messages with every placeholder filled from the input. What fills one is data, never parsed again."""
        data, size = self._built(task, task.input), 0

        def fill(place: Any) -> str:
            nonlocal size
            if place["pointer"] is None:
                return "{{"
            found, value = follow(place["pointer"].strip(), data)
            if not found:
                raise Failed("VALIDATION_ERROR", "the input has nothing where the prompt wants something")
            text = value if isinstance(value, str) else canonical(value)
            size += len(text)
            if size > MAX_FILLED_BYTES:
                raise Failed("VALIDATION_ERROR", f"the filled prompt is longer than {MAX_FILLED_BYTES} characters")
            return text

        return [{**message, "content": PLACEHOLDER.sub(fill, message["content"])} for message in task.run["messages"]]

    # Budgets

    def _left(self, cap: str, used: int) -> int | None:
        declared = self._graph.budgets.get(cap)
        return None if declared is None else max(0, declared - used)

    def _out_of_tokens(self, state: State) -> Failed:
        own = state.task.budget["max_tokens"]
        if state.tokens_allowed == own:
            return breach("BUDGET_BREACH", "task.max_tokens", own, state.tokens_out)
        declared = self._graph.budgets["max_tokens"]
        used = declared - state.tokens_allowed + state.tokens_out
        return breach("BUDGET_BREACH", "graph.max_tokens", declared, used)

    def _check_tokens(self, state: State) -> None:
        if state.tokens_out >= state.tokens_allowed:
            raise self._out_of_tokens(state)

    def _check_calls(self, because: Failed | None = None) -> None:
        self._check_left("max_llm_calls", self._calls, because)

    def _check_units(self, because: Failed | None = None) -> None:
        self._check_left("max_cpu_units", self._units, because)

    def _check_left(self, cap: str, used: int, because: Failed | None) -> None:
        """Raises if the run has no call or unit left; `because` is what a retry would have been for."""
        if self._left(cap, used) == 0:
            raise breach("BUDGET_BREACH", f"graph.{cap}", self._graph.budgets[cap], used, because)

    def _check_latency(self) -> None:
        if time.monotonic() >= self._ends_at:
            raise LatencyExceeded

    # What follows

    def _edge_to_take(self, state: State) -> str | None:
        """The target of the first declared edge whose condition holds. None is ever invented (C1.4)."""
        for edge in state.task.escalation:
            if edge.on == "failure":
                holds = state.failure is not None
            elif edge.on == "schema_mismatch":
                holds = state.broke_schema and (state.failure or {}).get("error_type") == "VALIDATION_ERROR"
            elif edge.on == "confidence_below_threshold":
                _, value = follow(edge.pointer, state.output) if state.has_output else (False, None)
                holds = isinstance(value, (int, float)) and not isinstance(value, bool) and value < edge.threshold
            else:
                remaining = self._left("max_tokens", self._tokens)
                holds = remaining is None or remaining >= edge.min_tokens
            if holds:
                return edge.to
        return None

    def _leave_dormant(self, state: State) -> None:
        """Settles a target that nothing woke, and with it whatever could only have stood in for it."""
        if not state.settled:
            state.settled, state.skip_reason = True, "dormant"
            for edge in state.task.escalation:
                self._leave_dormant(self._by_id[edge.to])

    def _resolve(self, state: State) -> None:
        """Tells dependents what became of a task, and of every task that it stands in for."""
        if not state.has_output and self._graph.fail_fast:
            self._cut = min(self._cut, state.rank)
        stood_in_for: State | None = state
        while stood_in_for is not None:
            task = stood_in_for.task
            stood_in_for.resolved_by = state if state.has_output else None
            for dependent in self._dependents[task.id]:
                if dependent.task.stands_in_for != task.id:
                    self._wait_less(dependent, 1)
            stood_in_for = self._by_id[task.stands_in_for] if task.stands_in_for else None

    def _wait_less(self, state: State, count: int) -> None:
        state.waits_for -= count
        if state.waits_for == 0 and not state.task.is_model:
            heapq.heappush(self._free, state.rank)

    def _fail_late(self) -> None:
        """Whatever has not settled when the run's time is over fails, but for what nothing had woken."""
        declared = self._graph.budgets["max_latency_ms"]
        used = int((time.monotonic() - self._started) * 1000)
        for state in self._states[: self._cut + 1]:
            if not state.settled and state.task.stands_in_for and state.attempts == 0:
                state.skip_reason = "dormant"
            elif not state.settled:
                state.fail(breach("BUDGET_BREACH", "graph.max_latency_ms", declared, max(declared, used)))

    def _outcome(self) -> dict[str, Any]:
        root = self._by_id[self._graph.root].resolved_by
        records = [state.record() for state in self._states]
        causes = (
            state.failure
            for state in self._states
            if state.failure
            and state.failure["error_type"] != "DEPENDENCY_FAILURE"
            and not (state.resolved_by and state.resolved_by.has_output)
        )
        failure = next(causes, None)
        executed = {"DETERMINISTIC_EXECUTION", "AGGREGATION"}
        return {
            "status": "failed" if failure else "success",
            "final_output": root.output if root and root.has_output else None,
            **({"failure": failure} if failure else {}),
            "telemetry_bundle": {
                "tasks": records,
                "summary": {
                    "total_tokens": sum(record["tokens_in"] + record["tokens_out"] for record in records),
                    "total_latency_ms": int((time.monotonic() - self._started) * 1000),
                    "model_invocation_count": self._calls,
                    "deterministic_task_count": sum(not executed.isdisjoint(state.stages) for state in self._states),
                },
            },
        }
