//! The guides quote the examples, which compile and run.

use std::path::Path;

const EXAMPLES: [&str; 3] = [
    include_str!("../examples/own_adapter.rs"),
    include_str!("../examples/own_operation.rs"),
    include_str!("../examples/run_graph.rs"),
];

#[test]
fn every_line_of_rust_in_the_guides_stands_in_an_example() {
    let guides = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guides");
    let mut quotes = 0;
    for guide in std::fs::read_dir(guides).unwrap() {
        let guide = guide.unwrap().path();
        let text = std::fs::read_to_string(&guide).unwrap();
        for quote in text.split("\n```rust\n").skip(1) {
            let quote = without_indents(quote.split("```").next().unwrap_or_default());
            let found = EXAMPLES.iter().any(|example| without_indents(example).contains(&quote));
            assert!(found, "{} quotes what stands in no example:\n{quote}", guide.display());
            quotes += 1;
        }
    }
    assert!(quotes > 10, "{quotes} quotes");
}

fn without_indents(text: &str) -> String {
    text.lines().map(|line| format!("{}\n", line.trim())).collect()
}
