//! How fast everybody is, side by side.

use std::time::Instant;

use schema_grammar::Grammar;

use crate::contestant::{Answer, Contestant};
use crate::figures::{load, milliseconds, per_second, ratios, spread};
use crate::question::{self, HeldTo, Question};

/// Grammars compiled to know how long one takes.
const GRAMMARS: usize = 15;

/// Something that is measured of an answer; more is better.
struct Measure {
    says: &'static str,
    question: Question,
    of: fn(&Answer) -> Option<f64>,
}

fn measures() -> Vec<Measure> {
    let prompt = Question::new(512, 1, HeldTo::Length);
    let decode = Question::new(64, 128, HeldTo::Length);
    let constrained = Question::new(96, 128, HeldTo::Schema);
    vec![
        Measure {
            says: "prompt of 512, tok/s",
            question: prompt,
            of: |answer| Some(per_second(answer.tokens_in, answer.prompt)),
        },
        Measure {
            says: "decode of 128, tok/s",
            question: decode,
            of: |answer| Some(per_second(answer.tokens_out, answer.decode)),
        },
        Measure {
            says: "held to a schema, tok/s",
            question: constrained,
            of: |answer| Some(per_second(answer.tokens_out, answer.decode)),
        },
    ]
}

/// Asks everybody everything, in turn, `repeats` times, and prints what came of it.
pub(crate) fn compare(contestants: &mut [Contestant], repeats: usize) -> anyhow::Result<()> {
    let measures = measures();
    // What a process does once it does before it is measured.
    for contestant in &mut *contestants {
        for measure in &measures {
            contestant.ask(&Question { reply: 4.min(measure.question.reply), ..measure.question.clone() })?;
        }
    }
    // By contestant, by measure, one answer for each repeat.
    let mut answers = vec![vec![Vec::new(); measures.len()]; contestants.len()];
    for repeat in 0..repeats {
        // Minutes pass on a slow machine, and whoever waits should see that they do.
        eprintln!("repeat {} of {repeats}, load {}", repeat + 1, load());
        for (at, measure) in measures.iter().enumerate() {
            for turn in 0..contestants.len() {
                // Nobody is always first.
                let who = (turn + repeat) % contestants.len();
                answers[who][at].push(contestants[who].ask(&measure.question)?);
            }
        }
    }
    for (at, measure) in measures.iter().enumerate() {
        println!("\n{}: median (least-most) of {repeats}", measure.says);
        let figures: Vec<Vec<f64>> =
            answers.iter().map(|answers| answers[at].iter().filter_map(measure.of).collect()).collect();
        let computed: Vec<Vec<f64>> = answers
            .iter()
            .map(|answers| {
                let tokens = |answer: &Answer| match at {
                    0 => answer.tokens_in,
                    _ => answer.tokens_in + answer.tokens_out,
                };
                answers[at].iter().filter_map(|a| Some(per_second(tokens(a), a.computed?))).collect()
            })
            .collect();
        for (who, contestant) in contestants.iter().enumerate() {
            let other = peer_of(contestants, who);
            println!(
                "  {:<10} {} thread(s)  {:<28} of llama.cpp's {:<20} per second of processor, its prompt included {:<24} {}",
                contestant.name,
                contestant.threads,
                spread(&figures[who], 1),
                other.map_or_else(
                    || String::from("-"),
                    |other| spread(&ratios(&figures[who], &figures[other]), 2)
                ),
                spread(&computed[who], 1),
                other.map_or_else(String::new, |other| spread(&ratios(&computed[who], &computed[other]), 2)),
            );
        }
    }
    rest(contestants, &answers)
}

/// The contestant that this one is compared with: the same threads, the other kind.
fn peer_of(contestants: &[Contestant], who: usize) -> Option<usize> {
    let own = &contestants[who];
    contestants
        .iter()
        .position(|other| other.threads == own.threads && other.is_peer())
        .filter(|_| !own.is_peer())
}

fn rest(contestants: &[Contestant], answers: &[Vec<Vec<Answer>>]) -> anyhow::Result<()> {
    println!("\nmasks of the schema, µs for each token");
    for (contestant, answers) in contestants.iter().zip(answers) {
        let masks: Vec<f64> = answers
            .last()
            .into_iter()
            .flatten()
            .filter_map(|answer| Some(answer.mask?.as_secs_f64() * 1e6 / answer.tokens_out as f64))
            .collect();
        if !masks.is_empty() {
            println!("  {:<10} {} thread(s)  {}", contestant.name, contestant.threads, spread(&masks, 0));
        }
    }
    let grammars = (0..GRAMMARS).map(|_| {
        let began = Instant::now();
        Grammar::compile(&question::schema())?;
        Ok(milliseconds(began.elapsed()))
    });
    let grammars: Vec<f64> = grammars.collect::<Result<_, schema_grammar::GrammarError>>()?;
    println!("\na grammar of the schema, ms: {}", spread(&grammars, 2));
    println!(
        "\nloading, ms, and memory, MiB now / at most (llama.cpp's with its Python and the file that it maps)"
    );
    for contestant in contestants {
        let memory =
            contestant.resident().map_or_else(|| String::from("-"), |(now, most)| format!("{now} / {most}"));
        println!(
            "  {:<10} {} thread(s)  {:>6.0}  {memory}",
            contestant.name,
            contestant.threads,
            milliseconds(contestant.load)
        );
    }
    Ok(())
}
