//! A pull that people can watch and stop.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use model_store::{ModelName, Phase, Progress, Pulled, Source, Store};

use super::store::{WeightsError, size};
use crate::interrupt::{self, Until};
use crate::refused::CommandError;
use crate::screen::{self, FAINT};

/// How often a line is written where none can be redrawn.
const SAY_AGAIN: Duration = Duration::from_secs(10);

/// Who is told how far it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Told {
    /// People, on standard error.
    People,
    /// Nobody: a program reads the result.
    Nobody,
}

/// Pulls a model, until it is there or somebody stops it.
///
/// # Errors
///
/// [`WeightsError`] says what is wrong and how to mend it.
pub(super) fn fetch(
    store: &Store,
    name: &ModelName,
    source: &Source,
    told: Told,
) -> Result<Pulled, CommandError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(CommandError::Runtime)?;
    let stop = Arc::new(AtomicBool::new(false));
    let pulled = runtime.block_on(async {
        let pressed = interrupt::take_over(Until::InterruptOrTermination).await;
        let mut teller = Teller::new(name, told);
        let (store, name, source) = (store.clone(), name.clone(), source.clone());
        let is_stopped = Arc::clone(&stop);
        let mut pull = tokio::task::spawn_blocking(move || {
            store.pull(&name, &source, &mut |progress| {
                teller.tell(progress);
                if is_stopped.load(Ordering::Relaxed) {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            })
        });
        tokio::select! {
            pulled = &mut pull => pulled,
            () = pressed => {
                // It looks at this twenty times a second, ends its client and keeps what the next pull can use.
                stop.store(true, Ordering::Relaxed);
                pull.await
            }
        }
    });
    match pulled {
        Ok(pulled) => pulled.map_err(|error| WeightsError::from(error).into()),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => Err(CommandError::Runtime(error.into())),
        },
    }
}

/// Tells people how far it is: a line that is redrawn on a terminal, a line now and then elsewhere.
pub(super) struct Teller {
    name: String,
    told: Told,
    bar: Option<ProgressBar>,
    phase: Option<Phase>,
    said: Instant,
}

impl Teller {
    fn new(name: &ModelName, told: Told) -> Self {
        let bar = (told == Told::People && screen::shows_progress())
            .then(|| ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10)));
        Self { name: name.to_string(), told, bar, phase: None, said: Instant::now() }
    }

    /// One that never redraws: something else is said meanwhile.
    pub(super) fn in_lines(name: &ModelName) -> Self {
        Self { name: name.to_string(), told: Told::People, bar: None, phase: None, said: Instant::now() }
    }

    pub(super) fn tell(&mut self, progress: Progress) {
        if self.told == Told::Nobody {
            return;
        }
        let is_new = self.phase != Some(progress.phase);
        self.phase = Some(progress.phase);
        if let Some(bar) = &self.bar {
            if is_new || bar.length() != progress.total {
                bar.set_style(style(progress.total.is_some()));
                bar.set_message(format!("{}: {}", self.name, words(progress.phase)));
            }
            progress.total.map_or_else(|| bar.unset_length(), |total| bar.set_length(total));
            bar.set_position(progress.bytes);
            bar.tick();
        } else if is_new || self.said.elapsed() >= SAY_AGAIN {
            self.said = Instant::now();
            let mut line = format!("{}: {}", self.name, words(progress.phase));
            if let Some(total) = progress.total.filter(|_| progress.bytes > 0) {
                line += &format!(", {} of {}", size(progress.bytes), size(total));
            }
            screen::tell(&format!("{FAINT}{line}{FAINT:#}\n"));
        }
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn style(is_measured: bool) -> ProgressStyle {
    let template = if is_measured {
        "{spinner} {msg} {wide_bar} {binary_bytes}/{binary_total_bytes} {eta}"
    } else {
        "{spinner} {msg} {elapsed}"
    };
    // A line without its pattern is still a line.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn words(phase: Phase) -> String {
    match phase {
        Phase::Waiting { process: Some(process) } => {
            format!("waiting for process {process}, which works on it")
        }
        Phase::Waiting { process: None } => String::from("waiting for another process that works on it"),
        Phase::Downloading => String::from("downloading"),
        Phase::Checking => String::from("comparing with its digest"),
        Phase::Unpacking => String::from("unpacking"),
        Phase::Copying => String::from("copying"),
    }
}
