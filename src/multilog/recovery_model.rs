//! A small multilog in memory, killed at every step, at its start, too.

use super::{Found, resume};
use crate::formats::mark::{FileId, Mark, Reading};

/// It was killed.
struct Killed;

/// A log directory.
#[derive(Default)]
struct Log {
    files: Vec<Vec<u8>>,
    mark: Option<Mark>,
    written: u64,
}

/// All there is: directory N of `logs` gets the lines that are divisible by N + 1.
struct World {
    pipe: Vec<u8>,
    logs: Vec<Log>,
    /// So many steps are left until the KILL.
    steps: usize,
    /// How many KILLs fell where it cannot be told whether the batch is gone.
    unclear: usize,
}

fn line(number: usize) -> Vec<u8> {
    format!("{number:>0$}\n", number % 7 + 3).into_bytes()
}

fn lines(count: usize, log: usize) -> Vec<u8> {
    let numbers = (0..count).filter(|number| number % (log + 1) == 0);
    numbers.flat_map(line).collect()
}

/// What of `text` directory `log` gets.
fn selected(text: &[u8], log: usize) -> Vec<u8> {
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    let number = |line: &[u8]| -> usize {
        let text = std::str::from_utf8(line).unwrap();
        text.trim().parse().unwrap()
    };
    let lines = lines.filter(|line| number(line) % (log + 1) == 0);
    lines.flatten().copied().collect()
}

impl World {
    fn step(&mut self) -> Result<(), Killed> {
        self.steps = self.steps.checked_sub(1).ok_or(Killed)?;
        Ok(())
    }

    fn mark(&mut self, log: usize, batch: u64, length: u64) {
        let log = &mut self.logs[log];
        log.mark = Some(Mark {
            reading: Reading {
                boot: [0; 16],
                pipe: (0, 0),
                script: 0,
            },
            batch,
            file: FileId {
                inode: log.files.len() as u64 - 1,
                born: 0,
            },
            size: log.files.last().unwrap().len() as u64,
            moved: log.written,
            length,
            long_line: None,
            held: vec![],
        });
    }

    /// Another file, and what `Dir::rotate` does with the mark.
    fn rotate(&mut self, log: usize) -> Result<(), Killed> {
        self.step()?;
        let log = &mut self.logs[log];
        log.files.push(vec![]);
        self.steps = self.steps.checked_sub(1).ok_or(Killed)?;
        let file = log.files.len() - 1;
        if let Some(mark) = &mut log.mark {
            mark.moved += log.files[file - 1].len() as u64 - mark.size;
            mark.size = 0;
            mark.file.inode = file as u64;
        }
        Ok(())
    }

    /// One multilog, to its end.
    fn run(&mut self) -> Result<(), Killed> {
        let found: Vec<Found> = self
            .logs
            .iter()
            .map(|log| Found {
                mark: log.mark.clone(),
                size: log.mark.as_ref().map(|mark| {
                    let file = usize::try_from(mark.file.inode).unwrap();
                    log.files[file].len() as u64
                }),
            })
            .collect();
        let resume = resume(&found);
        for log in &mut self.logs {
            // What `Dir::start` does with one that is not safe.
            log.files.push(vec![]);
        }
        for (log, written) in self.logs.iter_mut().zip(&resume.written) {
            log.written = *written;
        }
        let mut batch = resume.batch + 1;
        for log in resume.order {
            self.step()?;
            self.mark(log, batch, 0);
        }
        while !self.pipe.is_empty() {
            let ends = self.pipe.iter().enumerate();
            let mut ends = ends.filter(|(_, byte)| **byte == b'\n');
            let end = ends.nth(2).map_or(self.pipe.len(), |(place, _)| place + 1);
            let text = self.pipe[..end].to_vec();
            batch += 1;
            for log in 0..self.logs.len() {
                let text = selected(&text, log);
                let there = usize::try_from(self.logs[log].written).unwrap();
                let there = there.min(text.len());
                self.logs[log].written -= there as u64;
                for (place, byte) in text.iter().enumerate().skip(there) {
                    self.step()?;
                    self.logs[log].files.last_mut().unwrap().push(*byte);
                    if place % 5 == 4 {
                        self.rotate(log)?;
                    }
                }
            }
            for log in 0..self.logs.len() {
                self.step()?;
                let length = selected(&text, log).len();
                // What `Dir::note` does, which knows the mark it wrote before.
                self.mark(log, batch, length as u64);
            }
            if self.step().is_err() {
                self.unclear += 1;
                return Err(Killed);
            }
            self.pipe.drain(..end);
        }
        Ok(())
    }
}

/// A run killed after so many steps each time, then one that is not. Whether
/// something stands twice that need not.
fn play(logs: usize, kills: &[usize]) {
    const COUNT: usize = 8;
    let mut world = World {
        pipe: lines(COUNT, 0),
        logs: (0..logs).map(|_| Log::default()).collect(),
        steps: 0,
        unclear: 0,
    };
    for steps in kills {
        world.steps = *steps;
        if world.run().is_ok() {
            break;
        }
    }
    world.steps = usize::MAX;
    assert!(world.run().is_ok());
    for (number, log) in world.logs.iter().enumerate() {
        let text = log.files.concat();
        let wanted = lines(COUNT, number);
        if world.unclear == 0 {
            let text = String::from_utf8_lossy(&text);
            assert_eq!(text, String::from_utf8_lossy(&wanted), "{kills:?}");
        } else {
            assert!(text.len() >= wanted.len(), "{kills:?}");
        }
    }
}

#[test]
fn killed_at_any_step_it_loses_nothing_and_repeats_only_what_cannot_be_told() {
    for logs in 1..=3 {
        for first in 0..200 {
            play(logs, &[first]);
            for second in 0..40 {
                play(logs, &[first, second]);
                play(logs, &[first, second, (first + second) % 7]);
                play(logs, &[first, second, 2, 1, second / 2]);
            }
        }
    }
}
