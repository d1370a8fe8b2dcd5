//! `kora-backend fabric gateway`: what callers reach, before the orchestrator of another process.

use std::net::SocketAddr;
use std::sync::Arc;

use krako_contract::WireLimits;
use krako_fabric::{Gateway, RemoteSessions};
use serde_json::json;

use super::data::{DataArgs, IdentityArgs};
use super::section::SectionArgs;
use super::serving::{self, DeskArgs, ServingArgs};
use crate::exit::Exit;
use crate::interrupt::{self, Until};
use crate::refused::CommandError;
use crate::screen::{self, STRONG};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Address and port that callers reach; port 0 takes any that is free
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7443")]
    listen: SocketAddr,
    #[command(flatten)]
    desk: DeskArgs,
    #[command(flatten)]
    section: SectionArgs,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    identity: IdentityArgs,
    #[command(flatten)]
    pub(super) serving: ServingArgs,
}

/// Serves until Ctrl-C or SIGTERM. It holds nothing that is lost with it.
pub(super) async fn run(args: &Args) -> Result<Exit, CommandError> {
    let section = args.section.read()?;
    args.data.make()?;
    let identity = args.data.identity(&args.identity)?;
    let tokens = args.data.tokens()?;
    let sessions = Arc::new(RemoteSessions::new(args.desk.client()?, WireLimits::default()));
    let accept = serving::listen(args.listen).await?;
    let stop = interrupt::take_over(Until::InterruptOrTermination).await;
    let (known, _following) = serving::followed(&tokens, &args.data.token_file());
    let mut config = section.gateway();
    config.listen.grace = args.serving.drain();
    let gateway = Gateway::new(sessions, known, config);
    let url = serving::url(&accept);
    if args.serving.json {
        let ca = args.data.ca_file(&args.identity);
        screen::print(&format!("{}\n", json!({"endpoint": url, "ca_file": ca})))?;
    } else {
        screen::print(&format!("gateway at {STRONG}{url}{STRONG:#}, Ctrl-C stops it\n"))?;
    }
    gateway.serve(&accept, &identity, stop).await;
    Ok(Exit::Success)
}
