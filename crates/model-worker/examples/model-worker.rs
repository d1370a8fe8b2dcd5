//! The worker alone, without the command around it.

use std::process::ExitCode;

fn main() -> ExitCode {
    model_worker::main(std::env::args_os().skip(1))
}
