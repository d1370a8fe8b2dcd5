"""What deterministic and aggregation tasks can do: pure, and bounded by their input. See docs/operations.md."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Callable

from strict_json import canonical, follow, is_pointer


class OperationFailed(Exception):
    """The input is not what the operation works on. Names places, and nothing that the input holds."""


def fault(operation: str, args: dict[str, Any]) -> str | None:
    """Why the operation cannot be run with these arguments, found out before anything runs."""
    if operation not in OPERATIONS:
        return f"no operation is named `{operation}`"
    takes, _ = OPERATIONS[operation]
    for name, argument in args.items():
        if name not in takes:
            return f"`{operation}` takes no argument `{name[:64]}`"
        if not takes[name](argument):
            return f"`{name}` is not what `{operation}` takes there"
    if operation == "constant" and "value" not in args or operation == "pick" and "members" not in args:
        return f"`{operation}` lacks an argument"
    if "at" in args and "pointers" in args:
        return "`at` and `pointers` exclude each other"
    return None


def run(operation: str, args: dict[str, Any], data: Any) -> Any:
    """The operation's output. Raises `OperationFailed`."""
    return OPERATIONS[operation][1](args, data)


def _find(pointer: str, data: Any) -> Any:
    found, value = follow(pointer, data)
    if not found:
        raise OperationFailed(f"the input has nothing at `{pointer or '/'}`")
    return value


def _selected(args: dict[str, Any], data: Any) -> Iterable[tuple[str, Any]]:
    """The values that `at` or `pointers` choose, each with its place."""
    if "pointers" in args:
        return [(pointer, _find(pointer, data)) for pointer in args["pointers"]]
    at = args.get("at", "")
    items = _find(at, data)
    if not isinstance(items, list):
        raise OperationFailed(f"the input has no array at `{at or '/'}`")
    return [(f"{at}/{nth}", item) for nth, item in enumerate(items)]


def _collect(args: dict[str, Any], data: Any) -> Any:
    flatten, skip_null = args.get("flatten", False), args.get("skip_null", False)
    collected: list[Any] = []
    for place, value in _selected(args, data):
        if skip_null and value is None:
            continue
        if flatten and not isinstance(value, list):
            raise OperationFailed(f"the input has no array at `{place}`")
        values = value if flatten else [value]
        collected += [value for value in values if not (skip_null and value is None)]
    return collected


def _merge(args: dict[str, Any], data: Any) -> Any:
    merged: dict[str, Any] = {}
    for place, value in _selected(args, data):
        if not isinstance(value, dict):
            raise OperationFailed(f"the input has no object at `{place or '/'}`")
        merged = _merged(merged, value, args.get("depth") == "deep", args.get("on_conflict", "error"))
    return merged


def _merged(first: dict[str, Any], second: dict[str, Any], deep: bool, on_conflict: str) -> dict[str, Any]:
    merged = dict(first)
    for name, value in second.items():
        present = merged.get(name)
        if name not in merged:
            merged[name] = value
        elif deep and isinstance(present, dict) and isinstance(value, dict):
            merged[name] = _merged(present, value, deep, on_conflict)
        elif on_conflict == "last":
            merged[name] = value
        elif on_conflict == "error" and canonical(present) != canonical(value):
            raise OperationFailed("two objects have different values for one key, and `on_conflict` is `error`")
    return merged


def _pick(args: dict[str, Any], data: Any) -> Any:
    picked = {}
    for name, pointer in args["members"].items():
        found, value = follow(pointer, data)
        if found:
            picked[name] = value
        elif args.get("missing", "error") == "error":
            raise OperationFailed(f"the input has nothing at `{pointer or '/'}`")
        elif args["missing"] == "null":
            picked[name] = None
    return picked


def _one_of(*words: str) -> Callable[[Any], bool]:
    return lambda argument: isinstance(argument, str) and argument in words


def _flag(argument: Any) -> bool:
    return isinstance(argument, bool)


def _pointers(argument: Any) -> bool:
    return isinstance(argument, list) and all(map(is_pointer, argument))


def _members(argument: Any) -> bool:
    return isinstance(argument, dict) and all(map(is_pointer, argument.values()))


_SELECTION = {"at": is_pointer, "pointers": _pointers}

OPERATIONS: dict[str, tuple[dict[str, Callable[[Any], bool]], Callable[[dict[str, Any], Any], Any]]] = {
    "collect": ({**_SELECTION, "flatten": _flag, "skip_null": _flag}, _collect),
    "constant": ({"value": lambda _: True}, lambda args, data: args["value"]),
    "echo": ({}, lambda args, data: data),
    "merge": (
        {**_SELECTION, "depth": _one_of("shallow", "deep"), "on_conflict": _one_of("error", "first", "last")},
        _merge,
    ),
    "pick": ({"members": _members, "missing": _one_of("error", "null", "omit")}, _pick),
}
