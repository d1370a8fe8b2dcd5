//! `kora-backend operations`: what deterministic and aggregation tasks can do.

use comfy_table::{Table, presets};
use operations::{Operation, OperationRegistry, reference_page};
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::refused::CommandError;
use crate::screen::{self, STRONG};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Tell all about this one
    name: Option<String>,
    /// Print as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Lists the operations, or tells about one.
///
/// # Errors
///
/// [`CommandError::Usage`] if there is none of that name.
pub(crate) fn run(args: &Args) -> Result<Exit, CommandError> {
    let registry = OperationRegistry::standard();
    match &args.name {
        Some(name) => one(&registry, name, args.json),
        None => all(&registry, args.json),
    }
}

fn one(registry: &OperationRegistry, name: &str, json: bool) -> Result<Exit, CommandError> {
    let Some(operation) = registry.lookup(name) else {
        let meant = match registry.closest(name) {
            Some(closest) => format!("did you mean `{closest}`?"),
            None => String::from("`kora-backend operations` lists them"),
        };
        return Err(CommandError::Usage(format!("no operation is named `{name}`; {meant}")));
    };
    if json {
        screen::print_json(&document(operation.as_ref()))?;
    } else {
        let page = reference_page();
        let heading = format!("## `{name}`\n");
        let section = page
            .split("\n## ")
            .find(|section| heading.ends_with(section.split_inclusive('\n').next().unwrap_or_default()));
        screen::print(&format!(
            "{STRONG}{name}{STRONG:#}\n{}",
            section.and_then(|section| section.split_once('\n')).map_or("", |(_, rest)| rest)
        ))?;
    }
    Ok(Exit::Success)
}

fn all(registry: &OperationRegistry, json: bool) -> Result<Exit, CommandError> {
    if json {
        let listed: Vec<_> = registry.operations().map(|operation| document(operation.as_ref())).collect();
        screen::print_json(&json!({"operations": listed}))?;
        return Ok(Exit::Success);
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    for operation in registry.operations() {
        let summary = operation.summary();
        let first = summary.split_once(". ").map_or(summary, |(first, _)| first);
        table.add_row([operation.name(), first.trim_end_matches('.')]);
    }
    let mut text = String::new();
    table.lines().for_each(|line| text += &format!("{}\n", line.trim_end()));
    screen::print(&text)?;
    Ok(Exit::Success)
}

fn document(operation: &dyn Operation) -> Value {
    let example = operation.example();
    json!({
        "name": operation.name(),
        "summary": operation.summary(),
        "args_schema": operation.args_schema(),
        "example": {"args": example.args, "input": example.input, "output": example.output},
    })
}
