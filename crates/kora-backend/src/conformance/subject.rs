//! Who is judged: this build's backend, a command, or a URL.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use backend_api::BackendMode;
use backend_server::BackendService;
use conformance::model::{BookAdapter, ModelBook, ModelEndpoint, ModelServer};
use conformance::registry::Profile;
use conformance::{Carrier, FabricPlug, Http, HttpLimits, InProcess, Introduction, Plug, Stdio, StdioLimits};
use models::ModelRouter;
use tokio::runtime::Runtime;

use crate::backend::{self, BackendChoice};
use crate::exit::Exit;
use crate::refused::CommandError;
use crate::screen;

/// Who is judged.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct SubjectArgs {
    /// A backend of this build, in this process: `local`, the default, under virtual time; `krako` with a fabric before it,
    /// over TLS on this machine
    #[arg(long, value_enum, conflicts_with_all = ["cmd", "url"])]
    backend: Option<BackendChoice>,
    /// A command that speaks the stdio protocol; it is started anew for each case
    #[arg(long, value_name = "COMMAND", conflicts_with = "url")]
    cmd: Option<String>,
    /// A backend that serves KORA's local HTTP API at this address
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Where the suite's model listens for a backend at `--url`, which has to be told this address
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7011", requires = "url")]
    model_listen: SocketAddr,
    /// The `backend_mode` of a backend at `--url`, which the API does not tell
    #[arg(long, value_name = "MODE", default_value = "local", value_parser = ["local", "krako"], requires = "url")]
    mode: String,
    /// The longest that the backend may take to answer one request
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3600))]
    answer_deadline: u64,
}

/// The backend, ready to be judged, and what has to live as long as it is.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) plug: Arc<dyn Plug>,
    /// The model of a backend that was told once where it is.
    pub(super) model: Option<ModelEndpoint>,
    /// On which that model is served.
    _runtime: Option<(Runtime, ModelServer)>,
}

impl SubjectArgs {
    /// Opens nothing yet but the suite's own model.
    ///
    /// # Errors
    ///
    /// A command line or an address that cannot be used.
    pub(super) fn open(&self) -> Result<Opened, CommandError> {
        if let Some(command) = &self.cmd {
            let limits = StdioLimits { answer: self.answer_deadline(), ..StdioLimits::default() };
            let stdio = Stdio::parse(command, limits).map_err(|error| usage("--cmd", &error))?;
            let stdio = Arc::new(stdio);
            let children = Arc::clone(&stdio);
            end_at_interrupt(move || children.kill_all())?;
            return Ok(Opened { plug: stdio, model: None, _runtime: None });
        }
        end_at_interrupt(|| ())?;
        if let Some(url) = &self.url {
            let limits = HttpLimits { answer: self.answer_deadline(), ..HttpLimits::default() };
            let http = Http::new(url, &self.mode, limits).map_err(|error| usage("--url", &error))?;
            return self.with_a_model(Arc::new(http));
        }
        match self.backend.unwrap_or(BackendChoice::Local) {
            BackendChoice::Local => Ok(Opened { plug: Arc::new(in_process()), model: None, _runtime: None }),
            // Over loopback, so that what is judged is what callers reach.
            BackendChoice::Krako => {
                let plug = FabricPlug::new(Carrier::Loopback)
                    .map_err(|fault| CommandError::Usage(format!("no fabric to judge: {fault}")))?;
                Ok(Opened { plug: Arc::new(plug), model: None, _runtime: None })
            }
        }
    }

    fn with_a_model(&self, plug: Arc<dyn Plug>) -> Result<Opened, CommandError> {
        let address = self.model_listen;
        if !address.ip().is_loopback() {
            let fault = format!("`--model-listen` {address} is not on this machine: use 127.0.0.1:PORT");
            return Err(CommandError::Usage(fault));
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(CommandError::Runtime)?;
        let server = runtime.block_on(ModelServer::start(ModelBook::new(), address.port()));
        let server = server.map_err(|error| {
            CommandError::Usage(format!(
                "the suite's model cannot listen on {address}: {error}; choose another with `--model-listen`"
            ))
        })?;
        let model = server.endpoint();
        screen::tell(&format!("the suite's model is at {}\n", model.base_url.as_deref().unwrap_or_default()));
        Ok(Opened { plug, model: Some(model), _runtime: Some((runtime, server)) })
    }

    pub(super) fn answer_deadline(&self) -> Duration {
        Duration::from_secs(self.answer_deadline)
    }

    /// As what it is judged unless somebody says otherwise.
    pub(super) fn profile(&self) -> Profile {
        match (&self.cmd, &self.url, self.backend) {
            (None, None, Some(BackendChoice::Krako)) => Profile::Krako,
            (None, None, Some(BackendChoice::Local) | None) => Profile::Local,
            (Some(_), _, _) | (None, Some(_), _) => Profile::Core,
        }
    }

    /// The arguments that name it, to repeat a case.
    pub(super) fn in_words(&self) -> String {
        match (&self.cmd, &self.url) {
            (Some(command), _) => format!("--cmd {}", quoted(command)),
            (None, Some(url)) => format!("--url {} --model-listen {}", quoted(url), self.model_listen),
            (None, None) => {
                format!("--backend {}", self.backend.unwrap_or(BackendChoice::Local).mode().as_str())
            }
        }
    }
}

pub(super) fn in_process() -> InProcess {
    let introduction = Introduction {
        name: String::from(env!("CARGO_PKG_NAME")),
        version: String::from(env!("CARGO_PKG_VERSION")),
        backend_mode: BackendMode::Local.as_str().to_owned(),
    };
    InProcess::new(introduction, move |endpoint| {
        let adapter = Arc::new(BookAdapter::new(Arc::clone(&endpoint.book)));
        // One adapter cannot be in another's way.
        let models = ModelRouter::new(vec![adapter]).unwrap_or_default();
        Arc::new(BackendService::new(Arc::new(backend::local_with(models, None))))
    })
}

/// Ctrl-C leaves no process behind that was started here.
fn end_at_interrupt(clean_up: impl FnOnce() + Send + 'static) -> Result<(), CommandError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CommandError::Runtime)?;
    let wait = move || {
        if runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
            clean_up();
            screen::tell("interrupted: no verdict\n");
            std::process::exit(i32::from(Exit::Interrupted.code()));
        }
    };
    std::thread::Builder::new()
        .name(String::from("ctrl-c"))
        .spawn(wait)
        .map(drop)
        .map_err(CommandError::Runtime)
}

fn usage(option: &str, error: &dyn std::error::Error) -> CommandError {
    let mut line = format!("`{option}`: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        line += &format!(": {error}");
        cause = error.source();
    }
    CommandError::Usage(line)
}

/// As a shell takes it for one argument.
fn quoted(argument: &str) -> String {
    format!("'{}'", argument.replace('\'', r"'\''"))
}
