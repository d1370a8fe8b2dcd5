//! Ctrl-C: the first cancels the run, another ends the process at once.

use tokio::signal;
use tokio::sync::oneshot;

use crate::exit::Exit;

/// Resolves at the first Ctrl-C. Once nobody waits for it any more, a Ctrl-C ends the process.
pub(super) async fn listen() {
    let (first, told) = oneshot::channel();
    tokio::spawn(async move {
        wait().await;
        if first.send(()).is_ok() {
            wait().await;
        }
        std::process::exit(i32::from(Exit::Interrupted.code()));
    });
    if told.await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Waits for a Ctrl-C; for ever where there are none.
async fn wait() {
    if signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
