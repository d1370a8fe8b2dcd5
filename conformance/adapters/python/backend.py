"""A small complete backend that speaks the stdio protocol: `python3 backend.py`.

Runs are made in threads, one at a time, so that health, capabilities and cancellation are answered meanwhile.
"""

from __future__ import annotations

import hashlib
import re
import sys
import threading
import time
from typing import Any

import operations
from graph import Graph, read_graph
from model import Cancelled, ModelServer, Stop
from protocol import VERSION, Connection, Request
from reader import Refused
from run import Run
from strict_json import canonical

NAME = "small-python-backend"
BACKEND_VERSION = "1.0.0"
INTERFACE_VERSION = "1.0.0"
MAX_RUNS = 64


class Backend:
    """The contract's three methods over documents: `execute`, `health` and `capabilities`."""

    def __init__(self, models: list[dict[str, Any]], server: ModelServer | None) -> None:
        self._models, self._server = models, server
        self._turn = threading.Lock()
        self._active = 0

    def execute(self, graph_document: Any, context_document: Any, stop: Stop) -> dict[str, Any]:
        """Runs a graph to its result. Raises `Refused` if nothing ran, `Cancelled` if nobody wants it any more."""
        context = read_context(context_document)
        graph = read_graph(graph_document)
        models = self._plan(graph)
        # One run after the other: that is what `max_concurrency` promises.
        while not self._turn.acquire(timeout=0.02):
            stop.check()
        self._active += 1
        try:
            began = time.monotonic()
            outcome = Run(graph, models, self._server, stop).execute()
        finally:
            self._active -= 1
            self._turn.release()
        return {
            **outcome,
            "execution_metadata": {
                "run_id": context["run_id"],
                "trace_id": context["trace_id"],
                "backend": "local",
                "backend_version": BACKEND_VERSION,
                "interface_version": INTERFACE_VERSION,
                "graph_id": graph.id,
                "graph_digest": "sha256:" + hashlib.sha256(canonical(graph_document).encode("utf-8")).hexdigest(),
                "duration_ms": int((time.monotonic() - began) * 1000),
            },
        }

    def health(self) -> dict[str, Any]:
        """Whether a run would be taken now (C3.5)."""
        reachable = self._server is None or self._server.answers()
        return {
            "status": "healthy" if reachable else "degraded",
            "capacity_summary": {"active_runs": self._active, "max_concurrency": 1},
            "backend_version": BACKEND_VERSION,
        }

    def capabilities(self) -> dict[str, Any]:
        """What can be run (C3.6). What is not said here, nobody may assume."""
        windows = [model["context_tokens"] for model in self._models if model.get("context_tokens")]
        return {
            "max_model_size": None,
            "max_concurrency": 1,
            "supported_task_types": ["deterministic", *(["model"] if self._models else []), "aggregation"],
            "supported_context_window": max(windows, default=None),
            "distributed": False,
            "models": [
                {"model_id": model["id"], "tier": model.get("tier"), "context_tokens": model.get("context_tokens")}
                for model in self._models
            ],
            "operations": sorted(operations.OPERATIONS),
            "extensions": [],
        }

    def _plan(self, graph: Graph) -> dict[str, str]:
        """Which model answers each model task. Raises `Refused` for all that is beyond the capabilities (C3.7)."""
        models, unmet = {}, []
        for task in graph.tasks:
            for fault in task.unsupported:
                unmet.append((task.id, "schemas", f"{fault.pointer or '/'}: {fault.message}"))
            if not task.is_model:
                fault = operations.fault(task.run["operation"], task.run["args"])
                if fault:
                    unmet.append((task.id, "operations", fault))
                continue
            # Exactly the declared model, or the first of the declared tier: never a heavier one (C11.3).
            declared = task.run["model"]
            fitting = [model for model in self._models if declared in (model["id"], model.get("tier"))]
            if not fitting:
                unmet.append((task.id, "models", f"no model or tier is called `{declared}`"))
            elif task.local_only and not (self._server and self._server.is_local):
                unmet.append((task.id, "models", f"`{declared}` is served elsewhere, and the task is `local_only`"))
            elif task.budget["max_tokens"] > (fitting[0].get("context_tokens") or float("inf")):
                unmet.append((task.id, "supported_context_window", "`max_tokens` does not fit the model's window"))
            else:
                models[task.id] = fitting[0]["id"]
        if unmet:
            said = "; ".join(f"task `{task}`: {offered}" for task, _, offered in unmet[:20])
            listed = [dict(zip(("task_id", "capability", "offered"), entry)) for entry in unmet]
            raise Refused("VALIDATION_ERROR", f"beyond this backend's capabilities: {said}", {"unmet": listed})
        return models


def read_context(document: Any) -> dict[str, Any]:
    """The context, or the refusal that says what is wrong with it. Fields that are not known here are accepted."""
    context = document if isinstance(document, dict) else {}
    version = context.get("interface_version")
    # First: what another MAJOR means by the other fields is not known here (C10.3).
    if isinstance(version, str) and not re.fullmatch(r"1(\.(0|[1-9]\d*)){0,2}", version):
        raise Refused("VERSION_MISMATCH", f"interface version {INTERFACE_VERSION} is what there is")
    wrong = [
        f"/{name}: write a text of 1 to 128 bytes without control characters"
        for name in ("run_id", "trace_id", "user_id")
        if not (_is_name(context.get(name)) or (name == "user_id" and context.get(name) is None))
    ]
    if context.get("backend_mode") not in ("local", "krako"):
        wrong.append('/backend_mode: write "local" or "krako"')
    if version is not None and not isinstance(version, str):
        wrong.append("/interface_version: write a version as a text")
    if wrong:
        violations = [{"pointer": said.partition(":")[0], "message": said.partition(": ")[2]} for said in wrong]
        details = {"document": "execution_context", "violations": violations}
        raise Refused("VALIDATION_ERROR", "invalid `execution_context`: " + "; ".join(wrong), details)
    if context["backend_mode"] != "local":
        raise Refused("VALIDATION_ERROR", "the context asks for backend `krako`, and this is `local`")
    return context


def _is_name(name: Any) -> bool:
    fits = isinstance(name, str) and 0 < len(name.encode("utf-8")) <= 128
    return fits and not re.search(r"[\x00-\x1f\x7f-\x9f]", name)


class Session:
    """One conversation: `hello` first, then everything else."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._backend: Backend | None = None
        self._runs: dict[int, tuple[Stop, threading.Thread]] = {}
        self._lock = threading.Lock()

    def serve(self) -> None:
        """Until `shutdown`, or the end of the input, which means the same."""
        for request in self._connection.requests():
            if request.verb == "shutdown":
                self._stop_all()
                self._connection.ok(request.id, {})
                return
            self._answer(request)
        self._stop_all()

    def _answer(self, request: Request) -> None:
        if request.verb == "hello":
            self._hello(request)
        elif self._backend is None:
            self._connection.unsupported(request.id, "say `hello` first")
        elif request.verb == "capability_descriptor":
            self._connection.ok(request.id, self._backend.capabilities())
        elif request.verb == "health_check":
            backend = self._backend
            threading.Thread(target=lambda: self._connection.ok(request.id, backend.health()), daemon=True).start()
        elif request.verb == "execute_taskgraph":
            self._execute(request, self._backend)
        elif request.verb == "cancel":
            target = request.document.get("target")
            with self._lock:
                run = self._runs.get(target) if isinstance(target, int) else None
            if run:
                run[0].set()
            self._connection.ok(request.id, {})
        else:
            self._connection.unsupported(request.id, "this backend does not know this verb")

    def _hello(self, request: Request) -> None:
        protocol = request.document.get("protocol")
        if not isinstance(protocol, str) or protocol.partition(".")[0] != VERSION.partition(".")[0]:
            return self._connection.error(request.id, f"protocol {VERSION} is spoken here")
        offered = request.document.get("models") or {}
        try:
            models = list(offered.get("models", []))
            server = ModelServer(offered["base_url"]) if models else None
            if not all(isinstance(model["id"], str) for model in models):
                raise TypeError
        except (AttributeError, KeyError, TypeError, ValueError):
            return self._connection.error(request.id, "`models` is not what protocol 1.0 says")
        self._backend = Backend(models, server)
        introduction = {"protocol": VERSION, "name": NAME, "version": BACKEND_VERSION, "backend_mode": "local"}
        self._connection.ok(request.id, introduction)

    def _execute(self, request: Request, backend: Backend) -> None:
        stop = Stop()

        def run() -> None:
            try:
                if request.faults:
                    raise Refused("VALIDATION_ERROR", f"invalid request: {request.faults[0]}")
                document = request.document
                result = backend.execute(document.get("taskgraph"), document.get("execution_context"), stop)
                self._finish(request.id)
                self._connection.ok(request.id, result)
            except Refused as refused:
                self._finish(request.id)
                self._connection.refused(request.id, refused.document)
            except Cancelled:
                self._finish(request.id)
                self._connection.cancelled(request.id)
            except Exception as error:
                self._finish(request.id)
                print(f"a bug: {error!r}", file=sys.stderr)
                self._connection.error(request.id, f"a bug of this backend ({type(error).__name__})")

        with self._lock:
            if request.id in self._runs:
                return self._connection.error(None, "a run with this id is under way")
            if len(self._runs) >= MAX_RUNS:
                refusal = Refused("UNAVAILABLE", f"{MAX_RUNS} runs are under way; try again later")
                return self._connection.refused(request.id, refusal.document)
            thread = threading.Thread(target=run, daemon=True)
            self._runs[request.id] = (stop, thread)
            thread.start()

    def _finish(self, id: int) -> None:
        with self._lock:
            del self._runs[id]

    def _stop_all(self) -> None:
        """Stops every run, and waits until each has been answered."""
        with self._lock:
            runs = list(self._runs.values())
        for stop, _ in runs:
            stop.set()
        for _, thread in runs:
            thread.join(timeout=5)


if __name__ == "__main__":
    Session(Connection(sys.stdin.buffer, sys.stdout.buffer)).serve()
