//! What a run has left, and whether it has been asked to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::{Limit, OperationError, OperationErrorKind, OperationLimits};

/// Steps between two looks at the stop flag.
const STRIDE: u64 = 1024;

/// What one run has left of its steps and bytes, and whether it has been asked to stop.
///
/// An operation charges work here before doing it. A time limit or a cancellation sets the stop flag, and the
/// next charge that passes a stride of steps gives up, so the work really ends (C7.4, S13).
#[derive(Debug)]
pub struct Meter {
    limits: OperationLimits,
    stop: Option<Arc<AtomicBool>>,
    // Invariant: steps taken so far = limits.max_steps - reserve - stride.
    stride: u64,
    reserve: u64,
    bytes: u64,
}

impl Meter {
    /// A full meter.
    #[must_use]
    pub fn new(limits: &OperationLimits) -> Self {
        let stride = limits.max_steps.min(STRIDE);
        Self {
            limits: limits.clone(),
            stop: None,
            stride,
            reserve: limits.max_steps - stride,
            bytes: limits.max_working_bytes,
        }
    }

    /// A full meter that gives up once `stop` is set.
    #[must_use]
    pub fn stoppable(limits: &OperationLimits, stop: Arc<AtomicBool>) -> Self {
        Self { stop: Some(stop), ..Self::new(limits) }
    }

    /// Fills it again, for the next run.
    pub fn refill(&mut self) {
        self.stride = self.limits.max_steps.min(STRIDE);
        self.reserve = self.limits.max_steps - self.stride;
        self.bytes = self.limits.max_working_bytes;
    }

    /// What it was filled with.
    #[must_use]
    pub fn limits(&self) -> &OperationLimits {
        &self.limits
    }

    /// The steps charged so far.
    #[must_use]
    pub fn steps_taken(&self) -> u64 {
        self.limits.max_steps - self.reserve - self.stride
    }

    /// Charges `count` steps.
    ///
    /// # Errors
    ///
    /// [`LimitExceeded`](OperationErrorKind::LimitExceeded) if fewer are left, and
    /// [`Stopped`](OperationErrorKind::Stopped) if the driver asked for it.
    #[inline]
    pub fn steps(&mut self, count: u64) -> Result<(), OperationError> {
        match self.stride.checked_sub(count) {
            Some(left) => {
                self.stride = left;
                Ok(())
            }
            None => self.next_stride(count),
        }
    }

    /// Charges one step.
    ///
    /// # Errors
    ///
    /// As [`steps`](Self::steps).
    #[inline]
    pub fn step(&mut self) -> Result<(), OperationError> {
        self.steps(1)
    }

    #[cold]
    fn next_stride(&mut self, count: u64) -> Result<(), OperationError> {
        self.check_stopped()?;
        let left = self.stride + self.reserve;
        let Some(left) = left.checked_sub(count) else {
            self.stride = 0;
            self.reserve = 0;
            return Err(OperationError::limit(Limit::Steps, self.limits.max_steps));
        };
        self.stride = left.min(STRIDE);
        self.reserve = left - self.stride;
        Ok(())
    }

    /// Gives up if the driver asked for it.
    ///
    /// # Errors
    ///
    /// [`Stopped`](OperationErrorKind::Stopped).
    pub fn check_stopped(&self) -> Result<(), OperationError> {
        match &self.stop {
            Some(stop) if stop.load(Ordering::Relaxed) => Err(OperationError::new(
                OperationErrorKind::Stopped,
                "stopped before it finished, by a time limit or a cancellation",
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// Charges `bytes` of values about to be built, and the steps that building them takes.
    ///
    /// # Errors
    ///
    /// [`LimitExceeded`](OperationErrorKind::LimitExceeded) if fewer are left, and as [`steps`](Self::steps).
    #[inline]
    pub fn build(&mut self, bytes: u64) -> Result<(), OperationError> {
        self.steps(1 + bytes / 64)?;
        match self.bytes.checked_sub(bytes) {
            Some(left) => {
                self.bytes = left;
                Ok(())
            }
            None => Err(OperationError::limit(Limit::WorkingBytes, self.limits.max_working_bytes)),
        }
    }

    /// A copy of `value`, charged for.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build).
    pub fn copy(&mut self, value: &Value) -> Result<Value, OperationError> {
        self.charge_copy(value)?;
        Ok(value.clone())
    }

    pub(crate) fn charge_copy(&mut self, value: &Value) -> Result<(), OperationError> {
        self.build(own_bytes(value))?;
        match value {
            Value::Array(items) => items.iter().try_for_each(|item| self.charge_copy(item)),
            Value::Object(members) => members.iter().try_for_each(|(key, member)| {
                self.build(key.len() as u64)?;
                self.charge_copy(member)
            }),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
        }
    }

    /// Checks that `output` is no larger and no deeper than allowed.
    pub(crate) fn admit(&mut self, output: &Value) -> Result<(), OperationError> {
        let mut left = self.limits.max_output_bytes;
        measure(output, &mut left, self.limits.max_output_depth).map_err(|which| {
            OperationError::limit(
                which,
                if which == Limit::OutputDepth {
                    self.limits.max_output_depth
                } else {
                    self.limits.max_output_bytes
                },
            )
        })
    }
}

/// The bytes of a value without those of its members.
#[inline]
pub(crate) fn own_bytes(value: &Value) -> u64 {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => 8,
        Value::String(text) => 8 + text.len() as u64,
    }
}

fn measure(value: &Value, left: &mut u64, depth: u64) -> Result<(), Limit> {
    let mut spend = |bytes: u64| left.checked_sub(bytes).map(|rest| *left = rest).ok_or(Limit::OutputBytes);
    spend(own_bytes(value))?;
    match value {
        Value::Array(items) => {
            let depth = depth.checked_sub(1).ok_or(Limit::OutputDepth)?;
            items.iter().try_for_each(|item| measure(item, left, depth))
        }
        Value::Object(members) => {
            let depth = depth.checked_sub(1).ok_or(Limit::OutputDepth)?;
            members.iter().try_for_each(|(key, member)| {
                *left = left.checked_sub(key.len() as u64).ok_or(Limit::OutputBytes)?;
                measure(member, left, depth)
            })
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn limits(max_steps: u64) -> OperationLimits {
        OperationLimits { max_steps, ..OperationLimits::default() }
    }

    #[test]
    fn the_last_step_is_allowed_and_the_next_is_not() {
        let mut meter = Meter::new(&limits(3000));
        for taken in 0..3000 {
            assert_eq!(meter.steps_taken(), taken);
            meter.step().unwrap();
        }
        let error = meter.step().unwrap_err();
        assert_eq!(error.kind, OperationErrorKind::LimitExceeded { which: Limit::Steps, limit: 3000 });
        assert_eq!(meter.steps_taken(), 3000);
    }

    #[test]
    fn a_meter_that_is_filled_again_is_full() {
        let mut meter = Meter::new(&limits(3000));
        meter.build(3000).unwrap();
        meter.steps(5000).unwrap_err();
        meter.refill();
        assert_eq!(format!("{meter:?}"), format!("{:?}", Meter::new(&limits(3000))));
    }

    #[test]
    fn a_charge_too_large_leaves_nothing() {
        let mut meter = Meter::new(&limits(10));
        meter.steps(u64::MAX).unwrap_err();
        meter.step().unwrap_err();
    }

    #[test]
    fn the_stop_flag_is_seen_within_a_stride() {
        let stop = Arc::new(AtomicBool::new(false));
        let mut meter = Meter::stoppable(&limits(1_000_000), Arc::clone(&stop));
        meter.steps(10).unwrap();
        stop.store(true, Ordering::Relaxed);
        let steps = (0..).take_while(|_| meter.step().is_ok()).count();
        assert!(steps <= STRIDE as usize);
        assert_eq!(meter.check_stopped().unwrap_err().kind, OperationErrorKind::Stopped);
    }

    #[test]
    fn an_output_too_large_or_too_deep_is_refused() {
        let mut meter = Meter::new(&OperationLimits {
            max_output_bytes: 40,
            max_output_depth: 2,
            ..OperationLimits::default()
        });
        meter.admit(&json!({"a": [1, 2]})).unwrap();
        let deep = meter.admit(&json!([[[]]])).unwrap_err();
        assert_eq!(deep.kind, OperationErrorKind::LimitExceeded { which: Limit::OutputDepth, limit: 2 });
        let large = meter.admit(&json!("x".repeat(33))).unwrap_err();
        assert_eq!(large.kind, OperationErrorKind::LimitExceeded { which: Limit::OutputBytes, limit: 40 });
    }
}
