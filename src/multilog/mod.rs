//! multilog: writes lines from stdin to rotated log files.
//!
//! Without I/O: `script` parses the arguments, `lines` selects and formats lines, `pattern`
//! matches them, `cutter` decides where files end, `recovery` where to continue after a KILL,
//! `batch_size` how much to read at a time, `budget` what to delete to keep a budget, `rate`
//! measures how fast a log is written, `rate_limit` how often budgets are checked. `begin` sets
//! up, `replay` completes what a KILL interrupted, `shell` is the main loop. `locked` is a log
//! directory as it was found, `lock` its lock and journal, `dir` one that is being written,
//! `rotation` handles full files; `status` writes status files, `budget_file` reads budgets,
//! `keeper` enforces them after a `survey` of all logs, `processor` and `waiter` wait for other
//! processes, `files` opens files as root that other users could replace.

pub mod batch_size;
pub(crate) mod begin;
pub mod budget;
pub(crate) mod budget_file;
pub mod cutter;
pub(crate) mod dir;
pub(crate) mod files;
pub(crate) mod keeper;
pub mod lines;
pub(crate) mod lock;
pub(crate) mod locked;
#[cfg(test)]
mod model;
pub mod pattern;
pub(crate) mod processor;
pub(crate) mod rate;
pub(crate) mod rate_limit;
pub(crate) mod recovery;
pub(crate) mod replay;
pub(crate) mod rotation;
pub mod script;
pub(crate) mod shell;
pub(crate) mod status;
pub(crate) mod survey;
pub(crate) mod waiter;
