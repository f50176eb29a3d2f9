//! The program that is all programs: see [`daemontools_rs::cmd::multicall`].

fn main() -> std::process::ExitCode {
    daemontools_rs::cmd::multicall::main()
}
