//! The progress line of a run, on a terminal only.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use kora_ir::CheckedGraph;

use super::tally::Tally;

/// How often the line is drawn.
const REDRAW: Duration = Duration::from_millis(100);
/// How many of the tasks under way it names.
const NAMED: usize = 3;

/// One line on standard error that goes away with the value.
#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
    tally: Arc<Tally>,
    graph: CheckedGraph,
}

impl Progress {
    pub(super) fn start(tally: Arc<Tally>, graph: &CheckedGraph) -> Self {
        let bar = ProgressBar::with_draw_target(
            Some(graph.tasks().len() as u64),
            ProgressDrawTarget::stderr_with_hz(10),
        );
        // A line without its pattern is still a line.
        if let Ok(style) = ProgressStyle::with_template("{spinner} {pos}/{len} {wide_msg}") {
            bar.set_style(style);
        }
        Self { bar, tally, graph: graph.clone() }
    }

    fn redraw(&self) {
        let glance = self.tally.glance(NAMED);
        let mut named: Vec<&str> =
            glance.running.iter().map(|task| self.graph.task(*task).id.as_str()).collect();
        if glance.running_count > named.len() {
            named.push("…");
        }
        let mut message = named.join(", ");
        if glance.tokens > 0 {
            message += &format!(" · {} tokens", glance.tokens);
        }
        if glance.failed > 0 {
            message += &format!(" · {} failed", glance.failed);
        }
        self.bar.set_position(glance.settled as u64);
        self.bar.set_message(message);
        self.bar.tick();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Redraws the line until the future is dropped.
pub(super) async fn draw(progress: Option<&Progress>) {
    let Some(progress) = progress else { return pending().await };
    loop {
        tokio::time::sleep(REDRAW).await;
        progress.redraw();
    }
}
