//! `svcstop [options] service...`: stop services and check that they are down.

use super::admin;
use crate::admin::Task;

/// The program.
pub fn main() -> u8 {
    let command = admin::command("svcstop", "Stop services and check that they are down")
        .arg(admin::kill())
        .arg(admin::persist(
            "Create the down file once the service is down, so that a reboot does not start it",
        ));
    admin::main(command, Task::Stop)
}
