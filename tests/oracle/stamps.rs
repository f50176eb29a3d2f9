//! tai64n and tai64nlocal: the same input through both suites' programs, in many
//! time zones, and what else a filter meets: closed descriptors, a full disk,
//! a reader that is gone.

use super::has_reference;
use crate::harness::numbers::Numbers;
use crate::harness::{Output, Scratch, Suite, finish};
use std::fs::File;

/// The exit code, as the harness tells it, of a program that SIGSEGV ended.
const CRASHED: i32 = 1011;

/// What is no stamp, or ends before it is clear that it is one.
macro_rules! others {
    () => {
        fn other(input: &'static [u8]) -> Vec<Run> {
            vec![Run {
                input: input.to_vec(),
                zone: Some("UTC"),
            }]
        }

        situations! { other
            nothing(b"");
            a_newline(b"\n");
            newlines(b"\n\n\n");
            a_letter(b"x");
            no_newline_at_the_end(b"no newline at the end");
            lines(b"one\ntwo\nthree\n");
            no_newline_behind_an_empty_line(b"one\n\nthree");
            carriage_returns(b"a\r\nb\r\n");
            nul_bytes(b"\0\n\0\0");
            no_utf_8(b"\xff\xfe\n\xc3\x28\n");
            a_stamp_behind_a_blank(b" @4000000037c219bf2ef02e94 not first\n");
            a_stamp_behind_a_letter(b"x@4000000037c219bf2ef02e94\n");
            two_stamps(b"@4000000037c219bf2ef02e94 @4000000037c219bf2ef02e94 twice\n");
            two_stamps_without_a_blank(b"@4000000037c219bf2ef02e94@4000000037c219bf2ef02e94\n");
            lines_of_stamps(b"@4000000037c219bf2ef02e94\n@4000000037c219bf2ef02e94\n");
            a_line_between_stamps(b"@4000000037c219bf2ef02e94\n\n@4000000037c219bf2ef02e94 x");
            a_nul_behind_a_stamp(b"@4000000037c219bf2ef02e94\0x\n");
            no_utf_8_behind_a_stamp(b"@4000000037c219bf2ef02e94\xff\n");
            a_carriage_return_behind_a_stamp(b"@4000000037c219bf2ef02e94\r\n");
            a_stamp_and_a_blank(b"@4000000037c219bf2ef02e94 ");
            a_stamp_and_a_letter_that_is_no_digit(b"@4000000037c219bf2ef02e94g");
            a_stamp_at_the_end(b"@4000000037c219bf2ef02e94");
            a_stamp_at_the_end_behind_a_line(b"a line\n@4000000037c219bf2ef02e94");
            half_a_stamp_at_the_end(b"a line\n@40000");
            an_at_sign_at_the_end(b"a line\n@");
            an_at_sign(b"@");
        }
    };
}

/// A log with stamps of all times, among other lines.
fn log(numbers: &mut Numbers) -> Vec<u8> {
    let mut log = Vec::new();
    for _ in 0..numbers.below(600) {
        let unix = match numbers.below(3) {
            0 => 1_790_000_000 + (numbers.next() % 3).cast_signed(),
            1 => (numbers.next() >> 31).cast_signed() - (1 << 32),
            // As far as there are years.
            _ => (numbers.next() >> 8).cast_signed() - (1 << 55),
        };
        let nanoseconds = numbers.next() >> (32 + numbers.below(8));
        if numbers.below(8) > 0 {
            log.extend(stamp(unix, nanoseconds).bytes());
        }
        for _ in 0..numbers.below(50) {
            let byte = numbers.next().to_le_bytes()[0];
            // An @ at the start of a line could crash 0.76.
            log.push(if byte == b'@' { b'\n' } else { byte });
        }
        if numbers.below(8) > 0 {
            log.push(b'\n');
        } else if numbers.below(50) == 0 {
            let length = numbers.below(200_000);
            log.extend(std::iter::repeat_n(b'x', length));
        } else {
            log.extend(b" and\n");
        }
    }
    log
}

/// The stamp of a moment and a blank.
fn stamp(unix: i64, nanoseconds: u64) -> String {
    let seconds = ((1 << 62) + 10 + i128::from(unix)) as u64;
    format!("@{seconds:016x}{nanoseconds:08x} ")
}

/// One run of a program: its input, its zone.
struct Run {
    input: Vec<u8>,
    zone: Option<&'static str>,
}

/// Runs both suites' `program` on each of `runs`; `same` says what is wrong with ours.
fn compare_runs(
    program: &str,
    runs: &[Run],
    same: impl Fn(&Run, &Output, &Output) -> Result<(), String>,
) {
    if !has_reference() {
        return;
    }
    let scratch = Scratch::new();
    for run in runs {
        scratch.write("input", &run.input);
        let [reference, ours] = [Suite::Reference, Suite::Ours].map(|suite| {
            let mut command = scratch.command(suite, suite.program(program));
            command.stdin(File::open(scratch.at("input")).unwrap());
            // Arguments mean nothing.
            command.args(["--help", "-x"]);
            match run.zone {
                Some(zone) => command.env("TZ", zone),
                None => command.env_remove("TZ"),
            };
            finish(command)
        });
        if let Err(why) = same(run, &reference, &ours) {
            let input = String::from_utf8_lossy(&run.input);
            let input: String = input.chars().take(300).collect();
            panic!("TZ={:?}: {why}\n{input:?}", run.zone);
        }
    }
}

/// What is not the same in two runs of tai64n: the digits, where there are as
/// many as there should be.
fn without_stamps(out: &[u8]) -> Vec<u8> {
    let mut blanked = Vec::new();
    for line in out.split_inclusive(|byte| *byte == b'\n') {
        let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let is_stamped = line.starts_with(b"@40000000")
            && line.get(25) == Some(&b' ')
            && line[9..25].iter().all(is_digit);
        if is_stamped {
            blanked.extend(b"STAMP");
            blanked.extend(&line[25..]);
        } else {
            blanked.extend(line);
        }
    }
    blanked
}

fn first_difference(reference: &[u8], ours: &[u8]) -> String {
    let equal = reference.iter().zip(ours).take_while(|(a, b)| a == b);
    let from = equal.count().saturating_sub(40);
    let part = |out: &[u8]| {
        let part = &out[from.min(out.len())..];
        part[..part.len().min(100)].escape_ascii().to_string()
    };
    format!("at {from}: {:?} became {:?}", part(reference), part(ours))
}

/// A line of a shell in which FILTER is the program.
macro_rules! meets {
    ($program:expr) => {
        mod broken {
            use super::*;
            fn compare(script: String) {
                compare_script(&script);
            }
            fn meets(script: &str) -> String {
                script.replace("FILTER", $program)
            }
            situations! { meets
            closed_stdin("FILTER <&-");
            closed_stdout("FILTER >&- </dev/null");
            closed_stdout_and_a_line("echo x | FILTER >&-");
            a_full_disk("echo x | FILTER >/dev/full");
            a_directory_as_stdin("FILTER </");
            closed_stderr("FILTER 2>&- </dev/null");
            no_descriptors("FILTER <&- >&- 2>&-");
            a_reader_that_is_gone("{ FILTER; echo $? >&2; } </dev/zero | true");
            a_reader_that_is_gone_while_sigpipe_is_ignored(
                "trap '' PIPE; { FILTER; echo $? >&2; } </dev/zero | true",
            );
            }
        }
    };
}

fn compare_script(script: &str) {
    if !has_reference() {
        return;
    }
    let scratch = Scratch::new();
    let [reference, ours] = [Suite::Reference, Suite::Ours].map(|suite| {
        let mut command = scratch.command(suite, "sh");
        command.args(["-c", script]);
        finish(command)
    });
    assert_eq!(ours, reference, "{script}");
}

mod tai64n {
    use super::*;

    fn compare(runs: Vec<Run>) {
        compare_runs("tai64n", &runs, |_, reference, ours| {
            let (theirs, own) = (without_stamps(&reference.out), without_stamps(&ours.out));
            if theirs != own {
                return Err(first_difference(&theirs, &own));
            }
            let same = (reference.code, &reference.err) == (ours.code, &ours.err);
            same.then_some(()).ok_or(format!("{ours:?}"))
        });
    }

    fn many(input: Vec<u8>) -> Vec<Run> {
        vec![Run { input, zone: None }]
    }

    /// Ten logs that look random.
    fn logs(seed: u64) -> Vec<Run> {
        let mut numbers = Numbers(0x2545_F491_4F6C_DD1D ^ seed);
        let inputs = (0..10).map(|_| log(&mut numbers));
        inputs.map(|input| Run { input, zone: None }).collect()
    }

    others! {}
    meets! { "tai64n" }

    situations! { many
        letters(vec![b'x'; 1 << 20]);
        letters_and_newlines([vec![b'x'; 1 << 20], b"\n".repeat(5_000)].concat());
        newlines(b"\n".repeat(100_000));
    }

    situations! { logs
        seed_1(1);
        seed_2(2);
        seed_3(3);
        seed_4(4);
        seed_5(5);
        seed_6(6);
        seed_7(7);
        seed_8(8);
        seed_9(9);
        seed_10(10);
        seed_11(11);
        seed_12(12);
    }
}

mod tai64nlocal {
    use super::*;

    fn compare(runs: Vec<Run>) {
        compare_runs("tai64nlocal", &runs, |_, reference, ours| {
            if reference.code != 0 || reference.out != ours.out {
                return Err(first_difference(&reference.out, &ours.out));
            }
            let same = (ours.code, &reference.err) == (0, &ours.err);
            same.then_some(()).ok_or(format!("{ours:?}"))
        });
    }

    /// What TZ may be; None: it is not set.
    fn zone(zone: Option<&'static str>) -> Vec<Run> {
        let seed = zone.unwrap_or("none").bytes().map(u64::from).sum::<u64>();
        let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15 ^ seed);
        // Every half hour of a year, and the seconds about it: all changes of time.
        let year: String = (0..365 * 48)
            .flat_map(|half_hour| [-1, 0, 1].map(|second| (half_hour, second)))
            .map(|(half_hour, second)| stamp(1_767_225_600 + half_hour * 1800 + second, 5) + "\n")
            .collect();
        // Leap seconds are in few zones: the last was at the end of 2016.
        let leap: String = (1_483_228_780..1_483_228_840)
            .map(|second| stamp(second, 0) + "leap\n")
            .collect();
        let logs = (0..15).map(|_| log(&mut numbers));
        let inputs = [year.into(), leap.into()].into_iter().chain(logs);
        inputs.map(|input| Run { input, zone }).collect()
    }

    others! {}
    meets! { "tai64nlocal" }

    // In a summer of ten seconds what is remembered of one second is no help for another.
    situations! { zone
        unset(None);
        empty(Some(""));
        utc(Some("UTC"));
        berlin(Some("Europe/Berlin"));
        berlin_behind_a_colon(Some(":Europe/Berlin"));
        new_york(Some("America/New_York"));
        lord_howe(Some("Australia/Lord_Howe"));
        kathmandu(Some("Asia/Kathmandu"));
        casablanca(Some("Africa/Casablanca"));
        berlin_with_leap_seconds(Some("right/Europe/Berlin"));
        rules_of_central_europe(Some("CET-1CEST,M3.5.0,M10.5.0/3"));
        rules_of_new_zealand(Some("NZST-12:00:00NZDT-13:00:00,M10.1.0,M3.3.0"));
        a_name_in_brackets(Some("<+0545>-5:45"));
        a_summer_of_ten_seconds(Some("A0B-0:00:05,0/0:00:10,0/0:00:25"));
        no_such_zone(Some("Nowhere/At/All"));
        nonsense(Some("nonsense!"));
    }
}

/// A stamp that crashes 0.76 passes unchanged.
mod crashes {
    use super::*;

    /// Whether 0.76 crashes in UTC and in Berlin.
    const BOTH: [bool; 2] = [true, true];
    const NEITHER: [bool; 2] = [false, false];

    /// The first and the last seconds that are in a year.
    const LAST: i64 = 67_768_036_191_676_799;
    const FIRST: i64 = -67_768_040_609_740_800;

    fn compare((line, crashes): (String, [bool; 2])) {
        for (zone, crashes) in ["UTC", "Europe/Berlin"].into_iter().zip(crashes) {
            let input = line.clone().into_bytes();
            let zone = Some(zone);
            compare_runs(
                "tai64nlocal",
                &[Run { input, zone }],
                |run, reference, ours| {
                    assert_eq!(reference.code == CRASHED, crashes, "{reference:?}");
                    let expected = if crashes { &run.input } else { &reference.out };
                    if (ours.code, &ours.out) != (0, expected) {
                        return Err(first_difference(expected, &ours.out));
                    }
                    Ok(())
                },
            );
        }
    }

    fn odd(stamp: &str, crashes: [bool; 2]) -> (String, [bool; 2]) {
        (format!("{stamp}\n"), crashes)
    }

    situations! { odd
        a_blank("@ x", BOTH);
        nothing("@\n", BOTH);
        an_at_sign("@@", BOTH);
        a_stamp_behind_an_at_sign("@@4000000037c219bf2ef02e94", BOTH);
        a_letter_that_is_no_digit("@g", BOTH);
        one_digit("@0 x", BOTH);
        the_first_digit("@4 x", BOTH);
        seconds_only("@4000000037c219bf x", BOTH);
        a_digit_too_few("@4000000037c219bf2ef02e9 x", BOTH);
        a_digit_too_many("@4000000037c219bf2ef02e944 x", BOTH);
        digits_too_many("@4000000037c219bf2ef02e94400000000 x", BOTH);
        a_zero_too_many_in_front("@04000000037c219bf2ef02e94 x", NEITHER);
        fs_too_many_in_front("@ffffffffffffffffffff4000000037c219bf2ef02e94 x", NEITHER);
        upper_case_digits("@4000000037C219BF2EF02E94 x", BOTH);
        one_upper_case_digit("@4000000037c219bF2ef02e94 x", BOTH);
        a_label_of_the_future("@8000000000000000 x", BOTH);
        seconds_of_zeros("@000000000000000000000000 x", BOTH);
        seconds_of_fs("@ffffffffffffffffffffffff x", BOTH);
        nanoseconds_of_fs("@400000000000000affffffff x", NEITHER);
        the_last_nanosecond("@400000000000000a3b9ac9ff x", NEITHER);
        a_nanosecond_too_many("@400000000000000a3b9aca00 x", NEITHER);
        the_second_before_1970("@400000000000000900000000 x", NEITHER);
        the_last_second_before_2_to_the_62nd("@3fffffffffffffff00000000 x", NEITHER);
        long_before_and_nanoseconds_of_fs("@3f00000000000000ffffffff x", BOTH);
        in_a_far_year("@40f0000037c219bf2ef02e94 x", NEITHER);
        in_a_far_past_year("@3ff0000037c219bf2ef02e94 x", NEITHER);
        the_last_second("@4fffffffffffffff00000000 x", BOTH);
        the_first_second("@3f0000000000000000000000 x", BOTH);
    }

    fn at(second: i64, crashes: [bool; 2]) -> (String, [bool; 2]) {
        (format!("{}\n", stamp(second, 1)), crashes)
    }

    situations! { at
        a_second_before_the_last_second_in_a_year(LAST - 1, [false, true]);
        the_last_second_in_a_year(LAST, [false, true]);
        a_second_after_the_last_second_in_a_year(LAST + 1, BOTH);
        a_day_after_the_last_second_in_a_year(LAST + 86_400, BOTH);
        a_day_before_the_last_second_in_a_year(LAST - 86_400, NEITHER);
        a_second_before_the_first_second_in_a_year(FIRST - 1, [true, false]);
        the_first_second_in_a_year(FIRST, NEITHER);
        a_second_after_the_first_second_in_a_year(FIRST + 1, NEITHER);
        a_day_after_the_first_second_in_a_year(FIRST + 86_400, NEITHER);
        a_day_before_the_first_second_in_a_year(FIRST - 86_400, BOTH);
    }
}
