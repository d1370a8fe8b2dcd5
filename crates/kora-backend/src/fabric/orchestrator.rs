//! `kora-backend fabric orchestrator`: sessions and their log, for gateways and workers of other processes.

use std::net::SocketAddr;
use std::sync::Arc;

use krako_fabric::{Desk, DeskConfig, Holder, NodeDesk, Sessions};
use serde_json::json;

use super::data::{DataArgs, IdentityArgs, first_tenant};
use super::section::SectionArgs;
use super::serving::{self, ServingArgs, shell};
use crate::exit::Exit;
use crate::interrupt::{self, Until};
use crate::refused::CommandError;
use crate::screen::{self, STRONG};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Address and port of its desk, which gateways and workers come to; port 0 takes any that is free
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7444")]
    listen: SocketAddr,
    #[command(flatten)]
    section: SectionArgs,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    identity: IdentityArgs,
    #[command(flatten)]
    pub(super) serving: ServingArgs,
}

/// Serves until Ctrl-C or SIGTERM.
pub(super) async fn run(args: &Args) -> Result<Exit, CommandError> {
    let section = args.section.read()?;
    args.data.make()?;
    let identity = args.data.identity(&args.identity)?;
    let accept = serving::listen(args.listen).await?;
    let orchestrator = args.data.orchestrator(&section).await?;
    // Whoever holds the log is alone with the first tokens as well.
    let mut tokens = args.data.tokens()?;
    args.data.first_token(&mut tokens, "local", first_tenant()?)?;
    let node = args.data.first_token(&mut tokens, "node", Holder::Node(String::from("node")))?;
    let gateway = args.data.first_token(&mut tokens, "gateway", Holder::Gateway(String::from("gateway")))?;
    let stop = interrupt::take_over(Until::InterruptOrTermination).await;
    let (known, _following) = serving::followed(&tokens, &args.data.token_file());
    let nodes = Arc::clone(&orchestrator) as Arc<dyn NodeDesk>;
    let sessions = Arc::clone(&orchestrator) as Arc<dyn Sessions>;
    let desk = Desk::new(nodes, sessions, known, DeskConfig::default());

    let url = serving::url(&accept);
    let ca = args.data.ca_file(&args.identity);
    if args.serving.json {
        let line = json!({"desk": url, "ca_file": ca, "node_token_file": node, "gateway_token_file": gateway,
            "data": args.data.data, "version": env!("CARGO_PKG_VERSION")});
        screen::print(&format!("{line}\n"))?;
    } else {
        let path = |path: Option<std::path::PathBuf>| {
            path.map_or(String::from("FILE"), |path| shell(&path.display().to_string()))
        };
        let at = format!(
            "--orchestrator {}{}",
            shell(&url),
            ca.map_or(String::new(), |ca| { format!(" --ca {}", shell(&ca.display().to_string())) })
        );
        screen::print(&format!(
            "orchestrator at {STRONG}{url}{STRONG:#}, its log in `{}`, Ctrl-C stops it\n\nits other parts:\n\n  \
             kora-backend fabric gateway {at} --token-file {}\n  \
             kora-backend fabric worker --pool cpu {at} --token-file {node}\n  \
             kora-backend fabric worker --pool llm_pod {at} --token-file {node}\n",
            args.data.log().display(),
            path(gateway),
            node = path(node),
        ))?;
    }
    // Gateways and workers are needed until the last session has ended, so sessions are drained while they are served.
    let (draining, limit) = (Arc::clone(&orchestrator), args.serving.drain());
    let drained = async move {
        stop.await;
        serving::drained(&draining, limit, "the orchestrator").await;
    };
    desk.serve(&accept, &identity, drained).await;
    Ok(Exit::Success)
}
