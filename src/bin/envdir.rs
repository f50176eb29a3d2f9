//! The program envdir: see [`daemontools_rs::cmd::envdir`].

fn main() -> std::process::ExitCode {
    daemontools_rs::cmd::envdir::main()
}
