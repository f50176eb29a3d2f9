//! `svscan [dir]`: keep one supervise running for each directory.

/// The program. As in 0.76, arguments behind the first are ignored.
pub fn main() -> u8 {
    super::main("svscan", |arguments| {
        crate::svscan::run(arguments.get(1).map(AsRef::as_ref)).map(|()| 0)
    })
}
