//! tai64nlocal: local time at once, by the zone that is set.

use crate::harness::numbers::Numbers;
use crate::harness::{Output, Scratch, Suite, finish, has, skip_unless, talk};
use std::path::Path;

const STAMP: &str = "@4000000037c219bf2ef02e94";

/// What becomes of `input`, with TZ as given.
fn local(zone: &str, input: &str) -> Output {
    let scratch = Scratch::new();
    scratch.write("input", input);
    let mut command = scratch.command(Suite::Ours, Suite::Ours.program("tai64nlocal"));
    command.env("TZ", zone);
    command.stdin(std::fs::File::open(scratch.at("input")).unwrap());
    finish(command)
}

#[test]
fn a_line_shows_at_once_and_a_stamp_as_soon_as_it_has_ended() {
    let scratch = Scratch::new();
    let given = [
        (&*format!("{STAMP} one\n"), 34),
        ("@4000000037c219bf", 0),
        ("2ef02e94", 0),
        (" ", 30),
        ("two", 3),
        ("\nthree", 6),
        ("\n", 1),
    ];
    let said = talk(&scratch, "tai64nlocal", &given);
    let time = "1999-08-24 04:04:05.787492500";
    assert_eq!(said, format!("{time} one\n{time} two\nthree\n"));
}

#[test]
fn summer_time_is_as_the_zone_says() {
    let zone = "CET-1CEST,M3.5.0,M10.5.0/3";
    let stamp = |unix: u64| format!("@{:016x}00000007 x\n", (1 << 62) + 10 + unix);
    // 2026-03-29 and 2026-10-25, 01:00 UTC, the second before and then.
    for (unix, expected) in [
        (1_774_745_999, "2026-03-29 01:59:59.000000007 x\n"),
        (1_774_746_000, "2026-03-29 03:00:00.000000007 x\n"),
        (1_792_889_999, "2026-10-25 02:59:59.000000007 x\n"),
        (1_792_890_000, "2026-10-25 02:00:00.000000007 x\n"),
    ] {
        assert_eq!(local(zone, &stamp(unix)).text(), expected);
    }
}

#[test]
fn a_broken_stamp_passes_unchanged_and_the_lines_behind_it_do_not_suffer() {
    let good = format!("{STAMP} good\n");
    for broken in [
        "@ x",
        "@",
        "@4",
        "@4000000037C219BF2EF02E94 x",
        "@4000000037c219bf2ef02e9 x",
        "@4000000037c219bf2ef02e944 x",
        "@ffffffffffffffffffffffff x",
        &format!("@{} x", "0".repeat(5_000)),
        // Whoever writes that many digits means no stamp.
        &format!("@{}{} x", "0".repeat(5_000), &STAMP[1..]),
    ] {
        let output = local("UTC", &format!("{good}{broken}\n{good}"));
        let time = "1999-08-24 04:04:05.787492500 good\n";
        assert_eq!(output.text(), format!("{time}{broken}\n{time}"));
        assert_eq!((output.code, output.errors()), (0, String::new()));
    }
}

#[test]
fn without_tz_etc_localtime_says_what_the_zone_is() {
    let scratch = Scratch::new();
    scratch.write("input", format!("{STAMP}\n"));
    let tokyo = Path::new("/usr/share/zoneinfo/Asia/Tokyo");
    let test = "without_tz_etc_localtime_says_what_the_zone_is";
    if !has(test, &["unshare", "mount"]) || !skip_unless(test, tokyo.exists(), "no tzdata") {
        return;
    }
    let run = |script: &str| {
        let script = format!(
            "mount --bind {} /etc/localtime && {script}",
            tokyo.display()
        );
        let mut command = scratch.command(Suite::Ours, "unshare");
        command.args(["-Urm", "sh", "-c", &script]);
        command.env_remove("TZ");
        finish(command)
    };
    if skip_unless(test, run("true").code == 0, "no mount namespaces here") {
        let output = run("tai64nlocal < input");
        assert_eq!(output.text(), "1999-08-24 13:04:05.787492500\n");
    }
}

#[test]
fn bytes_that_mean_nothing_pass_both_filters() {
    let scratch = Scratch::new();
    let mut numbers = Numbers(0x2545_F491_4F6C_DD1D);
    let all: Vec<u8> = (0..=255).collect();
    for letters in [b"@\n0a".as_slice(), b"@\n0123456789abcdefA \0\xff", &all] {
        let noise = numbers.some(400_000, letters);
        // Nothing in it is the stamp of a moment, and it does not end in one.
        let noise = [noise, b"\nend".to_vec()].concat();
        scratch.write("noise", &noise);
        for (filter, back) in [
            ("tai64n", "tai64n < noise | cut -b 27-"),
            ("tai64nlocal", "tai64nlocal < noise"),
        ] {
            let mut command = scratch.command(Suite::Ours, "sh");
            command.args(["-c", back]).env("LC_ALL", "C");
            let mut output = finish(command);
            if filter == "tai64n" {
                // cut ends the last line, too.
                output.out.pop();
            }
            assert!(output.out == noise, "{filter}");
            assert_eq!((output.code, output.errors()), (0, String::new()));
        }
    }
}
