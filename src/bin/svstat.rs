//! The program svstat: see [`daemontools_rs::cmd::svstat`].

fn main() -> std::process::ExitCode {
    daemontools_rs::cmd::svstat::main()
}
