//! The program envuidgid: see [`daemontools_rs::cmd::envuidgid`].

fn main() -> std::process::ExitCode {
    daemontools_rs::cmd::envuidgid::main()
}
