"""Holds a backend to the stdio protocol: order, cancellation, hostile lines, and what it must answer meanwhile.

    python3 conformance/adapters/check_protocol.py -- python3 conformance/adapters/python/backend.py

`kora-backend conformance doctor` is for strangers; this is for the adapters of this folder, and shorter.
"""

from __future__ import annotations

import subprocess
import sys
import time
import unittest
from typing import Any

from check_fixtures import Peer, context
from scripted_model import ScriptedModel

COMMAND: list[str] = []
SCRIPT: dict[str, Any] = {
    "models": [{"id": "stand-in", "tier": "small", "context_tokens": 8192}],
    "tasks": {"slow": ["hang"], "fast": [{"reply": {"text": "red"}}]},
}
for _steps in SCRIPT["tasks"].values():
    _steps[:] = [{"act": act} for act in _steps]


def graph(id: str, /, **changes: Any) -> dict[str, Any]:
    task = {
        "version": "1.0",
        "id": id,
        "type": "model",
        "dependencies": [],
        "input": {},
        "run": {"model": "small", "prompt": f"Name a colour. [ref:{id}]"},
        "schema": {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}},
        "budget": {"max_tokens": 40, "max_time_ms": 20_000, "max_retries": 0},
        **changes,
    }
    return {"kora_version": "1.0.0", "graph_id": "g", "root": id, "tasks": [task]}


class Protocol(unittest.TestCase):
    def setUp(self) -> None:
        self.model = ScriptedModel(SCRIPT)
        self.model.__enter__()
        self.addCleanup(self.model.__exit__)
        self.peer = Peer(COMMAND, self.model.hello())
        self.addCleanup(self.peer.kill)

    def run_graph(self, document: Any, execution_context: Any = None) -> dict[str, Any]:
        given = context() if execution_context is None else execution_context
        return self.peer.ask(verb="execute_taskgraph", taskgraph=document, execution_context=given)

    def refusal(self, document: Any, execution_context: Any = None) -> str:
        refused = self.run_graph(document, execution_context)["refused"]
        self.assertTrue(refused["message"])
        self.assertEqual(self.model.calls, [])
        return refused["error_type"]

    def test_a_run_gives_a_result_that_names_it(self) -> None:
        result = self.run_graph(graph("fast"))["ok"]
        self.assertEqual(result["final_output"], {"text": "red"})
        self.assertEqual(result["execution_metadata"]["run_id"], "run-1")
        self.assertEqual(result["execution_metadata"]["trace_id"], "trace-1")

    def test_health_and_capabilities_are_answered_while_a_run_waits_for_its_model(self) -> None:
        run = self.peer.send(verb="execute_taskgraph", taskgraph=graph("slow"), execution_context=context())
        self.wait_for_a_call()
        self.assertEqual(self.peer.ask(verb="health_check")["ok"]["status"], "healthy")
        self.assertIn("max_concurrency", self.peer.ask(verb="capability_descriptor")["ok"])
        self.cancel(run)

    def test_a_cancelled_run_ends_at_once_and_the_next_one_runs(self) -> None:
        run = self.peer.send(verb="execute_taskgraph", taskgraph=graph("slow"), execution_context=context())
        self.wait_for_a_call()
        began = time.monotonic()
        self.cancel(run)
        self.assertLess(time.monotonic() - began, 2)
        self.assertEqual(self.run_graph(graph("fast"))["ok"]["status"], "success")

    def test_a_run_that_waits_for_its_turn_can_be_cancelled(self) -> None:
        first = self.peer.send(verb="execute_taskgraph", taskgraph=graph("slow"), execution_context=context())
        self.wait_for_a_call()
        second = self.peer.send(verb="execute_taskgraph", taskgraph=graph("slow"), execution_context=context())
        self.cancel(second)
        self.assertEqual(self.model.calls, ["slow"])
        self.cancel(first)

    def test_cancelling_what_is_not_there_is_no_fault(self) -> None:
        self.assertEqual(self.peer.ask(verb="cancel", target=99)["ok"], {})

    def test_lines_that_are_no_requests_are_answered_and_passed_over(self) -> None:
        for line in (b"{", b"\xff", b"[]", b"7", b'{"id":[1]}', b'{"verb":"hello"}', b"[" * 100_000):
            answer = self.peer.say(line)
            self.assertEqual(answer.keys(), {"id", "error"}, line[:20])
            self.assertIsNone(answer["id"])
        self.assertIn("unsupported", self.peer.ask(verb="dance"))
        self.assertIn("ok", self.peer.ask(verb="capability_descriptor"))

    def test_what_two_readers_could_see_differently_is_refused(self) -> None:
        deep = b"[" * 5000 + b"]" * 5000
        for twist in (b'"input":{"a":1,"a":2}', b'"input":{"a":9007199254740993}', b'"input":{"a":' + deep + b"}"):
            line = self.peer.line(verb="execute_taskgraph", taskgraph=graph("fast"), execution_context=context())
            answer = self.peer.say(line.replace(b'"input": {}', twist))
            self.assertEqual(answer.get("refused", {}).get("error_type"), "VALIDATION_ERROR", str(answer)[:200])
        self.assertEqual(self.model.calls, [])

    def test_no_document_makes_it_fall(self) -> None:
        for document in (None, 1, "x", [], {}, {"kora_version": "1.0.0"}, {"kora_version": "1.0.0", "tasks": [None]}):
            self.assertIn(self.refusal(document), ("VALIDATION_ERROR", "VERSION_MISMATCH"))
        for member in graph("fast")["tasks"][0]:
            for value in (None, True, 0, -1, "", "x", [], [[]], {}, {"x": {}}):
                answer = self.run_graph(graph("fast", **{member: value}))
                self.assertTrue(answer.keys() & {"ok", "refused"}, f"{member}: {value}: {answer}")
        for given in ([], "x", {}, {**context(), "run_id": 7}, {**context(), "backend_mode": "krako"}):
            self.assertIn("refused", self.run_graph(graph("fast"), given))

    def test_another_major_is_refused_before_anything_runs(self) -> None:
        self.assertEqual(self.refusal({**graph("fast"), "kora_version": "2.0.0"}), "VERSION_MISMATCH")
        self.assertEqual(self.refusal(graph("fast", version="2.0")), "VERSION_MISMATCH")
        self.assertEqual(self.refusal(graph("fast"), {**context(), "interface_version": "2.0.0"}), "VERSION_MISMATCH")

    def test_a_shutdown_answers_what_it_stops(self) -> None:
        run = self.peer.send(verb="execute_taskgraph", taskgraph=graph("slow"), execution_context=context())
        self.wait_for_a_call()
        shutdown = self.peer.send(verb="shutdown")
        self.assertEqual(self.peer.receive(), {"id": run, "cancelled": {}})
        self.assertEqual(self.peer.receive(), {"id": shutdown, "ok": {}})
        self.assertEqual(self.peer.hang_up(), 0)

    def test_the_end_of_the_input_is_a_shutdown(self) -> None:
        self.peer.send(verb="execute_taskgraph", taskgraph=graph("slow"), execution_context=context())
        self.wait_for_a_call()
        self.assertEqual(self.peer.hang_up(), 0)

    def test_hello_comes_first_and_speaks_the_same_protocol(self) -> None:
        said = b'{"id":1,"verb":"health_check"}\n{"id":2,"verb":"hello","protocol":"2.0"}\n'
        said += b'{"id":3,"verb":"hello","protocol":"1.7"}\n'
        done = subprocess.run(COMMAND, input=said, capture_output=True, timeout=20)
        lines = done.stdout.splitlines()
        self.assertIn(b'"unsupported"', lines[0])
        self.assertIn(b'"error"', lines[1])
        self.assertIn(b'"ok"', lines[2])
        self.assertEqual(done.returncode, 0)

    def wait_for_a_call(self) -> None:
        until = time.monotonic() + 10
        while not self.model.calls:
            self.assertLess(time.monotonic(), until, "the model was never called")
            time.sleep(0.01)

    def cancel(self, run: int) -> None:
        answers = {}
        sent = self.peer.send(verb="cancel", target=run)
        for _ in range(2):
            answer = self.peer.receive()
            answers[answer["id"]] = answer
        self.assertEqual(answers[sent]["ok"], {})
        self.assertEqual(answers[run], {"id": run, "cancelled": {}})


if __name__ == "__main__":
    COMMAND = sys.argv[sys.argv.index("--") + 1 :]
    unittest.main(argv=sys.argv[: sys.argv.index("--")], verbosity=1)
