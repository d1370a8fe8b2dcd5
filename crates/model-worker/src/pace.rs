//! How many tokens are fed at once, so that no pass takes long: fewer on a slow machine, or a busy one.

use std::time::{Duration, Instant};

use crate::runtime::{Batch, Pass, Runtime, RuntimeError};

/// What a pass should take at most. With the slack of 50 ms, a deadline is missed by less than a tenth of a second.
const AIM: Duration = Duration::from_millis(40);
/// Tokens of a pass. More gain nothing.
const MOST: usize = 32;
/// Fewer would cost more than they gain: these are computed together.
const LEAST: usize = 4;

/// What the latest passes took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// What one token took. `None` until there was one.
    token: Option<Duration>,
}

impl Pace {
    pub(crate) fn new() -> Self {
        Self { token: None }
    }

    /// Feeds tokens, in as many passes as it takes. `stop` is asked before each and within.
    ///
    /// # Errors
    ///
    /// Those of [`Runtime::feed`].
    pub(crate) fn feed<R: Runtime>(
        &mut self,
        runtime: &mut R,
        tokens: &[u32],
        stop: &mut dyn FnMut() -> bool,
    ) -> Result<Pass, RuntimeError> {
        let mut rest = tokens;
        while !rest.is_empty() {
            let (now, after) = rest.split_at(self.next(runtime.batch()).min(rest.len()));
            let began = Instant::now();
            if stop() || runtime.feed(now, stop)? == Pass::Stopped {
                return Ok(Pass::Stopped);
            }
            self.took(now.len(), began.elapsed());
            rest = after;
        }
        Ok(Pass::Whole)
    }

    /// Tokens of the next pass.
    fn next(&self, batch: Batch) -> usize {
        match (batch, self.token) {
            (Batch::Fixed(tokens), _) => tokens.max(1),
            // A first pass is the first of a process: nothing is known, and little is risked.
            (Batch::Any, None) => LEAST,
            (Batch::Any, Some(token)) => {
                let fitting = AIM.as_nanos() / token.as_nanos().max(1);
                let fitting = usize::try_from(fitting).unwrap_or(MOST).clamp(LEAST, MOST);
                fitting - fitting % LEAST
            }
        }
    }

    /// Slower is believed at once, faster by and by: a machine that was busy may be so again.
    fn took(&mut self, tokens: usize, time: Duration) {
        // One token alone takes longer than it does in company.
        let Some(each) = u32::try_from(tokens).ok().filter(|tokens| *tokens as usize >= LEAST) else {
            return;
        };
        let each = time / each;
        self.token = Some(match self.token {
            Some(before) if each < before => (before * 3 + each) / 4,
            Some(_) | None => each,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(passes: &[(usize, u64)]) -> usize {
        let mut pace = Pace::new();
        for (tokens, millis) in passes {
            pace.took(*tokens, Duration::from_millis(*millis));
        }
        pace.next(Batch::Any)
    }

    #[test]
    fn a_pass_gets_as_many_tokens_as_fit_its_time() {
        assert_eq!(after(&[]), LEAST);
        assert_eq!(after(&[(4, 4)]), MOST);
        assert_eq!(after(&[(32, 64)]), 20);
        assert_eq!(after(&[(32, 500)]), LEAST);
        assert_eq!(after(&[(32, 60_000)]), LEAST);
        assert_eq!(after(&[(32, 0)]), MOST);
    }

    #[test]
    fn slower_is_believed_at_once_and_faster_by_and_by() {
        let slow = (4, 40);
        assert_eq!(after(&[(32, 32), slow]), LEAST);
        assert_eq!(after(&[slow, (4, 4)]), LEAST);
        assert_eq!(after(&[slow; 3]), LEAST);
        let mut passes = vec![slow];
        passes.extend([(4, 4); 20]);
        assert_eq!(after(&passes), MOST);
    }

    #[test]
    fn a_token_alone_says_nothing_about_many() {
        assert_eq!(after(&[(32, 32), (1, 39)]), MOST);
    }

    #[test]
    fn a_runtime_to_which_it_matters_gets_always_as_many() {
        let mut pace = Pace::new();
        pace.took(8, Duration::from_secs(9));
        assert_eq!(pace.next(Batch::Fixed(8)), 8);
        assert_eq!(pace.next(Batch::Fixed(0)), 1);
    }
}
