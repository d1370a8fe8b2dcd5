//! Calls to one endpoint.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use credentials::Secret;
use http::{HeaderValue, Request, Response, header};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};

use crate::connection::{Target, within};
use crate::error::of_hyper;
use crate::pool::{Place, Pool};
use crate::streaming::{Started, Streaming};
use crate::{
    Answer, Call, Dial, Endpoint, TransportError, TransportFault, TransportLimits, Trust, TrustError, Within,
};

/// How often a call that no connection took is given to another one.
const MAX_CONNECTIONS_A_CALL: u32 = 3;

/// Calls to one endpoint, over few connections that are kept and made again. Cheap to clone; clones share them.
///
/// Nothing is sent twice that can have arrived: whether that is safe, the caller knows.
#[derive(Clone)]
pub struct Client {
    pool: Arc<Pool>,
    token: Option<Secret>,
    user_agent: HeaderValue,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target = &self.pool.target;
        f.debug_struct("Client")
            .field("endpoint", &target.endpoint.to_string())
            .field("trust", &target.trust)
            .field("token", &self.token)
            .field("dial", &target.dial)
            .field("limits", &target.limits)
            .finish()
    }
}

impl Client {
    /// A client of `endpoint`, which `trust` vouches for. Connects when it is first asked for something. Every call
    /// carries `token`, if there is one, as `Authorization: Bearer`.
    ///
    /// # Errors
    ///
    /// [`TrustError`] if the certificate authorities cannot be read.
    pub fn new(
        endpoint: Endpoint,
        trust: Trust,
        token: Option<Secret>,
        dial: Arc<dyn Dial>,
        limits: TransportLimits,
    ) -> Result<Self, TrustError> {
        let tls = trust.connector()?;
        let limits = limits.usable();
        let pool = Arc::new(Pool::new(Target { endpoint, trust, tls, dial, limits }));
        let user_agent = HeaderValue::from_static(concat!("kora-krako/", env!("CARGO_PKG_VERSION")));
        Ok(Self { pool, token, user_agent })
    }

    /// Where it calls.
    pub fn endpoint(&self) -> &Endpoint {
        &self.pool.target.endpoint
    }

    /// Its bounds.
    pub fn limits(&self) -> &TransportLimits {
        &self.pool.target.limits
    }

    /// Sees to it that there is a connection with a place for a call, and sends none.
    ///
    /// # Errors
    ///
    /// [`TransportError`] if there is none within `request_timeout_ms`.
    ///
    /// # Cancel safety
    ///
    /// Nothing was sent.
    pub async fn connect(&self) -> Result<(), TransportError> {
        let limit_ms = self.limits().request_timeout_ms;
        let place = within(Within::Call, limit_ms, self.pool.place()).await;
        place.map(drop).map_err(|what| self.error(what, false))
    }

    /// Makes a call and reads its answer whole. A status that is an error's is an answer too.
    ///
    /// # Errors
    ///
    /// [`TransportError`] if there is no whole answer within the bounds. It says whether the call can have arrived.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future takes the call back if it was not sent, and otherwise cuts it off: the other end may have acted
    /// on it.
    pub async fn request(&self, call: Call) -> Result<Answer, TransportError> {
        let sent = AtomicBool::new(false);
        let max = call.max_body_bytes.unwrap_or(self.limits().max_body_bytes);
        let limit_ms = self.limit_ms(&call);
        let whole = async {
            let (response, place) = self.send(call, &sent).await?;
            Streaming::new(self.clone(), response, place).into_answer(max).await
        };
        within(Within::Call, limit_ms, whole)
            .await
            .map_err(|what| self.error(what, sent.load(Ordering::Relaxed)))
    }

    /// Makes a call whose answer is a stream, and gives it as soon as its head is there. An answer that is no success, of
    /// at most `max_body_bytes`, comes whole.
    ///
    /// # Errors
    ///
    /// As [`request`](Self::request).
    ///
    /// # Cancel safety
    ///
    /// As [`request`](Self::request).
    pub async fn stream(&self, call: Call) -> Result<Started, TransportError> {
        let sent = AtomicBool::new(false);
        let max = call.max_body_bytes.unwrap_or(self.limits().max_body_bytes);
        let limit_ms = self.limit_ms(&call);
        let started = async {
            let (response, place) = self.send(call, &sent).await?;
            let streaming = Streaming::new(self.clone(), response, place);
            if streaming.status().is_success() {
                return Ok(Started::Streaming(streaming));
            }
            streaming.into_answer(max).await.map(Started::Answer)
        };
        within(Within::Call, limit_ms, started)
            .await
            .map_err(|what| self.error(what, sent.load(Ordering::Relaxed)))
    }

    fn limit_ms(&self, call: &Call) -> u64 {
        let own = call.within.map(|limit| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX));
        own.unwrap_or(self.limits().request_timeout_ms)
    }

    pub(crate) fn error(&self, what: TransportFault, may_have_arrived: bool) -> TransportError {
        TransportError { endpoint: self.endpoint().clone(), what, may_have_arrived }
    }

    /// Sends the call on a connection that takes it; gives the head of the answer.
    async fn send(
        &self,
        call: Call,
        sent: &AtomicBool,
    ) -> Result<(Response<Incoming>, Place), TransportFault> {
        let mut request = self.written(call)?;
        let mut tries = 0;
        loop {
            let (mut sender, place) = self.pool.place().await?;
            sent.store(true, Ordering::Relaxed);
            let mut error = match sender.try_send_request(request).await {
                Ok(response) => return self.head(response).map(|response| (response, place)),
                Err(error) => error,
            };
            let unsent = error.take_message();
            let (what, unread) = of_hyper(error.error());
            if unsent.is_some() || unread {
                sent.store(false, Ordering::Relaxed);
            }
            self.pool.give_up(place).await;
            tries += 1;
            match unsent {
                // A connection that had ended before it took the call: as if it had never been.
                Some(again) if tries < MAX_CONNECTIONS_A_CALL => request = again,
                Some(_) | None => return Err(what),
            }
        }
    }

    fn written(&self, call: Call) -> Result<Request<Full<Bytes>>, TransportFault> {
        let mut request = Request::builder()
            .method(call.method)
            .uri(self.endpoint().uri(&call.path))
            .body(Full::new(call.body))
            .map_err(|error| TransportFault::Call { said: error.to_string() })?;
        *request.headers_mut() = call.headers;
        request.headers_mut().insert(header::USER_AGENT, self.user_agent.clone());
        if let Some(token) = &self.token {
            request.headers_mut().insert(header::AUTHORIZATION, token.authorization());
        }
        Ok(request)
    }

    /// What can be refused before a body is read.
    fn head(&self, response: Response<Incoming>) -> Result<Response<Incoming>, TransportFault> {
        if response.status().is_redirection() {
            return Err(TransportFault::Redirect { status: response.status().as_u16() });
        }
        let max = self.limits().max_headers;
        if response.headers().len() > max {
            return Err(TransportFault::TooMuch { max, what: "headers" });
        }
        Ok(response)
    }
}
