//! One connection, from its handshake to its end.

use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::accept::Wire;
use super::activity::{Activity, Watched};
use super::plain::{self, Begun};
use super::serve::Answers;
use super::tls::HTTP_2;
use super::{Draining, ListenLimits, Problem, ReplyBody};

/// Bytes that are read or written at once over HTTP/1.1; a head has to fit as well.
const BUFFER: usize = 64 << 10;
/// Bytes of one answer that wait for its caller over HTTP/2, beside the part that is being written.
const WAITING: usize = 64 << 10;
/// Bytes of one request that may be on their way over HTTP/2.
const WINDOW: u32 = 1 << 20;

/// What all connections share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) answers: Arc<dyn Answers>,
    pub(super) limits: ListenLimits,
    pub(super) requests: Arc<Semaphore>,
    pub(super) draining: Draining,
}

/// One connection, to its end. Whatever ends it, its caller knows as much as there is to know.
pub(super) async fn converse(wire: Box<dyn Wire>, acceptor: TlsAcceptor, shared: Arc<Shared>, is_full: bool) {
    let limits = shared.limits;
    let greeted = time::timeout(limits.handshake_timeout, async {
        let begun = plain::begun(wire).await?;
        acceptor.accept(begun).await.ok()
    });
    let Ok(Some(stream)) = greeted.await else { return };
    let speaks_http_2 = stream.get_ref().1.alpn_protocol() == Some(HTTP_2);
    let activity = Arc::new(Activity::new());
    if speaks_http_2 {
        speak_http_2(stream, shared, is_full, activity).await;
    } else {
        speak_http_1(stream, shared, is_full, activity).await;
    }
}

async fn speak_http_1(stream: TlsStream<Begun>, shared: Arc<Shared>, is_full: bool, activity: Arc<Activity>) {
    let limits = shared.limits;
    let will_end = is_full || shared.draining.has_begun();
    let service = {
        let (shared, activity) = (Arc::clone(&shared), Arc::clone(&activity));
        service_fn(move |request| answer(Arc::clone(&shared), Arc::clone(&activity), request, is_full))
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_headers(limits.max_headers)
        .max_header_size(limits.max_head_bytes)
        .max_buf_size(limits.max_head_bytes.max(BUFFER))
        .keep_alive(!will_end)
        .serve_connection(TokioIo::new(stream), service);
    until_over(connection, |connection| connection.graceful_shutdown(), &shared, &activity).await;
}

async fn speak_http_2(stream: TlsStream<Begun>, shared: Arc<Shared>, is_full: bool, activity: Arc<Activity>) {
    let limits = shared.limits;
    let service = {
        let (shared, activity) = (Arc::clone(&shared), Arc::clone(&activity));
        service_fn(move |request| answer(Arc::clone(&shared), Arc::clone(&activity), request, is_full))
    };
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(if is_full { 1 } else { limits.max_streams.max(1) })
        .max_header_list_size(u32::try_from(limits.max_head_bytes).unwrap_or(u32::MAX))
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(4 * WINDOW)
        .max_send_buf_size(WAITING)
        .keep_alive_interval(limits.idle_timeout / 2)
        .keep_alive_timeout(limits.write_timeout)
        .serve_connection(TokioIo::new(stream), service);
    until_over(connection, |connection| connection.graceful_shutdown(), &shared, &activity).await;
}

/// Lets a connection go on until it ends, is idle, does not read, or the listener drains.
async fn until_over<C: Future>(
    connection: C,
    stop: impl Fn(Pin<&mut C>),
    shared: &Shared,
    activity: &Activity,
) {
    let limits = shared.limits;
    let mut draining = shared.draining.clone();
    // Whoever comes while the listener drains is told so, once it has asked.
    let is_late = draining.has_begun();
    let mut connection = pin!(connection);
    let conversation = async {
        tokio::select! {
            biased;
            // An error here is a caller who hung up, dawdled, or does not speak HTTP.
            _ = connection.as_mut() => return,
            () = draining.begun(), if !is_late => {}
            () = activity.idle(limits.idle_timeout) => {}
        }
        stop(connection.as_mut());
        let _ = connection.await;
    };
    tokio::select! {
        biased;
        () = conversation => {}
        () = activity.stalled(limits.write_timeout) => {}
        // It was asked to end, and does not.
        () = activity.idle(limits.idle_timeout.saturating_add(limits.write_timeout)) => {}
    }
}

/// The answer to one request. Whatever happens to whoever makes it, there is one.
async fn answer(
    shared: Arc<Shared>,
    activity: Arc<Activity>,
    request: Request<Incoming>,
    is_full: bool,
) -> Result<Response<Watched>, Infallible> {
    let place = Arc::clone(&shared.requests).try_acquire_owned().ok();
    let problem = if shared.draining.has_begun() {
        Some(Problem::draining())
    } else if is_full {
        Some(Problem::full())
    } else if place.is_none() {
        Some(Problem::too_many_requests())
    } else {
        None
    };
    let under_way = activity.begin(place);
    let response = match problem {
        Some(problem) => problem.into_response(),
        None => made(shared, request).await,
    };
    Ok(response.map(|body| Watched::new(body, under_way)))
}

/// What is made in a task of its own: a panic stays in it, and nobody who is gone is worked for.
async fn made(shared: Arc<Shared>, request: Request<Incoming>) -> Response<ReplyBody> {
    let mut task = JoinSet::new();
    task.spawn(async move { shared.answers.answer(request, shared.draining.clone()).await });
    match task.join_next().await {
        Some(Ok(response)) => response,
        Some(Err(_)) | None => Problem::panicked().into_response(),
    }
}
