"""What is known of one task while it runs, and the record that is left of it (C8.1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from graph import Task
from schema import mismatch
from strict_json import NotJson, read


class Failed(Exception):
    """A task failed, in one of the contract's five categories."""

    def __init__(self, error_type: str, message: str, breach: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.error_type, self.message, self.breach = error_type, message, breach
        self.retries_exhausted = False


def breach(error_type: str, cap: str, declared: int, used: int, because: Failed | None = None) -> Failed:
    """A cap that ran out: which, how much was declared, how much was used."""
    message = f"{used} of {declared} used ({cap})" + (f"; before that: {because.message}" if because else "")
    return Failed(error_type, message, {"cap": cap, "declared": declared, "used": used})


@dataclass
class State:
    """What is known of one task."""

    task: Task
    rank: int
    waits_for: int
    status: str = "skipped"
    stages: list[str] = field(default_factory=lambda: ["TASK_CONSTRUCTED", "DAG_VALIDATED"])
    validation: str = "skipped"
    skip_reason: str | None = None
    failure: dict[str, Any] | None = None
    escalated_to: str | None = None
    has_output: bool = False
    output: Any = None
    broke_schema: bool = False
    attempts: int = 0
    seconds: float = 0.0
    tokens_in: int = 0
    tokens_out: int = 0
    tokens_allowed: int = 0
    """Generated tokens that all its attempts may use together."""
    estimated: bool = False
    settled: bool = False
    resolved_by: State | None = None
    """Whoever has the output that dependents see: the task, or what stands in for it."""

    def record(self) -> dict[str, Any]:
        """The task's telemetry (C8.1)."""
        record = {
            "task_id": self.task.id,
            "task_type": self.task.type,
            "status": self.status,
            "duration_ms": int(self.seconds * 1000),
            "tokens_in": self.tokens_in,
            "tokens_out": self.tokens_out,
            "retry_count": max(0, self.attempts - 1),
            "validation_status": self.validation,
            "stages": self.stages,
        }
        optional = {
            "tokens_estimated": self.estimated or None,
            "skip_reason": self.skip_reason,
            "escalated_to": self.escalated_to,
            "failure": self.failure,
        }
        return {**record, **{name: value for name, value in optional.items() if value is not None}}

    def admit(self, output: Any, schema: Any) -> None:
        """The gate: only a validated output travels (C11.1)."""
        self.stages.append("SCHEMA_VALIDATION")
        found = mismatch(schema, output)
        self.validation = "fail" if found else "pass"
        if found:
            raise Failed("VALIDATION_ERROR", found)
        self.stages.append("TASK_COMPLETED")
        self.status, self.has_output, self.output = "success", True, output

    def parsed(self, text: str) -> Any:
        """The reply as a value: one JSON value and nothing around it."""
        try:
            value, faults = read(text)
        except NotJson as error:
            faults = [str(error)]
        if faults:
            self.stages.append("SCHEMA_VALIDATION")
            self.validation = "fail"
            raise Failed("VALIDATION_ERROR", f"the reply is not one JSON value: {faults[0]}")
        return value

    def check_retry(self, because: Failed) -> None:
        """Raises if no attempt is allowed any more; the last one says why."""
        allowed = self.task.budget["max_retries"]
        if self.attempts > allowed:
            because.retries_exhausted = allowed > 0
            raise because

    def check_time(self, seconds: float, cut_off: bool = False) -> None:
        """A task's own time is a `TIMEOUT`; the run's is a breach."""
        declared = self.task.budget["max_time_ms"]
        if cut_off or seconds * 1000 > declared:
            raise breach("TIMEOUT", "task.max_time_ms", declared, max(declared, int(seconds * 1000)))

    def fail(self, failed: Failed) -> None:
        """Settles the task without an output."""
        self.status = "failed"
        self.stages.append("TASK_FAILED")
        self.failure = {"error_type": failed.error_type, "task_id": self.task.id, "message": failed.message}
        if failed.breach:
            self.failure["breach"] = failed.breach
        if failed.retries_exhausted:
            self.failure["retries_exhausted"] = True

    def discard(self) -> None:
        """What came after a failure in a `fail_fast` graph does not count. What it spent stays spent."""
        self.status, self.validation, self.skip_reason = "skipped", "skipped", "fail_fast"
        self.stages = self.stages[:2]
        self.failure = self.escalated_to = self.resolved_by = None
        self.has_output, self.output = False, None
