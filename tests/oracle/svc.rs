//! svc: command lines, what is written to the control FIFO, and errors.

use super::compare;
use super::stage::Stage;
use super::zoo::{Zoo, each_denied, each_directory, invalid_name};
use crate::harness::{called, has, is_asleep, wait_until};
use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStringExt;

/// The commands of 0.76.
const LETTERS: &str = "udopchaitkx";

/// Sends its letter.
fn sends(letter: &'static str) -> impl Fn(&mut Stage) {
    move |stage| {
        let mut zoo = Zoo::new(stage);
        stage.run("svc", &[letter, "s"]);
        zoo.heard(stage);
    }
}

situations! { sends
    u("-u");
    d("-d");
    o("-o");
    p("-p");
    c("-c");
    h("-h");
    a("-a");
    i("-i");
    t("-t");
    k("-k");
    x("-x");
}

/// What is typed, words parted by `|`.
fn typed(line: &'static str) -> impl Fn(&mut Stage) {
    move |stage| {
        let mut zoo = Zoo::new(stage);
        stage.run("svc", &words(line, stage));
        zoo.heard(stage);
    }
}

situations! { typed
    nothing_at_all_is_no_error("");
    commands_for_nobody_are_no_error("-d");
    no_commands_are_no_error("s");
    no_commands_for_nobody_are_an_error_all_the_same("missing");
    all_letters_go_in_the_order_typed("-udopchaitkx|s");
    all_letters_go_in_the_order_typed_backwards_too("-xktiahcpodu|s");
    a_letter_that_is_repeated_is_sent_once("-ddu|s");
    a_letter_that_is_repeated_is_sent_once_at_its_first_place("-oot|s");
    a_letter_is_sent_once_though_repeated_in_another_word("-d|-u|-d|s");
    letters_in_words_of_their_own_go_in_one_write("-x|-d|s");
    an_illegal_letter_behind_a_good_one_nothing_is_sent("-dZ|s");
    an_illegal_letter_before_a_good_one_nothing_is_sent("-Zd|s");
    an_illegal_letter_in_another_word_nothing_is_sent("-d|-Z|s");
    of_two_illegal_letters_the_first_is_told("-ZY|s");
    a_dash_in_a_cluster_is_an_illegal_letter("-u-|s");
    a_word_that_begins_with_two_dashes_ends_the_options_and_is_dropped("--u|s");
    a_colon_is_an_illegal_letter("-u:|s");
    a_question_mark_is_an_illegal_letter("-u?|s");
    an_equals_sign_is_an_illegal_letter("-d=|s");
    a_dash_alone_is_a_directory_and_ends_the_options("-|s");
    what_follows_a_lone_dash_are_directories("-d|-|-u|s");
    two_dashes_end_the_options_and_are_dropped("-d|--|s");
    two_dashes_let_a_name_begin_with_a_dash("-d|--|-d");
    only_the_first_two_dashes_are_dropped("-d|--|--|s");
    behind_two_dashes_nothing_is_an_option("--|-d|s");
    behind_a_directory_nothing_is_an_option("s|-d");
    an_empty_word_is_a_directory("-d||s");
    each_directory_gets_its_commands_as_often_as_it_is_named("-t|s|down|s");
    a_directory_with_an_error_does_not_keep_others_from_theirs("-t|missing|s|plain|down");
    a_directory_may_be_named_by_its_whole_path("-d|SCRATCH/s");
}

fn words(line: &str, stage: &Stage) -> Vec<String> {
    let path = stage.scratch.path().to_string_lossy();
    let words = line.split('|').map(|word| word.replace("SCRATCH", &path));
    words.filter(|_| !line.is_empty()).collect()
}

/// On what is, or is not, a service.
fn on(directory: &'static str) -> impl Fn(&mut Stage) {
    move |stage| {
        let mut zoo = Zoo::new(stage);
        stage.run("svc", &["-dx", "--", directory]);
        zoo.heard(stage);
        if directory == "files" {
            stage.say(stage.scratch.read("files/supervise/control"));
        }
    }
}

each_directory! {
    directories_in_the_place_of_the_fifos("directories");
}

/// On a path that may not be touched.
fn denied(path: &'static str) -> impl Fn(&mut Stage) {
    move |stage| {
        let mut zoo = Zoo::new(stage);
        stage.deny(path, 0);
        stage.run_as_ordinary_user("", "svc", &["-d", "s"]);
        zoo.heard(stage);
    }
}

each_denied! {}

/// Complains by the last part of what it is called.
fn called_by(name: &'static str) -> impl Fn(&mut Stage) {
    move |stage| {
        let mut command = stage.command(stage.program("svc"));
        command.args(["-dZ", "s"]);
        called(&mut command, name);
        stage.finish("svc", command);
    }
}

situations! { called_by
    a_path("/some/where/else");
    a_name("else");
    a_path_that_ends_in_a_slash("x/");
    nothing("");
    an_option("-svc");
    a_slash("/");
}

#[test]
fn svok_no_name_is_looked_up_in_svdir() {
    compare(|stage| {
        let mut zoo = Zoo::new(stage);
        // Strangers with these names.
        for name in ["log", "run", "gone"] {
            zoo.supervise(stage, name);
        }
        stage.scratch.mkdir("here");
        stage.sh("cd s; export SVDIR=\"${PWD%/s}\"; svc -dx . log; svok log");
        zoo.heard(stage);
        stage.sh(
            "cd here; export SVDIR=\"${PWD%/here}\"; touch run; ln -s nowhere gone; \
                 svc -d *; svc -t dead two\\ words s; svok s; svok run; svok gone; echo $?",
        );
        zoo.heard(stage);
    });
}

#[test]
fn takes_no_other_letter() {
    compare(|stage| {
        let taken = |letter: &u8| LETTERS.bytes().chain(*b"12qw").any(|l| l == *letter);
        for letter in (1..=255).filter(|letter| !taken(letter)) {
            let word = OsString::from_vec(vec![b'-', b'd', letter]);
            stage.run("svc", &[word.as_os_str(), OsStr::new("missing")]);
        }
    });
}

#[test]
fn prints_a_name_that_is_no_utf_8_as_it_is() {
    compare(|stage| {
        stage.run("svc", &[OsStr::new("-d"), invalid_name()]);
        stage.scratch.mkdir(invalid_name());
        stage.run("svc", &[OsStr::new("-d"), invalid_name()]);
    });
}

#[test]
fn refuses_a_name_that_is_too_long() {
    compare(|stage| {
        for length in [255, 256, 4095, 4096] {
            stage.run("svc", &["-d", &"n".repeat(length)]);
        }
    });
}

#[test]
fn does_without_its_descriptors() {
    compare(|stage| {
        let _zoo = Zoo::new(stage);
        stage.sh("svc -d missing 2>&-");
        stage.sh("svc -dZ s >&- 2>&-");
        stage.sh("svc -d s <&- >&- 2>&-");
        stage.sh("svc -d missing 2>/dev/full");
    });
}

#[test]
fn works_in_a_directory_that_is_gone() {
    compare(|stage| {
        let mut zoo = Zoo::new(stage);
        let s = stage.scratch.at("s");
        let s = s.to_string_lossy();
        stage.sh(&format!("mkdir gone; cd gone; rmdir ../gone; svc -d s {s}"));
        zoo.heard(stage);
    });
}

#[test]
fn in_a_directory_that_may_not_be_read_gives_up() {
    compare(|stage| {
        let mut zoo = Zoo::new(stage);
        stage.scratch.mkdir("closed");
        stage.deny("closed", 0o111);
        stage.run_as_ordinary_user("closed", "svc", &["-d", "../s"]);
        zoo.heard(stage);
    });
}

#[test]
fn that_cannot_go_back_ends_after_one_directory() {
    compare(|stage| {
        if !has("svc that cannot go back", &["strace"]) {
            return;
        }
        let mut zoo = Zoo::new(stage);
        for name in ["s", "dead", "bare"] {
            let mut command = stage.command("strace");
            command.args(["-o", "calls", "-e", "inject=fchdir:error=EIO"]);
            command.arg(stage.program("svc"));
            command.args(["-d", name, "down"]);
            stage.finish("svc", command);
        }
        zoo.heard(stage);
    });
}

#[test]
fn waits_until_a_fifo_that_is_full_is_read() {
    compare(|stage| {
        let path = stage.scratch.at("s/supervise/control");
        let mut zoo = Zoo::new(stage);
        let mut fifo = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .unwrap();
        let room = 65536;
        fifo.write_all(&vec![b'z'; room]).unwrap();
        stage.start("svc", &["-du", "s"]);
        let mut bytes = vec![0; room + 2];
        fifo.read_exact(&mut bytes).unwrap();
        stage.say(&bytes[room..]);
        stage.ends();
        stage.tell_errors();
        zoo.heard(stage);
    });
}

#[test]
fn is_told_when_the_reader_goes_while_it_writes() {
    compare(|stage| {
        let _zoo = Zoo::new(stage);
        stage.scratch.mkdir("t/supervise");
        let path = stage.scratch.at("t/supervise/control");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let reader = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .unwrap();
        (&reader).write_all(&[b'z'; 65536]).unwrap();
        stage.start("svc", &["-d", "t"]);
        let svc = stage.daemon().pid();
        let writes = || has_open(svc, &path) && is_asleep(svc);
        wait_until("svc waits for room", writes);
        drop(reader);
        stage.ends();
        stage.tell_errors();
    });
}

/// Whether the process has `path` open.
fn has_open(pid: u32, path: &std::path::Path) -> bool {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter();
    let mut targets = entries.flatten().flatten();
    targets.any(|entry| std::fs::read_link(entry.path()).is_ok_and(|target| target == path))
}
