//! `kora-backend completions`: a script that teaches a shell this command line.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::command_line::CommandLine;
use crate::exit::Exit;
use crate::refused::CommandError;
use crate::screen;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// For which shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the script.
///
/// # Errors
///
/// [`CommandError::Output`].
pub(crate) fn run(args: &Args) -> Result<Exit, CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut CommandLine::command(), "kora-backend", &mut script);
    screen::print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Success)
}
