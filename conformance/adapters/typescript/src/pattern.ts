/**
 * Regular expressions in linear time: every state at once, so that no pattern and no text make it slow.
 *
 * JavaScript's own engine goes back and tries again, and a graph may come from anybody. What is left out (look-around,
 * back-references, Unicode classes) is refused when the graph is read.
 */

const MAX_STATES = 1_000;
const CONTROLS: Record<string, string> = { n: "\n", r: "\r", t: "\t", f: "\f", v: "\v", 0: "\0" };
const CLASSES: Record<string, Test> = {
  d: (char) => /[0-9]/.test(char),
  w: (char) => /[A-Za-z0-9_]/.test(char),
  s: (char) => /\s/.test(char),
};

type Test = (char: string) => boolean;

/** What a pattern says. */
type Node =
  | { kind: "test"; test: Test }
  | { kind: "all" | "any"; parts: Node[] }
  | { kind: "repeat"; part: Node; least: number; most: number }
  | { kind: "start" | "end" };

/** What the engine does: tests one character, forks, or asks where it is. */
type State =
  | { kind: "found" }
  | { kind: "test"; test: Test; then: number }
  | { kind: "fork"; then: number[] }
  | { kind: "start" | "end"; then: number };

/** Not a pattern, or one that this engine does not know. */
export class UnsupportedPattern extends Error {}

/** A pattern, parsed once. */
export class Pattern {
  readonly #states: State[] = [{ kind: "found" }];
  readonly #start: number;

  constructor(source: string) {
    this.#start = this.#emit(new Parser(source).pattern(), 0);
  }

  /** Whether any part of `text` matches. */
  foundIn(text: string): boolean {
    const chars = [...text];
    let current = new Set<number>();
    for (let at = 0; at <= chars.length; at += 1) {
      this.#add(this.#start, current, at === 0, at === chars.length);
      if (current.has(0)) return true;
      const following = new Set<number>();
      for (const place of at < chars.length ? current : []) {
        const state = this.#states[place]!;
        if (state.kind === "test" && state.test(chars[at]!)) {
          this.#add(state.then, following, false, at + 1 === chars.length);
        }
      }
      current = following;
    }
    return false;
  }

  /** Adds what can be reached without a character. */
  #add(start: number, states: Set<number>, atStart: boolean, atEnd: boolean): void {
    const waiting = [start];
    for (let place = waiting.pop(); place !== undefined; place = waiting.pop()) {
      if (states.has(place)) continue;
      states.add(place);
      const state = this.#states[place]!;
      if (state.kind === "fork") waiting.push(...state.then);
      if ((state.kind === "start" && atStart) || (state.kind === "end" && atEnd)) waiting.push(state.then);
    }
  }

  #new(state: State): number {
    if (this.#states.length >= MAX_STATES) throw new UnsupportedPattern(`more than ${MAX_STATES} states`);
    return this.#states.push(state) - 1;
  }

  /** The state with which `node` begins if `then` is what follows it. */
  #emit(node: Node, then: number): number {
    switch (node.kind) {
      case "test":
        return this.#new({ kind: "test", test: node.test, then });
      case "all":
        return node.parts.reduceRight((after, part) => this.#emit(part, after), then);
      case "any":
        return this.#new({ kind: "fork", then: node.parts.map((part) => this.#emit(part, then)) });
      case "repeat":
        return this.#repeat(node.part, node.least, node.most, then);
      case "start":
      case "end":
        return this.#new({ kind: node.kind, then });
    }
  }

  #repeat(part: Node, least: number, most: number, then: number): number {
    let first = then;
    if (most === Infinity) {
      first = this.#new({ kind: "fork", then: [] });
      this.#states[first] = { kind: "fork", then: [this.#emit(part, first), then] };
    } else {
      for (let nth = least; nth < most; nth += 1) {
        first = this.#new({ kind: "fork", then: [this.#emit(part, first), then] });
      }
    }
    for (let nth = 0; nth < least; nth += 1) first = this.#emit(part, first);
    return first;
  }
}

class Parser {
  readonly #source: string[];
  #at = 0;

  constructor(source: string) {
    this.#source = [...source];
  }

  pattern(): Node {
    const node = this.#alternatives(0);
    if (this.#at < this.#source.length) throw new UnsupportedPattern("a `)` without its `(`");
    return node;
  }

  #alternatives(depth: number): Node {
    if (depth > 50) throw new UnsupportedPattern("groups nested deeper than 50 levels");
    const parts = [this.#sequence(depth)];
    while (this.#take("|")) parts.push(this.#sequence(depth));
    return parts.length === 1 ? parts[0]! : { kind: "any", parts };
  }

  #sequence(depth: number): Node {
    const parts: Node[] = [];
    while (this.#at < this.#source.length && !"|)".includes(this.#source[this.#at]!)) {
      parts.push(this.#quantified(this.#atom(depth)));
    }
    return { kind: "all", parts };
  }

  #quantified(part: Node): Node {
    const found = this.#match(/^(?:[*+?]|\{(\d{1,4})(,?)(\d{0,4})\})/);
    if (!found) return part;
    if (part.kind === "start" || part.kind === "end") throw new UnsupportedPattern("a repeated `^` or `$`");
    this.#take("?");
    if (this.#match(/^[*+?{]/)) throw new UnsupportedPattern("a repetition of a repetition");
    const [all, low, comma, high] = found;
    if (low === undefined) {
      return { kind: "repeat", part, least: all === "+" ? 1 : 0, most: all === "?" ? 1 : Infinity };
    }
    const least = Number(low);
    const most = high ? Number(high) : comma ? Infinity : least;
    if (most < least) throw new UnsupportedPattern("a repetition of at most less than at least");
    return { kind: "repeat", part, least, most };
  }

  #atom(depth: number): Node {
    const char = this.#next();
    if (char === "(") {
      if (this.#take("?") && !this.#take(":")) throw new UnsupportedPattern("a group that is more than a group");
      const node = this.#alternatives(depth + 1);
      if (!this.#take(")")) throw new UnsupportedPattern("a `(` without its `)`");
      return node;
    }
    if (char === "[") return { kind: "test", test: this.#set() };
    if (char === ".") return { kind: "test", test: (char) => !/[\n\r\u2028\u2029]/.test(char) };
    if (char === "^" || char === "$") return { kind: char === "^" ? "start" : "end" };
    if ("*+?{}]".includes(char)) throw new UnsupportedPattern(`a \`${char}\` that stands alone`);
    return { kind: "test", test: testOf(char === "\\" ? this.#escape() : char) };
  }

  #set(): Test {
    const negated = this.#take("^");
    const tests: Test[] = [];
    while (!this.#take("]")) {
      const low = this.#member();
      if (typeof low !== "string" || !this.#match(/^-(?=[^\]])/)) {
        tests.push(testOf(low));
        continue;
      }
      const high = this.#member();
      if (typeof high !== "string" || codePoint(high) < codePoint(low)) {
        throw new UnsupportedPattern("a range whose ends are not in order");
      }
      tests.push((char) => codePoint(low) <= codePoint(char) && codePoint(char) <= codePoint(high));
    }
    return (char) => tests.some((test) => test(char)) !== negated;
  }

  #member(): string | Test {
    const char = this.#next();
    if ("[&".includes(char)) throw new UnsupportedPattern(`a \`${char}\` in a class without a backslash`);
    return char === "\\" ? this.#escape() : char;
  }

  /** What follows a backslash: a character, or the test of a class. */
  #escape(): string | Test {
    const char = this.#next();
    const test = CLASSES[char.toLowerCase()];
    if (test) return char === char.toLowerCase() ? test : (char) => !test(char);
    if (char === "u" || char === "x") {
      const found = this.#match(char === "u" ? /^[0-9a-fA-F]{4}/ : /^[0-9a-fA-F]{2}/);
      if (!found) throw new UnsupportedPattern(`a \`\\${char}\` without its digits`);
      return String.fromCharCode(Number.parseInt(found[0], 16));
    }
    if (Object.hasOwn(CONTROLS, char)) return CONTROLS[char]!;
    if (/[A-Za-z0-9]/.test(char)) throw new UnsupportedPattern(`\`\\${char}\``);
    return char;
  }

  #next(): string {
    return this.#source[this.#at++] ?? fail("a pattern that ends too early");
  }

  #take(char: string): boolean {
    const taken = this.#source[this.#at] === char;
    if (taken) this.#at += 1;
    return taken;
  }

  /** Takes what matches here: a few ASCII characters at most. */
  #match(expression: RegExp): RegExpExecArray | null {
    const found = expression.exec(this.#source.slice(this.#at, this.#at + 12).join(""));
    if (found) this.#at += found[0].length;
    return found;
  }
}

function testOf(member: string | Test): Test {
  return typeof member === "string" ? (char) => char === member : member;
}

function codePoint(char: string): number {
  return char.codePointAt(0)!;
}

function fail(what: string): never {
  throw new UnsupportedPattern(what);
}
