//! The run's own budgets, shared out so that no decision depends on who finished first (S6, C7.1).
//!
//! The rule: a task is admitted at once if it fits even when every unsettled task before it in canonical order uses
//! its whole cap. Otherwise it waits until those have settled, and gets what they left. Either way it gets exactly
//! what it would have got had all tasks run one by one in canonical order.

use kora_ir::{CheckedGraph, EscalationCondition, Task, Work};
use telemetry::Budgeted;

/// What one task may use of the run's budgets.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Allowance {
    /// Generated tokens of all attempts together: the task's cap, or less if the run has less.
    pub(crate) tokens: u64,
    /// Attempts: one and the retries, or fewer if the run has fewer.
    pub(crate) attempts: u64,
}

/// Whether a task may start.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Admission {
    Granted(Allowance),
    /// Ask again when tasks before it have settled.
    Wait,
    /// The run's budget has nothing left for it.
    Exhausted(RunCap),
}

/// A budget of the run and how much of it is used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct RunCap {
    pub(crate) cap: Budgeted,
    pub(crate) declared: u64,
    pub(crate) used: u64,
}

/// The budgets of a run that are shared out task by task. The run's time is not: a clock has it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Shared {
    LlmCalls,
    CpuUnits,
    Tokens,
}

impl Shared {
    fn cap(self) -> Budgeted {
        match self {
            Self::LlmCalls => Budgeted::GraphLlmCalls,
            Self::CpuUnits => Budgeted::GraphCpuUnits,
            Self::Tokens => Budgeted::GraphTokens,
        }
    }

    /// The most that a task can use of it.
    fn most(self, task: &Task) -> u64 {
        let attempts = 1 + u64::from(task.budget.max_retries());
        match (self, &task.work) {
            (Self::Tokens, Work::Model(_)) => task.budget.max_tokens(),
            (Self::LlmCalls, Work::Model(_)) | (Self::CpuUnits, Work::Operation(_)) => attempts,
            (Self::Tokens | Self::LlmCalls, Work::Operation(_)) | (Self::CpuUnits, Work::Model(_)) => 0,
        }
    }
}

/// The run's meters. A budget that no run of the graph could exceed is not metered at all.
#[derive(Debug)]
pub(crate) struct Ledger {
    // Invariant: at most one of each kind.
    meters: Vec<Meter>,
}

impl Ledger {
    pub(crate) fn new(graph: &CheckedGraph) -> Self {
        let budgets = graph.budgets();
        let watched = budgets.max_tokens().is_some() && graph.tasks().iter().any(watches_budget);
        let meters = [
            (Shared::LlmCalls, budgets.max_llm_calls(), false),
            (Shared::CpuUnits, budgets.max_cpu_units(), false),
            (Shared::Tokens, budgets.max_tokens(), watched),
        ];
        let meters = meters.into_iter().filter_map(|(shared, max, watched)| {
            let most = graph.tasks().iter().map(|task| shared.most(task));
            Meter::new(shared, max?, most, watched)
        });
        Self { meters: meters.collect() }
    }

    /// Decides about the task at `rank`; `settled_before` says whether all spending before it is final.
    pub(crate) fn admit(&self, rank: usize, task: &Task, settled_before: bool) -> Admission {
        let mut allowance = Allowance {
            tokens: task.budget.max_tokens(),
            attempts: 1 + u64::from(task.budget.max_retries()),
        };
        for meter in &self.meters {
            let wanted = meter.committed[rank];
            if wanted == 0 {
                continue;
            }
            let before = meter.committed_before(rank);
            let granted = if before.saturating_add(wanted) <= meter.max {
                wanted
            } else if settled_before {
                meter.max.saturating_sub(before)
            } else {
                return Admission::Wait;
            };
            if granted == 0 {
                return Admission::Exhausted(meter.usage(rank));
            }
            match meter.shared {
                Shared::Tokens => allowance.tokens = granted,
                Shared::LlmCalls | Shared::CpuUnits => allowance.attempts = granted,
            }
        }
        Admission::Granted(allowance)
    }

    /// Makes a task's spending final.
    pub(crate) fn settle(&mut self, rank: usize, tokens: u64, attempts: u64) {
        for meter in &mut self.meters {
            meter.settle(
                rank,
                match meter.shared {
                    Shared::Tokens => tokens,
                    Shared::LlmCalls | Shared::CpuUnits => attempts,
                },
            );
        }
    }

    /// Tokens that the run has left after the tasks up to and including `rank`. `None` if the run has no cap.
    pub(crate) fn tokens_left_after(&self, rank: usize) -> Option<u64> {
        let meter = self.meter(Shared::Tokens)?;
        Some(meter.max.saturating_sub(meter.committed_before(rank + 1)))
    }

    /// What tasks before `rank` used of a budget. `None` if the run cannot exceed it.
    pub(crate) fn used_before(&self, shared: Shared, rank: usize) -> Option<RunCap> {
        self.meter(shared).map(|meter| meter.usage(rank))
    }

    fn meter(&self, shared: Shared) -> Option<&Meter> {
        self.meters.iter().find(|meter| meter.shared == shared)
    }
}

fn watches_budget(task: &Task) -> bool {
    task.escalation.iter().any(|edge| matches!(edge.on, EscalationCondition::BudgetRemaining { .. }))
}

/// One budget of the run: what each task has committed of it, by rank, with prefix sums in O(log n).
#[derive(Debug)]
struct Meter {
    shared: Shared,
    max: u64,
    committed: Box<[u64]>,
    // Fenwick tree over `committed`.
    sums: Box<[u64]>,
}

impl Meter {
    /// `None` if even the most that all tasks can use fits, unless an edge watches what is left.
    fn new(shared: Shared, max: u64, most: impl Iterator<Item = u64>, watched: bool) -> Option<Self> {
        let committed: Box<[u64]> = most.collect();
        let total = committed.iter().fold(0_u64, |sum, &most| sum.saturating_add(most));
        if total <= max && !watched {
            return None;
        }
        let mut sums = vec![0_u64; committed.len() + 1].into_boxed_slice();
        for (rank, &most) in committed.iter().enumerate() {
            let node = rank + 1;
            sums[node] += most;
            let parent = node + (node & node.wrapping_neg());
            if parent < sums.len() {
                sums[parent] += sums[node];
            }
        }
        Some(Self { shared, max, committed, sums })
    }

    fn usage(&self, rank: usize) -> RunCap {
        RunCap { cap: self.shared.cap(), declared: self.max, used: self.committed_before(rank) }
    }

    fn committed_before(&self, rank: usize) -> u64 {
        let mut node = rank;
        let mut sum = 0;
        while node > 0 {
            sum += self.sums[node];
            node &= node - 1;
        }
        sum
    }

    fn settle(&mut self, rank: usize, used: u64) {
        // What a task overran is a breach of its own, and never anybody else's: who was admitted meanwhile must not
        // depend on when it happened.
        let used = used.min(self.committed[rank]);
        let released = self.committed[rank] - used;
        self.committed[rank] = used;
        let mut node = rank + 1;
        while released > 0 && node < self.sums.len() {
            self.sums[node] -= released;
            node += node & node.wrapping_neg();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        // shows C2.2, C7.1
        #[test]
        fn what_is_committed_only_goes_down(
            most in prop::collection::vec(0_u64..100, 1..40),
            settles in prop::collection::vec((0_usize..40, 0_u64..200), 0..40),
        ) {
            let mut meter = Meter::new(Shared::Tokens, 0, most.iter().copied(), true).unwrap();
            let mut naive = most.clone();
            for (rank, used) in settles {
                let rank = rank % most.len();
                meter.settle(rank, used);
                naive[rank] = naive[rank].min(used);
                for before in 0..=most.len() {
                    let sum: u64 = naive[..before].iter().sum();
                    prop_assert_eq!(meter.committed_before(before), sum);
                    prop_assert!(sum <= most[..before].iter().sum::<u64>());
                }
            }
        }
    }
}
