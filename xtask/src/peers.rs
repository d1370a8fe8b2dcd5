//! `cargo xtask peers`: the foreign model servers that tests talk to, pinned, below `target/peers`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;

use crate::workspace;

/// What is installed: one line for each package, its version and the digests that it may have.
const REQUIREMENTS: &str = "crates/models/tests/foreign/requirements.txt";

/// Where it is installed, relative to the root. The tests look for it there.
const PEERS: &str = "target/peers";

/// Beside the packages: the requirements that they were installed from.
const INSTALLED: &str = "requirements.txt";

/// Beside the packages: the interpreter that they were installed for.
const INTERPRETER: &str = "python";

/// Installs the peers, unless they are there already.
///
/// # Errors
///
/// Returns an error if there is no Python with pip, or if pip cannot install what is pinned.
pub(crate) fn run() -> anyhow::Result<()> {
    let root = workspace::root();
    let python = interpreter().with_context(|| MISSING)?;
    install(&root, &python)
}

/// Says what is missing on this machine, and how to get it.
pub(crate) const MISSING: &str =
    "python3 with pip is not installed (Python 3.10 or later, say `apt-get install python3 python3-pip`)";

/// The Python that can install packages, if there is one.
pub(crate) fn interpreter() -> Option<PathBuf> {
    ["python3", "python"].into_iter().find_map(|name| {
        let has_pip = quiet(Command::new(name).args(["-m", "pip", "--version"]));
        let said = Command::new(name).args(["-c", "import sys; print(sys.executable)"]).output().ok()?;
        let path = String::from_utf8(said.stdout).ok()?;
        (has_pip && !path.trim().is_empty()).then(|| PathBuf::from(path.trim()))
    })
}

/// Installs what the requirements pin, for `python`, all of it or nothing.
pub(crate) fn install(root: &Path, python: &Path) -> anyhow::Result<()> {
    let wanted = std::fs::read_to_string(root.join(REQUIREMENTS))
        .with_context(|| format!("cannot read {REQUIREMENTS}"))?;
    let peers = root.join(PEERS);
    if is_installed(&peers, &wanted, python) {
        println!("{PEERS} is up to date");
        return Ok(());
    }
    // Beside the place and then moved there, so that half of an installation is never taken for one.
    let partial = root.join(format!("{PEERS}.partial-{}", std::process::id()));
    remove(&partial)?;
    let status = pip(python, root, &partial).status().context("cannot start pip")?;
    anyhow::ensure!(
        status.success(),
        "pip ended with {status}; it asks the package index of this machine's own configuration"
    );
    std::fs::write(partial.join(INTERPRETER), python.display().to_string())?;
    std::fs::write(partial.join(INSTALLED), &wanted)?;
    remove(&peers)?;
    if let Err(error) = std::fs::rename(&partial, &peers) {
        remove(&partial)?;
        // Somebody else may have been first; theirs is as good.
        anyhow::ensure!(is_installed(&peers, &wanted, python), "cannot move it to {PEERS}: {error}");
    }
    println!("installed to {PEERS}");
    Ok(())
}

fn is_installed(peers: &Path, wanted: &str, python: &Path) -> bool {
    let holds = |name: &str, text: &str| std::fs::read_to_string(peers.join(name)).is_ok_and(|is| is == text);
    holds(INSTALLED, wanted) && holds(INTERPRETER, &python.display().to_string())
}

/// Into a folder of its own: no virtual environment is needed, and no package of the machine's is touched. Only what
/// has one of the pinned digests, nothing that would have to be compiled.
fn pip(python: &Path, root: &Path, into: &Path) -> Command {
    let options =
        "--quiet --disable-pip-version-check --no-input --require-hashes --no-deps --only-binary=:all:";
    let mut command = Command::new(python);
    command
        .args(["-m", "pip", "install"])
        .args(options.split(' '))
        .args([
            OsString::from("--target"),
            into.into(),
            "--requirement".into(),
            root.join(REQUIREMENTS).into(),
        ])
        // What it warns of does not happen in a folder of its own.
        .env("PIP_ROOT_USER_ACTION", "ignore")
        .stdin(Stdio::null());
    command
}

fn remove(folder: &Path) -> anyhow::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn quiet(command: &mut Command) -> bool {
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_peer_is_pinned_by_version_and_digest() {
        let text = std::fs::read_to_string(workspace::root().join(REQUIREMENTS)).unwrap();
        let lines = text.replace("\\\n", " ");
        let pinned: Vec<&str> = lines.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
        assert!(!pinned.is_empty());
        for line in pinned {
            assert!(line.contains("==") && line.contains("--hash=sha256:"), "{line}");
        }
    }

    #[test]
    fn what_was_installed_from_other_requirements_is_installed_anew() {
        let peers = std::env::temp_dir().join(format!("kora-peers-{}", std::process::id()));
        std::fs::create_dir_all(&peers).unwrap();
        std::fs::write(peers.join(INSTALLED), "a==1").unwrap();
        std::fs::write(peers.join(INTERPRETER), "python").unwrap();
        assert!(is_installed(&peers, "a==1", Path::new("python")));
        assert!(!is_installed(&peers, "a==2", Path::new("python")));
        assert!(!is_installed(&peers, "a==1", Path::new("other")));
        remove(&peers).unwrap();
        assert!(!is_installed(&peers, "a==1", Path::new("python")));
        remove(&peers).unwrap();
    }
}
