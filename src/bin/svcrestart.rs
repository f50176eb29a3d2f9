//! The program svcrestart: see [`daemontools_rs::cmd::svcrestart`].

fn main() -> std::process::ExitCode {
    daemontools_rs::cmd::svcrestart::main()
}
