//! The program readproctitle: see [`daemontools_rs::cmd::readproctitle`].

fn main() -> std::process::ExitCode {
    daemontools_rs::cmd::readproctitle::main()
}
