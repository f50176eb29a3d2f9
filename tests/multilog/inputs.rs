//! What stdin may be, and when what comes from it is in the log.

use super::{Feed, Multilog, finished, line, lines, text, wait_logged};
use crate::harness::{Scratch, Suite, finish, has, wait_until};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::Signal::{SIGALRM, SIGCONT, SIGKILL, SIGSTOP, SIGTERM};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::process::Stdio;

/// Waits until `log/current` holds just this.
fn wait_text(scratch: &Scratch, expected: &str) {
    wait_until(&format!("{expected:?} is logged"), || {
        scratch.read("main/current") == expected
    });
}

/// Writes to the pipe what is no line of its own.
fn write(feed: &mut Feed, bytes: &str) {
    let mut writer = feed.writer.as_ref().unwrap();
    writer.write_all(bytes.as_bytes()).unwrap();
}

/// Waits until an unfinished line is out of the pipe, and noted.
fn wait_held(scratch: &Scratch, begun: &str) {
    wait_until("the unfinished line is noted", || {
        scratch.read("main/lock").contains(begun)
    });
}

#[test]
fn each_line_is_in_the_log_as_soon_as_it_is_written() {
    let scratch = Scratch::new();
    let mut feed = Feed::new();
    let mut multilog = Multilog::start(&scratch, &["./main"], feed.stdin());
    for number in 0..50 {
        feed.write_lines(1);
        wait_text(&scratch, &lines(number + 1));
    }
    write(&mut feed, "begun");
    write(&mut feed, " and ended\nbegun");
    wait_text(&scratch, &(lines(50) + "begun and ended\n"));
    write(&mut feed, "\n\n");
    wait_text(&scratch, &(lines(50) + "begun and ended\nbegun\n\n"));
    feed.close();
    assert_eq!(multilog.wait(), 0);
}

#[test]
fn an_unfinished_line_survives_a_kill_in_the_pipe_and_out_of_it() {
    let scratch = Scratch::new();
    let mut feed = Feed::new();
    let mut expected = String::new();
    for round in 0..4 {
        let mut multilog = Multilog::start(&scratch, &["./main"], feed.stdin());
        write(&mut feed, &format!("round {round}\n"));
        expected += &format!("round {round}\n");
        wait_until("the line is logged", || text(&scratch, "main") == expected);
        feed.wait_taken();
        write(&mut feed, &format!("begun in {round}, "));
        if round % 2 == 0 {
            wait_held(&scratch, &format!("begun in {round}, "));
            feed.wait_taken();
        }
        multilog.signal(SIGKILL);
        assert_eq!(multilog.wait(), 1009);
        write(&mut feed, "ended after it\n");
        expected += &format!("begun in {round}, ended after it\n");
    }
    let mut multilog = Multilog::start(&scratch, &["./main"], feed.stdin());
    wait_until("the last line is logged", || {
        text(&scratch, "main") == expected
    });
    write(&mut feed, "without an end");
    wait_held(&scratch, "without an end");
    feed.wait_taken();
    multilog.signal(SIGKILL);
    multilog.wait();
    feed.close();
    // Nothing is left of the pipe but what the note holds.
    let mut multilog = Multilog::start(&scratch, &["./main"], feed.stdin());
    assert_eq!(multilog.wait(), 0);
    assert_eq!(text(&scratch, "main"), expected + "without an end\n");
}

#[test]
fn an_unfinished_line_out_of_another_pipe_is_written_once() {
    for script in [&["./main"][..], &["./main", "./other"]] {
        let scratch = Scratch::new();
        let mut feed = Feed::new();
        let multilog = Multilog::start(&scratch, script, feed.stdin());
        write(&mut feed, "one\nabc");
        wait_held(&scratch, "abc");
        feed.wait_taken();
        drop(multilog);
        for is_pipe in [false, false, false, true, false] {
            let stdin = if is_pipe {
                std::io::pipe().unwrap().0.into()
            } else {
                Stdio::null()
            };
            let mut multilog = Multilog::start(&scratch, script, stdin);
            assert_eq!(multilog.wait(), 0);
            for log in script {
                assert_eq!(text(&scratch, log), "one\nabc\n");
            }
        }
    }
}

#[test]
fn a_line_that_came_before_alrm_is_in_the_file_that_it_finishes() {
    let scratch = Scratch::new();
    let mut feed = Feed::new();
    let mut multilog = Multilog::start(&scratch, &["./main"], feed.stdin());
    write(&mut feed, "first\n");
    wait_text(&scratch, "first\n");
    multilog.signal(SIGSTOP);
    write(&mut feed, "second\n");
    multilog.signal(SIGALRM);
    multilog.signal(SIGCONT);
    wait_until("a file is finished", || {
        finished(&scratch, "main").len() == 1
    });
    let name = &finished(&scratch, "main")[0];
    assert_eq!(scratch.read(format!("main/{name}")), "first\nsecond\n");
    feed.close();
    assert_eq!(multilog.wait(), 0);
}

#[test]
fn a_line_of_1000_bytes_or_more_does_not_wait_for_its_end() {
    let scratch = Scratch::new();
    let mut feed = Feed::new();
    let mut multilog = Multilog::start(&scratch, &["./main"], feed.stdin());
    let mut long = "x".repeat(999);
    write(&mut feed, &long);
    write(&mut feed, "y");
    long += "y";
    wait_text(&scratch, &long);
    write(&mut feed, "more");
    wait_text(&scratch, &(long.clone() + "more"));
    // Killed in it, it goes on in it.
    feed.wait_taken();
    multilog.signal(SIGKILL);
    multilog.wait();
    let mut multilog = Multilog::start(&scratch, &["./main"], feed.stdin());
    write(&mut feed, " and more\nend\n");
    let all = long + "more and more\nend\n";
    wait_until("all is logged", || text(&scratch, "main") == all);
    feed.close();
    assert_eq!(multilog.wait(), 0);
}

#[test]
fn told_to_end_it_ends_the_line_and_leaves_the_rest_in_the_pipe() {
    for begun in ["begun", &"begun".repeat(1000)] {
        let scratch = Scratch::new();
        let mut feed = Feed::new();
        let mut multilog = Multilog::start(&scratch, &["./main"], feed.stdin());
        write(&mut feed, &format!("first\n{begun}"));
        wait_until("the first line is logged", || {
            scratch.read("main/current").starts_with("first\n")
        });
        multilog.signal(SIGTERM);
        multilog.wait_heard();
        write(&mut feed, " and ended\nleft\nalso le");
        assert_eq!(multilog.wait(), 0);
        let all = format!("first\n{begun} and ended\n");
        assert_eq!(scratch.read("main/current"), all);
        assert_eq!(feed.left(), "left\nalso le");
        assert_eq!(scratch.read("main/lock"), "");
    }
}

#[test]
fn the_last_line_gets_an_end_and_an_empty_input_makes_an_empty_log() {
    for (input, expected) in [
        ("", ""),
        ("\n", "\n"),
        ("x", "x\n"),
        ("x\ny", "x\ny\n"),
        ("x\n\n", "x\n\n"),
    ] {
        let scratch = Scratch::new();
        scratch.write("input", input);
        let mut feed = Feed::new();
        write(&mut feed, input);
        feed.close();
        let pipe = Multilog::start(&scratch, &["./main"], feed.stdin()).wait();
        let file = fs::File::open(scratch.at("input")).unwrap();
        let file = Multilog::start(&scratch, &["./file"], file.into()).wait();
        assert_eq!((pipe, file), (0, 0));
        assert_eq!(scratch.read("main/current"), expected);
        assert_eq!(scratch.read("file/current"), expected);
    }
}

#[test]
fn a_file_a_socket_and_a_terminal_are_read_to_their_end() {
    let scratch = Scratch::new();
    let all = lines(3000);
    scratch.write("input", &all);
    let file = fs::File::open(scratch.at("input")).unwrap();
    let script = ["s4096", "n1000", "./main"];
    assert_eq!(Multilog::start(&scratch, &script, file.into()).wait(), 0);
    assert_eq!(text(&scratch, "main"), all);

    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let script = ["s4096", "n1000", "./socket"];
    let theirs = std::os::fd::OwnedFd::from(theirs);
    let mut multilog = Multilog::start(&scratch, &script, theirs.into());
    ours.write_all(b"first\nbeg").unwrap();
    wait_until("the first line is logged", || {
        scratch.read("socket/current") == "first\n"
    });
    ours.write_all(b"un\n").unwrap();
    ours.write_all(all.as_bytes()).unwrap();
    drop(ours);
    assert_eq!(multilog.wait(), 0);
    assert_eq!(text(&scratch, "socket"), format!("first\nbegun\n{all}"));

    if has("a terminal as stdin", &["script"]) {
        let mut terminal = scratch.command(Suite::Ours, "script");
        terminal.args(["-qec", "multilog ./terminal", "/dev/null"]);
        // The end of what script reads it makes the terminal's end of file.
        let file = fs::File::open(scratch.at("input")).unwrap();
        terminal.stdin(file);
        assert_eq!(finish(terminal).code, 0);
        assert_eq!(text(&scratch, "terminal"), all);
    }
}

#[test]
fn told_to_end_at_a_socket_it_leaves_the_rest_in_it() {
    let scratch = Scratch::new();
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let again = std::os::fd::OwnedFd::from(theirs.try_clone().unwrap());
    let mut multilog = Multilog::start(&scratch, &["./main"], again.into());
    ours.write_all(b"first\nbegun").unwrap();
    wait_until("the first line is logged", || {
        scratch.read("main/current") == "first\n"
    });
    // It does not wait for input to hear.
    multilog.signal(SIGALRM);
    wait_until("the file is finished", || {
        finished(&scratch, "main").len() == 1
    });
    multilog.signal(SIGTERM);
    multilog.wait_heard();
    ours.write_all(b" and ended\nleft\n").unwrap();
    assert_eq!(multilog.wait(), 0);
    assert_eq!(text(&scratch, "main"), "first\nbegun and ended\n");
    drop(ours);
    let mut left = String::new();
    (&theirs).read_to_string(&mut left).unwrap();
    assert_eq!(left, "left\n");
}

#[test]
fn no_stdin_is_an_empty_one_as_in_the_original() {
    let scratch = Scratch::new();
    for (number, stdin) in ["</dev/null", "<&-", "<."].iter().enumerate() {
        let mut transcripts = Vec::new();
        for suite in [Suite::Ours, Suite::Reference] {
            if suite == Suite::Reference && !has("no stdin", &["multilog"]) {
                continue;
            }
            let log = format!("./{suite:?}-{number}");
            let mut shell = scratch.command(suite, "sh");
            shell.args(["-c", &format!("exec multilog {log} {stdin}")]);
            let output = finish(shell);
            let current = fs::metadata(scratch.at(&log).join("current")).unwrap();
            let state = (current.len(), current.mode() & 0o777);
            transcripts.push((output.code, output.errors(), state));
        }
        for transcript in transcripts {
            assert_eq!(transcript, (0, String::new(), (0, 0o744)), "{stdin}");
        }
    }
}

#[test]
fn a_stdin_that_does_not_wait_is_waited_for() {
    let scratch = Scratch::new();
    let mut feed = Feed::new();
    fcntl(&feed.reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    let mut multilog = Multilog::start(&scratch, &["./main"], feed.stdin());
    feed.write_lines(10);
    wait_logged(&scratch, "main", 9);
    feed.write_lines(10);
    wait_logged(&scratch, "main", 19);
    feed.close();
    assert_eq!(multilog.wait(), 0);
    assert_eq!(text(&scratch, "main"), lines(20));

    let (mut ours, theirs) = UnixStream::pair().unwrap();
    theirs.set_nonblocking(true).unwrap();
    let theirs = std::os::fd::OwnedFd::from(theirs);
    let mut multilog = Multilog::start(&scratch, &["./socket"], theirs.into());
    for number in 0..20 {
        let text = line(number) + "\n";
        ours.write_all(text.as_bytes()).unwrap();
        wait_logged(&scratch, "socket", number);
    }
    drop(ours);
    assert_eq!(multilog.wait(), 0);
}

#[test]
fn many_writers_of_short_pieces_are_all_heard() {
    // A pipe holds so many pieces, not bytes: what is looked at ends at that.
    let scratch = Scratch::new();
    let feed = Feed::new();
    let script = ["s1000000", "n100", "./main"];
    let mut multilog = Multilog::start(&scratch, &script, feed.stdin());
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let mut pipe = feed.writer.as_ref().unwrap().try_clone().unwrap();
            scope.spawn(move || {
                for number in 0..2000 {
                    let line = format!("{writer} {number}\n");
                    wait_until("there is room", || pipe.write(line.as_bytes()).is_ok());
                }
            });
        }
    });
    let mut feed = feed;
    feed.close();
    assert_eq!(multilog.wait(), 0);
    let all = text(&scratch, "main");
    assert_eq!(all.lines().count(), 8000);
    for writer in 0..4 {
        let start = format!("{writer} ");
        let numbers = all.lines().filter_map(|line| line.strip_prefix(&start));
        let numbers = numbers.map(|number| number.parse::<usize>().unwrap());
        assert!(numbers.eq(0..2000));
    }
}

#[test]
fn what_another_process_has_read_is_not_the_end() {
    if !has("a pipe of two readers", &["strace"]) {
        return;
    }
    // What tee(2) gives if another process reads what it has found: once, and always.
    for times in ["1", "1+"] {
        let scratch = Scratch::new();
        let mut feed = Feed::new();
        let mut command = scratch.command(Suite::Ours, "strace");
        command.args(["-o", "calls", "-e", "trace=tee"]);
        command.args(["-e", &format!("inject=tee:retval=0:when={times}")]);
        command.arg(Suite::Ours.program("multilog")).arg("./main");
        let mut multilog = Multilog::spawn(&scratch, command, feed.stdin());
        feed.write_lines(10);
        if times == "1" {
            wait_logged(&scratch, "main", 9);
            assert!(multilog.runs());
            feed.write_lines(10);
        }
        feed.close();
        assert_eq!(multilog.wait(), 0);
        let all = if times == "1" {
            lines(20)
        } else {
            String::new()
        };
        assert_eq!(text(&scratch, "main"), all);
    }
}

#[test]
fn while_another_process_reads_its_pipe_it_goes_on() {
    let scratch = Scratch::new();
    let mut feed = Feed::new();
    let mut multilog = Multilog::start(&scratch, &["./main"], feed.stdin());
    let (mut writer, mut reader) = (
        feed.writer.take().unwrap(),
        feed.reader.try_clone().unwrap(),
    );
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for _ in 0..20_000 {
                writer.write_all(b"x\n").unwrap();
            }
            writer.write_all(b"end").unwrap();
            assert!(multilog.runs());
            drop(writer);
            assert_eq!(multilog.wait(), 0);
        });
        scope.spawn(move || while reader.read(&mut [0; 2]).unwrap() > 0 {});
    });
}
