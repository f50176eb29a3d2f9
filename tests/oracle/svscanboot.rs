//! svscanboot: 0.76's is a script, so what it says can be read.

use crate::harness::{Suite, has};
use daemontools_rs::svscanboot::shell::{DOTS, PATH};

#[test]
fn svscanboot_starts_what_the_script_of_the_reference_starts() {
    if !has("oracle::svscanboot", &["svscanboot"]) {
        return;
    }
    let script = std::fs::read_to_string(Suite::Reference.program("svscanboot")).unwrap();
    let lines: Vec<&str> = script.lines().collect();
    assert!(lines.contains(&format!("PATH={PATH}").as_str()), "{script}");
    let dots = ".".repeat(DOTS);
    let title = format!("env - PATH=$PATH readproctitle service errors: {dots}");
    assert!(lines.contains(&title.as_str()), "{script}");
    assert!(lines.contains(&r"env - PATH=$PATH svscan /etc/service 2>&1 | \"));
    assert!(lines.contains(&"svc -dx /etc/service/* /etc/service/*/log"));
}
