//! A service over HTTP: the local API of KORA Studio.

mod config;
mod events;
mod execute;
mod host;
mod patient;
mod problem;
mod recent;
mod reply;
mod router;
mod under_way;

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time;

pub use self::config::{HttpConfig, HttpLimits};
use self::patient::Patient;
use self::router::Router;
use crate::{Service, StreamingService};

/// Connections beyond the limit that are told so. Others are closed without a word.
const TOLD: usize = 16;
/// The wait after a connection could not be taken: the system has none to give.
const PAUSE: Duration = Duration::from_millis(100);
/// Bytes that are read or written at once; a head has to fit as well.
const BUFFER: usize = 64 << 10;

/// What is served, and whether it can tell of a run's events.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a service streams or does not")]
pub enum HttpService {
    /// It cannot: `stream: true` is refused.
    Plain(Arc<dyn Service>),
    /// It can (C12.1).
    Streaming(Arc<dyn StreamingService>),
}

impl HttpService {
    fn service(&self) -> Arc<dyn Service> {
        match self {
            Self::Plain(service) => Arc::clone(service),
            Self::Streaming(service) => Arc::clone(service) as _,
        }
    }
}

/// Serves callers on `listener` until `shutdown` resolves, then lets what is under way end within the grace of
/// `config`, and cuts the rest.
///
/// `POST /execute`, `GET /models`, `GET /health`, `GET /telemetry/{run_id}` as KORA Studio has them, and
/// `GET /capabilities` (C3.6). With `stream: true` a run is answered by server-sent events, the result last. A caller who hangs up cancels its run (S13). There is no authentication and no
/// encryption: the listener should be on this machine only, and a `Host` that does not name this machine is turned
/// away unless `config` allows it.
///
/// # Cancel safety
///
/// Dropping the future closes every connection and cancels every run.
pub async fn serve_http(
    listener: TcpListener,
    service: HttpService,
    config: HttpConfig,
    shutdown: impl Future<Output = ()> + Send,
) {
    let limits = config.limits;
    let (drain, draining) = watch::channel(false);
    let router = Arc::new(Router::new(service, config));
    let room = Arc::new(Semaphore::new(limits.max_connections.clamp(1, Semaphore::MAX_PERMITS)));
    let told = Arc::new(Semaphore::new(TOLD));
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            // Only so that they do not pile up.
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else {
                    time::sleep(PAUSE).await;
                    continue;
                };
                let (permit, is_full) = match Arc::clone(&room).try_acquire_owned() {
                    Ok(permit) => (Some(permit), false),
                    Err(_) => (Arc::clone(&told).try_acquire_owned().ok(), true),
                };
                let Some(permit) = permit else { continue };
                let (router, draining) = (Arc::clone(&router), draining.clone());
                connections.spawn(async move {
                    let _permit = permit;
                    converse(stream, router, is_full, limits, draining).await;
                });
            }
        }
    }
    drop(listener);
    drain.send_replace(true);
    // What is left after the grace is cut off below.
    let _ = time::timeout(limits.grace, async { while connections.join_next().await.is_some() {} }).await;
    connections.shutdown().await;
}

/// One connection, to its end. Whatever ends it, its caller knows as much as there is to know.
async fn converse(
    stream: TcpStream,
    router: Arc<Router>,
    is_full: bool,
    limits: HttpLimits,
    mut draining: watch::Receiver<bool>,
) {
    // Answers are written whole; waiting to fill a packet only delays their end.
    let _ = stream.set_nodelay(true);
    let stream = Arc::new(stream);
    let service = service_fn(move |request| {
        let router = Arc::clone(&router);
        async move {
            let response =
                if is_full { problem::full().into_response() } else { router.answer(request).await };
            Ok::<_, Infallible>(response)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_headers(limits.max_headers)
        .max_header_size(limits.max_head_bytes)
        .max_buf_size(limits.max_head_bytes.max(BUFFER))
        .keep_alive(!is_full)
        .serve_connection(TokioIo::new(Patient::new(Arc::clone(&stream), limits.write_timeout)), service);
    let mut connection = pin!(connection);
    let told = async {
        // Whoever drops the other end has no more use for this one.
        let _ = draining.wait_for(|draining| *draining).await;
    };
    let conversation = async {
        tokio::select! {
            // An error here is a caller who hung up, dawdled, or does not speak HTTP.
            _ = connection.as_mut() => {}
            () = told => {
                connection.as_mut().graceful_shutdown();
                let _ = connection.await;
            }
        }
    };
    tokio::select! {
        biased;
        () = conversation => {}
        () = patient::hung_up(&stream) => {}
    }
}
