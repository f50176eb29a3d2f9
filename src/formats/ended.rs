//! `supervise/ended`: how the service last ended. Beyond 0.76, and only there
//! when somebody who wants to know has made it: supervise writes it if it
//! exists, before the status, each time the service ends.
//!
//! One line, `PID exit CODE` or `PID signal NUMBER`, with blanks to 32 bytes,
//! newline included: one write replaces it whole, so nobody reads half of it.

use crate::child::{End, Pid};

/// More than this the file does not hold, and is not read.
pub const BYTES: u64 = 32;

/// The contents of the file.
pub fn encode(pid: Pid, end: End) -> String {
    let text = match end {
        End::Exited(code) => format!("{pid} exit {code}"),
        End::Killed(signal) => format!("{pid} signal {signal}"),
    };
    format!("{text:<31}\n")
}

/// The reverse of [`encode`]; None for anything else.
pub fn decode(bytes: &[u8]) -> Option<(Pid, End)> {
    let line = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?;
    let mut words = line.trim_end_matches(' ').split(' ');
    let (pid, how, number) = (words.next()?, words.next()?, words.next()?);
    if words.next().is_some() {
        return None;
    }
    let (pid, number) = (pid.parse().ok()?, number.parse().ok()?);
    match how {
        "exit" => Some((pid, End::Exited(number))),
        "signal" => Some((pid, End::Killed(number))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_ending_survive_a_round_trip() {
        let pid = Pid::new(4711).unwrap();
        for end in [End::Exited(0), End::Exited(111), End::Killed(9)] {
            assert_eq!(decode(encode(pid, end).as_bytes()), Some((pid, end)));
        }
        let longest = encode(Pid::MAX, End::Killed(u8::MAX));
        assert_eq!(longest.len(), 32);
        assert_eq!(encode(pid, End::Exited(0)).len(), 32);
    }

    #[test]
    fn anything_else_is_nothing() {
        for bytes in [
            "",
            "\n",
            "0 exit 1\n",
            "5 exit 1",
            "5 exit 256\n",
            "5 left 1\n",
            "5 exit 1 1\n",
        ] {
            assert_eq!(decode(bytes.as_bytes()), None, "{bytes:?}");
        }
    }
}
