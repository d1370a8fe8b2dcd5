//! A server that speaks as much of the OpenAI API as these tests need.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::PATIENCE;

/// A listener for one question at a time.
pub(crate) struct ModelServer(TcpListener);

impl ModelServer {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://{}/v1", self.0.local_addr().unwrap())
    }

    /// The next question, whole, and the connection that waits for its answer. What models there are it does not tell.
    pub(crate) fn question(&self) -> (Value, TcpStream) {
        loop {
            let mut stream = self.caller();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            if let Some(question) = posted(&mut stream) {
                return (question, stream);
            }
            write!(stream, "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                .unwrap();
        }
    }

    fn caller(&self) -> TcpStream {
        let patience = Instant::now() + PATIENCE;
        loop {
            match self.0.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false).unwrap();
                    return stream;
                }
                Err(_) if Instant::now() < patience => std::thread::sleep(Duration::from_millis(5)),
                Err(error) => panic!("nobody asks: {error}"),
            }
        }
    }

    pub(crate) fn answer(mut stream: TcpStream, model: &str, reply: &Value) {
        let body = json!({
            "id": "1", "object": "chat.completion", "created": 0, "model": model,
            "choices": [{"index": 0, "finish_reason": "stop",
                "message": {"role": "assistant", "content": reply.to_string()}}],
            "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
        })
        .to_string();
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
        write!(stream, "{head}content-length: {}\r\n\r\n{body}", body.len()).unwrap();
    }
}

/// The body of a `POST`; nothing of a `GET`.
fn posted(stream: &mut TcpStream) -> Option<Value> {
    let mut read = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let count = stream.read(&mut chunk).unwrap();
        assert!(count > 0, "it hung up before its question was whole");
        read.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&read);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        if head.starts_with("GET ") {
            return None;
        }
        let length = head.to_ascii_lowercase();
        let length = length.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
        if body.len() >= length.unwrap().parse::<usize>().unwrap() {
            return Some(serde_json::from_str(body).unwrap());
        }
    }
}
