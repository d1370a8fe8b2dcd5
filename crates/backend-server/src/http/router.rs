//! Which request gets which answer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;
use tokio::time;

use super::body::Room;
use super::problem::{self, Problem};
use super::recent::{self, Recent};
use super::reply::{self, ReplyBody};
use super::under_way::UnderWay;
use super::{HttpConfig, execute, host};
use crate::{Answer, RefusalDocument, Service};

/// What all connections share.
#[derive(Debug)]
pub(super) struct Router {
    service: Arc<dyn Service>,
    config: HttpConfig,
    room: Room,
    turns: Semaphore,
    recent: Mutex<Recent>,
}

impl Router {
    pub(super) fn new(service: Arc<dyn Service>, config: HttpConfig) -> Self {
        let limits = &config.limits;
        Self {
            service,
            room: Room::new(config.limits),
            turns: Semaphore::new(limits.max_runs.clamp(1, Semaphore::MAX_PERMITS)),
            recent: Mutex::new(Recent::new(limits.max_recent_runs, limits.max_recent_bytes)),
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
            (None, _) => Ok(reply::json(StatusCode::OK, &self.service.capability_descriptor())),
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
        let held = self.room.read(body).await?;
        let request = execute::read(&held.bytes, self.config.identity.backend_mode)?;
        let _turn = self.turns.try_acquire().map_err(|_| problem::too_many_runs(max_runs))?;
        let service = Arc::clone(&self.service);
        let run = UnderWay::start(async move {
            match service.execute_taskgraph(request).await {
                Answer::Result(result) => {
                    let run_id = result["execution_metadata"]["run_id"].as_str().map(str::to_owned);
                    let kept = run_id.map(|run_id| {
                        let document = recent::document(&run_id, &result["telemetry_bundle"]);
                        (run_id, document)
                    });
                    Ok((Bytes::from(execute::written(result).to_string()), kept))
                }
                Answer::Refused(refusal) => Err(refusal),
            }
        });
        let ended = run.end().await;
        drop(held);
        let (document, kept) = ended.unwrap_or_else(|| {
            Err(RefusalDocument::internal("the backend panicked; this is a bug of its own"))
        })?;
        if let Some((run_id, telemetry)) = kept {
            self.recent().keep(&run_id, telemetry);
        }
        Ok(reply::bytes(StatusCode::OK, document))
    }

    fn telemetry(&self, run: &str) -> Result<Response<ReplyBody>, Problem> {
        let run = percent_decode_str(run).decode_utf8_lossy();
        match self.recent().of(&run) {
            Some(document) => Ok(reply::bytes(StatusCode::OK, document)),
            None => Err(problem::no_such_run(self.config.limits.max_recent_runs)),
        }
    }

    async fn health(&self) -> Result<Response<ReplyBody>, Problem> {
        let patience = self.config.limits.health_timeout;
        let service = Arc::clone(&self.service);
        let asked = UnderWay::start(async move { service.health_check().await });
        let told = time::timeout(patience, asked.end()).await;
        let Value::Object(told) =
            told.ok().flatten().ok_or_else(|| problem::no_health(patience.as_secs()))?
        else {
            return Err(RefusalDocument::internal("the backend's health is no document").into());
        };
        Ok(reply::json(StatusCode::OK, &health(told)))
    }

    fn models(&self) -> Value {
        let capabilities = self.service.capability_descriptor();
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

    fn recent(&self) -> MutexGuard<'_, Recent> {
        // Nothing that holds it can leave it half done.
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
