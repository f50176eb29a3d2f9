//! The program softlimit: see [`daemontools_rs::cmd::softlimit`].

fn main() -> std::process::ExitCode {
    daemontools_rs::cmd::softlimit::main()
}
