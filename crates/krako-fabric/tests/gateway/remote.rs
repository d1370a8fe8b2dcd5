//! Both seams through the desk: what goes in at one end comes out at the other, errors too.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use kora_ir::Limits;
use krako_contract::{
    Anchoring, ErrorResponse, ErrorType, NodeId, Sequence, SessionId, Submission, TenantId, WireLimits,
    WorkUnitKind,
};
use krako_fabric::{
    Claim, Desk, DeskConfig, Heartbeat, HeartbeatAnswer, LeaseProgress, NodeDesk, NodeError, Offer,
    OrderOutcome, OrderReport, RemoteDesk, RemoteSessions, Sessions, TcpAccept, WorkOrder,
};
use krako_transport::{Client, Endpoint, Secret, TcpDial, TransportLimits, Trust};
use serde_json::json;

use crate::scripted::{Mood, ScriptedSessions, events, example};
use crate::served::{Keys, SUBMISSION};

/// A desk that is scripted: gives one order, and takes its report once.
#[derive(Debug, Default)]
struct ScriptedDesk {
    reported: Mutex<Vec<OrderReport>>,
    claims: Mutex<Vec<Claim>>,
}

fn order() -> WorkOrder {
    serde_json::from_value(json!({
        "lease": "1.7", "lease_ms": 30000, "execution_session_id": "ses_1", "work_unit_id": "draft",
        "attempt_index": 1, "tokens_left": 60, "time_left_us": 4_000_000, "schema": {"type": "object"},
        "work": {"kind": "llm_pod", "model": "small", "messages": [{"role": "user", "content": "hello\n\"you\""}], "seed": 3}
    }))
    .unwrap()
}

#[async_trait]
impl NodeDesk for ScriptedDesk {
    async fn claim(&self, claim: Claim) -> Result<Vec<WorkOrder>, NodeError> {
        self.claims.lock().unwrap().push(claim.clone());
        match claim.slots {
            0 => Err(NodeError::Refused(String::from("no slots"))),
            1 => Ok(vec![order()]),
            _ => Err(NodeError::Unavailable(String::from("not yet"))),
        }
    }

    async fn heartbeat(&self, heartbeat: Heartbeat) -> Result<HeartbeatAnswer, NodeError> {
        Ok(HeartbeatAnswer { stop: heartbeat.leases.into_iter().map(|one| one.lease).collect() })
    }

    async fn report(&self, report: OrderReport) -> Result<(), NodeError> {
        let mut reported = self.reported.lock().unwrap();
        if reported.iter().any(|other| other.lease == report.lease) {
            return Err(NodeError::LeaseOver);
        }
        reported.push(report);
        Ok(())
    }
}

struct Both {
    keys: Keys,
    sessions: Arc<ScriptedSessions>,
    desk: Arc<ScriptedDesk>,
    endpoint: Endpoint,
}

async fn serve() -> Both {
    let keys = Keys::new();
    let sessions = Arc::new(ScriptedSessions::new());
    let desk = Arc::new(ScriptedDesk::default());
    let config = DeskConfig { max_wait: Duration::from_secs(5), ..DeskConfig::default() };
    let listener = Desk::new(Arc::clone(&desk) as _, Arc::clone(&sessions) as _, keys.tokens.clone(), config);
    let accept = TcpAccept::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let endpoint = Endpoint::parse(&format!("https://localhost:{}", accept.address().port())).unwrap();
    let identity = keys.identity.clone();
    tokio::spawn(async move { listener.serve(&accept, &identity, std::future::pending()).await });
    Both { keys, sessions, desk, endpoint }
}

impl Both {
    fn client(&self, token: &str) -> Client {
        let trust = Trust::Pinned(self.keys.authority.certificate_file());
        let token = Secret::from_text(token).unwrap();
        Client::new(self.endpoint.clone(), trust, Some(token), Arc::new(TcpDial), TransportLimits::default())
            .unwrap()
    }

    fn sessions(&self) -> RemoteSessions {
        RemoteSessions::new(self.client(&self.keys.held[3]), WireLimits::default())
    }

    fn desk(&self) -> RemoteDesk {
        RemoteDesk::new(self.client(&self.keys.held[2]), WireLimits::default())
    }
}

fn claim(slots: u32) -> Claim {
    let offer = Offer { operations: vec![String::from("echo")], models: Vec::new() };
    let node_id = NodeId::new("pod-1").unwrap();
    Claim { node_id, pool: WorkUnitKind::LlmPod, offer, slots, works_at: 0, wait_ms: 1_000_000 }
}

#[tokio::test]
async fn work_is_claimed_kept_alive_and_reported_from_another_process() {
    let both = serve().await;
    let desk = both.desk();
    let orders = desk.claim(claim(1)).await.unwrap();
    assert_eq!(orders, [order()]);
    // Nobody waits for longer than the desk lets them.
    assert_eq!(both.desk.claims.lock().unwrap()[0].wait_ms, 5000);
    let lease = orders[0].lease.clone();
    let progress = LeaseProgress { lease: lease.clone(), tokens_out: 4, elapsed_us: 5 };
    let heartbeat = Heartbeat { node_id: NodeId::new("pod-1").unwrap(), leases: vec![progress] };
    assert_eq!(desk.heartbeat(heartbeat).await.unwrap().stop, std::slice::from_ref(&lease));
    let outcome = OrderOutcome::Output { output: json!({"answer": [1, 2.5, null, "ä"]}) };
    let report = OrderReport {
        node_id: NodeId::new("pod-1").unwrap(),
        lease,
        elapsed_us: 9,
        tokens_in: 1,
        tokens_out: 2,
        tokens_estimated: true,
        outcome,
        retry_after_ms: Some(3),
    };
    desk.report(report.clone()).await.unwrap();
    assert_eq!(*both.desk.reported.lock().unwrap(), std::slice::from_ref(&report));
    assert_eq!(desk.report(report).await, Err(NodeError::LeaseOver));
    assert!(matches!(desk.claim(claim(0)).await, Err(NodeError::Refused(said)) if said.contains("no slots")));
    assert!(
        matches!(desk.claim(claim(2)).await, Err(NodeError::Unavailable(said)) if said.contains("not yet"))
    );
}

#[tokio::test]
async fn sessions_of_another_process_are_as_ones_own() {
    let both = serve().await;
    let (here, there) = (&*both.sessions, both.sessions());
    let tenant = TenantId::new("northwind").unwrap();
    let session = SessionId::new("ses_1").unwrap();
    let submission = Submission::read(
        SUBMISSION.as_bytes(),
        &WireLimits::default(),
        &Limits::default(),
        Anchoring::GraphOrContext,
    )
    .unwrap();
    assert_eq!(there.submit(&tenant, submission.clone()).await, here.submit(&tenant, submission).await);
    assert_eq!(there.report(&tenant, &session, Duration::ZERO).await, Ok(example(1)));
    assert_eq!(there.cancel(&tenant, &session).await, here.cancel(&tenant, &session).await);
    assert_eq!(there.usage(&tenant).await, here.usage(&tenant).await);
    assert_eq!(there.health().await, here.health().await);
    assert_eq!(there.capabilities().await, here.capabilities().await);
    let mut after = None;
    let mut read = Vec::new();
    loop {
        let page = there.events(&tenant, &session, after, Duration::ZERO).await.unwrap();
        read.extend(page.events);
        after = read.last().map(|event: &krako_contract::Event| event.sequence);
        if page.ended {
            break;
        }
    }
    assert_eq!(read, events());
    assert_eq!(after.map(Sequence::number), Some(25));
    let stranger = TenantId::new("contoso, \"Ltd\" ü").unwrap();
    let absent = there.report(&stranger, &session, Duration::ZERO).await.unwrap_err();
    assert_eq!(absent.error_type, ErrorType::NotFound);
    // What is waited for comes when it happens.
    here.show(3);
    let waiting = there.report(&tenant, &session, Duration::from_secs(5));
    let ending = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        here.show(25);
    };
    assert_eq!(tokio::join!(waiting, ending).0, Ok(example(1)));
}

#[tokio::test]
async fn errors_come_through_whole() {
    let both = serve().await;
    let there = both.sessions();
    for &error_type in ErrorType::ALL {
        let mut error = ErrorResponse::new(error_type, "scripted");
        error.retry_after_s = error_type.is_passing().then_some(9);
        both.sessions.set(Mood::Fails(Box::new(error.clone())));
        let told = there.health().await.unwrap_err();
        // These two would be of the gateway's own call.
        if matches!(error_type, ErrorType::Unauthenticated | ErrorType::MethodNotAllowed) {
            assert_eq!(told.error_type, ErrorType::Unavailable);
        } else {
            assert_eq!(told, error);
        }
    }
}

#[tokio::test]
async fn a_token_opens_its_own_side_and_no_other() {
    let both = serve().await;
    for token in &both.keys.held {
        let is_node = token == &both.keys.held[2];
        let is_gateway = token == &both.keys.held[3];
        let desk = RemoteDesk::new(both.client(token), WireLimits::default());
        let sessions = RemoteSessions::new(both.client(token), WireLimits::default());
        match desk.claim(claim(1)).await {
            Ok(_) => assert!(is_node),
            Err(NodeError::Refused(said)) => assert!(!is_node && !said.contains(token.as_str()), "{said}"),
            Err(other) => panic!("{other}"),
        }
        match sessions.health().await {
            Ok(_) => assert!(is_gateway),
            Err(error) => {
                assert!(!is_gateway);
                // A caller is not told that its own token is wrong.
                assert_eq!(error.error_type, ErrorType::Unavailable);
            }
        }
        assert!(!format!("{desk:?} {sessions:?}").contains(token.as_str()));
    }
}

#[tokio::test]
async fn nobody_at_the_desk_is_unavailable() {
    let both = serve().await;
    let accept = TcpAccept::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let port = accept.address().port();
    drop(accept);
    let both = Both { endpoint: Endpoint::parse(&format!("https://localhost:{port}")).unwrap(), ..both };
    assert!(matches!(both.desk().claim(claim(1)).await, Err(NodeError::Unavailable(_))));
    assert_eq!(both.sessions().health().await.unwrap_err().error_type, ErrorType::Unavailable);
}

#[tokio::test]
async fn a_document_that_is_wrong_is_told_where() {
    let both = serve().await;
    let client = both.client(&both.keys.held[2]);
    for (path, body, said) in [
        ("/nodes/v1/claim", "[]", "no JSON object"),
        ("/nodes/v1/claim", r#"{"node_id": "a b"}"#, "node_id"),
        ("/nodes/v1/report", r#"{"node_id": "a", "lease": "1.1", "elapsed_us": -1}"#, "elapsed_us"),
        ("/nodes/v1/heartbeat", r#"{"node_id": "a", "leases": []} {}"#, "more after the document"),
    ] {
        let answer = client.request(krako_transport::Call::post(path, body)).await.unwrap();
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status.as_u16(), 400, "{text}");
        assert!(text.contains(said), "{text}");
    }
    let absent = client.request(krako_transport::Call::post("/nodes/v2/claim", "{}")).await.unwrap();
    assert_eq!(absent.status.as_u16(), 404);
    let got = client.request(krako_transport::Call::get("/nodes/v1/claim")).await.unwrap();
    assert_eq!(got.status.as_u16(), 405);
}
