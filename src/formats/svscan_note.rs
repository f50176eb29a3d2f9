//! `supervise/svscan`: what an svscan notes about a service.

use super::key_values::{Fields, Text};
use crate::child::{End, PidSpace, ProcessId};

/// `supervise/svscan`: an svscan that watches the service although it did not start its
/// supervise, or has reaped the process of the service. In the same text format as the record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SvscanNote {
    /// The scope of the pids and start times in it.
    pub space: PidSpace,
    /// The svscan.
    pub svscan: ProcessId,
    /// The last process of the service that svscan has reaped, because its supervise was killed.
    pub ended: Option<NotedEnd>,
}

/// How a process ended, according to svscan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotedEnd {
    /// The process.
    pub process: ProcessId,
    /// Its end.
    pub end: End,
}

impl SvscanNote {
    /// The size of the file.
    pub const BYTES: usize = 256;

    /// The contents of the file.
    pub fn encode(&self) -> Vec<u8> {
        let mut text = Text::after(&[], Self::BYTES);
        text.space(Some(self.space));
        text.process("svscan", "svscan-start", Some(self.svscan));
        if let Some(NotedEnd { process, end }) = self.ended {
            text.process("ended-pid", "ended-start", Some(process));
            text.end(end);
        }
        text.seal(Self::BYTES)
    }

    /// The inverse of [`SvscanNote::encode`]; None for anything else.
    pub fn decode(bytes: &[u8]) -> Option<SvscanNote> {
        let fields = Fields::open(bytes)?;
        Some(SvscanNote {
            space: fields.space()??,
            svscan: fields.process("svscan", "svscan-start")??,
            ended: noted_end(&fields),
        })
    }
}

fn noted_end(fields: &Fields<'_>) -> Option<NotedEnd> {
    Some(NotedEnd {
        process: fields.process("ended-pid", "ended-start")??,
        end: fields.end()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::state::some;
    use crate::numbers::Numbers;

    #[test]
    fn a_note_survives_a_round_trip_and_has_its_size() {
        let mut numbers = Numbers(6);
        let mut notes = 0;
        for _ in 0..1_000 {
            let record = some(&mut numbers);
            let space = record.writer.space;
            if let (Some(space), Some(svscan)) = (space, record.writer.svscan) {
                let ended = record.state.process.map(|process| NotedEnd {
                    process,
                    end: End::Exited(numbers.next() as u8),
                });
                let note = SvscanNote {
                    space,
                    svscan,
                    ended,
                };
                notes += 1;
                assert_eq!(note.encode().len(), SvscanNote::BYTES);
                assert_eq!(SvscanNote::decode(&note.encode()), Some(note));
            }
        }
        assert!(notes > 100, "{notes}");
    }
}
