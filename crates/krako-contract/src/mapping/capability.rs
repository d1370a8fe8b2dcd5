//! `BackendCapabilities` and the capabilities that a fabric tells (C3.6).

use backend_api::{BackendCapabilities, Extension, ModelCapability};
use kora_ir::TaskType;

use crate::failure::Remark;
use crate::{CapabilitiesDocument, PodModel};

fn extension_word(extension: Extension) -> &'static str {
    match extension {
        Extension::Streaming => "streaming",
        Extension::PartialGraph => "partial_graph",
        Extension::RegionHints => "region_hints",
    }
}

fn extension(word: &str) -> Option<Extension> {
    [Extension::Streaming, Extension::PartialGraph, Extension::RegionHints]
        .into_iter()
        .find(|&extension| extension_word(extension) == word)
}

fn task_type(word: &str) -> Option<TaskType> {
    TaskType::ALL.into_iter().find(|task_type| task_type.as_str() == word)
}

/// Capabilities as a fabric tells them.
pub fn capabilities_document(capabilities: &BackendCapabilities) -> CapabilitiesDocument {
    let remarks = |words: Vec<&str>| words.into_iter().map(Remark::new).collect();
    CapabilitiesDocument {
        max_model_size: capabilities.max_model_size,
        max_concurrency: capabilities.max_concurrency,
        supported_task_types: remarks(capabilities.supported_task_types.iter().map(|t| t.as_str()).collect()),
        supported_context_window: capabilities.supported_context_window,
        distributed: capabilities.distributed,
        models: capabilities
            .models
            .iter()
            .map(|model| PodModel {
                model_id: Remark::new(&model.model_id),
                tier: model.tier.as_deref().map(Remark::new),
                adapter: Remark::new(&model.adapter),
                context_tokens: model.context_tokens,
                parameters: model.parameters,
            })
            .collect(),
        operations: remarks(capabilities.operations.iter().map(String::as_str).collect()),
        extensions: remarks(capabilities.extensions.iter().map(|&e| extension_word(e)).collect()),
    }
}

/// The capabilities that a fabric tells, as KORA has them. Words that are not known here are left out: what is not
/// understood is not assumed (C3.7).
pub fn capabilities(told: CapabilitiesDocument) -> BackendCapabilities {
    BackendCapabilities {
        max_model_size: told.max_model_size,
        max_concurrency: told.max_concurrency,
        supported_task_types: told
            .supported_task_types
            .iter()
            .filter_map(|word| task_type(word.as_str()))
            .collect(),
        supported_context_window: told.supported_context_window,
        distributed: told.distributed,
        models: told
            .models
            .into_iter()
            .map(|model| ModelCapability {
                model_id: model.model_id.as_str().to_owned(),
                tier: model.tier.map(|tier| tier.as_str().to_owned()),
                adapter: model.adapter.as_str().to_owned(),
                context_tokens: model.context_tokens,
                parameters: model.parameters,
            })
            .collect(),
        operations: told.operations.iter().map(|name| name.as_str().to_owned()).collect(),
        extensions: told.extensions.iter().filter_map(|word| extension(word.as_str())).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WireLimits;

    // shows C3.6, C3.7
    #[test]
    fn what_kora_writes_is_read_and_what_is_not_known_is_not_assumed() {
        let text = include_str!("../../examples/capabilities.json");
        let told: CapabilitiesDocument = crate::read(text.as_bytes(), &WireLimits::default()).unwrap();
        let kora = capabilities(told.clone());
        assert_eq!(capabilities_document(&kora), told);
        assert_eq!((kora.supported_task_types.len(), kora.extensions.len()), (3, 3));
        let written = serde_json::to_vec(&kora).unwrap();
        assert_eq!(crate::read::<CapabilitiesDocument>(&written, &WireLimits::default()).as_ref(), Ok(&told));
        let newer = text.replace("region_hints", "time_travel").replace("aggregation", "divination");
        let kora = capabilities(crate::read(newer.as_bytes(), &WireLimits::default()).unwrap());
        assert_eq!((kora.supported_task_types.len(), kora.extensions.len()), (2, 2));
    }
}
