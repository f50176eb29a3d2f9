//! The program svscanboot: see [`daemontools_rs::cmd::svscanboot`].

fn main() -> std::process::ExitCode {
    daemontools_rs::cmd::svscanboot::main()
}
