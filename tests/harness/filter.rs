//! A conversation with a filter.

use super::{Scratch, Suite, wait_until};
use std::io::{Read, Write};
use std::process::Stdio;

/// Starts `program` of ours with a pipe at both ends, writes the `given` parts
/// one by one, and waits after each, without ending the input, until all that
/// should have come out of it has.
pub(crate) fn talk(scratch: &Scratch, program: &str, given: &[(&str, usize)]) -> String {
    let mut command = scratch.command(Suite::Ours, Suite::Ours.program(program));
    command
        .env("TZ", "UTC")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let (sender, receiver) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = stdout.read(&mut buffer) {
            sender.send(buffer[..count].to_vec()).unwrap();
        }
    });
    let mut said = Vec::new();
    for (input, length) in given {
        stdin.write_all(input.as_bytes()).unwrap();
        let expected = said.len() + length;
        wait_until(&format!("{input:?} comes out"), || {
            said.extend(receiver.try_iter().flatten());
            said.len() >= expected
        });
        assert_eq!(said.len(), expected, "{}", said.escape_ascii());
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
    reader.join().unwrap();
    assert_eq!(receiver.try_iter().count(), 0, "all had come");
    String::from_utf8(said).unwrap()
}
