//! No panic, and only what multilog would take for a directory is one.

#![no_main]

use daemontools_rs::svclog::run_script;

libfuzzer_sys::fuzz_target!(|script: &[u8]| {
    let found = run_script::read(script);
    let mut names = found.directories.iter().chain(&found.guesses);
    assert!(names.all(|name| !name.is_empty()));
    assert!(run_script::read(b"").directories.is_empty());
});
