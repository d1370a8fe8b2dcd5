//! A server that says exactly what it is told to, byte by byte.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

/// One thing that a server does.
#[derive(Clone, Debug)]
pub(crate) enum Say {
    /// Sends these bytes.
    Bytes(Vec<u8>),
    /// Sends these bytes again and again, with a pause after each time.
    Forever(Vec<u8>, Duration),
    /// Says nothing more and keeps the connection.
    Hang,
    /// Resets the connection.
    Reset,
}

/// What a client sent.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    /// Request line and headers, in lower case.
    pub(crate) head: String,
    /// The body.
    pub(crate) body: Value,
}

/// A server on a loopback port. Dropped with the runtime of its test.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    heard: Arc<Mutex<Vec<Heard>>>,
    asked: watch::Receiver<usize>,
    closed: watch::Receiver<usize>,
}

impl Peer {
    /// Answers the first connection with the first script, and so on; the last script again and again.
    pub(crate) async fn start(scripts: Vec<Vec<Say>>) -> Self {
        Self::start_with(scripts, None).await
    }

    pub(crate) async fn start_with(scripts: Vec<Vec<Say>>, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::default();
        let (asked_in, asked) = watch::channel(0);
        let (closed_in, closed) = watch::channel(0);
        let (asked_in, closed_in) = (Arc::new(asked_in), Arc::new(closed_in));
        let log = Arc::clone(&heard);
        tokio::spawn(async move {
            for place in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let script = scripts[place.min(scripts.len() - 1)].clone();
                let (log, asked, closed) = (Arc::clone(&log), Arc::clone(&asked_in), Arc::clone(&closed_in));
                let tls = tls.clone();
                tokio::spawn(async move {
                    match tls {
                        Some(tls) => {
                            if let Ok(mut stream) = tls.accept(stream).await {
                                answer(&mut stream, &script, &log, &asked).await;
                            }
                        }
                        None => serve(stream, &script, &log, &asked).await,
                    }
                    closed.send_modify(|count| *count += 1);
                });
            }
        });
        Self { address, heard, asked, closed }
    }

    /// What was heard so far.
    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    /// Waits until `count` requests were heard.
    pub(crate) async fn asked(&self, count: usize) {
        self.asked.clone().wait_for(|asked| *asked >= count).await.unwrap();
    }

    /// Waits until `count` connections ended.
    pub(crate) async fn closed(&self, count: usize) {
        self.closed.clone().wait_for(|closed| *closed >= count).await.unwrap();
    }
}

async fn serve(mut stream: TcpStream, script: &[Say], log: &Mutex<Vec<Heard>>, asked: &watch::Sender<usize>) {
    let reset = answer(&mut stream, script, log, asked).await;
    if reset {
        stream.set_zero_linger().unwrap();
    } else {
        drop(stream.shutdown().await);
        // Closing with unread bytes would be a reset.
        let mut rest = [0; 1024];
        while matches!(stream.read(&mut rest).await, Ok(count) if count > 0) {}
    }
}

/// Plays the script until it ends or the client is gone. Whether the connection shall be reset.
async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    script: &[Say],
    log: &Mutex<Vec<Heard>>,
    asked: &watch::Sender<usize>,
) -> bool {
    let Some(heard) = hear(stream).await else { return false };
    log.lock().unwrap().push(heard);
    asked.send_modify(|count| *count += 1);
    for say in script {
        match say {
            Say::Bytes(bytes) => {
                if stream.write_all(bytes).await.is_err() || stream.flush().await.is_err() {
                    return false;
                }
            }
            Say::Forever(bytes, pause) => {
                while stream.write_all(bytes).await.is_ok() && stream.flush().await.is_ok() {
                    if pause.is_zero() {
                        tokio::task::yield_now().await;
                    } else {
                        tokio::time::sleep(*pause).await;
                    }
                }
                return false;
            }
            Say::Hang => {
                let mut rest = [0; 64];
                while matches!(stream.read(&mut rest).await, Ok(count) if count > 0) {}
                return false;
            }
            Say::Reset => return true,
        }
    }
    drop(stream.shutdown().await);
    false
}

async fn hear<S: AsyncRead + Unpin>(stream: &mut S) -> Option<Heard> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap().to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
    let length: usize = length.unwrap_or(0);
    while bytes.len() < head_end + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let body = serde_json::from_slice(&bytes[head_end..]).unwrap_or(Value::Null);
    Some(Heard { head, body })
}

/// Bytes to send.
pub(crate) fn bytes(text: impl AsRef<[u8]>) -> Say {
    Say::Bytes(text.as_ref().to_vec())
}

/// The same bytes again and again, without a pause.
pub(crate) fn endless(say: Say) -> Say {
    let Say::Bytes(bytes) = say else { return say };
    Say::Forever(bytes, Duration::ZERO)
}

/// The head of a stream that ends with its connection.
pub(crate) fn stream_head() -> Say {
    bytes("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nconnection: close\r\n\r\n")
}

/// An event.
pub(crate) fn event(data: &Value) -> Say {
    bytes(format!("data: {data}\n\n"))
}

/// An event with a piece of text.
pub(crate) fn piece(text: &str) -> Say {
    event(
        &json!({"model": "tiny", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}]}),
    )
}

/// The event that ends the text.
pub(crate) fn finish(reason: &str) -> Say {
    event(&json!({"model": "tiny", "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}))
}

/// The event that tells the usage.
pub(crate) fn usage(tokens_in: u64, tokens_out: u64) -> Say {
    event(
        &json!({"model": "tiny", "choices": [], "usage": {"prompt_tokens": tokens_in, "completion_tokens": tokens_out}}),
    )
}

/// The event that ends the stream.
pub(crate) fn done() -> Say {
    bytes("data: [DONE]\n\n")
}

/// A good answer: `{"ok":true}` in three tokens.
pub(crate) fn good() -> Vec<Say> {
    vec![stream_head(), piece("{\"ok\""), piece(":"), piece("true}"), finish("stop"), usage(12, 3), done()]
}

/// A whole response with a body.
pub(crate) fn response(status: &str, content_type: &str, body: &str) -> Vec<Say> {
    let length = body.len();
    vec![bytes(format!(
        "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    ))]
}

/// A JSON response.
pub(crate) fn json_response(status: &str, body: &Value) -> Vec<Say> {
    response(status, "application/json", &body.to_string())
}
