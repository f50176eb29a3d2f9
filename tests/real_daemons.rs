//! Daemons as they are used, from `service-examples/`, under our svscan and driven
//! by our commands: OpenLDAP, Apache httpd, and a service that needs nothing.

use crate::harness::{
    DEADLINE, Daemon, Output, Scratch, Suite, finish, has, is_alive, signal, wait_until,
};
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

/// What the example slapd needs.
const SLAPD: [&str; 5] = ["slapd", "slapadd", "ldapwhoami", "ldapsearch", "multilog"];
/// What the example apache needs.
const APACHE: [&str; 2] = ["apache2", "multilog"];
/// What the example redis needs.
const REDIS: [&str; 2] = ["redis-server", "redis-cli"];

/// An svscan on the directory `service` of a scratch directory.
struct World {
    _svscan: Daemon,
    scratch: Scratch,
}

impl World {
    fn new() -> World {
        let scratch = Scratch::new();
        scratch.mkdir("service");
        scratch.mkdir("store");
        for open in ["", "store"] {
            set_mode(&scratch.at(open), 0o755);
        }
        // Stands for the monitoring of an appliance.
        scratch.mkdir("bin");
        scratch.script("bin/syn3-state", "echo \"$*\" >>\"${0%/bin/*}/states\"");
        let svscan = scratch.daemon(Suite::Ours, "svscan", &["service"], "svscan");
        World {
            _svscan: svscan,
            scratch,
        }
    }

    /// Runs one of our commands where the monitoring is to be found.
    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let mut command = self
            .scratch
            .command(Suite::Ours, Suite::Ours.program(program));
        let path = format!(
            "{}:{}:/usr/sbin:/usr/bin:/sbin:/bin",
            Suite::Ours.directory().display(),
            self.scratch.at("bin").display()
        );
        command.env("PATH", path).args(arguments);
        finish(command)
    }

    /// As [`World::run`], for what must succeed.
    fn ok(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.run(program, arguments);
        assert_eq!(
            (output.code, output.errors().as_str()),
            (0, ""),
            "{program} {arguments:?}: {output:?}\n{}",
            self.logs()
        );
        output.text()
    }

    /// All the logs there are, for one who has to find out.
    fn logs(&self) -> String {
        let services = fs::read_dir(self.scratch.at("service")).unwrap().flatten();
        services
            .map(|service| {
                let log = service.path().join("log/main/current");
                let text = fs::read(&log).unwrap_or_default();
                format!("{}:\n{}", log.display(), String::from_utf8_lossy(&text))
            })
            .collect()
    }

    /// A copy of the example, not yet in the service directory.
    fn copy(&self, example: &str, name: &str) {
        let from = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("service-examples")
            .join(example);
        // Everybody can read it then, whatever umask this checkout was made with.
        // Other programs do it: see Scratch::script.
        for (program, arguments) in [("cp", ["-R", "--"]), ("chmod", ["-R", "a+rX"])] {
            let mut command = self.scratch.command(Suite::Ours, program);
            command.args(arguments);
            if program == "cp" {
                command.arg(&from);
            }
            command.arg(self.scratch.at("store").join(name));
            assert_eq!(finish(command).code, 0);
        }
    }

    /// Drops a copy in.
    fn link(&self, name: &str) {
        symlink(
            format!("../store/{name}"),
            self.scratch.at("service").join(name),
        )
        .unwrap();
    }

    /// Replaces what occurs once in a file of a copy.
    fn set(&self, file: &str, old: &str, new: &str) {
        let text = self.scratch.read(file);
        assert_eq!(text.matches(old).count(), 1, "{old} in {file}");
        self.scratch.write(file, text.replace(old, new));
    }

    /// Drops in a slapd on a free port and gives the port.
    fn slapd(&self, name: &str) -> u16 {
        let port = free_port();
        self.slapd_on(name, port);
        port
    }

    fn slapd_on(&self, name: &str, port: u16) {
        self.copy("slapd", name);
        let settings = format!("store/{name}/settings");
        self.set(&settings, "1:389/\n", &format!("1:{port}/\n"));
        self.set(&settings, "\ninterval=5\n", "\ninterval=0.1\n");
        self.set(&settings, "\ntries=15\n", "\ntries=500\n");
        self.set(&settings, "\nstop_interval=1\n", "\nstop_interval=0.1\n");
        self.set(&settings, "\nstop_tries=60\n", "\nstop_tries=500\n");
        self.link(name);
    }

    /// Drops in an apache on a free port and gives the port.
    fn apache(&self) -> u16 {
        let port = free_port();
        self.copy("apache", "apache");
        self.set(
            "store/apache/httpd.conf",
            "\nListen 80\n",
            &format!("\nListen 127.0.0.1:{port}\n"),
        );
        self.link("apache");
        port
    }

    /// Drops in a redis on a free port and gives the port.
    fn redis(&self) -> u16 {
        let port = free_port();
        self.copy("redis", "redis");
        self.scratch
            .write("store/redis/env/PORT", format!("{port}\n"));
        self.set("store/redis/start", "\ntries=150\n", "\ntries=500\n");
        self.link("redis");
        port
    }

    /// What a redis answers.
    fn redis_says(&self, port: u16, words: &[&str]) -> String {
        let mut command = self.scratch.command(Suite::Reference, "redis-cli");
        command
            .args(["-h", "127.0.0.1", "-p", &port.to_string()])
            .args(words);
        finish(command).text().trim_end().to_owned()
    }

    /// Asks a slapd, as an administrator would.
    fn ldap(&self, program: &str, port: u16, arguments: &[&str]) -> Output {
        let mut command = self
            .scratch
            .command(Suite::Reference, Suite::Reference.program(program));
        command
            .args(["-x", "-H", &format!("ldap://127.0.0.1:{port}/")])
            .args(arguments);
        finish(command)
    }

    /// slapd answers, out of the example's database.
    fn assert_answers(&self, port: u16) {
        let said = self.ldap("ldapwhoami", port, &[]);
        assert_eq!((said.code, said.text().trim()), (0, "anonymous"));
        let found = self.ldap(
            "ldapsearch",
            port,
            &["-LLL", "-b", "dc=example,dc=org", "(uid=dan)", "mail"],
        );
        let entry = "dn: uid=dan,ou=people,dc=example,dc=org\nmail: dan@example.org\n\n";
        assert_eq!((found.code, found.text().as_str()), (0, entry));
    }

    /// Waits until the service has another process than `old`, and gives it.
    fn wait_other(&self, name: &str, old: u32) -> u32 {
        let mut pid = None;
        wait_until(&format!("{name} is back with a new pid"), || {
            pid = self.scratch.pid(name).filter(|pid| *pid != old);
            pid.is_some()
        });
        pid.unwrap()
    }

    /// Kills the service with KILL: a second later at most it has a new process.
    /// On a busy machine one try may be late through no fault of ours; a
    /// supervise that waits would be late in each.
    fn is_back_within_a_second(&self, name: &str) {
        let mut late = Vec::new();
        loop {
            let pid = self.scratch.wait_up(name);
            let seen = Instant::now();
            wait_until("it has run for a second", || {
                seen.elapsed() >= Duration::from_secs(1)
            });
            let mark = self.scratch.command(Suite::Ours, "/bin/true");
            let mark = self.scratch.start(mark, "mark");
            let killed = made_at(mark.pid()).unwrap();
            signal(pid, "KILL");
            let new = self.wait_other(name, pid);
            let ticks = made_at(new).unwrap().saturating_sub(killed);
            if ticks <= 100 {
                return;
            }
            late.push(ticks);
            assert!(late.len() < 5, "ticks from the kill to the start: {late:?}");
        }
    }

    /// The names of all processes started here.
    fn names(&self) -> Vec<String> {
        let pids = self.scratch.processes();
        pids.into_iter().map(process_name).collect()
    }

    /// The numbers of the requests in the access log, in order.
    fn logged(&self) -> Vec<u32> {
        let mut numbers = Vec::new();
        let main = fs::read_dir(self.scratch.at("service/apache/log/main"));
        for entry in main.into_iter().flatten().flatten() {
            let name = entry.file_name().into_string().unwrap();
            if name == "current" || name.starts_with('@') {
                // multilog may rename it just now; then the next look finds it.
                let text = fs::read(entry.path()).unwrap_or_default();
                let text = String::from_utf8_lossy(&text);
                let lines = text.lines().filter_map(|line| line.split_once("?n="));
                numbers.extend(lines.map(|(_, rest)| {
                    let number = rest.split_once(' ').unwrap().0;
                    number.parse::<u32>().unwrap()
                }));
            }
        }
        numbers.sort_unstable();
        numbers
    }

    /// Makes the requests `from..to` and waits until each is in the log.
    fn request(&self, port: u16, from: u32, to: u32) {
        for number in from..to {
            let answer = get(port, &format!("/?n={number}")).unwrap();
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        }
        let all: Vec<u32> = (0..to).collect();
        wait_until(&format!("{to} requests are in the access log"), || {
            self.logged().len() >= all.len()
        });
        assert_eq!(self.logged(), all, "each request has its line");
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

fn is_open(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// The whole answer to a GET.
fn get(port: u16, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn wait_served(port: u16) {
    wait_until("the page is served", || {
        get(port, "/").is_ok_and(|answer| answer.contains("served by Apache under supervise"))
    });
}

/// Whether the line is `head`, dots for as long as it took, `end`.
fn is_progress(line: &str, head: &str, end: &str) -> bool {
    let dots = line
        .strip_prefix(head)
        .and_then(|rest| rest.strip_suffix(end));
    dots.is_some_and(|dots| !dots.is_empty() && dots.bytes().all(|byte| byte == b'.'))
}

fn process_name(pid: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim_end().to_owned()
}

/// When the kernel made the process, in ticks (of a hundredth second) since boot.
fn made_at(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields = stat.rsplit_once(')')?.1;
    fields.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[test]
fn slapd_is_started_asked_killed_stopped_restarted_and_reset() {
    if !has("slapd", &SLAPD) {
        return;
    }
    let world = World::new();
    let name = "service/slapd";
    let port = world.slapd("slapd");

    let said = world.ok("svcstart", &["service/slapd/"]);
    let lines: Vec<&str> = said.lines().collect();
    assert!(
        is_progress(lines[0], "Starting service/slapd/ ", ""),
        "{said}"
    );
    assert_eq!(lines[1], "Waiting for slapd to start.. (500)");
    let last = lines.last().unwrap();
    assert!(
        is_progress(last, "Starting service/slapd/ ", "OK"),
        "{said}"
    );
    assert_eq!(world.scratch.read("states"), "slapd OK Started\n");
    world.assert_answers(port);
    let first = world.scratch.pid(name).unwrap();
    assert_eq!(process_name(first), "slapd", "run ends in exec");

    signal(first, "KILL");
    let second = world.wait_other(name, first);
    wait_until("slapd answers again", || {
        world.ldap("ldapwhoami", port, &[]).code == 0
    });
    world.assert_answers(port);

    let said = world.ok("svcstop", &[name]);
    assert!(said.starts_with("Stopping service/slapd .") && said.ends_with("OK\n"));
    assert!(!is_open(port), "a stopped slapd's port is closed");
    assert!(!is_alive(second));
    let state = world.scratch.svstat(name);
    assert!(
        state.starts_with("down ") && state.ends_with(" seconds, normally up"),
        "{state}"
    );

    let before = fs::read(world.scratch.at("service/slapd/supervise/status")).unwrap();
    assert_eq!(
        world.ok("svcrestart", &[name]),
        "service/slapd is down: not restarted\n"
    );
    let after = fs::read(world.scratch.at("service/slapd/supervise/status")).unwrap();
    assert_eq!(before, after, "nothing has changed");

    world.ok("svcstart", &[name]);
    world.assert_answers(port);
    let third = world.scratch.pid(name).unwrap();
    let said = world.ok("svcrestart", &[name]);
    assert!(
        said.starts_with("Stopping service/slapd .")
            && said.contains("OK\nStarting service/slapd ."),
        "{said}"
    );
    let fourth = world.scratch.pid(name).unwrap();
    assert_ne!(third, fourth);
    world.assert_answers(port);

    assert!(world.ok("svcreset", &[name]).starts_with("Starting "));
    assert_eq!(
        world.scratch.pid(name),
        Some(fourth),
        "it ran as configured"
    );
    world.scratch.write("service/slapd/down", "");
    assert!(world.ok("svcreset", &[name]).starts_with("Stopping "));
    assert!(!is_open(port));
    let state = world.scratch.svstat(name);
    assert!(
        state.starts_with("down ") && state.ends_with(" seconds"),
        "{state}"
    );
    assert!(world.ok("svcreset", &[name]).starts_with("Stopping "));
    fs::remove_file(world.scratch.at("service/slapd/down")).unwrap();
    assert!(world.ok("svcreset", &[name]).starts_with("Starting "));
    world.assert_answers(port);

    world.ok("svcstop", &["-q", name]);
    assert!(!world.names().contains(&"slapd".to_owned()));
}

#[test]
fn a_redis_runs_as_its_own_user_with_limits_settings_and_a_lock() {
    if !has("redis", &REDIS) {
        return;
    }
    let world = World::new();
    let name = "service/redis";
    let port = world.redis();
    let said = world.ok("svcstart", &[name]);
    assert!(
        is_progress(said.trim_end(), "Starting service/redis ", "OK"),
        "{said}"
    );
    let first = world.scratch.pid(name).unwrap();
    assert_eq!(
        process_name(first),
        "redis-server",
        "the whole chain ends in exec"
    );
    assert_eq!(world.redis_says(port, &["set", "key", "kept"]), "OK");

    let proc = |file: &str| fs::read(format!("/proc/{first}/{file}")).unwrap();
    let status = String::from_utf8(proc("status")).unwrap();
    let field = |name: &str| -> Vec<&str> {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_ascii_whitespace().skip(1).collect()
    };
    if crate::harness::is_root("the user of redis") {
        let id = |option| {
            let mut command = world.scratch.command(Suite::Reference, "id");
            command.args([option, "redis"]);
            finish(command).text().trim().to_owned()
        };
        let (user, group) = (id("-u"), id("-g"));
        assert_eq!(field("Uid:"), [user.as_str(); 4]);
        assert_eq!(field("Gid:"), [group.as_str(); 4]);
        assert_eq!(field("Groups:"), [group.as_str()]);
        assert_eq!(field("CapEff:"), ["0000000000000000"]);
        assert_eq!(field("CapPrm:"), ["0000000000000000"]);
    }
    let limits = String::from_utf8(proc("limits")).unwrap();
    for (limit, soft) in [
        ("Max open files", "1024"),
        ("Max core file size", "0"),
        ("Max address space", "4000000000"),
    ] {
        let line = limits.lines().find(|line| line.starts_with(limit)).unwrap();
        let value = line[limit.len()..].split_ascii_whitespace().next();
        assert_eq!(value, Some(soft), "{limits}");
    }
    // It writes its title over its environment; that it listens at PORT is seen above.
    let memory = world.redis_says(port, &["config", "get", "maxmemory"]);
    assert_eq!(memory, "maxmemory\n104857600");
    let locked = world.run("setlock", &["-n", "store/redis/data/lock", "true"]);
    assert_eq!(locked.code, 111, "{locked:?}");

    signal(first, "KILL");
    world.wait_other(name, first);
    let said = world.ok("svcrestart", &[name]);
    assert!(said.ends_with("OK\n"), "{said}");
    // What was written before a KILL may be lost; before an orderly end it is not.
    assert_eq!(world.redis_says(port, &["set", "key", "kept"]), "OK");
    world.ok("svcstop", &[name]);
    assert!(!is_open(port), "a stopped redis's port is closed");
    world.ok("svcstart", &[name]);
    assert_eq!(world.redis_says(port, &["get", "key"]), "kept");

    world.ok("svcstop", &[name]);
    world
        .scratch
        .write("store/redis/env/MAXMEMORY", "nonsense\n");
    world.set("store/redis/start", "\ntries=500\n", "\ntries=20\n");
    let failed = world.run("svcstart", &[name]);
    assert_eq!(failed.code, 1);
    assert!(
        failed.text().contains("Redis does not answer"),
        "{failed:?}"
    );
    assert!(world.scratch.svstat(name).starts_with("down "));
}

#[test]
fn a_slapd_that_dies_is_back_within_a_second() {
    if !has("slapd is back", &SLAPD) {
        return;
    }
    let world = World::new();
    let name = "service/slapd";
    let port = world.slapd("slapd");
    world.ok("svcstart", &[name]);
    world.is_back_within_a_second(name);
    wait_until("slapd answers again", || {
        world.ldap("ldapwhoami", port, &[]).code == 0
    });
    world.assert_answers(port);
}

#[test]
fn a_slapd_that_does_not_come_up_is_taken_down_by_its_start_script() {
    if !has("broken slapd", &SLAPD) {
        return;
    }
    let world = World::new();
    let name = "service/slapd";
    let port = world.slapd("slapd");
    world.set("store/slapd/settings", "\ntries=500\n", "\ntries=15\n");
    let good = world.scratch.read("store/slapd/slapd.conf");

    // Once when there is no database yet, once when there is.
    for database in [false, true] {
        assert_eq!(
            world.scratch.at("store/slapd/data/data.mdb").exists(),
            database
        );
        world
            .scratch
            .write("store/slapd/slapd.conf", format!("{good}\nnonsense on\n"));
        let _ = fs::remove_file(world.scratch.at("states"));
        let failed = world.run("svcstart", &[name]);
        assert_eq!(failed.code, 1);
        let lines: Vec<String> = failed.text().lines().map(str::to_owned).collect();
        let waiting = |left| format!("Waiting for slapd to start.. ({left})");
        let tries: Vec<String> = (1..=15).rev().map(waiting).collect();
        let head = "Starting service/slapd ";
        assert!(is_progress(&lines[0], head, ""), "{failed:?}");
        assert_eq!(lines[1..16], tries);
        assert!(is_progress(&lines[16], head, "FAILED"), "{failed:?}");
        assert_eq!(lines.len(), 17, "{failed:?}");
        assert_eq!(
            failed.errors(),
            "svcstart: fatal: service/slapd: ./start exited 1; \
             read its output, and its log (svclog service/slapd)\n"
        );
        assert_eq!(
            world.scratch.read("states"),
            "slapd CAUTION Startup error\n"
        );
        world.scratch.wait_down(name);
        assert!(!world.scratch.svstat(name).contains("want up"));
        assert!(!is_open(port));
        let file = if database { "slapd.conf" } else { "load.conf" };
        wait_until("the log says why", || {
            let complaint = |line: &str| line.contains(file) && line.contains("<nonsense>");
            world.logs().lines().any(complaint)
        });

        world.scratch.write("store/slapd/slapd.conf", &good);
        world.set("store/slapd/settings", "\ntries=15\n", "\ntries=500\n");
        world.ok("svcstart", &[name]);
        world.assert_answers(port);
        world.ok("svcstop", &[name]);
        world.set("store/slapd/settings", "\ntries=500\n", "\ntries=15\n");
    }
}

#[test]
fn another_slapd_on_the_port_is_not_taken_for_the_service() {
    if !has("two slapds", &SLAPD) {
        return;
    }
    let world = World::new();
    let port = world.slapd("first");
    world.ok("svcstart", &["service/first"]);
    let pid = world.scratch.pid("service/first");
    world.slapd_on("second", port);
    world.set("store/second/settings", "\ntries=500\n", "\ntries=15\n");
    // As a slapd leaves it that was killed.
    world.scratch.mkdir("store/second/state/pid");
    let stale = format!("{}\n", std::process::id());
    world
        .scratch
        .write("store/second/state/pid/slapd.pid", stale);

    let failed = world.run("svcstart", &["service/second"]);
    assert_eq!(failed.code, 1, "{failed:?}");
    assert!(failed.text().ends_with("FAILED\n"));
    world.scratch.wait_down("service/second");

    let failed = world.run("svcstop", &["service/second"]);
    assert_eq!(failed.code, 1);
    assert!(failed.text().contains("something still answers at ldap://"));
    world.assert_answers(port);
    assert_eq!(world.scratch.pid("service/first"), pid, "left in peace");
}

#[test]
fn apache_serves_logs_and_loses_no_line_of_its_log() {
    if !has("apache", &APACHE) {
        return;
    }
    let world = World::new();
    let (name, log) = ("service/apache", "service/apache/log");
    let port = world.apache();
    let said = world.ok("svcstart", &["--settle", "1s", name]);
    assert!(said.starts_with("Starting service/apache .") && said.ends_with("OK\n"));
    assert_eq!(said.lines().count(), 1, "no start script, one line: {said}");
    wait_served(port);
    world.request(port, 0, 20);
    let (first, logger) = (
        world.scratch.pid(name).unwrap(),
        world.scratch.pid(log).unwrap(),
    );
    assert_eq!(process_name(first), "apache2", "run ends in exec");
    assert_eq!(process_name(logger), "multilog");
    let written = world.scratch.read("service/apache/log/main/current");
    assert!(
        written.lines().all(|line| line.starts_with("@4")),
        "stamped by multilog: {written}"
    );
    assert!(written.contains("resuming normal operations"), "{written}");

    world.ok("svcrestart", &["--settle", "1s", name]);
    let second = world.wait_other(name, first);
    wait_served(port);
    world.request(port, 20, 40);

    // What multilog had read is written, so that its end costs nothing; what comes
    // while it is away waits in the pipe that svscan holds.
    signal(logger, "KILL");
    world.request(port, 40, 60);
    let logger = world.wait_other(log, logger);
    world.request(port, 60, 80);

    // The processes that a killed Apache leaves behind hold the port.
    signal(second, "KILL");
    world.wait_other(name, second);
    wait_until("the new Apache has the port", || {
        let written = world.scratch.read("service/apache/state/httpd.pid");
        world.scratch.pid(name).map(|pid| pid.to_string()) == Some(written.trim().to_owned())
    });
    wait_served(port);
    world.request(port, 80, 100);

    world.ok("svcstop", &[name]);
    assert!(!is_open(port), "a stopped Apache's port is closed");
    assert!(world.scratch.svstat(name).starts_with("down "));
    assert_eq!(world.scratch.pid(log), Some(logger), "its log goes on");
    assert!(
        world
            .scratch
            .svstat(log)
            .starts_with(&format!("up (pid {logger}) "))
    );
    assert!(!world.names().contains(&"apache2".to_owned()));
    assert_eq!(world.logged(), (0..100).collect::<Vec<u32>>());

    world.scratch.write("service/apache/down", "");
    assert!(world.ok("svcreset", &[name]).starts_with("Stopping "));
    fs::remove_file(world.scratch.at("service/apache/down")).unwrap();
    let said = world.ok("svcreset", &["--settle", "1s", name]);
    assert!(said.starts_with("Starting "));
    wait_served(port);
    world.request(port, 100, 120);
}

#[test]
fn under_load_each_request_of_an_apache_has_its_line() {
    if !has("apache under load", &[APACHE.as_slice(), &["ab"]].concat()) {
        return;
    }
    const REQUESTS: usize = 20_000;
    let world = World::new();
    let port = world.apache();
    // So that nothing is deleted that is to be counted.
    world.set("store/apache/log/run", " n10 ", " n1000 ");
    world.ok("svcstart", &["--settle", "1s", "service/apache"]);
    wait_served(port);
    let log = world.scratch.wait_up("service/apache/log");
    let mut ab = world.scratch.command(Suite::Reference, "ab");
    ab.args(["-q", "-k", "-c", "20", "-n", &REQUESTS.to_string()]);
    ab.arg(format!("http://127.0.0.1:{port}/?load"));
    let said = finish(ab);
    let complete = format!("Complete requests:      {REQUESTS}\n");
    assert!(
        said.code == 0 && said.text().contains(&complete),
        "{said:?}"
    );
    let lines = || {
        let main = world.scratch.at("service/apache/log/main");
        let names = fs::read_dir(main).unwrap().flatten();
        let names = names.filter(|entry| entry.file_name() != "lock");
        // One that is renamed just now is there at the next look.
        let texts = names.map(|entry| fs::read(entry.path()).unwrap_or_default());
        let texts: Vec<u8> = texts.collect::<Vec<_>>().concat();
        let text = String::from_utf8_lossy(&texts).into_owned();
        let ours = text.lines().filter(|line| line.contains("/?load"));
        ours.map(str::to_owned).collect::<Vec<_>>()
    };
    wait_until("all requests are in the log", || lines().len() >= REQUESTS);
    let lines = lines();
    assert_eq!(lines.len(), REQUESTS);
    // Each is whole, and of its own.
    for line in &lines {
        let (stamp, request) = line.split_once(' ').unwrap();
        assert!(stamp.len() == 25 && stamp.starts_with("@4"), "{line}");
        assert_eq!(Some(request), lines[0].get(26..));
    }
    assert_eq!(world.scratch.pid("service/apache/log"), Some(log));
}

#[test]
fn an_apache_that_dies_is_back_within_a_second() {
    if !has("apache is back", &APACHE) {
        return;
    }
    let world = World::new();
    let name = "service/apache";
    let port = world.apache();
    world.ok("svcstart", &["--settle", "1s", name]);
    wait_served(port);
    world.is_back_within_a_second(name);
    wait_until("the new Apache has the port", || {
        let written = world.scratch.read("service/apache/state/httpd.pid");
        world.scratch.pid(name).map(|pid| pid.to_string()) == Some(written.trim().to_owned())
    });
    wait_served(port);
}

#[test]
fn an_apache_that_cannot_have_its_port_is_reported() {
    if !has("apache without port", &APACHE) {
        return;
    }
    let world = World::new();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    world.copy("apache", "apache");
    world.set(
        "store/apache/httpd.conf",
        "\nListen 80\n",
        &format!("\nListen 127.0.0.1:{port}\n"),
    );
    world.scratch.write("store/apache/down", "");
    world.link("apache");
    let name = "service/apache";
    // A settling time that no machine is too slow for: the crash ends the wait.
    let failed = world.run("svcstart", &["--settle", "60s", name]);
    assert_eq!(failed.code, 1);
    assert!(failed.text().ends_with(".FAILED\n"), "{failed:?}");
    // Its logger may not have made the log yet.
    let why = failed
        .failure("svcstart", name)
        .replace("read its log (svclog service/apache), or ", "");
    assert_eq!(
        why,
        "it started and then exited 1; run its ./run by hand \
         (supervise keeps restarting it; svcstop stops it)"
    );
    wait_until("the log says why", || {
        world.logs().contains("Address already in use")
    });
    drop(taken);
    wait_served(port);
    world.ok("svcstart", &["--settle", "1s", name]);
    world.ok("svcstop", &[name]);
}

#[test]
fn apache_and_slapd_are_worked_at_together() {
    let needed = [SLAPD.as_slice(), &APACHE].concat();
    if !has("apache and slapd", &needed) {
        return;
    }
    let world = World::new();
    let both = ["service/apache", "service/slapd"];
    let (web, directory) = (world.apache(), world.slapd("slapd"));
    let all = |program: &str, options: &[&str]| {
        let said = world.ok(program, &[options, &["--parallel"], &both].concat());
        let mut lines: Vec<String> = said.lines().map(str::to_owned).collect();
        lines.retain(|line| line.ends_with("OK"));
        lines.sort();
        let words = |line: &String| line.split_once(" .").unwrap().0.to_owned();
        (lines.iter().map(words).collect::<Vec<_>>(), said)
    };
    let pids = || both.map(|name| world.scratch.pid(name).unwrap());

    let (done, said) = all("svcstart", &["--settle", "1s"]);
    assert_eq!(done, ["Starting service/apache", "Starting service/slapd"]);
    assert!(
        said.contains("service/slapd: Waiting for slapd to start.. (500)\n"),
        "{said}"
    );
    wait_served(web);
    world.assert_answers(directory);

    let before = pids();
    all("svcreset", &["--settle", "1s"]);
    assert_eq!(pids(), before, "both ran as configured");

    let (done, _) = all("svcrestart", &["--settle", "1s"]);
    let four = ["Starting", "Stopping"].map(|verb| both.map(|name| format!("{verb} {name}")));
    assert_eq!(done, four.concat());
    for (before, after) in before.into_iter().zip(pids()) {
        assert_ne!(before, after);
    }
    wait_served(web);
    world.assert_answers(directory);

    let (done, _) = all("svcstop", &[]);
    assert_eq!(done, ["Stopping service/apache", "Stopping service/slapd"]);
    assert!(!is_open(web) && !is_open(directory));
    for name in both {
        assert!(world.scratch.svstat(name).starts_with("down "));
    }
}

#[test]
fn hello_says_hello_in_its_log_at_each_start() {
    let world = World::new();
    // Dropped in by the other way: under a name svscan passes over, then renamed.
    world.copy("hello", "hello");
    let service = |name| world.scratch.at("service").join(name);
    fs::rename(world.scratch.at("store/hello"), service(".hello")).unwrap();
    fs::rename(service(".hello"), service("hello")).unwrap();
    let name = "service/hello";
    // svclog finds it without being told where.
    let log = || {
        let said = world.scratch.run(Suite::Ours, "svclog", &[name]).text();
        let lines = said.lines().map(|line| line.splitn(3, ' ').nth(2).unwrap());
        lines.map(|line| format!("{line}\n")).collect::<String>()
    };

    world.ok("svcstart", &["--settle", "1s", name]);
    let first = world.scratch.pid(name).unwrap();
    let line = format!("hello from pid {first}\n");
    wait_until("it says hello", || log() == line);
    wait_until("run ends in exec", || process_name(first) == "sleep");

    world.ok("svcrestart", &["--settle", "1s", name]);
    let second = world.wait_other(name, first);
    let lines = format!("{line}hello from pid {second}\n");
    wait_until("it says hello again", || log() == lines);

    world.ok("svcstop", &[name]);
    assert!(!is_alive(second));
    assert_eq!(log(), lines);
    let state = world.scratch.svstat("service/hello/log");
    assert!(state.starts_with("up (pid "), "{state}");
}
