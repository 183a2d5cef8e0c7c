//! Runs a command, waits for it, and shows how it ended and what it wrote.
//!
//! ```sh
//! cargo run --example run_and_capture -- sh -c 'echo hello; exit 3'
//! ```

use std::ffi::OsString;

use coreproc::{Command, ExitStatus, Service, ServiceOptions};

fn main() -> coreproc::Result<()> {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    let Some((program, arguments)) = words.split_first() else {
        eprintln!("usage: run_and_capture PROGRAM [ARGUMENT...]");
        std::process::exit(2);
    };

    let service = Service::new(ServiceOptions::default())?;
    let process = Command::new(program).args(arguments).spawn(&service)?;

    // `wait` returns when the process has ended and its output has been read to the end.
    let info = process.wait(None)?;
    match info.status() {
        Some(ExitStatus::Code(code)) => println!("exit code {code}"),
        Some(ExitStatus::Signal { signal, .. }) => println!("signal {signal}"),
        // The host has reaped the process, and the kernel cannot say how it ended.
        Some(ExitStatus::Unknown) | None => println!("exit status unknown"),
    }
    println!("{} bytes on stdout, {} on stderr", info.stdout_bytes, info.stderr_bytes);
    print!("{}", String::from_utf8_lossy(&process.output()?));
    Ok(())
}
