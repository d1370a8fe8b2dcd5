"""The gate: a subset of JSON Schema 2020-12 that is kept to the letter, and nothing that is half understood.

An object may hold only what its schema names, unless it says otherwise. A keyword that is not in the table below is
refused when the graph is read: whoever ignores one admits what KORA did not want.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any, Callable, NamedTuple

from pattern import Pattern, UnsupportedPattern
from strict_json import MAX_EXACT, canonical

MAX_DEPTH = 100
MAX_BYTES = 16 << 20
TYPES = ("null", "boolean", "object", "array", "number", "string", "integer")
ANNOTATIONS = {
    "$comment", "default", "deprecated", "description", "examples", "format", "readOnly", "title", "writeOnly",
}  # fmt: skip
DIALECT = "https://json-schema.org/draft/2020-12/schema"


class Fault(NamedTuple):
    """What is wrong with a schema, and where in it."""

    pointer: str
    message: str
    invalid: bool
    """Whether it is wrong for everybody, and not only beyond this backend."""


def close(schema: Any) -> Any:
    """The schema with KORA's default written out: no other members than those it names."""
    if not isinstance(schema, dict):
        return schema
    closed = dict(schema)
    for keyword in ("items", "additionalProperties"):
        if keyword in closed:
            closed[keyword] = close(closed[keyword])
    for keyword in ("anyOf", "oneOf", "prefixItems"):
        if isinstance(closed.get(keyword), list):
            closed[keyword] = [close(member) for member in closed[keyword]]
    if isinstance(closed.get("properties"), dict):
        closed["properties"] = {name: close(member) for name, member in closed["properties"].items()}
    if _about_objects(schema):
        closed.setdefault("additionalProperties", False)
    return closed


def faults(schema: Any, at: str = "") -> Iterable[Fault]:
    """Everything that keeps this backend from enforcing the schema."""
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict):
        yield Fault(at, "a schema is an object or a boolean", True)
        return
    for keyword, argument in schema.items():
        place = f"{at}/{keyword.replace('~', '~0').replace('/', '~1')}"
        if keyword in ANNOTATIONS or (keyword in ("$id", "$schema") and at == "" and isinstance(argument, str)):
            if keyword == "$schema" and argument.rstrip("#") != DIALECT:
                yield Fault(place, "only JSON Schema 2020-12 is read here", True)
            continue
        if keyword not in KEYWORDS:
            yield Fault(place, f"this backend does not know the keyword `{keyword}`", False)
            continue
        wanted, is_sound, _ = KEYWORDS[keyword]
        if not is_sound(argument):
            yield Fault(place, f"`{keyword}` takes {wanted}", True)
        elif keyword == "pattern":
            try:
                _pattern(argument)
            except UnsupportedPattern as error:
                yield Fault(place, f"this backend does not match patterns with {error}", False)
        elif keyword in ("items", "additionalProperties"):
            yield from faults(argument, place)
        elif keyword == "properties":
            for name, member in argument.items():
                yield from faults(member, f"{place}/{name.replace('~', '~0').replace('/', '~1')}")
        elif keyword in ("anyOf", "oneOf", "prefixItems"):
            for nth, member in enumerate(argument):
                yield from faults(member, f"{place}/{nth}")
    # Who closes an object that several schemas describe together is a question of its own; see decision 0001.
    if ("anyOf" in schema or "oneOf" in schema) and (_about_objects(schema) or {"anyOf", "oneOf"} <= schema.keys()):
        yield Fault(at, "this backend does not know `anyOf` or `oneOf` beside keywords about objects", False)


def _about_objects(schema: dict[str, Any]) -> bool:
    kinds = schema.get("type")
    return (
        "properties" in schema
        or "required" in schema
        or kinds == "object"
        or (isinstance(kinds, list) and "object" in kinds)
    )


def mismatch(schema: Any, value: Any) -> str | None:
    """Why the closed `schema` does not admit `value`. Names places and wishes, and nothing that the value holds."""
    return unbounded(value) or _mismatch(schema, value, "")


def unbounded(value: Any) -> str | None:
    """Why no schema would admit `value`: it is too large, too deep, or has a number that is not exact."""
    size, level = 0, [value]
    for _ in range(MAX_DEPTH + 1):
        below: list[Any] = []
        for item in level:
            if isinstance(item, str):
                size += len(item.encode("utf-8")) + 2
            elif isinstance(item, (dict, list)):
                size += 2 + len(item)
                below.extend(item.values() if isinstance(item, dict) else item)
                size += sum(len(name.encode("utf-8")) + 3 for name in item) if isinstance(item, dict) else 0
            else:
                size += 4
                if isinstance(item, int) and abs(item) > MAX_EXACT:
                    return "a number is beyond ±(2^53 - 1)"
            if size > MAX_BYTES:
                return f"it is larger than {MAX_BYTES} bytes"
        if not below:
            return None
        level = below
    return f"it is nested deeper than {MAX_DEPTH} levels"


def _mismatch(schema: Any, value: Any, at: str) -> str | None:
    if schema is True:
        return None
    if schema is False:
        return _wants(at, "nothing at all")
    for keyword, argument in schema.items():
        if keyword in KEYWORDS:
            found = KEYWORDS[keyword].mismatch(argument, value, at, schema)
            if found:
                return found
    return None


def _wants(at: str, wish: str) -> str:
    return f"`{at or '/'}` wants {wish}"


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    for kind, classes in (("boolean", bool), ("number", (int, float)), ("string", str), ("array", list)):
        if isinstance(value, classes):
            return kind
    return "object"


def _type(argument: Any, value: Any, at: str, _: Any) -> str | None:
    kinds = argument if isinstance(argument, list) else [argument]
    kind = _kind(value)
    if kind in kinds or (kind == "number" and "integer" in kinds and value == int(value)):
        return None
    return _wants(at, "type " + " or ".join(f"`{kind}`" for kind in kinds))


def _properties(argument: Any, value: Any, at: str, _: Any) -> str | None:
    if not isinstance(value, dict):
        return None
    found = (_mismatch(argument[name], value[name], f"{at}/{name}") for name in argument if name in value)
    return next(filter(None, found), None)


def _required(argument: Any, value: Any, at: str, _: Any) -> str | None:
    missing = [name for name in argument if isinstance(value, dict) and name not in value]
    return _wants(at, f"the property `{missing[0]}`") if missing else None


def _additional(argument: Any, value: Any, at: str, schema: Any) -> str | None:
    if not isinstance(value, dict):
        return None
    others = [name for name in value if name not in schema.get("properties", {})]
    if argument is False:
        return _wants(at, f"no other properties than the schema's, found {len(others)} more") if others else None
    return next(filter(None, (_mismatch(argument, value[name], f"{at}/*") for name in others)), None)


def _items(argument: Any, value: Any, at: str, schema: Any) -> str | None:
    if not isinstance(value, list):
        return None
    first = len(schema.get("prefixItems", []))
    found = (_mismatch(argument, item, f"{at}/{nth}") for nth, item in enumerate(value) if nth >= first)
    return next(filter(None, found), None)


def _prefix_items(argument: Any, value: Any, at: str, _: Any) -> str | None:
    if not isinstance(value, list):
        return None
    found = (_mismatch(member, item, f"{at}/{nth}") for nth, (member, item) in enumerate(zip(argument, value)))
    return next(filter(None, found), None)


def _any_of(argument: Any, value: Any, at: str, _: Any) -> str | None:
    if any(_mismatch(member, value, at) is None for member in argument):
        return None
    return _wants(at, f"what one of {len(argument)} schemas under `anyOf` admits")


def _one_of(argument: Any, value: Any, at: str, _: Any) -> str | None:
    if sum(_mismatch(member, value, at) is None for member in argument) == 1:
        return None
    return _wants(at, f"what exactly one of {len(argument)} schemas under `oneOf` admits")


def _enum(argument: Any, value: Any, at: str, _: Any) -> str | None:
    if canonical(value) in map(canonical, argument):
        return None
    return _wants(at, f"one of {canonical(argument)}")


def _const(argument: Any, value: Any, at: str, _: Any) -> str | None:
    return None if canonical(value) == canonical(argument) else _wants(at, f"the value {canonical(argument)}")


def _matches(argument: Any, value: Any, at: str, _: Any) -> str | None:
    if not isinstance(value, str) or _pattern(argument).found_in(value):
        return None
    return _wants(at, f"text that matches `{argument}`")


def _unique(argument: Any, value: Any, at: str, _: Any) -> str | None:
    if not argument or not isinstance(value, list) or len(set(map(canonical, value))) == len(value):
        return None
    return _wants(at, "items that differ from each other")


_pattern = functools.lru_cache(maxsize=256)(Pattern)


class Keyword(NamedTuple):
    """What a keyword takes, how to tell, and why a value does not meet it."""

    takes: str
    is_sound: Callable[[Any], bool]
    mismatch: Callable[[Any, Any, str, Any], str | None]


def _limit(kind: str, wish: str, holds: Callable[[Any, Any], bool], measure: Callable[[Any], Any] = len) -> Keyword:
    """A keyword that limits a number, or the size of something."""

    def test(argument: Any, value: Any, at: str, _: Any) -> str | None:
        if _kind(value) != kind or holds(measure(value), argument):
            return None
        return _wants(at, wish.format(canonical(argument)))

    if kind == "number":
        return Keyword("a number", lambda argument: _kind(argument) == "number", test)
    return Keyword("a whole number", lambda argument: type(argument) is int and argument >= 0, test)


def _at_most(size: float, limit: float) -> bool:
    return size <= limit


def _at_least(size: float, limit: float) -> bool:
    return size >= limit


def _is_names(argument: Any) -> bool:
    return isinstance(argument, list) and all(isinstance(name, str) for name in argument)


def _is_types(argument: Any) -> bool:
    return argument in TYPES if isinstance(argument, str) else _is_names(argument) and set(argument) <= set(TYPES)


def _is_list(argument: Any) -> bool:
    return isinstance(argument, list) and len(argument) > 0


def _anything(_: Any) -> bool:
    return True


KEYWORDS = {
    "type": Keyword("the name of a type, or a list of them", _is_types, _type),
    "enum": Keyword("a list of values", _is_list, _enum),
    "const": Keyword("a value", _anything, _const),
    "properties": Keyword("an object of schemas", lambda argument: isinstance(argument, dict), _properties),
    "required": Keyword("a list of names", _is_names, _required),
    "additionalProperties": Keyword("a schema", _anything, _additional),
    "minProperties": _limit("object", "at least {} properties", _at_least),
    "maxProperties": _limit("object", "at most {} properties", _at_most),
    "items": Keyword("a schema", _anything, _items),
    "prefixItems": Keyword("a list of schemas", _is_list, _prefix_items),
    "minItems": _limit("array", "at least {} items", _at_least),
    "maxItems": _limit("array", "at most {} items", _at_most),
    "uniqueItems": Keyword("a boolean", lambda argument: isinstance(argument, bool), _unique),
    "minLength": _limit("string", "at least {} characters", _at_least),
    "maxLength": _limit("string", "at most {} characters", _at_most),
    "pattern": Keyword("a pattern", lambda argument: isinstance(argument, str), _matches),
    "minimum": _limit("number", "at least {}", _at_least, lambda value: value),
    "maximum": _limit("number", "at most {}", _at_most, lambda value: value),
    "exclusiveMinimum": _limit("number", "more than {}", lambda value, limit: value > limit, lambda value: value),
    "exclusiveMaximum": _limit("number", "less than {}", lambda value, limit: value < limit, lambda value: value),
    "anyOf": Keyword("a list of schemas", _is_list, _any_of),
    "oneOf": Keyword("a list of schemas", _is_list, _one_of),
}
