//! The table: who may use whom, what nobody of a kind may reach, what no file of theirs may say.

/// A crate and those of ours that it may use, dev-dependencies aside.
pub(super) struct Layer {
    pub(super) name: &'static str,
    pub(super) may_use: &'static [&'static str],
    pub(super) because: &'static str,
}

/// From the contract down to the command; a crate uses only what stands above it.
///
/// A row may wait for its crate. A crate without a row is a finding.
pub(super) const LAYERS: &[Layer] = &[
    Layer { name: "kora-ir", may_use: &[], because: "the TaskGraph stands on nothing of ours (C3.2)" },
    Layer {
        name: "telemetry",
        may_use: &["kora-ir"],
        because: "it collects and computes, and knows no backend (C8.1)",
    },
    Layer {
        name: "backend-api",
        may_use: &["kora-ir", "telemetry"],
        because: "the contract knows none of those who implement it (C1.3)",
    },
    // One engine for every backend: that is how they differ in scale and not in semantics (C2.6).
    Layer {
        name: "engine",
        may_use: &["kora-ir", "telemetry", "backend-api"],
        because: "what a run means may not depend on what runs it (C2.6)",
    },
    Layer {
        name: "operations",
        may_use: &["kora-ir", "telemetry", "backend-api"],
        because: "a deterministic task sees its input and nothing else (C2.1)",
    },
    Layer {
        name: "schema-grammar",
        may_use: &["kora-ir"],
        because: "what a schema allows next is a question to the schema alone (C11.1)",
    },
    Layer { name: "credentials", may_use: &[], because: "a secret knows nobody who sends it (C11.4)" },
    Layer {
        name: "model-store",
        may_use: &[],
        because: "files on this machine know no graph and no run (C4.2)",
    },
    Layer {
        name: "models",
        may_use: &["kora-ir", "telemetry", "backend-api", "schema-grammar", "credentials", "model-store"],
        because: "an adapter answers one request and knows no run (C11.1)",
    },
    Layer {
        name: "model-worker",
        may_use: &["kora-ir", "schema-grammar", "model-store", "models"],
        because: "it answers one request after the other and knows no run (C11.1)",
    },
    Layer {
        name: "krako-contract",
        may_use: &["kora-ir", "telemetry", "backend-api"],
        because: "the wire is shared by both ends and belongs to neither (C5.1)",
    },
    Layer {
        name: "krako-session",
        may_use: &["kora-ir", "telemetry", "backend-api", "engine", "krako-contract"],
        because: "what a session's events mean is decided without a network or a clock (C5.4)",
    },
    Layer {
        name: "krako-transport",
        may_use: &["backend-api", "kora-ir", "credentials", "krako-contract"],
        because: "it carries documents and knows no run (C5.2)",
    },
    Layer {
        name: "bounded-body",
        may_use: &[],
        because: "bytes of a request are counted before anybody knows what they mean (C11.4)",
    },
    // Neither the wire to other machines nor the fleet: LocalBackend schedules on this machine only (C4.6).
    Layer {
        name: "backend-local",
        may_use: &["kora-ir", "telemetry", "backend-api", "engine", "operations", "models"],
        because: "LocalBackend runs here and knows no fleet (C4.6)",
    },
    Layer {
        name: "backend-krako",
        may_use: &[
            "kora-ir",
            "telemetry",
            "backend-api",
            "engine",
            "credentials",
            "krako-contract",
            "krako-session",
            "krako-transport",
        ],
        because: "KrakoBackend submits and verifies, and runs no task itself (C5.5)",
    },
    Layer {
        name: "krako-fabric",
        may_use: &[
            "kora-ir",
            "telemetry",
            "backend-api",
            "engine",
            "operations",
            "models",
            "credentials",
            "krako-contract",
            "krako-session",
            "krako-transport",
            "bounded-body",
            "backend-local",
            "backend-krako",
        ],
        because: "the fleet stands below the backends and above whoever serves them (C5.1)",
    },
    Layer {
        name: "backend-server",
        may_use: &["kora-ir", "telemetry", "backend-api", "bounded-body"],
        because: "it serves any backend, so it may know none (C1.3)",
    },
    Layer {
        name: "conformance",
        may_use: &[
            "kora-ir",
            "telemetry",
            "backend-api",
            "engine",
            "operations",
            "models",
            "credentials",
            "krako-contract",
            "krako-session",
            "krako-transport",
            "backend-local",
            "backend-krako",
            "krako-fabric",
            "backend-server",
        ],
        because: "the suite judges backends, and no backend may know its judge (C2.6)",
    },
    Layer {
        name: "kora-backend",
        may_use: &[
            "kora-ir",
            "telemetry",
            "backend-api",
            "engine",
            "operations",
            "models",
            "credentials",
            "krako-contract",
            "krako-session",
            "krako-transport",
            "backend-local",
            "backend-krako",
            "krako-fabric",
            "backend-server",
            "conformance",
            "schema-grammar",
            "model-store",
            "model-worker",
        ],
        because: "the command puts everything together, and nothing may need it (C1.3)",
    },
    Layer {
        name: "xtask",
        may_use: &["kora-ir", "telemetry", "backend-api", "operations", "krako-contract", "conformance"],
        because: "it generates documents from types and runs nothing of the product (C1.3)",
    },
];

/// What these crates may not reach, through whomever. `chrono/now` is the crate with that feature.
pub(super) struct Unreachable {
    pub(super) crates: &'static [&'static str],
    pub(super) names: &'static [&'static str],
    pub(super) because: &'static str,
}

const PURE: &[&str] =
    &["kora-ir", "telemetry", "backend-api", "engine", "operations", "krako-contract", "krako-session"];

/// Responsibilities that a crate must not have, as crates that it must not reach.
pub(super) const UNREACHABLE: &[Unreachable] = &[
    Unreachable {
        crates: PURE,
        names: &["tokio", "async-std", "smol", "async-executor", "rayon", "crossbeam-channel", "mio"],
        because: "meaning needs no runtime and no threads (C6.1)",
    },
    Unreachable {
        crates: PURE,
        names: &["hyper", "reqwest", "ureq", "isahc", "curl", "h2", "quinn", "rustls", "socket2", "tonic"],
        because: "nothing here talks to a network; deterministic tasks least of all (C2.1, C11.1)",
    },
    Unreachable {
        crates: PURE,
        names: &["rand", "fastrand", "oorandom", "uuid/v4", "uuid/v7", "ulid"],
        because: "the same graph gives the same run, so there is nothing to roll for (C6.1)",
    },
    Unreachable {
        crates: PURE,
        names: &["chrono/now", "time/local-offset", "jiff/std", "quanta", "web-time", "coarsetime"],
        because: "no decision depends on the wall clock (C6.1)",
    },
    // Deterministic first is never bypassed by an operation that asks a model (C11.2).
    Unreachable {
        crates: &["operations", "engine"],
        names: &["models", "candle-core", "async-openai", "llama-cpp-2", "ort", "tokenizers"],
        because: "a deterministic task holds no handle through which a model could be reached (C11.2)",
    },
    // A ledger needs a place to persist it, a scheduler needs members and a broker: none is in reach (C4.6).
    Unreachable {
        crates: &["backend-local"],
        names: &[
            "sqlx", "rusqlite", "diesel", "sea-orm", "postgres", "redb", "sled", "fjall", "heed", "rocksdb",
            "redis", "mongodb",
        ],
        because: "LocalBackend keeps no billing ledger (C4.6)",
    },
    Unreachable {
        crates: &["backend-local"],
        names: &[
            "krako-contract",
            "krako-session",
            "krako-transport",
            "backend-krako",
            "krako-fabric",
            "restate-sdk",
            "openraft",
            "raft",
            "etcd-client",
            "kube",
            "async-nats",
            "rdkafka",
            "lapin",
            "libp2p",
            "memberlist",
            "tonic",
        ],
        because: "LocalBackend schedules nothing on other machines (C4.6)",
    },
    Unreachable {
        crates: &["backend-krako"],
        names: &["operations", "models"],
        because: "KrakoBackend runs no task itself (C5.5)",
    },
    Unreachable {
        crates: &["krako-transport", "backend-krako", "krako-fabric", "models"],
        names: &["native-tls", "openssl"],
        because: "one TLS, in Rust, with one policy (C11.4)",
    },
];

/// What these crates may not name in their own manifest, though others may bring it along.
pub(super) struct Unnamed {
    pub(super) crates: &'static [&'static str],
    pub(super) names: &'static [&'static str],
    pub(super) because: &'static str,
}

/// Shortcuts past the one place that owns an idea.
pub(super) const UNNAMED: &[Unnamed] = &[
    // A backend defines no schema and judges no reply by itself: it asks the compiled schema of the task (C1.4).
    Unnamed {
        crates: &[
            "telemetry",
            "backend-api",
            "engine",
            "models",
            "backend-local",
            "backend-krako",
            "krako-fabric",
        ],
        names: &["jsonschema", "schemars", "boon"],
        because: "schemas are KORA's, and only `kora-ir` opens them: use `OutputSchema::admit` (C1.4, C11.1)",
    },
];

/// Paths that no product source of these crates may name. A path bars everything below it.
pub(super) struct Unsaid {
    pub(super) crates: &'static [&'static str],
    pub(super) paths: &'static [&'static str],
    /// Exceptions, exactly as written.
    pub(super) except: &'static [&'static str],
    pub(super) because: &'static str,
}

/// What the standard library offers and a pure crate must not take.
pub(super) const UNSAID: &[Unsaid] = &[
    Unsaid {
        crates: PURE,
        paths: &["std::time"],
        except: &["std::time::Duration"],
        because: "time is a fact that the driver reports, never a clock that is read (C6.1)",
    },
    Unsaid {
        crates: PURE,
        paths: &["std::thread", "std::sync::mpsc", "std::process", "std::env"],
        except: &[],
        because: "nothing depends on threads, processes or the environment (C6.1)",
    },
    Unsaid {
        crates: PURE,
        paths: &["std::fs", "std::net", "std::os", "std::io::stdin", "std::io::Stdin"],
        except: &[],
        because: "there is no input but the arguments (C2.1)",
    },
    Unsaid {
        crates: &["engine"],
        paths: &["HashMap", "HashSet", "FxHashMap", "FxHashSet", "DefaultHasher", "RandomState"],
        except: &[],
        because: "no decision depends on map order: index a `Vec` by `TaskIndex`, or use a `BTreeMap` (C6.1)",
    },
    Unsaid {
        crates: &["backend-local"],
        paths: &["std::net", "tokio::net"],
        except: &[],
        because: "LocalBackend talks to no other machine; an adapter may, to a model (C4.6)",
    },
];
