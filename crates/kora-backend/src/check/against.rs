//! What graphs are held against: nothing but the rules, this machine, or what a fabric offers.

use std::collections::BTreeSet;

use backend_api::{BackendCapabilities, ModelCapability, Refusal, UnmetCapability};
use backend_local::{LocalBackend, LocalConfig, TaskNote};
use kora_ir::{CheckedGraph, ModelCall, Privacy, Task, Work};
use models::ModelRouter;

/// What graphs are held against.
#[derive(Debug)]
pub(super) enum Against {
    /// The rules alone.
    Rules,
    /// This machine.
    Local(LocalBackend),
    /// What a fabric offers now, and the operations as this program knows them.
    Fabric(BackendCapabilities, LocalBackend),
}

impl Against {
    /// What a fabric offers.
    pub(super) fn fabric(offered: BackendCapabilities) -> Self {
        let models = ModelRouter::default();
        Self::Fabric(offered, LocalBackend::new(LocalConfig { models, ..LocalConfig::default() }))
    }

    /// What is lacking for the graph, in canonical order of its tasks.
    ///
    /// # Errors
    ///
    /// Any other refusal.
    pub(super) fn unmet(&self, graph: &CheckedGraph) -> Result<Vec<UnmetCapability>, Refusal> {
        match self {
            Self::Rules => Ok(Vec::new()),
            Self::Local(backend) => beyond(backend, graph),
            Self::Fabric(offered, known) => {
                // What this program cannot prepare no node could, be it of the same version.
                let bad: Vec<_> = beyond(known, graph)?
                    .into_iter()
                    .filter(|unmet| unmet.capability == "operations")
                    .collect();
                let told: BTreeSet<&str> = bad.iter().map(|unmet| unmet.task_id.as_str()).collect();
                let (mut unmet, mut bad_left) = (Vec::new(), bad.iter().cloned().peekable());
                for task in graph.tasks() {
                    if told.contains(task.id.as_str()) {
                        unmet.extend(bad_left.next());
                    } else {
                        unmet.extend(lacking(offered, task));
                    }
                }
                Ok(unmet)
            }
        }
    }

    /// What models cannot promise about schemas. A fabric's do not say.
    pub(super) fn notes(&self, graph: &CheckedGraph) -> Vec<TaskNote> {
        match self {
            Self::Local(backend) => backend.notes(graph),
            Self::Rules | Self::Fabric(..) => Vec::new(),
        }
    }
}

fn beyond(backend: &LocalBackend, graph: &CheckedGraph) -> Result<Vec<UnmetCapability>, Refusal> {
    match backend.admit(graph) {
        Ok(()) => Ok(Vec::new()),
        Err(Refusal::BeyondCapabilities(unmet)) => Ok(unmet),
        Err(
            other @ (Refusal::VersionMismatch(_)
            | Refusal::InvalidGraph(_)
            | Refusal::WrongBackend { .. }
            | Refusal::Unauthenticated(_)
            | Refusal::Unavailable { .. }),
        ) => Err(other),
    }
}

fn lacking(offered: &BackendCapabilities, task: &Task) -> Option<UnmetCapability> {
    let unmet = |capability, needed: String, offered: String| {
        Some(UnmetCapability { task_id: task.id.to_string(), capability, needed, offered })
    };
    match &task.work {
        Work::Operation(work) if offered.operations.iter().any(|name| **name == *work.operation) => None,
        Work::Operation(work) => {
            let there = format!("the fabric's nodes run {}", offered.operations.join(", "));
            unmet("operations", format!("`{}`", work.operation), there)
        }
        Work::Model(_) if task.privacy == Privacy::LocalOnly => unmet(
            "models",
            String::from("a model on this machine, as it is `local_only`"),
            String::from("the models of a fabric, which are not on this machine"),
        ),
        Work::Model(call) => match offered.models.iter().find(|model| answers(model, call)) {
            None => {
                let there: Vec<&str> = offered.models.iter().map(|model| model.model_id.as_str()).collect();
                let there = if there.is_empty() { String::from("none") } else { there.join(", ") };
                unmet("models", format!("`{}`", call.model), format!("the fabric's models are {there}"))
            }
            Some(ModelCapability { context_tokens: Some(window), .. })
                if task.budget.max_tokens() > *window =>
            {
                unmet(
                    "supported_context_window",
                    format!("room for {} generated tokens", task.budget.max_tokens()),
                    format!("a window of {window} tokens of model `{}`", call.model),
                )
            }
            Some(_) => None,
        },
    }
}

fn answers(model: &ModelCapability, call: &ModelCall) -> bool {
    model.model_id == *call.model || model.tier.as_deref() == Some(&*call.model)
}
