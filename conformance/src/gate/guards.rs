//! What KORA guards against creeping up: model invocations, retry amplification, the share of deterministic work.

use super::Blocks;
use super::policy::Policy;
use crate::report::{Measure, Report};

/// The costs of a report.
#[derive(Clone, Copy, Debug, Default)]
struct Costs(Measure);

impl Costs {
    fn of<'m>(measures: impl IntoIterator<Item = &'m Measure>) -> Self {
        let mut sum = Measure::default();
        for measure in measures {
            sum.model_invocations = sum.model_invocations.saturating_add(measure.model_invocations);
            sum.retries = sum.retries.saturating_add(measure.retries);
            sum.deterministic_tasks = sum.deterministic_tasks.saturating_add(measure.deterministic_tasks);
            sum.tasks = sum.tasks.saturating_add(measure.tasks);
        }
        Self(sum)
    }

    fn invocations(self) -> f64 {
        number(self.0.model_invocations)
    }

    /// Calls for each first call. 1 where nothing was called.
    fn amplification(self) -> f64 {
        let first = self.0.model_invocations.saturating_sub(self.0.retries);
        if self.0.model_invocations == 0 { 1.0 } else { self.invocations() / number(first.max(1)) }
    }

    /// Tasks without a model, of all tasks. 1 where there was no task.
    fn deterministic_share(self) -> f64 {
        if self.0.tasks == 0 { 1.0 } else { number(self.0.deterministic_tasks) / number(self.0.tasks) }
    }
}

/// Adds a block for each guard of `policy` that `report` does not keep to.
pub(super) fn check(report: &Report, policy: &Policy, baseline: Option<&Report>, blocks: &mut Blocks) {
    let guards = &policy.guards;
    let costs = Costs::of(report.measures.values());
    if let Some(most) = guards.max_model_invocations
        && costs.0.model_invocations > most
    {
        let what = format!(
            "the suite's model was called {} times, and {most} are allowed",
            costs.0.model_invocations
        );
        blocks.add("guards.max_model_invocations", what);
    }
    if let Some(most) = guards.max_retry_amplification
        && costs.amplification() > most
    {
        let what = format!("{:.3} calls for each first call, and {most} are allowed", costs.amplification());
        blocks.add("guards.max_retry_amplification", what);
    }
    if let Some(least) = guards.min_deterministic_share
        && costs.deterministic_share() < least
    {
        let what = format!(
            "{:.3} of the tasks ran without a model, and {least} is the least",
            costs.deterministic_share()
        );
        blocks.add("guards.min_deterministic_share", what);
    }
    for (case, most) in &guards.case {
        let id = format!("guards.case.{case}");
        match report.measures.get(case) {
            Some(measure) if measure.model_invocations > *most => {
                let what = format!(
                    "the suite's model was called {} times, and {most} are allowed",
                    measure.model_invocations
                );
                blocks.add(id, what);
            }
            Some(_) => {}
            // A guard that guards nothing looks like one that holds.
            None => blocks.add(id, "the report has no measure of this case"),
        }
    }
    growth(report, policy, baseline, blocks);
}

/// Against the baseline, over the cases that both measured: a new case is no growth.
fn growth(report: &Report, policy: &Policy, baseline: Option<&Report>, blocks: &mut Blocks) {
    let Some(allowed) = policy.guards.growth else { return };
    let Some(baseline) = baseline else {
        blocks.add("guards.growth", "the policy compares with a baseline, and none was given");
        return;
    };
    let shared = |of: &Report, with: &Report| {
        Costs::of(of.measures.iter().filter(|(case, _)| with.measures.contains_key(*case)).map(|(_, m)| m))
    };
    let (new, old) = (shared(report, baseline), shared(baseline, report));
    let mut guard = |name: &str, allowed: Option<f64>, worse: bool, old: f64, new: f64| {
        if let Some(allowed) = allowed
            && worse
        {
            let percent = allowed * 100.0;
            let what = format!("from {old:.3} to {new:.3}; {percent:.1} % are allowed");
            blocks.add(format!("guards.growth.{name}"), what);
        }
    };
    let above = |old: f64, new: f64, allowed: Option<f64>| allowed.is_some_and(|by| new > old * (1.0 + by));
    let calls = (old.invocations(), new.invocations(), allowed.model_invocations);
    guard("model_invocations", calls.2, above(calls.0, calls.1, calls.2), calls.0, calls.1);
    let calls = (old.amplification(), new.amplification(), allowed.retry_amplification);
    guard("retry_amplification", calls.2, above(calls.0, calls.1, calls.2), calls.0, calls.1);
    let share = (old.deterministic_share(), new.deterministic_share(), allowed.deterministic_share);
    let below = share.2.is_some_and(|by| share.1 < share.0 * (1.0 - by));
    guard("deterministic_share", share.2, below, share.0, share.1);
}

#[expect(clippy::cast_precision_loss, reason = "counts of a run are far below 2^53")]
fn number(count: u64) -> f64 {
    count as f64
}
