//! `svcreset [options] service...`: bring services to their configured state.

use super::admin;
use crate::admin::Task;

/// The program.
pub fn main() -> u8 {
    let command = admin::command(
        "svcreset",
        "Bring services to their configured state: stopped if they have a down file, else started",
    )
    .arg(admin::settle())
    .arg(admin::kill());
    admin::main(command, Task::Reset)
}
