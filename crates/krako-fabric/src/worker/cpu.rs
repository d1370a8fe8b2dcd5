//! A node of the `cpu` pool: runs operations, and holds no handle to any model (C11.2).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use backend_local::attempt;
use engine::{AttemptOutcome, Usage};
use kora_ir::OutputSchema;
use krako_contract::{NodeId, WorkUnitKind};
use operations::{Meter, OperationCall, OperationRegistry, PreparedOperation};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;

use super::claiming::{Hands, Node};
use super::held::{Progress, stopped};
use super::kept::Kept;
use super::reporting::{ended, failed};
use crate::{Execution, NodeConfig, NodeDesk, NodeError, Offer, OrderReport, OrderWork, WorkOrder};

/// A node of the `cpu` pool.
#[derive(Debug)]
pub struct CpuNode {
    id: NodeId,
    desk: Arc<dyn NodeDesk>,
    operations: OperationRegistry,
    slots: u32,
    config: NodeConfig,
}

impl CpuNode {
    /// A node that runs at most `slots` of these operations at once.
    pub fn new(id: NodeId, desk: Arc<dyn NodeDesk>, operations: OperationRegistry, slots: u32) -> Self {
        Self { id, desk, operations, slots: slots.max(1), config: NodeConfig::default() }
    }

    /// The same with other bounds.
    #[must_use]
    pub fn with(self, config: NodeConfig) -> Self {
        Self { config, ..self }
    }

    /// Claims and runs work until `stop` resolves and what is held is reported, or [`NodeConfig::drain`] is over.
    ///
    /// # Errors
    ///
    /// [`NodeError::Refused`] says why it can get no work.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future is the death of the node: operations are told to stop, nothing is reported, and what it held is
    /// given to another when its lease is over.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) -> Result<(), NodeError> {
        let hands = CpuHands {
            prepared: Kept::new(self.config.max_prepared),
            schemas: Kept::new(self.config.max_prepared),
            operations: self.operations,
            config: self.config.clone(),
        };
        let node = Node {
            id: self.id,
            desk: self.desk,
            hands: Arc::new(hands),
            slots: self.slots,
            config: self.config,
        };
        node.run(stop).await
    }
}

#[derive(Debug)]
struct CpuHands {
    operations: OperationRegistry,
    prepared: Kept<Arc<dyn PreparedOperation>>,
    schemas: Kept<Arc<OutputSchema>>,
    config: NodeConfig,
}

#[async_trait]
impl Hands for CpuHands {
    fn pool(&self) -> WorkUnitKind {
        WorkUnitKind::Cpu
    }

    fn offer(&self) -> Offer {
        Offer { operations: self.operations.names().map(str::to_owned).collect(), models: Vec::new() }
    }

    async fn run(
        &self,
        node_id: &NodeId,
        order: WorkOrder,
        progress: Arc<Progress>,
        stopped: watch::Receiver<bool>,
    ) -> OrderReport {
        let WorkOrder { lease, attempt_index, time_left_us, schema, work, .. } = order;
        let job = self.prepare(work, &schema, attempt_index);
        let (job, time_left) = match job {
            Ok(job) => (job, Duration::from_micros(time_left_us)),
            Err(message) => return failed(node_id, lease, message),
        };
        let (outcome, elapsed) = match self.config.execution {
            Execution::Inline => {
                let began = *progress.began.get_or_init(Instant::now);
                let outcome = job.run(&mut Meter::new(self.operations.limits()));
                (outcome, began.elapsed())
            }
            Execution::Threads => self.on_a_thread(job, time_left, &progress, stopped).await,
        };
        let outcome = attempt::out_of_time(outcome, elapsed, time_left);
        ended(node_id, lease, outcome, elapsed, Usage::default(), None)
    }
}

/// Everything that one operation needs.
#[derive(Debug)]
struct Job {
    operation: Arc<dyn PreparedOperation>,
    schema: Arc<OutputSchema>,
    args: Value,
    input: Value,
    attempt: u32,
}

impl Job {
    fn run(&self, meter: &mut Meter) -> AttemptOutcome {
        let call = OperationCall { args: &self.args, input: &self.input, attempt: self.attempt };
        attempt::operate(&*self.operation, &call, &self.schema, meter)
    }
}

impl CpuHands {
    fn prepare(&self, work: OrderWork, schema: &Value, attempt: u32) -> Result<Job, String> {
        let OrderWork::Cpu { operation, prepare_args, args, input } = work else {
            return Err(String::from("a `cpu` node was given work of another pool"));
        };
        let key = format!("{operation} {prepare_args}");
        let prepared =
            self.prepared.take(&key, || attempt::prepare(&self.operations, &operation, &prepare_args))?;
        let schema = self.schemas.take(&schema.to_string(), || compile(schema, &self.config))?;
        Ok(Job { operation: prepared, schema, args: args.unwrap_or(prepare_args), input, attempt })
    }

    /// Runs an operation where its time can be kept. A thread that does not stop when told to is given up, as
    /// LocalBackend does.
    async fn on_a_thread(
        &self,
        job: Job,
        time_left: Duration,
        progress: &Arc<Progress>,
        unwanted: watch::Receiver<bool>,
    ) -> (AttemptOutcome, Duration) {
        let stop = StopOnDrop(Arc::default());
        let mut meter = Meter::stoppable(self.operations.limits(), Arc::clone(&stop.0));
        let shared = Arc::clone(progress);
        let mut thread = tokio::task::spawn_blocking(move || {
            let began = *shared.began.get_or_init(Instant::now);
            let outcome = job.run(&mut meter);
            (outcome, began.elapsed())
        });
        let late = tokio::select! {
            biased;
            ended = &mut thread => return joined(ended, progress),
            () = stopped(unwanted) => false,
            () = tokio::time::sleep(time_left) => true,
        };
        stop.0.store(true, Ordering::Relaxed);
        match tokio::time::timeout(self.config.stop_grace, &mut thread).await {
            Ok(ended) => joined(ended, progress),
            Err(_) if late => (AttemptOutcome::TimedOut, elapsed(progress).max(time_left)),
            Err(_) => (AttemptOutcome::Cancelled, elapsed(progress)),
        }
    }
}

/// Tells an operation to stop when nobody waits for it any more.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn elapsed(progress: &Progress) -> Duration {
    progress.began.get().map_or(Duration::ZERO, Instant::elapsed)
}

/// A panic of an operation is contained where it runs, so a thread that did not end well was never begun.
fn joined(
    ended: Result<(AttemptOutcome, Duration), tokio::task::JoinError>,
    progress: &Progress,
) -> (AttemptOutcome, Duration) {
    ended.unwrap_or_else(|_| {
        let message = String::from("the node could not run the operation to its end");
        (AttemptOutcome::Failed { message, transient: true }, elapsed(progress))
    })
}

/// The schema of an order. Its defaults are written out already, and writing them out again changes nothing.
pub(super) fn compile(document: &Value, config: &NodeConfig) -> Result<Arc<OutputSchema>, String> {
    OutputSchema::compile(document.clone(), &config.limits)
        .map(Arc::new)
        .map_err(|error| format!("the node cannot use the schema of this work unit: {error}"))
}
