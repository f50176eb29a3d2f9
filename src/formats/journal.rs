//! The content of a log directory's `lock` while multilog reads a pipe: the journal entry of
//! the batch that is being written, so that a multilog that is started after a KILL neither
//! loses nor repeats a line. Beyond 0.76, which leaves the file empty and never reads it.
//! `docs/formats.md` has the table of bytes.

use super::tai64n::Tai64n;

const MAGIC: &[u8; 8] = b"multilog";
const VERSION: u8 = 3;
/// The number of integers in an entry; and in one of version 2, of which the first 7 mean the
/// same.
const NUMBERS: usize = 15;
const OLD: u8 = 2;
const OLD_NUMBERS: (usize, usize) = (10, 7);
/// The offset of [`JournalEntry::is_written`].
const WRITTEN: usize = 14;
/// The size without held bytes and without the checksum.
const FIXED: usize = 32 + 8 * NUMBERS;

/// The journal entry of one directory: a batch, and where it is written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JournalEntry {
    /// The batch, the same in all directories.
    pub batch: Batch,
    /// Whether it is written to all directories; only the entry of the first one counts.
    pub is_written: bool,
    /// If the batch begins in a long line, whether that is logged here.
    pub before: Option<bool>,
    /// The same for the byte after the batch.
    pub after: Option<bool>,
    /// The file that was `current`.
    pub file: JournaledFile,
    /// Its size before the batch, in bytes.
    pub size: u64,
    /// The number of bytes of the batch's output that are in earlier files.
    pub moved: u64,
}

/// A batch of bytes of the pipe. It determines the output.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Batch {
    /// The pipe and the script.
    pub input: InputId,
    /// The sequence number, one more than that of the batch before; the first is the time, in
    /// nanoseconds since 1970.
    pub number: u64,
    /// Its size in the pipe, in bytes.
    pub length: u64,
    /// The [`batch_hash`] of these bytes.
    pub hash: u64,
    /// Its fate.
    pub fate: BatchFate,
    /// The number of its bytes that 0.76 would have read before.
    pub seen: u64,
    /// The timestamp of the first line that begins in it.
    pub stamp: Tai64n,
    /// The timestamp of the unfinished line that it continues, if that has one.
    pub begun: Option<Tai64n>,
    /// The beginning of its first line, which is consumed from the pipe. If it is
    /// [`BatchFate::Held`], the batch is the end of this.
    pub held: Vec<u8>,
}

/// The fate of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum BatchFate {
    /// It is part of a line, and is held until the line ends.
    #[default]
    Held,
    /// It is written.
    Written,
    /// It is written, with a newline added: the input has ended.
    Ended,
}

/// A pipe and a script.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct InputId {
    /// The kernel's boot id.
    pub boot: [u8; 16],
    /// The pipe's device and inode.
    pub pipe: (u64, u64),
    /// The [`hash`] of `t`, patterns and directories as on the command line, each followed by a
    /// NUL.
    pub script: u64,
}

/// The identity of a file, which a later file with its inode does not have.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct JournaledFile {
    /// The inode's number.
    pub inode: u64,
    /// Its birth time, in nanoseconds since 1970-01-01 00:00 UTC; 0 if unknown.
    pub born: u64,
}

impl JournalEntry {
    /// The maximum size of an entry, in bytes.
    pub const LONGEST: usize = 4096;
    /// The offset and the value of the byte that marks the batch as written.
    pub const COMMIT: (u64, u8) = (WRITTEN as u64, 1);

    /// Encodes it. There are at most [`JournalEntry::LONGEST`] minus 160 held bytes.
    pub fn encode(&self) -> Vec<u8> {
        let batch = &self.batch;
        let held = batch.held.get(..Self::LONGEST - FIXED - 8);
        let held = held.unwrap_or(&batch.held);
        let [high, low] = u16::try_from(held.len()).unwrap_or(0).to_be_bytes();
        let (after, before) = (encode_flag(self.after), encode_flag(self.before));
        let (fate, is_written) = (batch.fate as u8, u8::from(self.is_written));
        let mut bytes = Vec::with_capacity(FIXED + held.len() + 8);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&[VERSION, after, high, low, before, fate, is_written, 0]);
        bytes.extend_from_slice(&batch.input.boot);
        let begun = batch.begun.unwrap_or_default();
        let numbers: [u64; NUMBERS] = [
            batch.input.pipe.0,
            batch.input.pipe.1,
            batch.input.script,
            batch.number,
            self.file.inode,
            self.file.born,
            self.size,
            self.moved,
            batch.length,
            batch.hash,
            batch.seen,
            batch.stamp.seconds,
            batch.stamp.nanoseconds.into(),
            begun.seconds,
            begun.nanoseconds.into(),
        ];
        bytes.extend_from_slice(numbers.map(u64::to_be_bytes).as_flattened());
        bytes.extend_from_slice(held);
        bytes.extend_from_slice(&checksum(&bytes).to_be_bytes());
        bytes
    }

    /// The inverse of [`JournalEntry::encode`]; None for anything else. Bytes after the entry
    /// belong to an earlier, longer one and are ignored. An entry of version 2, which was
    /// written after each batch, is decoded as that of an empty batch.
    pub fn decode(bytes: &[u8]) -> Option<JournalEntry> {
        let (head, rest) = bytes.split_first_chunk::<16>()?;
        let [
            magic @ ..,
            version,
            after,
            high,
            low,
            before,
            fate,
            is_written @ 0..=1,
            0,
        ] = *head
        else {
            return None;
        };
        let (count, known) = match version {
            VERSION => (NUMBERS, NUMBERS),
            OLD => OLD_NUMBERS,
            _ => return None,
        };
        let (boot, rest) = rest.split_first_chunk::<16>()?;
        let (words, rest) = rest.split_at_checked(8 * count)?;
        let held = usize::from(u16::from_be_bytes([high, low]));
        let (held, rest) = rest.split_at_checked(held)?;
        let summed = bytes.get(..bytes.len() - rest.len())?;
        let sum = u64::from_be_bytes(*rest.first_chunk()?);
        let checksum = if version == OLD { hash } else { checksum };
        if magic != *MAGIC || checksum(summed) != sum {
            return None;
        }
        let mut numbers = [0; NUMBERS];
        let (words, _) = words.as_chunks::<8>();
        for (number, word) in numbers.iter_mut().zip(words).take(known) {
            *number = u64::from_be_bytes(*word);
        }
        let [device, inode, script, number, file, born, size, rest @ ..] = numbers;
        let [moved, length, hash, seen, rest @ ..] = rest;
        let [seconds, nanoseconds, begun, begun_nanoseconds] = rest;
        let stamp = |seconds, nanoseconds| {
            let nanoseconds = u32::try_from(nanoseconds).ok()?;
            Some(Tai64n {
                seconds,
                nanoseconds,
            })
        };
        let begun = stamp(begun, begun_nanoseconds)?;
        Some(JournalEntry {
            before: decode_flag(before)?,
            after: decode_flag(after)?,
            file: JournaledFile { inode: file, born },
            size,
            moved,
            is_written: is_written == 1,
            batch: Batch {
                input: InputId {
                    boot: *boot,
                    pipe: (device, inode),
                    script,
                },
                number,
                length,
                hash,
                fate: match fate {
                    0 => BatchFate::Held,
                    1 => BatchFate::Written,
                    2 => BatchFate::Ended,
                    _ => return None,
                },
                seen,
                stamp: stamp(seconds, nanoseconds)?,
                begun: Some(begun).filter(|begun| *begun != Tai64n::default()),
                held: held.to_vec(),
            },
        })
    }
}

fn encode_flag(flag: Option<bool>) -> u8 {
    match flag {
        None => 0,
        Some(true) => 1,
        Some(false) => 2,
    }
}

fn decode_flag(byte: u8) -> Option<Option<bool>> {
    match byte {
        0 => Some(None),
        1 => Some(Some(true)),
        2 => Some(Some(false)),
        _ => None,
    }
}

/// The hash of an entry without the byte that marks it as written.
fn checksum(bytes: &[u8]) -> u64 {
    let (before, after) = bytes.split_at_checked(WRITTEN).unwrap_or((bytes, &[]));
    hash_on(hash(before), after.get(1..).unwrap_or_default())
}

/// FNV-1a, 64 bits.
pub fn hash(bytes: &[u8]) -> u64 {
    hash_on(0xcbf2_9ce4_8422_2325, bytes)
}

fn hash_on(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The hash of the last 256 bytes of a batch, to limit the time for each batch.
pub fn batch_hash(bytes: &[u8]) -> u64 {
    hash(bytes.last_chunk::<256>().map_or(bytes, |last| last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numbers::Numbers;

    fn entry() -> JournalEntry {
        let stamp = |seconds, nanoseconds| Tai64n {
            seconds,
            nanoseconds,
        };
        JournalEntry {
            batch: Batch {
                input: InputId {
                    boot: *b"0123456789abcdef",
                    pipe: (1, 2),
                    script: 3,
                },
                number: 4,
                length: 9,
                hash: 10,
                fate: BatchFate::Ended,
                seen: 11,
                stamp: stamp(12, 13),
                begun: Some(stamp(14, 15)),
                held: b"unfinished".to_vec(),
            },
            before: Some(true),
            after: Some(false),
            file: JournaledFile { inode: 5, born: 6 },
            size: 7,
            moved: 8,
            is_written: true,
        }
    }

    #[test]
    fn the_bytes_are_those_of_the_table() {
        let bytes = entry().encode();
        assert_eq!(bytes.len(), 152 + 10 + 8);
        assert_eq!(&bytes[..16], b"multilog\x03\x02\x00\x0a\x01\x02\x01\0");
        assert_eq!(&bytes[16..32], b"0123456789abcdef");
        for (place, number) in (32..152).step_by(8).zip(1_u64..) {
            assert_eq!(bytes[place..place + 8], number.to_be_bytes(), "{place}");
        }
        assert_eq!(&bytes[152..162], b"unfinished");
        assert_eq!(hash(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(hash(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn an_entry_survives_a_round_trip_and_what_is_after_it() {
        let mut bytes = entry().encode();
        bytes.extend_from_slice(b"of a longer one");
        assert_eq!(JournalEntry::decode(&bytes), Some(entry()));
        let all = [None, Some(true), Some(false)];
        let fates = [BatchFate::Held, BatchFate::Written, BatchFate::Ended];
        for (before, after) in all.iter().flat_map(|a| all.map(|b| (*a, b))) {
            for fate in fates {
                let mut entry = entry();
                (entry.before, entry.after) = (before, after);
                entry.is_written = before == after;
                (entry.batch.fate, entry.batch.begun) = (fate, None);
                entry.batch.held.clear();
                assert_eq!(JournalEntry::decode(&entry.encode()), Some(entry));
            }
        }
    }

    #[test]
    fn no_part_of_an_entry_and_no_changed_entry_is_one() {
        let bytes = entry().encode();
        for length in 0..bytes.len() {
            assert_eq!(JournalEntry::decode(&bytes[..length]), None, "{length}");
        }
        for place in 0..bytes.len() {
            for bit in 0..8 {
                let mut bytes = bytes.clone();
                bytes[place] ^= 1 << bit;
                let is_commit = (place, bit) == (WRITTEN, 0);
                assert_eq!(JournalEntry::decode(&bytes).is_some(), is_commit, "{place}");
            }
        }
    }

    #[test]
    fn a_byte_of_an_entry_says_that_its_batch_is_written() {
        let mut before = entry();
        before.is_written = false;
        let mut bytes = before.encode();
        assert_eq!(JournalEntry::decode(&bytes), Some(before));
        let (place, byte) = JournalEntry::COMMIT;
        bytes[usize::try_from(place).unwrap()] = byte;
        assert_eq!(JournalEntry::decode(&bytes), Some(entry()));
    }

    #[test]
    fn any_bytes_with_a_checksum_are_an_entry_that_is_written_the_same_or_none() {
        let mut numbers = Numbers(0x2545_F491_4F6C_DD1D);
        let mut next = || numbers.next().to_be_bytes();
        let mut entries = 0;
        for round in 0..20_000 {
            let mut bytes = entry().encode();
            bytes.truncate(bytes.len() - 8);
            // Its numbers, or any of its bytes.
            let from = if round % 2 == 0 { 16 } else { 9 };
            for _ in 0..usize::from(next()[0] % 8) {
                let place = usize::from(u16::from_be_bytes([next()[0], next()[1]]));
                let place = from + place % (bytes.len() - from);
                bytes[place] = next()[2] % 4;
            }
            bytes.extend_from_slice(&checksum(&bytes).to_be_bytes());
            bytes.extend_from_slice(&next()[..usize::from(next()[0] % 8)]);
            if let Some(entry) = JournalEntry::decode(&bytes) {
                entries += 1;
                assert!(bytes.starts_with(&entry.encode()));
            }
        }
        assert!((8_000..20_000).contains(&entries), "{entries}");
    }

    #[test]
    fn of_too_many_held_bytes_an_entry_is_still_one() {
        let mut entry = entry();
        entry.batch.held = vec![b'x'; 10_000];
        let bytes = entry.encode();
        assert_eq!(bytes.len(), JournalEntry::LONGEST);
        let held = JournalEntry::decode(&bytes).unwrap().batch.held;
        assert_eq!(held.len(), 4096 - 160);
    }

    #[test]
    fn what_an_entry_of_an_earlier_version_holds_is_known() {
        // What version 2 writes of its batch 4.
        let mut bytes = b"multilog\x02\x02\x00\x04\x01\0\0\0".to_vec();
        bytes.extend_from_slice(b"0123456789abcdef");
        for number in [1_u64, 2, 3, 4, 5, 6, 7, 99, 98, 97] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes.extend_from_slice(b"held");
        bytes.extend_from_slice(&hash(&bytes).to_be_bytes());
        let expected = JournalEntry {
            batch: Batch {
                input: entry().batch.input,
                number: 4,
                held: b"held".to_vec(),
                ..Batch::default()
            },
            moved: 0,
            is_written: false,
            ..entry()
        };
        assert_eq!(JournalEntry::decode(&bytes), Some(expected));
        for place in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[place] ^= 1;
            assert_eq!(JournalEntry::decode(&bytes), None, "{place}");
        }
    }
}
