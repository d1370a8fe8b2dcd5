//! `kora-backend fabric up`: a whole fabric in one process.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use krako_contract::NodeId;
use krako_fabric::worker::{CpuNode, PodNode};
use krako_fabric::{Gateway, NodeDesk, Orchestrator, Sessions};
use operations::OperationRegistry;
use serde_json::json;
use tokio::task::JoinSet;

use super::data::{DataArgs, IdentityArgs, first_tenant};
use super::serving::{self, ServingArgs, Stop, shell};
use crate::adapters::ModelArgs;
use crate::exit::Exit;
use crate::interrupt::{self, Until};
use crate::models::OfflineArgs;
use crate::refused::CommandError;
use crate::screen::{self, FAINT, STRONG};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Address and port of the gateway; port 0 takes any that is free
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7443")]
    listen: SocketAddr,
    /// Operations that run at once; otherwise as many as there are processors
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=256))]
    cpu_slots: Option<u32>,
    /// Model calls that run at once
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=256))]
    llm_slots: u32,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    identity: IdentityArgs,
    #[command(flatten)]
    pub(super) serving: ServingArgs,
    #[command(flatten)]
    models: ModelArgs,
    #[command(flatten)]
    offline: OfflineArgs,
}

/// Serves until Ctrl-C or SIGTERM, and then for as long as what is under way needs, within a bound.
pub(super) async fn run(args: &Args) -> Result<Exit, CommandError> {
    args.data.make()?;
    let identity = args.data.identity(&args.identity)?;
    let (models, section) = (args.models.open()?, args.models.fabric()?);
    let missing = models.missing_weights_of_all();
    let accept = serving::listen(args.listen).await?;
    let orchestrator = args.data.orchestrator(&section).await?;
    // Whoever holds the log is alone with the first token as well.
    let mut tokens = args.data.tokens()?;
    let token = args.data.first_token(&mut tokens, "local", first_tenant()?)?;
    // Before it is said where: whoever reads that may stop it at once.
    let stop = interrupt::take_over(Until::InterruptOrTermination).await;
    let _fetching = args.offline.fetch_in_background(&missing);

    let (stop_nodes, mut nodes) = (Stop::new(), JoinSet::new());
    let desk = || Arc::clone(&orchestrator) as Arc<dyn NodeDesk>;
    let cpu = CpuNode::new(node("cpu-1")?, desk(), OperationRegistry::standard(), args.cpu_slots());
    nodes.spawn(cpu.run(stop_nodes.told()));
    let asks_models = models.router.descriptors().next().is_some();
    if asks_models {
        let pod = PodNode::new(node("pod-1")?, desk(), models.router, args.llm_slots);
        nodes.spawn(pod.run(stop_nodes.told()));
    }
    offered(&orchestrator, asks_models).await;

    let url = serving::url(&accept);
    let ca = args.data.ca_file(&args.identity);
    tell(args, &url, ca.as_deref(), token.as_deref())?;
    let (known, _following) = serving::followed(&tokens, &args.data.token_file());
    let sessions = Arc::clone(&orchestrator) as Arc<dyn Sessions>;
    let gateway = Gateway::new(sessions, known, section.gateway());
    // Callers follow their sessions to the end, so sessions are drained while they are served.
    let drained = async {
        stop.await;
        serving::drained(&orchestrator, args.serving.drain(), "the fabric").await;
    };
    gateway.serve(&accept, &identity, drained).await;
    stop_nodes.tell();
    let stopped = async { while nodes.join_next().await.is_some() {} };
    if tokio::time::timeout(Duration::from_secs(2), stopped).await.is_err() {
        nodes.abort_all();
    }
    Ok(Exit::Success)
}

impl Args {
    fn cpu_slots(&self) -> u32 {
        let processors = std::thread::available_parallelism().map_or(1, |count| count.get().min(256));
        self.cpu_slots.unwrap_or(u32::try_from(processors).unwrap_or(1))
    }
}

/// Whoever is told where the fabric is can use it at once.
async fn offered(orchestrator: &Orchestrator, models: bool) {
    for _ in 0..200 {
        let told = orchestrator.capabilities().await;
        if told.is_ok_and(|told| !told.operations.is_empty() && (!models || !told.models.is_empty())) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn tell(args: &Args, url: &str, ca: Option<&Path>, token: Option<&Path>) -> Result<(), CommandError> {
    if args.serving.json {
        let line = json!({"endpoint": url, "ca_file": ca, "token_file": token, "data": args.data.data,
            "version": env!("CARGO_PKG_VERSION")});
        return screen::print(&format!("{line}\n"));
    }
    let mut line = format!("kora-backend run GRAPH --backend krako --endpoint {}", shell(url));
    for (option, path) in [("--ca", ca), ("--token-file", token)] {
        if let Some(path) = path {
            line += &format!(" {option} {}", shell(&path.display().to_string()));
        }
    }
    let whose = match token {
        Some(_) => "",
        None => "\nwith a token of your own: `kora-backend fabric token add` makes one",
    };
    screen::print(&format!(
        "fabric at {STRONG}{url}{STRONG:#}, its log in `{}`, Ctrl-C stops it\n\nrun graphs on it:\n\n  {line}\n{FAINT}{whose}{FAINT:#}\n",
        args.data.log().display()
    ))
}

fn node(name: &str) -> Result<NodeId, CommandError> {
    NodeId::new(name).map_err(|error| CommandError::Usage(error.to_string()))
}
