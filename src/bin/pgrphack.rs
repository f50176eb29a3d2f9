//! The program pgrphack: see [`daemontools_rs::cmd::pgrphack`].

fn main() -> std::process::ExitCode {
    daemontools_rs::cmd::pgrphack::main()
}
