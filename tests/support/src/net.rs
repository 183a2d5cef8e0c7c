//! Raw clients of a health server.

use super::{GUARD, lossy};
use coreproc::{HealthOptions, HealthServer};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsRawFd;

pub fn with(options: HealthOptions) -> HealthServer {
    let server = HealthServer::new("127.0.0.1:0", options);
    server.start().expect("start");
    server
}

pub fn serve() -> HealthServer {
    with(HealthOptions::default())
}

pub fn serve_at(address: &str) -> HealthServer {
    let server = HealthServer::new(address, HealthOptions::default());
    server.start().unwrap_or_else(|error| panic!("{error}"));
    server
}

/// One answer, taken apart.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

pub struct Tcp(BufReader<TcpStream>);

impl Tcp {
    pub fn to(server: &HealthServer) -> Tcp {
        Tcp::to_address(&server.address())
    }

    pub fn to_address(address: &str) -> Tcp {
        let stream = TcpStream::connect(address).expect("connect");
        stream.set_read_timeout(Some(GUARD)).expect("timeout");
        stream.set_write_timeout(Some(GUARD)).expect("timeout");
        stream.set_nodelay(true).expect("nodelay");
        Tcp(BufReader::with_capacity(1024, stream))
    }

    pub fn clone_stream(&self) -> TcpStream {
        self.0.get_ref().try_clone().expect("dup")
    }

    pub fn fd(&self) -> i32 {
        self.0.get_ref().as_raw_fd()
    }

    pub fn send(&mut self, text: &str) {
        self.send_bytes(text.as_bytes());
    }

    /// Sends bytes, and accepts that the server may close the connection before it has all of them.
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        if let Err(error) = self.0.get_mut().write_all(bytes) {
            let gone = [std::io::ErrorKind::BrokenPipe, std::io::ErrorKind::ConnectionReset];
            assert!(gone.contains(&error.kind()), "{error}");
        }
    }

    pub fn end_writing(&mut self) {
        self.0.get_mut().shutdown(Shutdown::Write).expect("shutdown");
    }

    /// Reads the next answer of a connection that goes on.
    #[track_caller]
    pub fn answer(&mut self) -> Answer {
        let (status, headers) = self.head();
        let length = headers
            .iter()
            .find(|(name, _)| name == "content-length")
            .map_or(0, |(_, value)| value.parse().expect("a length"));
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).expect("a body");
        Answer { status, headers, body: String::from_utf8(body).expect("UTF-8") }
    }

    /// Reads the last answer, up to the end of the connection.
    #[track_caller]
    pub fn rest(&mut self) -> Answer {
        let (status, headers) = self.head();
        Answer { status, headers, body: String::from_utf8(self.rest_bytes()).expect("UTF-8") }
    }

    /// Returns whether the last answer has come, with status 200.
    pub fn answers_ok(&mut self) -> bool {
        lossy(&self.rest_bytes()).starts_with("HTTP/1.1 200 ")
    }

    /// Reads all that comes until the connection ends, by an end or a reset.
    #[track_caller]
    pub fn rest_bytes(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self.0.read_to_end(&mut bytes) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
            Err(error) => panic!("{error}, after {:?}", String::from_utf8_lossy(&bytes)),
        }
        bytes
    }

    #[track_caller]
    fn head(&mut self) -> (u16, Vec<(String, String)>) {
        let mut line = || {
            let mut line = String::new();
            self.0.read_line(&mut line).expect("a line");
            line.trim_end().to_owned()
        };
        let first = line();
        let status = first.strip_prefix("HTTP/1.1 ").or_else(|| first.strip_prefix("HTTP/1.0 "));
        let status =
            status.and_then(|rest| rest.get(..3)?.parse().ok()).unwrap_or_else(|| panic!("no answer: {first:?}"));
        let mut headers = Vec::new();
        loop {
            let line = line();
            let Some((name, value)) = line.split_once(": ") else { break };
            headers.push((name.to_owned(), value.to_owned()));
        }
        (status, headers)
    }
}

/// Sends a whole request that ends its connection.
#[track_caller]
pub fn ask(server: &HealthServer, text: &str) -> Answer {
    let mut connection = Tcp::to(server);
    connection.send(text);
    connection.rest()
}

#[track_caller]
pub fn get(server: &HealthServer, path: &str) -> Answer {
    ask(server, &format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"))
}
