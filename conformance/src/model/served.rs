//! Which models the suite serves, and where.

use std::sync::Arc;

use hyper::Method;
use serde::Serialize;

use crate::loopback::Address;
use crate::model::ModelBook;

/// A model that the suite's side serves.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "what the protocol's hello tells of a model")]
pub struct SuiteModel {
    /// By which tasks ask for it.
    pub id: &'static str,
    /// The class of models it belongs to, by which tasks may ask as well.
    pub tier: &'static str,
    /// Tokens of prompt and reply together.
    pub context_tokens: u64,
}

/// All that are served. Two, so that a backend can be seen taking the heavier one (C11.3).
pub const MODELS: [SuiteModel; 2] = [
    SuiteModel { id: "suite-small", tier: "small", context_tokens: 8192 },
    SuiteModel { id: "suite-large", tier: "large", context_tokens: 32768 },
];

/// Where the suite's model is found by what is made for a case.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "in this process, and maybe at an address")]
pub struct ModelEndpoint {
    /// What answers, for whoever is in this process.
    pub book: Arc<ModelBook>,
    /// Where a server listens that answers from the same book, up to and including `/v1`, if one does.
    pub base_url: Option<String>,
}

impl ModelEndpoint {
    /// Waits until every call that was sent by now is in the book, also if who sent it has hung up since.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub(crate) async fn heard_out(&self) {
        let Some(base_url) = &self.base_url else { return };
        // Connections are accepted in the order in which they are made: after this one, all before it are.
        if let Ok(address) = Address::parse(base_url) {
            drop(address.send(Method::GET, "/models", None).await);
        }
        self.book.has_arrived().await;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Write as _;
    use std::net::TcpStream;

    use serde_json::json;

    use super::*;
    use crate::model::{Act, ModelServer, Step, marker};

    /// Calls `task` over a connection of its own, and is gone before anybody has read it.
    fn call_and_hang_up(server: &ModelServer, task: &str) {
        let content = marker("aaaaa", task);
        let body = json!({"model": "suite-small", "messages": [{"role": "user", "content": content}]});
        let body = body.to_string();
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.write_all((head + &body).as_bytes()).unwrap();
    }

    // A current thread: nothing is accepted or read before the test waits for it.
    #[tokio::test]
    async fn a_call_that_was_given_up_at_once_belongs_to_the_run_that_made_it() {
        let server = ModelServer::start(ModelBook::new(), 0).await.unwrap();
        let endpoint = server.endpoint();
        let run = || {
            let steps = BTreeMap::from([("x".to_owned(), vec![Step::new(Act::Hang)])]);
            endpoint.book.begin("aaaaa", steps)
        };
        for _ in 0..20 {
            let first = run();
            call_and_hang_up(&server, "x");
            assert_eq!(first.finish().0.len(), 0, "who does not wait does not see it");
            let second = run();
            endpoint.heard_out().await;
            assert_eq!(second.finish().0.len(), 1, "and takes it for another's");

            let first = run();
            call_and_hang_up(&server, "x");
            endpoint.heard_out().await;
            assert_eq!(first.finish().0.len(), 1);
            let second = run();
            endpoint.heard_out().await;
            assert_eq!(second.finish(), (Vec::new(), 0));
        }
    }
}
