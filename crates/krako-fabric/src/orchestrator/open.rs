//! Takes up what a log holds, and goes on with what had not ended.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use krako_contract::{SessionId, SessionPriority};
use krako_session::SessionWriter;
use thiserror::Error;
use tokio::task::JoinSet;

use super::desk::Desk;
use super::index::{At, Index, Known};
use super::post::{Post, Seen, Stage};
use super::session::{Begin, Session};
use super::{Inner, Orchestrator, remembered};
use crate::log::{EventLog, Opened, Recorded, Standing};
use crate::{OrchestratorConfig, WallClock};

/// A session of the log that cannot be taken up. Nothing was started, and nothing was written.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error(
    "session `{session}` cannot go on: {why}; use the program and the limits that it was written with, or restore the log \
     from a copy"
)]
#[non_exhaustive]
pub struct NotOpened {
    /// The session.
    pub session: SessionId,
    /// What is wrong with its record.
    pub why: String,
}

impl Orchestrator {
    /// An orchestrator that goes on where `log` ends: what had not ended is taken up, and what was given to nodes is given
    /// again. `opened` is what the log said when it was opened.
    ///
    /// Needs a tokio runtime with time.
    ///
    /// # Errors
    ///
    /// [`NotOpened`] names a session whose record is not one that this program has written.
    pub fn open(
        config: OrchestratorConfig,
        log: EventLog,
        opened: Opened,
        clock: Arc<dyn WallClock>,
    ) -> Result<Arc<Self>, NotOpened> {
        let config = Arc::new(config);
        let mut index = Index::new(config.max_kept_reports);
        let mut begun = Vec::new();
        for recorded in opened.sessions {
            let Recorded { session, tenant, request_id, graph_digest, standing, .. } = recorded;
            let at = match standing {
                Standing::Ended { .. } => At::Logged,
                Standing::Open { text, events } => {
                    let refused = |why: String| NotOpened { session: session.clone(), why };
                    let submission = remembered::submission(&text, &config).map_err(refused)?;
                    let seen = Seen { last: events.len() as u64, stage: Stage::Accepted };
                    let post = Arc::new(Post::new(seen));
                    let graph = submission.graph().clone();
                    let last = events.last().map(|event| event.timestamp.clone());
                    let recovered = SessionWriter::recover(session.clone(), graph, events)
                        .map_err(|error| refused(error.to_string()))?;
                    begun.push(Begin {
                        post: Arc::clone(&post),
                        tenant: tenant.clone(),
                        request_id: request_id.clone(),
                        high: submission.options().priority == Some(SessionPriority::High),
                        submitted: None,
                        recovered,
                        last,
                    });
                    At::Open(post)
                }
            };
            index.add(session, Known { tenant, request_id, graph_digest, at });
        }
        let inner = Arc::new(Inner {
            desk: Desk::new(Arc::clone(&config), opened.epoch),
            log,
            clock,
            index: Mutex::new(index),
            ledger: Mutex::new(opened.ledger),
            config,
        });
        let orchestrator = Arc::new(Self { inner: Arc::clone(&inner), tasks: Mutex::new(JoinSet::new()) });
        let sweeper = Arc::clone(&inner);
        orchestrator.spawn(async move {
            // A quarter of what is waited for is late enough, and seldom enough.
            let period = (sweeper.config.lease / 4).clamp(Duration::from_millis(10), Duration::from_secs(1));
            loop {
                tokio::time::sleep(period).await;
                sweeper.desk.sweep();
            }
        });
        for begin in begun {
            let session = Session::new(Arc::clone(&inner), begin);
            orchestrator.spawn(session.run());
        }
        Ok(orchestrator)
    }
}
