//! The judge: holds what was seen of a case against what the case allows, and every run against the laws.

mod law;
mod laws;
mod meaning;
mod pattern;
mod timeline;
mod view;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use self::law::{Faults, Occasion, Sight};
use self::pattern::Mismatch;
use crate::case::{Allowed, Case};
use crate::draw;
use crate::model::Step;
use crate::observation::{Observation, RunEnd, SeenRun};
use crate::report::{Finding, Measure, TimelineEntry};
use crate::subject::Mishap;

pub(crate) use self::law::Law;
pub(crate) use self::laws::all as laws;
pub(crate) use self::meaning::{Difference, differences, meaning};
pub(crate) use self::pattern::unknown_operator;

/// What the judge says of one case.
#[derive(Debug, Default)]
pub(crate) struct Judgement {
    /// What is wrong for the case itself. Empty: it passed.
    pub(crate) findings: Vec<Finding>,
    /// For each law that the case put to the test what is wrong.
    pub(crate) laws: BTreeMap<&'static str, Vec<Finding>>,
    /// Claims beside sights.
    pub(crate) timeline: Vec<TimelineEntry>,
    /// What it cost, as the suite counted it.
    pub(crate) measure: Measure,
}

/// Judges what was seen of a case.
///
/// With `undeclared`, what the backend does not declare, the case does not apply: then only the laws are judged, of
/// which one says that such a graph is refused (C3.7).
pub(crate) fn judge(id: &str, case: &Case, seen: &Observation, undeclared: Option<&str>) -> Judgement {
    let views = views(seen);
    let mut judgement = Judgement {
        timeline: seen
            .runs
            .iter()
            .zip(&views)
            .enumerate()
            .flat_map(|(place, (run, view))| timeline::of(number(place), run, view))
            .collect(),
        measure: measure(seen, &views),
        ..Judgement::default()
    };
    if undeclared.is_none() {
        judgement.findings = against_case(case, seen, &views);
    }
    for (place, (run, view)) in seen.runs.iter().zip(&views).enumerate() {
        against_laws(id, case, seen, (place, run, view), undeclared, &mut judgement.laws);
    }
    judgement
}

/// The view of each run.
pub(crate) fn views(seen: &Observation) -> Vec<Value> {
    seen.runs.iter().map(view::view).collect()
}

fn measure(seen: &Observation, views: &[Value]) -> Measure {
    let mut measure = Measure::default();
    for (run, view) in seen.runs.iter().zip(views) {
        measure.model_invocations += run.calls.len() as u64;
        measure.retries += run.calls.iter().filter(|call| call.attempt > 0).count() as u64;
        measure.tasks += run.graph["tasks"].as_array().map_or(0, Vec::len) as u64;
        measure.deterministic_tasks += view["summary"]["deterministic_task_count"].as_u64().unwrap_or(0);
    }
    measure
}

fn number(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

fn finding(clause: &str, run: usize, because: &str, mismatch: Mismatch) -> Finding {
    let Mismatch { at, expected, got } = mismatch;
    Finding {
        clause: clause.to_owned(),
        run: number(run),
        seen_in: None,
        at,
        expected,
        got,
        because: because.to_owned(),
    }
}

fn against_case(case: &Case, seen: &Observation, views: &[Value]) -> Vec<Finding> {
    let clause = case.clauses.first().map_or("", String::as_str);
    let mut findings: Vec<Finding> = mishaps(seen)
        .into_iter()
        .map(|(run, at, mishap)| {
            let got = Value::String(mishap.to_string());
            let mismatch = Mismatch { at: at.to_owned(), expected: json!("an answer"), got };
            finding(clause, run, "every request is answered, with a result or a refusal", mismatch)
        })
        .collect();
    let closest = case.allowed.iter().map(|allowed| outcome(allowed, seen, views)).min_by_key(Vec::len);
    let because = case.allowed.iter().min_by_key(|allowed| outcome(allowed, seen, views).len());
    let because = because.map_or("", |allowed| allowed.because.as_str());
    let expects_mishap = findings.is_empty();
    if expects_mishap || case.allowed.iter().all(|allowed| !outcome(allowed, seen, views).is_empty()) {
        findings
            .extend(closest.into_iter().flatten().map(|(run, found)| finding(clause, run, because, found)));
    }
    if case.same_meaning
        && let Some(first) = views.first().map(meaning)
    {
        for (place, view) in views.iter().enumerate().skip(1) {
            for found in pattern::mismatches(&json!({ "$exactly": first }), &meaning(view)) {
                let places = differences(&first, &found.got);
                findings.extend(places.into_iter().map(|(at, expected, got)| {
                    let found = Mismatch { at, expected, got };
                    finding(clause, place, "every run of this case means the same as the first one", found)
                }));
            }
        }
    }
    findings
}

/// Requests without an answer.
fn mishaps(seen: &Observation) -> Vec<(usize, &'static str, &Mishap)> {
    let of_runs = seen.runs.iter().enumerate().filter_map(|(place, run)| match &run.end {
        RunEnd::Mishap(mishap) => Some((place, "/mishap", mishap)),
        RunEnd::Answered(_) | RunEnd::Cancelled => None,
    });
    let of_self = [
        ("/capabilities", &seen.capabilities),
        ("/capabilities", &seen.capabilities_after),
        ("/health", &seen.health),
    ];
    of_runs.chain(of_self.into_iter().filter_map(|(at, said)| Some((0, at, said.as_ref().err()?)))).collect()
}

/// Where what was seen is not as `allowed` says, with the number of the run.
fn outcome(allowed: &Allowed, seen: &Observation, views: &[Value]) -> Vec<(usize, Mismatch)> {
    let mut found = Vec::new();
    for (place, view) in views.iter().enumerate() {
        let patterns = || allowed.each.iter().chain(allowed.runs.get(place));
        // A refusal where none was expected says more than all that a result would have had.
        if let Some(refusal) = view.get("refused")
            && patterns().all(|pattern| pattern.get("refused").is_none())
        {
            let expected = json!("a run, not a refusal");
            found.push((place, Mismatch { at: String::from("/refused"), expected, got: refusal.clone() }));
            continue;
        }
        for pattern in patterns() {
            found.extend(pattern::mismatches(pattern, view).into_iter().map(|mismatch| (place, mismatch)));
        }
    }
    for (at, pattern, said) in [
        ("/capabilities", &allowed.capabilities, &seen.capabilities),
        ("/health", &allowed.health, &seen.health),
    ] {
        if let (Some(pattern), Ok(document)) = (pattern, said) {
            let mismatches = pattern::mismatches(pattern, document);
            found.extend(mismatches.into_iter().map(|mut mismatch| {
                mismatch.at.insert_str(0, at);
                (0, mismatch)
            }));
        }
    }
    found
}

fn against_laws(
    id: &str,
    case: &Case,
    seen: &Observation,
    (place, run, view): (usize, &SeenRun, &Value),
    undeclared: Option<&str>,
    judged: &mut BTreeMap<&'static str, Vec<Finding>>,
) {
    let (Ok(capabilities), Ok(capabilities_after), Ok(health)) =
        (&seen.capabilities, &seen.capabilities_after, &seen.health)
    else {
        return;
    };
    let sent = draw::checked(&run.graph);
    let authors = draw::checked(&view::without_ending(run.graph.clone(), &run.ending));
    let context = view::without_ending(run.context.clone(), &run.ending);
    let steps = steps_of(case, place);
    let sight = Sight {
        view,
        graph: authors.as_ref(),
        digest: sent.as_ref().map(kora_ir::CheckedGraph::digest),
        context: &context,
        steps: &steps,
        calls: &run.calls,
        capabilities,
        capabilities_after,
        health,
        undeclared,
    };
    for law in laws() {
        let mut faults = Faults::default();
        if (law.judge)(&sight, &mut faults) == Occasion::None && faults.0.is_empty() {
            continue;
        }
        let clause = law.clauses.first().copied().unwrap_or_default();
        let findings = faults.0.into_iter().map(|found| Finding {
            seen_in: Some(id.to_owned()),
            ..finding(clause, place, law.title, found)
        });
        judged.entry(law.id).or_default().extend(findings);
    }
}

/// What the model has to say in run number `place` of a case.
pub(crate) fn steps_of(case: &Case, place: usize) -> BTreeMap<String, Vec<Step>> {
    let mut steps = case.model.clone();
    if let Some(plan) = case.runs.get(place) {
        steps.extend(plan.model.clone());
    }
    steps
}
