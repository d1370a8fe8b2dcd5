//! `POST /v1/execute`: a graph on its way to a fabric, in the very text that KORA wrote (C5.1, C5.5).

use backend_api::{ExecutionContext, Fault, RefusalDocument, RunId, TraceId, UserId};
use kora_ir::{CheckedGraph, InvalidGraph, Limits};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;

use crate::reading::{fields, negotiate, text};
use crate::version::{API_VERSION, CONTRACT_VERSION, Declares};
use crate::word::words;
use crate::{GraphId, InvalidDocument, Region, RequestId, TenantId, Timestamp, WireLimits};

const NAME: &str = "submission";

words! {
    /// How soon a session should run among others. A hint.
    #[expect(clippy::exhaustive_enums, reason = "Task IR 1.0 closes the set")]
    pub enum SessionPriority {
        /// The default.
        Normal = "normal",
        /// Before `normal`.
        High = "high",
    }
}

/// Hints about where and how soon. They change no result (C12.3, C12.4).
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "Krako's public API closes the set of fields")]
pub struct SubmissionOptions {
    /// How soon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<SessionPriority>,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,
}

/// Who asks, under which names (C3.3). Ours: KORA's public API has no such field.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(clippy::exhaustive_structs, reason = "contract §3.1 lists the fields")]
pub struct SubmissionContext {
    /// Names the run. The idempotency anchor of a graph without a `request_id`.
    pub run_id: RequestId,
    /// Names the request that the run is part of.
    pub trace_id: RequestId,
    /// On whose behalf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<RequestId>,
}

impl SubmissionContext {
    /// Of a context of KORA's. Its names keep the same rule, so nothing is lost.
    ///
    /// # Errors
    ///
    /// [`InvalidDocument`] if a name does not; that would be a bug of ours.
    pub fn of(context: &ExecutionContext) -> Result<Self, InvalidDocument> {
        let name = |pointer, text: &str| {
            RequestId::new(text).map_err(|error| InvalidDocument::field(NAME, pointer, error.to_string()))
        };
        Ok(Self {
            run_id: name("/execution_context/run_id", context.run_id.as_str())?,
            trace_id: name("/execution_context/trace_id", context.trace_id.as_str())?,
            user_id: context
                .user_id
                .as_ref()
                .map(|user| name("/execution_context/user_id", user.as_str()))
                .transpose()?,
        })
    }

    /// The names as KORA has them. `None` if one does not keep KORA's rule; that would be a bug of ours.
    pub fn names(&self) -> Option<(RunId, TraceId, Option<UserId>)> {
        let user = match &self.user_id {
            Some(user) => Some(UserId::new(user.as_str()).ok()?),
            None => None,
        };
        Some((RunId::new(self.run_id.as_str()).ok()?, TraceId::new(self.trace_id.as_str()).ok()?, user))
    }
}

/// Where a submission has its idempotency anchor, tenant and time from.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "in the graph, as published, or beside it as well")]
pub enum Anchoring {
    /// In the graph, all of them, as Krako publishes.
    InGraph,
    /// In the graph; what it does not have, from its context, its bearer and the fabric's clock (decision 0019).
    #[default]
    GraphOrContext,
}

/// What names a submission.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "Krako lists the fields")]
pub struct Anchor {
    /// Two submissions of one tenant under one `request_id` are one.
    pub request_id: RequestId,
    /// Who is billed. `None`: whoever the bearer token stands for.
    pub tenant_id: Option<TenantId>,
    /// When KORA made it. `None`: when it was accepted.
    pub created_at: Option<Timestamp>,
}

/// A submission that was checked: its graph, its anchor and its hints. Made at either end by the same rules.
#[derive(Clone, Debug)]
pub struct Submission {
    graph: CheckedGraph,
    graph_id: GraphId,
    anchor: Anchor,
    options: SubmissionOptions,
    context: Option<SubmissionContext>,
}

/// Why something is no submission. Nothing ran.
#[derive(Clone, Debug, Error)]
#[expect(
    clippy::exhaustive_enums,
    reason = "what is around the graph, the graph, and what the graph must have besides"
)]
pub enum InvalidSubmission {
    /// What is around the graph.
    #[error(transparent)]
    Document(#[from] InvalidDocument),
    /// The graph.
    #[error("invalid graph: {0}")]
    Graph(#[from] InvalidGraph),
    /// What a graph has to have to be submitted. All that is wrong, at once.
    #[error("not to be submitted: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Anchor(Vec<Fault>),
}

impl InvalidSubmission {
    /// The same as a document, for whoever sent it.
    pub fn to_document(&self) -> RefusalDocument {
        match self {
            Self::Document(invalid) => invalid.to_document(),
            Self::Graph(invalid) => {
                RefusalDocument::from(&backend_api::Refusal::InvalidGraph(invalid.clone()))
            }
            Self::Anchor(faults) => RefusalDocument::faults(NAME, faults),
        }
    }
}

/// Every field, the graph as text.
#[derive(Deserialize)]
struct Fields<'d> {
    #[serde(borrow)]
    taskgraph: &'d RawValue,
    #[serde(default)]
    execution_options: Option<SubmissionOptions>,
    #[serde(default)]
    execution_context: Option<SubmissionContext>,
}

#[derive(Serialize)]
struct Written<'s> {
    api_version: &'static str,
    contract_version: &'static str,
    taskgraph: &'s RawValue,
    execution_options: &'s SubmissionOptions,
    #[serde(skip_serializing_if = "Option::is_none")]
    execution_context: Option<&'s SubmissionContext>,
}

impl Submission {
    /// A submission of `graph`, which stays as it is (C5.5).
    ///
    /// # Errors
    ///
    /// [`InvalidSubmission::Anchor`] says what the graph or its context must have besides.
    pub fn new(
        graph: CheckedGraph,
        options: SubmissionOptions,
        context: Option<SubmissionContext>,
        anchoring: Anchoring,
    ) -> Result<Self, InvalidSubmission> {
        let mut faults = Vec::new();
        let anchor = anchor(&graph, context.as_ref(), anchoring, &mut faults);
        let graph_id = GraphId::new(graph.graph_id())
            .map_err(|error| faults.push(fault("/taskgraph/graph_id", &error.to_string(), "shorten it")))
            .ok();
        match (anchor, graph_id) {
            (Some(anchor), Some(graph_id)) if faults.is_empty() => {
                Ok(Self { graph, graph_id, anchor, options, context })
            }
            _ => Err(InvalidSubmission::Anchor(faults)),
        }
    }

    /// Reads and checks a submission that somebody else wrote. Fields that this version does not know are accepted.
    ///
    /// # Errors
    ///
    /// [`InvalidSubmission`] says what is wrong, where, and how to mend it: the versions before anything else (C10.3).
    pub fn read(
        bytes: &[u8],
        wire: &WireLimits,
        limits: &Limits,
        anchoring: Anchoring,
    ) -> Result<Self, InvalidSubmission> {
        let max = limits.max_graph_bytes.saturating_add(wire.max_envelope_bytes);
        let text = text(bytes, NAME, max)?;
        negotiate(text, NAME, Declares::Both)?;
        let read: Fields<'_> = fields(text, NAME)?;
        let graph = CheckedGraph::parse(read.taskgraph.get(), limits)?;
        Self::new(graph, read.execution_options.unwrap_or_default(), read.execution_context, anchoring)
    }

    /// The submission as JSON, with the graph in the very text that was checked: its digest is the same at both ends (I1).
    pub fn write(&self) -> String {
        // It was parsed as JSON, so it is JSON still.
        let Ok(taskgraph) = serde_json::from_str::<&RawValue>(self.graph.source()) else {
            return String::new();
        };
        let written = Written {
            api_version: API_VERSION,
            contract_version: CONTRACT_VERSION,
            taskgraph,
            execution_options: &self.options,
            execution_context: self.context.as_ref(),
        };
        serde_json::to_string(&written).unwrap_or_default()
    }

    /// The graph.
    pub fn graph(&self) -> &CheckedGraph {
        &self.graph
    }

    /// The graph's id.
    pub fn graph_id(&self) -> &GraphId {
        &self.graph_id
    }

    /// What names it.
    pub fn anchor(&self) -> &Anchor {
        &self.anchor
    }

    /// Its hints.
    pub fn options(&self) -> &SubmissionOptions {
        &self.options
    }

    /// Who asks.
    pub fn context(&self) -> Option<&SubmissionContext> {
        self.context.as_ref()
    }
}

fn fault(pointer: &str, message: &str, help: &str) -> Fault {
    Fault {
        code: "not-submittable",
        pointer: pointer.to_owned(),
        message: message.to_owned(),
        help: help.to_owned(),
    }
}

fn anchor(
    graph: &CheckedGraph,
    context: Option<&SubmissionContext>,
    anchoring: Anchoring,
    faults: &mut Vec<Fault>,
) -> Option<Anchor> {
    if anchoring == Anchoring::InGraph {
        for (name, found) in [
            ("schema_version", graph.schema_version()),
            ("request_id", graph.request_id()),
            ("tenant_id", graph.tenant_id()),
            ("created_at", graph.created_at()),
        ] {
            if found.is_none() {
                let message = format!("`{name}` is missing");
                faults.push(fault(
                    &format!("/taskgraph/{name}"),
                    &message,
                    "Krako takes no graph without it",
                ));
            }
        }
    }
    let mut wrong = |name: &str, error: String| {
        faults.push(fault(&format!("/taskgraph/{name}"), &error, "mend it in KORA"))
    };
    let tenant_id = graph.tenant_id().map(TenantId::new).transpose();
    let tenant_id = tenant_id.map_err(|error| wrong("tenant_id", error.to_string())).ok();
    let created_at = graph.created_at().map(Timestamp::new).transpose();
    let created_at = created_at.map_err(|error| wrong("created_at", error.to_string())).ok();
    let request_id = graph.request_id().map(RequestId::new).transpose();
    let request_id = request_id.map_err(|error| wrong("request_id", error.to_string())).ok();
    let request_id = match (request_id?, context, anchoring) {
        (Some(request_id), _, _) => request_id,
        (None, Some(context), Anchoring::GraphOrContext) => context.run_id.clone(),
        (None, None, Anchoring::GraphOrContext) => {
            let help = "give the graph one, or send an `execution_context` with a `run_id`";
            faults.push(fault("/taskgraph/request_id", "there is no idempotency anchor", help));
            return None;
        }
        (None, _, Anchoring::InGraph) => return None,
    };
    Some(Anchor { request_id, tenant_id: tenant_id?, created_at: created_at? })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::GRAPH;

    fn read(document: &str, anchoring: Anchoring) -> Result<Submission, InvalidSubmission> {
        Submission::read(document.as_bytes(), &WireLimits::default(), &Limits::default(), anchoring)
    }

    fn document(change: Value) -> String {
        let mut document = json!({"api_version": "1.0", "contract_version": "1.0.0", "taskgraph": null});
        for (name, value) in change.as_object().unwrap() {
            document[name] = value.clone();
        }
        document.to_string().replace("\"taskgraph\":null", &format!("\"taskgraph\":{GRAPH}"))
    }

    // shows C5.1, C5.5
    #[test]
    fn a_graph_arrives_in_the_very_text_that_was_sent() {
        let graph = CheckedGraph::parse(GRAPH, &Limits::default()).unwrap();
        let sent =
            Submission::new(graph.clone(), SubmissionOptions::default(), None, Anchoring::InGraph).unwrap();
        let arrived = read(&sent.write(), Anchoring::InGraph).unwrap();
        assert_eq!(arrived.graph().source(), GRAPH.trim());
        assert_eq!(arrived.graph().digest(), graph.digest());
        assert_eq!(arrived.anchor(), sent.anchor());
        assert_eq!(arrived.anchor().request_id.as_str(), "req-2026-03-09-0001");
    }

    // shows C10.3
    #[test]
    fn versions_come_before_everything_else() {
        let said = |text: &str| read(text, Anchoring::InGraph).unwrap_err().to_document();
        for text in
            ["{}", r#"{"api_version": "1.0", "taskgraph": 7}"#, r#"{"api_version": "2.0", "taskgraph": [}"#]
        {
            let document = said(text);
            let expected = if text.ends_with("[}") { "VALIDATION_ERROR" } else { "VERSION_MISMATCH" };
            assert_eq!(document.error_type, expected, "{text}: {}", document.message);
        }
        let newer = document(json!({"api_version": "1.8", "contract_version": "1.2.0", "colour": "green"}));
        assert!(read(&newer, Anchoring::InGraph).is_ok());
    }

    #[test]
    fn what_a_graph_lacks_its_context_gives() {
        let bare = GRAPH.replacen("\"request_id\": \"req-2026-03-09-0001\",", "", 1);
        let graph = CheckedGraph::parse(&bare, &Limits::default()).unwrap();
        let context = SubmissionContext {
            run_id: RequestId::new("run 7").unwrap(),
            trace_id: RequestId::new("t").unwrap(),
            user_id: None,
        };
        let submit = |context, anchoring| {
            Submission::new(graph.clone(), SubmissionOptions::default(), context, anchoring)
        };
        let submission = submit(Some(context.clone()), Anchoring::GraphOrContext).unwrap();
        assert_eq!(submission.anchor().request_id.as_str(), "run 7");
        assert_eq!(context.names().unwrap().0.as_str(), "run 7");
        let refused = submit(None, Anchoring::GraphOrContext).unwrap_err();
        insta::assert_snapshot!(refused.to_string(), @"not to be submitted: /taskgraph/request_id: there is no idempotency anchor; give the graph one, or send an `execution_context` with a `run_id`");
        let refused = submit(Some(context), Anchoring::InGraph).unwrap_err();
        insta::assert_snapshot!(refused.to_string(), @"not to be submitted: /taskgraph/request_id: `request_id` is missing; Krako takes no graph without it");
    }

    #[test]
    fn what_is_around_the_graph_has_a_place() {
        let said = |change| read(&document(change), Anchoring::InGraph).unwrap_err().to_string();
        insta::assert_snapshot!(said(json!({"execution_options": {"priority": "urgent"}})), @"`submission` /execution_options/priority: unknown variant `urgent`, expected `normal` or `high`; its schema is `submission.json`");
        insta::assert_snapshot!(said(json!({"execution_options": {"region": "eu west"}})), @"`submission` /execution_options/region: a `Region` is 1 to 128 ASCII letters, digits, `_`, `-`, `.` or `:`, starting with a letter, a digit or `_`; its schema is `submission.json`");
        let mut twice = document(json!({}));
        twice.insert_str(1, "\"taskgraph\": {},");
        let said = read(&twice, Anchoring::InGraph).unwrap_err().to_string();
        assert!(said.contains("duplicate field `taskgraph`"), "{said}");
    }
}
