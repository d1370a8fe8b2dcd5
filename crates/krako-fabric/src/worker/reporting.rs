//! What came of an attempt as a report, told until it is heard.

use std::time::Duration;

use engine::{AttemptOutcome, Usage};
use krako_contract::NodeId;
use tokio::time::Instant;

use super::held::micros;
use crate::{LeaseId, NodeConfig, NodeDesk, NodeError, OrderOutcome, OrderReport};

/// An attempt's end as the protocol has it.
pub(super) fn ended(
    node_id: &NodeId,
    lease: LeaseId,
    outcome: AttemptOutcome,
    elapsed: Duration,
    usage: Usage,
    retry_after: Option<Duration>,
) -> OrderReport {
    let outcome = match outcome {
        AttemptOutcome::Output(output) => OrderOutcome::Output { output: output.value().clone() },
        AttemptOutcome::SchemaMismatch(mismatch) => OrderOutcome::SchemaMismatch { faults: mismatch.faults },
        AttemptOutcome::Failed { message, transient } => OrderOutcome::Failed { message, transient },
        AttemptOutcome::TimedOut => OrderOutcome::TimedOut,
        AttemptOutcome::TokensExhausted => OrderOutcome::TokensExhausted,
        AttemptOutcome::Cancelled => OrderOutcome::Cancelled,
    };
    OrderReport {
        node_id: node_id.clone(),
        lease,
        elapsed_us: micros(elapsed),
        tokens_in: usage.tokens_in,
        tokens_out: usage.tokens_out,
        tokens_estimated: usage.estimated,
        outcome,
        retry_after_ms: retry_after.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
    }
}

/// The report of an order that cannot be run here: the same on every node, so another attempt would change nothing.
pub(super) fn failed(node_id: &NodeId, lease: LeaseId, message: String) -> OrderReport {
    let outcome = AttemptOutcome::Failed { message, transient: false };
    ended(node_id, lease, outcome, Duration::ZERO, Usage::default(), None)
}

/// Tells a report until it is heard or nobody wants it. What nobody hears is given to another when its lease is over.
pub(super) async fn report(desk: &dyn NodeDesk, report: OrderReport, config: &NodeConfig) {
    let begun = Instant::now();
    let mut wait = config.retry;
    loop {
        match desk.report(report.clone()).await {
            Ok(()) | Err(NodeError::LeaseOver | NodeError::Refused(_)) => return,
            Err(NodeError::Unavailable(_)) if begun.elapsed() >= config.max_report => return,
            Err(NodeError::Unavailable(_)) => {}
        }
        tokio::time::sleep(wait).await;
        wait = wait.saturating_mul(2).min(config.max_retry);
    }
}
