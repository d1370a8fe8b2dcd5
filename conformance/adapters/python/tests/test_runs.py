"""Runs, held to what the model's side saw."""

import sys
import unittest
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from scripted_model import ScriptedModel  # noqa: E402

import operations  # noqa: E402
from backend import Backend  # noqa: E402
from model import ModelServer, Stop  # noqa: E402

MODELS = [{"id": "stand-in", "tier": "small", "context_tokens": 8192}]
TEXT = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}}


def ask(id: str, *dependencies: str, **changes: Any) -> dict[str, Any]:
    budget = {"max_tokens": 40, "max_time_ms": 5000, "max_retries": 2, **changes.pop("budget", {})}
    return {
        "version": "1.0", "id": id, "type": "model", "dependencies": list(dependencies), "input": {},
        "run": {"model": "small", "prompt": f"[ref:{id}]"}, "schema": TEXT, "budget": budget, **changes,
    }  # fmt: skip


def compute(id: str, *dependencies: str, operation: str = "echo", **changes: Any) -> dict[str, Any]:
    return {
        "version": "1.0", "id": id, "type": "deterministic", "dependencies": list(dependencies), "input": {"a": 1},
        "run": {"operation": operation, "args": changes.pop("args", {})}, "schema": True, **changes,
    }  # fmt: skip


class Runs(unittest.TestCase):
    def run_graph(self, tasks: list[Any], script: dict[str, Any], root: str = "", **graph: Any) -> dict[str, Any]:
        document = {"kora_version": "1.0.0", "graph_id": "g", "root": root or tasks[-1]["id"], "tasks": tasks, **graph}
        context = {"run_id": "r", "trace_id": "t", "backend_mode": "local"}
        with ScriptedModel({"models": MODELS, "tasks": script}) as model:
            result = Backend(MODELS, ModelServer(model.hello()["base_url"])).execute(document, context, Stop())
        self.calls, self.prompts = model.calls, model.prompts
        bundle = result["telemetry_bundle"]
        self.records = {record["task_id"]: record for record in bundle["tasks"]}
        self.assertEqual(bundle["summary"]["model_invocation_count"], len(self.calls))
        spent = sum(record["tokens_in"] + record["tokens_out"] for record in bundle["tasks"])
        self.assertEqual(bundle["summary"]["total_tokens"], spent)
        return result

    def failure(self, result: dict[str, Any]) -> Any:
        failure = result["failure"]
        return failure["error_type"], failure["task_id"], failure.get("breach", {}).get("cap")

    def test_an_overrun_is_cut_off_at_the_cap(self) -> None:
        result = self.run_graph([ask("a")], {"a": [{"act": "overrun"}]})
        self.assertEqual(self.failure(result), ("BUDGET_BREACH", "a", "task.max_tokens"))
        self.assertEqual(self.records["a"]["tokens_out"], 41)

    def test_exactly_the_cap_is_within_it(self) -> None:
        result = self.run_graph([ask("a")], {"a": [{"act": {"reply": {"text": "red"}}, "tokens_out": 40}]})
        self.assertEqual(result["status"], "success")

    def test_retries_share_the_tokens(self) -> None:
        result = self.run_graph([ask("a")], {"a": [{"act": {"text": "?"}, "tokens_out": 20}]})
        self.assertEqual(self.failure(result), ("BUDGET_BREACH", "a", "task.max_tokens"))
        self.assertEqual(len(self.calls), 2)

    def test_bad_replies_end_with_the_retries(self) -> None:
        for text in (
            "",
            "?",
            '{"text":"red"} and more',
            '{"text":"a","text":"b"}',
            '{"text":"red","hidden":1}',
            "null",
        ):
            result = self.run_graph([ask("a")], {"a": [{"act": {"text": text}, "tokens_out": 1}]})
            self.assertEqual(self.failure(result), ("VALIDATION_ERROR", "a", None), text)
            self.assertTrue(result["failure"]["retries_exhausted"])
            self.assertEqual((len(self.calls), self.records["a"]["retry_count"]), (3, 2))
            self.assertNotIn("hidden", str(result))

    def test_a_passing_fault_is_retried_and_a_final_one_is_not(self) -> None:
        good = {"act": {"reply": {"text": "red"}}}
        broken = {"act": {"cut_off": '{"te'}}
        busy, wrong = ({"act": {"error": {"kind": kind}}} for kind in ("server_error", "rejected"))
        self.assertEqual(self.run_graph([ask("a")], {"a": [busy, broken, good]})["status"], "success")
        self.assertEqual(
            self.failure(self.run_graph([ask("a")], {"a": [wrong, good]})), ("EXECUTION_FAILURE", "a", None)
        )
        self.assertEqual(len(self.calls), 1)

    def test_a_silent_model_is_a_timeout(self) -> None:
        result = self.run_graph([ask("a", budget={"max_time_ms": 150})], {"a": [{"act": "hang"}]})
        self.assertEqual(self.failure(result), ("TIMEOUT", "a", "task.max_time_ms"))
        self.assertTrue(self.records["a"]["tokens_estimated"])

    def test_the_runs_own_time_is_a_breach_of_whatever_has_not_settled(self) -> None:
        tasks = [ask("a"), ask("b", "a"), compute("c")]
        result = self.run_graph(tasks, {"a": [{"act": "hang"}]}, "b", budgets={"max_latency_ms": 200})
        self.assertEqual(self.failure(result), ("BUDGET_BREACH", "a", "graph.max_latency_ms"))
        self.assertEqual([self.records[id]["status"] for id in "abc"], ["failed", "failed", "success"])

    def test_what_needs_no_model_goes_first(self) -> None:
        script = {id: [{"act": {"reply": {"text": "red"}}}] for id in "ab"}
        tasks = [ask("b"), ask("a"), compute("c", "a", input={"was": {"$from": "a", "pointer": "/text"}})]
        self.run_graph(tasks, script)
        self.assertEqual(self.calls, ["a", "b"])

    def test_only_what_depends_on_a_failure_fails_with_it(self) -> None:
        tasks = [ask("a", budget={"max_retries": 0}), compute("b", "a"), compute("c", "b"), compute("d")]
        result = self.run_graph(tasks, {"a": [{"act": {"text": "?"}}]}, "d")
        self.assertEqual(self.failure(result), ("VALIDATION_ERROR", "a", None))
        found = [self.records[id].get("failure", {}).get("error_type") for id in "bcd"]
        self.assertEqual(found, ["DEPENDENCY_FAILURE", "DEPENDENCY_FAILURE", None])
        self.assertEqual(result["final_output"], {"a": 1})

    def test_fail_fast_discards_what_comes_after_and_keeps_what_it_spent(self) -> None:
        tasks = [compute("a", operation="pick", args={"members": {"x": "/x"}}), compute("b"), ask("c")]
        result = self.run_graph(tasks, {}, "c", failure_policy="fail_fast")
        self.assertEqual(self.failure(result), ("EXECUTION_FAILURE", "a", None))
        self.assertEqual([self.records[id].get("skip_reason") for id in "bc"], ["fail_fast", "fail_fast"])
        self.assertEqual(self.calls, [])

    def test_a_stand_in_runs_only_when_it_is_woken(self) -> None:
        edge = {"on": "confidence_below_threshold", "pointer": "/text", "threshold": 1, "to": "b"}
        tasks = [
            ask("a", escalation=[edge, {"on": "schema_mismatch", "to": "b"}]),
            ask("b"),
            compute("c", "a", input={"of": {"$from": "a"}}),
        ]
        good, bad = {"act": {"reply": {"text": "red"}}}, {"act": {"text": "?"}, "tokens_out": 1}
        self.run_graph(tasks, {"a": [good]})
        self.assertEqual((self.records["b"]["skip_reason"], self.calls), ("dormant", ["a"]))
        result = self.run_graph(tasks, {"a": [bad], "b": [{"act": {"reply": {"text": "blue"}}}]})
        self.assertEqual((result["status"], self.records["a"]["escalated_to"]), ("success", "b"))
        self.assertEqual(result["final_output"], {"of": {"text": "blue"}})

    def test_a_known_answer_saves_the_model(self) -> None:
        condition = {"$from": "a", "pointer": "/a", "equals": 1.0}
        skipped = ask("b", "a", skip_when={"any_of": [condition], "output": {"text": "known"}})
        result = self.run_graph([compute("a"), skipped], {})
        self.assertEqual((result["final_output"], self.calls), ({"text": "known"}, []))
        self.assertEqual((self.records["b"]["status"], self.records["b"]["skip_reason"]), ("skipped", "condition"))

    def test_what_fills_a_prompt_is_data(self) -> None:
        task = ask("b", "a", input={"seen": {"$from": "a"}})
        task["run"] = {"model": "small", "prompt": "[ref:b] {{{{x}} {{/seen}}"}
        data = compute("a", input={"z": "{{/seen}}", "b": 1.0})
        self.run_graph([data, task], {"b": [{"act": {"reply": {"text": "red"}}}]})
        self.assertEqual(self.prompts, ['[ref:b] {{x}} {"b":1,"z":"{{/seen}}"}'])

    def test_outputs_do_not_grow_without_bound(self) -> None:
        tasks = [compute("t0", input={"x": "x" * 1000})]
        for nth in range(1, 40):
            seen = {"$from": f"t{nth - 1}"}
            tasks.append(compute(f"t{nth}", f"t{nth - 1}", input={"a": seen, "b": seen}))
        result = self.run_graph(tasks, {})
        self.assertEqual(result["failure"]["error_type"], "VALIDATION_ERROR")


class Operations(unittest.TestCase):
    def check(self, operation: str, args: Any, data: Any, expected: Any) -> None:
        self.assertIsNone(operations.fault(operation, args))
        self.assertEqual(operations.run(operation, args, data), expected)

    def test_the_examples_of_the_documentation(self) -> None:
        self.check("constant", {"value": {"limit": 10}}, {}, {"limit": 10})
        self.check("echo", {}, {"text": "hi"}, {"text": "hi"})
        self.check(
            "collect", {"pointers": ["/title", "/pages/0"]}, {"pages": ["one", "two"], "title": "T"}, ["T", "one"]
        )
        self.check("collect", {"flatten": True, "skip_null": True}, [[1, None], None, [2]], [1, 2])
        merged = [{"a": 1, "b": {"x": 1}}, {"b": {"y": 2}, "a": 3}]
        self.check("merge", {"depth": "deep", "on_conflict": "last"}, merged, {"a": 3, "b": {"x": 1, "y": 2}})
        person = {"address": {"city": "Lyon"}, "orders": [{"id": 7}]}
        self.check(
            "pick",
            {"members": {"city": "/address/city", "x": "/x"}, "missing": "null"},
            person,
            {"city": "Lyon", "x": None},
        )

    def test_a_conflict_is_an_error_unless_somebody_wins(self) -> None:
        self.check("merge", {}, [{"a": 1}, {"a": 1.0, "b": 2}], {"a": 1, "b": 2})
        with self.assertRaises(operations.OperationFailed):
            operations.run("merge", {}, [{"a": 1}, {"a": 2}])

    def test_arguments_are_looked_at_before_anything_runs(self) -> None:
        for operation, args in (
            ("sum", {}),
            ("echo", {"x": 1}),
            ("pick", {}),
            ("collect", {"at": "x"}),
            ("merge", {"at": "", "pointers": []}),
        ):
            self.assertIsNotNone(operations.fault(operation, args))
