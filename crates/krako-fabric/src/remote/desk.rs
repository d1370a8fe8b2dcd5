//! The listener for workers and for gateways in other processes.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bounded_body::{BodyLimits, Held, Room};
use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use kora_ir::Limits;
use krako_contract::{Anchoring, ErrorResponse, ErrorType, Submission, WireLimits, write};

use super::documents::{Done, OfSession, OfTenant, Orders, Page, Submit, answer_of, read};
use crate::listen::{
    self, Accept, Answers, Drained, Draining, ListenLimits, Problem, ReplyBody, TlsIdentity, json, text,
};
use crate::node::NodeDesk;
use crate::sessions::Sessions;
use crate::tenants::{Holder, Tokens, bearer};

/// Every bound of a desk.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a plain record of choices, written as a literal")]
pub struct DeskConfig {
    /// On connections.
    pub listen: ListenLimits,
    /// On graphs that a gateway hands over: as the gateway's.
    pub graph: Limits,
    /// On documents: a worker's report may be as long as an event, everything but that and a graph as long as a document.
    pub wire: WireLimits,
    /// For anything to wait. 60 s by default; more is cut to that.
    pub max_wait: Duration,
}

impl Default for DeskConfig {
    fn default() -> Self {
        Self {
            listen: ListenLimits::default(),
            graph: Limits { max_graph_bytes: 64 << 20, ..Limits::default() },
            wire: WireLimits::default(),
            max_wait: Duration::from_secs(60),
        }
    }
}

/// Serves both seams to other processes.
#[derive(Clone, Debug)]
pub struct Desk {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    nodes: Arc<dyn NodeDesk>,
    sessions: Arc<dyn Sessions>,
    tokens: Tokens,
    // For graphs and outputs, and for everything else: work is claimed however many graphs arrive.
    long: Room,
    short: Room,
    config: DeskConfig,
}

impl Desk {
    /// A desk before an orchestrator, which is both. Workers need a node's token, gateways a gateway's.
    pub fn new(
        nodes: Arc<dyn NodeDesk>,
        sessions: Arc<dyn Sessions>,
        tokens: Tokens,
        config: DeskConfig,
    ) -> Self {
        let graph = config.graph.max_graph_bytes.saturating_add(config.wire.max_envelope_bytes);
        let room = |max_bytes| {
            Room::new(BodyLimits {
                max_bytes,
                timeout: config.listen.body_timeout,
                max_pending_bytes: config.listen.max_pending_bytes,
            })
        };
        // What stands around a graph or an output is short.
        let long = room(graph.max(config.wire.max_event_bytes).saturating_add(1 << 10));
        let short = room(config.wire.max_document_bytes);
        Self { inner: Arc::new(Inner { nodes, sessions, tokens, long, short, config }) }
    }

    /// Serves until `shutdown` resolves; then as [`Gateway::serve`](crate::Gateway::serve).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes every connection. Leases go on until they are over.
    pub async fn serve(
        &self,
        accept: &dyn Accept,
        identity: &TlsIdentity,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Drained {
        let limits = self.inner.config.listen;
        listen::serve(accept, identity, Arc::clone(&self.inner) as _, limits, shutdown).await
    }
}

/// What can be asked.
enum Call {
    Node(NodeCall),
    Gateway(GatewayCall),
}

/// What a worker asks.
enum NodeCall {
    Claim,
    Heartbeat,
    Report,
}

/// What a gateway asks.
enum GatewayCall {
    Submit,
    Report,
    Events,
    Cancel,
    Usage,
    Health,
    Capabilities,
}

impl Call {
    fn of(path: &str) -> Option<Self> {
        Some(match path {
            "/nodes/v1/claim" => Self::Node(NodeCall::Claim),
            "/nodes/v1/heartbeat" => Self::Node(NodeCall::Heartbeat),
            "/nodes/v1/report" => Self::Node(NodeCall::Report),
            "/sessions/v1/submit" => Self::Gateway(GatewayCall::Submit),
            "/sessions/v1/report" => Self::Gateway(GatewayCall::Report),
            "/sessions/v1/events" => Self::Gateway(GatewayCall::Events),
            "/sessions/v1/cancel" => Self::Gateway(GatewayCall::Cancel),
            "/sessions/v1/usage" => Self::Gateway(GatewayCall::Usage),
            "/sessions/v1/health" => Self::Gateway(GatewayCall::Health),
            "/sessions/v1/capabilities" => Self::Gateway(GatewayCall::Capabilities),
            _ => return None,
        })
    }

    /// Whether its document holds a graph or an output.
    fn is_long(&self) -> bool {
        match self {
            Self::Node(NodeCall::Report) | Self::Gateway(GatewayCall::Submit) => true,
            Self::Node(NodeCall::Claim | NodeCall::Heartbeat)
            | Self::Gateway(
                GatewayCall::Report
                | GatewayCall::Events
                | GatewayCall::Cancel
                | GatewayCall::Usage
                | GatewayCall::Health
                | GatewayCall::Capabilities,
            ) => false,
        }
    }
}

impl Inner {
    async fn route(
        &self,
        head: &Parts,
        body: &mut Incoming,
        draining: Draining,
    ) -> Result<Response<ReplyBody>, Problem> {
        let holder = bearer(&head.headers, &self.tokens)?;
        let call = Call::of(head.uri.path()).ok_or_else(|| {
            let message = "nothing is here; there are POST /nodes/v1/{claim,heartbeat,report} and \
                           POST /sessions/v1/{submit,report,events,cancel,usage,health,capabilities}";
            Problem::new(ErrorType::NotFound, message)
        })?;
        match (&holder, &call) {
            (Holder::Node(_), Call::Node(_)) | (Holder::Gateway(_), Call::Gateway(_)) => {}
            (Holder::Node(_) | Holder::Gateway(_) | Holder::Tenant(_), _) => {
                let message = "this token may not ask for that: work needs a node's, sessions a gateway's";
                // Not 403: that one is the orchestrator's, of a tenant.
                return Err(Problem::new(ErrorType::Unauthenticated, message));
            }
        }
        if head.method != Method::POST {
            return Err(Problem::method("POST"));
        }
        let room = if call.is_long() { &self.long } else { &self.short };
        let held = room.read(body).await?;
        match call {
            Call::Node(call) => self.of_node(call, held, draining).await,
            Call::Gateway(call) => self.of_gateway(call, held, draining).await,
        }
    }

    async fn of_node(
        &self,
        call: NodeCall,
        held: Held,
        mut draining: Draining,
    ) -> Result<Response<ReplyBody>, Problem> {
        let refused = |error| Problem::from(answer_of(&error));
        match call {
            NodeCall::Claim => {
                let mut claim: crate::node::Claim = read(&held)?;
                claim.wait_ms = claim.wait_ms.min(millis(self.config.max_wait));
                tokio::select! {
                    biased;
                    // Who waits for work has none to lose: what comes later is given to another.
                    () = draining.begun() => Ok(json(StatusCode::OK, &Orders::default())),
                    orders = self.nodes.claim(claim) => {
                        Ok(json(StatusCode::OK, &Orders { orders: orders.map_err(refused)? }))
                    }
                }
            }
            NodeCall::Heartbeat => {
                Ok(json(StatusCode::OK, &self.nodes.heartbeat(read(&held)?).await.map_err(refused)?))
            }
            NodeCall::Report => {
                self.nodes.report(read(&held)?).await.map_err(refused)?;
                Ok(json(StatusCode::OK, &Done {}))
            }
        }
    }

    async fn of_gateway(
        &self,
        call: GatewayCall,
        held: Held,
        mut draining: Draining,
    ) -> Result<Response<ReplyBody>, Problem> {
        let ok = StatusCode::OK;
        let wait = |asked: &OfSession| Duration::from_millis(asked.wait_ms).min(self.config.max_wait);
        match call {
            GatewayCall::Submit => {
                let asked: Submit = read(&held)?;
                let bytes = asked.submission.get().as_bytes();
                let read =
                    Submission::read(bytes, &self.config.wire, &self.config.graph, Anchoring::GraphOrContext);
                let submission = read.map_err(|invalid| ErrorResponse::of(invalid.to_document()))?;
                Ok(text(ok, write(&self.sessions.submit(&asked.tenant, submission).await?)))
            }
            GatewayCall::Report => {
                let asked: OfSession = read(&held)?;
                let wait = wait(&asked);
                let report = tokio::select! {
                    biased;
                    report = self.sessions.report(&asked.tenant, &asked.session, wait) => report?,
                    () = draining.begun() => {
                        self.sessions.report(&asked.tenant, &asked.session, Duration::ZERO).await?
                    }
                };
                Ok(text(ok, write(&report)))
            }
            GatewayCall::Events => {
                let asked: OfSession = read(&held)?;
                let wait = wait(&asked);
                let page = tokio::select! {
                    biased;
                    page = self.sessions.events(&asked.tenant, &asked.session, asked.after, wait) => page?,
                    () = draining.begun() => {
                        self.sessions.events(&asked.tenant, &asked.session, asked.after, Duration::ZERO).await?
                    }
                };
                Ok(json(ok, &Page::of(&page)))
            }
            GatewayCall::Cancel => {
                let asked: OfSession = read(&held)?;
                Ok(text(ok, write(&self.sessions.cancel(&asked.tenant, &asked.session).await?)))
            }
            GatewayCall::Usage => {
                let asked: OfTenant = read(&held)?;
                Ok(text(ok, write(&self.sessions.usage(&asked.tenant).await?)))
            }
            GatewayCall::Health => Ok(text(ok, write(&self.sessions.health().await?))),
            GatewayCall::Capabilities => Ok(text(ok, write(&self.sessions.capabilities().await?))),
        }
    }
}

#[async_trait]
impl Answers for Inner {
    async fn answer(&self, request: Request<Incoming>, draining: Draining) -> Response<ReplyBody> {
        let (head, mut body) = request.into_parts();
        match self.route(&head, &mut body, draining).await {
            Ok(response) => response,
            Err(problem) => {
                self.short.pass_over(&head, body).await;
                problem.into_response()
            }
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
