//! An object of the wire is written as one: the derived readers would also take a list for the fields in their order.

use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor,
};

/// Reads what the wrapped reader reads, at any depth, but no struct from a list.
pub(crate) struct Objects<D>(pub(crate) D);

macro_rules! forwarded {
    ($($method:ident)+) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.0.$method(Objects(visitor))
        })+
    };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Objects<D> {
    type Error = D::Error;

    forwarded! {
        deserialize_any deserialize_bool
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64 deserialize_char
        deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf
        deserialize_option deserialize_unit deserialize_seq deserialize_map
        deserialize_identifier deserialize_ignored_any
    }

    /// The one that differs: whoever asks for a struct gets it from an object or not at all.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(Objects(visitor))
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_unit_struct(name, Objects(visitor))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_newtype_struct(name, Objects(visitor))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_tuple(len, Objects(visitor))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_tuple_struct(name, len, Objects(visitor))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_enum(name, variants, Objects(visitor))
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

macro_rules! taken {
    ($($method:ident($value:ty))+) => {
        $(fn $method<E: Error>(self, value: $value) -> Result<V::Value, E> {
            self.0.$method(value)
        })+
    };
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Objects<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    taken! {
        visit_bool(bool)
        visit_i8(i8) visit_i16(i16) visit_i32(i32) visit_i64(i64) visit_i128(i128)
        visit_u8(u8) visit_u16(u16) visit_u32(u32) visit_u64(u64) visit_u128(u128)
        visit_f32(f32) visit_f64(f64) visit_char(char)
        visit_str(&str) visit_borrowed_str(&'de str) visit_string(String)
        visit_bytes(&[u8]) visit_borrowed_bytes(&'de [u8]) visit_byte_buf(Vec<u8>)
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.0.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.0.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.0.visit_some(Objects(deserializer))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.0.visit_newtype_struct(Objects(deserializer))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<V::Value, A::Error> {
        self.0.visit_seq(Objects(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(Objects(fields))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, member: A) -> Result<V::Value, A::Error> {
        self.0.visit_enum(Objects(member))
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Objects<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.0.deserialize(Objects(deserializer))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Objects<A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.0.next_element_seed(Objects(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Objects<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.0.next_key_seed(Objects(seed))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.0.next_value_seed(Objects(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: EnumAccess<'de>> EnumAccess<'de> for Objects<A> {
    type Error = A::Error;
    type Variant = Objects<A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self::Variant), A::Error> {
        let (member, rest) = self.0.variant_seed(Objects(seed))?;
        Ok((member, Objects(rest)))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Objects<A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.0.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.0.newtype_variant_seed(Objects(seed))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.0.tuple_variant(len, Objects(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.0.struct_variant(fields, Objects(visitor))
    }
}

#[cfg(test)]
mod tests {
    use kora_ir::Limits;
    use serde_json::Value;

    use crate::{
        Anchoring, CapabilitiesDocument, Document, Event, ExecutionSession, HealthDocument, InvalidDocument,
        SessionReport, Submission, UsageReport, WireLimits, read,
    };

    /// Pointers to all objects in it.
    fn objects(value: &Value, pointer: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                found.push(pointer.to_owned());
                fields.iter().for_each(|(name, field)| objects(field, &format!("{pointer}/{name}"), found));
            }
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(nth, item)| {
                    objects(item, &format!("{pointer}/{nth}"), found);
                });
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// Writes each object of the example as the list of its values, but not those of KORA's own data.
    fn check(example: &str, of_kora: &[&str], refusal: impl Fn(&str) -> Option<String>) -> usize {
        let document: Value = serde_json::from_str(example).unwrap();
        assert_eq!(refusal(example), None, "{example}");
        let mut all = Vec::new();
        objects(&document, "", &mut all);
        all.retain(|pointer| !of_kora.iter().any(|above| pointer.starts_with(above)));
        for pointer in &all {
            let mut listed = document.clone();
            let place = listed.pointer_mut(pointer).unwrap();
            *place = Value::Array(place.as_object().unwrap().values().cloned().collect());
            let said = refusal(&listed.to_string()).unwrap_or_else(|| panic!("{pointer} of {example}"));
            let expected = if matches!(pointer.as_str(), "" | "/payload") {
                format!("{}: this is no JSON object;", if pointer.is_empty() { "/" } else { pointer })
            } else {
                format!("{pointer}: invalid type: sequence, expected struct")
            };
            assert!(said.contains(&expected), "{pointer}: {said}");
        }
        all.len()
    }

    fn refused<D: Document>(text: &str) -> Option<String> {
        read::<D>(text.as_bytes(), &WireLimits::default()).err().map(|error| error.to_string())
    }

    // shows C5.2
    #[test]
    fn no_object_of_the_wire_may_be_written_as_a_list() {
        let report = include_str!("../examples/session-success.json");
        let counted = [
            check(report, &["/final_output"], refused::<SessionReport>),
            check(include_str!("../examples/execution-session.json"), &[], refused::<ExecutionSession>),
            check(include_str!("../examples/usage.json"), &[], refused::<UsageReport>),
            check(include_str!("../examples/health.json"), &[], refused::<HealthDocument>),
            check(include_str!("../examples/capabilities.json"), &[], refused::<CapabilitiesDocument>),
            check(include_str!("../examples/submission.json"), &["/taskgraph"], |text| {
                let limits = (&WireLimits::default(), &Limits::default());
                let read = Submission::read(text.as_bytes(), limits.0, limits.1, Anchoring::InGraph);
                read.err().map(|error| error.to_string())
            }),
            include_str!("../examples/events.jsonl")
                .lines()
                .map(|line| {
                    check(line, &["/payload/output"], |text| {
                        let read: Result<Event, InvalidDocument> =
                            Event::read(text.as_bytes(), &WireLimits::default());
                        read.err().map(|error| error.to_string())
                    })
                })
                .sum(),
        ];
        assert!(counted.iter().all(|&objects| objects > 0), "{counted:?}");
    }
}
