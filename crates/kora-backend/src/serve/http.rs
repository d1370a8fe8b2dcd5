//! The backend over HTTP.

use std::collections::BTreeSet;
use std::sync::Arc;

use backend_api::StreamingExecution;
use backend_server::{BackendService, HttpConfig, HttpLimits, HttpService, Identity, serve_http};
use serde_json::json;
use tokio::net::TcpListener;

use super::{Args, identity};
use crate::backend::{self, BackendChoice};
use crate::exit::Exit;
use crate::interrupt::{self, Until};
use crate::refused::CommandError;
use crate::screen::{self, ODD};

/// Serves whoever connects until Ctrl-C or SIGTERM.
///
/// # Errors
///
/// What is wrong with the configuration or the address, or with standard output.
pub(super) async fn serve(args: &Args) -> Result<Exit, CommandError> {
    let address = args.listen;
    let is_open = !address.ip().to_canonical().is_loopback();
    if is_open && args.allow_host.is_empty() {
        return Err(CommandError::Usage(format!(
            "`{address}` is open to other machines, and there is no authentication and no encryption; listen on \
             127.0.0.1, or say by `--allow-host` under which names others may ask"
        )));
    }
    let (backend, missing): (Arc<dyn StreamingExecution>, _) = match args.backend {
        BackendChoice::Local => {
            let models = args.models.open()?;
            let missing = models.missing_weights_of_all();
            (Arc::new(backend::local_with(models.router, args.max_concurrency)), missing)
        }
        choice @ BackendChoice::Krako => {
            (choice.open(&args.models, &args.krako, args.max_concurrency).await?, BTreeSet::new())
        }
    };
    let unable = |source| CommandError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(unable)?;
    let bound = listener.local_addr().map_err(unable)?;
    // Before it is said where: whoever reads that may stop it at once.
    let stop = interrupt::take_over(Until::InterruptOrTermination).await;
    let identity = identity(args);
    let Identity { name, version, backend_mode } = &identity;
    if args.json {
        let line = json!({"listening": format!("http://{bound}"), "port": bound.port(), "name": name,
            "version": version, "backend_mode": backend_mode});
        screen::print(&format!("{line}\n"))?;
    } else {
        screen::print(&format!("listening on http://{bound}, Ctrl-C stops it\n"))?;
    }
    if is_open {
        screen::tell(&format!(
            "{ODD}warning{ODD:#}: whoever reaches {bound} can run graphs, and others on the way can read them\n"
        ));
    }
    // Beside the work, which need not wait: graphs that ask no model run at once.
    let _fetching = args.offline.fetch_in_background(&missing);
    let config =
        HttpConfig { identity, allowed_hosts: args.allow_host.clone(), limits: HttpLimits::default() };
    let service = HttpService::Streaming(Arc::new(BackendService::new(backend)));
    serve_http(listener, service, config, stop).await;
    Ok(Exit::Success)
}
