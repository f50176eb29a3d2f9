//! Reads the files of a log, which may grow meanwhile.

use crate::formats::tai64n::Tai64n;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// The number of bytes that are read at a time.
pub(super) const AT_ONCE: usize = 64 * 1024;

/// Reads the bytes of `file` from `at` to `end`, at most as many as `buffer` takes, and
/// advances `at`.
pub(super) fn read_piece<'a>(
    file: &File,
    at: &mut u64,
    end: u64,
    buffer: &'a mut [u8],
) -> io::Result<&'a [u8]> {
    let most = usize::try_from(end.saturating_sub(*at)).unwrap_or(usize::MAX);
    let room = most.min(buffer.len());
    let room = buffer.get_mut(..room).unwrap_or_default();
    let count = read_up_to(file, room, *at)?;
    *at += count as u64;
    Ok(room.get(..count).unwrap_or_default())
}

/// Reads at the byte `at` until `buffer` is full or the file ends.
pub(super) fn read_up_to(file: &File, buffer: &mut [u8], at: u64) -> io::Result<usize> {
    let mut there = 0;
    while let Some(room) = buffer.get_mut(there..).filter(|room| !room.is_empty()) {
        match file.read_at(room, at + there as u64) {
            Ok(0) => break,
            Ok(count) => there += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(there)
}

/// The first bytes of `file`: enough for a timestamp.
pub(super) fn head(file: &File) -> Vec<u8> {
    let mut head = vec![0; Tai64n::TEXT];
    let count = read_up_to(file, &mut head, 0).unwrap_or(0);
    head.truncate(count);
    head
}

/// The size of `file`, in bytes.
pub(super) fn size(file: &File) -> u64 {
    file.metadata().map_or(0, |metadata| metadata.len())
}

/// The end of the line that contains the byte `at` of `file`: after its newline, or at the
/// current end of the file. `at` itself if a line begins there.
pub(super) fn end_of_line(file: &File, at: u64) -> u64 {
    let mut newline = [0];
    let mut buffer = [0; 4096];
    let Some(mut from) = at.checked_sub(1) else {
        return at;
    };
    match read_up_to(file, &mut newline, from) {
        Ok(1) if newline != *b"\n" => from = at,
        _ => return at,
    }
    while let Ok(count @ 1..) = read_up_to(file, &mut buffer, from) {
        let bytes = buffer.get(..count).unwrap_or_default();
        if let Some(end) = memchr::memchr(b'\n', bytes) {
            return from + end as u64 + 1;
        }
        from += count as u64;
    }
    from
}
