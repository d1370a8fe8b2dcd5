//! A case explained: what is run, what the model answers, which outcomes are allowed and why.

use super::{LISTED, MutantInfo, Rows, quoted};
use crate::case::{Allowed, Case, Requires, RunPlan};
use crate::case_info::{CaseBody, CaseInfo};
use crate::model::{Act, ModelFault, Step};
use crate::registry::Registry;
use crate::report::terminal::STRONG;
use crate::report::{plain, words};

/// Lines of a pattern that are shown.
const PATTERN_LINES: usize = 60;

pub(super) fn explained(case: &CaseInfo, registry: &Registry, mutants: &[MutantInfo]) -> String {
    let unscored = if case.frozen { "" } else { "  (does not count yet)" };
    let mut rows = Rows(format!("{STRONG}{}{STRONG:#}  {}{unscored}\n", name(&case.id), text(&case.title)));
    let rules = case.clauses.iter().map(|id| {
        let rule = registry.clause(id).map_or("no such clause", |clause| &clause.text);
        format!("{STRONG}{}{STRONG:#}  {rule}", name(id))
    });
    rows.add("clauses", rules);
    let first = case.clauses.first().and_then(|id| registry.clause(id));
    if let Some((title, _)) = first.and_then(|clause| clause.in_the_contract()) {
        rows.add_line("contract", format!("§{title}"));
    }
    rows.add("seen", first.and_then(|clause| clause.how.clone()));
    match &case.body {
        CaseBody::Law => rows.add_line("judged", "by code, over every run of all other cases"),
        CaseBody::Generated => rows.add_line(
            "judged",
            "by code, on graphs, scripts and budgets that the seed draws; a failure is shrunk to its smallest graph",
        ),
        CaseBody::Data { case, graphs } => {
            rows.add("needs", needs(&case.requires));
            for (file, graph) in graphs {
                rows.add_line("graph", name(file));
                rows.add("", quoted(&serde_json::to_string_pretty(graph).unwrap_or_default()));
            }
            rows.add("runs", runs(case));
            rows.add("model", case.model.iter().flat_map(|(task, steps)| script(task, steps)));
            for allowed in &case.allowed {
                outcome(allowed, &mut rows);
            }
        }
    }
    rows.add_line("look at", text(&case.likely_cause));
    rows.add_line("run it", format!("kora-backend conformance run --only {} …", name(&case.id)));
    let killing = MutantInfo::caught_by(&case.id, mutants);
    rows.add("kills", killing.iter().take(LISTED).map(|mutant| mutant.told()));
    if killing.len() > LISTED {
        rows.add_line("", format!("and {} more", killing.len() - LISTED));
    }
    rows.0
}

fn needs(requires: &Requires) -> Option<String> {
    let list = |what: &str, words: &std::collections::BTreeSet<String>| {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        (!words.is_empty()).then(|| text(&format!("{what} {}", words.join(", "))))
    };
    let needs: Vec<String> = [
        list("task types", &requires.task_types),
        list("operations", &requires.operations),
        list("extensions", &requires.extensions),
        requires.max_concurrency.map(|least| format!("max_concurrency of at least {least}")),
        requires.backend_mode.as_ref().map(|mode| format!("backend_mode {}", name(mode))),
        requires.distributed.map(|distributed| format!("distributed {distributed}")),
    ]
    .into_iter()
    .flatten()
    .collect();
    (!needs.is_empty()).then(|| needs.join("; "))
}

/// How it is run, unless that is once and as always.
fn runs(case: &Case) -> Vec<String> {
    let usual = |plan: &RunPlan| {
        plan.context.is_empty() && plan.cancel_after_calls.is_none() && plan.model.is_empty()
    };
    if let [plan] = case.runs.as_slice()
        && usual(plan)
    {
        return Vec::new();
    }
    let mut lines = Vec::new();
    for (nth, plan) in case.runs.iter().enumerate() {
        let mut line = format!("{nth}: {}", name(&plan.graph));
        for (member, value) in &plan.context {
            line.push_str(&format!("; {}: {}", name(member), words::got(value)));
        }
        if let Some(calls) = plan.cancel_after_calls {
            line.push_str(&format!("; cancelled after {calls} calls of the model"));
        }
        lines.push(line);
        lines.extend(
            plan.model.iter().flat_map(|(task, steps)| script(task, steps)).map(|line| format!("   {line}")),
        );
    }
    if case.together {
        lines.push(String::from("all at the same time"));
    }
    if case.same_meaning {
        lines.push(String::from("all of them have to mean the same"));
    }
    lines
}

/// What the model says, attempt by attempt.
fn script(task: &str, steps: &[Step]) -> Vec<String> {
    let last = steps.len().saturating_sub(1);
    let line = |(attempt, step): (usize, &Step)| {
        let after = if attempt == last { " and after" } else { "" };
        format!("{}, attempt {attempt}{after}: {}", name(task), said(step))
    };
    steps.iter().enumerate().map(line).collect()
}

fn said(step: &Step) -> String {
    let mut said = match &step.act {
        Act::Reply(value) => format!("replies {}", plain::value(value, plain::VALUE)),
        Act::Text(text) => format!("says `{}`", plain::line(text, plain::VALUE)),
        Act::Overrun => String::from("generates until somebody hangs up"),
        Act::CutOff(text) => format!("breaks off after `{}`", plain::line(text, plain::VALUE)),
        Act::Fail(ModelFault::Transient) => String::from("fails in a way that may pass (503)"),
        Act::Fail(ModelFault::Final) => String::from("fails for good (400)"),
        Act::Hang => String::from("never says anything"),
    };
    if let Some(tokens) = step.tokens_out {
        said.push_str(&format!(", in {tokens} tokens"));
    }
    if step.delay_ms > 0 {
        said.push_str(&format!(", after {} ms", step.delay_ms));
    }
    if step.ms_per_token > 0 {
        said.push_str(&format!(", {} ms for each token", step.ms_per_token));
    }
    said
}

fn outcome(allowed: &Allowed, rows: &mut Rows) {
    rows.add_line("allowed", text(&allowed.because));
    let mut lines = Vec::new();
    let mut add = |of: &str, pattern: &serde_json::Value| {
        lines.extend(words::lines(pattern).into_iter().map(|line| format!("  {of}{line}")));
    };
    allowed.each.iter().for_each(|pattern| add("", pattern));
    for (nth, pattern) in allowed.runs.iter().enumerate() {
        add(&format!("run {nth}: "), pattern);
    }
    allowed.capabilities.iter().for_each(|pattern| add("capabilities: ", pattern));
    allowed.health.iter().for_each(|pattern| add("health: ", pattern));
    let left_out = lines.len().saturating_sub(PATTERN_LINES);
    lines.truncate(PATTERN_LINES);
    if left_out > 0 {
        lines.push(format!("  and {left_out} more"));
    }
    rows.add("", lines);
}

/// Cases may come from anybody's folder.
fn name(text: &str) -> String {
    plain::line(text, plain::NAME)
}

fn text(text: &str) -> String {
    plain::line(text, plain::TEXT)
}
