"""Canonical order: a topological order that is a function of the graph alone (S4, C6.1)."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Union

if TYPE_CHECKING:
    from graph import Task

Node = Union[str, tuple[str]] if TYPE_CHECKING else object
"""A task by its id, or, in a tuple, the task together with whatever may stand in for it."""


def canonical_order(tasks: list[Task]) -> tuple[list[str], list[str]]:
    """The ids in canonical order, or else a cycle.

    First by model depth (model tasks on the heaviest path above a task), then deterministic before model, then by
    level, then by id. A dependent waits for its dependency and for everything that may stand in for it.
    """
    by_id = {task.id: task for task in tasks}
    after: dict[Node, list[Node]] = defaultdict(list)
    waits: dict[Node, int] = {task.id: 0 for task in tasks}

    def arrow(first: Node, then: Node) -> None:
        after[first].append(then)
        waits[then] = waits.get(then, 0) + 1

    def resolution(id: str) -> Node:
        return (id,) if by_id[id].escalation else id

    for task in tasks:
        for dependency in task.dependencies:
            arrow(dependency if dependency == task.stands_in_for else resolution(dependency), task.id)
        if task.escalation:
            arrow(task.id, (task.id,))
        for target in dict.fromkeys(edge.to for edge in task.escalation):
            arrow(task.id, target)
            arrow(resolution(target), (task.id,))

    depth: dict[Node, int] = defaultdict(int)
    level: dict[Node, int] = defaultdict(int)
    ready = [node for node, count in waits.items() if count == 0]
    while ready:
        node = ready.pop()
        del waits[node]
        is_task = isinstance(node, str)
        for then in after[node]:
            depth[then] = max(depth[then], depth[node] + (is_task and by_id[node].is_model))
            level[then] = max(level[then], level[node] + is_task)
            waits[then] -= 1
            if waits[then] == 0:
                ready.append(then)
    if waits:
        return [], _cycle(after, waits)
    return sorted(by_id, key=lambda id: (depth[id], by_id[id].is_model, level[id], id)), []


def _cycle(after: dict[Node, list[Node]], waits: dict[Node, int]) -> list[str]:
    """A way around among those that still wait: each of them waits for another one."""
    before = {then: node for node in waits for then in after[node] if then in waits}
    seen: dict[Node, None] = {}
    node = next(iter(waits))
    while node not in seen:
        seen[node] = None
        node = before[node]
    path = list(seen)[list(seen).index(node) :]
    ids = [node if isinstance(node, str) else node[0] for node in reversed(path)]
    return list(dict.fromkeys(ids))[:12]
