//! The program svscan: see [`daemontools_rs::cmd::svscan`].

fn main() -> std::process::ExitCode {
    daemontools_rs::cmd::svscan::main()
}
