//! `supervise/control`: one byte, one command.
//!
//! | byte | svc option | command |
//! |---|---|---|
//! | `u` | `-u` | up: start it, and again whenever it ends |
//! | `d` | `-d` | down: TERM, then CONT; do not start it again |
//! | `o` | `-o` | once: start it, but not again |
//! | `p` `c` | `-p` `-c` | pause (STOP), continue (CONT) |
//! | `h` `a` `i` `t` `k` | same | HUP, ALRM, INT, TERM, KILL |
//! | `1` `2` `q` `w` | same | USR1, USR2, QUIT, WINCH (daemontools-encore's) |
//! | `x` | `-x` | exit as soon as the service is down |
//! | `^` | `--upgrade` | become the program now installed: [`UPGRADE`] |
//!
//! Other bytes are ignored. Source: <https://cr.yp.to/daemontools/svc.html>.

/// Continue as the program now installed. No option letter, and a byte that no relative of
/// daemontools uses: their supervisors ignore it.
pub const UPGRADE: u8 = b'^';

/// A signal that supervise sends to its service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ServiceSignal {
    /// SIGTERM: terminate.
    Term,
    /// SIGHUP: by convention, reload the configuration or reopen logs.
    Hup,
    /// SIGALRM: alarm; multilog rotates its logs.
    Alarm,
    /// SIGINT: interrupt.
    Int,
    /// SIGKILL: kill; cannot be caught.
    Kill,
    /// SIGUSR1: defined by the service.
    Usr1,
    /// SIGUSR2: defined by the service.
    Usr2,
    /// SIGQUIT: quit; dumps core by default.
    Quit,
    /// SIGWINCH: window size change; Apache stops gracefully.
    Winch,
    /// SIGSTOP: stop; cannot be caught.
    Stop,
    /// SIGCONT: continue.
    Cont,
}

/// A command to supervise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Command {
    /// Start the service, and restart it whenever it ends.
    Up,
    /// Stop the service and do not restart it.
    Down,
    /// Start the service, but do not restart it.
    Once,
    /// Send STOP and mark it paused.
    Pause,
    /// Send CONT and mark it not paused.
    Continue,
    /// Exit as soon as the service is down.
    Exit,
    /// Send a signal.
    Signal(ServiceSignal),
}

impl Command {
    /// All commands, in the order of svc's usage line, then those of encore.
    pub const ALL: [Command; 15] = [
        Command::Up,
        Command::Down,
        Command::Once,
        Command::Exit,
        Command::Pause,
        Command::Continue,
        Command::Signal(ServiceSignal::Hup),
        Command::Signal(ServiceSignal::Alarm),
        Command::Signal(ServiceSignal::Int),
        Command::Signal(ServiceSignal::Term),
        Command::Signal(ServiceSignal::Kill),
        Command::Signal(ServiceSignal::Usr1),
        Command::Signal(ServiceSignal::Usr2),
        Command::Signal(ServiceSignal::Quit),
        Command::Signal(ServiceSignal::Winch),
    ];

    /// The command of `byte`; None if it is to be ignored.
    pub fn decode(byte: u8) -> Option<Command> {
        Command::ALL
            .into_iter()
            .find(|command| command.encode() == Some(byte))
    }

    /// The byte of this command; None for STOP and CONT as plain signals, which have none.
    pub fn encode(self) -> Option<u8> {
        Some(match self {
            Command::Up => b'u',
            Command::Down => b'd',
            Command::Once => b'o',
            Command::Pause => b'p',
            Command::Continue => b'c',
            Command::Exit => b'x',
            Command::Signal(ServiceSignal::Term) => b't',
            Command::Signal(ServiceSignal::Hup) => b'h',
            Command::Signal(ServiceSignal::Alarm) => b'a',
            Command::Signal(ServiceSignal::Int) => b'i',
            Command::Signal(ServiceSignal::Kill) => b'k',
            Command::Signal(ServiceSignal::Usr1) => b'1',
            Command::Signal(ServiceSignal::Usr2) => b'2',
            Command::Signal(ServiceSignal::Quit) => b'q',
            Command::Signal(ServiceSignal::Winch) => b'w',
            Command::Signal(ServiceSignal::Stop | ServiceSignal::Cont) => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_all_256_bytes_fifteen_are_commands() {
        let known: Vec<u8> = (0..=255)
            .filter(|byte| Command::decode(*byte).is_some())
            .collect();
        assert_eq!(known, b"12acdhikopqtuwx");
        assert!(!known.contains(&UPGRADE));
    }

    #[test]
    fn every_command_survives_a_round_trip() {
        for command in Command::ALL {
            assert_eq!(Command::decode(command.encode().unwrap()), Some(command));
        }
    }
}
