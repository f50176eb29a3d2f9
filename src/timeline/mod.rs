//! The start-up of a tree of services: recorded by svscan and its supervises, drawn
//! by svctimeline.
//!
//! `recorder` writes the file of [`crate::formats::timeline`]. `rows` makes one bar of the
//! events of each supervise, `axis` finds round numbers, `words` shortens and wraps texts,
//! `terminal` and `svg` draw: events in, text out, no I/O.

pub(crate) mod axis;
pub(crate) mod recorder;
pub mod rows;
pub mod svg;
pub mod terminal;
mod words;
