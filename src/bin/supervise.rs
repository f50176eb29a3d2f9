//! The program supervise: see [`daemontools_rs::cmd::supervise`].

fn main() -> std::process::ExitCode {
    daemontools_rs::cmd::supervise::main()
}
