//! A conversation as the model learned to read it.

use kora_ir::{Message, Role};
use minijinja::value::Kwargs;
use minijinja::{Environment, ErrorKind, UndefinedBehavior, context};
use thiserror::Error;

use crate::tokenizer::Tokenizer;
use crate::weights::{Metadata, WeightsError};

/// Steps that a template may take (I8).
const FUEL: u64 = 1_000_000;
/// The template's name in its own errors.
const NAME: &str = "chat_template";

/// A model's chat template. It never sees what a message says, so nothing in a message can steer it.
#[derive(Debug)]
pub(crate) struct Template {
    environment: Environment<'static>,
    beginning: String,
    end: String,
}

impl Template {
    /// Compiles the template of the metadata.
    pub(crate) fn read(metadata: &Metadata, tokenizer: &Tokenizer) -> Result<Self, WeightsError> {
        let Some(source) = metadata.text("tokenizer.chat_template")? else {
            return Err(WeightsError::unsupported("it has no chat template, so it follows no conversation"));
        };
        let mut environment = Environment::new();
        environment.set_fuel(Some(FUEL));
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.set_undefined_behavior(UndefinedBehavior::Lenient);
        environment.add_function(
            "raise_exception",
            |message: String, _: Kwargs| -> Result<(), minijinja::Error> {
                Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
            },
        );
        environment.add_template_owned(NAME, source.to_owned()).map_err(|error| {
            WeightsError::unsupported(format!("its chat template cannot be read: {error}"))
        })?;
        let name =
            |id: Option<u32>| id.and_then(|id| tokenizer.control_name(id)).unwrap_or_default().to_owned();
        Ok(Self {
            environment,
            beginning: name(tokenizer.beginning()),
            end: name(tokenizer.end().first().copied()),
        })
    }

    /// The tokens of the conversation, up to where the model is to answer.
    ///
    /// The template is given a placeholder for each message's content. What it writes around them is its own and may
    /// name control tokens; the contents are encoded apart, as plain text.
    pub(crate) fn tokens(
        &self,
        tokenizer: &Tokenizer,
        messages: &[Message<String>],
    ) -> Result<Vec<u32>, TemplateError> {
        let placeholders: Vec<String> = (0..messages.len()).map(placeholder).collect();
        let shown: Vec<_> = messages
            .iter()
            .zip(&placeholders)
            .map(|(message, content)| context! { role => role(message.role), content => content })
            .collect();
        let rendered = self
            .environment
            .get_template(NAME)
            .and_then(|template| {
                template.render(context! {
                    messages => shown,
                    add_generation_prompt => true,
                    bos_token => &self.beginning,
                    eos_token => &self.end,
                })
            })
            .map_err(|error| TemplateError::Refused(error.to_string()))?;
        let mut tokens = Vec::new();
        let mut rest = rendered.as_str();
        for (at, (message, placeholder)) in messages.iter().zip(&placeholders).enumerate() {
            // In order and once each: a template that drops or repeats a message would change what was asked.
            let Some((before, after)) = rest.split_once(placeholder.as_str()) else {
                return Err(TemplateError::Lost(at));
            };
            if after.contains(placeholder.as_str()) {
                return Err(TemplateError::Lost(at));
            }
            tokens.extend(tokenizer.template_text(before));
            tokens.extend(tokenizer.plain_text(&message.content));
            rest = after;
        }
        tokens.extend(tokenizer.template_text(rest));
        if let Some(beginning) = tokenizer.beginning().filter(|beginning| tokens.first() != Some(beginning)) {
            tokens.insert(0, beginning);
        }
        Ok(tokens)
    }
}

/// Characters of no meaning and no case, so that trimming or changing the case keeps them.
fn placeholder(at: usize) -> String {
    format!("\u{e000}{at}\u{e001}")
}

fn role(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    }
}

/// A conversation that the model's template does not take.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub(crate) enum TemplateError {
    /// It says so itself, or fails.
    #[error("the model's chat template refuses the conversation: {0}")]
    Refused(String),
    /// It leaves a message out, or writes it twice or elsewhere.
    #[error("the model's chat template does not hold message {0} once and in its place")]
    Lost(usize),
}
