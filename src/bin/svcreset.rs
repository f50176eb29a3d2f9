//! The program svcreset: see [`daemontools_rs::cmd::svcreset`].

fn main() -> std::process::ExitCode {
    daemontools_rs::cmd::svcreset::main()
}
