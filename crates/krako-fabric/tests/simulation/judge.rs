//! What must be so at the end of every seed, whatever went wrong in it.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use krako_contract::{LineItem, SessionId, SessionStatus, TenantId, UsageReport, WireLimits, read};
use krako_fabric::{LogReader, MemoryDisk, ReplayOptions, Replayed, replay};
use krako_transport::{Call, Client};

use crate::clients::{Told, UNSURE, What, words};
use crate::graphs::{Corpus, Known};
use crate::hosts::{Ended, Seen, gateway_of, prices};
use crate::plan::Plan;

/// What a caller can give a run up for, by a bound that it declared itself.
const GIVEN_UP: [&str; 3] = ["fabric: it was lost for ", UNSURE, "fabric: its session goes on after "];

/// What the fabric itself says at the end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) reports: BTreeMap<SessionId, String>,
    pub(crate) usage: BTreeMap<TenantId, UsageReport>,
    pub(crate) done: bool,
}

/// What one session's record comes to.
pub(crate) type Record = BTreeMap<SessionId, Result<Replayed, String>>;

/// Reads the log as whoever audits it does.
pub(crate) fn read_log(disk: &MemoryDisk) -> Result<Record, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let log = LogReader::open(disk.copy().attach_reader()).await.map_err(|error| error.to_string())?;
        let options = ReplayOptions { prices: prices(), ..ReplayOptions::default() };
        let mut record = BTreeMap::new();
        for (session, _) in log.sessions() {
            let replayed = replay(&log, &session, &options).await.map_err(|error| error.to_string());
            record.insert(session, replayed);
        }
        Ok(record)
    })
}

/// Asks for every session's report and every tenant's usage, once all is quiet.
pub(crate) async fn ask(
    plan: Arc<Plan>,
    sessions: Vec<(SessionId, TenantId)>,
    into: Arc<Mutex<Asked>>,
) -> Ended {
    let tenants: BTreeSet<&str> = plan.tenants.into_iter().collect();
    for name in tenants {
        let tenant = TenantId::new(name)?;
        let client = gateway_of(name);
        for (session, _) in sessions.iter().filter(|(_, of)| *of == tenant) {
            let body = get(&client, &format!("/v1/execution/{session}")).await?;
            into.lock().unwrap().reports.insert(session.clone(), String::from_utf8(body)?);
        }
        let usage: UsageReport = read(&get(&client, "/v1/billing/usage").await?, &WireLimits::default())?;
        into.lock().unwrap().usage.insert(tenant, usage);
    }
    into.lock().unwrap().done = true;
    Ok(())
}

/// What is there. Asked again as every caller does: of a connection that is gone one only hears when it is used.
async fn get(client: &Client, path: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut said = String::new();
    for _ in 0..10 {
        match client.request(Call::get(path)).await {
            Ok(answer) if answer.status.is_success() => return Ok(answer.body.into()),
            Ok(answer) => said = format!("{}: {}", answer.status, String::from_utf8_lossy(&answer.body)),
            Err(error) => said = error.to_string(),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err(format!("{path}: {said}").into())
}

/// Everything that is not as it must be.
pub(crate) fn faults(plan: &Plan, seen: &Seen, told: &[Told], asked: &Asked, record: &Record) -> Vec<String> {
    let mut faults = Vec::new();
    each_run_is_told_once(plan, told, &mut faults);
    for (session, replayed) in record {
        match replayed {
            Ok(replayed) => judge_session(session, replayed, plan, told, asked, &mut faults),
            Err(why) => faults.push(format!("the log does not replay: {why}")),
        }
    }
    for told in told {
        judge_run(told, plan, record, &mut faults);
    }
    for (attempt, leases) in &*seen.accepted.reports.lock().unwrap() {
        if leases.len() > 1 {
            faults.push(format!("attempt {attempt:?} was taken from {} claims: {leases:?}", leases.len()));
        }
    }
    judge_usage(asked, record, &mut faults);
    faults
}

fn each_run_is_told_once(plan: &Plan, told: &[Told], faults: &mut Vec<String>) {
    for (client, runs) in plan.runs.iter().enumerate() {
        for run in runs {
            let results = told.iter().filter(|told| told.client == client && told.run.name == run.name);
            let results = results.count();
            if results != 1 {
                faults.push(format!("`{}` has {results} results", run.name));
            }
        }
    }
}

fn known(told: &Told) -> &'static Known {
    &Corpus::of_this_process().graphs[told.run.graph]
}

/// The sessions that were made for a run.
fn sessions_of<'r>(told: &Told, plan: &Plan, record: &'r Record) -> Vec<&'r Replayed> {
    let again = format!("{}-again-", told.run.name);
    record
        .values()
        .flatten()
        .filter(|replayed| replayed.submitted.tenant.as_str() == plan.tenants[told.client])
        .filter(|replayed| {
            let name = replayed.submitted.request_id.as_str();
            name == told.run.name || name.starts_with(&again)
        })
        .collect()
}

pub(crate) fn is_given_up(told: &Told) -> bool {
    match &told.what {
        What::Came(result) => {
            words(result).is_some_and(|words| GIVEN_UP.iter().any(|given_up| words.starts_with(given_up)))
        }
        What::Refused(_) | What::Dropped => false,
    }
}

fn judge_run(told: &Told, plan: &Plan, record: &Record, faults: &mut Vec<String>) {
    let name = &told.run.name;
    let sessions = sessions_of(told, plan, record);
    if sessions.len() > 1 {
        faults.push(format!("`{name}` was run in {} sessions", sessions.len()));
    }
    match &told.what {
        What::Dropped => {}
        What::Refused(refusal) => {
            faults.push(format!("`{name}` was refused for good: {refusal}"));
        }
        What::Came(_) if is_given_up(told) => {}
        What::Came(result) => {
            let local = &known(told).local;
            let (ours, theirs) = (&result.execution_metadata, &local.execution_metadata);
            if sessions.is_empty() {
                faults.push(format!("`{name}` has a result, and the log has no session of it"));
            }
            if ours.semantic_digest != theirs.semantic_digest {
                faults.push(format!(
                    "`{name}` ({}) means {}, and {} on one machine; it says: {}",
                    known(told).name,
                    ours.semantic_digest,
                    theirs.semantic_digest,
                    words(result).unwrap_or("nothing")
                ));
            }
            let value = |result: &backend_api::ExecutionResult| {
                result.final_output.as_ref().map(|output| output.value().clone())
            };
            if value(result) != value(local) || result.status != local.status {
                faults.push(format!("`{name}` came to another end than on one machine"));
            }
        }
    }
}

fn judge_session(
    session: &SessionId,
    replayed: &Replayed,
    plan: &Plan,
    told: &[Told],
    asked: &Asked,
    faults: &mut Vec<String>,
) {
    let report = &replayed.report;
    if !report.status.has_ended() {
        faults.push(format!("session {session} has not ended"));
    }
    let written = serde_json::to_string(report).unwrap();
    match asked.reports.get(session) {
        Some(live) if *live == written => {}
        Some(live) => faults.push(format!(
            "session {session} replays to another report than it gives:\n  {written}\n  {live}"
        )),
        None => faults.push(format!("session {session} gives no report")),
    }
    let of_run = told.iter().find(|told| {
        plan.tenants[told.client] == replayed.submitted.tenant.as_str()
            && replayed.submitted.request_id.as_str().starts_with(told.run.name.as_str())
    });
    let Some(of_run) = of_run else {
        faults.push(format!("session {session} is nobody's"));
        return;
    };
    let may_be_cancelled = is_given_up(of_run) || matches!(of_run.what, What::Dropped);
    if report.status == SessionStatus::Cancelled {
        if !may_be_cancelled {
            faults.push(format!("session {session} was cancelled, and nobody asked for that"));
        }
    } else {
        let local = known(of_run).local.execution_metadata.semantic_digest;
        if replayed.outcome.as_ref().is_some_and(|outcome| outcome.semantic_digest != local) {
            faults.push(format!("session {session} of `{}` means something else", known(of_run).name));
        }
    }
    let mut billed = BTreeSet::new();
    for LineItem { event_id, work_unit_id, .. } in &replayed.lines {
        if !billed.insert(event_id.clone()) {
            faults.push(format!("session {session} bills `{work_unit_id}` twice for one event"));
        }
    }
}

fn judge_usage(asked: &Asked, record: &Record, faults: &mut Vec<String>) {
    for (tenant, usage) in &asked.usage {
        let lines: BTreeMap<String, &LineItem> = record
            .values()
            .flatten()
            .filter(|replayed| replayed.submitted.tenant == *tenant)
            .flat_map(|replayed| &replayed.lines)
            .map(|line| (line.event_id.to_string(), line))
            .collect();
        let tokens: u64 = lines.values().map(|line| line.tokens_in + line.tokens_out).sum();
        let said: BTreeMap<String, &LineItem> =
            usage.line_items.iter().map(|line| (line.event_id.to_string(), line)).collect();
        if said != lines || usage.line_items.len() != lines.len() || usage.total_tokens != tokens {
            faults.push(format!(
                "`{tenant}` is billed {} lines and {} tokens, and the log has {} and {tokens}",
                usage.line_items.len(),
                usage.total_tokens,
                lines.len()
            ));
        }
    }
}

/// How long after everything is well again it must be over.
pub(crate) fn patience(plan: &Plan) -> Duration {
    // As long as a caller waits, or a node tells a report; then the claims and the connections end by their own bounds.
    plan.submission_patience + plan.outage_patience + Duration::from_secs(40)
}
