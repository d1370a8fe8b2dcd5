//! What the backend says of itself is true, and it refuses what exceeds it.

use std::path::Path;

use backend_api::{BackendMode, ExecutionBackend, ExecutionContext, HealthStatus, InterfaceVersion, Refusal};
use backend_local::{LocalBackend, LocalConfig};
use kora_ir::TaskType;
use models::ModelRouter;
use serde_json::json;

use crate::support::{World, budget, context, graph, model, operation};

fn script() -> serde_json::Value {
    json!({
        "models": [{ "id": "scripted", "tier": "small", "context_tokens": 512, "parameters": 135_000_000 }],
        "otherwise": { "act": { "reply": {} } },
    })
}

// shows C3.6, C4.6
#[tokio::test]
async fn the_descriptor_names_what_is_there_and_nothing_else() {
    let world = World::new(3, &script(), vec![]);
    let capabilities = world.backend.capability_descriptor();
    assert_eq!(capabilities.max_concurrency, 3);
    assert_eq!(capabilities.max_model_size, Some(135_000_000));
    assert_eq!(capabilities.supported_context_window, Some(512));
    assert!(!capabilities.distributed);
    assert_eq!(capabilities.supported_task_types, TaskType::ALL);
    assert_eq!(capabilities, world.backend.capability_descriptor(), "it is a snapshot");
    let config = LocalConfig { models: ModelRouter::default(), ..LocalConfig::default() };
    let none = LocalBackend::new(config).capability_descriptor();
    assert_eq!(none.supported_task_types, [TaskType::Deterministic, TaskType::Aggregation]);
}

// shows C4.2
#[tokio::test]
async fn the_default_has_a_model_of_our_own_and_other_graphs_do_not_ask_for_it() {
    let config = LocalConfig::default();
    let own: Vec<_> = config.models.descriptors().flat_map(|adapter| &adapter.models).collect();
    assert_eq!((own[0].id.as_str(), own[0].tier.as_deref()), ("smollm2-135m-instruct", Some("tiny")));
    assert_eq!(own.len(), 1);
    let backend = LocalBackend::new(config);
    let plain = graph(&[operation("plain", &[], "echo", &json!({}))], &json!({}));
    assert!(backend.execute_taskgraph(&plain, &context()).await.is_ok());
}

// shows C3.5, C3.6, C3.7
#[tokio::test]
async fn what_would_be_refused_is_not_offered_and_health_says_how_to_mend_it() {
    // Whether its program and its weights are there or not: both answers say the same.
    let backend = LocalBackend::default();
    let offered = backend.capability_descriptor();
    let health = backend.health_check().await;
    let own = &health.capacity_summary.models[0];
    assert_eq!(offered.models.len(), usize::from(own.reachable));
    assert_eq!(offered.supported_task_types.contains(&TaskType::Model), own.reachable);
    assert_eq!(own.detail.is_some(), !own.reachable);

    // Some file: what is in it is the worker's to say.
    let weights = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let asked = |worker: &str, weights: &Path| {
        let models = serde_json::from_value(json!([{
            "kind": "embedded", "worker": worker, "models": [{ "id": "own", "weights": { "path": weights } }],
        }]));
        let models = ModelRouter::from_config(models.unwrap()).unwrap();
        LocalBackend::new(LocalConfig { models, ..LocalConfig::default() })
    };
    for (worker, path, lacks) in [
        (
            "/no/such/kora-backend",
            weights.as_path(),
            "`worker` of the configuration names `/no/such/kora-backend`",
        ),
        (
            env!("CARGO"),
            Path::new("/no/such/weights.gguf"),
            "the weights of `own` should be `/no/such/weights.gguf`",
        ),
    ] {
        let backend = asked(worker, path);
        let offered = backend.capability_descriptor();
        assert_eq!(offered.models, []);
        assert_eq!(offered.supported_task_types, [TaskType::Deterministic, TaskType::Aggregation]);
        assert_eq!((offered.max_model_size, offered.supported_context_window), (None, None));
        let health = backend.health_check().await;
        let own = &health.capacity_summary.models[0];
        assert_eq!((health.status, own.reachable), (HealthStatus::Degraded, false));
        assert!(own.detail.as_deref().is_some_and(|detail| detail.starts_with(lacks)), "{own:?}");
    }
}

// shows C3.7
#[tokio::test]
async fn a_model_of_our_own_that_is_not_there_is_refused_with_what_to_do() {
    let models = serde_json::from_value(json!([{
        "kind": "embedded", "models": [{ "id": "own", "weights": { "path": "/no/such/weights.gguf" } }],
    }]));
    let models = ModelRouter::from_config(models.unwrap()).unwrap();
    let backend = LocalBackend::new(LocalConfig { models, ..LocalConfig::default() });
    let mut asks = model("asks", &[], &json!({}));
    asks["run"]["model"] = json!("own");
    let refusal = backend.execute_taskgraph(&graph(&[asks], &json!({})), &context()).await.unwrap_err();
    let Refusal::BeyondCapabilities(unmet) = &refusal else { unreachable!("{refusal}") };
    assert_eq!(
        unmet[0].offered,
        "the weights of `own` should be `/no/such/weights.gguf`, and there is no such file"
    );
}

// shows C3.5
#[tokio::test]
async fn health_is_asked_of_the_models_and_of_the_machine() {
    let world = World::new(3, &script(), vec![]);
    let status = world.backend.health_check().await;
    assert_eq!(status.status, HealthStatus::Healthy);
    assert!(status.capacity_summary.models[0].reachable);
    let mut gone = script();
    gone["unavailable"] = json!("switched off");
    let status = World::new(3, &gone, vec![]).backend.health_check().await;
    assert_eq!(status.status, HealthStatus::Degraded);
    assert_eq!(status.capacity_summary.models[0].detail.as_deref(), Some("switched off"));
}

// shows C3.7, C11.3
#[tokio::test]
async fn everything_beyond_the_descriptor_is_refused_at_once_and_nothing_runs() {
    let world = World::new(3, &script(), vec![]);
    let mut heavier = model("heavier", &[], &json!({}));
    heavier["run"]["model"] = json!("gigantic");
    let wide = model("wide", &[], &budget(513, 1_000, 0));
    let tasks =
        [heavier, wide, operation("unknown", &[], "teleport", &json!({})), model("fine", &[], &json!({}))];
    let refusal = world.backend.execute_taskgraph(&graph(&tasks, &json!({})), &context()).await.unwrap_err();
    let Refusal::BeyondCapabilities(unmet) = &refusal else { unreachable!("{refusal}") };
    let named: Vec<_> = unmet.iter().map(|unmet| (unmet.task_id.as_str(), unmet.capability)).collect();
    assert_eq!(
        named,
        [("unknown", "operations"), ("heavier", "models"), ("wide", "supported_context_window"),]
    );
    assert_eq!(refusal.error_type(), "VALIDATION_ERROR");
    assert!(world.adapter.calls().is_empty());
}

// shows C10.3
#[tokio::test]
async fn another_major_of_the_interface_or_another_backend_is_refused() {
    let world = World::new(3, &script(), vec![]);
    let graph = graph(&[model("m", &[], &json!({}))], &json!({}));
    let newer = ExecutionContext {
        interface_version: InterfaceVersion { major: 2, minor: 0, patch: 0 },
        ..context()
    };
    let refusal = world.backend.execute_taskgraph(&graph, &newer).await.unwrap_err();
    assert_eq!(refusal.error_type(), "VERSION_MISMATCH");
    let elsewhere = ExecutionContext { backend_mode: BackendMode::Krako, ..context() };
    let refusal = world.backend.execute_taskgraph(&graph, &elsewhere).await.unwrap_err();
    assert!(matches!(refusal, Refusal::WrongBackend { .. }));
    assert!(world.adapter.calls().is_empty());
}

// shows C3.1, C3.3, C3.4, C10.1
#[tokio::test]
async fn a_result_names_its_run_its_graph_and_its_version() {
    let world = World::new(3, &script(), vec![]);
    let graph = graph(&[model("m", &[], &json!({}))], &json!({}));
    let result = world.run(&graph).await;
    let metadata = serde_json::to_value(&result.execution_metadata).unwrap();
    assert_eq!(metadata["run_id"], "run");
    assert_eq!(metadata["trace_id"], "trace");
    assert_eq!(metadata["backend"], "local");
    assert_eq!(metadata["interface_version"], "1.0.0");
    assert_eq!(metadata["graph_digest"], graph.digest().to_string());
    let result = serde_json::to_value(&result).unwrap();
    assert_eq!(result["status"], "success");
    assert_eq!(result["final_output"], json!({}));
    assert!(result["telemetry_bundle"]["tasks"].is_array());
}

// shows C1.1, C1.3
#[tokio::test]
async fn the_backend_is_used_behind_the_trait() {
    let backend: Box<dyn ExecutionBackend> = Box::new(World::new(3, &script(), vec![]).backend);
    let graph = graph(&[model("m", &[], &json!({}))], &json!({}));
    assert_eq!(backend.execute_taskgraph(&graph, &context()).await.unwrap().failure, None);
}
