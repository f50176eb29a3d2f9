use super::super::rows::Choice;
use super::super::rows::tests::chart;
use super::*;

const BOOT: &str = "seen 0 web\nforked 10 web\nready 20 web\nexecuted 30 web\n\
    seen 0 db\nforked 20 db\nready 60 db\nexecuted 80 db\n\
    seen 0 old\nforked 40 old\nready 50 old\ndown 50 old\n\
    seen 0 bad/log\nforked 40 bad/log\nfailed 60 bad/log\nseen 70 x\nforked 75 x\nother 90 x\n\
    seen 100 late\n";

const PLAIN: TerminalLook = TerminalLook {
    columns: 60,
    has_colour: false,
    has_unicode: false,
};

fn drawn(lines: &str, choice: Choice, look: TerminalLook) -> String {
    let when = "2026-11-21 08:31:02.412".to_owned();
    draw(&Picture::new(chart(lines), choice, when), look)
}

#[test]
fn each_service_has_a_bar_and_phases_are_told_apart_without_colours() {
    let expected = "\
2026-11-21 08:31:02.412: 5 services and 1 log, 2 begun
  within 80.0 us
half had begun after 30.0 us, the last was db; from fork
  to begin: 20.0 us (median), at most 60.0 us (db)
1 failed (bad/log); 1 down by a file down; 1 not told,
  because supervise is another program; 1 not begun when
  this was read
there may be more: svscan was not through, or could not
  write that it was

        0                    50                   100 us
web     ....====#####        :                    :    30 us
old     .................====o                    :     down
bad/log .................========X                :   failed
db      ........=================##########       :    80 us
x       :                    :        ..======?   : not told
late    :                    :                    >  not yet

. found, waits for its fork   = supervise sets up
# ./run starts   o down   X failed   ? not told   > not yet
";
    let text = drawn(BOOT, Choice::All, PLAIN);
    assert_eq!(text, expected, "\n{text}");
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    let long = "executed 123456789 a-name-that-is-really-much-too-long-for-a-terminal/log\n";
    for columns in 0..150 {
        for has_unicode in [false, true] {
            let look = TerminalLook {
                columns,
                has_unicode,
                ..PLAIN
            };
            let text = drawn(&[BOOT, long].concat(), Choice::All, look);
            let widest = text.lines().map(|line| line.chars().count()).max();
            assert!(widest.unwrap() <= columns.max(75), "{columns}\n{text}");
            let bars = text
                .lines()
                .filter(|line| line.ends_with(" s") && line.contains(':'));
            for bar in bars {
                assert!(bar.chars().count() <= columns.max(40), "{columns}\n{text}");
            }
        }
    }
}

#[test]
fn colours_add_nothing_but_colours() {
    let look = TerminalLook {
        has_unicode: true,
        ..PLAIN
    };
    let with = drawn(
        BOOT,
        Choice::All,
        TerminalLook {
            has_colour: true,
            ..look
        },
    );
    let mut bare = String::new();
    let mut parts = with.split("\x1b[");
    bare.push_str(parts.next().unwrap());
    for part in parts {
        bare.push_str(part.split_once('m').unwrap().1);
    }
    assert_eq!(bare, drawn(BOOT, Choice::All, look));
    for line in with.lines() {
        let ends = line.matches("\x1b[m").count();
        assert!(ends > 0 || !line.contains('\x1b'), "{line:?}");
    }
}

#[test]
fn what_is_left_out_is_told() {
    let text = drawn(BOOT, Choice::Last(2), PLAIN);
    assert!(text.contains("\n2 are shown, 4 are left out\n"), "{text}");
    assert!(!text.contains("\nweb"), "{text}");
    let none = drawn(BOOT, Choice::Last(0), PLAIN);
    assert!(none.ends_with("\n0 are shown, 6 are left out\n"), "{none}");
    let empty = drawn("scanned 1\n", Choice::All, PLAIN);
    assert_eq!(
        empty,
        "2026-11-21 08:31:02.412: 0 services, none has begun\n"
    );
}

#[test]
fn a_name_is_written_in_the_letters_there_are() {
    assert_eq!(PLAIN.name("größe", 5), "gr??e");
    assert_eq!(PLAIN.name("squid-cache/log", 8), "squ~/log");
}
