//! What arrives unencrypted: told so, and nothing of it read (C11.4).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use krako_contract::{ErrorResponse, ErrorType};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::accept::Wire;

/// The first byte of every TLS connection: a record of a handshake.
const HANDSHAKE: u8 = 22;

/// A wire whose first byte was looked at.
pub(super) struct Begun {
    first: Option<u8>,
    wire: Box<dyn Wire>,
}

/// Looks at the first byte. `None` if what comes is not TLS: what looks like HTTP was told to encrypt.
pub(super) async fn begun(mut wire: Box<dyn Wire>) -> Option<Begun> {
    let first = wire.read_u8().await.ok()?;
    if first == HANDSHAKE {
        return Some(Begun { first: Some(first), wire });
    }
    // A method, or the preface of HTTP/2.
    if first.is_ascii_uppercase() {
        let message = "this port speaks HTTPS only; write `https://` in the address. Nothing was read, and if a token was \
                       sent, whoever is on the way has seen it: replace it";
        let error = ErrorResponse::new(ErrorType::ValidationError, message);
        let body = serde_json::to_string(&error.document).unwrap_or_default();
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
             connection: close\r\n\r\n{body}"
        );
        // Whoever does not read it is not told.
        let _ = wire.write_all(answer.as_bytes()).await;
        let _ = wire.shutdown().await;
        // Closing with bytes unread would take the answer back on its way.
        let mut passed = [0; 4096];
        for _ in 0..16 {
            if !matches!(wire.read(&mut passed).await, Ok(1..)) {
                break;
            }
        }
    }
    None
}

impl AsyncRead for Begun {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if let Some(first) = self.first.take() {
            buffer.put_slice(&[first]);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.wire).poll_read(context, buffer)
    }
}

impl AsyncWrite for Begun {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.wire).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(context)
    }
}
