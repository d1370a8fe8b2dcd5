"""The task graph, read and checked once: whatever is wrong is said at once, and nothing runs (C3.2, C10.3).

Plain data after that. The rules between tasks are in `check_edges`, their order is in `order.py`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import schema
from order import canonical_order
from reader import Reader
from strict_json import MAX_EXACT, canonical, is_pointer

MAX_TASKS = 10_000
MAX_DEPENDENCIES = 1_000
MAX_SCHEMA_BYTES = 256 << 10
MAX_PROMPT_BYTES = 1 << 20
MAX_EDGES = 16
CAPS = {"max_tokens": 10_000_000, "max_time_ms": 86_400_000, "max_retries": 100}
RUN_CAPS = dict.fromkeys(("max_tokens", "max_llm_calls", "max_cpu_units", "max_latency_ms"), MAX_EXACT)
OPERATION_TIME_MS = 60_000
MODEL_NAME = re.compile(r"[!#-;=?-\[\]-_a-~]{1,128}")
PLACEHOLDER = re.compile(r"\{\{(?:(?P<literal>\{\{)|(?P<pointer>.*?)\}\})", re.DOTALL)


class Edge(NamedTuple):
    """When this happens to a task, that task stands in for it."""

    on: str
    to: str
    pointer: str
    threshold: float
    min_tokens: int


@dataclass
class Task:
    """One task, its budget complete."""

    id: str
    type: str
    dependencies: list[str]
    input: Any
    run: dict[str, Any]
    schema: Any
    budget: dict[str, int]
    skip_when: dict[str, Any] | None
    escalation: list[Edge]
    local_only: bool
    stands_in_for: str | None = None
    unsupported: list[schema.Fault] = field(default_factory=list)
    """What of its schemas this backend cannot enforce."""

    @property
    def is_model(self) -> bool:
        """Whether it asks a model. Everything else is deterministic work."""
        return self.type == "model"


@dataclass
class Graph:
    """A graph that passed every check. `tasks` are in canonical order."""

    id: str
    root: str
    tasks: list[Task]
    budgets: dict[str, int]
    fail_fast: bool


def read_graph(document: Any) -> Graph:
    """The graph, or the refusal that says everything that is wrong with it."""
    reader = Reader()
    check_version(reader, document)
    reader.refuse()
    top = reader.fields(
        document, "",
        "kora_version graph_id root tasks defaults failure_policy budgets"
        " schema_version request_id tenant_id created_at",
        "graph_id root tasks",
    )  # fmt: skip
    reader.id(top.get("graph_id"), "/graph_id")
    version = top.get("schema_version", "1.0")
    if not isinstance(version, str) or not re.fullmatch(r"1(\..*)?", version):
        reader.wrong("version-mismatch", "/schema_version", "not read here", 'write "1.0"')
    defaults = reader.fields(top.get("defaults", {}), "/defaults", "budget")
    default_budget = reader.caps(defaults.get("budget", {}), "/defaults/budget", CAPS)
    budgets = reader.caps(top.get("budgets", {}), "/budgets", RUN_CAPS)
    policy = reader.word(top.get("failure_policy", "continue_on_error"), "/failure_policy", POLICIES)
    listed = reader.items(top.get("tasks"), "/tasks", MAX_TASKS)
    if listed == [] and isinstance(top.get("tasks"), list):
        reader.wrong("empty-graph", "/tasks", "a graph without tasks", "declare at least the root task")
    tasks = [read_task(reader, task, f"/tasks/{nth}", default_budget) for nth, task in enumerate(listed)]
    reader.refuse()
    check_edges(reader, tasks, top["root"])
    reader.refuse()
    order, cycle = canonical_order(tasks)
    if cycle:
        reader.wrong("cycle", "/tasks", f"these tasks wait for each other: {' → '.join(cycle)}", "take one away")
    reader.refuse()
    return Graph(top["graph_id"], top["root"], order, budgets, policy == "fail_fast")


POLICIES = ("continue_on_error", "fail_fast")


def check_version(reader: Reader, document: Any) -> None:
    """Before anything else: what another MAJOR means by the rest is not known here."""
    found = document.get("kora_version") if isinstance(document, dict) else None
    parts = re.fullmatch(r"1\.(0|[1-9]\d{0,9})\.(0|[1-9]\d{0,9})", found) if isinstance(found, str) else None
    if parts is None:
        reader.wrong("version-mismatch", "/kora_version", "not a version that is read here", 'declare "1.0.0"')
    else:
        reader.lenient = parts[1] != "0"


def read_task(reader: Reader, document: Any, at: str, default_budget: dict[str, int]) -> Task:
    """One task by itself."""
    task = reader.fields(
        document, at,
        "version id type dependencies input run schema budget routing metadata constraints skip_when escalation",
        "version id type dependencies input run schema",
    )  # fmt: skip
    version = task.get("version", "1.0")
    newer = reader.lenient and isinstance(version, str) and re.fullmatch(r"1\.\d{1,4}", version)
    if version != "1.0" and not newer:
        reader.wrong("version-mismatch", f"{at}/version", "not read here", 'write "1.0"')
    kind = reader.word(task.get("type"), f"{at}/type", ("deterministic", "model", "aggregation"))
    dependencies = reader.items(task.get("dependencies", []), f"{at}/dependencies", MAX_DEPENDENCIES)
    dependencies = [reader.id(id, f"{at}/dependencies/{nth}") for nth, id in enumerate(dependencies)]
    routing = reader.fields(task.get("routing", {}), f"{at}/routing", "preferred_backend priority")
    reader.word(routing.get("priority", "normal"), f"{at}/routing/priority", ("normal", "high"))
    reader.fields(task.get("metadata", {}), f"{at}/metadata", "created_at trace_id")
    constraints = reader.fields(task.get("constraints", {}), f"{at}/constraints", "privacy")
    privacy = reader.word(
        constraints.get("privacy", "allow_remote"), f"{at}/constraints/privacy", ("local_only", "allow_remote")
    )
    if not isinstance(task.get("input", {}), dict):
        reader.wrong("wrong-type", f"{at}/input", "this must be an object")
    read = Task(
        id=reader.id(task.get("id"), f"{at}/id"),
        type=kind,
        dependencies=dependencies,
        input=task.get("input"),
        run=read_run(reader, task.get("run", {}), f"{at}/run", kind),
        schema=None,
        budget=read_budget(reader, task, at, default_budget),
        skip_when=None,
        escalation=[
            read_edge(reader, edge, f"{at}/escalation/{nth}")
            for nth, edge in enumerate(reader.items(task.get("escalation", []), f"{at}/escalation", MAX_EDGES))
        ],
        local_only=privacy == "local_only",
    )
    read.schema = read_schema(reader, read, task.get("schema", True), f"{at}/schema")
    if "skip_when" in task:
        read.skip_when = read_skip(reader, read, task["skip_when"], f"{at}/skip_when")
    if kind == "aggregation" and dependencies == []:
        reader.wrong("nothing-to-aggregate", f"{at}/dependencies", "an aggregation task without dependencies")
    declared = set(dependencies)
    if len(declared) < len(dependencies):
        reader.wrong("duplicate-dependency", f"{at}/dependencies", "a dependency is declared twice")
    skip_output = read.skip_when["output"] if read.skip_when else None
    templates = (read.input, f"{at}/input"), (read.run.get("args"), f"{at}/run/args"), (skip_output, f"{at}/skip_when")
    for template, place in templates:
        check_references(reader, template, place, declared)
    return read


def read_budget(reader: Reader, task: dict[str, Any], at: str, default: dict[str, int]) -> dict[str, int]:
    """The caps of a task. KORA's default budget is one for model tasks."""
    own = reader.caps(task.get("budget", {}), f"{at}/budget", CAPS)
    if task.get("type") == "model":
        budget = {**default, **own}
        for cap in CAPS:
            if cap not in budget:
                reader.wrong("missing-budget", f"{at}/budget", f"a model task without `{cap}`")
        return budget
    if own.get("max_tokens", 0) != 0:
        reader.wrong("tokens-without-model", f"{at}/budget/max_tokens", "tokens for a task that calls no model")
    return {"max_tokens": 0, "max_time_ms": OPERATION_TIME_MS, "max_retries": 0, **own}


def read_run(reader: Reader, run: Any, at: str, kind: Any) -> dict[str, Any]:
    """What the task does. A prompt becomes a conversation of one message."""
    if not isinstance(run, dict) or ("operation" in run or "args" in run) == ("model" in run):
        reader.wrong("mixed-run", at, "`run` names either an operation or a model")
        return {}
    if ("model" in run) != (kind == "model"):
        reader.wrong("model-not-allowed" if "model" in run else "operation-not-allowed", at, "not for this task type")
    if "model" not in run:
        reader.fields(run, at, "operation args", "operation")
        reader.id(run.get("operation"), f"{at}/operation")
        if not isinstance(run.get("args", {}), dict):
            reader.wrong("wrong-type", f"{at}/args", "this must be an object")
        return {"args": {}, **run}
    reader.fields(run, at, "model prompt messages parameters")
    if not isinstance(run["model"], str) or not MODEL_NAME.fullmatch(run["model"]):
        reader.wrong("invalid-id", f"{at}/model", "not the name of a model")
    if ("prompt" in run) == ("messages" in run):
        reader.wrong("missing-field", at, "`run` needs either `prompt` or `messages`")
        return {}
    if "prompt" in run:
        messages, places = [{"role": "user", "content": run["prompt"]}], [f"{at}/prompt"]
    else:
        messages = reader.items(run["messages"], f"{at}/messages", 1_000)
        places = [f"{at}/messages/{nth}" for nth in range(len(messages))]
        if not messages:
            reader.wrong("invalid-prompt", f"{at}/messages", "no messages")
    for message, place in zip(messages, places):
        fields = reader.fields(message, place, "role content", "role content")
        reader.word(fields.get("role"), f"{place}/role", ("system", "user", "assistant"))
        check_prompt(reader, fields.get("content"), place)
    check_parameters(reader, run.get("parameters", {}), f"{at}/parameters")
    return {"model": run["model"], "messages": messages, "parameters": run.get("parameters", {})}


def check_prompt(reader: Reader, content: Any, at: str) -> None:
    """Text with placeholders `{{/pointer}}`; `{{{{` is a literal `{{`."""
    if not isinstance(content, str) or len(content.encode("utf-8")) > MAX_PROMPT_BYTES:
        reader.wrong("invalid-prompt", at, f"a prompt is a text of at most {MAX_PROMPT_BYTES} bytes")
        return
    for found in PLACEHOLDER.finditer(content):
        if found["pointer"] is not None and not is_pointer(found["pointer"].strip()):
            reader.wrong("invalid-prompt", at, "a placeholder that holds no JSON pointer", "write `{{/name}}`")
    if "{{" in PLACEHOLDER.sub("", content):
        reader.wrong("invalid-prompt", at, "a placeholder that is not closed", "write `{{{{` for a literal `{{`")


def check_parameters(reader: Reader, parameters: Any, at: str) -> None:
    ranges = {"seed": (0, MAX_EXACT), "temperature": (0, 2), "top_p": (0, 1)}
    for name, value in reader.fields(parameters, at, " ".join(ranges)).items():
        low, high = ranges.get(name, (0, 0))
        number = isinstance(value, int if name == "seed" else (int, float)) and not isinstance(value, bool)
        if name in ranges and (not number or not low <= value <= high or (name == "top_p" and value == 0)):
            reader.wrong("invalid-parameter", f"{at}/{name}", "out of range")


def read_schema(reader: Reader, task: Task, document: Any, at: str) -> Any:
    """The schema, closed. What this backend cannot enforce is kept for a refusal of its own."""
    if len(canonical(document)) > MAX_SCHEMA_BYTES:
        reader.wrong("schema-too-large", at, f"a schema of more than {MAX_SCHEMA_BYTES} bytes")
        return True
    for fault in schema.faults(document):
        if fault.invalid:
            reader.wrong("invalid-schema", at + fault.pointer, fault.message)
        else:
            task.unsupported.append(fault)
    return schema.close(document)


def read_skip(reader: Reader, task: Task, document: Any, at: str) -> dict[str, Any]:
    """When the task is unnecessary, and what stands in its place."""
    if not task.is_model:
        reader.wrong("invalid-skip", at, "only a model can be unnecessary: `skip_when` is for model tasks")
    skip = reader.fields(document, at, "any_of output schema", "any_of output")
    conditions = reader.items(skip.get("any_of", []), f"{at}/any_of", 10_000)
    if not conditions:
        reader.wrong("invalid-skip", f"{at}/any_of", "no conditions")
    for nth, condition in enumerate(conditions):
        place = f"{at}/any_of/{nth}"
        condition = reader.fields(condition, place, "$from pointer equals", "$from equals")
        reader.pointer(condition.get("pointer", ""), f"{place}/pointer")
        if condition.get("$from") not in task.dependencies:
            reader.wrong("undeclared-reference", place, "not a declared dependency", "add it to `dependencies`")
    own = read_schema(reader, task, skip["schema"], f"{at}/schema") if "schema" in skip else task.schema
    return {"any_of": conditions, "output": skip.get("output"), "schema": own}


def read_edge(reader: Reader, document: Any, at: str) -> Edge:
    """An escalation edge. Each condition has fields of its own, and no others."""
    own = {
        "failure": "",
        "schema_mismatch": "",
        "confidence_below_threshold": "threshold",
        "budget_remaining": "min_tokens",
    }
    on = reader.word(document.get("on") if isinstance(document, dict) else None, f"{at}/on", own)
    needed = own.get(on, "") if isinstance(on, str) else ""
    pointer = " pointer" if needed == "threshold" else ""
    edge = reader.fields(document, at, f"on to {needed}{pointer}", f"to {needed}")
    reader.id(edge.get("to"), f"{at}/to")
    reader.pointer(edge.get("pointer", ""), f"{at}/pointer")
    threshold, least = edge.get("threshold", 0.0), edge.get("min_tokens", 0)
    if not isinstance(threshold, (int, float)) or isinstance(threshold, bool):
        reader.wrong("invalid-escalation", f"{at}/threshold", "this must be a number")
    if type(least) is not int or least < 0:
        reader.wrong("invalid-escalation", f"{at}/min_tokens", "this must be a whole number")
    return Edge(on, str(edge.get("to")), edge.get("pointer", "/confidence"), threshold, least)


def check_references(reader: Reader, template: Any, at: str, declared: set[str]) -> None:
    """References, `{"$from": task, "pointer": "/…"}`, name declared dependencies and nothing else."""
    if isinstance(template, list):
        for nth, item in enumerate(template):
            check_references(reader, item, f"{at}/{nth}", declared)
    elif isinstance(template, dict) and "$from" in template:
        if not isinstance(template["$from"], str) or not template.keys() <= {"$from", "pointer"}:
            reader.wrong("invalid-reference", at, 'a reference is {"$from": "task", "pointer": "/path"}')
        elif template["$from"] not in declared:
            reader.wrong("undeclared-reference", at, "not a declared dependency", "add it to `dependencies`")
        reader.pointer(template.get("pointer", ""), at)
    elif isinstance(template, dict):
        for name, member in template.items():
            check_references(reader, member, f"{at}/{name.replace('~', '~0').replace('/', '~1')}", declared)


def check_edges(reader: Reader, tasks: list[Task], root: Any) -> None:
    """The rules between tasks: unique ids, known dependencies, and targets that stand in for one task only."""
    by_id: dict[str, Task] = {}
    for nth, task in enumerate(tasks):
        if by_id.setdefault(task.id, task) is not task:
            reader.wrong("duplicate-id", f"/tasks/{nth}/id", f"a second task with the id `{task.id}`")
    if root not in by_id:
        reader.wrong("unknown-root", "/root", "the root is no task of the graph")
    for nth, task in enumerate(tasks):
        for edge in task.escalation:
            target, at = by_id.get(edge.to), f"/tasks/{nth}/escalation"
            if target is None:
                reader.wrong("unknown-escalation-target", at, f"`{edge.to}` is no task of the graph")
            elif target is task or edge.to == root or target.stands_in_for not in (None, task.id):
                reader.wrong("escalation-target-not-dormant", at, f"`{edge.to}` cannot stand in for this task alone")
            else:
                target.stands_in_for = task.id
    for nth, task in enumerate(tasks):
        for dependency in task.dependencies:
            at = f"/tasks/{nth}/dependencies"
            if dependency not in by_id:
                reader.wrong("unknown-dependency", at, f"`{dependency}` is no task of the graph")
            elif by_id[dependency].stands_in_for is not None:
                reader.wrong("escalation-target-not-dormant", at, f"`{dependency}` may never run: name its source")
            elif dependency == task.stands_in_for and any(
                edge.on != "confidence_below_threshold" for edge in by_id[dependency].escalation if edge.to == task.id
            ):
                reader.wrong("escalation-target-not-dormant", at, f"`{dependency}` may have no output to depend on")
