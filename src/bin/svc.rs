//! The program svc: see [`daemontools_rs::cmd::svc`].

fn main() -> std::process::ExitCode {
    daemontools_rs::cmd::svc::main()
}
