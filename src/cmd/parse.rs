//! Parses a command line with clap.

use crate::error::USAGE;
use crate::sys::output;
use clap::error::ErrorKind;
use clap::{ArgMatches, Command};

/// Parses the command line and calls `work` with the result, which returns the exit status. A
/// usage error is reported in one line.
pub(super) fn parse(mut command: Command, work: impl FnOnce(ArgMatches) -> u8) -> u8 {
    match command.try_get_matches_from_mut(std::env::args_os()) {
        Ok(matches) => work(matches),
        Err(error) => match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                let _ = output::out(error.render().to_string().as_bytes());
                0
            }
            _ => {
                let program = command.get_name().to_owned();
                let usage = command.render_usage().to_string();
                output::err(one_line(&program, &error.render().to_string(), &usage).as_bytes());
                USAGE
            }
        },
    }
}

/// Joins the lines of a message of clap: `PROGRAM: fatal: WHY; usage: ...`.
fn one_line(program: &str, message: &str, usage: &str) -> String {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let why: Vec<String> = message
        .lines()
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"))
        .map(words)
        .filter(|line| !line.is_empty() && !line.starts_with("tip:"))
        .collect();
    let why = why.join(" ");
    let why = why.strip_prefix("error: ").unwrap_or(&why);
    let usage = words(usage.strip_prefix("Usage:").unwrap_or(usage));
    format!("{program}: fatal: {why}; usage: {usage}\n")
}

#[cfg(test)]
mod tests {
    use super::super::admin::{command, settle};
    use super::*;

    #[test]
    fn a_wrong_option_is_told_without_a_tip() {
        let mut command = command("svcstart", "x");
        let error = command
            .try_get_matches_from_mut(["svcstart", "--kill", "a"])
            .unwrap_err();
        let line = one_line("svcstart", &error.render().to_string(), "Usage: svcstart x");
        assert_eq!(
            line,
            "svcstart: fatal: unexpected argument '--kill' found; usage: svcstart x\n"
        );
    }

    #[test]
    fn a_wrong_command_line_is_told_in_one_line() {
        let mut command = command("svcstart", "x").arg(settle());
        let error = command
            .try_get_matches_from_mut(["svcstart", "--settle", "soon", "a"])
            .unwrap_err();
        let usage = command.render_usage().to_string();
        let line = one_line("svcstart", &error.render().to_string(), &usage);
        assert!(
            line.starts_with("svcstart: fatal: invalid value 'soon' for '--settle"),
            "{line}"
        );
        assert!(
            line.contains("write it as 30s or 2min; usage: svcstart"),
            "{line}"
        );
        assert_eq!(line.matches('\n').count(), 1, "{line}");
    }
}
