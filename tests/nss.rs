//! setuidgid and envuidgid as they are installed: linked statically, with the dynamic
//! program beside them for what they cannot know themselves.

use crate::harness::numbers::Numbers;
use crate::harness::{
    Output, Scratch, Suite, called, finish, has, is_root, linked_statically, skip_unless,
};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

/// The dynamic program.
const BESIDE: &str = "daemontools-rs-nss";

/// A directory with the static programs in `bin`, and nothing beside them yet.
struct Installed(Scratch);

impl Installed {
    fn new(test: &str) -> Option<Installed> {
        let built = linked_statically(test)?;
        let scratch = Scratch::new();
        scratch.mkdir("bin");
        let program = fs::read(built.join("daemontools-rs")).unwrap();
        scratch.executable("bin/daemontools-rs", program);
        for name in ["setuidgid", "envuidgid"] {
            fs::hard_link(
                scratch.at("bin/daemontools-rs"),
                scratch.at("bin").join(name),
            )
            .unwrap();
        }
        Some(Installed(scratch))
    }

    /// With the dynamic program beside them.
    fn with_dynamic(test: &str) -> Option<Installed> {
        let installed = Installed::new(test)?;
        let beside = linked_statically(test)?.join(BESIDE);
        let place = installed.at(BESIDE);
        installed.0.executable(place, fs::read(beside).unwrap());
        Some(installed)
    }

    /// With a program beside them that only says that it was asked.
    fn with_witness(test: &str) -> Option<Installed> {
        let installed = Installed::new(test)?;
        installed.0.script(installed.at(BESIDE), "echo asked");
        Some(installed)
    }

    fn at(&self, program: &str) -> PathBuf {
        self.0.at("bin").join(program)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = self.0.command(Suite::Static, self.at(program));
        command.env("PATH", "/usr/bin:/bin");
        command
    }

    fn run<S: AsRef<OsStr>>(&self, program: &str, arguments: &[S]) -> Output {
        let mut command = self.command(program);
        command.args(arguments);
        finish(command)
    }

    /// Runs `script` where `/etc` holds `passwd` and `nsswitch.conf` of this directory
    /// and nothing else. Bind mounts of the two files would be gone as soon as somebody
    /// replaces the machine's own: a package that is being installed, for instance.
    fn with_files(&self, script: &str) -> Output {
        let mut command = self.0.command(Suite::Static, "unshare");
        let mount = "mkdir -p etc; ln -f passwd nsswitch.conf etc; mount --bind etc /etc";
        let script = format!("set -e\n{mount}\nset +e\n{script}");
        command.args(["--mount", "sh", "-c", &script]);
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        finish(command)
    }
}

/// What a next program prints of the ids it is told.
const IDS: [&str; 3] = ["sh", "-c", "echo $UID $GID"];

/// Whether this machine's own files leave nothing to ask about `daemon`.
fn daemon_is_certain(test: &str) -> bool {
    let nsswitch = fs::read("/etc/nsswitch.conf").unwrap_or_default();
    let plain = daemontools_rs::account::nsswitch::files_come_first(&nsswitch);
    let nscd = fs::symlink_metadata("/var/run/nscd/socket").is_ok();
    skip_unless(test, plain && !nscd, "users are looked up elsewhere here")
}

#[test]
fn who_is_in_the_passwd_file_is_looked_up_without_the_dynamic_program() {
    let test = "setuidgid linked statically";
    if !daemon_is_certain(test) {
        return;
    }
    let Some(installed) = Installed::new(test) else {
        return;
    };
    let output = installed.run("envuidgid", &[&["daemon"], &IDS[..]].concat());
    assert_eq!(output.text(), "1 1\n", "{output:?}");
    let output = installed.run("envuidgid", &[&[":7:8"], &IDS[..]].concat());
    assert_eq!(output.text(), "7 8\n", "{output:?}");
    let output = installed.run("envuidgid", &[":7", "true"]);
    assert_eq!(output.errors(), "envuidgid: fatal: unknown account :7\n");
    let output = installed.run("setuidgid", &["daemon"]);
    assert_eq!(
        output.errors(),
        "setuidgid: usage: setuidgid account child\n"
    );
    if is_root(test) {
        let output = installed.run("setuidgid", &["daemon", "id"]);
        assert!(output.text().starts_with("uid=1(daemon)"), "{output:?}");
    }
}

#[test]
fn where_others_must_be_asked_and_the_dynamic_program_is_missing_nothing_runs() {
    let Some(installed) = Installed::new("a missing daemontools-rs-nss") else {
        return;
    };
    let beside = installed.at(BESIDE);
    let why = |reason: &str| {
        let beside = beside.display();
        format!("setuidgid: fatal: unable to run {beside}: {reason}\n")
    };
    for arguments in [
        &["nosuch", "echo", "ran"][..],
        &["daemon:adm", "echo", "ran"],
        &["1:1", "echo", "ran"],
        &["-s", "daemon", "echo", "ran"],
        &["", "echo", "ran"],
    ] {
        let output = installed.run("setuidgid", arguments);
        assert_eq!(output.errors(), why("file does not exist"), "{arguments:?}");
        assert_eq!((output.text(), output.code), (String::new(), 111));
    }
    // Whoever stands there in its place does not start itself for ever.
    symlink("setuidgid", &beside).unwrap();
    let output = installed.run("setuidgid", &["nosuch", "true"]);
    assert_eq!(output.errors(), why("exec format error"));
    fs::remove_file(&beside).unwrap();
    fs::hard_link(installed.at("daemontools-rs"), &beside).unwrap();
    let output = installed.run("setuidgid", &["nosuch", "true"]);
    assert_eq!(
        (output.errors(), output.code),
        (why("exec format error"), 111)
    );
}

#[test]
fn the_dynamic_program_is_found_beside_the_file_itself_and_nowhere_else() {
    let Some(installed) = Installed::with_dynamic("the place of daemontools-rs-nss") else {
        return;
    };
    let scratch = &installed.0;
    scratch.mkdir("evil");
    for name in [BESIDE, "setuidgid", "envuidgid"] {
        scratch.script(format!("evil/{name}"), "echo evil");
    }
    symlink("../bin/envuidgid", scratch.at("evil/link")).unwrap();
    let path = format!("{}:/usr/bin:/bin", scratch.at("evil").display());
    for (file, name) in [
        ("bin/envuidgid", "envuidgid"),
        ("bin/envuidgid", "setuidgid"),
        ("bin/envuidgid", "evil/envuidgid"),
        ("bin/envuidgid", ""),
        ("evil/link", "link"),
        ("bin/daemontools-rs", "envuidgid"),
    ] {
        let mut command = scratch.command(Suite::Static, scratch.at(file));
        command.current_dir(scratch.at("evil")).env("PATH", &path);
        command.args(["daemon:adm", "sh", "-c", "echo $UID $GID"]);
        called(&mut command, name);
        let output = finish(command);
        let seen = (output.text(), output.errors());
        assert_eq!(seen, ("1 4\n".into(), String::new()), "{file} {name}");
    }
    let output = installed.run("daemontools-rs", &["envuidgid", "nosuch", "true"]);
    assert_eq!(
        output.errors(),
        "envuidgid: fatal: unknown account nosuch\n"
    );
}

#[test]
fn the_dynamic_program_is_given_everything_as_it_was() {
    let Some(installed) = Installed::with_dynamic("what daemontools-rs-nss is given") else {
        return;
    };
    let odd = [&b"a\xff\n"[..], b"", b"-s", b"--", b" b "].map(OsStr::from_bytes);
    let tell = "printf '%s|' \"$@\" \"$ODD\"; test -e /proc/$$/fd/0 || echo closed; \
                grep ^SigIgn /proc/$$/status";
    for (before, ignored) in [("exec <&-; trap '' PIPE", true), ("exec <&-", false)] {
        // `daemon` and `daemon:daemon` are the same, but only one of them is asked about.
        let seen = ["daemon", "daemon:daemon"].map(|account| {
            let mut command = installed.0.command(Suite::Static, "sh");
            command.args(["-c", &format!("{before}; exec \"$@\""), "sh"]);
            command.arg(installed.at("envuidgid"));
            command.args([account, "sh", "-c", tell, "sh"]).args(odd);
            command.env("ODD", OsStr::from_bytes(b"\xfe="));
            finish(command)
        });
        let start = b"a\xff\n||-s|--| b |\xfe=|closed\nSigIgn:";
        assert!(seen[0].out.starts_with(start), "{:?}", seen[0]);
        let last_four = seen[0].text().trim_end()[..].chars().rev().nth(3);
        assert_eq!(last_four == Some('1'), ignored, "{:?}", seen[0]);
        assert_eq!(seen[0], seen[1]);
    }
}

#[test]
fn what_changes_the_programs_that_are_loaded_is_left_to_them() {
    let test = "LD_PRELOAD";
    if !daemon_is_certain(test) {
        return;
    }
    let Some(installed) = Installed::with_witness(test) else {
        return;
    };
    let asked = |variable: &str| {
        let mut command = installed.command("envuidgid");
        command.env(variable, "").args(["daemon", "echo", "knew"]);
        finish(command).text()
    };
    for variable in ["LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT"] {
        assert_eq!(asked(variable), "asked\n", "{variable}");
    }
    assert_eq!(asked("PRELOAD"), "knew\n");
    // What others use to say where something is read from changes nothing.
    for variable in ["NSS_WRAPPER_PASSWD", "HOSTALIASES", "PASSWD", "HOME"] {
        assert_eq!(asked(variable), "knew\n", "{variable}");
    }
}

#[test]
fn the_files_themselves_decide_whether_others_are_asked() {
    let test = "other files in /etc";
    if !is_root(test) || !has(test, &["unshare"]) {
        return;
    }
    let Some(installed) = Installed::with_witness(test) else {
        return;
    };
    const LINE: &str = "u:x:4242:4243::/:/bin/sh\n";
    let long = format!("v:x:1:1:{}::\n", "x".repeat(70_000));
    let many: String = (0..5000)
        .map(|n| format!("user{n}:x:{n}:{n}:One of many:/home/user{n}:/bin/sh\n"))
        .collect();
    let ask = |nsswitch: &str, passwd: &str, before: &str| {
        installed.0.write("nsswitch.conf", nsswitch);
        installed.0.write("passwd", passwd);
        let line = format!("{before}; bin/envuidgid u sh -c 'echo $UID $GID'");
        installed.with_files(&line).text()
    };
    let nsswitch = "passwd: files systemd\ngroup: files\n";
    for (passwd, knew) in [
        (LINE.to_owned(), true),
        (format!("{LINE}odd\n"), true),
        (format!("# c\n{many}{LINE}{many}"), true),
        (format!("odd\n{LINE}"), false),
        (LINE.trim_end().to_owned(), false),
        (LINE.replace('\n', "\r\n"), false),
        (format!("{long}{LINE}"), false),
        (many, false),
        (String::new(), false),
    ] {
        let expected = if knew { "4242 4243\n" } else { "asked\n" };
        let seen = ask(nsswitch, &passwd, ":");
        assert_eq!(seen, expected, "{passwd:.200}");
    }
    for nsswitch in [
        "",
        "passwd: compat\n",
        "passwd: files",
        "passwd: files [SUCCESS=continue] systemd\n",
        "passwd: files\npasswd: files\n",
        "passwd: files\nhosts: dns [\n",
    ] {
        assert_eq!(ask(nsswitch, LINE, ":"), "asked\n", "{nsswitch}");
    }
    for before in [
        "mount -t tmpfs none /run; mkdir /run/nscd; : >/run/nscd/socket",
        "mkdir empty; mount --bind empty /etc",
        "mount --bind /dev/null /etc/passwd",
        "mount --bind /dev/null /etc/nsswitch.conf",
    ] {
        assert_eq!(ask(nsswitch, LINE, before), "asked\n", "{before}");
    }
    let empty = "mount -t tmpfs none /run; mkdir /run/nscd";
    assert_eq!(ask(nsswitch, LINE, empty), "4242 4243\n");
}

/// A source of accounts that only a dynamic program can load: it knows `u` and
/// `elsewhere`.
const MODULE: &str = r#"
#include <errno.h>
#include <nss.h>
#include <pwd.h>
#include <string.h>
enum nss_status _nss_hesiod_getpwnam_r(const char *name, struct passwd *found,
                                       char *buffer, size_t size, int *error) {
    if (strcmp(name, "u") && strcmp(name, "elsewhere")) return NSS_STATUS_NOTFOUND;
    if (size < 64) { *error = ERANGE; return NSS_STATUS_TRYAGAIN; }
    strcpy(buffer, name);
    found->pw_name = buffer;
    found->pw_passwd = found->pw_gecos = found->pw_dir = found->pw_shell = "";
    found->pw_uid = 5000; found->pw_gid = 5001;
    return NSS_STATUS_SUCCESS;
}
"#;

#[test]
fn an_account_that_only_another_source_knows_is_found_and_may_come_first() {
    let test = "a source of accounts of its own";
    if !is_root(test) || !has(test, &["unshare", "cc"]) {
        return;
    }
    let Some(installed) = Installed::with_dynamic(test) else {
        return;
    };
    // In the place of one that nobody uses and every glibc of Debian's brings along.
    let places = fs::read_dir("/lib").unwrap().flatten();
    let place = places
        .map(|entry| entry.path().join("libnss_hesiod.so.2"))
        .find(|place| place.exists());
    let Some(place) = place else {
        skip_unless(test, false, "no libnss_hesiod");
        return;
    };
    installed.0.write("module.c", MODULE);
    let mut cc = installed.0.command(Suite::Static, "cc");
    cc.args(["-shared", "-fPIC", "-o", "module.so", "module.c"]);
    assert_eq!(finish(cc).code, 0);
    installed.0.write(
        "passwd",
        "root:x:0:0:::\nu:x:4242:4243:::\nv:x:4244:4245:::\n",
    );
    let (files, module) = ("4242 4243\n", "5000 5001\n");
    for (sources, expected) in [
        ("files hesiod", [files, "4244 4245\n", module]),
        ("hesiod files", [module, "4244 4245\n", module]),
        // Then the last one that is asked decides, also by knowing nothing.
        ("files [SUCCESS=continue] hesiod", [module, "", module]),
    ] {
        let line = format!("passwd: {sources}\ngroup: files\n");
        installed.0.write("nsswitch.conf", line);
        for (name, expected) in ["u", "v", "elsewhere"].iter().zip(expected) {
            let output = installed.with_files(&format!(
                "mount --bind module.so {}\n\
                 bin/setuidgid {name} sh -c 'echo $(id -u) $(id -g)'\n\
                 bin/envuidgid {name} sh -c 'echo $UID $GID'",
                place.display()
            ));
            assert_eq!(output.text(), expected.repeat(2), "{sources} {output:?}");
            assert_eq!(output.code == 0, !expected.is_empty(), "{output:?}");
        }
    }
}

/// A passwd file with much that is odd in it.
fn passwd_file(numbers: &mut Numbers) -> Vec<u8> {
    const NAMES: [&[u8]; 14] = [
        b"u", b"u", b"u", b"v", b"v", b"uu", b"0", b"root", b" u", b"\tu", b"+u", b"-u", b"", b"#u",
    ];
    const IDS: [&[u8]; 22] = [
        b"1",
        b"7",
        b"42",
        b"1000",
        b"65534",
        b"007",
        b"4294967295",
        b"4294967296",
        b"-1",
        b"+1",
        b" 1",
        b"1 ",
        b"",
        b"x",
        b"0x10",
        b"1x",
        b"99999999999999999999",
        b"\xb2",
        b"1\0",
        b"08",
        b"2147483648",
        b"0",
    ];
    const RESTS: [&[u8]; 12] = [
        b"::",
        b"c:/:/bin/sh",
        b"a, b:/home:/bin/sh",
        b"caf\xc3\xa9::",
        b":",
        b"",
        b":::",
        b"::\r",
        b"a\tb::",
        b"::#",
        b"::\0",
        b"::/bin/sh ",
    ];
    const LINES: [&[u8]; 12] = [
        b"",
        b" ",
        b"#",
        b"# u:x:1:1:::",
        b"u",
        b"u:",
        b"u:x",
        b"u:x:1",
        b"+",
        b"+::::::",
        b"\0",
        b"\r",
    ];
    let is_odd = numbers.pick(&[3, 20, 100]);
    let mut file = Vec::new();
    for _ in 0..numbers.below(9) {
        if numbers.one_in(is_odd) {
            file.extend_from_slice(numbers.pick(&LINES));
        } else {
            let mut field = |of: &[&'static [u8]], plain: usize| {
                let limit = if numbers.one_in(is_odd) {
                    of.len()
                } else {
                    plain
                };
                of[numbers.below(limit)]
            };
            let name = field(&NAMES, 8);
            let (uid, gid) = (field(&IDS, 7), field(&IDS, 7));
            let rest = field(&RESTS, 4);
            file.extend_from_slice(&[name, b":x:", uid, b":", gid, b":", rest].concat());
        }
        if numbers.one_in(is_odd * 40) {
            let length = numbers.pick(&[1000, 1020, 1024, 4096, 5000, 70_000]);
            file.extend(std::iter::repeat_n(b'x', length));
        }
        if !numbers.one_in(is_odd * 20) {
            file.push(b'\n');
        }
    }
    file
}

/// An nsswitch.conf that is mostly as people write it.
fn nsswitch_file(numbers: &mut Numbers) -> Vec<u8> {
    const LINES: [&[u8]; 26] = [
        b"passwd: files\n",
        b"passwd: files\n",
        b"passwd:\tfiles systemd\n",
        b"passwd files\n",
        b"passwd: : files # c\n",
        b" passwd:files[NOTFOUND=return] compat\n",
        b"passwd: compat\n",
        b"passwd: systemd files\n",
        b"passwd: [NOTFOUND=return] files\n",
        b"passwd: files [SUCCESS=continue] compat\n",
        b"passwd:\n",
        b"passwd: files",
        b"passwd: files\r\n",
        b"passwd: files\0\n",
        b"passwd: Files\n",
        b"#passwd: compat\n",
        b"group: files\n",
        b"\n",
        b"hosts: files [NOTFOUND=return] dns\n",
        b"hosts: dns [!unavail=return tryagain=continue]\n",
        b"hosts: dns [\n",
        b"hosts: dns [NOTFOUND=stop]\n",
        b"hosts: dns # [x]\n",
        b"sudoers: x [\n",
        b"passwd: files \x0b\n",
        b"passwd_compat: nis\n",
    ];
    let mut file = Vec::new();
    if !numbers.one_in(3) {
        file.extend_from_slice(LINES[numbers.below(5)]);
    }
    for _ in 0..numbers.below(4) {
        let first = if numbers.one_in(3) { 0 } else { 15 };
        file.extend_from_slice(LINES[numbers.between(first, LINES.len())]);
    }
    file
}

#[test]
fn what_is_certain_is_what_getent_says() {
    let test = "the comparison with getent";
    if !is_root(test) || !has(test, &["unshare", "getent"]) {
        return;
    }
    let Some(installed) = Installed::with_witness(test) else {
        return;
    };
    const CASES: usize = 120;
    let mut numbers = Numbers(0x00a1_1ce5);
    installed.0.mkdir("cases");
    for case in 0..CASES {
        let passwd = passwd_file(&mut numbers);
        installed.0.write(format!("cases/{case}.passwd"), passwd);
        let nsswitch = nsswitch_file(&mut numbers);
        installed
            .0
            .write(format!("cases/{case}.nsswitch.conf"), nsswitch);
    }
    installed.0.write("passwd", "");
    installed.0.write("nsswitch.conf", "");
    let output = installed.with_files(&format!(
        r#"case=0
        while test $case -lt {CASES}; do
            for file in passwd nsswitch.conf; do cat cases/$case.$file >$file; done
            for name in u v uu; do
                theirs=$(getent passwd $name 2>/dev/null | {{ IFS=: read -r n p uid gid rest; echo $uid $gid; }})
                ours=$(bin/envuidgid $name sh -c 'echo $UID $GID')
                echo "$case $name:$ours:$theirs"
            done
            case=$((case + 1))
        done 2>&1"#
    ));
    let text = output.text();
    assert_eq!(text.lines().count(), 3 * CASES, "{output:?}");
    let mut certain = 0;
    for line in text.lines() {
        let words: Vec<&str> = line.split(':').collect();
        let [_, ours, theirs] = words[..] else {
            panic!("{line}");
        };
        if ours != "asked" {
            assert_eq!(ours, theirs, "{line}");
            certain += 1;
        }
    }
    // The cases are not all odd, and not all plain.
    assert!((CASES / 4..2 * CASES).contains(&certain), "{certain}");
}
