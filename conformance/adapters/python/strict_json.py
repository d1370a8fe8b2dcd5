"""JSON, read and written so that two readers cannot see two values.

Reading refuses what readers disagree about: a key that stands twice, a number that a double cannot carry. Writing gives
one text for equal values (RFC 8785), so that texts can be compared in place of values.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

MAX_DEPTH = 104
"""Levels of a message: four down to a task's `input`, and a hundred of its own."""

MAX_EXACT = 2**53 - 1
"""Beyond it, JSON numbers stop being exact."""

_STRING_OR_BRACKET = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\Z)|[\[\]{}]', re.DOTALL)


class NotJson(ValueError):
    """The text is not one JSON value. Says where, and repeats nothing of the text."""


def read(text: str) -> tuple[Any, list[str]]:
    """The value of `text`, and what is wrong with it though it is JSON."""
    faults: list[str] = []

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value: dict[str, Any] = {}
        for name, member in pairs:
            if name in value:
                faults.append("a key stands twice in one object")
            value[name] = member
        return value

    def whole(digits: str) -> int:
        if len(digits) > 17 or abs(int(digits)) > MAX_EXACT:
            faults.append("a number is beyond ±(2^53 - 1), where JSON numbers stop being exact; write it as a string")
            return 0
        return int(digits)

    def fraction(digits: str) -> float:
        number = float(digits)
        if number in (float("inf"), float("-inf")):
            faults.append("a number is beyond the range of JSON numbers; write it as a string")
            return 0.0
        return number

    def constant(word: str) -> Any:
        raise NotJson(f"{word} is not a JSON value")

    shallow = _cut_at(MAX_DEPTH, text)
    if shallow is not text:
        faults.append(f"nested deeper than {MAX_DEPTH} levels")
    try:
        value = json.loads(
            shallow, object_pairs_hook=members, parse_int=whole, parse_float=fraction, parse_constant=constant
        )
        # An escaped half of a character is JSON by its grammar, and no text.
        if "\\ud" in shallow.lower():
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except json.JSONDecodeError as error:
        raise NotJson(f"{error.msg.lower()} at character {error.pos}") from None
    except UnicodeEncodeError:
        raise NotJson("half of a surrogate pair") from None
    return value, faults


def _cut_at(depth: int, text: str) -> str:
    """`text` with `null` for whatever is nested deeper: the parser recurses, and its stack is finite."""
    level, kept, start = 0, [], 0
    for token in _STRING_OR_BRACKET.finditer(text):
        if token[0] in "[{":
            level += 1
            if level == depth + 1:
                kept.append(text[start : token.start()])
        elif token[0] in "]}":
            if level == depth + 1:
                kept.append("null")
                start = token.end()
            level -= 1
    if level > depth:
        start = len(text)
    return "".join(kept) + text[start:] if kept else text


def canonical(value: Any) -> str:
    """The one text of `value` (RFC 8785)."""
    if isinstance(value, bool) or value is None or isinstance(value, (int, str)):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    names = sorted(value, key=lambda name: name.encode("utf-16-be"))
    return "{" + ",".join(f"{canonical(name)}:{canonical(value[name])}" for name in names) + "}"


def _number(number: float) -> str:
    """A double as ECMAScript writes it: the shortest digits that read back the same."""
    if number == 0:
        return "0"
    negative, figures, exponent = Decimal(repr(number)).as_tuple()
    point = len(figures) + int(exponent)
    digits = "".join(map(str, figures)).rstrip("0")
    sign = "-" if negative else ""
    if 0 < point <= 21:
        whole, rest = digits[:point].ljust(point, "0"), digits[point:]
        return sign + whole + ("." + rest if rest else "")
    if -6 < point <= 0:
        return sign + "0." + "0" * -point + digits
    rest = "." + digits[1:] if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{rest}e{point - 1:+d}"


def follow(pointer: str, value: Any) -> tuple[bool, Any]:
    """What a JSON pointer (RFC 6901) finds in `value`: whether there is anything, and what."""
    for token in pointer.split("/")[1:]:
        token = token.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and token in value:
            value = value[token]
        elif isinstance(value, list) and re.fullmatch(r"0|[1-9][0-9]{0,9}", token) and int(token) < len(value):
            value = value[int(token)]
        else:
            return False, None
    return True, value


def is_pointer(text: Any) -> bool:
    """Whether `text` is a JSON pointer."""
    return isinstance(text, str) and re.fullmatch(r"(?:/(?:[^/~]|~[01])*)*", text) is not None
