//! `cargo bench --bench soak -- [AREA...]`: what is promised about reliability, at its full counts, as figures. See
//! `README.md` beside this file.
//!
//! The same binary is the orchestrator and, as `--area NAME`, each area in a process of its own, so that what one
//! leaves behind is not another's figure.

mod area;
mod row;

use row::Rows;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--area", name, ..] => run_area(name).map(|()| true),
        ["--serve", ..] => area::health::serve().map(|()| true),
        _ if arguments.iter().any(|argument| argument == "--bench") => {
            let named: Vec<&str> =
                arguments.iter().map(String::as_str).filter(|word| !word.starts_with("--")).collect();
            run(&named)
        }
        // `cargo test --all-targets` runs benches too; figures are not tests.
        _ => Ok(true),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("soak: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run_area(name: &str) -> Fallible<()> {
    let (_, work) = area::AREAS.iter().find(|(known, _)| *known == name).ok_or("no such area")?;
    let mut rows = Rows::default();
    work(&mut rows)?;
    Ok(())
}

/// Runs the named areas, or all; true when every row reached its goal.
fn run(named: &[&str]) -> Fallible<bool> {
    let known: Vec<&str> = area::AREAS.iter().map(|(name, _)| *name).collect();
    if let Some(unknown) = named.iter().find(|name| !known.contains(name)) {
        return Err(format!("no area {unknown:?}; there are: {}", known.join(", ")).into());
    }
    let mut rows = Rows::default();
    for name in known.into_iter().filter(|name| named.is_empty() || named.contains(name)) {
        eprintln!("{name} …");
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--area", name]).stdin(Stdio::null()).stderr(Stdio::inherit());
        if std::env::var_os("COREPROC_SCALE").is_none_or(|scale| scale.is_empty()) {
            command.env("COREPROC_SCALE", "1");
        }
        let output = command.output()?;
        rows.parse(&String::from_utf8_lossy(&output.stdout))?;
        if !output.status.success() {
            rows.failed(name, &output.status.to_string());
        }
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().ok_or("no target directory")?;
    let dir = target.join("soak");
    std::fs::create_dir_all(&dir)?;
    let report = dir.join("report.json");
    rows.write_json(&report)?;
    println!("\n{}\n{}", rows.table(), report.display());
    Ok(rows.all_met())
}
