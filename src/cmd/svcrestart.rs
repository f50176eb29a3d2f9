//! `svcrestart [options] service...`: restart services that run.

use super::admin;
use crate::admin::Task;

/// The program.
pub fn main() -> u8 {
    let command = admin::command("svcrestart", "Restart services that run")
        .arg(admin::settle())
        .arg(admin::kill());
    admin::main(command, Task::Restart)
}
