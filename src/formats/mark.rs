//! The content of a log directory's `lock` while multilog reads a pipe: how far
//! it is, so that one that comes after a KILL neither loses nor repeats a line.
//! Beyond 0.76, which leaves the file empty and never reads it.
//!
//! multilog takes bytes out of its pipe after they are written, a batch at a time:
//! it writes what becomes of the batch, then this mark, then takes the batch out.
//!
//! | bytes | |
//! |---|---|
//! | 0 to 7 | `multilog` |
//! | 8 | 2: the version of this table |
//! | 9 | what follows in the pipe: 0 a line from its start; the rest of a long line that is logged here (1) or not (2) |
//! | 10 to 11 | how many bytes of an unfinished line are held |
//! | 12 | as byte 9, before this batch |
//! | 13 to 15 | 0 |
//! | 16 to 31 | the kernel's boot id |
//! | 32 to 47 | the pipe: device, inode |
//! | 48 to 55 | a hash of those of multilog's arguments that say what a directory gets |
//! | 56 to 63 | the number of the batch |
//! | 64 to 79 | the file that was `current`: inode, time of birth in nanoseconds since 1970 (0: unknown) |
//! | 80 to 87 | its size when this was written, in bytes |
//! | 88 to 95 | what of later batches had gone to earlier files when this was written, in bytes |
//! | 96 to 103 | how much was written for this batch, in bytes; it stands before that of later batches |
//! | 104 to 111 | when the first of the multilogs was started that go on from each other, in nanoseconds since 1970 |
//! | 112 to | the held bytes |
//! | the last 8 | FNV-1a (64 bits) of all before |
//!
//! Numbers are big-endian.

const MAGIC: &[u8; 8] = b"multilog";
const VERSION: u8 = 2;
/// The size without held bytes and without the checksum.
const FIXED: usize = 112;

/// How far multilog is with one directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mark {
    /// Of which input and script this speaks.
    pub reading: Reading,
    /// The batch that was written last. It may or may not have been taken out of
    /// the pipe; those before it have been.
    pub batch: u64,
    /// The file that was `current`.
    pub file: FileId,
    /// Its size then, in bytes.
    pub size: u64,
    /// What of later batches was in earlier files then, in bytes.
    pub moved: u64,
    /// How much was written for this batch, in bytes. It stands before what is of later
    /// batches.
    pub length: u64,
    /// When the first of the multilogs was started that go on from each other, in
    /// nanoseconds since 1970. What another has written says nothing of this one's batches.
    pub origin: u64,
    /// If the batch ends in a long line, whether that is logged here.
    pub long_line: Option<bool>,
    /// The same of the batch before.
    pub long_line_before: Option<bool>,
    /// The unfinished line at the end of the batch, if it was taken out of the pipe.
    pub held: Vec<u8>,
}

/// An input and a script.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reading {
    /// The kernel's boot id.
    pub boot: [u8; 16],
    /// The pipe's device and inode.
    pub pipe: (u64, u64),
    /// [`hash`] of `t`, patterns and directories as they were given, each with a
    /// NUL behind it.
    pub script: u64,
}

/// A file, told from another that has its inode later.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FileId {
    /// The inode's number.
    pub inode: u64,
    /// When it was born, in nanoseconds since 1970-01-01 00:00 UTC; 0 if that is unknown.
    pub born: u64,
}

impl Mark {
    /// No mark is longer, in bytes.
    pub const LONGEST: usize = 4096;

    /// The bytes of the table above. At most [`Mark::LONGEST`] less 120 bytes are held.
    pub fn encode(&self) -> Vec<u8> {
        let held = self
            .held
            .get(..Self::LONGEST - FIXED - 8)
            .unwrap_or(&self.held);
        let mut bytes = Vec::with_capacity(FIXED + held.len() + 8);
        bytes.extend_from_slice(MAGIC);
        bytes.push(VERSION);
        bytes.push(encode_long_line(self.long_line));
        bytes.extend_from_slice(&u16::try_from(held.len()).unwrap_or(0).to_be_bytes());
        bytes.extend_from_slice(&[encode_long_line(self.long_line_before), 0, 0, 0]);
        bytes.extend_from_slice(&self.reading.boot);
        for number in [
            self.reading.pipe.0,
            self.reading.pipe.1,
            self.reading.script,
            self.batch,
            self.file.inode,
            self.file.born,
            self.size,
            self.moved,
            self.length,
            self.origin,
        ] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes.extend_from_slice(held);
        bytes.extend_from_slice(&hash(&bytes).to_be_bytes());
        bytes
    }

    /// The reverse of [`Mark::encode`]; None for anything else. What stands
    /// behind the mark is of an earlier, longer one and does not count.
    pub fn decode(bytes: &[u8]) -> Option<Mark> {
        let (fixed, rest) = bytes.split_first_chunk::<FIXED>()?;
        let (head, numbers) = fixed.split_first_chunk::<16>()?;
        let [
            magic @ ..,
            version,
            long_line,
            high,
            low,
            long_line_before,
            0,
            0,
            0,
        ] = head
        else {
            return None;
        };
        if magic != MAGIC || *version != VERSION {
            return None;
        }
        let held = usize::from(u16::from_be_bytes([*high, *low]));
        let sum = rest.get(held..)?.first_chunk::<8>()?;
        if hash(bytes.get(..FIXED + held)?) != u64::from_be_bytes(*sum) {
            return None;
        }
        let (boot, numbers) = numbers.split_first_chunk::<16>()?;
        let (chunks, _) = numbers.as_chunks::<8>();
        let mut numbers = chunks.iter().map(|bytes| u64::from_be_bytes(*bytes));
        let mut next = || numbers.next();
        Some(Mark {
            reading: Reading {
                boot: *boot,
                pipe: (next()?, next()?),
                script: next()?,
            },
            batch: next()?,
            file: FileId {
                inode: next()?,
                born: next()?,
            },
            size: next()?,
            moved: next()?,
            length: next()?,
            origin: next()?,
            long_line: decode_long_line(*long_line)?,
            long_line_before: decode_long_line(*long_line_before)?,
            held: rest.get(..held)?.to_vec(),
        })
    }
}

/// What is noted in a `lock`.
#[derive(Clone, Debug)]
pub enum Noted {
    /// Nothing: no multilog has read from a pipe into this directory, or the last one
    /// has ended in order.
    Nothing,
    /// Something that a multilog could not write whole, or of another version.
    Spoiled,
    /// How far it is.
    Mark(Mark),
}

impl Noted {
    /// What these bytes say, all that the file holds.
    pub fn decode(bytes: &[u8]) -> Noted {
        match bytes {
            [] => Noted::Nothing,
            bytes => Mark::decode(bytes).map_or(Noted::Spoiled, Noted::Mark),
        }
    }

    /// The mark, if there is one.
    pub fn mark(&self) -> Option<&Mark> {
        match self {
            Noted::Mark(mark) => Some(mark),
            Noted::Nothing | Noted::Spoiled => None,
        }
    }
}

fn encode_long_line(is_logged: Option<bool>) -> u8 {
    match is_logged {
        None => 0,
        Some(true) => 1,
        Some(false) => 2,
    }
}

fn decode_long_line(byte: u8) -> Option<Option<bool>> {
    match byte {
        0 => Some(None),
        1 => Some(Some(true)),
        2 => Some(Some(false)),
        _ => None,
    }
}

/// FNV-1a, 64 bits.
pub fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numbers::Numbers;

    fn mark() -> Mark {
        Mark {
            reading: Reading {
                boot: *b"0123456789abcdef",
                pipe: (1, 2),
                script: 3,
            },
            batch: 4,
            file: FileId { inode: 5, born: 6 },
            size: 7,
            moved: 8,
            length: 9,
            origin: 10,
            long_line: Some(false),
            long_line_before: Some(true),
            held: b"unfinished".to_vec(),
        }
    }

    #[test]
    fn the_bytes_are_those_of_the_table() {
        let bytes = mark().encode();
        assert_eq!(bytes.len(), 112 + 10 + 8);
        assert_eq!(&bytes[..16], b"multilog\x02\x02\x00\x0a\x01\0\0\0");
        assert_eq!(&bytes[16..32], b"0123456789abcdef");
        for (place, number) in (32..112).step_by(8).zip(1_u64..) {
            assert_eq!(bytes[place..place + 8], number.to_be_bytes(), "{place}");
        }
        assert_eq!(&bytes[112..122], b"unfinished");
        assert_eq!(hash(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(hash(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn a_mark_survives_a_round_trip_and_what_stands_behind_it() {
        let mut bytes = mark().encode();
        bytes.extend_from_slice(b"of a longer one");
        assert_eq!(Mark::decode(&bytes), Some(mark()));
        let all = [None, Some(true), Some(false)];
        for (long_line, long_line_before) in all.iter().flat_map(|a| all.map(|b| (*a, b))) {
            let mark = Mark {
                long_line,
                long_line_before,
                held: vec![],
                ..mark()
            };
            assert_eq!(Mark::decode(&mark.encode()), Some(mark));
        }
    }

    #[test]
    fn no_part_of_a_mark_and_no_changed_mark_is_one() {
        let bytes = mark().encode();
        for length in 0..bytes.len() {
            assert_eq!(Mark::decode(&bytes[..length]), None, "{length}");
        }
        for place in 0..bytes.len() {
            for bit in 0..8 {
                let mut bytes = bytes.clone();
                bytes[place] ^= 1 << bit;
                assert_eq!(Mark::decode(&bytes), None, "{place}");
            }
        }
    }

    #[test]
    fn any_bytes_with_a_checksum_are_a_mark_that_is_written_the_same_or_none() {
        let mut numbers = Numbers(0x2545_F491_4F6C_DD1D);
        let mut next = || numbers.next().to_be_bytes();
        let mut marks = 0;
        for round in 0..20_000 {
            let mut bytes = mark().encode();
            bytes.truncate(bytes.len() - 8);
            // Its numbers, or any of its bytes.
            let from = if round % 2 == 0 { 16 } else { 0 };
            for _ in 0..usize::from(next()[0] % 8) {
                let place = usize::from(u16::from_be_bytes([next()[0], next()[1]]));
                let place = from + place % (bytes.len() - from);
                bytes[place] = next()[2] % 4;
            }
            bytes.extend_from_slice(&hash(&bytes).to_be_bytes());
            bytes.extend_from_slice(&next()[..usize::from(next()[0] % 8)]);
            if let Some(mark) = Mark::decode(&bytes) {
                marks += 1;
                assert!(bytes.starts_with(&mark.encode()));
            }
        }
        assert!((10_000..20_000).contains(&marks), "{marks}");
    }

    #[test]
    fn of_too_many_held_bytes_a_mark_is_still_one() {
        let mark = Mark {
            held: vec![b'x'; 10_000],
            ..mark()
        };
        let bytes = mark.encode();
        assert_eq!(bytes.len(), Mark::LONGEST);
        assert_eq!(Mark::decode(&bytes).unwrap().held.len(), 4096 - 120);
    }
}
