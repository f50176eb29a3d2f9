//! The floor for logs in small files: what a writer takes that only cuts its input into
//! files and brings each to disk.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// So many files stay, as with multilog.
const KEPT: usize = 10;

/// Cuts stdin into files of `size` bytes in `directory`.
pub(crate) fn cut(size: usize, directory: &Path) -> io::Result<()> {
    let mut stdin = io::stdin().lock();
    let mut buffer = vec![0; size];
    let name = |number: usize| -> PathBuf { directory.join(number.to_string()) };
    for number in 0.. {
        let mut file = File::create_new(name(number))?;
        let mut filled = 0;
        while filled < size {
            let count = stdin.read(&mut buffer[..size - filled])?;
            if count == 0 {
                return Ok(());
            }
            file.write_all(&buffer[..count])?;
            filled += count;
        }
        file.sync_all()?;
        if let Some(old) = number.checked_sub(KEPT) {
            fs::remove_file(name(old))?;
        }
    }
    Ok(())
}
