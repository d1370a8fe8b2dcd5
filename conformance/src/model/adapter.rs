//! The suite's model as an adapter, for backends that are made in this process.

use std::sync::Arc;

use async_trait::async_trait;
use kora_ir::OutputSchema;
use models::{
    AdapterDescriptor, AdapterError, AdapterErrorKind, AdapterHealth, FinishReason, Locality, ModelAdapter,
    ModelId, ModelRequest, RawReply, SchemaNote, ServedModel, TokenSink,
};

use crate::model::{Asked, Beat, MODELS, ModelBook, ModelFault, OpenCall};

/// Answers from a [`ModelBook`].
///
/// What goes wrong has the kind that [`OpenAiAdapter`](models::OpenAiAdapter) gives it when the same happens over HTTP,
/// so that a verdict does not depend on the way to the model.
#[derive(Debug)]
pub struct BookAdapter(Arc<ModelBook>);

impl BookAdapter {
    /// An adapter for all models that the suite serves.
    pub fn new(book: Arc<ModelBook>) -> Self {
        Self(book)
    }

    fn open(&self, request: &ModelRequest) -> Result<OpenCall, AdapterError> {
        if request.max_output_tokens == 0 {
            let message = "no token is left of the cap";
            return Err(AdapterError::new(AdapterErrorKind::TokensExhausted, message));
        }
        let contents: Vec<_> = request.messages.iter().map(|message| message.content.as_str()).collect();
        let asked = Asked {
            model: request.model.as_str().to_owned(),
            max_tokens: Some(request.max_output_tokens),
            prompt: contents.join("\n\n"),
        };
        self.0.call(asked).map_err(|stray| AdapterError::new(AdapterErrorKind::Rejected, stray.to_string()))
    }
}

#[async_trait]
impl ModelAdapter for BookAdapter {
    fn descriptor(&self) -> AdapterDescriptor {
        let models = MODELS.map(|model| ServedModel {
            id: ModelId::from(model.id),
            tier: Some(model.tier.to_owned()),
            context_tokens: Some(model.context_tokens),
            parameters: None,
        });
        AdapterDescriptor {
            name: String::from("suite"),
            locality: Locality::Local,
            models: Vec::from(models),
            concurrent_calls: None,
        }
    }

    fn admit(&self, _: &ModelId, _: &OutputSchema) -> Result<Vec<SchemaNote>, AdapterError> {
        Ok(Vec::new())
    }

    async fn health(&self) -> AdapterHealth {
        AdapterHealth::Healthy
    }

    async fn prepare(&self, _: &ModelId) -> Result<(), AdapterError> {
        Ok(())
    }

    async fn generate(&self, request: &ModelRequest, sink: &mut TokenSink) -> Result<RawReply, AdapterError> {
        let mut call = self.open(request)?;
        sink.sent();
        let played = tokio::time::timeout(request.deadline, play(&mut call, sink)).await;
        let outcome = played.unwrap_or_else(|_| {
            let message = format!("no complete reply within {} ms", request.deadline.as_millis());
            Err(AdapterError::new(AdapterErrorKind::DeadlineExceeded, message))
        });
        outcome.map_err(|error| error.with_usage(sink.usage()))
    }
}

async fn play(call: &mut OpenCall, sink: &mut TokenSink) -> Result<RawReply, AdapterError> {
    loop {
        match call.next().await {
            Beat::Begun => sink.streaming(),
            Beat::Piece(text) => sink.push(&text, 1)?,
            Beat::Done { tokens_in, tokens_out } => {
                return sink.finish(FinishReason::Stop, Some(tokens_in), Some(tokens_out));
            }
            Beat::Failed(fault) => {
                sink.turned_down();
                return Err(turned_down(fault, call.is_served()));
            }
            Beat::Broken => {
                let message = "the connection was closed before the response was complete";
                return Err(AdapterError::new(AdapterErrorKind::Unreachable, message));
            }
        }
    }
}

fn turned_down(fault: ModelFault, is_served: bool) -> AdapterError {
    let (kind, message) = match fault {
        _ if !is_served => (AdapterErrorKind::ModelUnknown, "the suite does not serve this model"),
        ModelFault::Transient => (AdapterErrorKind::ServerError, "the suite's model is scripted to be busy"),
        ModelFault::Final => (AdapterErrorKind::Rejected, "the suite's model is scripted to refuse this"),
    };
    AdapterError::new(kind, message)
}
