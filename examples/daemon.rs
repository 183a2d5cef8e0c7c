//! A daemon with a PID file, a health server and an entry in a registry. It runs until SIGTERM or SIGINT.
//!
//! ```sh
//! cargo run --example daemon -- /tmp/example-daemon
//! ```

use std::path::PathBuf;
use std::{fs, io};

use coreproc::{Daemon, DaemonEntry, DaemonOptions, Registry};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Some(directory) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: daemon DIRECTORY");
        std::process::exit(2);
    };
    fs::create_dir_all(&directory)?;

    let daemon = Daemon::new(DaemonOptions {
        pid_file: Some(directory.join("daemon.pid")),
        // Port 0 is any free one. The registry says which it is.
        health_address: Some("127.0.0.1:0".to_owned()),
        registry: Some(Registry::new(directory.join("registry"))),
        entry: DaemonEntry { code: "coreproc-examples".into(), daemon: "rust".into(), ..DaemonEntry::default() },
        ..DaemonOptions::default()
    });
    // `/health` runs the check and says what it answers.
    daemon.add_check("directory", move || match fs::metadata(&directory) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err("the directory is gone".to_owned()),
        Err(error) => Err(error.to_string()),
    })?;

    // Before the start, so that a signal that comes during it is not lost.
    daemon.stop_on_signals()?;
    daemon.start()?;
    println!("http://{}/health", daemon.health_address());
    daemon.run()?;
    println!("stopped");
    Ok(())
}
