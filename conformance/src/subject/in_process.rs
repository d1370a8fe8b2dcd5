//! A backend in this process, under virtual time.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use async_trait::async_trait;
use backend_server::{Answer, ExecuteRequest, Service};
use serde_json::Value;

use crate::model::ModelEndpoint;
use crate::subject::{Clock, Introduction, Mishap, Plug, Subject, Transport};

type Factory = dyn Fn(&ModelEndpoint) -> Arc<dyn Service> + Send + Sync;

/// Makes a new backend for each case, of any [`Service`].
///
/// Time is virtual for it, which takes a runtime of one thread whose clock is paused. A backend that panics has ended
/// without an answer.
pub struct InProcess {
    introduction: Introduction,
    factory: Box<Factory>,
}

impl InProcess {
    /// A plug for what `factory` makes. The endpoint that it gets has no address: a socket knows real time only.
    pub fn new(
        introduction: Introduction,
        factory: impl Fn(&ModelEndpoint) -> Arc<dyn Service> + Send + Sync + 'static,
    ) -> Self {
        Self { introduction, factory: Box::new(factory) }
    }
}

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcess").field("introduction", &self.introduction).finish_non_exhaustive()
    }
}

#[async_trait]
impl Plug for InProcess {
    fn transport(&self) -> Transport {
        Transport::InProcess
    }

    fn clock(&self) -> Clock {
        Clock::Virtual
    }

    async fn open(&self, endpoint: &ModelEndpoint) -> Result<Box<dyn Subject>, Mishap> {
        let endpoint = ModelEndpoint { book: Arc::clone(&endpoint.book), base_url: None };
        let service = caught(|| (self.factory)(&endpoint))?;
        Ok(Box::new(Here { introduction: self.introduction.clone(), service }))
    }
}

#[derive(Debug)]
struct Here {
    introduction: Introduction,
    service: Arc<dyn Service>,
}

#[async_trait]
impl Subject for Here {
    async fn execute_taskgraph(&self, request: ExecuteRequest) -> Result<Answer, Mishap> {
        survived(self.service.execute_taskgraph(request)).await
    }

    async fn health_check(&self) -> Result<Value, Mishap> {
        survived(self.service.health_check()).await
    }

    async fn capability_descriptor(&self) -> Result<Value, Mishap> {
        caught(|| self.service.capability_descriptor())
    }

    fn introduction(&self) -> Introduction {
        self.introduction.clone()
    }

    async fn close(self: Box<Self>) -> Option<String> {
        None
    }
}

/// Polled in place and not in a task of its own: what is dropped must be gone at once (S13).
pub(super) async fn survived<T>(future: impl Future<Output = T>) -> Result<T, Mishap> {
    let mut future = pin!(future);
    std::future::poll_fn(|context| match caught(|| future.as_mut().poll(context)) {
        Ok(Poll::Ready(done)) => Poll::Ready(Ok(done)),
        Ok(Poll::Pending) => Poll::Pending,
        Err(mishap) => Poll::Ready(Err(mishap)),
    })
    .await
}

pub(super) fn caught<T>(act: impl FnOnce() -> T) -> Result<T, Mishap> {
    // What a panic left half done is not looked at again: the backend has failed its case.
    catch_unwind(AssertUnwindSafe(act)).map_err(|payload| {
        let said = said(payload.as_ref());
        Mishap::Ended { detail: format!("it panicked: {said}") }
    })
}

fn said(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or(payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a word")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use backend_local::{LocalBackend, LocalConfig};
    use backend_server::BackendService;
    use models::ModelRouter;
    use serde_json::json;
    use serde_json::value::RawValue;

    use super::*;
    use crate::model::{Act, BookAdapter, CallEnd, ModelBook, Step, marker};

    #[derive(Debug)]
    struct Broken;

    #[async_trait]
    impl Service for Broken {
        async fn execute_taskgraph(&self, _: ExecuteRequest) -> Answer {
            tokio::task::yield_now().await;
            panic!("index out of bounds")
        }

        async fn health_check(&self) -> Value {
            panic!("{} is out", 7)
        }

        fn capability_descriptor(&self) -> Value {
            panic!("nothing")
        }
    }

    fn request(task: &str) -> ExecuteRequest {
        let graph = json!({
            "kora_version": "1.0.0", "graph_id": "g", "root": "ask", "tasks": [{
                "version": "1.0", "id": "ask", "type": "model", "dependencies": [], "input": {},
                "schema": {"type": "object", "properties": {"ok": {"type": "boolean"}}},
                "budget": {"max_tokens": 10, "max_time_ms": 1000, "max_retries": 1},
                "run": {"model": "suite-small", "prompt": format!("ok? {}", marker("aaaaa", task))},
            }],
        });
        ExecuteRequest {
            taskgraph: RawValue::from_string(graph.to_string()).unwrap(),
            execution_context: json!({"run_id": "r", "trace_id": "t", "backend_mode": "local"}),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_backend_that_panics_has_ended_without_an_answer() {
        let plug = InProcess::new(Introduction::default(), |_| Arc::new(Broken));
        let endpoint = ModelEndpoint { book: ModelBook::new(), base_url: None };
        let subject = plug.open(&endpoint).await.unwrap();
        let ended = |detail: &str| Mishap::Ended { detail: detail.into() };
        let mishap = subject.execute_taskgraph(request("x")).await.unwrap_err();
        assert_eq!(mishap, ended("it panicked: index out of bounds"));
        assert_eq!(subject.health_check().await, Err(ended("it panicked: 7 is out")));
        assert_eq!(subject.capability_descriptor().await, Err(ended("it panicked: nothing")));
    }

    async fn local(endpoint: &ModelEndpoint) -> Box<dyn Subject> {
        let plug = InProcess::new(Introduction::default(), |endpoint| {
            let adapter = Arc::new(BookAdapter::new(Arc::clone(&endpoint.book)));
            let models = ModelRouter::new(vec![adapter]).unwrap();
            let config = LocalConfig { models, ..LocalConfig::default() };
            Arc::new(BackendService::new(Arc::new(LocalBackend::new(config))))
        });
        plug.open(endpoint).await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_is_answered_and_its_calls_are_seen() {
        let endpoint = ModelEndpoint { book: ModelBook::new(), base_url: None };
        let subject = local(&endpoint).await;
        let steps = vec![Step::new(Act::Text("no".into())), Step::new(Act::Reply(json!({"ok": true})))];
        let run = endpoint.book.begin("aaaaa", BTreeMap::from([("x".into(), steps)]));
        let Answer::Result(result) = subject.execute_taskgraph(request("x")).await.unwrap() else {
            panic!("refused")
        };
        assert_eq!(result["final_output"], json!({"ok": true}));
        let (calls, stray) = run.finish();
        let seen: Vec<_> = calls.iter().map(|call| (call.attempt, call.tokens_out, call.end)).collect();
        assert_eq!((seen, stray), (vec![(0, 1, CallEnd::Said), (1, 3, CallEnd::Said)], 0));
        assert!(calls.iter().all(|call| call.prompt.contains("ok? [ref:aaaaa/x]")));
    }

    #[tokio::test(start_paused = true)]
    async fn dropping_the_request_hangs_up_at_once() {
        let endpoint = ModelEndpoint { book: ModelBook::new(), base_url: None };
        let subject = local(&endpoint).await;
        let run = endpoint.book.begin("aaaaa", BTreeMap::from([("x".into(), vec![Step::new(Act::Hang)])]));
        tokio::select! {
            _ = subject.execute_taskgraph(request("x")) => panic!("answered"),
            () = run.called(1) => {}
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        let (calls, stray) = run.finish();
        assert_eq!((calls.len(), calls[0].end, stray), (1, CallEnd::HungUp, 0));
    }
}
