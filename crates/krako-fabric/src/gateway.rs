//! What callers reach: Krako's API over HTTPS (C5.1, C11.4).
//!
//! It knows who asks, how much they may ask, and the form of what they send. What a session is it does not know: that is
//! behind [`Sessions`].
mod config;
mod entry;
mod events;
mod execute;
mod prefer;
mod rate;
mod router;

use std::future::Future;
use std::sync::Arc;

pub use self::config::GatewayConfig;
use self::router::Router;
use crate::listen::{self, Accept, Drained, TlsIdentity};
use crate::sessions::Sessions;
use crate::tenants::Tokens;

/// Serves Krako's API.
#[derive(Clone, Debug)]
pub struct Gateway {
    router: Arc<Router>,
}

impl Gateway {
    /// A gateway before `sessions`, for whoever has one of `tokens`.
    pub fn new(sessions: Arc<dyn Sessions>, tokens: Tokens, config: GatewayConfig) -> Self {
        Self { router: Arc::new(Router::new(sessions, tokens, config)) }
    }

    /// Serves until `shutdown` resolves; then answers what is under way, ends streams with a comment, and sends away
    /// whoever asks for something new (503), for as long as the grace of its limits.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes every connection. No session is touched by that.
    pub async fn serve(
        &self,
        accept: &dyn Accept,
        identity: &TlsIdentity,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Drained {
        let limits = self.router.config().listen;
        listen::serve(accept, identity, Arc::clone(&self.router) as _, limits, shutdown).await
    }
}
