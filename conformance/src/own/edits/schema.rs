//! Schemas that are opened, closed, or not read at all.

use kora_ir::{Limits, OutputSchema};
use serde_json::{Map, Value, json};

use super::{Edit, tasks};
use crate::own::Defect;

pub(super) const EDITS: &[(Defect, Edit)] = &[
    (Defect::ExtraMembersPass, |graph| each_schema(graph, |schema, _| open(schema))),
    (Defect::ExtraMembersPassInside, |graph| {
        each_schema(graph, |schema, level| {
            if level > 0 {
                open(schema);
            }
        });
    }),
    (Defect::LooksAtTheTopOnly, |graph| {
        each_schema(graph, |schema, level| {
            if level > 0 {
                let kind = schema.get("type").cloned();
                schema.clear();
                schema.extend(kind.map(|kind| ("type".to_owned(), kind)));
                open(schema);
            }
        });
    }),
    (Defect::MissingMembersPass, |graph| each_schema(graph, |schema, _| strip(schema, &["required"]))),
    (Defect::EnumsPass, |graph| each_schema(graph, |schema, _| strip(schema, &["enum", "const"]))),
    (Defect::PatternsPass, |graph| each_schema(graph, |schema, _| strip(schema, &["pattern"]))),
    (Defect::BoundsPass, |graph| {
        each_schema(graph, |schema, _| {
            strip(schema, &["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength"]);
            strip(schema, &["maxLength", "minItems", "maxItems", "multipleOf"]);
        });
    }),
    (Defect::NullPasses, |graph| {
        each_schema(graph, |schema, _| {
            if let Some(kind) = schema.get("type").filter(|kind| kind.is_string()).cloned() {
                schema.insert("type".into(), json!([kind, "null"]));
            }
        });
    }),
    (Defect::TypesPass, |graph| {
        each_schema(graph, |schema, _| strip(schema, &["type"]));
    }),
    (Defect::OptionalIsRequired, |graph| {
        each_schema(graph, |schema, _| {
            if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
                let names: Vec<Value> = properties.keys().cloned().map(Value::String).collect();
                schema.insert("required".into(), Value::Array(names));
            }
        });
    }),
    (Defect::ClosesWhatIsOpen, |graph| {
        each_schema(graph, |schema, _| {
            if schema.contains_key("additionalProperties") {
                schema.insert("additionalProperties".into(), json!(false));
            }
        });
    }),
    (Defect::WantsEveryAlternative, |graph| {
        each_schema(graph, |schema, _| {
            if let Some(alternatives) = schema.shift_remove("anyOf") {
                schema.insert("allOf".into(), alternatives);
            }
        });
    }),
    (Defect::MissingSchemaAdmitsAll, |graph| {
        for task in tasks(graph).filter(|task| !task.contains_key("schema")) {
            task.insert("schema".into(), json!(true));
        }
    }),
    (Defect::BrokenSchemaAdmitsAll, |graph| {
        for schema in tasks(graph).filter_map(|task| task.get_mut("schema")) {
            if OutputSchema::compile(schema.clone(), &Limits::default()).is_err() {
                *schema = json!(true);
            }
        }
    }),
];

fn open(schema: &mut Map<String, Value>) {
    let about_objects = schema.contains_key("properties")
        || schema.contains_key("required")
        || schema.get("type") == Some(&json!("object"));
    if about_objects && !schema.contains_key("additionalProperties") {
        schema.insert("additionalProperties".into(), json!(true));
    }
}

fn strip(schema: &mut Map<String, Value>, keywords: &[&str]) {
    for keyword in keywords {
        schema.shift_remove(*keyword);
    }
}

/// Changes every schema of every task, the outer ones after the inner; `0` is the level of the outermost.
fn each_schema(graph: &mut Value, change: fn(&mut Map<String, Value>, usize)) {
    for schema in tasks(graph).filter_map(|task| task.get_mut("schema")) {
        walk(schema, 0, change);
    }
}

fn walk(schema: &mut Value, level: usize, change: fn(&mut Map<String, Value>, usize)) {
    let Some(schema) = schema.as_object_mut() else { return };
    for keyword in ["properties", "patternProperties", "$defs"] {
        let inner = schema.get_mut(keyword).and_then(Value::as_object_mut);
        inner.into_iter().flat_map(Map::values_mut).for_each(|inner| walk(inner, level + 1, change));
    }
    for keyword in ["items", "additionalProperties"] {
        schema.get_mut(keyword).into_iter().for_each(|inner| walk(inner, level + 1, change));
    }
    for keyword in ["anyOf", "oneOf", "allOf", "prefixItems"] {
        let inner = schema.get_mut(keyword).and_then(Value::as_array_mut);
        inner.into_iter().flatten().for_each(|inner| walk(inner, level, change));
    }
    change(schema, level);
}
