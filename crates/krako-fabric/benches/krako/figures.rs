//! What was measured, for people and for programs.

use std::time::Duration;

use serde_json::{Value, json};

use crate::fabric::{Log, cores};

/// Half of what was measured took no longer than the one, 99 of 100 no longer than the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

impl Spread {
    pub(crate) fn of(mut spent: Vec<Duration>) -> Self {
        spent.sort_unstable();
        let at = |hundredths: usize| spent.get(spent.len() * hundredths / 100).copied().unwrap_or_default();
        Self { p50: at(50), p99: at(99) }
    }
}

/// How long one way takes.
pub(crate) struct Latency {
    pub(crate) way: &'static str,
    pub(crate) log: Option<Log>,
    pub(crate) spread: Spread,
}

/// How much goes through at once.
pub(crate) struct Load {
    pub(crate) log: Log,
    pub(crate) clients: usize,
    pub(crate) units: usize,
    pub(crate) sessions_a_second: f64,
    pub(crate) units_a_second: f64,
    pub(crate) spread: Spread,
}

/// Everything.
pub(crate) struct Figures {
    pub(crate) rounds: usize,
    /// One write and its sync, by themselves.
    pub(crate) syncs: Spread,
    /// The echo first.
    pub(crate) latencies: Vec<Latency>,
    pub(crate) loads: Vec<Load>,
}

fn micros(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e7).round() / 10.0
}

fn ratio(one: Duration, other: Duration) -> f64 {
    (one.as_secs_f64() / other.as_secs_f64().max(1e-9) * 100.0).round() / 100.0
}

fn added(one: Duration, other: Duration) -> f64 {
    micros(one) - micros(other)
}

impl Figures {
    pub(crate) fn to_json(&self) -> Value {
        let echo = self.latencies[0].spread;
        let latencies: Vec<Value> = self
            .latencies
            .iter()
            .map(|latency| {
                json!({
                    "way": latency.way,
                    "log": latency.log.map(Log::name),
                    "p50_us": micros(latency.spread.p50),
                    "p99_us": micros(latency.spread.p99),
                    "added_p50_us": added(latency.spread.p50, echo.p50),
                    "added_p99_us": added(latency.spread.p99, echo.p99),
                    "ratio_p50": ratio(latency.spread.p50, echo.p50),
                    "ratio_p99": ratio(latency.spread.p99, echo.p99),
                })
            })
            .collect();
        let loads: Vec<Value> = self
            .loads
            .iter()
            .map(|load| {
                json!({
                    "log": load.log.name(),
                    "clients": load.clients,
                    "units_a_session": load.units,
                    "sessions_a_second": load.sessions_a_second.round(),
                    "units_a_second": load.units_a_second.round(),
                    "p50_us": micros(load.spread.p50),
                    "p99_us": micros(load.spread.p99),
                })
            })
            .collect();
        json!({
            "rounds": self.rounds,
            "cores": cores(),
            "sync": { "p50_us": micros(self.syncs.p50), "p99_us": micros(self.syncs.p99) },
            "latency": latencies,
            "load": loads,
        })
    }

    pub(crate) fn print(&self) {
        let Spread { p50, p99 } = self.syncs;
        println!(
            "{} cores; one write of 1 KiB and its sync: p50 {:.0} µs, p99 {:.0} µs; {} rounds\n",
            cores(),
            micros(p50),
            micros(p99),
            self.rounds
        );
        println!(
            "{:<16} {:<7} {:>9} {:>9} {:>11} {:>11} {:>9} {:>9}",
            "one task", "log", "p50 µs", "p99 µs", "added p50", "added p99", "× p50", "× p99"
        );
        let echo = self.latencies[0].spread;
        for Latency { way, log, spread } in &self.latencies {
            println!(
                "{:<16} {:<7} {:>9.0} {:>9.0} {:>11.0} {:>11.0} {:>9.2} {:>9.2}",
                way,
                log.map_or("", Log::name),
                micros(spread.p50),
                micros(spread.p99),
                added(spread.p50, echo.p50),
                added(spread.p99, echo.p99),
                ratio(spread.p50, echo.p50),
                ratio(spread.p99, echo.p99),
            );
        }
        println!();
        println!(
            "{:<7} {:>8} {:>6} {:>11} {:>9} {:>9} {:>9}",
            "log", "clients", "units", "sessions/s", "units/s", "p50 µs", "p99 µs"
        );
        for load in &self.loads {
            println!(
                "{:<7} {:>8} {:>6} {:>11.0} {:>9.0} {:>9.0} {:>9.0}",
                load.log.name(),
                load.clients,
                load.units,
                load.sessions_a_second,
                load.units_a_second,
                micros(load.spread.p50),
                micros(load.spread.p99),
            );
        }
    }
}
