//! The program svcstop: see [`daemontools_rs::cmd::svcstop`].

fn main() -> std::process::ExitCode {
    daemontools_rs::cmd::svcstop::main()
}
