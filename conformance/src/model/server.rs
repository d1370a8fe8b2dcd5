//! The suite's model as an OpenAI-compatible server on this machine, for backends of other processes.

mod answer;
mod chat;
mod unfold;

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

use self::answer::Body;
use self::chat::Chat;
use crate::model::book::Arrival;
use crate::model::{Beat, ModelBook, ModelEndpoint, ModelFault};

/// Connections at one time. Others wait until they are accepted.
const MAX_CONNECTIONS: usize = 4096;
/// Bytes of a request's body.
const MAX_BODY_BYTES: usize = 16 << 20;
/// For a request's head, and for its body.
const PATIENCE: Duration = Duration::from_secs(60);
/// After a connection could not be accepted.
const BREATH: Duration = Duration::from_millis(10);

/// Serves a [`ModelBook`] over HTTP/1.1: `POST /v1/chat/completions`, streamed or whole, and `GET /v1/models`.
///
/// An answer's head is sent after the step's delay, and then an event for each token. A peer that hangs up is seen
/// doing so. Dropping the server closes it and all its connections.
#[derive(Debug)]
pub struct ModelServer {
    book: Arc<ModelBook>,
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl ModelServer {
    /// Listens on loopback, at `port` or, if that is 0, at any that is free. It lives on the runtime of the caller.
    ///
    /// # Errors
    ///
    /// What the system says if it cannot listen there.
    pub async fn start(book: Arc<ModelBook>, port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        let accepting = tokio::spawn(accept(listener, Arc::clone(&book)));
        Ok(Self { book, address, accepting })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where its interface is, up to and including `/v1`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Its book, and where it is.
    pub fn endpoint(&self) -> ModelEndpoint {
        ModelEndpoint { book: Arc::clone(&self.book), base_url: Some(self.base_url()) }
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, book: Arc<ModelBook>) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    // They end with this future.
    let mut connections = JoinSet::new();
    loop {
        // Never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(BREATH).await;
            continue;
        };
        let (book, arrival) = (Arc::clone(&book), book.arrival());
        connections.spawn(async move {
            serve(stream, book, arrival).await;
            drop(place);
        });
        while connections.try_join_next().is_some() {}
    }
}

/// `arrival` is the connection's first request. Who makes a connection for each call is never seen too late.
async fn serve(stream: TcpStream, book: Arc<ModelBook>, arrival: Arrival) {
    // Each token must arrive when it is said. No harm if it cannot be set.
    drop(stream.set_nodelay(true));
    let first = Mutex::new(Some(arrival));
    let answer = service_fn(|request| {
        let book = Arc::clone(&book);
        let arrival = first.lock().unwrap_or_else(PoisonError::into_inner).take();
        async move { Ok::<_, Infallible>(route(request, &book, arrival).await) }
    });
    // How a connection ends is seen by the calls that were open on it.
    drop(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(PATIENCE)
            .serve_connection(TokioIo::new(stream), answer)
            .await,
    );
}

async fn route(request: Request<Incoming>, book: &ModelBook, arrival: Option<Arrival>) -> Response<Body> {
    match (request.method(), request.uri().path()) {
        (&Method::POST, "/v1/chat/completions") => match read(request).await {
            Ok(chat) => play(chat, book, arrival).await,
            Err((status, message)) => answer::error(status, "invalid_request", &message),
        },
        (&Method::GET, "/v1/models") => answer::models(),
        (_, "/v1/chat/completions") => answer::wrong_method("POST"),
        (_, "/v1/models") => answer::wrong_method("GET"),
        _ => {
            let message = "nothing is here; ask `POST /v1/chat/completions` or `GET /v1/models`";
            answer::error(StatusCode::NOT_FOUND, "not_found", message)
        }
    }
}

async fn read(request: Request<Incoming>) -> Result<Chat, (StatusCode, String)> {
    let body = Limited::new(request.into_body(), MAX_BODY_BYTES).collect();
    let body = tokio::time::timeout(PATIENCE, body).await.map_err(|_| {
        (StatusCode::REQUEST_TIMEOUT, format!("no complete request within {} s", PATIENCE.as_secs()))
    })?;
    let body = body.map_err(|error| {
        if error.is::<LengthLimitError>() {
            let message = format!("the request is longer than {MAX_BODY_BYTES} bytes");
            (StatusCode::PAYLOAD_TOO_LARGE, message)
        } else {
            (StatusCode::BAD_REQUEST, String::from("the request broke off"))
        }
    })?;
    Chat::read(&body.to_bytes()).map_err(|message| (StatusCode::BAD_REQUEST, message))
}

async fn play(chat: Chat, book: &ModelBook, arrival: Option<Arrival>) -> Response<Body> {
    let model = chat.asked.model.clone();
    let called = book.call(chat.asked);
    drop(arrival);
    let mut call = match called {
        Ok(call) => call,
        Err(stray) => return answer::error(StatusCode::BAD_REQUEST, "stray_call", &stray.to_string()),
    };
    if !chat.is_streamed {
        return answer::whole(call, &model).await;
    }
    match call.next().await {
        Beat::Failed(fault) => turned_down(fault, call.is_served()),
        Beat::Begun | Beat::Piece(_) | Beat::Done { .. } | Beat::Broken => {
            answer::streamed(call, model, chat.tells_usage)
        }
    }
}

fn turned_down(fault: ModelFault, is_served: bool) -> Response<Body> {
    match fault {
        _ if !is_served => {
            answer::error(StatusCode::NOT_FOUND, "model_not_found", "this model is not served")
        }
        ModelFault::Transient => {
            let message = "the model is scripted to be busy";
            answer::error(StatusCode::SERVICE_UNAVAILABLE, "scripted_transient", message)
        }
        ModelFault::Final => {
            answer::error(StatusCode::BAD_REQUEST, "scripted_final", "the model is scripted to refuse this")
        }
    }
}
