//! The run-script tools: the same shell lines with both suites' programs, as root
//! and as an ordinary user. What they print, how they end, and what the next
//! program sees of its ids, limits, environment, descriptors and signals must be
//! the same.

use crate::harness::{MARK, Output, Scratch, Suite, finish, has, linked_statically};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

const TOOLS: [&str; 7] = [
    "setuidgid",
    "envuidgid",
    "envdir",
    "softlimit",
    "setlock",
    "fghack",
    "pgrphack",
];

/// What stands in the current directory of every line.
const PREPARE: &str = r"
umask 022
mkdir e empty mixed equals blanks nul bad dots sub big
printf one > e/A; printf 'two\nmore\n' > e/B; : > e/C; printf '\n' > e/D
printf 'a b \t ' > mixed/T; printf '  lead' > mixed/L; printf 'cr\r\n' > mixed/R
printf '\377\376' > mixed/U; printf 'x=y=z' > mixed/E; ln -s nowhere mixed/G; printf 'v' > mixed/lower
printf eq > 'equals/K=L'; : > 'equals/M=N'; printf v > equals/=X; : > equals/=Y
printf '   \t ' > blanks/S; printf '\t' > blanks/T; printf ' \n' > blanks/V
printf 'tail\t \000' > nul/A; printf 'a\000b\000' > nul/B; printf '\000' > nul/C; printf 'x\000  \n' > nul/D; printf '\000\n' > nul/E
mkdir bad/X
printf v > dots/.hidden; printf v > dots/..two; printf v > dots/ok; mkdir dots/.dir
mkfifo sub/F
head -c 131000 /dev/zero | tr '\0' x > big/V
printf '#!/bin/sh\necho fine $#: $*\n' > fine; chmod 755 fine
printf 'echo no shebang\n' > plain; chmod 755 plain
printf '#!/nosuch/interpreter\n' > noint; chmod 755 noint
printf 'x' > notx; mkdir dir; printf x > file
";

/// One next program each, for what is the same for all tools. `$T` is the tool
/// with what it needs before the next program.
const NEXT: [&str; 24] = [
    "$T true",
    "$T false",
    "$T sh -c 'exit 7'",
    "$T nosuchprogram",
    "$T ./nosuch",
    "$T /nosuch/x",
    "$T ''",
    "$T ./fine a 'b  c' ''",
    "$T ./plain",
    "$T ./noint",
    "$T ./notx",
    "$T ./dir",
    "$T dir",
    "$T /",
    "$T file/x",
    "PATH=$PWD:$PATH $T fine x",
    "PATH=$PWD:$PATH $T notx x",
    "PATH=:$PATH $T fine x",
    "PATH=$PATH: $T fine x",
    "PATH=$PWD/file:$PATH $T true",
    "PATH=/nosuch:$PATH $T true",
    "$T sh -c 'grep ^Sig /proc/$$/status | grep -v SigQ'",
    "(trap '' HUP PIPE CHLD USR1; $T sh -c 'grep ^SigIgn /proc/$$/status')",
    "$T printf '%s|' a '' \"$(printf 'b\\377')\" -x --",
];

/// What the tools need before the next program.
const BEFORE: [&str; 7] = [
    "envuidgid daemon",
    "envdir e",
    "softlimit",
    "softlimit -o 50",
    "setlock lock",
    "fghack",
    "pgrphack",
];

const LINES: [&str; 151] = [
    // Called wrongly.
    "setuidgid",
    "setuidgid daemon",
    "envuidgid",
    "envuidgid daemon",
    "envdir",
    "envdir e",
    "softlimit",
    "softlimit -m",
    "softlimit -m 5",
    "softlimit -Z true",
    "softlimit -m 1000 -Z true",
    "softlimit -- -m",
    "softlimit -",
    "softlimit - true",
    "softlimit -o 5 --true true",
    "setlock",
    "setlock lock",
    "setlock -q lock true; ls",
    "setlock -nq lock true; ls",
    "setlock -n- lock true; ls",
    "setlock -- lock echo yes; ls",
    "setlock - echo yes; ls",
    "setlock --anything lock echo yes",
    "fghack",
    "pgrphack",
    "envdir -- e true",
    "pgrphack -- true",
    "fghack -- true",
    "/usr/bin/env -i softlimit -Z true",
    // Accounts.
    "setuidgid nosuch true",
    "setuidgid '' true",
    "setuidgid 0 true",
    "setuidgid 65534 true",
    "setuidgid -- daemon true",
    "setuidgid 'daemon ' true",
    "setuidgid \"$(printf 'd\\377')\" true",
    "setuidgid nosuch:nosuch true",
    "setuidgid daemon: true",
    "setuidgid : true",
    "setuidgid :x:y true",
    "setuidgid daemon sh -c 'grep -E \"^(Uid|Gid|Groups|Cap)\" /proc/$$/status'",
    "setuidgid root sh -c 'grep -E \"^(Uid|Gid|Groups|Cap)\" /proc/$$/status'",
    "setuidgid nobody sh -c 'id -u; id -g; id -G'",
    "setuidgid daemon env | grep -av ^PATH | sort",
    "setuidgid daemon ./fine x",
    "setuidgid daemon nosuchprogram",
    "mkdir -m 700 closed; cp fine closed/s; PATH=$PWD/closed:$PATH setuidgid daemon s",
    "setuidgid daemon setuidgid nobody true",
    "setuidgid daemon setuidgid daemon true",
    "envuidgid nosuch true",
    "envuidgid 0 true",
    "envuidgid daemon env | grep -av ^PATH | sort",
    "envuidgid daemon sh -c 'echo $UID $GID'",
    "envuidgid root sh -c 'echo $UID $GID'",
    "UID=x GID=y A=b envuidgid nobody env | grep -av ^PATH",
    "env -i UID=1 UID2=2 XUID=3 GID=4 $(command -v envuidgid) nobody /usr/bin/env",
    "envuidgid daemon sh -c 'grep -E \"^(Uid|Gid|Groups)\" /proc/$$/status'",
    "envuidgid nobody envuidgid daemon sh -c 'echo $UID $GID'",
    // Environments.
    "envdir e env | grep -av ^PATH | sort",
    "A=x B=y C=z D=w E=v envdir e env | grep -av ^PATH | sort",
    "T=x envdir mixed env | grep -av ^PATH | sort",
    "K=old M=old X=old envdir equals env | grep -av ^PATH | sort",
    "env -i =X=1 =Y=2 \"$(command -v envdir)\" equals /usr/bin/env | sort",
    "S=x T=y V=z envdir blanks env | grep -av ^PATH | sort",
    "envdir nul env | grep -av ^PATH | sort",
    "envdir bad true",
    "envdir bad nosuchprogram",
    "ok=no envdir dots env | grep -av ^PATH | sort",
    "F=x envdir sub env | grep -av ^PATH | sort",
    "envdir big sh -c 'echo ${#V}'",
    "head -c 200000 /dev/zero | tr '\\0' x > big/W; envdir big true",
    "{ printf v; head -c 200000 /dev/zero | tr '\\0' ' '; } > big/W; envdir big sh -c 'echo \"[$W]\"'",
    "{ printf 'v\\n'; head -c 200000 /dev/zero; } > big/W; envdir big sh -c 'echo \"[$W]\"'",
    "head -c 4096 /dev/zero | tr '\\0' y > e/P; { cat e/P; echo; echo x; } > e/Q; envdir e sh -c 'echo ${#P} ${#Q}'",
    "envdir empty env | grep -av ^PATH | sort",
    "envdir nosuch true",
    "envdir '' true",
    "envdir file true",
    "envdir file/x true",
    "ln -s loop loop; envdir loop true",
    "ln -s e link; envdir link sh -c 'echo $A'",
    "ln -s loop e/Z; ln -s loop loop; envdir e true",
    "envdir \"$(head -c 300 /dev/zero | tr '\\0' x)\" true",
    "envdir e pwd | grep -c .",
    "envdir e sh -c 'test -e e && echo same directory'",
    "mkdir d; printf /nosuch > d/PATH; envdir d echo still found",
    "mkdir d; : > d/PATH; envdir d echo still found",
    "mkdir d; printf x > d/$(printf '\\377'); envdir d env | grep -av ^PATH",
    "mkdir d; printf x > 'd/a b'; printf y > \"d/$(printf 'n\\nl')\"; envdir d env | grep -av ^PATH | sort",
    "env -i A=1 A=2 noequals \"$(command -v envdir)\" e /usr/bin/env",
    "envdir e envdir mixed sh -c 'echo $A $T'",
    "envdir . sh -c 'echo $notx'; rm -r [a-d]* e* m* n[u-z]* s*; envdir . sh -c 'echo $notx $file'",
    "mkdir d; ln d/../file d/v; envdir d sh -c 'echo $v'",
    "mkdir d; ln -s /dev/null d/v; v=x envdir d sh -c 'echo ${v-unset}'",
    "exec <&-; envdir e sh -c 'echo $A; ls /proc/$$/fd'",
    // Limits.
    "softlimit -o 100 sh -c 'ulimit -Sn; ulimit -Hn'",
    "softlimit -o100 sh -c 'ulimit -Sn'",
    "softlimit -o 100 -o 90 sh -c 'ulimit -Sn'",
    "softlimit -o = sh -c 'ulimit -Sn; ulimit -Hn'",
    "softlimit -o= sh -c 'ulimit -Sn'",
    "softlimit -o == true",
    "softlimit -o 99999999999 sh -c 'ulimit -Sn'",
    "(ulimit -n 200; softlimit -o 300 sh -c 'ulimit -Sn; ulimit -Hn')",
    "(ulimit -Sn 200; softlimit -o 300 sh -c 'ulimit -Sn')",
    "softlimit -o 18446744073709551616 sh -c 'ulimit -n'",
    "softlimit -c 18446744073709551615 cat /proc/self/limits",
    "softlimit -c 18446744073709551614 cat /proc/self/limits",
    "softlimit -c 18446744073709551617 cat /proc/self/limits",
    "softlimit -a 1000000000 cat /proc/self/limits",
    "softlimit -c 5 cat /proc/self/limits",
    "softlimit -d 1000000000 cat /proc/self/limits",
    "softlimit -f 12345 cat /proc/self/limits",
    "softlimit -l 4096 cat /proc/self/limits",
    "softlimit -m 1000000000 cat /proc/self/limits",
    "softlimit -p 1000 cat /proc/self/limits",
    "softlimit -r 123456 cat /proc/self/limits",
    "softlimit -s 1000000 cat /proc/self/limits",
    "softlimit -t 100 cat /proc/self/limits",
    "softlimit -a = -c = -d = -f = -l = -m = -o = -p = -r = -s = -t = cat /proc/self/limits",
    "softlimit -a500000000 -c0 -d400000000 -f1000000 -l8192 -o64 -p500 -r5 -s2000000 -t60 cat /proc/self/limits",
    "softlimit -c0o64 true",
    "softlimit -m - true",
    "softlimit -m -5 true",
    "softlimit -m 12x true",
    "softlimit -m 0x10 true",
    "softlimit -m ' 5' true",
    "softlimit -m '5 ' true",
    "softlimit -c '' cat /proc/self/limits",
    "softlimit -m 12x -Z true",
    "softlimit -t 1 sh -c 'while :; do :; done'",
    "softlimit -f 10 sh -c 'echo 12345678901234567890 > out'; cat out",
    "softlimit -o 3 sh -c 'cat file'",
    "softlimit -a 0 true",
    "softlimit -d 0 -s 0 true",
    "softlimit -m '' true",
    "softlimit -m 100 true",
    "SOFTLIMIT_OPENFILES=33 softlimit sh -c 'ulimit -n'",
    "softlimit -o 100 softlimit -o 200 softlimit -c 1 cat /proc/self/limits",
    "softlimit -s 200000 true \"$(head -c 100000 /dev/zero | tr '\\0' x)\"",
    // Locks.
    "setlock lock ls -l lock | cut -c1-10",
    "setlock lock sh -c 'echo held > /dev/null; setlock -n lock true'",
    "setlock lock sh -c 'setlock -nx lock echo never'",
    "setlock lock sh -c 'setlock -nxX lock true'",
    "setlock lock sh -c 'setlock -nXx lock true'",
    "setlock nosuch/lock true",
    "setlock -x nosuch/lock true",
    "setlock -xn dir true",
    "setlock '' true",
    "setlock -n lock setlock -n lock true",
    "setlock -nN lock echo yes; setlock -xN lock false",
    "setlock lock sh -c 'for fd in /proc/$$/fd/*; do echo ${fd##*/}; done'",
];

const MORE: [&str; 47] = [
    "mkfifo p; setlock -n p true",
    "printf keep > l; setlock l cat l",
    "setlock -x lock nosuchprogram",
    "setlock lock setlock other sh -c 'setlock -n lock true; setlock -n other true'",
    "setlock lock sh -c 'sleep 1000 >&- 2>&- & echo $! > pid'; setlock -n lock true; kill $(cat pid); setlock lock echo free",
    "chmod 0 file; setlock file echo yes; chmod 644 file",
    // Into the background.
    "fghack sh -c 'exit 4'",
    "fghack sh -c 'kill -9 $$'",
    "fghack sh -c 'sleep .2 & exit 4'",
    "fghack sh -c 'sh -c \"sleep .2; echo late\" & exit 0'; echo after",
    "fghack sh -c 'sh -c \"sleep .2; kill -9 \\$\\$\" & exit 3'",
    "fghack sh -c 'for fd in /proc/$$/fd/*; do echo ${fd##*/}; done'",
    "fghack sh -c 'for fd in /proc/$$/fd/*; do readlink $fd; done' 3</dev/null | sed 's/[0-9]\\+//' | sort | uniq -c",
    "(ulimit -n 20; fghack sh -c 'for fd in /proc/$$/fd/*; do echo ${fd##*/}; done')",
    "fghack sh -c 'echo chatter >&5; exec 3>&-; echo out'",
    "fghack sh -c 'cat' < file",
    "fghack fghack sh -c 'exit 5'",
    "exec <&-; fghack sh -c 'exit 5'",
    // Sessions.
    "pgrphack sh -c 'set -- $(cat /proc/$$/stat); test $1 = $5 && test $1 = $6 && echo leads'",
    "sh -c 'set -- $(cat /proc/$$/stat); test $1 = $5 || exec pgrphack sh -c \"kill -0 -\\$\\$ && echo leads\"'",
    "pgrphack pgrphack sh -c 'set -- $(cat /proc/$$/stat); test $1 = $5 && echo leads'",
    // Chains.
    "envdir e softlimit -o 100 setlock -n l sh -c 'echo $A; ulimit -n; setlock -n l true'",
    "setuidgid daemon envdir e softlimit -o 100 sh -c 'id -u; echo $A; ulimit -n'",
    "pgrphack envuidgid daemon softlimit -c 0 envdir mixed sh -c 'echo $UID; ulimit -c'",
    "setuidgid daemon setlock closedlock true",
    "umask 077; setlock l stat -c %a l",
    "softlimit -o 8 setlock l envdir e true",
    // Odd ones.
    "chmod 0 e/A; envdir e true",
    "chmod 100 e; envdir e true; chmod 755 e",
    "chmod 400 e; envdir e true; chmod 755 e",
    "chmod 0 e; envdir e true; chmod 755 e",
    "mkfifo e/F; exec 5<>e/F; envdir e true",
    "perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => \"e/S\", Listen => 1)'; envdir e true",
    "softlimit -o 4 setlock l true",
    "softlimit -t 00000000000000000000000000000000005 sh -c 'ulimit -St'; softlimit -t 340282366920938463463374607431768211461 sh -c 'ulimit -St'",
    "ulimit -c 5; softlimit -c = cat /proc/self/limits; softlimit -c 100 cat /proc/self/limits",
    "perl -e 'exec { shift @ARGV } \"\", \"-Q\"' \"$(command -v softlimit)\"",
    "perl -e 'exec { shift @ARGV } \"x/\", \"-Q\"' \"$(command -v setlock)\"",
    "perl -e 'exec { shift @ARGV } \"svc\", \"echo\", \"x\"' \"$(command -v pgrphack)\"",
    "env -i \"$(command -v softlimit)\" echo x; env -i PATH= \"$(command -v softlimit)\" true",
    "exec 2>&-; softlimit -Q; echo $?",
    "softlimit -a 0 nosuch; softlimit -d 0 nosuch",
    "for t in softlimit pgrphack fghack 'envdir e' 'envuidgid daemon' 'setlock l'; do softlimit -s 1000000 $t true $(seq 1 50000); echo $?; done",
    "mkdir d; for n in $(seq 1 30); do head -c 120000 /dev/zero | tr '\\0' x > d/B$n; done; envdir d true",
    "ln -s lock2 lock; setlock lock ls; ln -s loop loop; setlock loop true; setlock -x loop true",
    "setuidgid \"$(head -c 100000 /dev/zero | tr '\\0' x)\" true",
    "perl -e 'use POSIX; sigprocmask(SIG_BLOCK, POSIX::SigSet->new(SIGTERM, SIGCHLD)); exec @ARGV' fghack grep ^SigBlk /proc/self/status",
];

/// Copies of our programs that everybody may execute: the checkout may be closed
/// to others.
struct Programs(Scratch);

impl Programs {
    fn of(suite: Suite) -> Programs {
        let scratch = Scratch::new();
        let program = |name| fs::read(suite.program(name)).unwrap();
        scratch.executable("daemontools-rs-nss", program("daemontools-rs-nss"));
        scratch.executable(TOOLS[0], program(TOOLS[0]));
        for tool in &TOOLS[1..] {
            fs::hard_link(scratch.at(TOOLS[0]), scratch.at(tool)).unwrap();
        }
        Programs(scratch)
    }

    fn run(&self, suite: Suite, line: &str, as_user: bool) -> Output {
        let scratch = Scratch::new();
        let directory = match suite {
            Suite::Ours | Suite::Static => self.0.path(),
            Suite::Reference => Path::new("/usr/bin"),
        };
        // Ours must not be mixed with what Debian has under the same names.
        let path = format!("{}:/usr/bin:/bin", directory.to_str().unwrap());
        let mut command = scratch.command(suite, "/bin/sh");
        if as_user && fs::metadata(scratch.path()).unwrap().uid() == 0 {
            std::os::unix::fs::chown(scratch.path(), Some(USER), Some(USER)).unwrap();
            let mode = fs::Permissions::from_mode(0o755);
            fs::set_permissions(scratch.path(), mode).unwrap();
            command = scratch.command(suite, "/usr/bin/setpriv");
            let user = format!("{USER}");
            command.args([
                "--reuid",
                &user,
                "--regid",
                &user,
                "--clear-groups",
                "/bin/sh",
            ]);
        }
        let script = format!("set -e\n{PREPARE}\nset +e\n{line}");
        command.args(["-c", &script]).env_clear().env("PATH", path);
        command.env(MARK, scratch.path());
        let mut output = finish(command);
        for stream in [&mut output.out, &mut output.err] {
            blank(stream, scratch.path());
            blank(stream, directory);
        }
        output
    }

    fn compare(&self, lines: &[String], as_user: bool) {
        assert!(lines.len() > 30, "{lines:?}");
        let mut differences = Vec::new();
        for line in lines {
            let reference = self.run(Suite::Reference, line, as_user);
            let ours = self.run(Suite::Ours, line, as_user);
            let ends_early = reference.errors().contains("Syntax error");
            assert!(!ends_early, "{line}: {reference:?}");
            if reference != ours {
                differences.push(format!("=== {line}\n{reference:?}\n{ours:?}"));
            }
        }
        assert!(
            differences.is_empty(),
            "{} of {} lines differ from the reference\n{}",
            differences.len(),
            lines.len(),
            differences.join("\n")
        );
    }
}

/// Replaces each `path` in `stream`.
fn blank(stream: &mut Vec<u8>, path: &Path) {
    let text = path.to_str().unwrap().as_bytes();
    while let Some(at) = stream.windows(text.len()).position(|part| part == text) {
        stream.splice(at..at + text.len(), *b"PATH");
    }
}

/// A user that owns nothing.
const USER: u32 = 64_123;

fn lines() -> Vec<String> {
    let next = BEFORE
        .iter()
        .flat_map(|before| NEXT.iter().map(move |next| next.replace("$T", before)));
    let own = LINES.iter().chain(&MORE).map(|line| (*line).to_owned());
    own.chain(next).collect()
}

#[test]
fn the_run_script_tools_do_what_the_reference_does() {
    if has("the comparison of the run-script tools", &TOOLS) {
        Programs::of(Suite::Ours).compare(&lines(), false);
    }
}

#[test]
fn the_run_script_tools_do_what_the_reference_does_for_an_ordinary_user() {
    let test = "the comparison of the run-script tools as an ordinary user";
    if has(test, &TOOLS) && has(test, &["setpriv"]) && crate::harness::is_root(test) {
        Programs::of(Suite::Ours).compare(&lines(), true);
    }
}

#[test]
fn setuidgid_and_envuidgid_do_what_the_reference_does_as_they_are_installed() {
    let test = "the comparison of setuidgid and envuidgid";
    if !has(test, &TOOLS) || linked_statically(test).is_none() {
        return;
    }
    let programs = Programs::of(Suite::Static);
    let mut lines = lines();
    lines.retain(|line| line.contains("uidgid"));
    programs.compare(&lines, false);
    if has(test, &["setpriv"]) && crate::harness::is_root(test) {
        programs.compare(&lines, true);
    }
}
