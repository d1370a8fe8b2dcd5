//! `kora-backend fabric token`: who may ask the fabric for what.

use std::path::PathBuf;

use clap::Subcommand;
use krako_contract::TenantId;
use krako_fabric::{Holder, Token, TokenLine};
use serde_json::json;

use super::data::{self, DataArgs};
use crate::exit::Exit;
use crate::refused::CommandError;
use crate::screen::{self, STRONG};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the holders of tokens. No token is shown: only digests are kept
    List(ListArgs),
    /// Make a token and write it to a file that only you can read
    Add(AddArgs),
    /// Take tokens back; a running fabric notices within seconds
    Revoke(RevokeArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    data: DataArgs,
    /// Print the list as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct HolderArgs {
    /// A caller: it may submit graphs, and sees its own sessions and usage
    #[arg(long, value_name = "NAME")]
    tenant: Option<String>,
    /// A worker: it may claim work
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// A gateway of another process: it may ask on behalf of every tenant
    #[arg(long, value_name = "NAME")]
    gateway: Option<String>,
}

#[derive(Debug, clap::Args)]
struct AddArgs {
    #[command(flatten)]
    holder: HolderArgs,
    /// File to write the token to; it must not exist
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// What people call it: on whose machine it is, say
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    #[command(flatten)]
    data: DataArgs,
}

#[derive(Debug, clap::Args)]
struct RevokeArgs {
    #[command(flatten)]
    holder: HolderArgs,
    /// Only the token of this name
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    #[command(flatten)]
    data: DataArgs,
}

impl Args {
    pub(super) fn wants_json(&self) -> bool {
        match &self.action {
            Action::List(args) => args.json,
            Action::Add(_) | Action::Revoke(_) => false,
        }
    }
}

impl HolderArgs {
    fn holder(&self) -> Result<Holder, CommandError> {
        let holder = match (&self.tenant, &self.node, &self.gateway) {
            (Some(tenant), _, _) => {
                let tenant = TenantId::new(tenant)
                    .map_err(|error| CommandError::Usage(format!("`--tenant`: {error}")))?;
                Holder::Tenant(tenant)
            }
            (None, Some(node), _) => Holder::Node(node.clone()),
            (None, None, Some(gateway)) => Holder::Gateway(gateway.clone()),
            (None, None, None) => {
                return Err(CommandError::Usage(String::from(
                    "name a `--tenant`, a `--node` or a `--gateway`",
                )));
            }
        };
        Ok(holder)
    }
}

/// Does what is asked.
pub(super) fn run(args: &Args) -> Result<Exit, CommandError> {
    match &args.action {
        Action::List(args) => list(args),
        Action::Add(args) => add(args),
        Action::Revoke(args) => revoke(args),
    }
}

fn list(args: &ListArgs) -> Result<Exit, CommandError> {
    let file = args.data.tokens()?;
    if args.json {
        let lines: Vec<_> = file
            .lines()
            .iter()
            .map(|line| {
                let (kind, who) = words(&line.holder);
                json!({"kind": kind, "holder": who, "name": line.name, "digest": line.digest.short()})
            })
            .collect();
        screen::print_json(&json!({"tokens": lines}))?;
    } else {
        let mut text = String::new();
        for line in file.lines() {
            let (kind, who) = words(&line.holder);
            let name = line.name.as_deref().unwrap_or_default();
            let called = format!("{kind:8} {STRONG}{who}{STRONG:#}  {}  {name}", line.digest.short());
            text += called.trim_end();
            text += "\n";
        }
        let count = screen::counted(file.lines().len() as u64, "token");
        text += &format!("{count} in `{}`\n", args.data.token_file().display());
        screen::print(&text)?;
    }
    Ok(Exit::Success)
}

fn add(args: &AddArgs) -> Result<Exit, CommandError> {
    let holder = args.holder.holder()?;
    if args.out.exists() {
        let out = args.out.display();
        return Err(CommandError::Usage(format!("`{out}` exists; name another file, or remove it first")));
    }
    args.data.make()?;
    let mut file = args.data.tokens()?;
    let (kind, who) = words(&holder);
    let is_taken = |line: &TokenLine| line.holder == holder && args.name.is_some() && line.name == args.name;
    if let Some(name) = args.name.as_ref().filter(|_| file.lines().iter().any(is_taken)) {
        return Err(CommandError::Usage(format!(
            "{kind} {who} has a token called `{name}`; call this one something else, so that each can be revoked alone"
        )));
    }
    let token = Token::make()
        .ok_or_else(|| CommandError::Usage(String::from("this machine gives no randomness for a token")))?;
    data::private(&args.out, token.reveal()).map_err(|error| CommandError::Unusable {
        what: "token file",
        path: args.out.clone(),
        fault: format!("it cannot be written: {error}"),
    })?;
    let told = format!("token of {kind} {who} in `{}`\n", args.out.display());
    let line = TokenLine { holder, name: args.name.clone(), digest: token.digest() };
    if let Err(error) = file.add(line) {
        // A token that opens nothing is of no use to anybody.
        let _ = std::fs::remove_file(&args.out);
        return Err(args.data.unusable(&error));
    }
    screen::print(&told)?;
    Ok(Exit::Success)
}

fn revoke(args: &RevokeArgs) -> Result<Exit, CommandError> {
    let holder = args.holder.holder()?;
    let mut file = args.data.tokens()?;
    let is_meant =
        |line: &TokenLine| line.holder == holder && (args.name.is_none() || line.name == args.name);
    let taken = if file.lines().iter().any(is_meant) {
        file.revoke(is_meant).map_err(|error| args.data.unusable(&error))?
    } else {
        0
    };
    let (kind, who) = words(&holder);
    if taken == 0 {
        return Err(CommandError::Usage(format!(
            "`{}` has no such token of {kind} {who}; `kora-backend fabric token list` shows those that there are",
            args.data.token_file().display()
        )));
    }
    screen::print(&format!("{} of {kind} {who} revoked\n", screen::counted(taken as u64, "token")))?;
    Ok(Exit::Success)
}

fn words(holder: &Holder) -> (&'static str, &str) {
    match holder {
        Holder::Tenant(tenant) => ("tenant", tenant.as_str()),
        Holder::Node(name) => ("node", name),
        Holder::Gateway(name) => ("gateway", name),
    }
}
