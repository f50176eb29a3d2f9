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

/// What an ordinary user may not touch, after [`Stage::deny`].
macro_rules! each_denied {
    () => {
        situations! { denied
            a_directory("s");
            a_supervise("s/supervise");
            a_control_fifo("s/supervise/control");
            a_status("s/supervise/status");
        }
    };
}

/// What a client may be pointed at: how it is called, and its name.
macro_rules! each_directory {
    ($($more:tt)*) => {
        situations! { on
            a_supervised_service("s");
            a_supervised_service_by_a_long_path("./s/../s//");
            a_link_to_a_supervised_service("link");
            a_supervised_service_named_as_an_option("-d");
            a_supervised_service_named("-");
            a_supervised_service_with_a_blank_in_its_name("two words");
            a_supervised_service_with_a_newline_in_its_name("two\nlines");
            fifos_without_a_reader("dead");
            a_directory_without_supervise("bare");
            an_empty_supervise("never");
            a_supervise_that_is_a_file("odd");
            files_in_the_place_of_the_fifos("files");
            sockets_in_the_place_of_the_fifos("sockets");
            dangling_links_in_the_place_of_the_fifos("dangling");
            loops_of_links_in_the_place_of_the_fifos("loops");
            a_supervised_service_with_a_file_down("down");
            a_supervised_service_with_a_loop_of_links_named_down("downloop");
            a_plain_file("plain");
            a_dangling_link("nothing");
            a_loop_of_links("circle");
            nothing("missing");
            the_empty_name("");
            $($more)*
        }
    };
}

pub(super) use {each_denied, each_directory};

/// Services that seem to be supervised.
const SUPERVISED: [&str; 7] = [
    "s",
    "-d",
    "-",
    "two words",
    "two\nlines",
    "down",
    "downloop",
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
        for name in SUPERVISED {
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
