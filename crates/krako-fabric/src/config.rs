//! Every bound of an orchestrator and of a node, with its default (I8).

use std::time::Duration;

use backend_local::Backoff;
use kora_ir::Limits;
use krako_contract::Region;
use krako_session::Prices;
use operations::OperationRegistry;

/// What an orchestrator takes on, and how long it waits for what.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a plain struct: whoever makes one decides about all of it")]
pub struct OrchestratorConfig {
    /// Sessions under way, of all tenants together. By default 1000.
    pub max_sessions: usize,
    /// Sessions under way of one tenant. By default 100.
    pub max_sessions_per_tenant: usize,
    /// Work units under way in one session. By default 64.
    pub max_units_per_session: usize,
    /// Nodes of both pools. By default 256.
    pub max_nodes: usize,
    /// Orders that one claim can get, and one node can hold. By default 256.
    pub max_orders_per_node: u32,
    /// Names that one node may offer. By default 1000.
    pub max_offers: usize,
    /// How long a claim waits at most, whatever it asks. By default 30 s.
    pub max_claim_wait: Duration,
    /// How long a report of a session, or a page of its events, is waited for at most, whatever is asked. By default 60 s.
    pub max_wait: Duration,
    /// Without a heartbeat for so long, a claim is over. By default 15 s.
    pub lease: Duration,
    /// Without a word for so long, a node is no longer there. By default 45 s.
    pub silence: Duration,
    /// Claims of one attempt that may be lost before the attempt has failed. By default 4.
    pub max_lost_claims: u32,
    /// How long an order waits for a node before its attempt has failed. By default 10 minutes.
    pub max_queued: Duration,
    /// How long a node may wait for its model to be loaded or to have room, on top of the time of the attempt itself. By
    /// default 15 minutes.
    pub max_preparation: Duration,
    /// By how much a node may overrun the time of an attempt before it is given up. By default 2 s.
    pub grace: Duration,
    /// How long a node may take to say what was spent on what is not wanted any more. By default 2 s.
    pub stop_grace: Duration,
    /// How long a claim may wait to be written together with what comes after it, so that an order which is done at once
    /// costs the log one write and not two. Who has an order is no part of what a session means. By default 2 ms.
    pub claim_linger: Duration,
    /// How long a failed model is left alone before it is asked again (S8).
    pub backoff: Backoff,
    /// Before the event log is written to again, if it could not be. By default 200 ms.
    pub log_retry: Duration,
    /// Events in one page. By default 256.
    pub max_page: usize,
    /// Reports of sessions that have ended, kept to be answered at once. By default 256.
    pub max_kept_reports: usize,
    /// Lines that a usage report has; with more it has none. By default 10 000.
    pub max_usage_lines: usize,
    /// What is asked for what was run. By default nothing.
    pub prices: Prices,
    /// Where this fabric is, as its sessions tell (C8.3). By default unsaid.
    pub region: Option<Region>,
    /// What graphs are checked against when they are read from the log again.
    pub limits: Limits,
    /// What operations are checked against before anything runs. What nodes offer besides is not offered on, since nobody
    /// could say whether its arguments are right (C3.7).
    pub operations: OperationRegistry,
}

impl Default for OrchestratorConfig {
    fn default() -> Self {
        Self {
            max_sessions: 1000,
            max_sessions_per_tenant: 100,
            max_units_per_session: 64,
            max_nodes: 256,
            max_orders_per_node: 256,
            max_offers: 1000,
            max_claim_wait: Duration::from_secs(30),
            max_wait: Duration::from_secs(60),
            lease: Duration::from_secs(15),
            silence: Duration::from_secs(45),
            max_lost_claims: 4,
            max_queued: Duration::from_secs(600),
            max_preparation: Duration::from_secs(900),
            grace: Duration::from_secs(2),
            stop_grace: Duration::from_secs(2),
            claim_linger: Duration::from_millis(2),
            backoff: Backoff::default(),
            log_retry: Duration::from_millis(200),
            max_page: 256,
            max_kept_reports: 256,
            max_usage_lines: 10_000,
            prices: Prices::default(),
            region: None,
            limits: Limits::default(),
            operations: OperationRegistry::standard(),
        }
    }
}

/// How a node asks for work, and how it stops.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a plain struct: whoever makes one decides about all of it")]
pub struct NodeConfig {
    /// How long one claim waits for work. By default 20 s.
    pub claim_wait: Duration,
    /// Between two heartbeats, and never more than a third of a lease. By default 1 s.
    pub heartbeat: Duration,
    /// The first wait before whoever does not answer is asked again; doubled each time. By default 100 ms.
    pub retry: Duration,
    /// The longest such wait. By default 5 s.
    pub max_retry: Duration,
    /// How long a report is told again and again to whoever does not answer. By default 60 s.
    pub max_report: Duration,
    /// Reports that are told and not heard yet, beyond which no more work is asked for. They take no slots; with the slots
    /// they are to be no more than an orchestrator's `max_orders_per_node`. By default 64.
    pub max_unheard: usize,
    /// How long what is held may go on after the node was told to stop. By default 30 s.
    pub drain: Duration,
    /// How long an operation may take to notice that it was told to stop before its thread is given up. By default 50 ms.
    pub stop_grace: Duration,
    /// Prepared operations and compiled schemas that are kept for the next order, each. By default 1024.
    pub max_prepared: usize,
    /// What the schemas of orders are held to.
    pub limits: Limits,
    /// Where operations run.
    pub execution: Execution,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            claim_wait: Duration::from_secs(20),
            heartbeat: Duration::from_secs(1),
            retry: Duration::from_millis(100),
            max_retry: Duration::from_secs(5),
            max_report: Duration::from_secs(60),
            max_unheard: 64,
            drain: Duration::from_secs(30),
            stop_grace: Duration::from_millis(50),
            max_prepared: 1024,
            limits: Limits::default(),
            execution: Execution::Threads,
        }
    }
}

/// Where a node runs operations.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "beside everything else, or in its place")]
pub enum Execution {
    /// Each on a thread of its own, so that its time can be kept.
    Threads,
    /// On the node's own task, one after the other: in a simulation, where nothing may depend on threads. Nothing but the
    /// operation's own bounds ends it.
    Inline,
}
