"""Looks at a document and collects what is wrong with it, so that everything is said at once."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from strict_json import is_pointer

ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,127}")


class Refused(Exception):
    """Nothing ran, and this is why: a refusal is not a failure."""

    def __init__(self, error_type: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.document = {"error_type": error_type, "message": message, **({"details": details} if details else {})}


class Reader:
    """Collects what is wrong. A newer MINOR may have fields that this version does not know."""

    def __init__(self) -> None:
        self.violations: list[dict[str, Any]] = []
        self.lenient = False

    def wrong(self, code: str, pointer: str, message: str, help: str = "") -> None:
        self.violations.append({"code": code, "pointer": pointer, "message": message, "help": help or None})

    def refuse(self) -> None:
        """Raises if anything is wrong."""
        if not self.violations:
            return
        first, more = self.violations[0], len(self.violations) - 1
        version = any(violation["code"] == "version-mismatch" for violation in self.violations)
        raise Refused(
            "VERSION_MISMATCH" if version else "VALIDATION_ERROR",
            f"invalid graph: {first['pointer'] or '/'}: {first['message']}" + (f" (and {more} more)" if more else ""),
            {"document": "taskgraph", "violations": self.violations[:200], "omitted": max(0, more - 199)},
        )

    def fields(self, value: Any, at: str, known: str, required: str = "") -> dict[str, Any]:
        """The members of an object, unknown and missing ones reported."""
        if not isinstance(value, dict):
            self.wrong("wrong-type", at, "this must be an object")
            return {}
        for name in value:
            if name not in known.split() and not self.lenient:
                self.wrong("unknown-field", at, f"`{name[:64]}` is not known here", f"known are: {known}")
        for name in required.split():
            if name not in value:
                self.wrong("missing-field", at, f"`{name}` is missing")
        return value

    def items(self, value: Any, at: str, most: int) -> list[Any]:
        if not isinstance(value, list):
            self.wrong("wrong-type", at, "this must be an array")
            return []
        if len(value) > most:
            self.wrong("too-many", at, f"more than {most} entries")
        return value[:most]

    def word(self, value: Any, at: str, words: Iterable[str]) -> Any:
        if not isinstance(value, str) or value not in words:
            self.wrong("unknown-word", at, f"this must be one of {', '.join(words)}")
        return value

    def id(self, value: Any, at: str) -> Any:
        if not isinstance(value, str) or not ID.fullmatch(value):
            self.wrong("invalid-id", at, "no id", "1 to 128 ASCII letters, digits, `_`, `-`, `.` or `:`")
            return None
        return value

    def caps(self, value: Any, at: str, limits: dict[str, int]) -> dict[str, int]:
        caps = self.fields(value, at, " ".join(limits))
        for name, cap in caps.items():
            if name in limits and (type(cap) is not int or not 0 <= cap <= limits[name]):
                self.wrong("invalid-budget", f"{at}/{name}", f"write a whole number from 0 to {limits[name]}")
        return caps

    def pointer(self, value: Any, at: str) -> Any:
        if not is_pointer(value):
            self.wrong("invalid-pointer", at, "no JSON pointer", "it is empty or starts with `/`")
        return value
