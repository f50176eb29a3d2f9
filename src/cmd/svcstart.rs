//! `svcstart [options] service...`: start services and check that they work.

use super::admin;
use crate::admin::Task;
use std::process::ExitCode;

/// The program.
pub fn main() -> ExitCode {
    let command = admin::command("svcstart", "Start services and check that they work")
        .arg(admin::settle())
        .arg(admin::persist(
            "Remove the down file once the service is up, so that a reboot starts it",
        ));
    admin::main(command, Task::Start)
}
