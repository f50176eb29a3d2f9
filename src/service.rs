//! Access to a service directory, for clients such as svc, svok and svstat.

use crate::child::{Pid, PidSpace};
use crate::error::Error;
use crate::formats::handover::Upgradable;
use crate::formats::state::StateRecord;
use crate::formats::status::Status;
use crate::formats::svscan_note::SvscanNote;
use crate::sys::{errno, fifo, file, lock, process};
use std::ffi::{OsStr, OsString};
use std::fs::{File, ReadDir};
use std::io::{self, ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The directory in which a command was started, to which it returns from each service
/// directory.
pub struct Origin {
    directory: File,
    /// Whether it is possible to return to it.
    is_open: bool,
}

/// Why a service directory could not be used.
pub enum VisitError {
    /// It could not be entered.
    Chdir(io::Error),
    /// The original directory could not be entered again: the command cannot continue.
    Back(Error),
}

impl Origin {
    /// Opens the current directory.
    ///
    /// # Errors
    /// `unable to open current directory`.
    pub fn open() -> Result<Origin, Error> {
        let directory = file::open_read(Path::new("."))
            .map_err(|error| Error::unable_to("open current directory", error))?;
        let is_open = file::change_directory(&directory).is_ok();
        Ok(Origin { directory, is_open })
    }

    /// The service directory `name` as a relative path: what can be done by that path needs no
    /// visit. An error must be reported by a visit, as in 0.76. None where 0.76 would fail to
    /// return from its first visit.
    pub fn here<'a>(&self, name: &'a OsStr) -> Option<&'a Path> {
        (self.is_open && !name.is_empty()).then(|| Path::new(name))
    }

    /// Calls `work` in the service directory `name` and returns.
    ///
    /// # Errors
    /// [`VisitError`]; errors of `work` are in its result.
    pub fn visit<T>(&self, name: &OsStr, work: impl FnOnce() -> T) -> Result<T, VisitError> {
        std::env::set_current_dir(name).map_err(VisitError::Chdir)?;
        let result = work();
        file::change_directory(&self.directory)
            .map_err(|error| VisitError::Back(Error::unable_to("set directory", error)))?;
        Ok(result)
    }
}

/// The path of the service `name`: `name` itself, unless [`look_up`] finds it.
pub fn locate(name: &OsStr) -> PathBuf {
    look_up(name).unwrap_or_else(|| name.into())
}

/// Looks up a name without a slash, or such a name followed by `/log`, that does not exist
/// here: in `$SVDIR` if that is set, else in `/service`, else in `/etc/service`. A name that
/// exists here, as whatever type, or whose existence cannot be determined, is not looked up.
pub fn look_up(name: &OsStr) -> Option<PathBuf> {
    let mut places = looked_in(name).into_iter().map(|root| root.join(name));
    places.find(|place| place.is_dir())
}

/// The directories in which [`look_up`] did not find this name, to be appended to a message: `
/// here or in /service`; empty if it was not looked up.
pub fn where_looked(name: &OsStr) -> String {
    let roots = looked_in(name).into_iter();
    let places: String = roots
        .map(|root| format!(" or in {}", root.display()))
        .collect();
    if places.is_empty() {
        return places;
    }
    format!(" here{}", places.escape_debug())
}

fn looked_in(name: &OsStr) -> Vec<PathBuf> {
    let bytes = name.as_bytes();
    let service = bytes.strip_suffix(b"/log").unwrap_or(bytes);
    if [b"".as_slice(), b".", b".."].contains(&service) || service.contains(&b'/') {
        return Vec::new();
    }
    match std::fs::symlink_metadata(OsStr::from_bytes(service)) {
        Err(error) if error.kind() == ErrorKind::NotFound => roots(),
        _ => Vec::new(),
    }
}

/// The directories in which services are looked up.
fn roots() -> Vec<PathBuf> {
    match std::env::var_os("SVDIR") {
        Some(root) if !root.is_empty() => vec![root.into()],
        _ => vec!["/service".into(), "/etc/service".into()],
    }
}

/// The directory of all services: `$SVDIR`; else `/service` if that exists, else
/// `/etc/service`.
pub fn root() -> PathBuf {
    let mut roots = roots();
    let existing = roots.iter().position(|root| root.is_dir());
    // None exists: the error about the last one will say so.
    let place = existing.unwrap_or(roots.len().saturating_sub(1));
    roots.swap_remove(place)
}

/// All services in the first of the directories of [`look_up`] that exists, sorted by name,
/// each followed by its log; hidden entries and files are left out. If none exists: empty,
/// unless `$SVDIR` named it.
///
/// # Errors
/// `unable to read DIRECTORY`.
pub fn all() -> Result<Vec<OsString>, Error> {
    let named = std::env::var_os("SVDIR").is_some_and(|root| !root.is_empty());
    for root in roots() {
        let entries = match std::fs::read_dir(&root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !named => continue,
            Err(error) => return Err(Error::unable("read", root.as_os_str(), "", error)),
        };
        return Ok(services_of(entries));
    }
    Ok(Vec::new())
}

/// The services among `entries`, as [`all`] lists them.
pub fn services_of(entries: ReadDir) -> Vec<OsString> {
    let mut services: Vec<OsString> = entries
        .flatten()
        .filter(|entry| !is_hidden(&entry.file_name()))
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .map(PathBuf::into_os_string)
        .collect();
    services.sort();
    let with_log = |service: OsString| {
        let log = inside(Path::new(&service), "log");
        [Some(service), log.is_dir().then(|| log.into_os_string())]
    };
    services.into_iter().flat_map(with_log).flatten().collect()
}

/// Whether svscan ignores an entry of this name.
pub fn is_hidden(name: &OsStr) -> bool {
    name.as_bytes().starts_with(b".")
}

/// The path of `name` in `directory`, in one allocation of exactly that size.
pub fn inside(directory: &Path, name: &str) -> PathBuf {
    let mut path = PathBuf::with_capacity(directory.as_os_str().len() + 1 + name.len());
    path.push(directory);
    path.push(name);
    path
}

/// Whether a supervise runs, according to its `ok` FIFO.
pub enum Supervised {
    /// A supervise runs there.
    Yes,
    /// None runs: the FIFO has no reader.
    No,
    /// It cannot be determined; ENOENT: none ever ran there.
    Unknown(io::Error),
}

/// Whether a supervise runs in `directory`.
pub fn is_supervised(directory: &Path) -> Supervised {
    match file::open_write_nofollow(&inside(directory, "supervise/ok")) {
        Ok(_) => Supervised::Yes,
        Err(error) if errno::is_no_reader(&error) => Supervised::No,
        Err(error) => Supervised::Unknown(error),
    }
}

/// Whether `log` is a program, as in daemontools-encore: supervise cannot run there.
pub fn is_program(log: &Path) -> bool {
    log.is_file() && file::may_execute(log)
}

/// Why a status could not be read.
pub enum NoStatus {
    /// The file could not be opened.
    Open(io::Error),
    /// It could not be read.
    Read(io::Error),
    /// It has fewer than 18 bytes, or is a FIFO.
    BadFormat,
}

/// Reads `supervise/status` in `directory`. It must be a plain file: it is read from its
/// beginning (pread(2)), which fails for a FIFO.
///
/// # Errors
/// [`NoStatus`].
pub fn read_status(directory: &Path) -> Result<Status, NoStatus> {
    let file =
        file::open_read_nofollow(&inside(directory, "supervise/status")).map_err(NoStatus::Open)?;
    let (mut bytes, mut there) = ([0; Status::BYTES], 0);
    while let Some(room @ [_, ..]) = bytes.get_mut(there..) {
        match file.read_at(room, there as u64) {
            Ok(0) => break,
            Ok(count) => there += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if errno::is_unseekable(&error) => return Err(NoStatus::BadFormat),
            Err(error) => return Err(NoStatus::Read(error)),
        }
    }
    Status::decode(bytes.get(..there).unwrap_or_default()).ok_or(NoStatus::BadFormat)
}

/// The record in `supervise/state` of `directory`, if it is valid: the process that wrote it
/// holds its lock now, in this boot and the pid namespace `here`. Another user may own
/// `supervise/`, and write there whatever he likes about his service.
pub fn read_state(directory: &Path, here: PidSpace) -> Option<StateRecord> {
    open_valid_state(directory, here).map(|(_, record)| record)
}

fn open_valid_state(directory: &Path, here: PidSpace) -> Option<(File, StateRecord)> {
    let (file, record) = open_state(directory)?;
    let writer = record.writer;
    let is_true = writer.space == Some(here) && lock::claimed_by(&file) == Some(writer.supervise);
    is_true.then_some((file, record))
}

/// A supervise that can be upgraded in place.
pub struct UpgradableSupervise {
    /// Its pid.
    pub supervise: Pid,
    /// What its record says about that.
    pub upgradable: Upgradable,
    /// The record was written by root or the effective user: its program may be executed.
    pub is_trusted: bool,
}

/// The supervise of `directory`, if there is a valid record (see [`read_state`]) with the lines
/// about upgrades.
#[cold]
pub fn read_upgradable(directory: &Path, here: PidSpace) -> Option<UpgradableSupervise> {
    let (file, record) = open_valid_state(directory, here)?;
    let mut bytes = [0; StateRecord::LONGEST];
    let upgradable = read_whole(&file, StateRecord::OFFSET, &mut bytes, Upgradable::decode)?;
    let supervise = record.writer.supervise;
    let owner = file.metadata().ok()?.uid();
    // A process of root that has the record lock has written all of a file of root.
    let is_trusted = [0, file::euid()].contains(&owner) && process::is_trusted(supervise);
    Some(UpgradableSupervise {
        supervise,
        upgradable,
        is_trusted,
    })
}

/// The record in `supervise/state` of `directory` that a supervise of this user wrote, also if
/// that has ended.
pub fn last_state(directory: &Path) -> Option<StateRecord> {
    let (file, record) = open_state(directory)?;
    file::is_own(&file.metadata().ok()?, &[file::euid()]).then_some(record)
}

/// The svscans that are recorded in `supervise/` of `directory`: the one that started the last
/// supervise, and one that found it running. They may have ended.
pub fn noted_svscans(directory: &Path) -> Vec<SvscanNote> {
    let record = open_state(directory).map(|(_, record)| record.writer);
    let of_record = record.and_then(|writer| {
        let (space, svscan) = (writer.space?, writer.svscan?);
        Some(SvscanNote {
            space,
            svscan,
            ended: None,
        })
    });
    let file = file::open_plain_nofollow(&inside(directory, "supervise/svscan")).ok();
    let noted = file.and_then(|file| {
        let mut bytes = [0; StateRecord::LONGEST];
        read_whole(&file, 0, &mut bytes, SvscanNote::decode)
    });
    of_record.into_iter().chain(noted).collect()
}

fn open_state(directory: &Path) -> Option<(File, StateRecord)> {
    let file = file::open_plain_nofollow(&inside(directory, "supervise/state")).ok()?;
    let mut bytes = [0; StateRecord::LONGEST];
    let record = read_whole(&file, StateRecord::OFFSET, &mut bytes, StateRecord::decode)?;
    Some((file, record))
}

/// The number of attempts to read a file that is being written.
const READINGS: usize = 100;

/// Decodes the `bytes` of `file` at `offset`, repeated while `decode` fails.
fn read_whole<T>(
    file: &File,
    offset: u64,
    bytes: &mut [u8],
    decode: impl Fn(&[u8]) -> Option<T>,
) -> Option<T> {
    (0..READINGS).find_map(|_| {
        let length = file.read_at(bytes, offset).ok()?;
        decode(bytes.get(..length)?)
    })
}

/// Why commands were not sent.
pub enum NotSent {
    /// The control FIFO has no reader: no supervise runs.
    NotRunning,
    /// It could not be opened.
    Open(io::Error),
    /// It could not be written to.
    Write(io::Error),
}

/// Sends `commands` to the supervise of `directory`, as [`Control::send`] does.
///
/// # Errors
/// [`NotSent`].
pub fn send(directory: &Path, commands: &[u8], may_wait: bool) -> Result<(), NotSent> {
    Control::open(directory)?.send(commands, may_wait)
}

/// The control FIFO of a running supervise, open for writing.
pub struct Control(File);

impl Control {
    /// Opens that of `directory`. Another user may own `supervise/`: only a FIFO is written to,
    /// or a file that is plainly the caller's own.
    ///
    /// # Errors
    /// [`NotSent::NotRunning`], [`NotSent::Open`].
    pub fn open(directory: &Path) -> Result<Control, NotSent> {
        let opened = open_control(directory).map(Control);
        opened.map_err(|error| match errno::is_no_reader(&error) {
            true => NotSent::NotRunning,
            false => NotSent::Open(error),
        })
    }

    /// Sends `commands` in one write, so that no others come between them. With `may_wait`,
    /// blocks while the FIFO is full.
    ///
    /// # Errors
    /// [`NotSent::Write`].
    pub fn send(&mut self, commands: &[u8], may_wait: bool) -> Result<(), NotSent> {
        let Control(fifo) = self;
        match fifo.write_all(commands) {
            // The write is atomic: it is smaller than PIPE_BUF, see pipe(7).
            Err(error) if may_wait && error.kind() == ErrorKind::WouldBlock => {
                file::set_blocking(fifo).map_err(NotSent::Write)?;
                fifo.write_all(commands).map_err(NotSent::Write)
            }
            result => result.map_err(NotSent::Write),
        }
    }

    /// The number of bytes that supervise has not read yet.
    pub fn unread(&self) -> u64 {
        fifo::unread(&self.0)
    }
}

fn open_control(directory: &Path) -> io::Result<File> {
    let file = file::open_write_nofollow(&inside(directory, "supervise/control"))?;
    match fifo::is_fifo(&file) {
        true => Ok(file),
        false => file::open_write_own_in(&inside(directory, "supervise"), c"control"),
    }
}
