//! Which request gets which answer.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bounded_body::{BodyLimits, Room};
use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use krako_contract::{
    Document, ErrorResponse, ErrorType, SessionId, SessionReport, TenantId, Timestamp, UsageReport, write,
};
use percent_encoding::percent_decode_str;
use tokio::sync::Semaphore;
use tokio::time;

use super::entry::{Entries, Entry};
use super::{GatewayConfig, events, execute};
use crate::listen::{Answers, Draining, Problem, ReplyBody, text};
use crate::sessions::Sessions;
use crate::tenants::{Holder, Tokens, bearer};

/// What all requests share.
#[derive(Debug)]
pub(super) struct Router {
    pub(super) sessions: Arc<dyn Sessions>,
    pub(super) room: Room,
    pub(super) readers: Arc<Semaphore>,
    tokens: Tokens,
    entries: Entries,
    config: GatewayConfig,
}

/// What there is under `/v1`.
enum Path<'p> {
    Execute,
    Session(&'p str),
    Events(&'p str),
    Cancel(&'p str),
    Usage,
    Health,
    Capabilities,
}

/// One request of a known tenant.
pub(super) struct Asked<'r> {
    pub(super) head: &'r Parts,
    pub(super) tenant: TenantId,
    pub(super) entry: Arc<Entry>,
    pub(super) draining: Draining,
}

impl<'p> Path<'p> {
    fn of(path: &'p str) -> Option<Self> {
        let path = path.strip_prefix("/v1/")?;
        match path {
            "execute" => return Some(Self::Execute),
            "billing/usage" => return Some(Self::Usage),
            "health" => return Some(Self::Health),
            "capabilities" => return Some(Self::Capabilities),
            _ => {}
        }
        let session = path.strip_prefix("execution/")?;
        match session.split_once('/') {
            None => Some(Self::Session(session)),
            Some((session, "events")) => Some(Self::Events(session)),
            Some((session, "cancel")) => Some(Self::Cancel(session)),
            Some(_) => None,
        }
    }

    fn method(&self) -> (Method, &'static str) {
        match self {
            Self::Execute | Self::Cancel(_) => (Method::POST, "POST"),
            Self::Session(_) | Self::Events(_) | Self::Usage | Self::Health | Self::Capabilities => {
                (Method::GET, "GET")
            }
        }
    }
}

impl Router {
    pub(super) fn new(sessions: Arc<dyn Sessions>, tokens: Tokens, config: GatewayConfig) -> Self {
        let room = Room::new(BodyLimits {
            max_bytes: config.graph.max_graph_bytes.saturating_add(config.wire.max_envelope_bytes),
            timeout: config.listen.body_timeout,
            max_pending_bytes: config.listen.max_pending_bytes,
        });
        let readers = Arc::new(Semaphore::new(config.max_readers.clamp(1, Semaphore::MAX_PERMITS)));
        Self { sessions, room, readers, tokens, entries: Entries::default(), config }
    }

    pub(super) fn config(&self) -> &GatewayConfig {
        &self.config
    }

    /// Who asks comes before what is asked: whoever is not known learns nothing of what there is.
    async fn route(
        &self,
        head: &Parts,
        body: &mut Incoming,
        draining: Draining,
    ) -> Result<Response<ReplyBody>, Problem> {
        let Holder::Tenant(tenant) = bearer(&head.headers, &self.tokens)? else {
            let message = "this token is a node's or a gateway's; send a tenant's";
            return Err(Problem::new(ErrorType::Forbidden, message));
        };
        let entry = self.entries.of(&tenant, &self.config);
        let place = entry.request()?;
        let path = Path::of(head.uri.path()).ok_or_else(no_such_path)?;
        let (method, name) = path.method();
        if head.method != method {
            return Err(Problem::method(name));
        }
        let asked = Asked { head, tenant, entry, draining };
        let session = match path {
            Path::Execute => return execute::execute(self, &asked, body).await,
            Path::Usage => return self.usage(&asked).await,
            Path::Health => return answered(&self.within(Duration::ZERO, self.sessions.health()).await?),
            Path::Capabilities => {
                return answered(&self.within(Duration::ZERO, self.sessions.capabilities()).await?);
            }
            Path::Session(session) | Path::Events(session) | Path::Cancel(session) => named(session)?,
        };
        match path {
            Path::Events(_) => {
                // A stream has a place of its own, for as long as it lasts.
                drop(place);
                events::respond(self, asked, session).await
            }
            Path::Cancel(_) => {
                let report =
                    self.within(Duration::ZERO, self.sessions.cancel(&asked.tenant, &session)).await?;
                Ok(reported(&report))
            }
            Path::Session(_) | Path::Execute | Path::Usage | Path::Health | Path::Capabilities => {
                let report = self.sessions.report(&asked.tenant, &session, Duration::ZERO);
                let report = self.within(Duration::ZERO, report).await?;
                Ok(text(StatusCode::OK, write(&report)))
            }
        }
    }

    /// What the orchestrator answers, if it does in time.
    ///
    /// # Errors
    ///
    /// Its error, or that it did not answer.
    pub(super) async fn within<T>(
        &self,
        wait: Duration,
        asked: impl Future<Output = Result<T, ErrorResponse>>,
    ) -> Result<T, Problem> {
        let patience = self.config.answer_timeout;
        match time::timeout(wait.saturating_add(patience), asked).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(Problem::new(
                ErrorType::Unavailable,
                format!(
                    "the orchestrator did not answer within {} s; try again, what was accepted goes on",
                    patience.as_secs()
                ),
            )),
        }
    }

    async fn usage(&self, asked: &Asked<'_>) -> Result<Response<ReplyBody>, Problem> {
        let period = period(asked.head.uri.query().unwrap_or_default())?;
        let usage: UsageReport = self.within(Duration::ZERO, self.sessions.usage(&asked.tenant)).await?;
        let [start, end] = period;
        let fits = start.is_none_or(|start| start == usage.period_start)
            && end.is_none_or(|end| end == usage.period_end);
        if fits {
            return answered(&usage);
        }
        let message = format!(
            "this fabric tells the usage of the current period only, from {} to {}; ask for that one, or leave \
             `period_start` and `period_end` out",
            usage.period_start, usage.period_end
        );
        Err(Problem::new(ErrorType::ValidationError, message))
    }
}

#[async_trait]
impl Answers for Router {
    async fn answer(&self, request: Request<Incoming>, draining: Draining) -> Response<ReplyBody> {
        let (head, mut body) = request.into_parts();
        match self.route(&head, &mut body, draining).await {
            Ok(response) => response,
            Err(problem) => {
                self.room.pass_over(&head, body).await;
                problem.into_response()
            }
        }
    }
}

/// A session as its caller sees it after asking for something to happen: 200 once it has ended, 202 before.
pub(super) fn reported(report: &SessionReport) -> Response<ReplyBody> {
    let status = if report.status.has_ended() { StatusCode::OK } else { StatusCode::ACCEPTED };
    text(status, write(report))
}

#[expect(clippy::unnecessary_wraps, reason = "the end of a chain of what may fail")]
fn answered<D: Document>(document: &D) -> Result<Response<ReplyBody>, Problem> {
    Ok(text(StatusCode::OK, write(document)))
}

fn no_such_path() -> Problem {
    let message = "nothing is here; there are POST /v1/execute, GET /v1/execution/{id}, GET /v1/execution/{id}/events, \
                   POST /v1/execution/{id}/cancel, GET /v1/billing/usage, GET /v1/health, GET /v1/capabilities";
    Problem::new(ErrorType::NotFound, message)
}

/// What cannot be a session's name is none that exists.
fn named(session: &str) -> Result<SessionId, Problem> {
    let name = percent_decode_str(session).decode_utf8().ok();
    name.and_then(|name| SessionId::new(&name).ok()).ok_or_else(|| {
        let message = "there is no such session of this tenant; ids are as in `execution_session_id`";
        Problem::new(ErrorType::NotFound, message)
    })
}

/// `period_start` and `period_end` of a query. Other parameters say nothing.
fn period(query: &str) -> Result<[Option<Timestamp>; 2], Problem> {
    let mut period = [None, None];
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let place = match name {
            "period_start" => 0,
            "period_end" => 1,
            _ => continue,
        };
        let wrong = |what: &str| Problem::new(ErrorType::ValidationError, format!("`{name}` {what}"));
        let value = percent_decode_str(value).decode_utf8().ok();
        let moment = value.and_then(|value| Timestamp::new(&value).ok());
        let moment = moment
            .ok_or_else(|| wrong("is no moment; write it as in `2026-03-01T00:00:00Z` (RFC 3339, UTC)"))?;
        if period[place].replace(moment).is_some() {
            return Err(wrong("stands there twice; write it once"));
        }
    }
    Ok(period)
}
