"""The stdio protocol 1.0: one JSON object a line. Standard output carries nothing else; logs go to standard error."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

from strict_json import NotJson, read

VERSION = "1.0"
MAX_LINE_BYTES = 64 << 20


class Request(NamedTuple):
    """A line that was read."""

    id: int
    verb: Any
    document: dict[str, Any]
    faults: list[str]
    """What is wrong with its JSON though it is JSON: two readers could see two documents."""


class Connection:
    """Lines in, lines out. Answers may be written from any thread, in any order."""

    def __init__(self, lines_in: BinaryIO, lines_out: BinaryIO) -> None:
        self._in, self._out = lines_in, lines_out
        self._writing = threading.Lock()

    def requests(self) -> Iterator[Request]:
        """Every request until the end of the input. A line that is none is answered here."""
        while line := self._in.readline(MAX_LINE_BYTES + 1):
            if len(line) > MAX_LINE_BYTES:
                while line and not line.endswith(b"\n"):
                    line = self._in.readline(MAX_LINE_BYTES)
                self.error(None, f"a line of more than {MAX_LINE_BYTES} bytes")
                continue
            if not line.strip():
                continue
            try:
                document, faults = read(line.decode("utf-8"))
            except (NotJson, UnicodeDecodeError) as error:
                self.error(None, f"not a line of JSON: {error if isinstance(error, NotJson) else 'not UTF-8'}")
                continue
            if not isinstance(document, dict) or not _is_id(document.get("id")):
                self.error(None, "a request is an object with an `id` and a `verb`")
                continue
            yield Request(document["id"], document.get("verb"), document, faults)

    def ok(self, id: int, result: Any) -> None:
        self._write({"id": id, "ok": result})

    def refused(self, id: int, refusal: dict[str, Any]) -> None:
        self._write({"id": id, "refused": refusal})

    def cancelled(self, id: int) -> None:
        self._write({"id": id, "cancelled": {}})

    def unsupported(self, id: int, reason: str) -> None:
        self._write({"id": id, "unsupported": {"reason": reason}})

    def error(self, id: int | None, message: str) -> None:
        self._write({"id": id, "error": {"message": message}})

    def _write(self, message: dict[str, Any]) -> None:
        line = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode("utf-8") + b"\n"
        with self._writing:
            self._out.write(line)
            self._out.flush()


def _is_id(id: Any) -> bool:
    return type(id) is int and id >= 0
