"""One question to a model: streamed, to be cut off at the token cap, at the deadline, or when nobody wants it.

Speaks to an OpenAI-compatible server over plain HTTP. Each call has a connection of its own: closing it is what makes a
server stop generating, and spending.
"""

from __future__ import annotations

import functools
import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

MAX_LINE_BYTES = 1 << 20
MAX_REPLY_BYTES = 16 << 20
MAX_TOKEN_BYTES = 1024
"""A piece that is longer counts as several tokens, so that nobody can send everything as one."""


class Cancelled(Exception):
    """Nobody wants the run any more."""


class Stop:
    """Tells a run that nobody wants it any more, also while it waits for a model."""

    def __init__(self) -> None:
        self._set = threading.Event()
        self._lock = threading.Lock()
        self._hang_up: Any | None = None

    def set(self) -> None:
        """Stops the run: hangs up on its model, if it is talking to one."""
        with self._lock:
            self._set.set()
            if self._hang_up:
                self._hang_up()

    def check(self) -> None:
        """Raises `Cancelled` if the run was stopped."""
        if self._set.is_set():
            raise Cancelled

    def wait(self, seconds: float) -> None:
        """Waits, unless the run is stopped."""
        self._set.wait(max(0.0, seconds))
        self.check()

    @contextmanager
    def hanging_up(self, hang_up: Any) -> Iterator[None]:
        """Calls `hang_up` if the run is stopped meanwhile."""
        with self._lock:
            self._hang_up = hang_up
        try:
            self.check()
            yield
        finally:
            with self._lock:
                self._hang_up = None


class Question(NamedTuple):
    """What to ask, and what the answer may cost."""

    model: str
    messages: list[dict[str, str]]
    parameters: dict[str, Any]
    schema: Any
    max_tokens: int
    deadline: float
    """By `time.monotonic`."""


class Answer(NamedTuple):
    """What came back. `text` is raw: only the schema gate reads it."""

    end: str
    """`said`, or what ended it: `tokens`, `time`, `transient` or `final`."""
    message: str
    text: str
    tokens_in: int
    tokens_out: int
    estimated: bool
    """Whether a count was not told, and is the most that it can have been."""


class _Ended(Exception):
    def __init__(self, end: str, message: str) -> None:
        super().__init__(message)
        self.end = end


class _Spent:
    """Counts tokens as they come. Unknown is never zero."""

    def __init__(self) -> None:
        self.counted: int | None = 0
        self.told_in: int | None = 0
        self.told_out = 0

    def sent(self) -> None:
        """The request is on its way: from here on nobody knows, until tokens come or a count is told."""
        self.counted, self.told_in = None, None


class ModelServer:
    """An OpenAI-compatible server."""

    def __init__(self, base_url: str) -> None:
        url = urlsplit(base_url)
        if url.scheme != "http" or not url.hostname:
            raise ValueError("`base_url` is not an http URL")
        self._host, self._port, self._path = url.hostname, url.port or 80, url.path.rstrip("/")

    @property
    def is_local(self) -> bool:
        """Whether what is sent there stays on this machine."""
        return self._host in ("localhost", "::1") or self._host.startswith("127.")

    def answers(self) -> bool:
        """Whether it answers at all."""
        connection = http.client.HTTPConnection(self._host, self._port, timeout=1.0)
        try:
            connection.request("GET", f"{self._path}/models")
            return connection.getresponse().status < 500
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def ask(self, question: Question, stop: Stop) -> Answer:
        """Asks once. Raises `Cancelled`; everything else is an answer."""
        spent = _Spent()
        text: list[str] = []
        try:
            self._converse(question, stop, spent, text)
            end, message = "said", ""
        except _Ended as ended:
            end, message = ended.end, str(ended)
        stop.check()
        prompt_bytes = sum(len(message["content"].encode("utf-8")) for message in question.messages)
        out = spent.counted if spent.counted is not None else question.max_tokens
        return Answer(
            end,
            message,
            "".join(text) if end == "said" else "",
            prompt_bytes if spent.told_in is None else spent.told_in,
            max(out, spent.told_out),
            (spent.counted is None and spent.told_out == 0) or spent.told_in is None,
        )

    def _converse(self, question: Question, stop: Stop, spent: _Spent, text: list[str]) -> None:
        left = question.deadline - time.monotonic()
        if left <= 0:
            raise _Ended("time", "no time is left")
        connection = http.client.HTTPConnection(self._host, self._port, timeout=left)
        try:
            connection.connect()
        except OSError as error:
            connection.close()
            late = time.monotonic() >= question.deadline
            raise _Ended("time" if late else "transient", "the model's server cannot be reached") from error
        hang_up = functools.partial(_hang_up, connection.sock)
        timer = threading.Timer(max(0.0, question.deadline - time.monotonic()), hang_up)
        timer.daemon = True
        timer.start()
        try:
            with stop.hanging_up(hang_up):
                spent.sent()
                self._send(connection, question)
                response = connection.getresponse()
                if response.status != 200:
                    # Turned down before anything was generated.
                    spent.counted, spent.told_in = 0, 0
                    passing = response.status in (408, 425, 429) or response.status >= 500
                    raise _Ended("transient" if passing else "final", f"the server answered {response.status}")
                spent.counted = 0
                self._read(response, question, spent, text)
        except (OSError, http.client.HTTPException, ValueError, TypeError, AttributeError) as error:
            stop.check()
            if time.monotonic() >= question.deadline:
                raise _Ended("time", "no complete reply in time") from None
            raise _Ended("transient", f"no reply as agreed on ({type(error).__name__})") from None
        finally:
            timer.cancel()
            connection.close()
        if time.monotonic() >= question.deadline:
            raise _Ended("time", "no complete reply in time")

    def _send(self, connection: http.client.HTTPConnection, question: Question) -> None:
        body = {
            "model": question.model,
            "messages": question.messages,
            "stream": True,
            "stream_options": {"include_usage": True},
            "max_tokens": question.max_tokens,
            "temperature": 0,
            **question.parameters,
            "response_format": {"type": "json_schema", "json_schema": {"name": "output", "schema": question.schema}},
        }
        connection.request(
            "POST", f"{self._path}/chat/completions", json.dumps(body), {"Content-Type": "application/json"}
        )

    def _read(self, response: http.client.HTTPResponse, question: Question, spent: _Spent, text: list[str]) -> None:
        """Reads events until the end of the stream, and not one token beyond the cap."""
        finish, size, counted = None, 0, 0
        while True:
            line = response.readline(MAX_LINE_BYTES)
            if not line.strip():
                if line == b"" and finish is None:
                    raise ConnectionError("the stream ended early")
                if line == b"":
                    break
                continue
            if not line.startswith(b"data:"):
                continue
            data = line[5:].strip()
            if data == b"[DONE]":
                break
            event = json.loads(data)
            if "error" in event:
                raise _Ended("transient", "the server reported an error instead of a reply")
            if event.get("model", question.model) != question.model:
                raise _Ended("final", "the server answered with another model than the one asked for")
            usage = event.get("usage") or {}
            told_in = _count(usage.get("prompt_tokens"))
            spent.told_in = spent.told_in if told_in is None else told_in
            spent.told_out = max(spent.told_out, _count(usage.get("completion_tokens")) or 0)
            for choice in event.get("choices", [])[:1]:
                piece = (choice.get("delta") or {}).get("content") or ""
                length = len(piece.encode("utf-8"))
                size += length
                counted += -(-length // MAX_TOKEN_BYTES)
                spent.counted = counted
                text.append(piece)
                finish = choice.get("finish_reason") or finish
            if max(counted, spent.told_out) > question.max_tokens or finish == "length":
                raise _Ended("tokens", "cut off at the token cap")
            if size > MAX_REPLY_BYTES:
                raise _Ended("final", "the reply is too large")
        if finish == "content_filter":
            raise _Ended("final", "the reply was withheld")


def _hang_up(connected: socket.socket) -> None:
    """Closes a connection under whoever reads from it."""
    try:
        connected.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


def _count(told: Any) -> int | None:
    """A number of tokens as a server tells it, if it is one."""
    return told if type(told) is int and told >= 0 else None
