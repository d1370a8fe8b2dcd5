//! What expressions give, and what hostile ones get.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::library::testing::{check, run_attempt, told};
use crate::{Limit, OperationErrorKind};

fn evaluate(expression: &str, input: &Value) -> Result<Value, crate::OperationError> {
    run_attempt("cel", &json!({"expression": expression}), input, 0)
}

#[track_caller]
fn gives(expression: &str, input: Value, output: Value) {
    check("cel", json!({"expression": expression}), input, output);
}

#[test]
fn expressions_give_json() {
    let input = json!({"a": 3, "b": 1.5, "s": "héllo", "l": [1, 2, 3], "o": {"z": 1, "y": 2}, "n": null});
    for (expression, output) in [
        ("1 + 2 * 3", json!(7)),
        ("7 / 2", json!(3)),
        ("-7 % 3", json!(-1)),
        ("double(7) / 2", json!(3.5)),
        ("input.a * input.b", json!(4.5)),
        ("2.0 * 2.0", json!(4)),
        ("input.a == 3.0 && input.a >= 3", json!(true)),
        ("'a' + 'b'", json!("ab")),
        ("[1] + [2, 'x']", json!([1, 2, "x"])),
        ("{'k': [null, true]}", json!({"k": [null, true]})),
        ("input.o.map(k, k + string(input.o[k]))", json!(["y2", "z1"])),
        ("input.l.filter(x, x > 1).map(x, x * x)", json!([4, 9])),
        ("input.l.map(x, x != 2, x)", json!([1, 3])),
        ("input.l.all(x, x > 0) && input.l.exists(x, x == 2) && input.l.exists_one(x, x > 2)", json!(true)),
        ("input.l.map(x, input.l.map(y, x * y))", json!([[1, 2, 3], [2, 4, 6], [3, 6, 9]])),
        ("has(input.o.z) && !has(input.o.q)", json!(true)),
        ("2 in input.l && 'z' in input.o && !(9 in input.l)", json!(true)),
        ("input.o == {'y': 2, 'z': 1.0}", json!(true)),
        ("input.n == null ? 'none' : 'some'", json!("none")),
        ("size(input.s) == 5 && input.l.size() == 3 && size(input.o) == 2", json!(true)),
        ("input.s.startsWith('hé') && input.s.endsWith('lo') && input.s.contains('éll')", json!(true)),
        ("input.s.matches('^h.l+o$')", json!(true)),
        ("input.s.substring(1, 3) + input.s.substring(4)", json!("élo")),
        ("input.s.indexOf('l')", json!(2)),
        ("' A-b '.trim().lowerAscii().split('-').join('+')", json!("a+b")),
        ("'aXbX'.replace('X', '--')", json!("a--b--")),
        ("'ab'.split('')", json!(["a", "b"])),
        ("int('42') + int(3.9) + int(-3.9)", json!(42)),
        ("string(1.5) + string(2.0) + string(true)", json!("1.52true")),
        (
            "[math.abs(-2), math.ceil(1.2), math.floor(-1.2), math.round(2.5), math.greatest(1, 3.5), math.least([4, 2])]",
            json!([2, 2, -2, 3, 3.5, 2]),
        ),
        ("input.l[1] + input['a']", json!(5)),
        ("input", input.clone()),
    ] {
        gives(expression, input.clone(), output);
    }
}

#[test]
fn an_operand_that_decides_hides_the_failure_of_the_other() {
    gives("input.x == 1 || true", json!({}), json!(true));
    gives("false && input.x == 1", json!({}), json!(false));
    gives("input.x == 1 && false", json!({}), json!(false));
    gives("[0, 1].exists(x, 1 / x == 1)", json!({}), json!(true));
    gives("[0, 1].all(x, 1 / x == 2)", json!({}), json!(false));
    evaluate("input.x == 1 || false", &json!({})).unwrap_err();
}

#[test]
fn neither_spelling_nor_order_of_the_input_changes_the_output() {
    let expression = "[input.n / 2, size(string(input.n))] + input.o.map(k, input.o[k])";
    let one =
        evaluate(expression, &serde_json::from_str(r#"{"n": 3, "o": {"b": 1, "a": 2}}"#).unwrap()).unwrap();
    let other =
        evaluate(expression, &serde_json::from_str(r#"{"o": {"a": 2.0, "b": 1}, "n": 3.0}"#).unwrap())
            .unwrap();
    assert_eq!(one, json!([1, 1, 2, 1]));
    assert_eq!(one, other);
}

#[test]
fn what_is_wrong_is_told_before_anything_runs_where_it_can_be() {
    let told = told(
        "cel",
        &[
            "1 +",
            "inputs.x",
            "input.foo()",
            "sizes(input)",
            "contains('a', 'b')",
            "size(1, 2)",
            "1u",
            "b'x'",
            "Thing{a: 1}",
            "input.matches(input)",
            "'a'.matches('(')",
            "now()",
            "input.map(1, 2)",
            "",
            "'unclosed",
            "1 / 0",
            "1.5 / 0.0",
            "1 % 0",
            "9223372036854775807 + 1",
            "9007199254740992",
            "1e300",
            "-(-9223372036854775808)",
            "input.b",
            "input.lis",
            "input.list[3]",
            "input.list['a']",
            "1 + 'a'",
            "1.5 % 2.0",
            "!1",
            "1 ? 2 : 3",
            "{1: 2}",
            "{'a': 1, 'a': 2}",
            "1.map(x, x)",
            "null < 1",
            "int('x')",
            "double('NaN')",
            "string([])",
            "'abc'.substring(2, 1)",
            "math.least([])",
            "[1].join(',')",
        ]
        .map(|expression| (json!({"expression": expression}), json!({"list": [1, 2, 3]}))),
    );
    insta::assert_snapshot!(told);
}

/// Checks that a hostile expression ends promptly with that limit.
#[track_caller]
fn stopped(expression: &str, input: &Value, which: Limit) {
    let started = Instant::now();
    let error = evaluate(expression, input).unwrap_err();
    let OperationErrorKind::LimitExceeded { which: found, .. } = error.kind else { panic!("{error}") };
    assert_eq!(found, which, "{expression:.60}");
    assert!(started.elapsed() < Duration::from_secs(10), "{expression:.60} took {:?}", started.elapsed());
}

#[test]
fn nested_loops_over_a_long_list_are_stopped() {
    let list: Value = (0..10_000).collect();
    stopped("input.all(a, input.all(b, input.all(c, a + b + c >= 0)))", &list, Limit::Steps);
    stopped("input.map(a, input.map(b, input))", &list, Limit::WorkingBytes);
    stopped("input.all(a, !(-1 in input))", &list, Limit::Steps);
    stopped("input.all(a, input == input)", &list, Limit::Steps);
}

#[test]
fn doubling_is_stopped_before_memory_is() {
    let doubling = format!("['{}']{}", "x".repeat(1000), ".map(a, a + a)".repeat(30));
    stopped(&doubling, &json!({}), Limit::WorkingBytes);
    let lists = format!("[[1]]{}", ".map(a, a + a)".repeat(30));
    stopped(&lists, &json!({}), Limit::WorkingBytes);
    let replaced = format!("'xxxxxxxxxxxxxxxx'{}", ".replace('x', 'xxxxxxxxxxxxxxxx')".repeat(10));
    stopped(&replaced, &json!({}), Limit::WorkingBytes);
    // Shared on the way, a gigabyte when written out.
    let nested = format!("[['{}']]{}", "x".repeat(1000), ".map(a, [a, a])".repeat(20));
    let error = evaluate(&nested, &json!({})).unwrap_err();
    assert!(matches!(error.kind, OperationErrorKind::LimitExceeded { .. }), "{error}");
}

#[test]
fn depth_bombs_do_not_reach_the_stack() {
    // The stack of a tokio worker.
    let bombs = || {
        for (open, middle, close) in [
            ("(", "1", ")"),
            ("[", "1", "]"),
            ("{'a':", "1", "}"),
            ("size(", "1", ")"),
            ("[1].map(a,", "1", ")"),
            ("!", "true", ""),
            ("-", "1", ""),
            ("!-", "1", ""),
            ("- -", "1", ""),
            ("1+(", "1", ")"),
            ("true?1:", "1", ""),
            ("true?", "1", ":1"),
            ("", "a", ".a"),
            ("", "a", "[0]"),
            ("", "1", "+1"),
            ("", "1", "<1"),
            ("", "true", "&&true"),
            ("", "[1]", ".map(a,a)"),
            ("((((((", "", ""),
            ("[{", "", ""),
            ("", "a", "{a:1}"),
            ("a.b{c:", "1", "}"),
            ("has(", "a.b", ")"),
            ("", "1", " in 1"),
            ("", "true", "||a.b"),
            ("(?", "", ""),
        ] {
            let times = (16 << 10) / (open.len() + close.len());
            for times in [10, 60, 200, 400, 700, times - 8] {
                let _ =
                    evaluate(&format!("{}{middle}{}", open.repeat(times), close.repeat(times)), &json!({}));
            }
        }
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(bombs).unwrap().join().unwrap();
}

#[test]
fn a_pattern_is_paid_by_its_size_and_its_text() {
    let text = json!("a".repeat(1 << 20));
    gives("input.matches('^(a+)+$')", text.clone(), json!(true));
    stopped("input.matches('[ab]*a[ab]{2000}c')", &json!("ab".repeat(2 << 20)), Limit::Steps);
    stopped("'a'.matches('(?:(?:a{100}){100}){100}')", &text, Limit::RegexBytes);
}

/// Expressions that a grammar makes, so that most of them parse.
fn expressions() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("input".to_owned()),
        Just("values".to_owned()),
        Just("x".to_owned()),
        any::<i64>().prop_map(|n| n.to_string()),
        (-9_i64..9).prop_map(|n| n.to_string()),
        any::<f64>().prop_map(|n| format!("{n:?}")),
        "[a-z']{0,4}".prop_map(|s| format!("'{s}'")),
        Just("null".to_owned()),
        Just("true".to_owned()),
    ];
    leaf.prop_recursive(5, 40, 3, |inner| {
        let two = (inner.clone(), inner.clone());
        prop_oneof![
            (
                two.clone(),
                prop::sample::select(vec!["+", "-", "*", "/", "%", "==", "<", ">=", "in", "&&", "||"])
            )
                .prop_map(|((a, b), op)| format!("({a} {op} {b})")),
            (two.clone(), prop::sample::select(vec!["map", "filter", "all", "exists", "exists_one"]))
                .prop_map(|((a, b), call)| format!("{a}.{call}(x, {b})")),
            (
                two.clone(),
                prop::sample::select(vec!["contains", "startsWith", "split", "join", "indexOf", "substring"])
            )
                .prop_map(|((a, b), call)| format!("{a}.{call}({b})")),
            (
                inner.clone(),
                prop::sample::select(vec!["size", "int", "double", "string", "math.abs", "-", "!", "has"])
            )
                .prop_map(|(a, call)| format!("{call}({a})")),
            two.clone().prop_map(|(a, b)| format!("[{a}, {b}]")),
            two.clone().prop_map(|(a, b)| format!("{{'k': {a}, 'j': {b}}}")),
            two.clone().prop_map(|(a, b)| format!("{a}[{b}]")),
            (inner.clone(), two).prop_map(|(a, (b, c))| format!("({a} ? {b} : {c})")),
            inner.prop_map(|a| format!("{a}.k")),
        ]
    })
}

proptest! {
    #[test]
    fn an_expression_ends_and_gives_the_same_again(expression in expressions()) {
        let input = json!({"k": [1, "a", {"k": null}], "j": {"z": 1.5, "a": 2}});
        for expression in [expression.clone(), format!("[input, input.k].map(x, {expression})")] {
            let once = evaluate(&expression, &input);
            prop_assert_eq!(&once, &evaluate(&expression, &input), "{}", expression);
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,60}", code in "[a-z0-9?:.()\\[\\]{}'\"\\\\`,+!=&|<> \n-]{0,60}") {
        let _ = evaluate(&text, &json!({}));
        let _ = evaluate(&code, &json!({}));
    }
}
