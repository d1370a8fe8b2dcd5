//! Writes out the default that KORA declares: an object may hold only what its schema names (S3, decision 0001).
//!
//! Most schemas get `additionalProperties: false`. Where several schemas describe one object together, that keyword
//! would make each refuse what the others name; there the schema that holds them together gets
//! `unevaluatedProperties: false`, which sees what all of them named.

use serde_json::Value;

use super::location::{Locations, Relation};

/// What a place is to the values that it looks at.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Role {
    /// Unused, or part of a question (`if`, `not`, `contains`), whose meaning closing would turn around.
    Untouched,
    /// Answers alone for a value.
    Alone,
    /// Answers together with others, one of which closes the object for all.
    Together,
}

/// What to write where.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Keyword {
    Additional,
    Unevaluated,
}

/// Closes every object schema that does not say otherwise.
pub(super) fn close(document: &mut Value, locations: &Locations) {
    for (at, keyword) in plan(locations) {
        let name = match keyword {
            Keyword::Additional => "additionalProperties",
            Keyword::Unevaluated => "unevaluatedProperties",
        };
        write(document, &locations.all[at].pointer, name, false);
    }
}

/// Declares open every object schema that [`close`] would close: for schemas of Task IR 0.1, where the default is open.
pub(crate) fn open(document: &mut Value) -> Result<(), super::SchemaError> {
    let locations = Locations::of(document)?;
    for (at, _) in plan(&locations) {
        write(document, &locations.all[at].pointer, "additionalProperties", true);
    }
    Ok(())
}

fn write(document: &mut Value, pointer: &str, keyword: &str, value: bool) {
    if let Some(Value::Object(keywords)) = document.pointer_mut(pointer) {
        keywords.insert(keyword.to_owned(), Value::Bool(value));
    }
}

fn plan(locations: &Locations) -> Vec<(usize, Keyword)> {
    let roles = roles(locations);
    let mut plan = Vec::new();
    for (at, location) in locations.all.iter().enumerate() {
        if roles[at] != Role::Alone || location.closed_by_author {
            continue;
        }
        let mut members = members(locations, at).peekable();
        if members.peek().is_none() {
            if location.about_objects {
                plan.push((at, Keyword::Additional));
            }
        } else if (!delegates(locations, at) || members.any(|member| roles[member] == Role::Together))
            && about_objects(locations, at)
        {
            plan.push((at, Keyword::Unevaluated));
        }
    }
    plan
}

/// The subschemas that describe the same value.
fn members(locations: &Locations, at: usize) -> impl Iterator<Item = usize> + '_ {
    let edges = locations.all[at].edges.iter();
    edges
        .filter(|(relation, _)| relation.in_place() && *relation != Relation::Test)
        .map(|&(_, member)| member)
}

/// Whether each member may close the object itself: there is one, or only one of them holds, and nothing beside them
/// names properties.
fn delegates(locations: &Locations, at: usize) -> bool {
    let location = &locations.all[at];
    let mut relations =
        location.edges.iter().map(|(relation, _)| *relation).filter(|relation| relation.in_place());
    let (first, count) = (relations.next(), 1 + relations.clone().count());
    let alike = match first {
        Some(Relation::Union) => relations.all(|relation| relation == Relation::Union),
        Some(Relation::Ref | Relation::AllOf) => count == 1,
        _ => false,
    };
    alike && !location.names_properties && !location.closed_by_author && !two_unions(locations, at)
}

/// `anyOf` beside `oneOf`: both hold at once.
fn two_unions(locations: &Locations, at: usize) -> bool {
    let pointer_of = |member: usize| &locations.all[member].pointer;
    let start = locations.all[at].pointer.len();
    let mut keywords = members(locations, at).map(|member| {
        pointer_of(member).get(start..).and_then(|rest| rest.split('/').nth(1)).unwrap_or_default().to_owned()
    });
    let first = keywords.next();
    keywords.any(|keyword| Some(keyword) != first)
}

fn about_objects(locations: &Locations, at: usize) -> bool {
    let mut seen = vec![false; locations.all.len()];
    let mut open = vec![at];
    while let Some(at) = open.pop() {
        if std::mem::replace(&mut seen[at], true) {
            continue;
        }
        if locations.all[at].about_objects {
            return true;
        }
        open.extend(members(locations, at));
    }
    false
}

/// The role of every place. Roles only rise, so this ends.
fn roles(locations: &Locations) -> Vec<Role> {
    let mut roles = vec![Role::Untouched; locations.all.len()];
    // Places that look at a value of their own must close it, even if something else refers to them too.
    let mut pinned = vec![false; locations.all.len()];
    let mut open = vec![(0, Role::Alone)];
    pinned[0] = true;
    while let Some((at, role)) = open.pop() {
        let role = if pinned[at] { Role::Alone } else { role };
        if roles[at] >= role {
            continue;
        }
        roles[at] = role;
        let member_role =
            if role == Role::Alone && delegates(locations, at) { Role::Alone } else { Role::Together };
        for &(relation, to) in &locations.all[at].edges {
            match relation {
                Relation::Ref | Relation::AllOf | Relation::Union | Relation::Branch => {
                    open.push((to, member_role));
                }
                Relation::Property
                | Relation::Pattern
                | Relation::OtherProperties
                | Relation::PrefixItem
                | Relation::Items
                | Relation::OtherItems => {
                    pinned[to] = true;
                    open.push((to, Role::Alone));
                }
                Relation::Test | Relation::Contains | Relation::Names => {}
            }
        }
    }
    roles
}
