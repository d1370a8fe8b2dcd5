//! The table against what cargo knows: who names whom, and who reaches what.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::broken;
use super::table::{LAYERS, UNNAMED, UNREACHABLE};
use crate::finding::Finding;
use crate::metadata::{Metadata, Package};

/// Every violation in the dependencies of our crates.
pub(super) fn check(metadata: &Metadata) -> Vec<Finding> {
    let members = metadata.members();
    let mut findings = Vec::new();
    for package in members.values() {
        check_uses(package, &members, &mut findings);
        check_names(package, &mut findings);
    }
    check_reach(metadata, &members, &mut findings);
    findings
}

/// Whether the manifest lists its members in the order of the table, as its readers are told.
pub(super) fn check_order(manifest: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut last = (0, "");
    for layer in LAYERS {
        let member = [format!("\"crates/{}\"", layer.name), format!("\"{}\"", layer.name)];
        let Some(at) = member.iter().find_map(|name| manifest.find(name)) else { continue };
        if at < last.0 {
            let message =
                format!("member `{}` stands above `{}`: keep the order of the layers", layer.name, last.1);
            findings.push(Finding::new("Cargo.toml", message));
        }
        last = last.max((at, layer.name));
    }
    findings
}

fn check_uses(package: &Package, members: &BTreeMap<&str, &Package>, findings: &mut Vec<Finding>) {
    let name = package.name.as_str();
    let Some(rank) = LAYERS.iter().position(|layer| layer.name == name) else {
        let message = "is in no layer: add a row for it to `xtask/src/layers/table.rs`";
        findings.push(Finding::new(name, message));
        return;
    };
    let layer = &LAYERS[rank];
    for dependency in &package.dependencies {
        let used = dependency.name.as_str();
        if !members.contains_key(used) || used == name {
            continue;
        }
        // Tests may look further, but never down: a test that needs a lower layer belongs there.
        let above = LAYERS[..rank].iter().any(|other| other.name == used);
        let allowed =
            if dependency.kind.as_deref() == Some("dev") { above } else { layer.may_use.contains(&used) };
        if !allowed {
            findings.push(broken(name, &format!("may not use `{used}`"), layer.because));
        }
    }
}

fn check_names(package: &Package, findings: &mut Vec<Finding>) {
    for rule in UNNAMED.iter().filter(|rule| rule.crates.contains(&package.name.as_str())) {
        for dependency in &package.dependencies {
            let is_product = dependency.kind.as_deref() != Some("dev");
            if is_product && rule.names.contains(&dependency.name.as_str()) {
                let what = format!("may not depend on `{}` directly", dependency.name);
                findings.push(broken(&package.name, &what, rule.because));
            }
        }
    }
}

fn check_reach(metadata: &Metadata, members: &BTreeMap<&str, &Package>, findings: &mut Vec<Finding>) {
    for package in members.values() {
        let rules: Vec<_> =
            UNREACHABLE.iter().filter(|rule| rule.crates.contains(&package.name.as_str())).collect();
        if rules.is_empty() {
            continue;
        }
        for reached in reached(metadata, package) {
            for rule in &rules {
                for barred in rule.names.iter().filter(|barred| is_barred(barred, &reached)) {
                    let what = format!("may not reach `{barred}` ({})", reached.chain);
                    findings.push(broken(&package.name, &what, rule.because));
                }
            }
        }
    }
}

/// A package that is linked into one of ours.
struct Reached<'a> {
    name: &'a str,
    features: &'a [String],
    /// How it gets there: `engine → innocent → tokio`.
    chain: String,
}

/// Everything that is linked into `from`: normal dependencies, past no procedural macro, nearest first.
fn reached<'a>(metadata: &'a Metadata, from: &'a Package) -> Vec<Reached<'a>> {
    let packages: BTreeMap<&str, &Package> =
        metadata.packages.iter().map(|package| (package.id.as_str(), package)).collect();
    let nodes: BTreeMap<&str, _> =
        metadata.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
    let mut found = Vec::new();
    let mut seen = BTreeSet::from([from.id.as_str()]);
    let mut queue = VecDeque::from([(from.id.as_str(), from.name.clone())]);
    while let Some((id, chain)) = queue.pop_front() {
        for edge in nodes.get(id).map_or(&[][..], |node| &node.deps) {
            let linked = edge.dep_kinds.iter().any(|kind| kind.kind.is_none());
            let Some(package) = packages.get(edge.pkg.as_str()) else { continue };
            if !linked || package.is_proc_macro() || !seen.insert(&edge.pkg) {
                continue;
            }
            let chain = format!("{chain} → {}", package.name);
            let features = nodes.get(edge.pkg.as_str()).map_or(&[][..], |node| &node.features);
            found.push(Reached { name: &package.name, features, chain: chain.clone() });
            queue.push_back((&edge.pkg, chain));
        }
    }
    found
}

/// Whether `barred`, a crate or `crate/feature`, is what was reached.
fn is_barred(barred: &str, reached: &Reached<'_>) -> bool {
    match barred.split_once('/') {
        Some((name, feature)) => name == reached.name && reached.features.iter().any(|on| on == feature),
        None => barred == reached.name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// A crate of ours, and what it declares: (name, kind).
    type Member<'a> = (&'a str, &'a [(&'a str, Option<&'a str>)]);

    /// Somebody else's crate: its dependencies and its features.
    type Foreign<'a> = (&'a str, &'a [&'a str], &'a [&'a str]);

    fn workspace(members: &[Member<'_>], foreign: &[Foreign<'_>]) -> Metadata {
        let target = |name: &str| json!([{ "name": name, "kind": ["lib"] }]);
        let mut packages: Vec<Value> = Vec::new();
        let mut nodes: Vec<Value> = Vec::new();
        for (name, uses) in members {
            let declared: Vec<_> =
                uses.iter().map(|(name, kind)| json!({ "name": name, "kind": kind })).collect();
            let deps: Vec<_> = uses
                .iter()
                .map(|(name, kind)| json!({ "pkg": name, "dep_kinds": [{ "kind": kind }] }))
                .collect();
            packages.push(json!({ "id": name, "name": name, "manifest_path": "", "dependencies": declared,
                "targets": target(name) }));
            nodes.push(json!({ "id": name, "deps": deps }));
        }
        for (name, uses, features) in foreign {
            let deps: Vec<_> =
                uses.iter().map(|name| json!({ "pkg": name, "dep_kinds": [{ "kind": null }] })).collect();
            packages.push(json!({ "id": name, "name": name, "manifest_path": "", "dependencies": [],
                "targets": target(name) }));
            nodes.push(json!({ "id": name, "deps": deps, "features": features }));
        }
        let ids: Vec<_> = members.iter().map(|(name, _)| name).collect();
        serde_json::from_value(json!({ "packages": packages, "workspace_members": ids,
            "resolve": { "nodes": nodes } }))
        .unwrap()
    }

    fn check_says(metadata: &Metadata, expected: &[&str]) {
        let findings: Vec<String> = check(metadata).iter().map(ToString::to_string).collect();
        assert_eq!(findings.len(), expected.len(), "{findings:#?}");
        for (finding, expected) in findings.iter().zip(expected) {
            assert!(finding.starts_with(expected), "{finding:?} does not start with {expected:?}");
        }
    }

    // shows C1.3
    #[test]
    fn a_workspace_in_its_layers_has_no_findings() {
        let members: &[Member<'_>] = &[
            ("kora-ir", &[("serde", None)]),
            ("backend-api", &[("kora-ir", None), ("kora-ir", Some("dev"))]),
            ("backend-local", &[("backend-api", None), ("tokio", None)]),
        ];
        check_says(&workspace(members, &[("serde", &[], &[]), ("tokio", &[], &[])]), &[]);
    }

    // shows C1.3
    #[test]
    fn the_contract_may_not_know_a_backend() {
        let members: &[Member<'_>] = &[("backend-api", &[("backend-local", None)]), ("backend-local", &[])];
        check_says(&workspace(members, &[]), &["backend-api: may not use `backend-local`; "]);
    }

    // shows C2.6
    #[test]
    fn the_engine_may_not_know_what_drives_it_not_even_in_tests() {
        let members: &[Member<'_>] = &[("engine", &[("backend-local", Some("dev"))]), ("backend-local", &[])];
        check_says(&workspace(members, &[]), &["engine: may not use `backend-local`; "]);
    }

    #[test]
    fn a_crate_without_a_row_is_a_finding() {
        check_says(&workspace(&[("scheduler", &[])], &[]), &["scheduler: is in no layer"]);
    }

    // shows C6.1
    #[test]
    fn a_runtime_is_found_behind_somebody_elses_dependency() {
        let members: &[Member<'_>] = &[("engine", &[("innocent", None)])];
        let foreign: &[Foreign<'_>] =
            &[("innocent", &["deeper"], &[]), ("deeper", &["tokio"], &[]), ("tokio", &[], &[])];
        check_says(
            &workspace(members, foreign),
            &["engine: may not reach `tokio` (engine → innocent → deeper → tokio); "],
        );
    }

    #[test]
    fn what_only_tests_or_macros_use_is_not_reached() {
        let members: &[Member<'_>] = &[("engine", &[("tokio", Some("dev")), ("derive", None)])];
        let mut metadata = workspace(members, &[("tokio", &[], &[]), ("derive", &["tokio"], &[])]);
        for package in metadata.packages.iter_mut().filter(|package| package.name == "derive") {
            package.targets[0].kind = vec!["proc-macro".to_owned()];
        }
        check_says(&metadata, &[]);
    }

    #[test]
    fn a_clock_is_a_feature_and_calendar_arithmetic_is_not() {
        let members: &[Member<'_>] = &[("operations", &[("chrono", None)])];
        check_says(&workspace(members, &[("chrono", &[], &["alloc"])]), &[]);
        check_says(
            &workspace(members, &[("chrono", &[], &["alloc", "now"])]),
            &["operations: may not reach `chrono/now`"],
        );
    }

    // shows C11.2
    #[test]
    fn an_operation_may_not_hold_a_model() {
        let members: &[Member<'_>] = &[("operations", &[("models", None)]), ("models", &[])];
        check_says(
            &workspace(members, &[]),
            &["operations: may not use `models`; ", "operations: may not reach `models`"],
        );
    }

    // shows C4.6
    #[test]
    fn the_local_backend_may_reach_no_ledger_and_no_scheduler() {
        let members: &[Member<'_>] = &[("backend-local", &[("store", None), ("openraft", None)])];
        let foreign: &[Foreign<'_>] =
            &[("store", &["rusqlite"], &[]), ("rusqlite", &[], &[]), ("openraft", &[], &[])];
        check_says(
            &workspace(members, foreign),
            &["backend-local: may not reach `openraft`", "backend-local: may not reach `rusqlite`"],
        );
    }

    // shows C1.4
    #[test]
    fn a_backend_may_not_bring_schemas_of_its_own() {
        let members: &[Member<'_>] = &[
            ("kora-ir", &[("jsonschema", None)]),
            ("backend-local", &[("kora-ir", None), ("jsonschema", None)]),
        ];
        check_says(
            &workspace(members, &[("jsonschema", &[], &[])]),
            &["backend-local: may not depend on `jsonschema` directly; schemas are KORA's"],
        );
    }

    #[test]
    fn the_graph_of_this_workspace_is_walked() {
        let metadata = Metadata::load(&crate::workspace::root()).unwrap();
        let members = metadata.members();
        let names: BTreeSet<_> =
            reached(&metadata, members["xtask"]).into_iter().map(|reached| reached.name).collect();
        // Behind `regex`; a procedural macro of `clap`; and what nobody asked for.
        assert!(names.contains("regex-syntax"));
        assert!(!names.contains("clap_derive") && !names.contains("tokio"));
    }

    #[test]
    fn members_out_of_order_are_a_finding() {
        assert_eq!(check_order("\"crates/kora-ir\", \"crates/engine\", \"xtask\""), []);
        let findings = check_order("\"crates/engine\", \"crates/kora-ir\"");
        assert_eq!(
            findings[0].to_string(),
            "Cargo.toml: member `engine` stands above `kora-ir`: keep the order of the layers"
        );
    }

    #[test]
    fn every_name_in_the_table_is_a_row_above() {
        for (rank, layer) in LAYERS.iter().enumerate() {
            for used in layer.may_use {
                assert!(LAYERS[..rank].iter().any(|other| other.name == *used), "{} uses {used}", layer.name);
            }
        }
    }
}
