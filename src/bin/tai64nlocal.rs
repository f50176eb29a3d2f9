//! The program tai64nlocal: see [`daemontools_rs::cmd::tai64nlocal`].

fn main() -> std::process::ExitCode {
    daemontools_rs::cmd::tai64nlocal::main()
}
