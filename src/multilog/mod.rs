//! multilog: lines from stdin to files that are rotated.
//!
//! What the arguments mean is in `script`, what becomes of a line in `lines`,
//! whether it matches in `pattern`, where files end in `cutter`, where to go on
//! after a KILL in `recovery`, how much to look at in `rush`, what to delete to keep a
//! budget in `budget`, how fast a log is written in `pace`, when to look at budgets in
//! `turn`: those do no I/O. `locked` is a log directory as it was found,
//! `lock` its lock, `dir` one that is written, `rotation` what becomes of its full
//! files; `proof` looks whether what is taken for written is; `status` writes status
//! files, `keeper` keeps budgets by a `survey` of all logs, `processor` and `waiter`
//! deal with others, `files` is how root opens files that others could replace, `shell` is the loop.

pub mod budget;
pub mod cutter;
pub mod dir;
pub mod files;
pub mod keeper;
pub mod lines;
pub mod lock;
pub mod locked;
#[cfg(test)]
mod model;
pub mod pace;
pub mod pattern;
pub mod processor;
pub mod proof;
pub mod recovery;
pub mod rotation;
pub mod rush;
pub mod script;
pub mod shell;
pub mod status;
pub mod survey;
pub mod turn;
pub mod waiter;
