//! Any backend as a service: documents in, contract, documents out.

use std::sync::Arc;

use async_trait::async_trait;
use backend_api::{
    ExecutionBackend, ExecutionContext, ExecutionResult, Refusal, RefusalDocument, StreamingExecution,
};
use kora_ir::{CheckedGraph, InvalidGraph, Limits};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::streaming::Telling;
use crate::{Answer, EventSink, ExecuteRequest, Service, StreamingService, context};

/// Bytes of a graph that are checked on the spot; a longer one is checked off the threads that carry messages.
const CHECKED_ON_THE_SPOT: usize = 64 << 10;

/// A backend as a [`Service`].
#[derive(Debug)]
pub struct BackendService<B: ExecutionBackend + ?Sized>(Arc<B>);

impl<B: ExecutionBackend + ?Sized> BackendService<B> {
    /// Serves `backend`.
    pub fn new(backend: Arc<B>) -> Self {
        Self(backend)
    }
}

/// What is run.
async fn read(request: ExecuteRequest) -> Result<(CheckedGraph, ExecutionContext), RefusalDocument> {
    // The cheap check first: nobody should wait for a graph to be read to learn of a missing name.
    let context = context::read(&request.execution_context)?;
    let graph = check(request.taskgraph).await?;
    let graph = graph.map_err(|invalid| RefusalDocument::from(&Refusal::InvalidGraph(invalid)))?;
    Ok((graph, context))
}

fn written(ran: Result<ExecutionResult, Refusal>) -> Answer {
    match ran {
        Ok(result) => match serde_json::to_value(&result) {
            Ok(document) => Answer::Result(document),
            Err(error) => {
                Answer::Refused(RefusalDocument::internal(format!("the result cannot be written: {error}")))
            }
        },
        Err(refusal) => Answer::Refused(RefusalDocument::from(&refusal)),
    }
}

async fn check(text: Box<RawValue>) -> Result<Result<CheckedGraph, InvalidGraph>, RefusalDocument> {
    let length = text.get().len();
    let parse = move || CheckedGraph::parse(text.get(), &Limits::default());
    if length <= CHECKED_ON_THE_SPOT {
        return Ok(parse());
    }
    let checked = tokio::task::spawn_blocking(parse).await;
    checked.map_err(|_| RefusalDocument::internal("the check of the graph did not end; this is a bug"))
}

#[async_trait]
impl<B: ExecutionBackend + ?Sized> Service for BackendService<B> {
    async fn execute_taskgraph(&self, request: ExecuteRequest) -> Answer {
        match read(request).await {
            Ok((graph, context)) => written(self.0.execute_taskgraph(&graph, &context).await),
            Err(refusal) => Answer::Refused(refusal),
        }
    }

    async fn health_check(&self) -> Value {
        // Plain numbers and words: writing them does not fail.
        serde_json::to_value(self.0.health_check().await).unwrap_or_default()
    }

    fn capability_descriptor(&self) -> Value {
        serde_json::to_value(self.0.capability_descriptor()).unwrap_or_default()
    }
}

#[async_trait]
impl<B: StreamingExecution + ?Sized> StreamingService for BackendService<B> {
    async fn execute_streaming(&self, request: ExecuteRequest, events: Arc<dyn EventSink>) -> Answer {
        match read(request).await {
            Ok((graph, context)) => {
                let observer = Arc::new(Telling(events));
                written(self.0.execute_streaming(&graph, &context, observer).await)
            }
            Err(refusal) => Answer::Refused(refusal),
        }
    }
}

#[cfg(test)]
mod tests {
    use backend_local::{LocalBackend, LocalConfig};
    use models::ModelRouter;
    use serde_json::json;

    use super::*;

    fn service() -> BackendService<LocalBackend> {
        // Whether a model of our own is there is a question to the machine.
        let config = LocalConfig { models: ModelRouter::default(), ..LocalConfig::default() };
        BackendService::new(Arc::new(LocalBackend::new(config)))
    }

    async fn answer(graph: &str, context: Value) -> Answer {
        let taskgraph = RawValue::from_string(graph.to_owned()).unwrap();
        service().execute_taskgraph(ExecuteRequest { taskgraph, execution_context: context }).await
    }

    fn context(backend_mode: &str) -> Value {
        json!({"run_id": "r-1", "trace_id": "t-1", "backend_mode": backend_mode})
    }

    const GRAPH: &str = include_str!("../../../fixtures/golden/support-triage.json");

    // shows C1.3, C3.1, C3.4
    #[tokio::test]
    async fn a_graph_goes_in_as_text_and_its_result_comes_out_as_a_document() {
        let Answer::Result(result) = answer(GRAPH, context("local")).await else { panic!("refused") };
        assert_eq!(
            (&result["status"], &result["execution_metadata"]["run_id"]),
            (&json!("success"), &json!("r-1"))
        );
        assert!(result["telemetry_bundle"]["tasks"].as_array().is_some_and(|tasks| !tasks.is_empty()));
    }

    #[tokio::test]
    async fn a_long_graph_is_answered_like_a_short_one() {
        let padded =
            format!("{{{}{}", " ".repeat(CHECKED_ON_THE_SPOT), GRAPH.trim_start().trim_start_matches('{'));
        assert!(matches!(answer(&padded, context("local")).await, Answer::Result(_)));
    }

    // shows C3.2
    #[tokio::test]
    async fn a_key_that_stands_there_twice_is_seen_twice() {
        let twice = GRAPH.replacen('{', "{\"graph_id\": \"other\",\n", 1);
        let Answer::Refused(refusal) = answer(&twice, context("local")).await else { panic!("ran") };
        assert_eq!(refusal.error_type, "VALIDATION_ERROR");
        insta::assert_json_snapshot!(refusal.details);
    }

    // shows C10.3, C3.7
    #[tokio::test]
    async fn whatever_stops_a_run_has_its_word() {
        let check = async |graph: &str, context: Value| match answer(graph, context).await {
            Answer::Refused(refusal) => refusal,
            Answer::Result(_) => panic!("ran"),
        };
        let refused = check(GRAPH, context("krako")).await;
        assert_eq!(refused.error_type, "VALIDATION_ERROR");
        assert_eq!(refused.details, Some(json!({"asked": "krako", "this": "local"})));
        let newer = include_str!("../../../fixtures/clauses/C10.3-other-major.json");
        assert_eq!(check(newer, context("local")).await.error_type, "VERSION_MISMATCH");
        let beyond = include_str!("../../../fixtures/clauses/C3.7-unknown-operation.json");
        let refused = check(beyond, context("local")).await;
        assert_eq!(refused.error_type, "VALIDATION_ERROR");
        assert_eq!(refused.details.unwrap()["unmet"][0]["capability"], "operations");
    }

    // shows C3.5, C3.6
    #[tokio::test]
    async fn status_and_capabilities_are_documents() {
        let service = service();
        assert_eq!(service.health_check().await["status"], "healthy");
        assert_eq!(service.capability_descriptor()["distributed"], false);
    }
}
