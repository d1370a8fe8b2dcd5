//! Ctrl-C: the first stops what is going on in order, another ends the process at once.

use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::task::Poll;

use tokio::signal;
use tokio::sync::oneshot;

use crate::exit::Exit;

/// What stops it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Until {
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-C, or what service managers send (SIGTERM).
    InterruptOrTermination,
}

/// Takes over the signals. The future that comes back resolves at the first; once it is gone, another ends the process.
pub(crate) async fn take_over(until: Until) -> impl Future<Output = ()> + Send {
    let (tell_first, first) = oneshot::channel();
    let (tell_ready, ready) = oneshot::channel();
    tokio::spawn(async move {
        let mut press = pin!(pressed(until));
        // Asked once, it has taken over. Before that a Ctrl-C would end the process without a word.
        let already = poll_fn(|context| Poll::Ready(press.as_mut().poll(context).is_ready())).await;
        let _ = tell_ready.send(());
        if !already {
            press.await;
        }
        if tell_first.send(()).is_ok() {
            pressed(until).await;
        }
        std::process::exit(i32::from(Exit::Interrupted.code()));
    });
    let _ = ready.await;
    async move {
        if first.await.is_err() {
            pending::<()>().await;
        }
    }
}

/// Waits for a signal; for ever where there are none.
async fn pressed(until: Until) {
    match until {
        Until::Interrupt => interrupted().await,
        Until::InterruptOrTermination => {
            tokio::select! {
                () = interrupted() => {}
                () = terminated() => {}
            }
        }
    }
}

async fn interrupted() {
    if signal::ctrl_c().await.is_err() {
        pending::<()>().await;
    }
}

#[cfg(unix)]
async fn terminated() {
    match signal::unix::signal(signal::unix::SignalKind::terminate()) {
        Ok(mut termination) => {
            termination.recv().await;
        }
        Err(_) => pending().await,
    }
}

#[cfg(not(unix))]
async fn terminated() {
    pending().await
}
