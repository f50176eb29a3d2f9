//! readproctitle: `window` holds the newest bytes of stdin, and this shows them.

pub mod window;

use crate::sys::{stream, title::Title};
use window::Window;

/// The read size: the default capacity of a pipe.
const AT_ONCE: usize = 64 * 1024;

/// Why nothing can be shown.
pub enum TitleError {
    /// There is no argument, or the last one is shorter than [`window::SHORTEST`].
    NoRoom,
    /// stdin cannot be read. There is nowhere to report the error.
    Read,
}

/// Shows the newest bytes of stdin in the last argument of this process until end of file. It
/// does nothing but read, so that writers do not block.
///
/// # Errors
/// [`TitleError`].
pub fn run() -> Result<(), TitleError> {
    let mut title = Title::take().ok_or(TitleError::NoRoom)?;
    let mut window = Window::new(title.length());
    title.show(window.bytes());
    if title.length() < window::SHORTEST {
        return Err(TitleError::NoRoom);
    }
    let mut buffer = vec![0; AT_ONCE];
    loop {
        let count = stream::read(&mut buffer).map_err(|_| TitleError::Read)?;
        if count == 0 {
            return Ok(());
        }
        window.push(buffer.get(..count).unwrap_or_default());
        title.show(window.bytes());
    }
}
