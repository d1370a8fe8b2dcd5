//! One case on one backend: everything that is asked, and everything that is seen.

use std::time::Duration;

use backend_server::ExecuteRequest;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tokio::runtime::{Builder, Runtime};

use super::noise;
use crate::case::{Requires, RunPlan};
use crate::draw;
use crate::judge;
use crate::model::{BookRun, MODELS, ModelBook, ModelEndpoint, ModelServer};
use crate::observation::{Observation, RunEnd, SeenRun};
use crate::subject::{Clock, Introduction, Mishap, Plug, Subject, Transport};
use crate::suite::CaseFolder;

/// How long the model's side may take to see that somebody hung up.
const HUSH: Duration = Duration::from_millis(750);
/// How long the suite looks whether a cancelled run goes on calling.
const AFTERMATH: Duration = Duration::from_millis(400);

/// Runs cases and sees what happens. What it must know of the options goes with it into a case's own thread.
#[derive(Clone, Debug)]
pub(crate) struct Observer {
    pub(crate) seed: u64,
    pub(crate) answer_deadline: Duration,
    /// A model that outlives the cases.
    pub(crate) model: Option<ModelEndpoint>,
}

/// What was seen of a case, and of whom.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) observation: Observation,
    /// What the case needs and the backend does not declare.
    pub(crate) undeclared: Option<String>,
    /// Why the suite cannot see what the case is about, although the backend declares it.
    pub(crate) untestable: Option<String>,
    pub(crate) introduction: Introduction,
    /// The timers of this machine came so late that what was seen may be its doing.
    pub(crate) is_doubtful: bool,
}

impl Observer {
    /// Runs a case on a backend of its own. Blocks.
    ///
    /// # Errors
    ///
    /// A fault of the suite itself.
    pub(crate) fn observe(&self, case: &CaseFolder, plug: &dyn Plug) -> Result<Seen, String> {
        let runtime = runtime(plug.clock()).map_err(|error| format!("no runtime for it: {error}"))?;
        let observed = runtime.block_on(async {
            let work = on_a_backend(case, plug, self);
            match plug.clock() {
                Clock::Virtual => work.await,
                Clock::Real => {
                    let (seen, late) = noise::beside(work).await;
                    Ok(Seen { is_doubtful: late > noise::DOUBTFUL, ..seen? })
                }
            }
        });
        // What a backend left behind does not hold up the suite.
        runtime.shutdown_background();
        observed
    }
}

fn runtime(clock: Clock) -> std::io::Result<Runtime> {
    match clock {
        Clock::Virtual => Builder::new_current_thread().enable_all().start_paused(true).build(),
        Clock::Real => Builder::new_current_thread().enable_all().build(),
    }
}

async fn on_a_backend(case: &CaseFolder, plug: &dyn Plug, settings: &Observer) -> Result<Seen, String> {
    let (endpoint, server) = match (&settings.model, plug.transport()) {
        (Some(shared), _) => (shared.clone(), None),
        (None, Transport::InProcess) => (ModelEndpoint { book: ModelBook::new(), base_url: None }, None),
        (None, Transport::Stdio | Transport::Http) => {
            let server = ModelServer::start(ModelBook::new(), 0).await;
            let server = server.map_err(|error| format!("the suite's model cannot listen: {error}"))?;
            (server.endpoint(), Some(server))
        }
    };
    let observed = match plug.open(&endpoint).await {
        Ok(subject) => asked(case, subject, &endpoint, settings).await,
        Err(mishap) => Ok(nothing_but(mishap)),
    };
    drop(server);
    observed
}

/// What is seen of a backend of which nothing is seen.
fn nothing_but(mishap: Mishap) -> Seen {
    let observation = Observation {
        runs: Vec::new(),
        capabilities: Err(mishap.clone()),
        capabilities_after: Err(mishap.clone()),
        health: Err(mishap),
        log_tail: None,
    };
    Seen {
        observation,
        undeclared: None,
        untestable: None,
        introduction: Introduction::default(),
        is_doubtful: false,
    }
}

/// What is seen of a case that did not come to an end.
pub(super) fn given_up(after: Duration) -> Seen {
    nothing_but(Mishap::Silent { after_ms: u64::try_from(after.as_millis()).unwrap_or(u64::MAX) })
}

async fn asked(
    folder: &CaseFolder,
    subject: Box<dyn Subject>,
    endpoint: &ModelEndpoint,
    settings: &Observer,
) -> Result<Seen, String> {
    let case = &folder.case;
    let deadline = settings.answer_deadline;
    let introduction = subject.introduction();
    let capabilities = within(deadline, subject.capability_descriptor()).await;
    let lacks = capabilities.as_ref().ok().and_then(|has| undeclared(&case.requires, has, &introduction));
    let mut runs = Vec::new();
    match &lacks {
        // Whatever is not declared must be refused; other reasons not to apply need no look (C3.7).
        Some(Lack { refusable: false, .. }) => {}
        Some(_) => runs.push(run(folder, subject.as_ref(), endpoint, settings, 0).await?),
        None if case.together => {
            let all =
                (0..case.runs.len()).map(|place| run(folder, subject.as_ref(), endpoint, settings, place));
            for seen in join_all(all).await {
                runs.push(seen?);
            }
        }
        None => {
            for place in 0..case.runs.len() {
                runs.push(run(folder, subject.as_ref(), endpoint, settings, place).await?);
            }
        }
    }
    let capabilities_after = within(deadline, subject.capability_descriptor()).await;
    let health = within(deadline, subject.health_check()).await;
    let log_tail = subject.close().await;
    let observation = Observation { runs, capabilities, capabilities_after, health, log_tail };
    let untestable = observation.capabilities.as_ref().ok().and_then(|has| untestable(&case.requires, has));
    let undeclared = lacks.map(|lack| lack.what);
    Ok(Seen { observation, undeclared, untestable, introduction, is_doubtful: false })
}

/// Waits for all at the same time, in one task: a case has a handful of runs.
async fn join_all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut waiting: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        let mut ready = true;
        for (future, output) in &mut waiting {
            if output.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(value) => *output = Some(value),
                    std::task::Poll::Pending => ready = false,
                }
            }
        }
        if ready { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    waiting.into_iter().filter_map(|(_, output)| output).collect()
}

async fn within<T>(deadline: Duration, answer: impl Future<Output = Result<T, Mishap>>) -> Result<T, Mishap> {
    let after_ms = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
    tokio::time::timeout(deadline, answer).await.unwrap_or(Err(Mishap::Silent { after_ms }))
}

async fn run(
    folder: &CaseFolder,
    subject: &dyn Subject,
    endpoint: &ModelEndpoint,
    settings: &Observer,
    place: usize,
) -> Result<SeenRun, String> {
    let case = &folder.case;
    let plan = case.runs.get(place).ok_or("there is no such run")?;
    let author = folder.graphs.get(&plan.graph).ok_or("there is no such graph")?;
    // Equal runs are equal to the last byte: their meaning is compared.
    let drawn_for = if case.together { place } else { 0 };
    let ending = draw::ending(settings.seed, &folder.id, drawn_for);
    let graph = draw::drawn(author, &ending, case.draw_ids);
    let context = context(plan, &ending, place, &subject.introduction().backend_mode);
    let taskgraph = RawValue::from_string(graph.to_string()).map_err(|error| error.to_string())?;
    let request = ExecuteRequest { taskgraph, execution_context: context.clone() };
    let book = endpoint.book.begin(&ending, judge::steps_of(case, place));
    let end = answer(subject, request, &book, plan, settings.answer_deadline).await;
    hush(&book, endpoint).await;
    let (calls, stray_calls) = book.finish();
    Ok(SeenRun { graph, context, ending, end, calls, stray_calls })
}

/// Gives the model's side time to see that somebody called, or hung up: over a wire the answer may be faster than that.
async fn hush(book: &BookRun, endpoint: &ModelEndpoint) {
    let quiet = async {
        endpoint.heard_out().await;
        while !book.is_quiet() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    // A call that goes on after the answer is seen to be under way.
    let _ = tokio::time::timeout(HUSH, quiet).await;
}

async fn answer(
    subject: &dyn Subject,
    request: ExecuteRequest,
    book: &BookRun,
    plan: &RunPlan,
    deadline: Duration,
) -> RunEnd {
    let answered = async {
        match within(deadline, subject.execute_taskgraph(request)).await {
            Ok(answer) => RunEnd::Answered(answer),
            Err(mishap) => RunEnd::Mishap(mishap),
        }
    };
    let Some(calls) = plan.cancel_after_calls else { return answered.await };
    // In this order: what was called is seen before the answer to it.
    let end = tokio::select! {
        biased;
        () = book.called(calls) => RunEnd::Cancelled,
        end = answered => end,
    };
    if matches!(end, RunEnd::Cancelled) {
        tokio::time::sleep(AFTERMATH).await;
    }
    end
}

/// The usual context, with what the plan replaces in it.
fn context(plan: &RunPlan, ending: &str, place: usize, mode: &str) -> Value {
    let mode = if mode.is_empty() { "local" } else { mode };
    let usual = json!({
        "run_id": format!("run-{ending}-{place}"),
        "trace_id": format!("trace-{ending}"),
        "backend_mode": mode,
        "interface_version": "1.0.0",
    });
    let Value::Object(mut context) = usual else { return Value::Object(Map::new()) };
    for (member, value) in &plan.context {
        if value.is_null() {
            context.shift_remove(member);
        } else {
            context.insert(member.clone(), value.clone());
        }
    }
    Value::Object(context)
}

/// Why nothing of what the case is about can be seen on a backend that declares it.
fn untestable(needs: &Requires, has: &Value) -> Option<String> {
    let models = has["models"].as_array().filter(|_| needs.task_types.contains("model"))?;
    let is_ours = |model: &Value| MODELS.iter().any(|ours| model["model_id"] == ours.id);
    let lists_task =
        |types: &Value| types.as_array().is_some_and(|types| types.iter().any(|word| word == "model"));
    (lists_task(&has["supported_task_types"]) && !models.iter().any(is_ours)).then(|| {
        String::from(
            "its descriptor declares model tasks, and its `models` are not the suite's: let it use the suite's model, \
             which `hello` names to a command and `--model-listen` to you",
        )
    })
}

/// Something that a case needs and a backend does not declare.
struct Lack {
    what: String,
    /// A graph that needs it must be refused.
    refusable: bool,
}

fn undeclared(needs: &Requires, has: &Value, introduction: &Introduction) -> Option<Lack> {
    let lists = |member: &str, word: &str| {
        has[member].as_array().is_some_and(|members| members.iter().any(|member| member == word))
    };
    let missing = |member: &'static str, words: &std::collections::BTreeSet<String>| {
        words.iter().find(|word| !lists(member, word)).map(|word| format!("`{word}` of `{member}`"))
    };
    let refusable = |what: String| Lack { what, refusable: true };
    let silent = |what: String| Lack { what, refusable: false };
    let mode = || {
        let mode = needs.backend_mode.as_ref()?;
        (*mode != introduction.backend_mode).then(|| format!("`backend_mode` `{mode}`"))
    };
    let concurrency = || {
        let needed = needs.max_concurrency?;
        (has["max_concurrency"].as_u64() < Some(needed)).then(|| format!("`max_concurrency` {needed}"))
    };
    let distributed = || {
        let needed = needs.distributed?;
        (has["distributed"] != needed).then(|| format!("`distributed` {needed}"))
    };
    missing("supported_task_types", &needs.task_types)
        .map(refusable)
        .or_else(|| missing("operations", &needs.operations).map(refusable))
        .or_else(|| missing("extensions", &needs.extensions).map(silent))
        .or_else(|| mode().map(silent))
        .or_else(|| concurrency().map(silent))
        .or_else(|| distributed().map(silent))
}
