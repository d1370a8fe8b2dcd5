//! `POST /v1/execute`: a submission is read, handed over, and waited for as long as its caller would.

use std::time::Duration;

use bounded_body::Held;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue, LOCATION};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Response};
use krako_contract::{Anchoring, ErrorResponse, ErrorType, Submission};

use super::prefer;
use super::router::{Asked, Router, reported};
use crate::listen::{Problem, ReplyBody};

/// Bytes of a submission that is read where it arrived. Others would keep everybody else waiting.
const INLINE: usize = 64 << 10;

/// Takes a submission.
///
/// # Errors
///
/// The answer to one that was not taken: nothing runs.
///
/// # Cancel safety
///
/// Dropped, it may have been taken: the same submission again is the same session.
pub(super) async fn execute(
    router: &Router,
    asked: &Asked<'_>,
    body: &mut Incoming,
) -> Result<Response<ReplyBody>, Problem> {
    if !is_json(&asked.head.headers) {
        let message = "the body has to be JSON and to say so: `Content-Type: application/json`";
        return Err(Problem::new(ErrorType::UnsupportedMediaType, message));
    }
    let wait = wait(asked.head, router.config().max_wait);
    let mut held = router.room.read(body).await?;
    let submission = read(router, &mut held).await?;
    let submitted = router.sessions.submit(&asked.tenant, submission);
    let mut report = router.within(Duration::ZERO, submitted).await?;
    // What its text took is free again.
    drop(held);
    if !wait.is_zero() && !report.status.has_ended() {
        let mut draining = asked.draining.clone();
        let session = report.execution_session_id.clone();
        tokio::select! {
            biased;
            later = router.within(wait, router.sessions.report(&asked.tenant, &session, wait)) => {
                // It was taken: whatever keeps its report, its caller must learn its name.
                if let Ok(later) = later {
                    report = later;
                }
            }
            () = draining.begun() => {}
        }
    }
    let mut response = reported(&report);
    let location = format!("/v1/execution/{}", report.execution_session_id);
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(LOCATION, location);
    }
    if !wait.is_zero() {
        let applied = HeaderValue::from_str(&format!("wait={}", wait.as_secs()));
        applied.into_iter().for_each(|applied| {
            response.headers_mut().insert("preference-applied", applied);
        });
    }
    Ok(response)
}

fn wait(head: &Parts, max: Duration) -> Duration {
    prefer::wait(&head.headers).unwrap_or_default().min(max)
}

/// Reads a submission: a long one beside everything else, and not many at once.
async fn read(router: &Router, held: &mut Held) -> Result<Submission, Problem> {
    let bytes = std::mem::take(&mut held.bytes);
    let config = router.config();
    let (wire, limits) = (config.wire.clone(), config.graph.clone());
    let is_long = bytes.len() > INLINE;
    let read = move || Submission::read(&bytes, &wire, &limits, Anchoring::GraphOrContext);
    let read = if is_long {
        // Nobody closes it.
        let _turn = router.readers.acquire().await;
        let read = tokio::task::spawn_blocking(read).await;
        read.map_err(|_| Problem::new(ErrorType::InternalError, "reading the graph failed; this is a bug"))?
    } else {
        read()
    };
    read.map_err(|invalid| ErrorResponse::of(invalid.to_document()).into())
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = content_type.unwrap_or_default().split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}
