//! Every fixture, run one task at a time and eight at a time, on a paused clock and on a real one: what it means is
//! what stands beside it.
//!
//! `KORA_BLESS=1` writes what stands beside it anew; look at what changed.

#![expect(clippy::unwrap_used, reason = "a fixture that cannot be read is a failed test")]

mod shared;

use kora_ir::Task;
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;
use shared::{Clock, Fixture, Outcome, root};
use telemetry::TaskRecord;

fn main() {
    let arguments = Arguments::from_args();
    let trials = ["golden", "clauses", "v0_1"]
        .into_iter()
        .flat_map(all_in)
        .map(|fixture| Trial::test(fixture.name.clone(), move || check(&fixture)))
        .collect();
    libtest_mimic::run(&arguments, trials).exit();
}

/// All fixtures of a folder, in the order of their names.
fn all_in(folder: &str) -> Vec<Fixture> {
    let files = std::fs::read_dir(root().join(folder)).unwrap();
    let mut names: Vec<String> = files
        .filter_map(|file| file.unwrap().file_name().to_str()?.strip_suffix(".json").map(str::to_owned))
        .filter(|name| !name.ends_with(".expected") && !name.ends_with(".script"))
        .collect();
    names.sort();
    names.iter().map(|name| Fixture::named(&format!("{folder}/{name}"))).collect()
}

fn check(fixture: &Fixture) -> Result<(), Failed> {
    let outcome = fixture.run(1, Clock::Paused);
    let meaning = outcome.meaning();
    same("eight at a time", "one at a time", &fixture.run(8, Clock::Real).meaning(), &meaning)?;
    if let Outcome::Ran { graph, result, adapter } = &outcome {
        let records = result.telemetry_bundle.tasks();
        let ids = |tasks: &[Task]| tasks.iter().map(|task| task.id.to_string()).collect::<Vec<_>>();
        let recorded: Vec<_> = records.iter().map(|record| record.task_id.to_string()).collect();
        if recorded != ids(graph.tasks()) {
            return Err(format!("not one record for each task, in canonical order: {recorded:?}").into());
        }
        graph.tasks().iter().zip(records).try_for_each(|(task, record)| within_caps(task, record))?;
        // What the model was asked, against what is said that it was asked.
        let asked = adapter.as_ref().map_or(0, |adapter| adapter.calls().len() as u64);
        let said = result.telemetry_bundle.summary().model_invocation_count;
        if asked != said {
            return Err(format!("the model was asked {asked} times, and {said} is reported").into());
        }
    }
    let path = fixture.beside("expected");
    if std::env::var_os("KORA_BLESS").is_some() {
        std::fs::write(&path, serde_json::to_string_pretty(&meaning)? + "\n")?;
        return Ok(());
    }
    let expected = std::fs::read_to_string(&path)
        .map_err(|error| format!("{}: {error}; run with KORA_BLESS=1 and review it", path.display()))?;
    same("the run", "the expectation", &meaning, &serde_json::from_str(&expected)?)
}

fn within_caps(task: &Task, record: &TaskRecord) -> Result<(), Failed> {
    let over = record.retry_count > task.budget.max_retries()
        || (record.failure.is_none() && record.tokens_out > task.budget.max_tokens());
    if over { Err(format!("task `{}` went beyond its budget: {record:?}", task.id).into()) } else { Ok(()) }
}

/// Tells the first place where they differ, and both as they are there.
fn same(left_name: &str, right_name: &str, left: &Value, right: &Value) -> Result<(), Failed> {
    match difference(left, right, String::new()) {
        None => Ok(()),
        Some((pointer, left, right)) => {
            Err(format!("at `{pointer}`\n  {left_name}: {left}\n  {right_name}: {right}").into())
        }
    }
}

fn difference(left: &Value, right: &Value, pointer: String) -> Option<(String, String, String)> {
    match (left, right) {
        (Value::Object(a), Value::Object(b))
            if a.len() == b.len() && a.keys().all(|name| b.contains_key(name)) =>
        {
            a.iter().find_map(|(name, value)| difference(value, &b[name], format!("{pointer}/{name}")))
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            (0..).zip(a.iter().zip(b)).find_map(|(at, (a, b))| difference(a, b, format!("{pointer}/{at}")))
        }
        (a, b) if a == b => None,
        (a, b) => Some((pointer, a.to_string(), b.to_string())),
    }
}
