"""JSON, patterns, schemas and graphs: what is read, and what is refused."""

import random
import re
import time
import unittest

import graph
import schema
from pattern import Pattern, UnsupportedPattern
from reader import Refused
from strict_json import NotJson, canonical, follow, read


class Json(unittest.TestCase):
    def test_what_readers_disagree_about_is_a_fault(self) -> None:
        for text in ('{"a":1,"a":1}', "9007199254740992", "1e999", "[" * 105 + "]" * 105, "1" * 5000):
            self.assertTrue(read(text)[1], text[:30])
        for text in ("9007199254740991", "1.5e300", "[" * 104 + "]" * 104):
            self.assertEqual(read(text)[1], [], text[:30])

    def test_what_is_not_one_value_is_not_json(self) -> None:
        for text in ("", "{", "1 2", "{'a':1}", "NaN", "01", '"\\ud800"', "[1,]", "[" * 100_000):
            with self.assertRaises(NotJson, msg=text[:30]):
                read(text)

    def test_equal_values_have_one_text(self) -> None:
        self.assertEqual(canonical({"b": 1.0, "a": [True, None, "é\n"]}), '{"a":[true,null,"é\\n"],"b":1}')
        self.assertEqual(canonical({"\U0001f600": 1, "\ufb33": 2}), '{"\U0001f600":1,"\ufb33":2}')
        numbers = [1e21, 1e20, 1.5, -0.0, 1e-6, 1e-7, 1.25e-9, 123456789012345680000.0, 5e-324]
        texts = [
            "1e+21",
            "100000000000000000000",
            "1.5",
            "0",
            "0.000001",
            "1e-7",
            "1.25e-9",
            "123456789012345680000",
            "5e-324",
        ]
        self.assertEqual([canonical(number) for number in numbers], texts)

    def test_a_pointer_finds_what_is_there(self) -> None:
        value = {"a/b": {"~": [0, None]}, "": 7}
        self.assertEqual(follow("/a~1b/~0/0", value), (True, 0))
        self.assertEqual(follow("/a~1b/~0/1", value), (True, None))
        self.assertEqual(follow("/", value), (True, 7))
        for pointer in ("/a~1b/~0/00", "/a~1b/~0/2", "/a~1b/~0/-1", "/x", "/a~1b/~0/0/0"):
            self.assertFalse(follow(pointer, value)[0], pointer)


class Patterns(unittest.TestCase):
    def test_matches_as_the_standard_engine_does(self) -> None:
        draw = random.Random(7)
        pieces = [
            "a",
            "[ab]",
            "[^a]",
            "(a|b)",
            "(?:ab)?",
            "a*",
            "b+",
            "a{1,2}",
            "^",
            "$",
            "|",
            r"\d",
            r"\w",
            ".",
            "(b*a)+?",
        ]
        for _ in range(3_000):
            source = "".join(draw.choice(pieces) for _ in range(draw.randint(1, 6)))
            ours, theirs = Pattern(source), re.compile(source.replace("$", r"\Z"))
            text = "".join(draw.choice("ab1-") for _ in range(draw.randint(0, 8)))
            self.assertEqual(ours.found_in(text), theirs.search(text) is not None, (source, text))

    def test_nothing_makes_it_slow(self) -> None:
        began = time.monotonic()
        self.assertFalse(Pattern("(a*)*(a|aa)+$").found_in("a" * 5_000 + "b"))
        self.assertLess(time.monotonic() - began, 5)

    def test_what_it_does_not_know_is_refused(self) -> None:
        for source in (
            "(?=a)",
            r"(a)\1",
            r"\p{L}",
            "(",
            "a)",
            "[",
            "*",
            "a{2,1}",
            "(a{1000}){1000}",
            "(" * 60 + ")" * 60,
        ):
            with self.assertRaises(UnsupportedPattern, msg=source[:20]):
                Pattern(source)


class Schemas(unittest.TestCase):
    def check(self, document: object, value: object, admitted: bool) -> None:
        self.assertEqual(list(schema.faults(document)), [])
        found = schema.mismatch(schema.close(document), value)
        self.assertEqual(found is None, admitted, f"{document}: {value}: {found}")

    def test_an_object_holds_what_its_schema_names(self) -> None:
        person = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}
        self.check(person, {"name": "Ada"}, True)
        self.check(person, {"name": "Ada", "age": 36}, False)
        self.check({"type": "array", "items": person}, [{"name": "Ada", "age": 36}], False)
        self.check({**person, "additionalProperties": {"type": "integer"}}, {"name": "Ada", "age": 36}, True)
        self.check({"anyOf": [{"type": "null"}, person]}, {"name": "Ada", "age": 36}, False)
        self.check({"type": "object", "additionalProperties": True}, {"anything": 1}, True)

    def test_types_are_those_of_json(self) -> None:
        self.check({"type": "integer"}, 1.0, True)
        for value in (1.5, True, "1", None):
            self.check({"type": "integer"}, value, False)
        self.check({"type": ["null", "boolean"]}, False, True)
        self.check({"enum": [1, "a"]}, True, False)
        self.check({"const": {"a": 1}}, {"a": 1.0}, True)

    def test_limits(self) -> None:
        self.check({"type": "string", "minLength": 2, "maxLength": 2}, "\U0001f600é", True)
        self.check({"minimum": 1, "exclusiveMaximum": 2}, 2, False)
        self.check({"type": "array", "uniqueItems": True, "maxItems": 3}, [1, 1.0], False)
        self.check({"prefixItems": [{"type": "string"}], "items": {"type": "integer"}}, ["a", 1, 2], True)
        self.check({"oneOf": [{"type": "number"}, {"type": "integer"}]}, 1, False)

    def test_no_schema_admits_what_is_too_deep_or_too_large(self) -> None:
        deep: object = 0
        for _ in range(101):
            deep = [deep]
        shared: object = "x" * 1000
        for _ in range(40):
            shared = [shared, shared]
        for value in (deep, shared, "x" * (17 << 20), 2**53):
            self.assertIsNotNone(schema.mismatch(True, value))

    def test_a_keyword_that_it_does_not_know_is_beyond_it_and_a_wrong_one_is_wrong(self) -> None:
        self.assertEqual([fault.invalid for fault in schema.faults({"$ref": "#/$defs/a"})], [False])
        self.assertEqual([fault.invalid for fault in schema.faults({"properties": {"a": {"type": "text"}}})], [True])
        mixed = {"anyOf": [True], "properties": {}}
        self.assertEqual([fault.invalid for fault in schema.faults(mixed)], [False])

    def test_a_reason_holds_nothing_of_the_value(self) -> None:
        found = schema.mismatch(
            schema.close({"type": "object", "properties": {"a": {"const": 1}}}), {"secret": "hidden"}
        )
        self.assertNotIn("secret", str(found))


class Graphs(unittest.TestCase):
    def test_everything_that_is_wrong_is_said_at_once(self) -> None:
        with self.assertRaises(Refused) as refused:
            graph.read_graph({"kora_version": "1.0.0", "root": "a", "tasks": [{"id": "a b", "extra": 1}]})
        codes = {violation["code"] for violation in refused.exception.document["details"]["violations"]}
        self.assertEqual(codes, {"missing-field", "invalid-id", "unknown-field", "unknown-word", "mixed-run"})

    def test_a_newer_minor_may_have_more_fields(self) -> None:
        task = {"version": "1.0", "id": "a", "type": "deterministic", "dependencies": [], "input": {}}
        task = {**task, "run": {"operation": "echo"}, "schema": {"type": "object"}, "colour": "red"}
        document = {"kora_version": "1.3.0", "graph_id": "g", "root": "a", "tasks": [task]}
        self.assertEqual([task.id for task in graph.read_graph(document).tasks], ["a"])
        with self.assertRaises(Refused):
            graph.read_graph({**document, "kora_version": "1.0.0"})
