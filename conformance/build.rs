//! Gathers the files of all cases into one JSON text, which the suite embeds.

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
        let mut files = BTreeMap::new();
        for file in fs::read_dir(&folder)? {
            let file = file?.path();
            files.insert(name_of(&file), fs::read_to_string(&file)?);
        }
        folders.insert(name_of(&folder), files);
    }
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo sets `OUT_DIR`"))?;
    fs::write(Path::new(&out).join("cases.json"), serde_json::to_vec(&folders)?)
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
