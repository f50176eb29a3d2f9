//! readproctitle: `window` holds the newest bytes of stdin, and this shows them.

pub mod window;

use crate::sys::{stream, title::Title};
use window::Window;

/// So much is read at a time: all that a pipe of the usual size holds.
const AT_ONCE: usize = 64 * 1024;

/// Why nothing can be shown.
pub enum TitleError {
    /// There is no argument, or the last one is too short: [`window::SHORTEST`].
    NoRoom,
    /// stdin cannot be read, which nobody could be told.
    Read,
}

/// Shows the newest bytes of stdin in this process's last argument until stdin
/// ends. Nothing but reading takes its time: who writes does not wait.
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
