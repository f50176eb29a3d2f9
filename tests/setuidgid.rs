//! setuidgid: no privilege is kept; groups; numbers; calls that only claim to work.

use crate::harness::{Output, Scratch, Suite, finish, has, is_root};
use std::fs;
use std::process::Command;

/// The ids of an account that every Debian has.
const DAEMON: &str = "1";

fn setuidgid(scratch: &Scratch, arguments: &[&str]) -> Output {
    scratch.run(Suite::Static, "setuidgid", arguments)
}

/// `Uid`, `Gid`, `Groups` or `Cap...` as the next program sees it.
fn seen(output: &Output, what: &str) -> Vec<String> {
    let text = output.text();
    let line = text.lines().find(|line| line.starts_with(what));
    let line = line.unwrap_or_else(|| panic!("{what}: {output:?}"));
    let words = line.split_ascii_whitespace().skip(1);
    words.map(str::to_owned).collect()
}

/// The next program has no capability in any set.
fn assert_no_capability(output: &Output) {
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapAmb:"] {
        assert_eq!(seen(output, set), ["0000000000000000"], "{output:?}");
    }
}

/// setuidgid has said `why`, and the next program did not run.
fn assert_refused(output: &Output, why: &str) {
    let line = format!("setuidgid: fatal: {why}\n");
    assert_eq!((output.errors(), output.code), (line, 111));
    assert_eq!(output.text(), "");
}

#[test]
fn no_way_leads_back_to_root() {
    let test = "attempts to get back to root";
    if !is_root(test) || !has(test, &["perl"]) {
        return;
    }
    let scratch = Scratch::new();
    // Each call that could give something back, and what is left after all of them.
    let attempts = r#"
        require "syscall.ph" if 0;
        my %calls = (setuid => 105, setgid => 106, setreuid => 113, setregid => 114,
                     setgroups => 116, setresuid => 117, setresgid => 119,
                     setfsuid => 122, setfsgid => 123);
        my $kept = "";
        for my $name (sort keys %calls) {
            my @zeros = $name eq "setgroups" ? (1, pack("L", 0)) : (0, 0, 0);
            my $result = syscall($calls{$name}, @zeros);
            $kept .= " $name" if $result == 0 && $name !~ /fs/;
        }
        $kept .= " \$>" if $> != 1 || $< != 1;
        $kept .= " \$)" if "$(" ne "1 1" || "$)" ne "1 1";
        $kept .= " shadow" if open(F, "<", "/etc/shadow");
        $kept .= " chroot" if chroot("/");
        $kept .= " kill" if kill(0, 1);
        $kept .= " nice" if syscall(141, 0, 0, -20) == 0;
        open(F, "<", "/proc/self/status");
        for (<F>) { $kept .= " $_" if /^(Uid|Gid|Groups):/ && /\b0\b/; }
        print $kept eq "" ? "nothing\n" : "$kept\n";
    "#;
    if !cfg!(target_arch = "x86_64") {
        return;
    }
    let output = setuidgid(&scratch, &["daemon", "perl", "-e", attempts]);
    assert_eq!(output.text(), "nothing\n", "{output:?}");
    // That the attempts are real ones: root can do all of it.
    let output = finish({
        let mut command = scratch.command(Suite::Static, "perl");
        command.args(["-e", attempts]);
        command
    });
    for name in ["setresuid", "setgroups", "shadow", "chroot", "kill", "nice"] {
        assert!(output.text().contains(name), "{output:?}");
    }
}

#[test]
fn real_effective_saved_and_file_system_ids_are_all_changed() {
    if !is_root("the ids that setuidgid sets") {
        return;
    }
    let scratch = Scratch::new();
    let output = setuidgid(&scratch, &["daemon", "cat", "/proc/self/status"]);
    assert_eq!(output.code, 0, "{output:?}");
    assert_eq!(seen(&output, "Uid:"), [DAEMON; 4]);
    assert_eq!(seen(&output, "Gid:"), [DAEMON; 4]);
    assert_eq!(seen(&output, "Groups:"), [DAEMON]);
}

/// Runs setuidgid by a caller that `capsh` or `setpriv` has prepared.
fn prepared(scratch: &Scratch, before: &[&str], arguments: &[&str]) -> Output {
    let mut command = scratch.command(Suite::Static, before[0]);
    command.args(&before[1..]);
    command
        .arg(Suite::Static.program("setuidgid"))
        .args(arguments);
    finish(command)
}

#[test]
fn no_capability_and_no_group_is_kept_whatever_the_caller_prepared() {
    let test = "attempts to keep a capability";
    if !is_root(test) || !has(test, &["setpriv"]) {
        return;
    }
    let scratch = Scratch::new();
    let status = ["daemon", "cat", "/proc/self/status"];
    let callers: [&[&str]; 6] = [
        &["env"],
        &["setpriv", "--groups", "0,4,6,27"],
        // The kernel is told to leave capabilities alone when the user changes.
        &[
            "setpriv",
            "--securebits",
            "+no_setuid_fixup,+no_setuid_fixup_locked",
        ],
        &["setpriv", "--securebits", "+keep_caps_locked"],
        &["setpriv", "--inh-caps", "+net_bind_service,+sys_admin"],
        &[
            "setpriv",
            "--securebits",
            "+no_setuid_fixup",
            "--inh-caps",
            "+net_bind_service,+sys_admin,+setuid",
            "--ambient-caps",
            "+net_bind_service,+sys_admin,+setuid",
        ],
    ];
    for caller in callers {
        let output = prepared(&scratch, caller, &status);
        assert_eq!(seen(&output, "Uid:"), [DAEMON; 4], "{caller:?}");
        assert_eq!(seen(&output, "Groups:"), [DAEMON], "{caller:?}");
        assert_no_capability(&output);
    }
}

#[test]
fn a_capability_that_was_inheritable_does_not_come_back_by_a_file_that_asks_for_it() {
    let test = "attempts to inherit a capability";
    if !is_root(test) || !has(test, &["setpriv", "setcap"]) {
        return;
    }
    let scratch = Scratch::new();
    scratch.executable("asks", fs::read("/bin/cat").unwrap());
    fs::set_permissions(
        scratch.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let mut setcap = scratch.command(Suite::Reference, "setcap");
    setcap.args(["cap_net_raw+ei", "asks"]);
    let set = finish(setcap);
    if !crate::harness::skip_unless(test, set.code == 0, "no capabilities of files here") {
        return;
    }
    let caller = ["setpriv", "--inh-caps", "+net_raw"];
    let asks = ["./asks", "/proc/self/status"];
    // That the attempt is a real one: the file gives it to whom the kernel alone took it from.
    let setpriv = ["setpriv", "--reuid", "1", "--regid", "1", "--clear-groups"];
    let mut kept = scratch.command(Suite::Static, caller[0]);
    kept.args(&caller[1..]).args(setpriv).args(asks);
    assert_eq!(seen(&finish(kept), "CapEff:"), ["0000000000002000"]);
    let output = prepared(&scratch, &caller, &[&["daemon"], &asks[..]].concat());
    assert_no_capability(&output);
}

#[test]
fn one_who_may_only_change_ids_can_and_keeps_nothing() {
    let test = "setuidgid by ambient capabilities";
    if !is_root(test) || !has(test, &["setpriv"]) {
        return;
    }
    let scratch = Scratch::new();
    let copy = Scratch::new();
    for name in ["setuidgid", "daemontools-rs-nss"] {
        let program = fs::read(Suite::Static.program(name)).unwrap();
        copy.executable(name, program);
    }
    let mut command = scratch.command(Suite::Static, "setpriv");
    command.args(["--reuid", "64123", "--regid", "64123", "--clear-groups"]);
    command.args(["--inh-caps", "+setuid,+setgid,+net_raw"]);
    command.args(["--ambient-caps", "+setuid,+setgid,+net_raw"]);
    command.arg(copy.at("setuidgid"));
    command.args(["daemon", "cat", "/proc/self/status"]);
    let output = finish(command);
    assert_eq!(seen(&output, "Uid:"), [DAEMON; 4]);
    assert_no_capability(&output);
}

#[test]
fn a_call_that_claims_to_work_but_does_not_is_found_out() {
    let test = "system calls that do nothing";
    if !is_root(test) || !has(test, &["strace", "setpriv"]) {
        return;
    }
    let scratch = Scratch::new();
    let run = |call: &str, result: &str| {
        let (trace, inject) = (format!("trace={call}"), format!("inject={call}:{result}"));
        // So that there is a group to lose.
        let groups = ["setpriv", "--groups", "0,4"];
        let strace = ["strace", "-o", "trace", "-e", &trace, "-e", &inject];
        let caller = [&groups[..], &strace].concat();
        prepared(&scratch, &caller, &["daemon", "echo", "ran"])
    };
    for (call, complaint) in [
        ("setgroups", "unable to setgid: permission denied"),
        ("setresgid", "unable to setgid: permission denied"),
        ("setresuid", "unable to setuid: permission denied"),
    ] {
        let output = run(call, "retval=0");
        assert_refused(&output, complaint);
    }
    for (call, doing) in [
        ("setgroups", "setgid"),
        ("setresgid", "setgid"),
        ("setresuid", "setuid"),
        ("capget", "setuid"),
    ] {
        let output = run(call, "error=ENOMEM");
        assert_refused(&output, &format!("unable to {doing}: out of memory"));
    }
}

/// Runs `script` where /etc/passwd, /etc/group and /etc/nsswitch.conf are its own.
fn with_accounts(scratch: &Scratch, script: &str) -> Output {
    scratch.write(
        "passwd",
        "root:x:0:0::/:/bin/sh\nwebmaster:x:4242:4243::/:/bin/sh\n1000:x:5000:5001::/:/bin/sh\n\
         -s:x:7000:7000::/:/bin/sh\nlost:x:x:y::/:/bin/sh\n\
         last:x:4294967295:5::/:/bin/sh\nlastgroup:x:5:4294967295::/:/bin/sh\n",
    );
    let members: String = (0..300)
        .map(|n| format!("many{n}:x:{}:webmaster\n", 10_000 + n))
        .collect();
    scratch.write(
        "group",
        format!("root:x:0:\nweb:x:4243:\nssl:x:4300:webmaster,other\n2000:x:6000:\n{members}"),
    );
    scratch.write("nsswitch.conf", "passwd: files\ngroup: files\n");
    let mut command = scratch.command(Suite::Static, "unshare");
    let mount = "for file in passwd group nsswitch.conf; do mount --bind $file /etc/$file; done";
    command.args(["--mount", "sh", "-c", &format!("{mount}\n{script}")]);
    finish(command)
}

#[test]
fn an_accounts_groups_are_taken_only_if_asked_for() {
    let test = "setuidgid -s";
    if !is_root(test) || !has(test, &["unshare"]) {
        return;
    }
    let scratch = Scratch::new();
    let output = with_accounts(&scratch, "setuidgid -s webmaster cat /proc/self/status");
    assert_eq!(seen(&output, "Uid:"), ["4242"; 4]);
    assert_eq!(seen(&output, "Gid:"), ["4243"; 4]);
    let groups = seen(&output, "Groups:");
    assert_eq!(groups.len(), 302, "{groups:?}");
    assert_eq!(groups[..2], ["4243", "4300"]);
    let output = with_accounts(&scratch, "setuidgid webmaster cat /proc/self/status");
    assert_eq!(seen(&output, "Groups:"), ["4243"]);
}

#[test]
fn a_group_or_numbers_can_be_given_where_there_is_no_such_account() {
    let test = "setuidgid account:group";
    if !is_root(test) || !has(test, &["unshare"]) {
        return;
    }
    let scratch = Scratch::new();
    for (account, uid, gid, groups) in [
        ("webmaster:ssl", "4242", "4300", "4300"),
        ("webmaster:77", "4242", "77", "77"),
        ("webmaster:2000", "4242", "6000", "6000"),
        ("88:99", "88", "99", "99"),
        (":88:99", "88", "99", "99"),
        ("1000:web", "5000", "4243", "4243"),
        (":1000:2000", "1000", "2000", "2000"),
        ("1000", "5000", "5001", "5001"),
        (":88:0", "88", "0", "0"),
    ] {
        let output = with_accounts(
            &scratch,
            &format!("setuidgid {account} cat /proc/self/status"),
        );
        assert_eq!(seen(&output, "Uid:"), [uid; 4], "{account}");
        assert_eq!(seen(&output, "Gid:"), [gid; 4], "{account}");
        assert_eq!(seen(&output, "Groups:"), [groups], "{account}");
    }
    let output = with_accounts(&scratch, "setuidgid -s webmaster:ssl cat /proc/self/status");
    assert_eq!(seen(&output, "Gid:"), ["4300"; 4]);
    assert_eq!(seen(&output, "Groups:").len(), 301);
}

#[test]
fn what_names_nobody_runs_nothing() {
    let scratch = Scratch::new();
    for account in [
        "",
        ":",
        "::",
        ":1",
        ":1:",
        "::1",
        "daemon:",
        "daemon:nosuch",
        "nosuch:daemon",
        ":4294967295:1",
        ":1:4294967295",
        "4294967295:4294967295",
        ":-1:-1",
        ":4294967296:0",
        ":0x1:1",
        ": 1:1",
        "1",
        "+1:1",
        "daemon:daemon:daemon",
        "daemon\n",
        "../daemon",
    ] {
        let output = setuidgid(&scratch, &[account, "echo", "ran"]);
        assert_refused(&output, &format!("unknown account {account}"));
    }
}

#[test]
fn a_user_database_that_cannot_be_asked_is_no_unknown_account() {
    let test = "a user database that fails";
    if !is_root(test) || !has(test, &["strace", "unshare"]) {
        return;
    }
    let scratch = Scratch::new();
    let line = "exec strace -o trace -P /etc/passwd -e trace=openat \
                -e inject=openat:error=EMFILE setuidgid daemon echo ran";
    let output = with_accounts(&scratch, line);
    assert_refused(
        &output,
        "unable to look up account daemon: process cannot open more files",
    );
}

#[test]
fn a_group_database_that_cannot_be_asked_is_none_without_the_account() {
    let test = "a group database that fails";
    if !is_root(test) || !has(test, &["strace", "unshare"]) {
        return;
    }
    let scratch = Scratch::new();
    let line = "exec strace -o trace -P /etc/group -e trace=openat \
                -e inject=openat:error=EMFILE setuidgid -s webmaster echo ran";
    let output = with_accounts(&scratch, line);
    assert_refused(
        &output,
        "unable to look up groups of webmaster: process cannot open more files",
    );
}

#[test]
fn more_groups_than_a_process_can_have_are_refused() {
    let test = "more than 65536 groups";
    if !is_root(test) || !has(test, &["unshare"]) {
        return;
    }
    let scratch = Scratch::new();
    let members: String = (0..65_536)
        .map(|n| format!("many{n}:x:{}:webmaster\n", 100_000 + n))
        .collect();
    scratch.write("members", members);
    let line = "mount --bind members /etc/group; exec setuidgid -s webmaster echo ran";
    let output = with_accounts(&scratch, line);
    assert_refused(
        &output,
        "unable to look up groups of webmaster: invalid argument",
    );
}

#[test]
fn an_id_that_the_system_takes_for_none_is_refused() {
    let test = "the id 4294967295";
    if !is_root(test) || !has(test, &["unshare", "setuidgid"]) {
        return;
    }
    let scratch = Scratch::new();
    for (account, doing) in [("last", "setuid"), ("lastgroup", "setgid")] {
        for program in ["setuidgid", "/usr/bin/setuidgid"] {
            let output = with_accounts(&scratch, &format!("exec {program} {account} echo ran"));
            assert_refused(&output, &format!("unable to {doing}: invalid argument"));
        }
    }
}

#[test]
fn an_option_needs_an_account_and_a_program_too() {
    let scratch = Scratch::new();
    for arguments in [&["-s"][..], &["-s", "daemon"]] {
        let output = setuidgid(&scratch, arguments);
        assert_eq!(
            output.errors(),
            "setuidgid: usage: setuidgid account child\n"
        );
        assert_eq!(output.code, 100);
    }
}

#[test]
fn in_a_user_namespace_without_groups_it_refuses() {
    let test = "setuidgid in a user namespace";
    let mut probe = Command::new("unshare");
    let works = probe
        .args(["-Ur", "true"])
        .status()
        .is_ok_and(|status| status.success());
    if !crate::harness::skip_unless(test, works, "no user namespaces here") {
        return;
    }
    let scratch = Scratch::new();
    // There setgroups(2) is forbidden, and no other id exists.
    let output = prepared(&scratch, &["unshare", "-Ur"], &["daemon", "echo", "ran"]);
    assert_refused(&output, "unable to setgid: permission denied");
}
