//! Entry points of the fuzz targets: parsers that are not public, and the properties that must hold. For test builds.

#[cfg(feature = "health")]
pub use http::http_input;

use crate::{Command, Error, ErrorKind, Pipeline, daemon};

/// Reads a file of the registry's directory. An entry that was read can be written, and is the same when it is read
/// again.
pub fn registry_json(file: &[u8]) {
    let Ok(entry) = daemon::parse_entry(file) else { return };
    // A time with an offset may be beyond the last year that can be written.
    let Ok(text) = daemon::write_entry(&entry) else { return };
    if let Ok(again) = daemon::parse_entry(&text) {
        assert_eq!(again, entry);
    } else {
        // Escapes may make it longer than an entry may be.
        assert!(text.len() > file.len(), "{}", String::from_utf8_lossy(&text));
    }
}

/// Reads a pipeline, and a command, as JSON. A pipeline that is accepted can run; the error of a refused one is one
/// line.
pub fn pipeline_json(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    match Pipeline::from_json(text) {
        Ok(pipeline) => assert!(pipeline.problems().is_empty() && pipeline.check().is_ok()),
        Err(error) => refused(&error),
    }
    if let Err(error) = Command::from_json(text) {
        refused(&error);
    }
}

fn refused(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::Malformed, "{error}");
    assert!(!error.to_string().contains(char::is_control), "{error}");
}

#[cfg(feature = "health")]
mod http {
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::sync::{Mutex, OnceLock, PoisonError};
    use std::time::Duration;

    use crate::{HealthOptions, HealthServer, probe_health};

    /// The time after which a call counts as hanging. A thread's first turn on a busy machine may take seconds.
    const GUARD: Duration = Duration::from_secs(60);

    /// Sends bytes to the health server (an even first byte) or to its client (an odd one). The server answers with a
    /// status that it knows, or not at all, and answers the next request; the client's reason is one short line.
    pub fn http_input(input: &[u8]) {
        let Some((first, bytes)) = input.split_first() else { return };
        let done = if first % 2 == 0 { to_server(usize::from(first / 2), bytes) } else { to_client(bytes) };
        assert!(done.is_ok(), "{done:?}");
    }

    fn to_server(cut: usize, bytes: &[u8]) -> std::io::Result<()> {
        static SERVER: OnceLock<HealthServer> = OnceLock::new();
        let server = SERVER.get_or_init(|| {
            let server = HealthServer::new("127.0.0.1:0", HealthOptions::default());
            server
                .add_check("bad", || Err("no\r\ndatabase".to_owned()))
                .and(server.start())
                .map_or_else(|error| panic!("{error}"), |()| server)
        });
        let mut stream = TcpStream::connect(server.address())?;
        stream.set_read_timeout(Some(GUARD))?;
        stream.set_nodelay(true)?;
        let (before, after) = bytes.split_at(cut.min(bytes.len()));
        // The server may close before the end.
        let _ = stream.write_all(before).and_then(|()| stream.write_all(after));
        let _ = stream.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer) {
            Err(error) if error.kind() != std::io::ErrorKind::ConnectionReset => return Err(error),
            _ => {}
        }
        let known: [&[u8]; 8] = [b"503", b"200", b"204", b"400", b"404", b"405", b"414", b"431"];
        assert!(answer.is_empty() || answer.get(9..12).is_some_and(|status| known.contains(&status)), "{answer:?}");
        let probe = probe_health(&server.address(), GUARD);
        assert_eq!(probe.reason, "503: unhealthy: bad: no database");
        Ok(())
    }

    fn to_client(bytes: &[u8]) -> std::io::Result<()> {
        static LISTENER: OnceLock<TcpListener> = OnceLock::new();
        static ALONE: Mutex<()> = Mutex::new(());
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let listener =
            LISTENER.get_or_init(|| TcpListener::bind("127.0.0.1:0").unwrap_or_else(|error| panic!("{error}")));
        let address = listener.local_addr()?.to_string();
        std::thread::scope(|scope| {
            let serving = scope.spawn(|| -> std::io::Result<()> {
                let (mut stream, _) = listener.accept()?;
                let mut question = [0; 1024];
                let _ = stream.read(&mut question)?;
                // The client may close before the end.
                let _ = stream.write_all(bytes);
                Ok(())
            });
            let probe = probe_health(&address, GUARD);
            assert!(probe.reason.len() < 1200 && !probe.reason.contains(char::is_control), "{probe:?}");
            assert!(!probe.ok || bytes.starts_with(b"HTTP/1."), "{probe:?}");
            // The body of an answer may say so as well.
            assert!(probe.ok || !probe.reason.starts_with("no answer within"), "{probe:?}");
            serving.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}
