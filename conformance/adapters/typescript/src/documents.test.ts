/** JSON, patterns, schemas, graphs and operations: what is read, and what is refused. Runs are tested from outside. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { readGraph } from "./graph.ts";
import { canonical, follow, type Json, NotJson, read } from "./json.ts";
import * as operations from "./operations.ts";
import { Pattern, UnsupportedPattern } from "./pattern.ts";
import { Refused } from "./reader.ts";
import * as schema from "./schema.ts";

test("what readers disagree about is a fault", () => {
  for (const text of ['{"a":1,"a":1}', "9007199254740992", "1e999", "[".repeat(105) + "]".repeat(105)]) {
    assert.notDeepEqual(read(text).faults, [], text);
  }
  for (const text of ["9007199254740991", "1.5e300", "[".repeat(104) + "]".repeat(104), '{"__proto__":1}']) {
    assert.deepEqual(read(text).faults, [], text);
  }
  assert.equal(canonical(read('{"__proto__":{"a":1}}').value), '{"__proto__":{"a":1}}');
});

test("what is not one value is not JSON", () => {
  for (const text of ["", "{", "1 2", "{'a':1}", "NaN", "01", '"\\ud800"', "[1,]", '"\n"', "[".repeat(100_000)]) {
    assert.throws(() => read(text), NotJson, text.slice(0, 30));
  }
});

test("reading is what JSON.parse reads", () => {
  for (const text of [' {"a" : [1, -2.5e-3, true, null, "\\u00e9\\n\\ud83d\\ude00"], "": {}} ', "0", '"x"', "[]"]) {
    assert.deepEqual(JSON.parse(canonical(read(text).value)), JSON.parse(text));
  }
});

test("equal values have one text", () => {
  assert.equal(canonical({ b: 1.0, a: [true, null, "é\n"], c: -0 }), '{"a":[true,null,"é\\n"],"b":1,"c":0}');
  assert.equal(canonical([1e21, 1e-7, 1e20]), "[1e+21,1e-7,100000000000000000000]");
});

test("a pointer finds what is there", () => {
  const value = { "a/b": { "~": [0, null] }, "": 7 };
  assert.equal(follow("/a~1b/~0/0", value), 0);
  assert.equal(follow("/a~1b/~0/1", value), null);
  assert.equal(follow("/", value), 7);
  for (const pointer of ["/a~1b/~0/00", "/a~1b/~0/2", "/a~1b/~0/length", "/toString", "/a~1b/~0/0/0"]) {
    assert.equal(follow(pointer, value), undefined, pointer);
  }
});

test("a pattern matches as the standard engine does", () => {
  const pieces = "a [ab] [^a] (a|b) (?:ab)? a* b+ a{1,2} ^ $ | \\d \\w . (b*a)+?".split(" ");
  let seed = 7;
  const draw = (most: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor((seed / 2 ** 31) * most);
  };
  for (let nth = 0; nth < 3_000; nth += 1) {
    const source = Array.from({ length: 1 + draw(6) }, () => pieces[draw(pieces.length)]).join("");
    const text = Array.from({ length: draw(9) }, () => "ab1-"[draw(4)]).join("");
    assert.equal(new Pattern(source).foundIn(text), new RegExp(source).test(text), `${source} on ${text}`);
  }
});

test("no pattern is slow, and what is not known is refused", () => {
  assert.equal(new Pattern("(a*)*(a|aa)+$").foundIn(`${"a".repeat(5_000)}b`), false);
  for (const source of ["(?=a)", "(a)\\1", "\\p{L}", "(", "a)", "[", "*", "a{2,1}", "(a{1000}){1000}"]) {
    assert.throws(() => new Pattern(source), UnsupportedPattern, source);
  }
});

function check(document: Json, value: Json, admitted: boolean): void {
  assert.deepEqual([...schema.faults(document)], []);
  const found = schema.mismatch(schema.close(document), value);
  assert.equal(found === undefined, admitted, `${canonical(document)}: ${canonical(value)}: ${found}`);
}

test("an object holds what its schema names", () => {
  const person = { type: "object", required: ["name"], properties: { name: { type: "string" } } };
  check(person, { name: "Ada" }, true);
  check(person, { name: "Ada", age: 36 }, false);
  check({ type: "array", items: person }, [{ name: "Ada", age: 36 }], false);
  check({ ...person, additionalProperties: { type: "integer" } }, { name: "Ada", age: 36 }, true);
  check({ anyOf: [{ type: "null" }, person] }, { name: "Ada", age: 36 }, false);
  check({ type: "object", required: ["toString"] }, {}, false);
});

test("types and limits are those of JSON Schema", () => {
  check({ type: "integer" }, 1.0, true);
  for (const value of [1.5, true, "1", null]) check({ type: "integer" }, value, false);
  check({ enum: [1, "a"] }, true, false);
  check({ const: { a: 1, b: 2 } }, { b: 2, a: 1 }, true);
  check({ type: "string", minLength: 2, maxLength: 2 }, "\u{1f600}é", true);
  check({ type: "array", uniqueItems: true }, [1, 1.0], false);
  check({ prefixItems: [{ type: "string" }], items: { type: "integer" } }, ["a", 1, 2], true);
  check({ oneOf: [{ type: "number" }, { type: "integer" }] }, 1, false);
});

test("no schema admits what is too deep or too large", () => {
  let deep: Json = 0;
  let shared: Json = "x".repeat(1_000);
  for (let level = 0; level < 101; level += 1) deep = [deep];
  for (let level = 0; level < 40; level += 1) shared = [shared, shared];
  for (const value of [deep, shared]) assert.notEqual(schema.mismatch(true, value), undefined);
});

test("a keyword that is not known is beyond this backend, and a wrong one is wrong", () => {
  const invalid = (document: Json): boolean[] => [...schema.faults(document)].map((fault) => fault.invalid);
  assert.deepEqual(invalid({ $ref: "#/$defs/a" }), [false]);
  assert.deepEqual(invalid({ properties: { a: { type: "text" } } }), [true]);
  assert.deepEqual(invalid({ anyOf: [true], properties: {} }), [false]);
});

test("everything that is wrong with a graph is said at once", () => {
  const document = { kora_version: "1.0.0", root: "a", tasks: [{ id: "a b", extra: 1 }] };
  assert.throws(
    () => readGraph(document),
    (error: unknown) => {
      assert.ok(error instanceof Refused);
      const { violations } = error.document["details"] as { violations: { code: string }[] };
      const codes = [...new Set(violations.map((violation) => violation.code))].sort();
      assert.deepEqual(codes, ["invalid-id", "missing-field", "mixed-run", "unknown-field", "unknown-word"]);
      return true;
    },
  );
});

test("operations do what the documentation shows", () => {
  const run = (name: string, args: { [name: string]: Json }, data: Json): Json => {
    assert.equal(operations.fault(name, args), undefined);
    return JSON.parse(JSON.stringify(operations.run(name, args, data)));
  };
  assert.deepEqual(run("collect", { pointers: ["/title", "/pages/0"] }, { pages: ["one"], title: "T" }), ["T", "one"]);
  assert.deepEqual(run("collect", { flatten: true, skip_null: true }, [[1, null], null, [2]]), [1, 2]);
  const objects = [{ a: 1, b: { x: 1 } }, { b: { y: 2 }, a: 3 }];
  assert.deepEqual(run("merge", { depth: "deep", on_conflict: "last" }, objects), { a: 3, b: { x: 1, y: 2 } });
  assert.deepEqual(run("pick", { members: { x: "/x", y: "/y" }, missing: "null" }, { x: 7 }), { x: 7, y: null });
  assert.throws(() => operations.run("merge", {}, [{ a: 1 }, { a: 2 }]), operations.OperationFailed);
  assert.notEqual(operations.fault("echo", { x: 1 }), undefined);
});
