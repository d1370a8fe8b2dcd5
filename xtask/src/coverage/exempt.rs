//! Clauses that the workspace need not uphold yet, each with the reason and with what ends it.

use super::clauses::ClauseId;

/// A clause that may be without a place or a test.
pub(super) struct Exempt {
    pub(super) clause: &'static str,
    because: &'static str,
    /// The crate whose arrival ends the exemption; none if the contract itself leaves the clause open.
    until: Option<&'static str>,
}

const KRAKO: Option<&str> = Some("backend-krako");

/// In the order of the contract.
pub(super) const EXEMPT: &[Exempt] = &[
    Exempt { clause: "C1.2", because: "only Krako Cloud can run it", until: KRAKO },
    Exempt { clause: "C5.1", because: "only KrakoBackend submits", until: KRAKO },
    Exempt { clause: "C5.2", because: "only KrakoBackend has a session to receive from", until: KRAKO },
    Exempt { clause: "C5.3", because: "only KrakoBackend maps a foreign result", until: KRAKO },
    Exempt { clause: "C5.4", because: "only KrakoBackend maps foreign events", until: KRAKO },
    Exempt { clause: "C5.5", because: "only KrakoBackend passes a graph on", until: KRAKO },
    Exempt { clause: "C8.3", because: "optional, and only a cloud has these fields", until: KRAKO },
    Exempt { clause: "C11.4", because: "there is no cloud to talk to", until: KRAKO },
    Exempt { clause: "C12.1", because: "the contract names it as a future extension", until: None },
    Exempt { clause: "C12.2", because: "the contract names it as a future extension", until: None },
    Exempt { clause: "C12.3", because: "the contract names it as a future extension", until: None },
    Exempt { clause: "C12.4", because: "it binds extensions, and each brings its own tests", until: None },
];

/// Why `id` may be uncovered in a workspace of `crates`, as a phrase; `None` if it may not.
pub(super) fn reason(id: ClauseId, crates: &[String]) -> Option<String> {
    let id = id.to_string();
    let exempt = EXEMPT.iter().find(|exempt| exempt.clause == id)?;
    match exempt.until {
        Some(until) if crates.iter().any(|name| name == until) => None,
        Some(until) => Some(format!("{}; waits for the crate `{until}`", exempt.because)),
        None => Some(exempt.because.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::clauses::cited;
    use super::*;

    #[test]
    fn an_exemption_ends_when_its_crate_arrives() {
        let id = cited("C5.1")[0];
        assert!(reason(id, &["engine".to_owned()]).is_some());
        assert_eq!(reason(id, &["engine".to_owned(), "backend-krako".to_owned()]), None);
        assert_eq!(reason(cited("C7.3")[0], &[]), None);
    }
}
