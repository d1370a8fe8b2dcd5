//! A model's tokens as llama.cpp knows them.

use std::collections::BTreeMap;
use std::sync::Arc;

use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;
use schema_grammar::Token;

use crate::tokenizer::Tokenizer;
use crate::weights::WeightsError;

/// The tokenizer of a model. Text is never looked through for control tokens.
pub(super) fn tokenizer(model: &'static LlamaModel) -> Result<Tokenizer, WeightsError> {
    let vocabulary = model.vocab();
    let mut controls = BTreeMap::new();
    let mut tokens = Vec::new();
    for (place, token) in (0_u32..).zip(vocabulary.tokens()) {
        let is_control = vocabulary.is_control(token);
        let is_text = !is_control && !vocabulary.is_eog(token);
        // What stands for no text is written as nothing.
        let bytes = if is_text { vocabulary.token_to_piece(token, false, None) } else { Vec::new() };
        tokens.push(if bytes.is_empty() {
            let name = vocabulary.text(token).map(|name| name.to_string_lossy().into_owned());
            let name = name.unwrap_or_default();
            if is_control && !name.is_empty() {
                controls.insert(name.clone(), place);
            }
            Token::Control(name)
        } else {
            Token::Bytes(bytes)
        });
    }
    let mut end: Vec<u32> = [vocabulary.eos()].into_iter().filter_map(id).collect();
    let others = vocabulary.tokens().filter(|token| vocabulary.is_eog(*token)).filter_map(id);
    let others: Vec<u32> = others.filter(|other| !end.contains(other)).collect();
    end.extend(others);
    if end.is_empty() {
        return Err(crate::weights::missing("tokenizer.ggml.eos_token_id"));
    }
    let beginning = Some(vocabulary.bos()).filter(|_| vocabulary.should_add_bos()).and_then(id);
    let plain = move |text: &str| {
        model.vocab().tokenize(text.as_bytes(), false, false).into_iter().filter_map(id).collect()
    };
    Ok(Tokenizer::assemble(tokens, controls, Arc::new(plain), beginning, end))
}

/// What stands for no token is negative.
fn id(token: LlamaToken) -> Option<u32> {
    u32::try_from(token.0).ok()
}

#[cfg(test)]
mod tests {
    use super::super::LlamaCpp;
    use crate::tokenizer::Tokenizer;
    use crate::weights::Weights;

    #[test]
    fn text_becomes_the_same_tokens_as_by_our_own_tokenizer() {
        let path = model_store::testing::default_model();
        let own = Tokenizer::read(Weights::open(&path, None).unwrap().metadata()).unwrap();
        let theirs = LlamaCpp::load(&path, Some(64), 1).unwrap().tokenizer().unwrap();
        for text in [
            "",
            "Hello world, 12345 apples cost $3.50!",
            "  two  spaces\n\n\tand tabs ",
            "Grüße aus Köln: 日本語 😀",
            "don't you'll WE'VE",
            r#"{"city":"Paris","n":-1.5e+10}"#,
            "<|im_start|>system\nhi<|im_end|>",
        ] {
            assert_eq!(theirs.plain_text(text), own.plain_text(text), "{text:?}");
            assert_eq!(theirs.template_text(text), own.template_text(text), "{text:?}");
        }
        assert_eq!(theirs.beginning(), own.beginning());
        assert!(theirs.end().starts_with(&own.end()[..1]), "{:?} and {:?}", theirs.end(), own.end());
    }
}
