//! A fabric of real processes, any of which is killed at any moment, over and over: every session has one result, the one
//! that it has on one machine, and every work unit is billed once.
//!
//! Small by default. `cargo xtask crash` runs more: `KORA_CRASH_KILLS`, `KORA_CRASH_SESSIONS` and `KORA_CRASH_SEED` say
//! how many kills, how many sessions, and which.
#![expect(clippy::unwrap_used, clippy::panic, reason = "what cannot be set up is a failed test")]

mod agreed;
#[path = "../simulation/dice.rs"]
#[expect(dead_code, reason = "the simulation needs the rest")]
mod dice;
mod fleet;
mod killer;
mod load;
#[path = "../fabric/support.rs"]
#[expect(dead_code, reason = "the other tests of the fabric need the rest")]
mod support;
mod verdict;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::fleet::Fleet;
use crate::load::Load;

/// A run that takes longer than so many milliseconds for each session, and as long again for each kill, goes on for ever.
const HANGS_MS: u64 = 2_000;

fn asked(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .map_or(default, |text| text.parse().unwrap_or_else(|error| panic!("{name}={text}: {error}")))
}

// shows C1.2, C1.3, C2.6, C5.1, C5.4, C6.1, C7.3, I8
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_killed_every_session_has_one_result_and_is_billed_once() {
    let (kills, sessions) = (asked("KORA_CRASH_KILLS", 20), asked("KORA_CRASH_SESSIONS", 150));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();
    let seed = asked("KORA_CRASH_SEED", u64::try_from(now).unwrap());
    println!("KORA_CRASH_KILLS={kills} KORA_CRASH_SESSIONS={sessions} KORA_CRASH_SEED={seed}");
    let began = Instant::now();
    let fleet = Arc::new(Fleet::start());
    let load = Arc::new(Load::new(&fleet, sessions).await);
    let limit = Duration::from_millis(HANGS_MS * (sessions + kills));
    let both = async {
        tokio::join!(load.run(), async {
            let killed = killer::run(&fleet, &load, kills, seed).await;
            println!("killed: {killed:?} after {:.1} s", began.elapsed().as_secs_f64());
        });
    };
    tokio::select! {
        done = tokio::time::timeout(limit, both) => {
            done.unwrap_or_else(|_| panic!("seed {seed}: {} of {sessions} sessions ended in {limit:?}", load.ended()));
        }
        died = fleet.someone_dies() => panic!("seed {seed}: {died}"),
    }
    println!("{sessions} sessions ended after {:.1} s", began.elapsed().as_secs_f64());
    verdict::judge(&fleet, &load).await;
    println!("judged after {:.1} s", began.elapsed().as_secs_f64());
}
