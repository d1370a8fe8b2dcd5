//! The whole self-test: the suite's own backends on one transport, side by side, and what came of them.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use backend_api::BackendMode;
use backend_server::{HttpConfig, HttpLimits, HttpService, Identity, serve_http};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::{Expectations, Fails, check, failed, judge, plug};
use crate::model::{ModelBook, ModelClient, ModelEndpoint, ModelServer};
use crate::own::{Behaviour, Defect, Plain, Quirk};
use crate::registry::Profile;
use crate::run::{RunOptions, run_suite};
use crate::subject::{Http, Plug, Stdio, StdioLimits, Transport};
use crate::suite::Suite;

/// How the suite's own backends are reached in a self-test.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "the suite has three plugs")]
pub enum Over {
    /// In this process: every case, and the exact set that a mutant fails.
    InProcess,
    /// As processes: this command, with the name of the backend after it. A mutant is shown the case that is most about
    /// it, and must fail it; who is right is shown all.
    Stdio(Vec<String>),
    /// Behind URLs, in the same way.
    Http,
}

impl Over {
    /// Whether a backend can have this defect there. KORA's API carries no context: its server answers for that, so what
    /// a backend makes of a bad one cannot be seen behind a URL.
    fn shows(&self, defect: Defect) -> bool {
        match self {
            Self::InProcess | Self::Stdio(_) => true,
            Self::Http => !matches!(defect.name(), "unknown-mode-is-local" | "no-run-id"),
        }
    }

    /// The transport's name.
    pub fn transport(&self) -> Transport {
        match self {
            Self::InProcess => Transport::InProcess,
            Self::Stdio(_) => Transport::Stdio,
            Self::Http => Transport::Http,
        }
    }
}

/// What came of one of the suite's own backends.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "what the command prints")]
pub struct Tested {
    /// Who.
    pub does: Behaviour,
    /// The cases that it failed.
    pub failed: BTreeSet<String>,
    /// What is wrong with that.
    pub surprise: Option<String>,
}

/// Judges all of the suite's own backends over one transport, `jobs` at one time, and tells `progress` of each. Blocks.
pub fn self_test(
    suite: &Suite,
    over: &Over,
    jobs: usize,
    progress: &(dyn Fn(&Tested) + Send + Sync),
) -> Vec<Tested> {
    let right = std::iter::once(Behaviour::Plain).chain(Quirk::ALL.iter().copied().map(Behaviour::Odd));
    let mutants = Defect::ALL.iter().copied().filter(|defect| over.shows(*defect));
    let all: Vec<Behaviour> = right.chain(mutants.map(Behaviour::Defective)).collect();
    let expectations = Expectations::embedded();
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, Tested)>> = Mutex::default();
    thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(&does) = all.get(place) else { break };
                    let tested = tested(suite, over, does, &expectations);
                    progress(&tested);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((place, tested));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, tested)| tested).collect()
}

fn tested(suite: &Suite, over: &Over, does: Behaviour, expectations: &Expectations) -> Tested {
    let outcome = match over {
        Over::InProcess => {
            let report = judge(suite, &plug(does));
            let surprise = check(does, &report, expectations).err();
            Ok((failed(&report), surprise.map(|surprise| surprise.to_string())))
        }
        Over::Stdio(_) | Over::Http => on_the_wire(suite, over, does, expectations),
    };
    match outcome {
        Ok((failed, surprise)) => Tested { does, failed, surprise },
        Err(fault) => Tested {
            does,
            failed: BTreeSet::new(),
            surprise: Some(format!("`{}` could not be judged: {fault}", does.name())),
        },
    }
}

fn on_the_wire(
    suite: &Suite,
    over: &Over,
    does: Behaviour,
    expectations: &Expectations,
) -> io::Result<(BTreeSet<String>, Option<String>)> {
    let opened = open(over, does)?;
    let run = |only: Option<String>| {
        let options = RunOptions {
            profile: Profile::Local,
            only,
            // Generated graphs are for a transport without processes.
            graphs: 0,
            jobs: 6,
            answer_deadline: Duration::from_secs(5),
            model: opened.model.clone(),
            ..RunOptions::default()
        };
        run_suite(suite, &opened.plug, &options)
    };
    match does {
        Behaviour::Plain | Behaviour::Odd(_) => {
            let report = run(None);
            let surprise = check(does, &report, expectations).err();
            Ok((failed(&report), surprise.map(|surprise| surprise.to_string())))
        }
        Behaviour::Defective(defect) => {
            let cases = telling(defect, suite, expectations);
            let looked = cases.iter().map(|case| failed(&run(Some(case.clone()))));
            let failed = looked.into_iter().find(|failed| !failed.is_empty());
            let (name, transport) = (does.name(), over.transport().as_str());
            let survives = || format!("mutant `{name}` passes {} over {transport}", cases.join(", "));
            let surprise = failed.is_none().then(survives);
            Ok((failed.unwrap_or_default(), surprise))
        }
    }
}

/// The case that is most about this defect: of those that it fails the one that the fewest others fail. Of cases with
/// runs of their own if there is one, because a law looks at the runs of all. Whoever fails nearly everything is shown an
/// operation, a model and a refusal.
fn telling(defect: Defect, suite: &Suite, expectations: &Expectations) -> Vec<String> {
    let killers = expectations.killers();
    let rank = |id: &&String| {
        let is_drawn = id.contains("-generated-");
        (is_drawn, suite.case(id).is_none(), killers.get(id.as_str()).map_or(0, Vec::len))
    };
    match expectations.of(defect).map(|expectation| &expectation.fails) {
        Some(Fails::Exactly(cases)) => cases.iter().min_by_key(rank).into_iter().cloned().collect(),
        Some(Fails::Most) | None => ["C3.1-one-operation", "C7.3", "C10.3"].map(String::from).into(),
    }
}

/// A plug, and what has to live as long as it is used.
struct Opened {
    plug: Arc<dyn Plug>,
    model: Option<ModelEndpoint>,
    _behind: Option<(ModelServer, Runtime)>,
}

fn open(over: &Over, does: Behaviour) -> io::Result<Opened> {
    match over {
        Over::InProcess => Ok(Opened { plug: plug(does), model: None, _behind: None }),
        Over::Stdio(command) => {
            let command = command.iter().cloned().chain([does.name().to_owned()]).collect();
            let stdio = Stdio::new(command, StdioLimits::default()).map_err(io::Error::other)?;
            Ok(Opened { plug: Arc::new(stdio), model: None, _behind: None })
        }
        Over::Http => behind_a_url(does),
    }
}

fn behind_a_url(does: Behaviour) -> io::Result<Opened> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let (server, base_url) = runtime.block_on(async {
        let server = ModelServer::start(ModelBook::new(), 0).await?;
        let client = ModelClient::at(&server.base_url()).map_err(io::Error::other)?;
        let service = HttpService::Plain(Arc::new(Plain::asking(does, client)));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let base_url = format!("http://{}", listener.local_addr()?);
        let identity =
            Identity { name: does.name().into(), version: "0".into(), backend_mode: BackendMode::Local };
        let config = HttpConfig { identity, allowed_hosts: Vec::new(), limits: HttpLimits::default() };
        tokio::spawn(serve_http(listener, service, config, std::future::pending()));
        io::Result::Ok((server, base_url))
    })?;
    let limits = crate::subject::HttpLimits { answer: Duration::from_secs(5), ..Default::default() };
    let http = Http::new(&base_url, "local", limits).map_err(io::Error::other)?;
    let model = Some(server.endpoint());
    Ok(Opened { plug: Arc::new(http), model, _behind: Some((server, runtime)) })
}
