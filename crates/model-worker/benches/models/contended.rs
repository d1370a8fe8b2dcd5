//! What others who compute cost: the fixed job, and by how much deadlines are missed.

use std::time::Duration;

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
/// Tokens of a prompt that the worker computes in one pass.
const PASS: u32 = 32;

/// The same job and deadlines with nobody else beside, and with busy processes, in turn.
pub(crate) fn compare(contestants: &mut [Contestant], repeats: usize) -> anyhow::Result<()> {
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
    println!("\n{DEADLINES} deadlines, ms late: median (least-most), and what is allowed");
    for contestant in contestants.iter_mut().filter(|contestant| !contestant.is_peer()) {
        deadlines(contestant, "alone")?;
        let _busy = Busy::start(BUSY)?;
        deadlines(contestant, "beside busy processes")?;
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

fn deadlines(contestant: &mut Contestant, says: &str) -> anyhow::Result<()> {
    let endless = Question::new(128, 1500, HeldTo::Length);
    let mut late = Vec::new();
    let mut longest_pass = Duration::ZERO;
    for at in 0..DEADLINES {
        let deadline_ms = FIRST_MS + at * STEP_MS;
        let answer = contestant.ask(&Question { deadline_ms, ..endless.clone() })?;
        anyhow::ensure!(answer.late, "an endless reply ended before its deadline of {deadline_ms} ms");
        late.push(milliseconds(answer.wall) - deadline_ms as f64);
        longest_pass = longest_pass.max(answer.longest_pause);
        // In the same conditions, what a pass over a piece of a prompt takes.
        if at % 8 == 0 {
            let prompt = contestant.ask(&Question::new(256, 1, HeldTo::Length))?;
            let passes = u32::try_from(prompt.tokens_in)?.div_ceil(PASS);
            longest_pass = longest_pass.max(prompt.prompt / passes);
        }
    }
    let most = late.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let allowed = milliseconds(SLACK + longest_pass);
    println!(
        "  {:<10} {} thread(s)  {says:<22} {:<22} allowed {allowed:.1} = {} and a pass of {:.1}  {}",
        contestant.name,
        contestant.threads,
        spread(&late, 1),
        SLACK.as_millis(),
        milliseconds(longest_pass),
        if most <= allowed { "kept" } else { "MISSED" },
    );
    Ok(())
}
