"""Regular expressions in linear time: every state at once, so that no pattern and no text make it slow.

Python's own engine goes back and tries again, and a graph may come from anybody. What is left out (look-around,
back-references, Unicode classes) is refused when the graph is read.
"""

from __future__ import annotations

import functools
import re
from typing import Any, Callable

MAX_STATES = 1_000
_CLASSES: dict[str, Callable[[str], bool]] = {
    "d": lambda char: char in "0123456789",
    "w": lambda char: char == "_" or (char.isascii() and char.isalnum()),
    "s": lambda char: char.isspace() or char == "\ufeff",
}
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v", "0": "\0"}


class UnsupportedPattern(ValueError):
    """Not a pattern, or one that this engine does not know."""


class Pattern:
    """A pattern, parsed once. A state is a test of one character and the state after it, or a fork."""

    def __init__(self, source: str) -> None:
        self._states: list[tuple[Any, ...]] = [("found",)]
        self._start = self._emit(_Parser(source).parse(), 0)

    def found_in(self, text: str) -> bool:
        """Whether any part of `text` matches."""
        current: set[int] = set()
        for at in range(len(text) + 1):
            self._add(self._start, current, at == 0, at == len(text))
            if 0 in current:
                return True
            following: set[int] = set()
            for state in current if at < len(text) else ():
                kind, *rest = self._states[state]
                if kind == "test" and rest[0](text[at]):
                    self._add(rest[1], following, False, at + 1 == len(text))
            current = following
        return False

    def _add(self, state: int, states: set[int], at_start: bool, at_end: bool) -> None:
        """Adds what can be reached without a character."""
        waiting = [state]
        while waiting:
            state = waiting.pop()
            if state in states:
                continue
            states.add(state)
            kind, *rest = self._states[state]
            if kind == "fork":
                waiting += rest[0]
            elif (kind == "start" and at_start) or (kind == "end" and at_end):
                waiting.append(rest[0])

    def _new(self, *state: Any) -> int:
        if len(self._states) >= MAX_STATES:
            raise UnsupportedPattern(f"more than {MAX_STATES} states")
        self._states.append(state)
        return len(self._states) - 1

    def _emit(self, node: tuple[Any, ...], then: int) -> int:
        """The state with which `node` begins if `then` is what follows it."""
        kind = node[0]
        if kind == "test":
            return self._new("test", node[1], then)
        if kind == "all":
            for part in reversed(node[1]):
                then = self._emit(part, then)
            return then
        if kind == "any":
            return self._new("fork", [self._emit(part, then) for part in node[1]])
        if kind == "repeat":
            _, part, least, most = node
            if most is None:
                fork = self._new("fork", [])
                self._states[fork] = ("fork", [self._emit(part, fork), then])
                then = fork
            else:
                after = then
                for _ in range(most - least):
                    then = self._new("fork", [self._emit(part, then), after])
            for _ in range(least):
                then = self._emit(part, then)
            return then
        return self._new(kind, then)


class _Parser:
    def __init__(self, source: str) -> None:
        self._source, self._at = source, 0

    def parse(self) -> tuple[Any, ...]:
        node = self._alternatives(0)
        if self._at < len(self._source):
            raise UnsupportedPattern("a `)` without its `(`")
        return node

    def _alternatives(self, depth: int) -> tuple[Any, ...]:
        if depth > 50:
            raise UnsupportedPattern("groups nested deeper than 50 levels")
        found = [self._sequence(depth)]
        while self._take("|"):
            found.append(self._sequence(depth))
        return found[0] if len(found) == 1 else ("any", found)

    def _sequence(self, depth: int) -> tuple[Any, ...]:
        parts = []
        while self._at < len(self._source) and self._source[self._at] not in "|)":
            parts.append(self._quantified(self._atom(depth)))
        return ("all", parts)

    def _quantified(self, node: tuple[Any, ...]) -> tuple[Any, ...]:
        found = re.compile(r"[*+?]|\{(\d{1,4})(,?)(\d{0,4})\}").match(self._source, self._at)
        if not found:
            return node
        if node[0] in ("start", "end"):
            raise UnsupportedPattern("a repeated `^` or `$`")
        self._at = found.end()
        self._take("?")
        if self._at < len(self._source) and self._source[self._at] in "*+?{":
            raise UnsupportedPattern("a repetition of a repetition")
        if found[0] in "*+?":
            return ("repeat", node, int(found[0] == "+"), 1 if found[0] == "?" else None)
        least = int(found[1])
        most = int(found[3]) if found[3] else (None if found[2] else least)
        if most is not None and most < least:
            raise UnsupportedPattern("a repetition of at most less than at least")
        return ("repeat", node, least, most)

    def _atom(self, depth: int) -> tuple[Any, ...]:
        char = self._next()
        if char == "(":
            if self._take("?") and not self._take(":"):
                raise UnsupportedPattern("a group that is more than a group")
            node = self._alternatives(depth + 1)
            if not self._take(")"):
                raise UnsupportedPattern("a `(` without its `)`")
            return node
        if char == "[":
            return ("test", self._set())
        if char == ".":
            return ("test", lambda char: char not in "\n\r\u2028\u2029")
        if char in "^$":
            return ("start" if char == "^" else "end",)
        if char in "*+?{}]":
            raise UnsupportedPattern(f"a `{char}` that stands alone")
        return ("test", self._escaped() if char == "\\" else _is(char))

    def _set(self) -> Callable[[str], bool]:
        negated, tests = self._take("^"), []
        while not self._take("]"):
            low = self._member()
            if callable(low) or not re.compile(r"-[^\]]").match(self._source, self._at):
                tests.append(low if callable(low) else _is(low))
                continue
            self._at += 1
            high = self._member()
            if callable(high) or high < low:
                raise UnsupportedPattern("a range whose ends are not in order")
            tests.append(functools.partial(_between, low, high))
        return lambda char: any(test(char) for test in tests) != negated

    def _member(self) -> Any:
        char = self._next()
        if char in "[&":
            raise UnsupportedPattern(f"a `{char}` in a class without a backslash")
        return self._escape() if char == "\\" else char

    def _escaped(self) -> Callable[[str], bool]:
        found = self._escape()
        return found if callable(found) else _is(found)

    def _escape(self) -> Any:
        """What follows a backslash: a character, or the test of a class."""
        char = self._next()
        test = _CLASSES.get(char.lower())
        if test:
            return test if char.islower() else _not(test)
        if char in "ux":
            found = re.compile(r"[0-9a-fA-F]{4}" if char == "u" else r"[0-9a-fA-F]{2}").match(self._source, self._at)
            if not found:
                raise UnsupportedPattern(f"a `\\{char}` without its digits")
            self._at = found.end()
            return chr(int(found[0], 16))
        if char in _CONTROLS:
            return _CONTROLS[char]
        if char.isascii() and char.isalnum():
            raise UnsupportedPattern(f"`\\{char}`")
        return char

    def _next(self) -> str:
        if self._at >= len(self._source):
            raise UnsupportedPattern("a pattern that ends too early")
        self._at += 1
        return self._source[self._at - 1]

    def _take(self, char: str) -> bool:
        taken = self._source.startswith(char, self._at)
        self._at += taken
        return taken


def _not(test: Callable[[str], bool]) -> Callable[[str], bool]:
    return lambda char: not test(char)


def _is(wanted: str) -> Callable[[str], bool]:
    return lambda char: char == wanted


def _between(low: str, high: str, char: str) -> bool:
    return low <= char <= high
