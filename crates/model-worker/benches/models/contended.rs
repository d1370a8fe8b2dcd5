//! What others who compute cost: the fixed job, and by how much deadlines are missed.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::busy::Busy;
use crate::contestant::Contestant;
use crate::figures::{load, median, milliseconds, ratios, spread};
use crate::question::{HeldTo, Question};

/// As many as the smallest machine that this is for has processors.
const BUSY: usize = 2;
/// A job whose threads do not wait for each other by spinning ends within this many times its quiet time, by far.
const BEARABLE: f64 = 10.0;
/// Deadlines that are set.
const DEADLINES: u64 = 32;
/// The deadlines: from the first, in equal steps.
const FIRST_MS: u64 = 60;
const STEP_MS: u64 = 60;
/// What a deadline may be missed by, one pass aside.
const SLACK: Duration = Duration::from_millis(50);
/// Tokens of the prompts that deadlines end in, and of the replies that the others do.
const PROMPT: usize = 128;
const ENDLESS: u64 = 1500;

/// The same job and deadlines with nobody else beside, and with busy processes, in turn. `backend` is the command whose
/// runs are looked at, too.
pub(crate) fn compare(
    contestants: &mut [Contestant],
    backend: Option<&Path>,
    repeats: usize,
) -> anyhow::Result<()> {
    for contestant in &mut *contestants {
        job(contestant)?;
    }
    let (mut quiet, mut contended) =
        (vec![Vec::new(); contestants.len()], vec![Vec::new(); contestants.len()]);
    for repeat in 1..=repeats {
        // Minutes pass on a slow machine, and whoever waits should see that they do.
        eprintln!("repeat {repeat} of {repeats}, load {}", load());
        for (at, contestant) in contestants.iter_mut().enumerate() {
            quiet[at].push(job(contestant)?);
            let _busy = Busy::start(BUSY)?;
            contended[at].push(job(contestant)?);
        }
    }
    println!("\n2 prompts of 256 and 311 tokens of reply, seconds: median (least-most) of {repeats}");
    for (at, contestant) in contestants.iter().enumerate() {
        let ratios = ratios(&contended[at], &quiet[at]);
        let verdict = match median(ratios.clone()) {
            Some(ratio) if ratio < BEARABLE => "bearable",
            _ => "UNBEARABLE",
        };
        println!(
            "  {:<10} {} thread(s)  alone {:<20} beside {BUSY} busy processes {:<20} times {:<20} {verdict}",
            contestant.name,
            contestant.threads,
            spread(&quiet[at], 2),
            spread(&contended[at], 2),
            spread(&ratios, 2),
        );
    }
    println!(
        "\n{DEADLINES} deadlines, ms late: median (least-most), and what is allowed\n\
         a worker is late when it stops computing; a run is late when its result tells so"
    );
    for contestant in contestants.iter_mut().filter(|contestant| !contestant.is_peer()) {
        deadlines(contestant, "alone")?;
        let _busy = Busy::start(BUSY)?;
        deadlines(contestant, "beside busy processes")?;
    }
    if let Some(backend) = backend {
        runs(backend, "alone")?;
        let _busy = Busy::start(BUSY)?;
        runs(backend, "beside busy processes")?;
    }
    Ok(())
}

/// The fixed job's seconds.
fn job(contestant: &mut Contestant) -> anyhow::Result<f64> {
    let first = contestant.ask(&Question::new(256, 128, HeldTo::Length))?;
    let second = contestant.ask(&Question::new(256, 183, HeldTo::Length))?;
    anyhow::ensure!(first.tokens_out + second.tokens_out == 311, "the job was not done");
    Ok((first.wall + second.wall).as_secs_f64())
}

/// The deadlines, in milliseconds.
fn all() -> impl Iterator<Item = u64> {
    (0..DEADLINES).map(|at| FIRST_MS + at * STEP_MS)
}

fn deadlines(contestant: &mut Contestant, says: &str) -> anyhow::Result<()> {
    let endless = Question::new(PROMPT, ENDLESS, HeldTo::Length);
    let mut late = Vec::new();
    let mut longest_pass = Duration::ZERO;
    for deadline_ms in all() {
        let answer = contestant.ask(&Question { deadline_ms, ..endless.clone() })?;
        anyhow::ensure!(answer.late, "an endless reply ended before its deadline of {deadline_ms} ms");
        late.push(milliseconds(answer.wall) - deadline_ms as f64);
        // Between two pieces lies one pass, of one token.
        longest_pass = longest_pass.max(answer.longest_pause);
    }
    let allowed = milliseconds(SLACK + longest_pass);
    tell(&format!("{:<10} {} thread(s)", contestant.name, contestant.threads), says, &late, allowed);
    Ok(())
}

/// Runs of the command, one after the other, of one task each that can only be late.
fn runs(backend: &Path, says: &str) -> anyhow::Result<()> {
    let mut late = Vec::new();
    for deadline_ms in all() {
        late.push(run(backend, deadline_ms)?);
    }
    tell("a run, 1 thread(s)", says, &late, milliseconds(SLACK));
    Ok(())
}

/// By how many milliseconds a run's only task is late, as the run tells.
fn run(backend: &Path, deadline_ms: u64) -> anyhow::Result<f64> {
    let question = Question::new(PROMPT, ENDLESS, HeldTo::Length);
    let messages: Vec<Value> = question
        .messages(deadline_ms)
        .into_iter()
        .map(|message| json!({"role": message.role, "content": message.content}))
        .collect();
    let graph = json!({
        "kora_version": "1.0.0", "graph_id": "deadline", "root": "ask", "tasks": [{
            "version": "1.0", "id": "ask", "type": "model", "dependencies": [], "input": {},
            "schema": question.schema(),
            "budget": {"max_tokens": ENDLESS, "max_time_ms": deadline_ms, "max_retries": 0},
            "run": {"model": model_store::DEFAULT_MODEL, "messages": messages},
        }],
    });
    let mut child = Command::new(backend)
        .args(["run", "--json", "--offline", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("`{}` cannot be started", backend.display()))?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(graph.to_string().as_bytes())?;
    }
    let output = child.wait_with_output()?;
    let result: Value = serde_json::from_slice(&output.stdout).context("the run told no result")?;
    let breach = &result["failure"]["breach"];
    let of = |name: &str| breach[name].as_f64().with_context(|| format!("the run was not late: {result}"));
    Ok(of("used")? - of("declared")?)
}

fn tell(who: &str, says: &str, late: &[f64], allowed: f64) {
    let most = late.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    println!(
        "  {who:<24} {says:<22} {:<22} allowed {allowed:.1}  {}",
        spread(late, 1),
        if most <= allowed { "kept" } else { "MISSED" },
    );
}
