//! Runs a graph of commands, shows it while it runs, and says what became of each.
//!
//! ```sh
//! cargo run --example pipeline_progress
//! ```

use std::io;

use coreproc::{Command, Pipeline, ProgressOptions, ProgressView, RunOptions, Service, ServiceOptions, Spec};

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

fn main() -> coreproc::Result<()> {
    let mut build = Spec::new("build", shell("echo compiling; echo linking"));
    build.after("fetch");
    let mut test = Spec::new("test", shell("echo 2 tests passed"));
    test.after("build");
    let mut lint = Spec::new("lint", shell("echo line 7 is too long; exit 1"));
    lint.after("fetch").allow_failure(true);

    let mut pipeline = Pipeline::new();
    pipeline.named("example").add(Spec::new("fetch", shell("echo 3 files"))).add(build).add(test).add(lint);

    let service = Service::new(ServiceOptions::default())?;
    // On a terminal the last lines show what runs and how long it will take; elsewhere lines are only added.
    let mut view = ProgressView::to_fd(&service, io::stdout(), ProgressOptions::default())?;
    let run = pipeline
        .start(&service, RunOptions { subscriptions: vec![view.subscription().clone()], ..RunOptions::default() })?;
    let report = view.watch(&run, None)?;

    println!();
    for spec in &report.specs {
        println!("{:6} {:?} {}", spec.name, spec.state, spec.error.as_deref().unwrap_or_default());
    }
    std::process::exit(i32::from(!report.success()));
}
