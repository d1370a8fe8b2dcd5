"""Canonical order: a topological order that is a function of the graph alone (S4, C6.1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graph import Task


@dataclass(eq=False)
class Place:
    """A task, or the resolution of one: the task together with whatever may stand in for it."""

    task: Task
    is_resolution: bool
    after: list[Place] = field(default_factory=list)
    waits_for: int = 0
    depth: int = 0
    level: int = 0


def canonical_order(tasks: list[Task]) -> tuple[list[Task], list[str]]:
    """The tasks in canonical order, or else the ids of a cycle.

    First by model depth (model tasks on the heaviest path above a task), then deterministic before model, then by
    level, then by id. A dependent waits for its dependency and for everything that may stand in for it.
    """
    own = {task.id: Place(task, is_resolution=False) for task in tasks}
    resolved = {task.id: Place(task, is_resolution=True) if task.escalation else own[task.id] for task in tasks}

    def arrow(first: Place, then: Place) -> None:
        first.after.append(then)
        then.waits_for += 1

    for task in tasks:
        here = own[task.id]
        for dependency in task.dependencies:
            arrow((own if dependency == task.stands_in_for else resolved)[dependency], here)
        if task.escalation:
            arrow(here, resolved[task.id])
        for target in dict.fromkeys(edge.to for edge in task.escalation):
            arrow(here, own[target])
            arrow(resolved[target], resolved[task.id])

    waiting = dict.fromkeys([*own.values(), *resolved.values()])
    ready = [place for place in waiting if place.waits_for == 0]
    while ready:
        here = ready.pop()
        del waiting[here]
        counts = not here.is_resolution
        for then in here.after:
            then.depth = max(then.depth, here.depth + (counts and here.task.is_model))
            then.level = max(then.level, here.level + counts)
            then.waits_for -= 1
            if then.waits_for == 0:
                ready.append(then)
    if waiting:
        return [], _cycle(waiting)
    ordered = sorted(own.values(), key=lambda place: (place.depth, place.task.is_model, place.level, place.task.id))
    return [place.task for place in ordered], []


def _cycle(waiting: dict[Place, None]) -> list[str]:
    """A way around among those that still wait: each of them waits for another one."""
    before = {then: here for here in waiting for then in here.after if then in waiting}
    path: list[Place] = []
    here = next(iter(waiting))
    while here not in path:
        path.append(here)
        here = before[here]
    around = reversed(path[path.index(here) :])
    return list(dict.fromkeys(place.task.id for place in around))[:12]
