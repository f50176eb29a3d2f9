//! Real daemons of Debian's, from `service-examples`, under our svscan, driven
//! by our commands only.

use crate::harness::{Daemon, Output, Scratch, Suite, finish, has, is_alive, signal, wait_until};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

/// A private copy of an example, under svscan, on a port of its own.
struct Example {
    scratch: Scratch,
    _svscan: Daemon,
    name: &'static str,
    port: u16,
}

impl Example {
    /// `settings` is what to change in the example's settings for the port it gets.
    fn new(
        name: &'static str,
        settings: impl FnOnce(&Scratch, u16) -> Vec<(&'static str, String)>,
    ) -> Example {
        let scratch = Scratch::new();
        let source = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("service-examples")
            .join(name);
        let mut copy = scratch.command(Suite::Ours, "/bin/cp");
        copy.arg("-R").arg(source).arg(scratch.at(name));
        assert_eq!(finish(copy).code, 0);
        let port = free_port();
        let path = Path::new(name).join("settings");
        for (key, value) in settings(&scratch, port) {
            let text = scratch.read(&path);
            assert!(text.contains(&format!("\n{key}=")), "no setting {key}");
            let changed: String = text
                .lines()
                .map(|line| match line.split_once('=') {
                    Some((found, _)) if found == key => format!("{key}={value}\n"),
                    _ => format!("{line}\n"),
                })
                .collect();
            scratch.write(&path, changed);
        }
        let svscan = scratch.svscan();
        Example {
            scratch,
            _svscan: svscan,
            name,
            port,
        }
    }

    fn run(&self, program: &str) -> Output {
        let service = format!("service/{}", self.name);
        self.scratch.run(Suite::Ours, program, &[service])
    }

    /// Runs `program` on the service, which must succeed.
    fn succeeds(&self, program: &str) -> String {
        let output = self.run(program);
        assert_eq!(output.code, 0, "{program}: {output:?}\n{}", self.log());
        assert!(output.text().ends_with("OK\n"), "{program}: {output:?}");
        output.text()
    }

    fn log(&self) -> String {
        self.scratch.read(format!("{}/log/main/current", self.name))
    }

    /// Kills the service, waits for the next one, and checks that it came within
    /// the second that is promised, by the times the kernel noted.
    fn is_back_within_a_second_after_kill(&self) {
        let old = self.scratch.pid(self.name).unwrap();
        let starved = Duration::from_secs(10);
        signal(old, "KILL");
        let killed = uptime();
        let mut new = None;
        wait_until("another process runs", || {
            new = self.scratch.pid(self.name);
            new.is_some_and(|pid| pid != old)
        });
        assert!(!is_alive(old));
        let started = started(new.unwrap());
        // supervise owes it at once; the bound allows for a machine that does
        // not let it run.
        let took = started.saturating_sub(killed);
        println!("{}: back after {took:?}", self.name);
        assert!(took < Duration::from_secs(1) + starved, "{took:?}");
    }
}

/// The time since boot.
fn uptime() -> Duration {
    let text = fs::read_to_string("/proc/uptime").unwrap();
    Duration::from_secs_f64(text.split(' ').next().unwrap().parse().unwrap())
}

/// When the process was started, as time since boot (field 22 of its stat).
fn started(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields = stat.rsplit(')').next().unwrap();
    let ticks: u64 = fields
        .split_ascii_whitespace()
        .nth(19)
        .unwrap()
        .parse()
        .unwrap();
    Duration::from_millis(ticks * 10)
}

/// A port that nobody uses now.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn connects(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// What an HTTP server answers, if there is one.
fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

fn slapd() -> Option<Example> {
    let needed = ["slapd", "slapadd", "ldapwhoami", "multilog"];
    has("the example slapd", &needed).then(|| {
        Example::new("slapd", |scratch, port| {
            // Its own account, if that can reach the database wherever the checkout lies.
            let open = |dir: &Path| fs::metadata(dir).unwrap().permissions().mode() & 1 != 0;
            let reachable = scratch.path().ancestors().all(open);
            let account = if reachable { "openldap" } else { "root" };
            vec![
                ("URL", format!("ldap://127.0.0.1:{port}/")),
                ("DATA", scratch.at("data").display().to_string()),
                ("ACCOUNT", account.to_owned()),
                ("PAUSE", "0.2".to_owned()),
            ]
        })
    })
}

impl Example {
    fn ldap(&self, program: &str, arguments: &[&str]) -> Output {
        let url = format!("ldap://127.0.0.1:{}/", self.port);
        let mut command = self.scratch.command(Suite::Ours, program);
        command.args(["-x", "-H", &url]).args(arguments);
        finish(command)
    }
}

#[test]
fn slapd_is_started_checked_killed_stopped_reset_and_restarted() {
    let Some(slapd) = slapd() else { return };
    slapd.scratch.link("slapd");

    let text = slapd.succeeds("svcstart");
    assert!(text.starts_with("Starting service/slapd ."), "{text}");
    assert!(
        text.contains("\nWaiting for slapd to start.. (15)\n"),
        "{text}"
    );
    assert_eq!(slapd.ldap("ldapwhoami", &[]).text(), "anonymous\n");
    let found = slapd.ldap(
        "ldapsearch",
        &["-LLL", "-b", "dc=example,dc=org", "sn=Lovelace", "cn"],
    );
    assert!(found.text().contains("cn: Ada Lovelace"), "{found:?}");

    slapd.is_back_within_a_second_after_kill();
    assert_eq!(slapd.succeeds("svcstart").matches("FAILED").count(), 0);
    assert_eq!(slapd.ldap("ldapwhoami", &[]).text(), "anonymous\n");

    let pid = slapd.scratch.pid("slapd").unwrap();
    let text = slapd.succeeds("svcrestart");
    assert!(
        text.starts_with("Stopping service/slapd .") && text.contains("\nStarting service/slapd ."),
        "{text}"
    );
    assert_ne!(slapd.scratch.pid("slapd").unwrap(), pid);

    slapd.succeeds("svcstop");
    assert!(!connects(slapd.port));
    assert!(slapd.scratch.svstat("slapd").starts_with("down"));
    let text = slapd.run("svcrestart");
    assert_eq!(
        (text.code, text.text().as_str()),
        (0, "service/slapd is down: not restarted\n")
    );

    assert!(slapd.succeeds("svcreset").starts_with("Starting"));
    assert_eq!(slapd.ldap("ldapwhoami", &[]).text(), "anonymous\n");
    slapd.scratch.write("slapd/down", "");
    assert!(slapd.succeeds("svcreset").starts_with("Stopping"));
    assert!(!connects(slapd.port));
    // The database of the first start is still there.
    fs::remove_file(slapd.scratch.at("slapd/down")).unwrap();
    slapd.succeeds("svcreset");
    let found = slapd.ldap(
        "ldapsearch",
        &["-LLL", "-b", "dc=example,dc=org", "sn=Lovelace", "cn"],
    );
    assert!(found.text().contains("cn: Ada Lovelace"), "{found:?}");
}

#[test]
fn a_slapd_with_a_broken_configuration_makes_svcstart_exit_1() {
    let Some(slapd) = slapd() else { return };
    let path = "slapd/slapd.conf.in";
    let conf = slapd.scratch.read(path);
    slapd
        .scratch
        .write(path, format!("{conf}\nno such directive\n"));
    slapd.scratch.link("slapd");
    let output = slapd.run("svcstart");
    assert_eq!(output.code, 1, "{output:?}");
    assert!(
        output.text().contains("Waiting for slapd to start.. (1)\n"),
        "{output:?}"
    );
    assert!(
        output
            .text()
            .ends_with("\nStarting service/slapd .FAILED\n"),
        "{output:?}"
    );
    assert_eq!(
        output.errors(),
        "svcstart: fatal: service/slapd: ./start exited 1; read its output and the service's log\n"
    );
    slapd.scratch.wait_down("slapd");
    wait_until("the log says why", || {
        slapd.log().contains("no such directive") || slapd.log().contains("unknown directive")
    });
}

fn apache() -> Option<Example> {
    has("the example apache", &["apache2", "multilog", "pkill"]).then(|| {
        Example::new("apache", |_, port| {
            vec![("LISTEN", format!("127.0.0.1:{port}"))]
        })
    })
}

impl Example {
    fn serves(&self) -> bool {
        get(self.port, "/").is_some_and(|answer| answer.contains("<p>It works.</p>"))
    }

    /// How often the access log speaks of a request for `path`, over all its files.
    fn logged(&self, path: &str) -> usize {
        let files = fs::read_dir(self.scratch.at("apache/log/main"))
            .unwrap()
            .flatten();
        let text: String = files
            .filter_map(|file| fs::read_to_string(file.path()).ok())
            .collect();
        text.matches(&format!("\"GET {path} HTTP/1.0\"")).count()
    }
}

#[test]
fn apache_is_started_killed_stopped_reset_and_restarted_and_its_log_goes_on() {
    let Some(apache) = apache() else { return };
    apache.scratch.link("apache");
    apache.succeeds("svcstart");
    wait_until("it serves", || apache.serves());
    assert!(
        get(apache.port, "/first")
            .unwrap()
            .starts_with("HTTP/1.1 404")
    );
    wait_until("the request is logged", || apache.logged("/first") == 1);
    let log = apache.scratch.wait_up("apache/log");

    apache.is_back_within_a_second_after_kill();
    apache.succeeds("svcstart");
    wait_until("it serves again", || apache.serves());

    let pid = apache.scratch.pid("apache").unwrap();
    apache.succeeds("svcrestart");
    assert_ne!(apache.scratch.pid("apache").unwrap(), pid);
    wait_until("it serves after a restart", || apache.serves());

    apache.succeeds("svcstop");
    assert!(!connects(apache.port));
    assert!(is_alive(log), "the log service is left running");
    assert!(apache.succeeds("svcreset").starts_with("Starting"));
    wait_until("it serves after a reset", || apache.serves());
    apache.scratch.write("apache/down", "");
    assert!(apache.succeeds("svcreset").starts_with("Stopping"));
    assert!(!connects(apache.port));
}

#[test]
fn every_request_to_apache_is_in_its_log_across_restarts_of_both() {
    let Some(apache) = apache() else { return };
    apache.scratch.link("apache");
    apache.succeeds("svcstart");
    wait_until("it serves", || apache.serves());
    for round in 0..3 {
        for _ in 0..50 {
            assert!(get(apache.port, "/counted").unwrap().contains("404"));
        }
        match round {
            0 => {
                apache.succeeds("svcrestart");
                wait_until("it serves again", || apache.serves());
            }
            _ => {
                // What multilog has read it writes before it ends at TERM.
                let log = apache.scratch.pid("apache/log").unwrap();
                apache
                    .scratch
                    .run(Suite::Ours, "svc", &["-t", "apache/log"]);
                wait_until("another multilog runs", || {
                    apache
                        .scratch
                        .pid("apache/log")
                        .is_some_and(|pid| pid != log)
                });
            }
        }
    }
    wait_until("all requests are logged", || {
        apache.logged("/counted") >= 150
    });
    assert_eq!(apache.logged("/counted"), 150);
}

#[test]
fn the_tiny_example_needs_nothing_installed() {
    let hello = Example::new("hello", |_, _| vec![]);
    hello.scratch.link("hello");
    hello.succeeds("svcstart");
    let greeting = format!("hello, my pid is {}\n", hello.scratch.pid("hello").unwrap());
    wait_until("its log says hello", || {
        hello.scratch.read("hello/log/current") == greeting
    });
    hello.is_back_within_a_second_after_kill();
    hello.succeeds("svcstop");
}
