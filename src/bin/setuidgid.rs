//! The program setuidgid: see [`daemontools_rs::cmd::setuidgid`].

fn main() -> std::process::ExitCode {
    daemontools_rs::cmd::setuidgid::main()
}
