//! The health server under hostile clients: two thousand connections stay open while every request is answered.

#[cfg(not(feature = "health"))]
pub(crate) fn run(_rows: &mut crate::row::Rows) -> crate::Fallible<()> {
    Err("this build is without the feature \"health\"".into())
}

#[cfg(not(feature = "health"))]
pub(crate) fn serve() -> crate::Fallible<()> {
    Err("this build is without the feature \"health\"".into())
}

#[cfg(feature = "health")]
pub(crate) use with_server::{run, serve};

#[cfg(feature = "health")]
mod with_server {
    use crate::Fallible;
    use crate::row::{Goal, Rows};
    use coreproc::{HealthOptions, HealthServer};
    use std::io::{BufRead, BufReader, Read, Write};
    use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;
    use std::time::{Duration, Instant};
    use support::net::Tcp;
    use support::{GUARD, beside, count, os};

    const REQUEST: &str = "GET /health HTTP/1.1\r\nhost: soak\r\nconnection: close\r\n\r\n";
    const STAY: Duration = Duration::from_secs(3600);

    /// Runs the server in a process of its own, so that memory and descriptors are its own. Prints its address; a line
    /// on standard input stops it.
    pub(crate) fn serve() -> Fallible<()> {
        os::raise_file_limit();
        let options = HealthOptions { header_timeout: STAY, idle_timeout: STAY, ..Default::default() };
        let server = HealthServer::new("127.0.0.1:0", options);
        server.add_check("database", || Ok(()))?;
        server.add_check("disk", || Ok(()))?;
        server.start()?;
        println!("{}", server.address());
        std::io::stdin().lock().read_line(&mut String::new())?;
        let begun = Instant::now();
        server.stop(GUARD)?;
        println!("{}", begun.elapsed().as_secs_f64() * 1000.0);
        Ok(())
    }

    struct Server {
        child: Child,
        input: ChildStdin,
        output: BufReader<ChildStdout>,
        address: String,
    }

    impl Server {
        fn start() -> Fallible<Server> {
            let mut command = Command::new(std::env::current_exe()?);
            let mut child = command.arg("--serve").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
            let input = child.stdin.take().ok_or("no stdin")?;
            let output = BufReader::new(child.stdout.take().ok_or("no stdout")?);
            let mut server = Server { child, input, output, address: String::new() };
            server.address = server.line()?;
            Ok(server)
        }

        fn line(&mut self) -> Fallible<String> {
            let mut line = String::new();
            self.output.read_line(&mut line)?;
            Ok(line.trim().to_owned())
        }

        fn descriptors(&self) -> Fallible<usize> {
            Ok(std::fs::read_dir(format!("/proc/{}/fd", self.child.id()))?.count())
        }

        fn memory_kb(&self, field: &str) -> Fallible<f64> {
            let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
            let line = status.lines().find_map(|line| line.strip_prefix(field)).ok_or("no such field")?;
            Ok(line.trim_start_matches(':').trim().trim_end_matches(" kB").parse()?)
        }

        /// Stops the server. Returns how many milliseconds that took.
        fn stop(&mut self) -> Fallible<f64> {
            writeln!(self.input, "stop")?;
            let took = self.line()?.parse()?;
            self.child.wait()?;
            Ok(took)
        }
    }

    impl Drop for Server {
        fn drop(&mut self) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    /// Asks at least `times` times, for at least `time`. Returns the milliseconds of each answer, sorted, and how many
    /// were not answered as they should be.
    fn ask(address: &str, times: u64, time: Duration) -> (Vec<f64>, u64) {
        let (mut took, mut wrong) = (Vec::new(), 0);
        let start = Instant::now();
        while (took.len() as u64) < times || start.elapsed() < time {
            let begun = Instant::now();
            let mut connection = Tcp::to_address(address);
            connection.send(REQUEST);
            let answer = connection.rest();
            wrong += u64::from((answer.status, answer.body.as_str()) != (200, "ok\n"));
            took.push(begun.elapsed().as_secs_f64() * 1000.0);
        }
        took.sort_by(f64::total_cmp);
        (took, wrong)
    }

    fn percentile(sorted: &[f64], part: f64) -> f64 {
        let at = (sorted.len() as f64 * part).ceil() as usize;
        sorted.get(at.saturating_sub(1).min(sorted.len().saturating_sub(1))).copied().unwrap_or(f64::INFINITY)
    }

    fn add_latency(rows: &mut Rows, named: &dyn Fn(&str) -> String, took: &[f64]) {
        rows.add(named("p50"), percentile(took, 0.5), Goal::AtMost(10.0), "ms");
        rows.add(named("p99"), percentile(took, 0.99), Goal::AtMost(10.0), "ms");
    }

    pub(crate) fn run(rows: &mut Rows) -> Fallible<()> {
        os::raise_file_limit();
        let mut server = Server::start()?;
        let address = server.address.clone();
        let times = count("questions", 10_000);

        let (took, wrong) = ask(&address, times, Duration::ZERO);
        let alone = |what: &str| format!("/health alone, {times} times: {what}");
        add_latency(rows, &alone, &took);
        rows.none(alone("not answered"), wrong);

        let time = Duration::from_secs(count("seconds beside slow clients", 20));
        let slow = count("half-open connections", 2_000).max(2) as usize;
        let (descriptors, memory) = (server.descriptors()?, server.memory_kb("VmRSS")?);
        let mut half_open: Vec<Tcp> = (0..slow).map(|_| Tcp::to_address(&address)).collect();
        for connection in &mut half_open {
            connection.send("GET /health HTTP/1.1\r\nx-slow: ");
        }
        // Half of them go on, with a byte each second.
        let trickling = half_open.split_at_mut(slow / 2).0;
        let trickled = AtomicU64::new(0);
        let (huge, pipelined) = (AtomicU64::new(0), AtomicU64::new(0));
        let trickling = std::sync::Mutex::new(trickling);
        let ((took, wrong), peak) = beside(
            1,
            || {
                let begun = Instant::now();
                if let Ok(mut trickling) = trickling.lock() {
                    for connection in trickling.iter_mut() {
                        connection.send("x");
                    }
                }
                trickled.fetch_add(1, Ordering::Relaxed);
                thread::sleep(Duration::from_secs(1).saturating_sub(begun.elapsed()));
            },
            || {
                beside(
                    1,
                    || send_huge_headers(&address, &huge),
                    || {
                        beside(
                            1,
                            || pipeline(&address, &pipelined),
                            || (ask(&address, times, time), server.memory_kb("VmRSS")),
                        )
                    },
                )
            },
        );
        let times = took.len();
        let meanwhile = |what: &str| format!("/health beside {slow} half-open and slow clients, {times} times: {what}");
        eprintln!(
            "  {} bytes each to {} of them; {} huge headers, {} pipelined requests meanwhile",
            trickled.load(Ordering::Relaxed),
            slow / 2,
            huge.load(Ordering::Relaxed),
            pipelined.load(Ordering::Relaxed)
        );
        add_latency(rows, &meanwhile, &took);
        rows.none(meanwhile("not answered"), wrong);
        // The few that were open beside them have been closed, or linger for a second.
        let above = server.descriptors()?.saturating_sub(descriptors + slow);
        rows.add(meanwhile("descriptors beyond theirs"), above as f64, Goal::AtMost(16.0), "");
        let grown = (peak? - memory).max(0.0);
        // Memory that is taken once is more than the share of a few clients.
        let goal = if slow < 100 { Goal::None } else { Goal::AtMost(32.0) };
        rows.add(meanwhile("memory for each"), grown / slow as f64, goal, "kB");

        let mut closed = 0;
        for connection in &mut half_open {
            connection.send("\r\nconnection: close\r\n\r\n");
            closed += u32::from(!connection.answers_ok());
        }
        rows.none(meanwhile("closed, or not answered when they end their request"), closed);
        drop(half_open);

        let open: Vec<Tcp> = (0..slow).map(|_| Tcp::to_address(&address)).collect();
        let took = server.stop()?;
        rows.add(format!("stop with {slow} open connections"), took, Goal::AtMost(1000.0), "ms");
        let left =
            open.into_iter().map(|mut connection| connection.rest_bytes().len()).filter(|bytes| *bytes > 0).count();
        rows.none(format!("stop with {slow} open connections: not closed"), left);
        Ok(())
    }

    /// Sends headers of 1 MiB, which must be refused.
    fn send_huge_headers(address: &str, sent: &AtomicU64) {
        let mut connection = Tcp::to_address(address);
        connection.send("GET /health HTTP/1.1\r\nx-huge: ");
        connection.send_bytes(&vec![b'x'; 1 << 20]);
        let mut first = [0; 12];
        let refused = connection.clone_stream().read_exact(&mut first).is_ok() && first == *b"HTTP/1.1 431";
        assert!(refused, "{}", String::from_utf8_lossy(&first));
        sent.fetch_add(1, Ordering::Relaxed);
        // The pause keeps a small machine from being used up.
        thread::sleep(Duration::from_millis(5));
    }

    /// Sends a hundred requests in one piece.
    fn pipeline(address: &str, sent: &AtomicU64) {
        const DEPTH: usize = 100;
        let mut connection = Tcp::to_address(address);
        connection.send(&"GET /ready HTTP/1.1\r\nhost: soak\r\n\r\n".repeat(DEPTH));
        for _ in 0..DEPTH {
            assert_eq!(connection.answer().body, "ready\n");
        }
        sent.fetch_add(DEPTH as u64, Ordering::Relaxed);
        thread::sleep(Duration::from_millis(5));
    }
}
