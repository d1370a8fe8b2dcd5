"""Runs the repository's fixtures through a backend that speaks stdio, and compares with what every backend must give.

    python3 conformance/adapters/check_fixtures.py -- python3 conformance/adapters/python/backend.py

A graph that names operations which the backend does not declare is left out, and said to be. The models are scripted.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import subprocess
import sys
from typing import Any

from scripted_model import ScriptedModel

FIXTURES = pathlib.Path(__file__).parents[2] / "fixtures"
NO_SCRIPT = {"models": [], "tasks": {}}
COMPARED = (
    "task_id", "task_type", "status", "retry_count", "validation_status", "stages", "skip_reason", "escalated_to",
)  # fmt: skip


class Peer:
    """A backend as a child process."""

    def __init__(self, command: list[str], models: dict[str, Any]) -> None:
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._next = 0
        self.introduction = self.ask(verb="hello", protocol="1.0", models=models)["ok"]

    def line(self, **request: Any) -> bytes:
        self._next += 1
        return json.dumps({"id": self._next, **request}).encode()

    def send(self, **request: Any) -> int:
        self._write(self.line(**request))
        return self._next

    def say(self, line: bytes) -> dict[str, Any]:
        self._write(line)
        return self.receive()

    def _write(self, line: bytes) -> None:
        assert self._child.stdin
        self._child.stdin.write(line + b"\n")
        self._child.stdin.flush()

    def receive(self) -> dict[str, Any]:
        assert self._child.stdout
        line = self._child.stdout.readline()
        if not line:
            raise EOFError("the backend closed its output")
        return json.loads(line)

    def ask(self, **request: Any) -> dict[str, Any]:
        id = self.send(**request)
        answer = self.receive()
        assert answer["id"] == id, f"answer to {answer['id']} instead of {id}"
        return answer

    def close(self) -> int:
        self.ask(verb="shutdown")
        ended = self._child.wait(timeout=5)
        self.kill()
        return ended

    def hang_up(self) -> int:
        assert self._child.stdin
        self._child.stdin.close()
        return self._child.wait(timeout=5)

    def kill(self) -> None:
        self._child.kill()
        self._child.wait()
        for stream in (self._child.stdin, self._child.stdout):
            assert stream
            stream.close()


def context() -> dict[str, str]:
    return {"run_id": "run-1", "trace_id": "trace-1", "backend_mode": "local"}


def marked(graph: dict[str, Any]) -> dict[str, Any]:
    """The graph with a marker in each prompt, so that the stand-in knows who asks."""
    for task in graph.get("tasks", []):
        run = task.get("run", {})
        if "prompt" in run:
            run["prompt"] += f" [ref:{task['id']}]"
        elif "messages" in run:
            run["messages"][-1]["content"] += f" [ref:{task['id']}]"
    return graph


def differences(expected: dict[str, Any], answer: dict[str, Any], scripted: bool) -> list[str]:
    """What the answer has otherwise than it must."""
    found: list[str] = []

    def compare(what: str, wanted: Any, got: Any) -> None:
        if wanted != got:
            found.append(f"{what}: expected {json.dumps(wanted)}, got {json.dumps(got)}")

    if "refused" in expected:
        compare("refusal", expected["refused"]["error_type"], answer.get("refused", {}).get("error_type"))
        return found
    result = answer.get("ok")
    if result is None:
        return [f"no result: {json.dumps(answer)[:300]}"]
    bundle = result["telemetry_bundle"]
    for member in ("status", "final_output"):
        compare(member, expected[member], result[member])
    compare("failure", essence(expected.get("failure")), essence(result.get("failure")))
    for name, total in expected["totals"].items():
        if name != "total_tokens":
            compare(name, total, bundle["summary"][name])
    compare("records", len(expected["tasks"]), len(bundle["tasks"]))
    for wanted, got in zip(expected["tasks"], bundle["tasks"]):
        for member in COMPARED:
            compare(f"{wanted['task_id']}.{member}", wanted.get(member), got.get(member))
        compare(f"{wanted['task_id']}.failure", essence(wanted.get("failure")), essence(got.get("failure")))
        if not wanted.get("tokens_estimated"):
            compare(f"{wanted['task_id']}.tokens_out", wanted["tokens_out"], got["tokens_out"])
    if not scripted and "graph_digest" in result["execution_metadata"]:
        compare("graph_digest", expected["graph_digest"], result["execution_metadata"]["graph_digest"])
    return found


def essence(failure: Any) -> Any:
    """A failure without words and amounts."""
    if not failure:
        return None
    breach = failure.get("breach", {})
    return failure["error_type"], failure["task_id"], breach.get("cap"), failure.get("retries_exhausted", False)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--only", default="", help="fixtures whose name holds this")
    arguments.add_argument("command", nargs="+", help="the backend, after `--`")
    options = arguments.parse_args()
    failed, skipped, passed = [], [], 0
    for path in sorted([*FIXTURES.glob("clauses/*.expected.json"), *FIXTURES.glob("golden/*.expected.json")]):
        name = path.name[: -len(".expected.json")]
        if options.only not in name:
            continue
        expected = json.loads(path.read_text())
        graph = json.loads((path.parent / f"{name}.json").read_text())
        script = path.parent / f"{name}.script.json"
        scripted = script.exists()
        with ScriptedModel(json.loads(script.read_text()) if scripted else NO_SCRIPT) as model:
            if model.script.get("locality") == "remote":
                skipped.append((name, "the stand-in is always local"))
                continue
            peer = Peer(options.command, model.hello())
            declared = set(peer.ask(verb="capability_descriptor")["ok"]["operations"])
            needed = {task["run"].get("operation") for task in graph["tasks"]} - declared - {None}
            if needed and "refused" not in expected:
                skipped.append((name, f"not declared: {', '.join(sorted(needed))}"))
            else:
                graph = marked(graph) if scripted else graph
                answer = peer.ask(verb="execute_taskgraph", taskgraph=graph, execution_context=context())
                found = differences(expected, answer, scripted)
                asked = sum(1 for call in model.calls if call != "?")
                claimed = answer.get("ok", {}).get("telemetry_bundle", {}).get("summary", {})
                if claimed.get("model_invocation_count", 0) != asked:
                    found.append(f"{asked} calls were seen, {claimed.get('model_invocation_count')} claimed")
                failed += [(name, found)] if found else []
                passed += not found
            if peer.close() != 0:
                failed.append((name, ["the backend did not end with 0"]))
    for name, found in failed:
        print(f"FAILED {name}", *found, sep="\n  ")
    for name, why in skipped:
        print(f"LEFT OUT {name}: {why}")
    print(f"{passed} passed, {len(failed)} failed, {len(skipped)} left out")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
