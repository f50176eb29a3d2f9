//! Directories as svc, svok and svstat may find them: no supervise runs, but
//! whatever makes it look like one is made by hand. Links that lead to other files are
//! not among it: 0.76 follows them, ours does not (see `security`).

use super::stage::Stage;
use nix::sys::stat::Mode;
use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// What a client may be pointed at, and what it is.
pub(super) const DIRECTORIES: [(&str, &str); 23] = [
    ("s", "a supervised service"),
    ("./s/../s//", "a supervised service by a long path"),
    ("link", "a link to a supervised service"),
    ("-d", "a supervised service named as an option"),
    ("-", "a supervised service named -"),
    ("two words", "a supervised service with a blank in its name"),
    (
        "two\nlines",
        "a supervised service with a newline in its name",
    ),
    ("dead", "FIFOs without a reader"),
    ("bare", "a directory without supervise"),
    ("never", "an empty supervise"),
    ("odd", "a supervise that is a file"),
    ("files", "files in the place of the FIFOs"),
    ("directories", "directories in the place of the FIFOs"),
    ("sockets", "sockets in the place of the FIFOs"),
    ("dangling", "dangling links in the place of the FIFOs"),
    ("loops", "loops of links in the place of the FIFOs"),
    ("down", "a supervised service with a file down"),
    (
        "downloop",
        "a supervised service with a loop of links named down",
    ),
    ("plain", "a plain file"),
    ("nothing", "a dangling link"),
    ("circle", "a loop of links"),
    ("missing", "nothing"),
    ("", "the empty name"),
];

/// What an ordinary user may not touch, after [`Stage::deny`].
pub(super) const DENIED: [(&str, &str); 4] = [
    ("s", "a directory"),
    ("s/supervise", "a supervise"),
    ("s/supervise/control", "a control FIFO"),
    ("s/supervise/status", "a status"),
];

/// The readers of the FIFOs: as long as they live, supervise seems to run.
pub(super) struct Zoo {
    control: Vec<(&'static str, File)>,
    _others: Vec<File>,
    _sockets: Vec<UnixListener>,
}

impl Zoo {
    /// Makes them all.
    pub(super) fn new(stage: &Stage) -> Zoo {
        let mut zoo = Zoo {
            control: Vec::new(),
            _others: Vec::new(),
            _sockets: Vec::new(),
        };
        for (name, what) in DIRECTORIES {
            if what.starts_with("a supervised service") && !name.contains(['.', 'l']) {
                zoo.supervise(stage, name);
            }
        }
        for name in ["two\nlines", "downloop"] {
            zoo.supervise(stage, name);
        }
        let at = |name: &str| stage.scratch.at(name);
        stage.scratch.write("down/down", "");
        symlink("down", at("downloop/down")).unwrap();
        symlink("s", at("link")).unwrap();

        for name in ["bare", "never/supervise", "odd"] {
            stage.scratch.mkdir(name);
        }
        for name in ["plain", "odd/supervise"] {
            stage.scratch.write(name, "");
        }
        symlink("gone", at("nothing")).unwrap();
        symlink("circle", at("circle")).unwrap();

        fifos(stage, "dead");
        stage
            .scratch
            .write("dead/supervise/status", status(77, 0, b'u'));
        for file in ["control", "ok", "status"] {
            let place = |name: &str| {
                stage.scratch.mkdir(format!("{name}/supervise"));
                at(name).join("supervise").join(file)
            };
            std::fs::write(place("files"), status(77, 1, b'd')).unwrap();
            std::fs::create_dir(place("directories")).unwrap();
            zoo._sockets.push(listen(&place("sockets")));
            symlink("gone", place("dangling")).unwrap();
            symlink(file, place("loops")).unwrap();
        }
        stage.scratch.write("files/supervise/control", "old bytes");
        zoo
    }

    /// Makes it seem that supervise runs in `name`.
    pub(super) fn supervise(&mut self, stage: &Stage, name: &'static str) {
        fifos(stage, name);
        let directory = stage.scratch.at(name).join("supervise");
        std::fs::write(directory.join("status"), status(77, 0, b'u')).unwrap();
        self.control.push((name, read(&directory.join("control"))));
        self._others.push(read(&directory.join("ok")));
    }

    /// Tells which commands came to which service since.
    pub(super) fn heard(&mut self, stage: &mut Stage) {
        for (name, fifo) in &mut self.control {
            let mut bytes = [0; 4096];
            if let Ok(count @ 1..) = fifo.read(&mut bytes) {
                stage.say([name.as_bytes(), b" heard: ", &bytes[..count]].concat());
            }
        }
    }
}

fn fifos(stage: &Stage, name: &str) {
    let directory = stage.scratch.at(name).join("supervise");
    stage.scratch.mkdir(&directory);
    for fifo in ["control", "ok"] {
        nix::unistd::mkfifo(&directory.join(fifo), Mode::from_bits_truncate(0o600)).unwrap();
    }
}

/// Opens a FIFO for reading; there is a writer, too, so it never ends.
fn read(path: &Path) -> File {
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .unwrap()
}

/// A socket's path must be short: it is named by an open directory.
fn listen(path: &Path) -> UnixListener {
    use std::os::fd::AsRawFd;
    let directory = File::open(path.parent().unwrap()).unwrap();
    let name = path.file_name().unwrap().to_string_lossy();
    UnixListener::bind(format!("/proc/self/fd/{}/{name}", directory.as_raw_fd())).unwrap()
}

/// A status of a moment ago.
pub(super) fn status(pid: u32, paused: u8, want: u8) -> [u8; 18] {
    stamped(now() + 10, pid, paused, want)
}

/// The time, in seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// A status of 2^62 + `seconds`.
pub(super) fn stamped(seconds: u64, pid: u32, paused: u8, want: u8) -> [u8; 18] {
    let mut status = [0; 18];
    status[..8].copy_from_slice(&(seconds.wrapping_add(1 << 62)).to_be_bytes());
    status[12..16].copy_from_slice(&pid.to_le_bytes());
    status[16] = paused;
    status[17] = want;
    status
}

/// A name that is no UTF-8.
pub(super) fn invalid_name() -> &'static OsStr {
    OsStr::from_bytes(b"in\xffvalid")
}
