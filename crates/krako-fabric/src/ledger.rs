//! What is billed to whom: a fold of the log, so that folding it again changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use krako_contract::{
    Event, EventId, Happening, LineItem, SessionEvent, SessionId, TenantId, Timestamp, UnitEvent,
    UsageReport, WorkUnitId, WorkUnitKind, mapping,
};
use krako_session::{Billed, Prices};
use thiserror::Error;

/// Every line that the events of a log make, and the totals of each tenant's months (UTC, by the events' timestamps).
///
/// Holds each line for as long as it lives, and a number for each session.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Ledger {
    accounts: BTreeMap<TenantId, BTreeMap<Month, Account>>,
    sessions: BTreeMap<SessionId, Folded>,
}

/// What a tenant used in a month.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Account {
    billed: Billed,
    lines: BTreeMap<EventId, LineItem>,
}

/// How much of a session is in the ledger.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Folded {
    last: u64,
    /// Units whose model was asked. Empty once the session has ended.
    models: BTreeSet<WorkUnitId>,
}

/// A month of UTC, as years and months are written.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Month {
    year: u16,
    month: u8,
}

/// An event that does not continue its session: something before it was not folded.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("event {found} of session `{session}` came where {expected} is next; fold the session from there")]
#[non_exhaustive]
pub struct LedgerGap {
    /// The session.
    pub session: SessionId,
    /// Its next event.
    pub expected: u64,
    /// The event's number.
    pub found: u64,
}

impl Ledger {
    /// Takes an event in. One that was there before changes nothing.
    ///
    /// # Errors
    ///
    /// [`LedgerGap`] if an event before it was left out; the ledger is unchanged.
    pub fn take(&mut self, tenant: &TenantId, event: &Event) -> Result<(), LedgerGap> {
        let session = &event.execution_session_id;
        let last = self.sessions.get(session).map_or(0, |folded| folded.last);
        let found = event.sequence.number();
        if found <= last {
            return Ok(());
        }
        if found > last + 1 {
            return Err(LedgerGap { session: session.clone(), expected: last + 1, found });
        }
        let folded = self.sessions.entry(session.clone()).or_default();
        folded.last = found;
        if let Some(line) = folded.line(event) {
            let months = self.accounts.entry(tenant.clone()).or_default();
            let account = months.entry(Month::of(&event.timestamp)).or_default();
            if !account.lines.contains_key(&line.event_id) {
                account.billed.add(&line);
                account.lines.insert(line.event_id.clone(), line);
            }
        }
        Ok(())
    }

    /// Takes every event of a log in, in any interleaving of its sessions.
    ///
    /// # Errors
    ///
    /// [`LedgerGap`] at the first event whose predecessor is not there.
    pub fn fold<'e>(
        &mut self,
        events: impl IntoIterator<Item = (&'e TenantId, &'e Event)>,
    ) -> Result<(), LedgerGap> {
        events.into_iter().try_for_each(|(tenant, event)| self.take(tenant, event))
    }

    /// What a tenant used in the month of `now`. The lines are left out if there are more than `max_lines`.
    pub fn usage(
        &self,
        tenant: &TenantId,
        now: &Timestamp,
        prices: &Prices,
        max_lines: usize,
    ) -> UsageReport {
        let month = Month::of(now);
        let account = self.accounts.get(tenant).and_then(|months| months.get(&month));
        let billed = account.map(|account| account.billed).unwrap_or_default();
        let lines = account.map(|account| &account.lines).filter(|lines| lines.len() <= max_lines);
        UsageReport {
            period_start: month.start(),
            period_end: month.end(),
            total_tokens: billed.tokens_in.saturating_add(billed.tokens_out),
            estimated_cost_usd: prices.cost(&billed),
            line_items: lines.map(|lines| lines.values().cloned().collect()).unwrap_or_default(),
        }
    }

    /// Every line that there is of a tenant, by month and by event.
    pub fn lines(&self, tenant: &TenantId) -> impl Iterator<Item = &LineItem> {
        let months = self.accounts.get(tenant).into_iter().flat_map(BTreeMap::values);
        months.flat_map(|account| account.lines.values())
    }
}

impl Folded {
    /// The line that an event makes. Which pool a unit is of, the session's own events say: of `llm_pod` is what asked a model.
    fn line(&mut self, event: &Event) -> Option<LineItem> {
        match &event.happening {
            Happening::Unit(unit) => {
                if matches!(unit.event, UnitEvent::LlmStarted(_)) {
                    self.models.insert(unit.work_unit_id.clone());
                }
                let is_model = self.models.contains(&unit.work_unit_id);
                mapping::line_item(event, if is_model { WorkUnitKind::LlmPod } else { WorkUnitKind::Cpu })
            }
            Happening::Session(SessionEvent::Completed(_) | SessionEvent::Failed(_)) => {
                self.models = BTreeSet::new();
                None
            }
            Happening::Session(SessionEvent::Started(_) | SessionEvent::Stopping(_))
            | Happening::Unknown(_) => None,
        }
    }
}

impl Month {
    fn of(at: &Timestamp) -> Self {
        // A timestamp is RFC 3339: four digits, a hyphen, two digits.
        let number = |from, to| at.as_str().get(from..to).and_then(|digits: &str| digits.parse::<u16>().ok());
        let month = u8::try_from(number(5, 7).unwrap_or(1)).unwrap_or(1);
        Self { year: number(0, 4).unwrap_or(1970), month }
    }

    fn start(self) -> Timestamp {
        moment(&format!("{:04}-{:02}-01T00:00:00Z", self.year, self.month))
    }

    /// Exclusive.
    fn end(self) -> Timestamp {
        match (self.year, self.month) {
            // The last moment that can be written.
            (9999.., 12..) => moment("9999-12-31T23:59:59.999999999Z"),
            (year, 12..) => Self { year: year + 1, month: 1 }.start(),
            (year, month) => Self { year, month: month + 1 }.start(),
        }
    }
}

fn moment(text: &str) -> Timestamp {
    // The first of a month is always one.
    Timestamp::new(text).unwrap_or_else(|_| Timestamp::from_unix_us(0))
}

#[cfg(test)]
mod tests {
    use krako_contract::{Usd, WireLimits};
    use proptest::prelude::*;

    use super::*;

    fn events() -> Vec<Event> {
        let lines = include_str!("../../krako-contract/examples/events.jsonl").lines();
        lines.map(|line| Event::read(line.as_bytes(), &WireLimits::default()).unwrap()).collect()
    }

    fn tenant(name: &str) -> TenantId {
        TenantId::new(name).unwrap()
    }

    /// The same session under another name, in another month.
    fn other(mut events: Vec<Event>) -> Vec<Event> {
        for event in &mut events {
            event.execution_session_id = SessionId::new("other").unwrap();
            event.event_id = EventId::new(&format!("evt_other.{}", event.sequence)).unwrap();
            event.timestamp = Timestamp::new("2026-04-01T00:00:00Z").unwrap();
        }
        events
    }

    #[test]
    fn a_tenant_pays_for_its_own_months_and_for_each_unit_once() {
        let prices = Prices {
            million_tokens_in: Usd::from_micros(1_000_000),
            million_tokens_out: Usd::from_micros(2_000_000),
            thousand_cpu_units: Usd::from_micros(1000),
        };
        let (acme, idle) = (tenant("acme"), tenant("idle"));
        let mut ledger = Ledger::default();
        for event in events().iter().chain(&other(events())) {
            ledger.take(&acme, event).unwrap();
        }
        let now = Timestamp::new("2026-03-31T23:59:59.9Z").unwrap();
        let usage = ledger.usage(&acme, &now, &prices, 100);
        assert_eq!(usage.period_start.as_str(), "2026-03-01T00:00:00Z");
        assert_eq!(usage.period_end.as_str(), "2026-04-01T00:00:00Z");
        // Two operations, and one model whose first reply broke its schema.
        assert_eq!(usage.line_items.len(), 3);
        let tokens: u64 = usage.line_items.iter().map(|line| line.tokens_in + line.tokens_out).sum();
        assert_eq!(usage.total_tokens, tokens);
        let out: u64 = usage.line_items.iter().map(|line| line.tokens_out).sum();
        assert_eq!(usage.estimated_cost_usd.micros(), tokens + out + 2);
        assert!(ledger.usage(&acme, &now, &prices, 2).line_items.is_empty());
        assert_eq!(ledger.usage(&idle, &now, &prices, 100).total_tokens, 0);
        assert_eq!(ledger.lines(&acme).count(), 6);
    }

    #[test]
    fn what_is_left_out_is_found_out() {
        let mut ledger = Ledger::default();
        let gap = ledger.take(&tenant("acme"), &events()[1]).unwrap_err();
        assert_eq!((gap.expected, gap.found), (1, 2));
        assert_eq!(ledger, Ledger::default());
    }

    #[test]
    fn every_month_is_followed_by_the_next() {
        let end = |at: &str| Month::of(&Timestamp::new(at).unwrap()).end().as_str().to_owned();
        assert_eq!(end("2026-12-31T23:59:59Z"), "2027-01-01T00:00:00Z");
        assert_eq!(end("2028-02-29T00:00:00Z"), "2028-03-01T00:00:00Z");
        assert_eq!(end("9999-12-01T00:00:00Z"), "9999-12-31T23:59:59.999999999Z");
    }

    proptest! {
        // Sessions interleave in any way, and any event may come again at any later time.
        #[test]
        fn folding_a_log_again_changes_nothing(picks in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>()), 0..120)) {
            let (acme, globex) = (tenant("acme"), tenant("globex"));
            let (one, two) = (events(), other(events()));
            let mut once = Ledger::default();
            once.fold(one.iter().map(|event| (&acme, event))).unwrap();
            once.fold(two.iter().map(|event| (&globex, event))).unwrap();
            let mut again = once.clone();
            again.fold(two.iter().map(|event| (&globex, event))).unwrap();
            again.fold(one.iter().map(|event| (&acme, event))).unwrap();
            prop_assert_eq!(&again, &once);
            let (mut mixed, mut next) = (Ledger::default(), [0, 0]);
            for (second, repeat) in picks {
                let (tenant, events) = if second { (&globex, &two) } else { (&acme, &one) };
                let at = &mut next[usize::from(second)];
                if *at < events.len() {
                    mixed.take(tenant, &events[*at]).unwrap();
                    *at += 1;
                }
                mixed.take(tenant, &events[repeat.index(*at)]).unwrap();
            }
            mixed.fold(one.iter().map(|event| (&acme, event))).unwrap();
            mixed.fold(two.iter().map(|event| (&globex, event))).unwrap();
            prop_assert_eq!(&mixed, &once);
        }
    }
}
