//! The program svok: see [`daemontools_rs::cmd::svok`].

fn main() -> std::process::ExitCode {
    daemontools_rs::cmd::svok::main()
}
