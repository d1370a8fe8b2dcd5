//! A session that ended, as the log remembers it: the same rules over the same events give the same report.

use krako_contract::{Anchoring, Event, SessionId, SessionReport, Submission, WireLimits};

use crate::OrchestratorConfig;
use crate::log::EventLog;
use crate::replay::{ReplayOptions, replay_records};

/// Reads a recorded submission again.
pub(super) fn submission(text: &str, config: &OrchestratorConfig) -> Result<Submission, String> {
    let wire = WireLimits::default();
    Submission::read(text.as_bytes(), &wire, &config.limits, Anchoring::GraphOrContext)
        .map_err(|invalid| format!("its recorded submission cannot be read: {invalid}"))
}

/// What a session came to.
pub(super) async fn report(
    log: &EventLog,
    config: &OrchestratorConfig,
    session: &SessionId,
) -> Result<SessionReport, String> {
    let submitted = log.read_submission(session).await.map_err(|error| error.to_string())?;
    let mut events: Vec<Event> = Vec::new();
    loop {
        let after = events.last().map(|event| event.sequence);
        let page = log.read_events(session, after, config.max_page.max(1)).await;
        let page = page.map_err(|error| error.to_string())?;
        let none = page.events.is_empty();
        events.extend(page.events);
        if page.ended || none {
            break;
        }
    }
    let options =
        ReplayOptions { limits: config.limits.clone(), prices: config.prices, ..ReplayOptions::default() };
    let replayed = replay_records(submitted, &events, &options).map_err(|error| error.to_string())?;
    Ok(replayed.report)
}
