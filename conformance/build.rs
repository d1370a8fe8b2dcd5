//! Gathers the files of all cases, and those about mutants, into one JSON text each, which the suite embeds.

use std::collections::BTreeMap;
use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=cases");
    let mut folders: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for entry in fs::read_dir("cases")? {
        let folder = entry?.path();
        if !folder.is_dir() {
            continue;
        }
        folders.insert(name_of(&folder), files_in(&folder)?);
    }
    println!("cargo::rerun-if-changed=mutants");
    let mutants = files_in(Path::new("mutants"))?;
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo sets `OUT_DIR`"))?;
    fs::write(Path::new(&out).join("cases.json"), serde_json::to_vec(&folders)?)?;
    fs::write(Path::new(&out).join("mutants.json"), serde_json::to_vec(&mutants)?)
}

/// The text of each file in a folder, by name.
fn files_in(folder: &Path) -> io::Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    for file in fs::read_dir(folder)? {
        let file = file?.path();
        files.insert(name_of(&file), fs::read_to_string(&file)?);
    }
    Ok(files)
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
