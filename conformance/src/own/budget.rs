//! Caps, what is spent of them, and what is left (C7.1).

use std::time::Duration;

use kora_ir::{GraphBudgets, Task};

use super::failure::Breach;
use super::{Behaviour, Defect};

/// The caps of a run, as this backend knows them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caps {
    pub(super) tokens: Option<u64>,
    pub(super) calls: Option<u64>,
    pub(super) units: Option<u64>,
    pub(super) latency_ms: Option<u64>,
    does: Behaviour,
}

impl Caps {
    pub(super) fn of(budgets: &GraphBudgets, does: Behaviour) -> Self {
        let unless = |defect: Defect, cap: Option<u64>| cap.filter(|_| !does.has(defect));
        let calls = unless(Defect::IgnoresGraphCalls, budgets.max_llm_calls());
        let latency_ms = unless(Defect::IgnoresLatency, budgets.max_latency_ms());
        Self {
            tokens: unless(Defect::IgnoresGraphTokens, budgets.max_tokens()),
            calls: calls.map(|calls| calls.saturating_sub(u64::from(does.has(Defect::OneCallTooFew)))),
            units: unless(Defect::IgnoresGraphUnits, budgets.max_cpu_units()),
            latency_ms: latency_ms.map(|ms| if does.has(Defect::LatencyHalved) { ms / 2 } else { ms }),
            does,
        }
    }
}

/// What a run has used of the budgets that its tasks share.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Used {
    pub(super) tokens: u64,
    pub(super) calls: u64,
    pub(super) units: u64,
}

impl Used {
    /// Adds what a task spent. What it overran is its own breach and takes nothing from others.
    pub(super) fn add(&mut self, task: &Task, spent: &Spent, does: Behaviour) {
        let attempts = u64::from(spent.attempts);
        if task.task_type.is_model() {
            let cap = task.budget.max_tokens();
            self.tokens += if does.has(Defect::KeepsWhatIsNotUsed) { cap } else { spent.tokens.min(cap) };
            self.calls += if does.has(Defect::RetriesAreNoCalls) { attempts.min(1) } else { attempts };
            self.units += if does.has(Defect::CallsAreUnits) { attempts } else { 0 };
        } else {
            self.units += attempts;
        }
    }
}

/// What one task has spent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spent {
    pub(super) tokens: u64,
    pub(super) attempts: u32,
    /// Attempts and the waits between them.
    pub(super) time: Duration,
}

/// The cap on a task's generated tokens: its own, or what the run has left if that is less.
#[derive(Clone, Copy, Debug)]
pub(super) struct TokenCap {
    /// What the task may generate in all its attempts.
    pub(super) left: u64,
    name: &'static str,
    declared: u64,
    used_before: u64,
}

impl TokenCap {
    /// The cap as a breach by a task that spent this.
    pub(super) fn breach(&self, spent: &Spent) -> Breach {
        Breach { cap: self.name, declared: self.declared, used: self.used_before + spent.tokens }
    }
}

/// What the task may generate if the run had used so much before.
pub(super) fn token_cap(caps: &Caps, task: &Task, before: &Used) -> TokenCap {
    let own = task.budget.max_tokens();
    match caps.tokens {
        Some(declared) if declared.saturating_sub(before.tokens) < own => TokenCap {
            left: declared.saturating_sub(before.tokens),
            name: "graph.max_tokens",
            declared,
            used_before: before.tokens,
        },
        Some(_) | None => {
            let left = if caps.does.has(Defect::IgnoresTokenCaps) { u64::MAX } else { own };
            TokenCap { left, name: "task.max_tokens", declared: own, used_before: 0 }
        }
    }
}

/// The cap because of which a task cannot make its next attempt: a call or a unit of the run, a token, time.
pub(super) fn exhausted(caps: &Caps, task: &Task, before: &Used, spent: &Spent) -> Option<Breach> {
    let (cap, declared, used) = if task.task_type.is_model() {
        ("graph.max_llm_calls", caps.calls, before.calls)
    } else {
        ("graph.max_cpu_units", caps.units, before.units)
    };
    let attempts = if caps.does.has(Defect::RetriesAreNoCalls) { 0 } else { u64::from(spent.attempts) };
    let used = used + attempts;
    if let Some(declared) = declared.filter(|&declared| used >= declared) {
        return Some(Breach { cap, declared, used });
    }
    let tokens = token_cap(caps, task, before);
    if task.task_type.is_model() && spent.tokens >= tokens.left {
        return Some(tokens.breach(spent));
    }
    (spent.attempts > 0 && time_left(caps, task, spent).is_zero()).then(|| time_breach(task, spent))
}

/// What the task may still take, attempts and waits together.
pub(super) fn time_left(caps: &Caps, task: &Task, spent: &Spent) -> Duration {
    if caps.does.has(Defect::IgnoresTaskTime) {
        return Duration::MAX;
    }
    Duration::from_millis(task.budget.max_time_ms()).saturating_sub(spent.time)
}

/// The task's time as a breach.
pub(super) fn time_breach(task: &Task, spent: &Spent) -> Breach {
    let used = u64::try_from(spent.time.as_micros().div_ceil(1000)).unwrap_or(u64::MAX);
    Breach { cap: "task.max_time_ms", declared: task.budget.max_time_ms(), used }
}
