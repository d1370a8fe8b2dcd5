//! Which program runs a model: said, or found.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// The variable that names the program.
const VARIABLE: &str = "KORA_BACKEND_WORKER";
/// The program that is looked for. It is its own worker.
const PROGRAM: &str = "kora-backend";

/// Where a program can be found. What this process knows of itself and of its environment, or a test says.
#[derive(Debug, Default)]
pub(super) struct Surroundings {
    pub(super) variable: Option<OsString>,
    pub(super) this_program: Option<PathBuf>,
    pub(super) path: Option<OsString>,
}

impl Surroundings {
    pub(super) fn of_this_process() -> Self {
        Self {
            variable: std::env::var_os(VARIABLE).filter(|value| !value.is_empty()),
            this_program: std::env::current_exe().ok(),
            path: std::env::var_os("PATH"),
        }
    }
}

/// The program, if there is one.
///
/// # Errors
///
/// [`ProgramError`] says what was looked for and how to mend it.
pub(super) fn locate(said: Option<&Path>, around: &Surroundings) -> Result<PathBuf, ProgramError> {
    if let Some(program) = said {
        return there(program, "`worker` of the configuration");
    }
    if let Some(program) = &around.variable {
        return there(Path::new(program), VARIABLE);
    }
    let name = format!("{PROGRAM}{}", std::env::consts::EXE_SUFFIX);
    let this = around.this_program.as_deref();
    if let Some(this) = this.filter(|this| this.file_name() == Some(OsStr::new(&name))) {
        return Ok(this.to_owned());
    }
    let beside = this.and_then(Path::parent).map(Path::to_owned);
    let folders = around.path.as_deref().map(std::env::split_paths).into_iter().flatten();
    beside
        .into_iter()
        // An empty entry of `PATH` means wherever the process happens to be: nothing to run programs from.
        .chain(folders.filter(|folder| folder.is_absolute()))
        .map(|folder| folder.join(&name))
        .find(|program| program.is_file())
        .ok_or(ProgramError::NotFound)
}

fn there(program: &Path, said_by: &'static str) -> Result<PathBuf, ProgramError> {
    if program.is_file() {
        Ok(program.to_owned())
    } else {
        Err(ProgramError::NotThere { program: program.to_owned(), said_by })
    }
}

/// There is no program to run a model.
#[derive(Debug, Error)]
pub(super) enum ProgramError {
    #[error("{said_by} names `{}` as the program that runs models, and there is no such file", .program.display())]
    NotThere { program: PathBuf, said_by: &'static str },
    #[error(
        "no program to run models: install `{PROGRAM}` on the PATH or beside this program, or name it in {VARIABLE}"
    )]
    NotFound,
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Place {
        folder: tempfile::TempDir,
    }

    impl Place {
        fn new() -> Self {
            Self { folder: tempfile::tempdir().unwrap() }
        }

        fn put(&self, path: &str) -> PathBuf {
            let path = self.folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "").unwrap();
            path
        }
    }

    fn program(folder: &str) -> String {
        format!("{folder}/{PROGRAM}{}", std::env::consts::EXE_SUFFIX)
    }

    #[test]
    fn what_is_said_is_used_or_an_error() {
        let place = Place::new();
        let said = place.put("said");
        let around = Surroundings { variable: Some(place.put("variable").into()), ..Surroundings::default() };
        assert_eq!(locate(Some(&said), &around).unwrap(), said);
        assert!(locate(None, &around).unwrap().ends_with("variable"));
        let error = locate(Some(Path::new("/no/such/program")), &around).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`worker` of the configuration names `/no/such/program` as the program that runs models, and there is no \
             such file"
        );
    }

    #[test]
    fn otherwise_it_is_this_program_or_the_one_beside_it_or_one_on_the_path() {
        let place = Place::new();
        let (own, on_path) = (place.put(&program("own")), place.put(&program("path")));
        let other = place.put("own/other");
        let path = Some(on_path.parent().unwrap().as_os_str().to_owned());
        let find = |this: Option<PathBuf>, path: &Option<OsString>| {
            locate(None, &Surroundings { variable: None, this_program: this, path: path.clone() })
        };
        assert_eq!(find(Some(own.clone()), &path).unwrap(), own);
        assert_eq!(find(Some(other), &path).unwrap(), own);
        assert_eq!(find(Some(place.put("elsewhere/other")), &path).unwrap(), on_path);
        assert_eq!(
            find(None, &None).unwrap_err().to_string(),
            "no program to run models: install `kora-backend` on the PATH or beside this program, or name it in \
             KORA_BACKEND_WORKER"
        );
        assert!(find(None, &Some(OsString::from("."))).is_err());
    }
}
