//! Gets a graph accepted, once, however often it has to be sent (C5.1).

use std::sync::Arc;
use std::time::Duration;

use backend_api::Refusal;
use krako_contract::{SessionReport, Submission};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::KrakoLimits;
use crate::backoff::Backoff;
use crate::cancelling::UnderWay;
use crate::fabric::{Fabric, NoAnswer};

/// What became of a submission.
pub(crate) enum Submitted {
    /// It is a session.
    Accepted(UnderWay),
    /// Nothing ran.
    Refused(Refusal),
    /// Something may have run, and cannot be followed. The words say why.
    Unsure(String),
}

/// Submits until there is an answer, within `submission_patience_ms`. It is safe to send it again: its anchor makes all of
/// them one session.
///
/// # Cancel safety
///
/// Dropping the future sends nothing more. A request that is on its way is waited for elsewhere, and a session that it
/// makes is cancelled.
pub(crate) async fn submit(
    fabric: Fabric,
    submission: Arc<Submission>,
    limits: KrakoLimits,
    backoff: Backoff,
) -> Submitted {
    let (wanted, answer) = oneshot::channel();
    tokio::spawn(async move {
        let mut submitting = Submitting { fabric, submission, limits, backoff, wanted };
        let submitted = Box::pin(submitting.submitted()).await;
        // Nobody is there any more: dropped here, a session is cancelled.
        drop(submitting.wanted.send(submitted));
    });
    answer.await.unwrap_or_else(|_| Submitted::Unsure(String::from("the submission was broken off")))
}

struct Submitting {
    fabric: Fabric,
    submission: Arc<Submission>,
    limits: KrakoLimits,
    backoff: Backoff,
    wanted: oneshot::Sender<Submitted>,
}

impl Submitting {
    async fn submitted(&mut self) -> Submitted {
        let patience = Instant::now() + Duration::from_millis(self.limits.submission_patience_ms);
        let text = self.submission.write();
        let mut may_have_arrived = false;
        loop {
            let answer = tokio::select! {
                biased;
                // Before anything is sent nothing has to be waited for.
                () = self.wanted.closed() => return unwanted(),
                connected = self.fabric.client().connect() => match connected {
                    Ok(()) => self.fabric.submit(text.clone()).await,
                    Err(error) => Err(NoAnswer::Transport(error)),
                }
            };
            let error = match answer {
                Ok(report) => return self.accepted(&report),
                Err(error) => error,
            };
            may_have_arrived |= error.may_have_arrived();
            let wait = self.backoff.failed(error.retry_after());
            let last = !error.is_passing() || Instant::now() + wait >= patience;
            if last && may_have_arrived {
                return Submitted::Unsure(format!("whether it took the graph is not known: {error}"));
            }
            if last {
                return Submitted::Refused(error.refusal());
            }
            tokio::select! {
                biased;
                () = self.wanted.closed() => return unwanted(),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Whether the session is that of the graph: an answer that is not comes from a fabric that lies.
    fn accepted(&self, report: &SessionReport) -> Submitted {
        let within = Duration::from_millis(self.limits.cancel_timeout_ms);
        let session = report.execution_session_id.clone();
        // It is ours in any case: whatever it runs, we asked for it.
        let under_way = UnderWay::new(self.fabric.clone(), session, within);
        let anchor = self.submission.anchor();
        let fault = if let Err(invalid) = report.check() {
            Some(invalid.to_string())
        } else if report.graph_digest != *self.submission.graph().digest() {
            Some(format!(
                "its session runs a graph of digest {}, and {} was submitted",
                report.graph_digest,
                self.submission.graph().digest()
            ))
        } else if report.graph_id != *self.submission.graph_id() {
            Some(format!(
                "its session runs graph `{}`, and `{}` was submitted",
                report.graph_id,
                self.submission.graph_id()
            ))
        } else if report.request_id != anchor.request_id {
            Some(format!(
                "its session is of request `{}`, and `{}` was submitted",
                report.request_id, anchor.request_id
            ))
        } else {
            None
        };
        match fault {
            Some(words) => Submitted::Unsure(words),
            None => Submitted::Accepted(under_way),
        }
    }
}

fn unwanted() -> Submitted {
    Submitted::Unsure(String::from("nobody waits for it any more"))
}
