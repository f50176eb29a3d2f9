//! `svcstart [options] service...`: start services and check that they work.

use super::admin;
use crate::admin::Task;

/// The program.
pub fn main() -> u8 {
    let command = admin::command("svcstart", "Start services and check that they work")
        .arg(admin::settle())
        .arg(admin::persist(
            "Remove the down file once the service is up, so that a reboot starts it",
        ));
    admin::main(command, Task::Start)
}
