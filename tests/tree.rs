//! What can be checked about the tree itself.

use crate::harness::{Suite, has};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The names of all commands, from the tree.
fn commands() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(root().join("src/bin"))
        .unwrap()
        .map(|entry| {
            entry
                .unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    names.sort();
    assert!(names.len() >= 9, "{names:?}");
    names
}

/// All files below `directory` whose name ends in `ending`.
fn files(directory: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![root().join(directory)];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.to_str().unwrap().ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The code of a file without its comments and its tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let text = text.split("\n#[cfg(test)]\nmod tests").next().unwrap();
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_command_is_documented_tested_and_installed() {
    let (readme, index, makefile) = (read("README.md"), read("docs/README.md"), read("Makefile"));
    for name in commands() {
        assert!(
            readme.contains(&format!("docs/{name}.md")),
            "README.md lacks {name}"
        );
        assert!(
            index.contains(&format!("({name}.md)")),
            "docs/README.md lacks {name}"
        );
        assert!(
            read("tests/main.rs").contains(&format!("mod {name};")),
            "tests lack {name}"
        );
        assert!(
            makefile.contains(&format!(" {name}")),
            "make install lacks {name}"
        );
        for page in [format!("docs/{name}.md"), format!("docs/man/{name}.8")] {
            assert!(read(&page).contains(&name), "{page}");
        }
        let stub = read(&format!("src/bin/{name}.rs"));
        assert!(stub.lines().count() <= 5, "src/bin/{name}.rs is no stub");
        let only_if_asked_for = format!("{{ name = \"{name}\", required-features = [\"thin\"] }}");
        assert!(
            read("Cargo.toml").contains(&only_if_asked_for),
            "Cargo.toml lacks {name}"
        );
    }
}

#[test]
fn the_program_that_is_all_programs_is_all_and_the_one_beside_it_is_those_that_look_up_users() {
    let listed = |program: &str| {
        let output = Command::new(Suite::Ours.program(program)).output().unwrap();
        let listed = String::from_utf8(output.stdout).unwrap();
        listed.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(listed("daemontools-rs"), commands());
    let uses_who = |name: &String| read(&format!("src/cmd/{name}.rs")).contains("who::find");
    let mut look_up_users = commands();
    look_up_users.retain(uses_who);
    assert_eq!(listed("daemontools-rs-nss"), look_up_users);
    assert!(read("Makefile").contains("\nDYNAMIC = daemontools-rs-nss\n"));
}

#[test]
fn every_option_is_in_the_page_and_in_the_man_page() {
    for name in [
        "svcstart",
        "svcstop",
        "svcreset",
        "svcrestart",
        "svclog",
        "svctimeline",
    ] {
        let help = Command::new(Suite::Ours.program(name))
            .arg("--help")
            .output()
            .unwrap();
        assert!(help.status.success());
        let help = String::from_utf8(help.stdout).unwrap();
        let options: Vec<&str> = help
            .split(|letter: char| letter.is_whitespace() || letter == ',')
            .filter(|word| word.starts_with("--") && word.len() > 2)
            .collect();
        assert!(options.len() >= 4, "{help}");
        for option in options {
            let page = read(&format!("docs/{name}.md"));
            assert!(page.contains(option), "docs/{name}.md lacks {option}");
            let page = read(&format!("docs/man/{name}.8")).replace("\\-", "-");
            let bare = option.trim_start_matches('-');
            assert!(
                page.contains(option) || page.contains(&format!("Fl -{bare}")),
                "docs/man/{name}.8 lacks {option}"
            );
        }
    }
}

#[test]
fn every_man_page_says_what_its_page_says() {
    if !has("every man page", &["go-md2man"]) {
        return;
    }
    for name in commands() {
        let made = Command::new(root().join("tools/man-page"))
            .arg(root().join(format!("docs/{name}.md")))
            .output()
            .unwrap();
        assert!(made.status.success());
        let page = read(&format!("docs/man/{name}.8"));
        let made = String::from_utf8(made.stdout).unwrap();
        assert!(made == page, "docs/man/{name}.8 is not current: make man");
    }
}

#[test]
fn system_calls_are_in_sys_and_command_lines_in_cmd() {
    for path in files("src", ".rs") {
        let place = path.strip_prefix(root().join("src")).unwrap().to_owned();
        let code = code(&path);
        // A word of its own, not the end of another (`unix::`).
        let has = |word: &str| {
            code.match_indices(word).any(|(at, _)| {
                !code[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
            })
        };
        if !place.starts_with("sys") {
            for word in ["unsafe ", "libc::", "nix::", "signal_hook::"] {
                assert!(!has(word), "{place:?} uses {word}");
            }
        }
        if !place.starts_with("cmd") {
            assert!(!has("clap::"), "{place:?} uses clap");
        }
    }
}

/// The modules that stand behind this word in the code.
fn named_behind(word: &str, code: &str) -> Vec<String> {
    let is_letter = |c: &char| c.is_ascii_lowercase() || *c == '_' || c.is_ascii_digit();
    let places = code.split(word).skip(1);
    places
        .map(|place| place.chars().take_while(is_letter).collect())
        .collect()
}

#[test]
fn dependencies_point_one_way() {
    // What each part may use of the crate; `sys` and `formats` stand at the bottom.
    let rules: &[(&str, &[&str])] = &[
        ("account/nsswitch.rs", &[]),
        ("account/passwd.rs", &[]),
        ("sys", &["child", "civil", "softlimit", "sys", "visible"]),
        ("visible.rs", &[]),
        ("formats", &["child", "formats"]),
        ("supervise/machine.rs", &["child", "formats"]),
        ("supervise/handover.rs", &["formats"]),
        ("supervise/takeover.rs", &["child", "formats"]),
        ("svscan/plan.rs", &["child"]),
        ("svscan/service.rs", &["child"]),
        ("svscan/late.rs", &["formats"]),
        ("svscan/settling.rs", &[]),
        ("svscan/reported.rs", &[]),
        ("admin/verdict.rs", &["child", "formats"]),
        ("admin/progress.rs", &["child"]),
        ("checks", &["checks", "child", "sys"]),
        ("checks/circle.rs", &[]),
        ("checks/machine.rs", &["child"]),
        ("multilog/script.rs", &[]),
        ("multilog/pattern.rs", &[]),
        ("multilog/lines.rs", &["formats"]),
        ("multilog/cutter.rs", &[]),
        ("multilog/recovery.rs", &["formats"]),
        ("multilog/budget.rs", &["formats"]),
        ("multilog/rate.rs", &[]),
        ("multilog/batch_size.rs", &[]),
        ("multilog/rate_limit.rs", &[]),
        ("envdir.rs", &[]),
        ("softlimit.rs", &[]),
        ("fghack/family.rs", &["child"]),
        ("svclog/run_script.rs", &[]),
        ("svclog/shell_words.rs", &[]),
        ("svclog/files.rs", &["formats"]),
        ("svclog/tail.rs", &["formats"]),
        ("svclog/merge.rs", &["formats"]),
        ("svclog/title.rs", &[]),
        ("tai64n/stamper.rs", &["formats"]),
        ("tai64n/localizer.rs", &["civil", "formats"]),
        ("readproctitle/window.rs", &[]),
        ("svscanboot/machine.rs", &["child", "svscan"]),
        ("timeline/axis.rs", &[]),
        ("timeline/words.rs", &[]),
        ("timeline/rows.rs", &["formats"]),
        ("timeline/terminal.rs", &[]),
        ("timeline/svg.rs", &[]),
    ];
    for (part, allowed) in rules {
        let path = root().join("src").join(part);
        let paths = if path.is_dir() {
            files(&format!("src/{part}"), ".rs")
        } else {
            vec![path]
        };
        let is_layer = ["checks", "formats", "sys"].contains(part);
        for path in paths {
            for module in named_behind("crate::", &code(&path)) {
                let is_allowed = allowed.contains(&module.as_str());
                assert!(is_allowed, "{path:?} uses crate::{module}");
            }
            // What decides does no input or output, and reads no clock.
            let acts = ["std::fs", "std::env", "std::process", "std::net", "::now()"];
            for word in acts.iter().filter(|_| !is_layer) {
                assert!(!code(&path).contains(word), "{path:?} uses {word}");
            }
            // One that decides may ask another that does.
            let beside = Path::new(part).parent().unwrap().to_str().unwrap();
            for module in named_behind("super::", &code(&path)) {
                let other = format!("{beside}/{module}.rs");
                let decides = rules.iter().any(|(known, _)| *known == other);
                let is_module = root().join("src").join(&other).is_file();
                assert!(
                    is_layer || decides || !is_module,
                    "{path:?} uses super::{module}"
                );
            }
        }
    }
    for path in files("src", ".rs") {
        let place = path.strip_prefix(root().join("src")).unwrap().to_owned();
        if !place.starts_with("cmd") && !place.starts_with("bin") && place != Path::new("lib.rs") {
            assert!(
                !code(&path).contains("crate::cmd"),
                "{place:?} knows a command line"
            );
        }
    }
}

/// The modules that are compiled for the tests only, as paths of files.
fn test_modules() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in files("src", ".rs") {
        let text = fs::read_to_string(&path).unwrap();
        let directory = path.parent().unwrap();
        for behind in text.split("#[cfg(test)]\n").skip(1) {
            let name = match behind.strip_prefix("#[path = \"") {
                Some(path) => path.split('"').next().unwrap().to_owned(),
                None => match behind.split_once(';').unwrap().0.split_once("mod ") {
                    Some((_, name)) => format!("{name}.rs"),
                    None => continue,
                },
            };
            found.push(directory.join(name));
        }
    }
    found
}

#[test]
fn the_architecture_names_every_module() {
    let page = read("docs/architecture.md");
    // The row of a directory, or of a file beside `lib.rs`.
    let row = |place: &str| {
        let place = format!("`src/{place}`");
        let rows = page.lines().filter(|line| line.starts_with("| `src/"));
        let mut rows = rows.filter_map(|line| line[2..].split_once(" | "));
        rows.find(|(places, _)| places.split(", ").any(|one| one == place))
            .map(|(_, what)| what)
    };
    let tests_only = test_modules();
    for path in files("src", ".rs") {
        let place = path.strip_prefix(root().join("src")).unwrap();
        let name = place.file_name().unwrap().to_str().unwrap();
        let directory = place.parent().unwrap().to_str().unwrap();
        if tests_only.contains(&path) || ["mod.rs", "lib.rs"].contains(&name) {
            continue;
        }
        // Of `bin` and `cmd`, the row names what is no command.
        let stem = name.trim_end_matches(".rs").to_owned();
        let is_named = match directory {
            "" => row(name).is_some(),
            "bin" | "cmd" if commands().contains(&stem) => row(&format!("{directory}/")).is_some(),
            _ => {
                let row = row(&format!("{directory}/")).unwrap_or_default();
                let whole = format!("`{}`", place.display());
                row.contains(&format!("`{name}`")) || page.contains(&whole)
            }
        };
        assert!(
            is_named,
            "the table of docs/architecture.md lacks src/{}",
            place.display()
        );
    }
    for (at, _) in page.match_indices("`src/") {
        let place = page[at + 1..].split('`').next().unwrap();
        assert!(
            root().join(place).exists(),
            "docs/architecture.md names {place}"
        );
    }
}

#[test]
fn no_two_public_types_have_one_name() {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let tests_only = test_modules();
    for path in files("src", ".rs") {
        if tests_only.contains(&path) {
            continue;
        }
        let code = code(&path);
        for line in code.lines() {
            let line = line.trim_start();
            let public = ["pub ", "pub(crate) "];
            let Some(item) = public.iter().find_map(|public| line.strip_prefix(public)) else {
                continue;
            };
            let kinds = ["struct ", "enum ", "type ", "trait ", "union "];
            if let Some(name) = kinds.iter().find_map(|kind| item.strip_prefix(kind)) {
                let is_letter = |c: &char| c.is_alphanumeric() || *c == '_';
                let name = name.chars().take_while(is_letter).collect();
                let place = path.strip_prefix(root()).unwrap().display().to_string();
                places.entry(name).or_default().push(place);
            }
        }
    }
    places.retain(|_, places| places.len() > 1);
    assert!(places.is_empty(), "{places:#?}");
}

#[test]
fn options_are_spelled_where_command_lines_are_read() {
    for path in files("src", ".rs") {
        let place = path.strip_prefix(root().join("src")).unwrap();
        let code = code(&path);
        let mut strings = code.split("\"--").skip(1);
        let spells = strings.any(|text| text.starts_with(|c: char| c.is_ascii_alphabetic()));
        assert!(
            place.starts_with("cmd") || !spells,
            "{place:?} spells an option"
        );
    }
}

#[test]
fn unsafe_has_its_reason() {
    for path in files("src/sys", ".rs") {
        let text = fs::read_to_string(&path).unwrap();
        let blocks = text.matches("unsafe {").count() + text.matches("#[unsafe(").count();
        let reasons = text.matches("// SAFETY:").count();
        assert!(
            reasons >= blocks,
            "{path:?}: {blocks} unsafe blocks, {reasons} reasons"
        );
    }
}

#[test]
fn the_scripts_of_the_examples_and_tools_are_executable_and_parse() {
    let mut scripts = files("service-examples", "/run");
    for name in ["/start", "/stop"] {
        scripts.extend(files("service-examples", name));
    }
    assert!(scripts.len() >= 5, "{scripts:?}");
    scripts.extend(files("tools", ""));
    for script in scripts {
        let mode = fs::metadata(&script).unwrap().permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{script:?} is not executable");
        let parsed = Command::new("/bin/sh")
            .arg("-n")
            .arg(&script)
            .status()
            .unwrap();
        assert!(parsed.success(), "{script:?}");
    }
}

#[test]
fn the_readme_names_the_oldest_toolchain_and_ci_runs_what_it_names() {
    let toolchain = format!(
        "Rust toolchain ({} or newer",
        env!("CARGO_PKG_RUST_VERSION")
    );
    assert!(read("README.md").contains(&toolchain), "{toolchain}");
    assert!(read(".ci/run").ends_with("\nexec make check\n"));
    for target in ["demo", "check", "install", "bench"] {
        assert!(read("Makefile").contains(&format!("\n{target}:")));
        assert!(read("README.md").contains(&format!("make {target}")));
    }
}

#[test]
fn the_changes_speak_of_this_version() {
    let version = env!("CARGO_PKG_VERSION");
    assert!(read("CHANGES.md").contains(&format!("## {version}")));
}

#[test]
fn links_between_the_pages_lead_somewhere() {
    let mut pages = files("docs", ".md");
    pages.push(root().join("README.md"));
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1) {
            let target = link.split([')', '#']).next().unwrap();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            let path = page.parent().unwrap().join(target);
            assert!(path.exists(), "{page:?} links to {target}");
        }
    }
}
