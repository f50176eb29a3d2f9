//! Which process the kernel ends when memory runs out: `oom_score_adj`, see proc(5).

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;

const PATH: &str = "/proc/self/oom_score_adj";

/// With this value the kernel never ends a process for want of memory.
const SPARED: &[u8] = b"-1000";

/// The value that this process inherited, for its children.
#[derive(Clone, Debug)]
pub struct OomScoreAdj {
    text: [u8; 8],
    length: usize,
}

impl OomScoreAdj {
    /// Has the kernel spare this process, and gives the value from before. None: nothing
    /// was changed, because it is spared already, or may not be (CAP_SYS_RESOURCE), or
    /// there is no `/proc`.
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

    /// In a child: gives it the inherited value. The kernel lets any process do that.
    pub fn restore(&self) {
        if let Some(file) = open() {
            // Nobody could do anything about a failure.
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
        // A process of its own: the value is for the whole process.
        let pid = child::spawn(|| {
            let now = || std::fs::read_to_string(PATH).unwrap();
            // More may be asked for by anybody.
            std::fs::write(PATH, "77").unwrap();
            let right = match OomScoreAdj::spare() {
                Some(inherited) => {
                    let spared = now() == "-1000\n" && OomScoreAdj::spare().is_none();
                    inherited.restore();
                    spared
                }
                // It may not.
                None => true,
            };
            u8::from(!right || now() != "77\n")
        });
        assert_eq!(child::wait(pid.unwrap()).unwrap(), End::Exited(0));
    }
}
