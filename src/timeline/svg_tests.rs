use super::super::rows::Choice;
use super::super::rows::tests::chart;
use super::*;

fn drawn(lines: &str) -> String {
    draw(&Picture::new(
        chart(lines),
        Choice::All,
        "2026-11-21 08:31:02.412".to_owned(),
    ))
}

/// So many services that begin one after the other.
fn boot(count: usize) -> String {
    let one = |n: usize| {
        let (forked, ready, executed) = (n + 2, n + 5, n + 9);
        format!("seen 1 s{n}\nforked {forked} s{n}\nready {ready} s{n}\nexecuted {executed} s{n}\n")
    };
    let all: String = (0..count).map(one).collect();
    all + "scanned 9\n"
}

/// The tags of a file in which each one that is open is closed, and no text holds
/// what would be a tag.
fn tags(svg: &str) -> Vec<String> {
    let mut open: Vec<String> = Vec::new();
    let mut found = Vec::new();
    let mut rest = svg;
    while let Some((text, behind)) = rest.split_once('<') {
        for entity in text.split('&').skip(1) {
            let name = entity.split_once(';').unwrap().0;
            assert!(["amp", "lt", "gt", "quot", "#39"].contains(&name), "{name}");
        }
        let (tag, behind) = behind.split_once('>').unwrap();
        assert!(!tag.contains('&') || tag.contains(';'), "{tag}");
        let name: String = tag.chars().take_while(|c| !" />".contains(*c)).collect();
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().unwrap(), name);
        } else {
            assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
            if !tag.ends_with('/') {
                open.push(name.clone());
            }
            found.push(name);
        }
        rest = behind;
    }
    assert_eq!((open.len(), rest), (0, "\n"));
    found
}

#[test]
fn a_picture_has_a_bar_a_name_and_a_story_for_each_service() {
    let svg = drawn(&boot(5));
    let tags = tags(&svg);
    assert_eq!(tags[0], "svg");
    assert_eq!(tags.iter().filter(|tag| *tag == "title").count(), 5);
    for n in 0..5 {
        assert!(svg.contains(&format!(">s{n}</text>")), "{svg}");
        assert!(svg.contains(&format!("<title>s{n}: seen 1.00 µs, supervise forked ")));
    }
    for class in ["waits", "sets", "starts"] {
        let parts = svg.matches(&format!("<rect class=\"{class}\"")).count();
        assert_eq!(parts, 5 + 1, "each bar and the legend have {class}");
    }
    assert!(svg.contains("5 services, all begun within 13.0 µs"));
    assert!(!svg.contains("<script"));
}

#[test]
fn of_many_services_some_have_a_name_and_the_picture_stays_a_picture() {
    let mut heights = Vec::new();
    for count in [1, 10, 60, 111, 112, 300, 1000, 3000] {
        let svg = drawn(&boot(count));
        let tags = tags(&svg);
        assert_eq!(tags.iter().filter(|tag| *tag == "title").count(), count);
        let names = svg.matches("class=\"name\"").count();
        match count {
            ..=111 => assert_eq!(names, count),
            _ => assert!((10..100).contains(&names), "{count}: {names}"),
        }
        let height = svg.split("height=\"").nth(1).unwrap();
        heights.push(height.split('"').next().unwrap().parse::<u32>().unwrap());
        assert!(svg.len() < 4_000 + 800 * count, "{count}: {}", svg.len());
    }
    assert!(*heights.iter().max().unwrap() < 2400, "{heights:?}");
}

#[test]
fn what_failed_is_named_before_all_others() {
    let mut lines = boot(1000);
    lines.push_str("seen 1 broken\nforked 502 broken\nfailed 505 broken\n");
    let svg = drawn(&lines);
    assert!(svg.contains(">broken</text>"));
    assert!(svg.contains("1 failed (broken)"));
}

#[test]
fn all_numbers_are_within_the_picture() {
    let odd = "seen 18446744073709551 a\nforked 0 a\nexecuted 5 a\nexecuted 0 b\nfailed 0 c\n\
        seen 7 d\ndown 0 d\nother 3 e\nscanned 18446744073709551\n";
    for lines in [&boot(200), odd, "", "executed 0 a", "scanned 5"] {
        let svg = drawn(lines);
        tags(&svg);
        for (name, most) in [
            ("x", 1000.0),
            ("width", 1000.0),
            ("y", 3000.0),
            ("height", 3000.0),
        ] {
            for value in svg.split(&format!(" {name}=\"")).skip(1) {
                let value = value.split('"').next().unwrap();
                if value != "100%" {
                    let value: f64 = value.parse().unwrap();
                    assert!((0.0..=most).contains(&value), "{name}={value}");
                }
            }
        }
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }
}

#[test]
fn no_name_breaks_the_picture() {
    for (name, expected) in [
        ("<script>", "&lt;script&gt;"),
        ("a&b", "a&amp;b"),
        ("\"'", "&quot;&#39;"),
        ("\u{1}\u{fffe}", "\\x01\\xef\\xbf\\xbe"),
    ] {
        let svg = drawn(&format!("seen 1 {name}\nfailed 2 {name}\n"));
        tags(&svg);
        assert!(svg.contains(&format!(">{expected}</text>")), "{svg}");
    }
    let long = "n".repeat(255);
    let svg = drawn(&format!("seen 1 {long}\nexecuted 2 {long}\n"));
    assert!(svg.contains(&format!("<title>{long}: ")));
    assert!(!svg.contains(&format!(">{long}</text>")));
}
