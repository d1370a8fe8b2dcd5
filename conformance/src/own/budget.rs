//! Caps, what is spent of them, and what is left (C7.1).

use std::time::Duration;

use kora_ir::{CheckedGraph, Task};

use super::failure::Breach;

/// What a run has used of the budgets that its tasks share.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Used {
    pub(super) tokens: u64,
    pub(super) calls: u64,
    pub(super) units: u64,
}

impl Used {
    /// Adds what a task spent. What it overran is its own breach and takes nothing from others.
    pub(super) fn add(&mut self, task: &Task, spent: &Spent) {
        let attempts = u64::from(spent.attempts);
        if task.task_type.is_model() {
            self.tokens += spent.tokens.min(task.budget.max_tokens());
            self.calls += attempts;
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
pub(super) fn token_cap(graph: &CheckedGraph, task: &Task, before: &Used) -> TokenCap {
    let own = task.budget.max_tokens();
    match graph.budgets().max_tokens() {
        Some(declared) if declared.saturating_sub(before.tokens) < own => TokenCap {
            left: declared.saturating_sub(before.tokens),
            name: "graph.max_tokens",
            declared,
            used_before: before.tokens,
        },
        Some(_) | None => TokenCap { left: own, name: "task.max_tokens", declared: own, used_before: 0 },
    }
}

/// The cap because of which a task cannot make its next attempt: a call or a unit of the run, a token, time.
pub(super) fn exhausted(graph: &CheckedGraph, task: &Task, before: &Used, spent: &Spent) -> Option<Breach> {
    let (cap, declared, used) = if task.task_type.is_model() {
        ("graph.max_llm_calls", graph.budgets().max_llm_calls(), before.calls)
    } else {
        ("graph.max_cpu_units", graph.budgets().max_cpu_units(), before.units)
    };
    let used = used + u64::from(spent.attempts);
    if let Some(declared) = declared.filter(|&declared| used >= declared) {
        return Some(Breach { cap, declared, used });
    }
    let tokens = token_cap(graph, task, before);
    if task.task_type.is_model() && spent.tokens >= tokens.left {
        return Some(tokens.breach(spent));
    }
    (spent.attempts > 0 && time_left(task, spent).is_zero()).then(|| time_breach(task, spent))
}

/// What the task may still take, attempts and waits together.
pub(super) fn time_left(task: &Task, spent: &Spent) -> Duration {
    Duration::from_millis(task.budget.max_time_ms()).saturating_sub(spent.time)
}

/// The task's time as a breach.
pub(super) fn time_breach(task: &Task, spent: &Spent) -> Breach {
    let used = u64::try_from(spent.time.as_micros().div_ceil(1000)).unwrap_or(u64::MAX);
    Breach { cap: "task.max_time_ms", declared: task.budget.max_time_ms(), used }
}
