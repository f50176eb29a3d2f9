//! svstat beyond the original: all services, bare names, and a status that cannot be read.

use crate::harness::{
    Scratch, Suite, WAITS, finish, has, is_root, shell, supervise, two_of_a_name, wait_until,
    with_svdir,
};
use std::fs;
use std::process::Command;

#[test]
fn a_bare_name_that_is_not_here_is_looked_up_in_svdir_and_shown_with_its_path() {
    let scratch = Scratch::new();
    let _supervises = two_of_a_name(&scratch);
    let names = ["a", "b", "nothing"];
    let output = with_svdir(&scratch, "elsewhere", "svstat", &names);
    assert_eq!((output.code, output.errors()), (0, String::new()));
    let text = output.text();
    let lines: Vec<&str> = text.lines().collect();
    let place = scratch.at("services").display().to_string();
    assert!(lines[0].starts_with(&format!("{place}/a: down ")), "{text}");
    assert!(lines[1].starts_with(&format!("{place}/b: down ")), "{text}");
    assert_eq!(lines[2], "nothing: unable to chdir: file does not exist");
}

#[test]
fn a_name_that_is_here_is_not_looked_up_whatever_it_is() {
    let scratch = Scratch::new();
    let mut supervises = two_of_a_name(&scratch);
    drop(supervises.remove(0));
    shell(
        &scratch,
        "ln -s gone dangling; ln -s loop loop; mkdir -p services/dangling services/loop",
    );
    let names = ["a", "b", "dangling", "loop", "./nothing", "services/a/log"];
    let output = with_svdir(&scratch, "", "svstat", &names);
    let expected = "a: supervise not running\n\
        b: unable to chdir: not a directory\n\
        dangling: unable to chdir: file does not exist\n\
        loop: unable to chdir: symbolic link loop\n\
        ./nothing: unable to chdir: file does not exist\n\
        services/a/log: unable to chdir: file does not exist\n";
    assert_eq!(output.text(), expected);
}

#[test]
fn a_relative_svdir_is_one_from_here_for_each_name_and_an_empty_one_is_none() {
    let scratch = Scratch::new();
    let _supervises = two_of_a_name(&scratch);
    let svstat = |svdir: &str, names: &[&str]| {
        let mut command = scratch.command(Suite::Ours, Suite::Ours.program("svstat"));
        command.current_dir(scratch.at("elsewhere")).args(names);
        command.env("SVDIR", svdir);
        finish(command).text()
    };
    let text = svstat("../services", &["a", "b"]);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("../services/a: down "), "{text}");
    assert!(lines[1].starts_with("../services/b: down "), "{text}");
    let nowhere = "no-such-service: unable to chdir: file does not exist\n";
    assert_eq!(svstat("", &["no-such-service"]), nowhere);
}

#[test]
fn without_a_name_all_services_of_svdir_and_their_logs_are_shown_in_order() {
    let scratch = Scratch::new();
    let names = [
        "services/b",
        "services/b/log",
        "services/a",
        "services/.hidden",
        "store/c",
    ];
    for name in names {
        scratch.service(name, WAITS);
        scratch.write(format!("{name}/down"), "");
    }
    shell(
        &scratch,
        "ln -s ../store/c services/c; ln -s nothing services/d; touch services/file services/a/log",
    );
    let _supervise = supervise(&scratch, "services/b");
    let _log = supervise(&scratch, "services/b/log");
    let output = with_svdir(&scratch, "", "svstat", &[]);
    assert_eq!((output.code, output.errors()), (0, String::new()));
    let text = output.text();
    let place = scratch.at("services").display().to_string();
    let lines: Vec<&str> = text
        .lines()
        .map(|line| line.strip_prefix(&place).unwrap())
        .collect();
    let never = "unable to open supervise/ok: file does not exist";
    assert_eq!(lines[0], format!("/a: {never}"));
    assert!(lines[1].starts_with("/b: down "), "{text}");
    assert!(lines[2].starts_with("/b/log: down "), "{text}");
    assert_eq!(lines[3], format!("/c: {never}"));
    assert_eq!(lines.len(), 4);
}

#[test]
fn without_a_name_an_svdir_that_is_not_there_is_told_and_an_empty_one_is_empty() {
    let scratch = Scratch::new();
    let output = with_svdir(&scratch, "", "svstat", &[]);
    let place = scratch.at("services");
    let expected = format!(
        "svstat: fatal: unable to read {}: file does not exist\n",
        place.display()
    );
    assert_eq!((output.code, output.errors()), (111, expected));
    assert_eq!(output.text(), "");
    scratch.mkdir("services");
    let output = with_svdir(&scratch, "", "svstat", &[]);
    assert_eq!(
        (output.code, output.text(), output.errors()),
        Default::default()
    );
}

#[test]
fn a_status_that_cannot_be_read_is_told() {
    let scratch = Scratch::new();
    scratch.service("a", WAITS);
    scratch.mkdir("a/supervise/status");
    let _supervise = supervise(&scratch, "a");
    let output = scratch.run(Suite::Ours, "svstat", &["a"]);
    assert_eq!(
        output.text(),
        "a: unable to read supervise/status: is a directory\n"
    );
    assert_eq!((output.code, output.errors()), (0, String::new()));
    shell(&scratch, "rmdir a/supervise/status");
    assert_eq!(
        scratch.svstat("a"),
        "unable to open supervise/status: file does not exist"
    );
}

/// Appends a thousand names to `command`; gives what svstat says of them.
fn a_thousand_names(command: &mut Command) -> String {
    let names: Vec<String> = (0..1000)
        .map(|number| format!("nothing-{number}"))
        .collect();
    command.args(&names);
    names
        .iter()
        .map(|name| format!("{name}: unable to chdir: file does not exist\n"))
        .collect()
}

#[test]
fn a_thousand_names_are_all_shown() {
    let scratch = Scratch::new();
    let mut command = scratch.command(Suite::Ours, Suite::Ours.program("svstat"));
    let expected = a_thousand_names(&mut command);
    assert_eq!(finish(command).text(), expected);
}

#[test]
fn when_nobody_reads_all_of_a_long_list_no_process_stays() {
    let scratch = Scratch::new();
    let svstat = Suite::Ours.program("svstat");
    let mut command = scratch.command(Suite::Ours, "sh");
    // What the half of them says is more than a pipe holds.
    command.args(["-c", "\"$@\" | head -n 1", "sh"]).arg(svstat);
    let name = "n".repeat(200);
    command.args((0..1000).map(|number| format!("{name}{number}")));
    assert_eq!(finish(command).text().lines().count(), 1);
    wait_until("all are gone", || scratch.processes().is_empty());
}

#[test]
fn where_no_process_can_be_had_for_half_of_them_all_are_shown() {
    let test = "where_no_process_can_be_had_for_half_of_them_all_are_shown";
    if !has(test, &["strace"]) {
        return;
    }
    let scratch = Scratch::new();
    let mut command = scratch.command(Suite::Ours, "strace");
    command.args(["-o", "calls", "-e", "inject=clone,clone3:error=EAGAIN"]);
    command.arg(Suite::Ours.program("svstat"));
    let expected = a_thousand_names(&mut command);
    assert_eq!(finish(command).text(), expected);
    assert!(scratch.read("calls").contains("INJECTED"));
}

#[test]
fn without_svdir_services_are_looked_up_in_service_and_then_in_etc_service() {
    let test = "bare names in /service";
    if !is_root(test) || !has(test, &["unshare", "chroot"]) {
        return;
    }
    let scratch = Scratch::new();
    // A root directory of its own, with /usr and our programs in it.
    shell(
        &scratch,
        "mkdir -p root/usr root/ours root/service/a root/etc/service/a root/etc/service/b; \
         cp -a /bin /lib* root",
    );
    // A plain file is enough for svstat to look for a status.
    for name in ["service/a", "etc/service/b"] {
        scratch.mkdir(format!("root/{name}/supervise"));
        scratch.write(format!("root/{name}/supervise/ok"), "");
    }
    let svstat = |names: &str| {
        let mut command = scratch.command(Suite::Ours, "unshare");
        let script = format!(
            "mount --rbind /usr root/usr && mount --bind \"$0\" root/ours && \
             exec chroot root /ours/svstat {names}"
        );
        command.args(["-m", "sh", "-c", &script]);
        command.arg(Suite::Ours.directory());
        let output = finish(command);
        assert_eq!((output.code, output.errors()), (0, String::new()));
        output.text()
    };
    let taken_for_supervised = "unable to open supervise/status: file does not exist";
    let never = "unable to open supervise/ok: file does not exist";
    assert_eq!(
        svstat("a b"),
        format!("/service/a: {taken_for_supervised}\n/etc/service/b: {taken_for_supervised}\n")
    );
    assert_eq!(svstat(""), format!("/service/a: {taken_for_supervised}\n"));
    fs::remove_dir_all(scratch.at("root/service")).unwrap();
    assert_eq!(svstat("a"), format!("/etc/service/a: {never}\n"));
    assert_eq!(
        svstat(""),
        format!("/etc/service/a: {never}\n/etc/service/b: {taken_for_supervised}\n")
    );
    fs::remove_dir_all(scratch.at("root/etc/service")).unwrap();
    assert_eq!(svstat("a"), "a: unable to chdir: file does not exist\n");
    assert_eq!(svstat(""), "");
}
