//! The program tai64n: see [`daemontools_rs::cmd::tai64n`].

fn main() -> std::process::ExitCode {
    daemontools_rs::cmd::tai64n::main()
}
