//! A model of our own, in a worker process: the client side.

mod call;
mod config;
mod link;
mod pool;
mod process;
mod program;
pub mod protocol;
#[cfg(test)]
mod stand_in;
mod weights;
mod worker;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use kora_ir::OutputSchema;
use model_store::{ModelName, NoHome, Store};
use schema_grammar::{Grammar, SchemaNote};
use tokio::time::Instant;

use self::call::{Call, Step, out_of_time};
pub use self::config::{
    EmbeddedConfig, EmbeddedConfigError, EmbeddedLimits, EmbeddedModel, EmbeddedRuntime, WeightsSource,
};
use self::pool::{Lease, Pool};
use self::process::{Launch, Order, System};
use self::program::Surroundings;
use self::protocol::GenerateRequest;
use self::weights::Model;
use self::worker::{Trouble, Worker};
use crate::{
    AdapterDescriptor, AdapterError, AdapterErrorKind, AdapterHealth, Locality, ModelAdapter, ModelId,
    ModelRequest, RawReply, TokenSink,
};

/// Runs models of our own, in worker processes on this machine (C4.2).
///
/// A process is started for the first call that needs it, holds one model, and goes when it was idle for long. It knows
/// nothing of this process but its model and the requests; it can crash, hang or lie, and costs one attempt at most.
///
/// Needs a tokio runtime with I/O and time.
pub struct EmbeddedAdapter {
    config: EmbeddedConfig,
    store: Result<Store, NoHome>,
    // Invariant: one for each of the configuration, in its order.
    models: Vec<Model>,
    pool: Arc<Pool>,
}

impl EmbeddedAdapter {
    /// An adapter for these models. Looks at what is there, and starts nothing.
    ///
    /// # Errors
    ///
    /// [`EmbeddedConfigError`] if the configuration cannot be used. That weights are not there yet is no error: they
    /// are looked for when they are needed.
    pub fn new(config: EmbeddedConfig) -> Result<Self, EmbeddedConfigError> {
        Self::with(config, Store::of_user(), Box::new(System))
    }

    fn with(
        config: EmbeddedConfig,
        store: Result<Store, NoHome>,
        launcher: Box<dyn Launch>,
    ) -> Result<Self, EmbeddedConfigError> {
        let adapter = || config.name.clone();
        if config.models.is_empty() {
            return Err(EmbeddedConfigError::NoModels { adapter: adapter() });
        }
        let limits = config.limits;
        for (limit, value, least) in [
            ("max_processes", u64::from(limits.max_processes.get()), u64::from(config.workers.get())),
            ("load_timeout_ms", limits.load_timeout_ms, 1),
            ("silence_timeout_ms", limits.silence_timeout_ms, 1_000),
        ] {
            if value < least {
                return Err(EmbeddedConfigError::Limit { adapter: adapter(), limit, least });
            }
        }
        let models = config.models.iter().map(|model| Model::new(model, &config.name, store.as_ref()));
        let models = models.collect::<Result<_, _>>()?;
        let pool = Arc::new(Pool::new(config.workers.get(), limits, launcher));
        Ok(Self { config, store, models, pool })
    }

    /// Under which name the store lacks the weights of `model`: what there is to pull before it can be used. `None` if
    /// they are there, or are not the store's to have, or the model is not this adapter's.
    pub fn missing_weights(&self, model: &ModelId) -> Option<&ModelName> {
        let model = self.models.iter().find(|known| known.served.id == *model)?;
        let name = model.store_name()?;
        model.weights(self.store.as_ref()).err().map(|_| name)
    }

    fn model(&self, id: &ModelId) -> Result<&Model, AdapterError> {
        self.models.iter().find(|model| model.served.id == *id).ok_or_else(|| {
            let message = format!("adapter `{}` serves no model `{id}`", self.config.name);
            AdapterError::new(AdapterErrorKind::ModelUnknown, message)
        })
    }

    /// How to start a worker for this model, if what it takes is there.
    fn order(&self, model: &Model) -> Result<Order, AdapterError> {
        let absent = |message: String| AdapterError::new(AdapterErrorKind::Internal, message);
        let weights = model.weights(self.store.as_ref()).map_err(absent)?;
        let program = program::locate(self.config.worker.as_deref(), &Surroundings::of_this_process());
        let program = program.map_err(|error| absent(error.to_string()))?;
        Ok(Order {
            program,
            weights,
            context_tokens: model.context_tokens,
            runtime: self.config.runtime,
            threads: self.config.threads,
        })
    }

    async fn ask(
        &self,
        model: &Model,
        request: &ModelRequest,
        sink: &mut TokenSink,
    ) -> Result<RawReply, AdapterError> {
        let began = Instant::now();
        let mut lease = self.pool.lease(&model.served.id, self.order(model)?).await?;
        let left = request.deadline.saturating_sub(began.elapsed());
        let asked = GenerateRequest {
            id: 0,
            messages: request.messages.clone(),
            schema: request.schema.document().clone(),
            max_tokens: request.max_output_tokens,
            deadline_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
            seed: request.parameters.seed,
            temperature: request.parameters.temperature,
            top_p: request.parameters.top_p,
        };
        let Some(worker) = lease.worker() else { return Err(gone()) };
        let id = worker.ask(asked).map_err(|error| {
            let message = format!("prompt and schema make {error}; make them smaller");
            AdapterError::new(AdapterErrorKind::Rejected, message)
        })?;
        lease.begin(id);
        sink.sent();
        // Each token is told as it comes, so from now on the count is what there was.
        sink.streaming();
        self.listen(lease, Call::new(id, request.deadline), sink).await
    }

    async fn listen(
        &self,
        mut lease: Lease,
        mut call: Call,
        sink: &mut TokenSink,
    ) -> Result<RawReply, AdapterError> {
        loop {
            let Some(worker) = lease.worker() else { return Err(gone()) };
            let step = match worker.link.hear().await {
                Ok(said) => call.hear(said, sink),
                Err(lost) => {
                    let Some(worker) = lease.take() else { return Err(gone()) };
                    let model = worker.model.clone();
                    return Err(self.pool.failed(&model, &worker.mourn(lost).await));
                }
            };
            match step {
                Step::On => {}
                Step::Over(reply) => {
                    self.pool.succeeded(&worker.model);
                    lease.over();
                    return reply;
                }
                // Dropping the lease makes the worker stop.
                Step::Enough(cut_off) => return Err(cut_off.into()),
                Step::Ending(said) => {
                    return Err(self.condemn(lease.take(), &Trouble::Fatal(said)).with_transient(true));
                }
                Step::Broken(rule) => return Err(self.condemn(lease.take(), &Trouble::Broken(rule))),
            }
        }
    }

    /// Ends a worker that is of no further use.
    fn condemn(&self, worker: Option<Worker>, trouble: &Trouble) -> AdapterError {
        worker.map_or_else(gone, |worker| self.pool.failed(&worker.model, trouble))
    }
}

/// A lease has its worker until it is taken.
fn gone() -> AdapterError {
    AdapterError::new(AdapterErrorKind::Internal, "the worker is gone")
}

#[async_trait]
impl ModelAdapter for EmbeddedAdapter {
    fn descriptor(&self) -> AdapterDescriptor {
        AdapterDescriptor {
            name: self.config.name.clone(),
            locality: Locality::Local,
            models: self.models.iter().map(|model| model.served.clone()).collect(),
            concurrent_calls: Some(self.config.workers),
        }
    }

    fn admit(&self, model: &ModelId, schema: &OutputSchema) -> Result<Vec<SchemaNote>, AdapterError> {
        self.order(self.model(model)?)?;
        let grammar = Grammar::compile(schema.document());
        let grammar = grammar.map_err(|error| {
            let message = format!("decoding cannot be held to the task's schema: {error}");
            AdapterError::new(AdapterErrorKind::Rejected, message)
        })?;
        Ok(grammar.notes().to_vec())
    }

    async fn health(&self) -> AdapterHealth {
        let troubles: Vec<_> = self.models.iter().filter_map(|model| self.order(model).err()).collect();
        match troubles.into_iter().next() {
            Some(first) if self.models.iter().all(|model| self.order(model).is_err()) => {
                AdapterHealth::Unavailable { reason: first.message }
            }
            Some(first) => AdapterHealth::Degraded { reason: first.message },
            None => match self.models.iter().find_map(|model| self.pool.trouble(&model.served.id)) {
                Some(reason) => AdapterHealth::Degraded { reason },
                None => AdapterHealth::Healthy,
            },
        }
    }

    async fn prepare(&self, model: &ModelId) -> Result<(), AdapterError> {
        let model = self.model(model)?;
        let lease = self.pool.lease(&model.served.id, self.order(model)?).await?;
        // Given back, and next in line for this model.
        drop(lease);
        Ok(())
    }

    async fn generate(&self, request: &ModelRequest, sink: &mut TokenSink) -> Result<RawReply, AdapterError> {
        let model = self.model(&request.model)?;
        if request.max_output_tokens == 0 {
            let message = "no token is left of the cap";
            return Err(AdapterError::new(AdapterErrorKind::TokensExhausted, message));
        }
        let asked = tokio::time::timeout(request.deadline, self.ask(model, request, sink)).await;
        let outcome = asked.unwrap_or_else(|_| Err(out_of_time(request.deadline)));
        outcome.map_err(|error| error.with_usage(sink.usage()))
    }
}

impl fmt::Debug for EmbeddedAdapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedAdapter")
            .field("config", &self.config)
            .field("processes", &self.pool.processes())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::stand_in::{Manner, Stage};
    use super::*;
    use crate::{TokenCount, Usage};

    /// One call, and what came of it: the reply as its schema admits it, or the error.
    async fn answer(stage: &Stage, cap: u64) -> (Result<String, AdapterError>, Usage) {
        let request = stage.request(0, cap, Duration::from_secs(20));
        let mut sink = TokenSink::for_request(&request);
        let reply = stage.adapter.generate(&request, &mut sink).await;
        let shown = reply.map(|reply| reply.admit(&request.schema).unwrap().value().to_string());
        (shown, sink.usage())
    }

    async fn check(manner: Manner, expected: &str) {
        let stage = Stage::of(manner);
        let (reply, usage) = answer(&stage, 8).await;
        let error = reply.unwrap_err();
        assert_eq!(error.usage, usage, "{manner:?}");
        let again = if error.transient { "" } else { "final, " };
        assert_eq!(format!("{:?}, {again}{}", error.kind, error.message), expected, "{manner:?}");
        assert_eq!(stage.quiet().await, 0, "{manner:?}: whoever broke the rules is gone");
    }

    #[tokio::test(start_paused = true)]
    async fn a_reply_is_counted_here() {
        let stage = Stage::of(Manner::Good);
        let (reply, usage) = answer(&stage, 8).await;
        assert_eq!(reply.unwrap(), "{\"a\":1}");
        assert_eq!(usage, Usage { tokens_in: TokenCount::Reported(5), tokens_out: TokenCount::Counted(4) });
        assert_eq!(stage.living(), 1, "it waits for the next");
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_does_not_come_up_is_told_of() {
        let stage = Stage::of(Manner::NeverReady);
        let request = stage.request(0, 8, Duration::from_secs(600));
        let error =
            stage.adapter.generate(&request, &mut TokenSink::for_request(&request)).await.unwrap_err();
        assert_eq!(error.message, "the worker of model `m0`: it was not ready within 120000 ms");
        assert!(error.transient);
        assert_eq!(stage.quiet().await, 0);

        let other = "Protocol, final, the worker of model `m0`: it speaks version 2 of the worker protocol and this \
                     program 1; install them together";
        check(Manner::OtherVersion, other).await;
        let fatal = "Internal, final, the worker of model `m0`: the file is no GGUF; fetch it again";
        check(Manner::FatalAtOnce, fatal).await;
        let early = "Protocol, the worker of model `m0`: it answered before it was ready";
        check(Manner::AnswersBeforeReady, early).await;
        let stage = Stage::of(Manner::NoProgram);
        let message = answer(&stage, 8).await.0.unwrap_err().message;
        assert!(message.starts_with("the worker of model `m0`: it cannot be started: `"), "{message}");
        assert!(message.ends_with("`: permission denied"), "{message}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_breaks_the_rules_is_ended_and_costs_one_attempt() {
        for (manner, kind, what) in [
            (Manner::CrashesMidPiece, "ServerError", "it closed its output, and it ended by itself"),
            (
                Manner::Garbage,
                "ServerError",
                "it sent a line that is no message of this protocol: it is not JSON at byte 0 of 14, and it was killed",
            ),
            (Manner::HugeLine, "ServerError", "it sent a line of more than 1048576 bytes, and it was killed"),
            (Manner::WrongId, "Protocol", "it answered what nobody asked"),
            (Manner::HangsMidPiece, "ServerError", "it gave no sign of life for 5000 ms, and it was killed"),
            (Manner::Floods, "ServerError", "it floods its output, and it was killed"),
            (Manner::WrongSum, "Protocol", "its sum is not that of its pieces"),
        ] {
            check(manner, &format!("{kind}, the worker of model `m0`: {what}")).await;
        }
    }

    // shows C7.2
    #[tokio::test(start_paused = true)]
    async fn a_worker_that_overruns_the_cap_is_stopped_at_the_first_token_too_many() {
        let stage = Stage::of(Manner::Overruns);
        let (reply, usage) = answer(&stage, 3).await;
        let error = reply.unwrap_err();
        assert_eq!(error.kind, AdapterErrorKind::TokensExhausted);
        assert_eq!(error.message, "cut off at token 4: the cap for this call is 3");
        assert_eq!(usage.tokens_out, TokenCount::Counted(4));
        let (reply, usage) = answer(&Stage::of(Manner::Good), 0).await;
        assert_eq!(reply.unwrap_err().kind, AdapterErrorKind::TokensExhausted);
        assert_eq!(usage, Usage::NOTHING);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_worker_refuses_is_an_error_and_the_worker_stays() {
        let stage = Stage::of(Manner::Refuses);
        let error = answer(&stage, 3).await.0.unwrap_err();
        assert_eq!((error.kind, error.transient), (AdapterErrorKind::ContextOverflow, false));
        assert_eq!(error.message, "the prompt is 200 tokens and the window 100");
        assert_eq!(answer(&stage, 3).await.0.unwrap_err(), error);
        assert_eq!((stage.living(), stage.launched()), (1, 1));
    }

    // shows C7.4
    #[tokio::test(start_paused = true)]
    async fn the_deadline_holds_whatever_the_worker_does_and_what_was_spent_is_known() {
        for manner in [Manner::Slow, Manner::HangsMidPiece, Manner::IgnoresCancel, Manner::NeverReady] {
            let stage = Stage::of(manner);
            let request = stage.request(0, 8, Duration::from_millis(2500));
            let mut sink = TokenSink::for_request(&request);
            let began = Instant::now();
            let error = stage.adapter.generate(&request, &mut sink).await.unwrap_err();
            assert_eq!(error.kind, AdapterErrorKind::DeadlineExceeded, "{manner:?}");
            assert_eq!(began.elapsed().as_millis(), 2500, "{manner:?}");
            let spent = if manner == Manner::NeverReady { 0 } else { 1 + u64::from(manner == Manner::Slow) };
            assert_eq!(error.usage.tokens_out, TokenCount::Counted(spent), "{manner:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn once_prepared_a_call_waits_for_no_loading() {
        let stage = Stage::of(Manner::Late(60_000));
        stage.adapter.prepare(&ModelId::from("m0")).await.unwrap();
        let request = stage.request(0, 8, Duration::from_millis(10));
        stage.adapter.generate(&request, &mut TokenSink::for_request(&request)).await.unwrap();
        stage.adapter.prepare(&ModelId::from("m0")).await.unwrap();
        assert_eq!((stage.living(), stage.launched()), (1, 1));
        let error = stage.adapter.prepare(&ModelId::from("m9")).await.unwrap_err();
        assert_eq!(error.kind, AdapterErrorKind::ModelUnknown);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_call_stops_the_worker_which_answers_the_next() {
        let stage = Stage::of(Manner::Slow);
        let request = stage.request(0, 8, Duration::from_secs(20));
        let mut sink = TokenSink::for_request(&request);
        let call = stage.adapter.generate(&request, &mut sink);
        assert!(tokio::time::timeout(Duration::from_millis(1500), call).await.is_err());
        assert_eq!(sink.usage().tokens_in, TokenCount::Reported(5));
        assert_eq!(answer(&stage, 8).await.0.unwrap(), "{\"a\":1}");
        assert_eq!((stage.living(), stage.launched()), (1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_does_not_stop_when_told_is_killed_after_the_grace() {
        let stage = Stage::with(&[Manner::IgnoresCancel, Manner::Good], 1, EmbeddedLimits::default());
        let request = stage.request(0, 8, Duration::from_millis(50));
        let error =
            stage.adapter.generate(&request, &mut TokenSink::for_request(&request)).await.unwrap_err();
        assert_eq!(error.kind, AdapterErrorKind::DeadlineExceeded);
        tokio::time::sleep(Duration::from_millis(990)).await;
        assert_eq!(stage.living(), 1);
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(stage.living(), 0);
        assert_eq!(answer(&stage, 8).await.0.unwrap(), "{\"a\":1}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_talks_or_dies_in_its_sleep_costs_nobody_a_reply() {
        for manner in [Manner::Chatters, Manner::Leaves] {
            let stage = Stage::of(manner);
            for launched in 1..=3 {
                assert_eq!(answer(&stage, 8).await.0.unwrap(), "{\"a\":1}", "{manner:?}");
                assert_eq!(stage.launched(), launched, "{manner:?}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_run_is_refused_before_anything_does() {
        let stage = Stage::of(Manner::Good);
        let schema = stage.request(0, 8, Duration::ZERO).schema;
        let admit = |adapter: &EmbeddedAdapter, model| {
            adapter.admit(&ModelId::from(model), &schema).map_err(|error| error.message)
        };
        assert!(admit(&stage.adapter, "m0").is_ok());
        assert_eq!(admit(&stage.adapter, "m9"), Err(String::from("adapter `embedded` serves no model `m9`")));
        assert_eq!(stage.adapter.health().await, AdapterHealth::Healthy);
        let folder = tempfile::tempdir().unwrap();
        let config = EmbeddedConfig { worker: Some("/no/such/program".into()), ..EmbeddedConfig::default() };
        let store = Store::at(folder.path());
        let adapter = EmbeddedAdapter::with(config, Ok(store), Box::new(System)).unwrap();
        let model = model_store::DEFAULT_MODEL;
        let missing = admit(&adapter, model).unwrap_err();
        assert!(missing.contains("`kora-backend models pull smollm2-135m-instruct`"), "{missing}");
        assert_eq!(adapter.health().await, AdapterHealth::Unavailable { reason: missing });
        let name = adapter.missing_weights(&ModelId::from(model)).unwrap();
        assert_eq!(name.as_str(), model);
        assert_eq!(stage.launched(), 0, "nothing of this starts a worker");
    }

    #[test]
    fn what_is_known_of_a_model_is_told_without_a_worker() {
        let adapter = EmbeddedAdapter::new(EmbeddedConfig::default()).unwrap();
        let AdapterDescriptor { name, locality, models, concurrent_calls } = adapter.descriptor();
        assert_eq!((name.as_str(), locality), ("embedded", Locality::Local));
        assert_eq!(concurrent_calls.map(std::num::NonZero::get), Some(1));
        let [model] = models.as_slice() else { panic!("one model, not {models:?}") };
        assert_eq!(model.tier.as_deref(), Some("tiny"));
        assert_eq!((model.context_tokens, model.parameters), (Some(8192), Some(134_515_008)));
    }

    #[test]
    fn a_configuration_that_cannot_be_used_says_which_part() {
        let refused = |config| EmbeddedAdapter::new(config).unwrap_err().to_string();
        let none = EmbeddedConfig { models: Vec::new(), ..EmbeddedConfig::default() };
        assert_eq!(refused(none), "adapter `embedded` lists no models; name at least one in `models`");
        let many = EmbeddedConfig { workers: 9.try_into().unwrap(), ..EmbeddedConfig::default() };
        assert_eq!(refused(many), "`limits.max_processes` of adapter `embedded` must be at least 9");
        let mut odd = EmbeddedConfig::default();
        odd.models[0].id = ModelId::from("../up");
        let told = refused(odd);
        assert!(
            told.starts_with("weights of model `../up` of adapter `embedded`: `../up` cannot name"),
            "{told}"
        );
    }
}
