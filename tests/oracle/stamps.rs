//! tai64n and tai64nlocal: the same input through both suites' programs, in many
//! time zones, and what else a filter meets: closed descriptors, a full disk,
//! a reader that is gone.

use crate::harness::numbers::Numbers;
use crate::harness::{Output, Scratch, Suite, finish, has};
use std::fs::File;

/// The exit code, as the harness tells it, of a program that SIGSEGV ended.
const CRASHED: i32 = 1011;

/// What TZ may be; None: it is not set.
const ZONES: [Option<&str>; 16] = [
    None,
    Some(""),
    Some("UTC"),
    Some("Europe/Berlin"),
    Some(":Europe/Berlin"),
    Some("America/New_York"),
    Some("Australia/Lord_Howe"),
    Some("Asia/Kathmandu"),
    Some("Africa/Casablanca"),
    Some("right/Europe/Berlin"),
    Some("CET-1CEST,M3.5.0,M10.5.0/3"),
    Some("NZST-12:00:00NZDT-13:00:00,M10.1.0,M3.3.0"),
    Some("<+0545>-5:45"),
    // A summer of ten seconds: what is remembered of one second is no help for another.
    Some("A0B-0:00:05,0/0:00:10,0/0:00:25"),
    Some("Nowhere/At/All"),
    Some("nonsense!"),
];

/// A line of each of these crashes 0.76, but for those with digits to spare.
const ODD_STAMPS: [&str; 28] = [
    "@ x",
    "@\n",
    "@@",
    "@@4000000037c219bf2ef02e94",
    "@g",
    "@0 x",
    "@4 x",
    "@4000000037c219bf x",
    "@4000000037c219bf2ef02e9 x",
    "@4000000037c219bf2ef02e944 x",
    "@4000000037c219bf2ef02e94400000000 x",
    "@04000000037c219bf2ef02e94 x",
    "@ffffffffffffffffffff4000000037c219bf2ef02e94 x",
    "@4000000037C219BF2EF02E94 x",
    "@4000000037c219bF2ef02e94 x",
    "@8000000000000000 x",
    "@000000000000000000000000 x",
    "@ffffffffffffffffffffffff x",
    "@400000000000000affffffff x",
    "@400000000000000a3b9ac9ff x",
    "@400000000000000a3b9aca00 x",
    "@400000000000000900000000 x",
    "@3fffffffffffffff00000000 x",
    "@3f00000000000000ffffffff x",
    "@40f0000037c219bf2ef02e94 x",
    "@3ff0000037c219bf2ef02e94 x",
    "@4fffffffffffffff00000000 x",
    "@3f0000000000000000000000 x",
];

/// What is no stamp, or ends before it is clear that it is one.
const OTHERS: [&[u8]; 26] = [
    b"",
    b"\n",
    b"\n\n\n",
    b"x",
    b"no newline at the end",
    b"one\ntwo\nthree\n",
    b"one\n\nthree",
    b"a\r\nb\r\n",
    b"\0\n\0\0",
    b"\xff\xfe\n\xc3\x28\n",
    b" @4000000037c219bf2ef02e94 not first\n",
    b"x@4000000037c219bf2ef02e94\n",
    b"@4000000037c219bf2ef02e94 @4000000037c219bf2ef02e94 twice\n",
    b"@4000000037c219bf2ef02e94@4000000037c219bf2ef02e94\n",
    b"@4000000037c219bf2ef02e94\n@4000000037c219bf2ef02e94\n",
    b"@4000000037c219bf2ef02e94\n\n@4000000037c219bf2ef02e94 x",
    b"@4000000037c219bf2ef02e94\0x\n",
    b"@4000000037c219bf2ef02e94\xff\n",
    b"@4000000037c219bf2ef02e94\r\n",
    b"@4000000037c219bf2ef02e94 ",
    b"@4000000037c219bf2ef02e94g",
    b"@4000000037c219bf2ef02e94",
    b"a line\n@4000000037c219bf2ef02e94",
    b"a line\n@40000",
    b"a line\n@",
    b"@",
];

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

/// Runs both suites' `program` on each of `runs`; `same` says what is wrong with
/// ours. False if there is no reference.
fn compare(
    program: &str,
    runs: &[Run],
    same: impl Fn(&Run, &Output, &Output) -> Result<(), String>,
) -> bool {
    if !has(&format!("oracle::{program}"), &[program]) {
        return false;
    }
    let scratch = Scratch::new();
    let mut wrong = Vec::new();
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
            wrong.push(format!("TZ={:?}: {why}\n{input:?}", run.zone));
        }
    }
    eprintln!("{program}: {} inputs", runs.len());
    let first = wrong.first().cloned().unwrap_or_default();
    assert!(
        wrong.is_empty(),
        "{} of {} differ: {first}",
        wrong.len(),
        runs.len()
    );
    true
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

#[test]
fn tai64n_is_as_the_reference() {
    let mut numbers = Numbers(0x2545_F491_4F6C_DD1D);
    let mut inputs: Vec<Vec<u8>> = OTHERS.map(<[u8]>::to_vec).into();
    inputs.push(vec![b'x'; 1 << 20]);
    inputs.push([vec![b'x'; 1 << 20], b"\n".repeat(5_000)].concat());
    inputs.push(b"\n".repeat(100_000));
    inputs.extend((0..120).map(|_| log(&mut numbers)));
    let runs: Vec<Run> = inputs
        .into_iter()
        .map(|input| Run { input, zone: None })
        .collect();
    compare("tai64n", &runs, |_, reference, ours| {
        let (theirs, own) = (without_stamps(&reference.out), without_stamps(&ours.out));
        if theirs != own {
            return Err(first_difference(&theirs, &own));
        }
        let same = (reference.code, &reference.err) == (ours.code, &ours.err);
        same.then_some(()).ok_or(format!("{ours:?}"))
    });
}

#[test]
fn tai64nlocal_is_as_the_reference_in_all_zones() {
    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
    // Every half hour of a year, and the seconds about it: all changes of time.
    let year: String = (0..365 * 48)
        .flat_map(|half_hour| [-1, 0, 1].map(|second| (half_hour, second)))
        .map(|(half_hour, second)| stamp(1_767_225_600 + half_hour * 1800 + second, 5) + "\n")
        .collect();
    // Leap seconds are in few zones: the last was at the end of 2016.
    let leap: String = (1_483_228_780..1_483_228_840)
        .map(|second| stamp(second, 0) + "leap\n")
        .collect();
    let mut runs = Vec::new();
    for zone in ZONES {
        let mut add = |input: Vec<u8>| runs.push(Run { input, zone });
        add(year.clone().into());
        add(leap.clone().into());
        for _ in 0..15 {
            add(log(&mut numbers));
        }
    }
    for input in OTHERS {
        let zone = Some("UTC");
        let input = input.to_vec();
        runs.push(Run { input, zone });
    }
    compare("tai64nlocal", &runs, |_, reference, ours| {
        if reference.code != 0 || reference.out != ours.out {
            return Err(first_difference(&reference.out, &ours.out));
        }
        let same = (ours.code, &reference.err) == (0, &ours.err);
        same.then_some(()).ok_or(format!("{ours:?}"))
    });
}

#[test]
fn tai64nlocal_passes_a_stamp_unchanged_only_where_the_reference_crashes() {
    let mut runs = Vec::new();
    // The first and the last seconds that are in a year.
    let ends = [67_768_036_191_676_799, -67_768_040_609_740_800];
    let ends = ends
        .iter()
        .flat_map(|end| [-1, 0, 1, 86_400, -86_400].map(|more| stamp(end + more, 1)));
    let stamps = ODD_STAMPS.iter().map(|stamp| (*stamp).to_owned());
    for stamp in stamps.chain(ends) {
        for zone in [Some("UTC"), Some("Europe/Berlin")] {
            let input = format!("{stamp}\n").into_bytes();
            runs.push(Run { input, zone });
        }
    }
    let crashes = std::cell::Cell::new(0);
    let compared = compare("tai64nlocal", &runs, |run, reference, ours| {
        let expected = if reference.code == CRASHED {
            crashes.set(crashes.get() + 1);
            &run.input
        } else {
            &reference.out
        };
        if (ours.code, &ours.out) != (0, expected) {
            return Err(first_difference(expected, &ours.out));
        }
        Ok(())
    });
    assert!(!compared || crashes.get() >= 30, "{crashes:?}");
}

#[test]
fn the_filters_meet_what_is_broken_as_the_reference_does() {
    let scripts = [
        "FILTER <&-",
        "FILTER >&- </dev/null",
        "echo x | FILTER >&-",
        "echo x | FILTER >/dev/full",
        "FILTER </",
        "FILTER 2>&- </dev/null",
        "FILTER <&- >&- 2>&-",
        // A reader that is gone: SIGPIPE, unless it is ignored.
        "{ FILTER; echo $? >&2; } </dev/zero | true",
        "trap '' PIPE; { FILTER; echo $? >&2; } </dev/zero | true",
    ];
    for program in ["tai64n", "tai64nlocal"] {
        if !has("oracle::filters", &[program]) {
            return;
        }
        let scratch = Scratch::new();
        for script in scripts {
            let [reference, ours] = [Suite::Reference, Suite::Ours].map(|suite| {
                let mut command = scratch.command(suite, "sh");
                command.args(["-c", &script.replace("FILTER", program)]);
                finish(command)
            });
            assert_eq!(ours, reference, "{script}");
        }
    }
}
