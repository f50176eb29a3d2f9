//! The program svcstart: see [`daemontools_rs::cmd::svcstart`].

fn main() -> std::process::ExitCode {
    daemontools_rs::cmd::svcstart::main()
}
