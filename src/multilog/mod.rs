//! multilog: lines from stdin to files that are rotated.
//!
//! What the arguments mean is in `script`, what becomes of a line in `lines`,
//! whether it matches in `pattern`, where files end in `cutter`, where to continue
//! after a KILL in `recovery`, how much to look at in `rush`, what to delete to keep a
//! budget in `budget`, how fast a log is written in `pace`, when to look at budgets in
//! `turn`: those do no I/O. `begin` sets up, `replay` finishes what a KILL left undone,
//! `shell` is the loop. `locked` is a log directory as it was found, `lock` its lock and
//! journal, `dir` one that is written, `rotation` what becomes of its full files; `status`
//! writes status files, `budget_file` reads budgets, `keeper` keeps them by a `survey` of all
//! logs, `processor` and `waiter` deal with others, `files` is how root opens files that
//! others could replace.

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
pub(crate) mod pace;
pub mod pattern;
pub(crate) mod processor;
pub(crate) mod recovery;
pub(crate) mod replay;
pub(crate) mod rotation;
pub(crate) mod rush;
pub mod script;
pub(crate) mod shell;
pub(crate) mod status;
pub(crate) mod survey;
pub(crate) mod turn;
pub(crate) mod waiter;
