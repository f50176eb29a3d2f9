//! `oom_score_adj`: which process the OOM killer chooses, see proc(5).

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;

const PATH: &str = "/proc/self/oom_score_adj";

/// With this value the OOM killer never chooses the process.
const SPARED: &[u8] = b"-1000";

/// The value that this process inherited, to be restored in its children.
#[derive(Clone, Debug)]
pub struct OomScoreAdj {
    text: [u8; 8],
    length: usize,
}

impl OomScoreAdj {
    /// Exempts this process from the OOM killer, and returns the previous value. None if
    /// nothing was changed: it is exempt already, it lacks CAP_SYS_RESOURCE, or `/proc` is not
    /// mounted.
    pub fn spare() -> Option<OomScoreAdj> {
        let file = open()?;
        let mut text = [0; 8];
        let length = file.read_at(&mut text, 0).ok()?;
        let inherited = OomScoreAdj { text, length };
        if inherited.text().trim_ascii() == SPARED {
            return None;
        }
        file.write_at(SPARED, 0).ok().map(|_| inherited)
    }

    /// In a child: restores the inherited value. No privilege is needed for that.
    pub fn restore(&self) {
        if let Some(file) = open() {
            // A failure could not be handled.
            let _ = file.write_at(self.text(), 0);
        }
    }

    fn text(&self) -> &[u8] {
        self.text.get(..self.length).unwrap_or_default()
    }
}

fn open() -> Option<File> {
    OpenOptions::new().read(true).write(true).open(PATH).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::child::End;
    use crate::sys::child;

    #[test]
    fn a_process_that_may_be_spared_is_and_gives_back_what_it_inherited() {
        // In a process of its own: the value applies to the whole process.
        let pid = child::spawn(|| {
            let now = || std::fs::read_to_string(PATH).unwrap();
            // Any process may raise its value.
            std::fs::write(PATH, "77").unwrap();
            let right = match OomScoreAdj::spare() {
                Some(inherited) => {
                    let spared = now() == "-1000\n" && OomScoreAdj::spare().is_none();
                    inherited.restore();
                    spared
                }
                // It lacks the privilege.
                None => true,
            };
            u8::from(!right || now() != "77\n")
        });
        assert_eq!(child::wait(pid.unwrap()).unwrap(), End::Exited(0));
    }
}
