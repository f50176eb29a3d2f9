//! The program multilog: see [`daemontools_rs::cmd::multilog`].

fn main() -> std::process::ExitCode {
    daemontools_rs::cmd::multilog::main()
}
