//! `cargo bench --bench coreproc -- [ONLY] [IMPLEMENTATION...]`: ours, its peers and the bare kernel work, measured in
//! turn. See `README.md` beside this file for what is measured and how.
//!
//! The same binary is the orchestrator and, as `--host IMPLEMENTATION WORKLOAD ARGUMENTS`, each Rust host: every
//! implementation runs each round in a fresh process, as the C hosts do.

mod harness;
mod host;
mod metric;

type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.split_first() {
        Some((first, rest)) if first == "--host" => host::run(rest).map(|()| true),
        _ if arguments.iter().any(|argument| argument == "--bench") => {
            let words: Vec<&str> =
                arguments.iter().map(String::as_str).filter(|argument| !argument.starts_with("--")).collect();
            metric::run(&words)
        }
        // `cargo test --all-targets` runs benches too; figures are not tests.
        _ => Ok(true),
    };
    match outcome {
        Ok(true) => std::process::ExitCode::SUCCESS,
        Ok(false) => std::process::ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            std::process::ExitCode::FAILURE
        }
    }
}
