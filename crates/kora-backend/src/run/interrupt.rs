//! Ctrl-C: the first cancels the run, another ends the process at once.

use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::task::Poll;

use tokio::signal;
use tokio::sync::oneshot;

use crate::exit::Exit;

/// Takes over Ctrl-C. The future that comes back resolves at the first; once it is gone, a Ctrl-C ends the process.
pub(super) async fn take_over() -> impl Future<Output = ()> {
    let (tell_first, first) = oneshot::channel();
    let (tell_ready, ready) = oneshot::channel();
    tokio::spawn(async move {
        let mut press = pin!(pressed());
        // Asked once, it has taken over. Before that a Ctrl-C would end the process without a word.
        let already = poll_fn(|context| Poll::Ready(press.as_mut().poll(context).is_ready())).await;
        let _ = tell_ready.send(());
        if !already {
            press.await;
        }
        if tell_first.send(()).is_ok() {
            pressed().await;
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

/// Waits for a Ctrl-C; for ever where there are none.
async fn pressed() {
    if signal::ctrl_c().await.is_err() {
        pending::<()>().await;
    }
}
