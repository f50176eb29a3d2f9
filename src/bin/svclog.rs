//! The program svclog: see [`daemontools_rs::cmd::svclog`].

fn main() -> std::process::ExitCode {
    daemontools_rs::cmd::svclog::main()
}
