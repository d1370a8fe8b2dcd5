//! Which request gets which answer.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use backend_api::RefusalDocument;
use bounded_body::{BodyLimits, Held, Room};
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time;

use super::events::{self, Ended};
use super::problem::{self, Problem};
use super::recent::{self, Recent};
use super::reply::{self, ReplyBody};
use super::under_way::UnderWay;
use super::{HttpConfig, HttpService, execute, host};
use crate::Answer;

/// What all connections share.
#[derive(Debug)]
pub(super) struct Router {
    service: HttpService,
    config: HttpConfig,
    room: Room,
    turns: Arc<Semaphore>,
    recent: Arc<Mutex<Recent>>,
}

impl Router {
    pub(super) fn new(service: HttpService, config: HttpConfig) -> Self {
        let limits = &config.limits;
        Self {
            service,
            room: Room::new(BodyLimits {
                max_bytes: limits.max_body_bytes,
                timeout: limits.body_timeout,
                max_pending_bytes: limits.max_pending_bytes,
            }),
            turns: Arc::new(Semaphore::new(limits.max_runs.clamp(1, Semaphore::MAX_PERMITS))),
            recent: Arc::new(Mutex::new(Recent::new(limits.max_recent_runs, limits.max_recent_bytes))),
            config,
        }
    }

    /// The answer to a request.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future cancels the run that it waits for (S13).
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Response<ReplyBody> {
        let (head, mut body) = request.into_parts();
        match self.route(&head, &mut body).await {
            Ok(response) => response,
            Err(problem) => {
                self.room.pass_over(&head, body).await;
                problem.into_response()
            }
        }
    }

    async fn route(&self, head: &Parts, body: &mut Incoming) -> Result<Response<ReplyBody>, Problem> {
        host::check(head, &self.config.allowed_hosts)?;
        let path = head.uri.path();
        if path == "/execute" {
            only(Method::POST, "POST", head)?;
            return self.execute(head, body).await;
        }
        let run = path.strip_prefix("/telemetry/").filter(|run| !run.is_empty() && !run.contains('/'));
        if run.is_none() && !matches!(path, "/models" | "/health" | "/capabilities") {
            return Err(problem::no_such_path());
        }
        only(Method::GET, "GET", head)?;
        match (run, path) {
            (Some(run), _) => self.telemetry(run),
            (None, "/health") => self.health().await,
            (None, "/models") => Ok(reply::json(StatusCode::OK, &self.models())),
            (None, _) => Ok(reply::json(StatusCode::OK, &self.service.service().capability_descriptor())),
        }
    }

    async fn execute(&self, head: &Parts, body: &mut Incoming) -> Result<Response<ReplyBody>, Problem> {
        if !is_json(head) {
            return Err(problem::not_json());
        }
        let max_runs = self.config.limits.max_runs;
        // Before the body as well: nobody should send one for nothing.
        if self.turns.available_permits() == 0 {
            return Err(problem::too_many_runs(max_runs));
        }
        if head.headers.contains_key("last-event-id") {
            return Err(problem::no_resuming());
        }
        let held = self.room.read(body).await?;
        let can_stream = matches!(self.service, HttpService::Streaming(_));
        let asked = execute::read(&held.bytes, self.config.identity.backend_mode, can_stream)?;
        let turn = Arc::clone(&self.turns).try_acquire_owned();
        let turn = turn.map_err(|_| problem::too_many_runs(max_runs))?;
        match (&self.service, asked.stream) {
            (HttpService::Streaming(service), true) => {
                let (sink, events) = events::channel();
                let service = Arc::clone(service);
                let answer = async move { service.execute_streaming(asked.request, Arc::new(sink)).await };
                events::respond(events, self.start(answer, (turn, held))).await
            }
            (HttpService::Streaming(_) | HttpService::Plain(_), _) => {
                let service = self.service.service();
                let answer = async move { service.execute_taskgraph(asked.request).await };
                let ended = self.start(answer, (turn, held)).await;
                Ok(reply::bytes(StatusCode::OK, ended.unwrap_or_else(events::panicked)?))
            }
        }
    }

    /// Starts a run that keeps its place among those under way until it is over, then its telemetry.
    fn start(
        &self,
        answer: impl Future<Output = Answer> + Send + 'static,
        place: (OwnedSemaphorePermit, Held),
    ) -> UnderWay<Ended> {
        let recent = Arc::clone(&self.recent);
        UnderWay::start(async move {
            let _place = place;
            match answer.await {
                Answer::Result(result) => {
                    if let Some(run_id) = result["execution_metadata"]["run_id"].as_str() {
                        let document = recent::document(run_id, &result["telemetry_bundle"]);
                        locked(&recent).keep(run_id, document);
                    }
                    Ok(Bytes::from(execute::written(result).to_string()))
                }
                Answer::Refused(refusal) => Err(refusal),
            }
        })
    }

    fn telemetry(&self, run: &str) -> Result<Response<ReplyBody>, Problem> {
        let run = percent_decode_str(run).decode_utf8_lossy();
        match locked(&self.recent).of(&run) {
            Some(document) => Ok(reply::bytes(StatusCode::OK, document)),
            None => Err(problem::no_such_run(self.config.limits.max_recent_runs)),
        }
    }

    async fn health(&self) -> Result<Response<ReplyBody>, Problem> {
        let patience = self.config.limits.health_timeout;
        let service = self.service.service();
        let asked = UnderWay::start(async move { service.health_check().await });
        let told = time::timeout(patience, asked).await;
        let Value::Object(told) =
            told.ok().flatten().ok_or_else(|| problem::no_health(patience.as_secs()))?
        else {
            return Err(RefusalDocument::internal("the backend's health is no document").into());
        };
        Ok(reply::json(StatusCode::OK, &health(told)))
    }

    fn models(&self) -> Value {
        let capabilities = self.service.service().capability_descriptor();
        let models = capabilities["models"].as_array().map(Vec::as_slice).unwrap_or_default();
        let models = models.iter().map(|model| {
            json!({
                "model_id": model["model_id"],
                "backend": self.config.identity.backend_mode,
                "context_tokens": model["context_tokens"],
                // No backend knows how its models are quantised.
                "estimated_vram_mb": null,
                "tier": model["tier"],
                "adapter": model["adapter"],
                "parameters": model["parameters"],
            })
        });
        json!({"models": models.collect::<Vec<_>>()})
    }
}

fn locked(recent: &Mutex<Recent>) -> MutexGuard<'_, Recent> {
    // Nothing that holds it can leave it half done.
    recent.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A status in the words of the API: what Studio shows stands at the top, what the backend says beside it.
fn health(mut told: Map<String, Value>) -> Value {
    let capacity = told.remove("capacity_summary").unwrap_or_default();
    json!({
        "status": told.remove("status"),
        "cpu_load": capacity["cpu_load"],
        // A backend that has one to offer would say so (C3.7).
        "gpu_available": capacity["gpu_available"].as_bool().unwrap_or(false),
        "active_sessions": capacity["active_runs"],
        "capacity_summary": capacity,
        "backend_version": told.remove("backend_version"),
    })
}

fn only(method: Method, name: &'static str, head: &Parts) -> Result<(), Problem> {
    if head.method == method { Ok(()) } else { Err(problem::no_such_method(name)) }
}

fn is_json(head: &Parts) -> bool {
    let content_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = content_type.unwrap_or_default().split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}
