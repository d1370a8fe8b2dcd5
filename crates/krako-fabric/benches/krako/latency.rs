//! One caller at a time: how long each way takes, the ways in turns.

use std::future::Future;
use std::time::{Duration, Instant};

use kora_ir::{CheckedGraph, Limits};

use crate::caller::{Caller, succeeded};
use crate::fabric::Fabric;
use crate::figures::{Latency, Spread};
use crate::graphs::{graph, submission};
use crate::keys::Keys;

async fn time<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let began = Instant::now();
    let done = work.await;
    (done, began.elapsed())
}

/// One fabric, and what was measured of it.
struct Measured<'f> {
    fabric: &'f Fabric,
    caller: Caller,
    waits: Vec<Duration>,
    executes: Vec<Duration>,
}

/// Every way once in each round, the first rounds not counted. The echo comes first.
pub(crate) async fn measure(keys: &Keys, echo: u16, fabrics: &[Fabric], rounds: usize) -> Vec<Latency> {
    let graph = graph(1);
    let checked = CheckedGraph::parse(&graph.to_string(), &Limits::default()).unwrap();
    let (mut echo, mut echoes) = (Caller::connect(keys, echo).await, Vec::new());
    let mut measured = Vec::new();
    for fabric in fabrics {
        let caller = Caller::connect(keys, fabric.port).await;
        measured.push(Measured { fabric, caller, waits: Vec::new(), executes: Vec::new() });
    }
    let warm = rounds / 10 + 5;
    for round in 0..warm + rounds {
        let text = submission(&graph, &format!("wait-{round}"));
        let length = text.len();
        let (answer, spent) = time(echo.submit(text)).await;
        assert_eq!(answer.len(), length);
        echoes.push(spent);
        for Measured { fabric, caller, waits, executes } in &mut measured {
            let text = submission(&graph, &format!("wait-{round}"));
            let (answer, spent) = time(caller.submit(text)).await;
            succeeded(&answer);
            waits.push(spent);
            let ((), spent) = time(fabric.execute(&checked, &format!("execute-{round}"))).await;
            executes.push(spent);
        }
    }
    let spread = |spent: Vec<Duration>| Spread::of(spent.into_iter().skip(warm).collect());
    let mut latencies = vec![Latency { way: "echo", log: None, spread: spread(echoes) }];
    for Measured { fabric, waits, executes, .. } in measured {
        for (way, spent) in [("POST with wait", waits), ("KrakoBackend", executes)] {
            latencies.push(Latency { way, log: Some(fabric.log), spread: spread(spent) });
        }
    }
    latencies
}
