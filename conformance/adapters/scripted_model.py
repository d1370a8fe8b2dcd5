"""A stand-in for a model: an OpenAI-compatible server that answers from a script, for the adapters' own tests.

A call is attributed by the marker `[ref:TASK]` in its prompt. The script is that of `fixtures/*.script.json`.
"""

from __future__ import annotations

import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TRANSIENT = {"unreachable", "rate_limited", "server_error", "protocol"}


class ScriptedModel:
    """Serves a script on a port of its own while it is entered. `calls` has the task of each call, as begun."""

    def __init__(self, script: dict[str, Any]) -> None:
        self.script, self.calls = script, []
        self.prompts: list[str] = []
        self._attempts: dict[str, int] = {}
        self._lock = threading.Lock()
        model = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.close_connection = True
                try:
                    model._play(self, asked)
                except OSError:
                    pass

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True

    def __enter__(self) -> ScriptedModel:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._server.shutdown()
        self._server.server_close()

    def hello(self) -> dict[str, Any]:
        """The `models` of a `hello`."""
        return {"base_url": f"http://127.0.0.1:{self._server.server_address[1]}/v1", "models": self.script["models"]}

    def _step(self, prompt: str) -> dict[str, Any] | None:
        found = re.search(r"\[ref:([^\]]+)\]", prompt)
        task = found[1] if found else "?"
        with self._lock:
            self.calls.append(task)
            self.prompts.append(prompt)
            attempt = self._attempts.get(task, 0)
            self._attempts[task] = attempt + 1
        steps = self.script["tasks"].get(task) or [self.script.get("otherwise")]
        return steps[min(attempt, len(steps) - 1)]

    def _play(self, handler: BaseHTTPRequestHandler, asked: dict[str, Any]) -> None:
        step = self._step("\n".join(message["content"] for message in asked["messages"]))
        act = step["act"] if step else {"error": {"kind": "rejected"}}
        time.sleep((step or {}).get("delay_ms", 0) / 1000)
        if act == "hang":
            time.sleep(30)
            return
        if isinstance(act, dict) and "error" in act:
            kind = act["error"]["kind"]
            handler.send_response(503 if act["error"].get("transient", kind in TRANSIENT) else 400)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.end_headers()

        def event(**members: Any) -> None:
            handler.wfile.write(b"data: " + json.dumps({"model": asked["model"], **members}).encode() + b"\n\n")
            handler.wfile.flush()

        def say(piece: str, finish: str | None = None) -> None:
            event(choices=[{"index": 0, "delta": {"content": piece}, "finish_reason": finish}])
            time.sleep(step.get("ms_per_token", 0) / 1000)

        if act == "overrun":
            for _ in range(10_000):
                say("x")
            return
        text = act.get("text", act.get("truncated", act.get("cut_off")))
        if text is None:
            text = json.dumps(act["reply"], ensure_ascii=False, separators=(",", ":"))
        tokens = step.get("tokens_out") or max(1, -(-len(text.encode()) // 4))
        if step.get("usage") == "afterwards":
            say(text)
        else:
            for nth in range(tokens):
                say(text[len(text) * nth // tokens : len(text) * (nth + 1) // tokens] or "")
        if "cut_off" in act:
            return
        say("", "length" if "truncated" in act else "stop")
        usage = {"completion_tokens": tokens}
        if "tokens_in" in step:
            usage["prompt_tokens"] = step["tokens_in"]
        event(choices=[], usage=usage)
        handler.wfile.write(b"data: [DONE]\n\n")
