//! The program fghack: see [`daemontools_rs::cmd::fghack`].

fn main() -> std::process::ExitCode {
    daemontools_rs::cmd::fghack::main()
}
