//! Waits for the lock of a service, with progress dots and a timeout.

use super::failure::{Aborted, Failure};
use super::wait::WaitLoop;
use crate::checks::lock::{self, Asked, LockError, ServiceLock};
use crate::sys::clock;
use std::path::Path;
use std::time::Duration;

/// No holder of the lock needs longer: a stop script and a start script, each up to its
/// timeout.
const LONGEST: Duration = Duration::from_secs(600);

/// Waits for the lock of the service in `directory`.
///
/// # Errors
/// [`Failure::Busy`] after the timeout; [`Failure::Circle`] for a deadlock.
pub fn take(
    directory: &Path,
    longest: Option<Duration>,
    waiter: &mut WaitLoop<'_>,
) -> Result<ServiceLock, Aborted> {
    let mut waiting = match lock::ask(directory).map_err(failure)? {
        Asked::Got(lock) => return Ok(lock),
        Asked::Later(waiting) => waiting,
    };
    let waited = longest.unwrap_or_default().max(LONGEST);
    let deadline = clock::monotonic() + waited;
    loop {
        let until = waiting.deadline().min(deadline);
        let wake = waiter.wait([None, None, None], Some(until))?;
        let ended = wake.ended.iter().map(|(pid, _)| *pid);
        if let Some(lock) = waiting.advance(ended).map_err(failure)? {
            return Ok(lock);
        }
        if clock::monotonic() >= deadline {
            return Err(Failure::Busy { waited }.into());
        }
    }
}

fn failure(error: LockError) -> Failure {
    match error {
        LockError::Refused(source) => Failure::Unable {
            doing: "lock supervise/control".to_owned(),
            source,
        },
        LockError::NoSupervise => Failure::SuperviseGone,
        LockError::NotAFifo => Failure::NotAFifo,
        LockError::Circle(circle) => Failure::Circle { circle },
    }
}
