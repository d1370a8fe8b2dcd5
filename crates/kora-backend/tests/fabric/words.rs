//! What people read, in snapshots.

/// Holds a text against its snapshot, without what is another each time.
pub(crate) fn read(name: &str, text: &str) {
    let filters = [
        (r"https://127\.0\.0\.1:\d+", "https://127.0.0.1:[port]"),
        (r"\bpid \d+", "pid [pid]"),
        (r"\bnode-\d+", "node-[pid]"),
        (r"\bses_\w+", "[session]"),
        (r"\b01[0-9A-Z]{24}\b", "[run]"),
        (r"  [0-9a-f]{8}(  |\n|$)", "  [digest]$1"),
        (r"sha256:[0-9a-f]{64}", "[digest]"),
        (r"at byte [1-9]\d*", "at byte [offset]"),
        (r"\.tmp\w+", "[temporary]"),
    ];
    insta::with_settings!({ filters => filters }, { insta::assert_snapshot!(name, text) });
}
