//! The golden graphs mean on a fabric what they mean on one machine.

use kora_ir::Privacy;
use krako_contract::{ErrorType, EventIntake, GraphId, Taken};
use krako_session::SessionReader;

use crate::support::{Fabric, config, golden, locally, same_meaning};

// shows C2.6, C6.1, C1.3
#[tokio::test(start_paused = true)]
async fn every_golden_graph_means_what_it_means_on_one_machine() {
    for fixture in golden() {
        let local = locally(&fixture.graph, fixture.script.as_ref()).await.unwrap();
        let fabric = Fabric::with_nodes(config(), fixture.script.as_ref()).await;
        let report = fabric.run(&fixture.graph).await;
        same_meaning(&fixture.name, &report, &local);
        assert_eq!(report.check(), Ok(()), "{}", fixture.name);

        // Its events are those of a session that whoever trusts nothing finds nothing about.
        let session = report.execution_session_id.clone();
        let events = fabric.events("northwind", &session).await;
        let graph_id = GraphId::new(fixture.graph.graph_id()).unwrap();
        let mut intake = EventIntake::new(session.clone(), graph_id.clone(), &fixture.graph);
        let mut reader = SessionReader::new(session, graph_id, fixture.graph.clone());
        for event in events {
            assert_eq!(intake.take(&event), Ok(Taken::New), "{}", fixture.name);
            reader.take(&event).unwrap();
        }
        let outcome = reader.finish(&report).unwrap();
        assert_eq!(outcome.semantic_digest, local.execution_metadata.semantic_digest);
    }
}

// shows C11.3
#[tokio::test(start_paused = true)]
async fn what_may_not_leave_its_machine_is_refused_before_anything_runs() {
    let mut refused = 0;
    for fixture in crate::support::golden_as_written() {
        let keeps = |task: &kora_ir::Task| task.task_type.is_model() && task.privacy == Privacy::LocalOnly;
        let stays = fixture.graph.tasks().iter().any(keeps);
        let fabric = Fabric::with_nodes(config(), fixture.script.as_ref()).await;
        match fabric.submit("northwind", &fixture.graph, "run").await {
            Ok(_) => assert!(!stays, "{}", fixture.name),
            Err(error) => {
                assert!(
                    stays && error.error_type == ErrorType::ValidationError,
                    "{}: {error:?}",
                    fixture.name
                );
                assert!(
                    error.document.message.contains("is only served remotely"),
                    "{}",
                    error.document.message
                );
                refused += 1;
            }
        }
    }
    assert!(refused > 0);
}

// shows C3.7
#[tokio::test(start_paused = true)]
async fn a_graph_without_nodes_waits_and_one_beyond_them_is_refused() {
    let with_model = golden().into_iter().find(|fixture| fixture.script.is_some()).unwrap();
    let mut fabric = Fabric::new(config()).await;
    let refused = fabric.submit("northwind", &with_model.graph, "run").await.unwrap_err();
    assert_eq!((refused.error_type, refused.retry_after_s), (ErrorType::Unavailable, Some(1)));
    fabric.cpu(1);
    let other = models::Script { models: Vec::new(), ..with_model.script.clone().unwrap() };
    fabric.pod(Some(&other), 1);
    fabric.settle().await;
    let refused = fabric.submit("northwind", &with_model.graph, "run").await.unwrap_err();
    assert_eq!(refused.error_type, ErrorType::ValidationError);
    assert!(refused.document.message.contains("no model or tier is called"), "{}", refused.document.message);
    fabric.pod(with_model.script.as_ref(), 1);
    fabric.settle().await;
    fabric.submit("northwind", &with_model.graph, "run").await.unwrap();
}
