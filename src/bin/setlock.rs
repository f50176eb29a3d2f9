//! The program setlock: see [`daemontools_rs::cmd::setlock`].

fn main() -> std::process::ExitCode {
    daemontools_rs::cmd::setlock::main()
}
