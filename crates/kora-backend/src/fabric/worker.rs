//! `kora-backend fabric worker`: a node of one pool, which pulls from the orchestrator of another process.

use std::sync::Arc;

use clap::ValueEnum;
use krako_contract::{NodeId, WireLimits};
use krako_fabric::worker::{CpuNode, PodNode};
use krako_fabric::{NodeDesk, NodeError, RemoteDesk};
use operations::OperationRegistry;
use serde_json::json;

use super::serving::DeskArgs;
use super::told_desk::ToldDesk;
use crate::adapters::ModelArgs;
use crate::exit::Exit;
use crate::interrupt::{self, Until};
use crate::models::OfflineArgs;
use crate::refused::CommandError;
use crate::screen::{self, STRONG};

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Pool {
    /// Deterministic and aggregation tasks
    Cpu,
    /// Model tasks
    #[value(name = "llm_pod")]
    LlmPod,
}

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The pool; a node is of one only
    #[arg(long, value_enum)]
    pool: Pool,
    /// Name of the node; no two that are up at once have the same
    #[arg(long, value_name = "NAME", default_value_t = format!("node-{}", std::process::id()))]
    name: String,
    /// Work units that run at once
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=256))]
    slots: u32,
    #[command(flatten)]
    desk: DeskArgs,
    #[command(flatten)]
    models: ModelArgs,
    #[command(flatten)]
    offline: OfflineArgs,
    /// Print what it is as one line of JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Works until Ctrl-C or SIGTERM, and then ends what it holds.
pub(super) async fn run(args: &Args) -> Result<Exit, CommandError> {
    let name = NodeId::new(&args.name).map_err(|error| CommandError::Usage(format!("`--name`: {error}")))?;
    let desk = RemoteDesk::new(args.desk.client()?, WireLimits::default());
    let desk: Arc<dyn NodeDesk> = Arc::new(ToldDesk::new(desk));
    let stop = interrupt::take_over(Until::InterruptOrTermination).await;
    let ended = match args.pool {
        Pool::Cpu => {
            args.tell()?;
            CpuNode::new(name, desk, OperationRegistry::standard(), args.slots).run(stop).await
        }
        Pool::LlmPod => {
            let models = args.models.open()?;
            let missing = models.missing_weights_of_all();
            let _fetching = args.offline.fetch_in_background(&missing);
            args.tell()?;
            PodNode::new(name, desk, models.router, args.slots).run(stop).await
        }
    };
    ended.map(|()| Exit::Success).map_err(|error| match error {
        NodeError::Refused(why) => {
            CommandError::Usage(format!("the orchestrator refuses this worker: {why}"))
        }
        NodeError::LeaseOver | NodeError::Unavailable(_) => CommandError::Usage(error.to_string()),
    })
}

impl Args {
    fn tell(&self) -> Result<(), CommandError> {
        let pool = match self.pool {
            Pool::Cpu => "cpu",
            Pool::LlmPod => "llm_pod",
        };
        if self.json {
            screen::print(&format!("{}\n", json!({"node": self.name, "pool": pool, "slots": self.slots})))
        } else {
            let name = &self.name;
            screen::print(&format!("worker {STRONG}{name}{STRONG:#} of pool {pool}, Ctrl-C stops it\n"))
        }
    }
}
