//! Whether a server answers its own protocol: an open port alone proves nothing.

use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

use super::Part;

const TIMEOUT: Duration = Duration::from_secs(2);

/// PostgreSQL's `StartupMessage`, protocol 3.0, for user `postgres`.
const POSTGRES_STARTUP: &[u8] = b"\0\0\0\x29\0\x03\0\0user\0postgres\0database\0postgres\0\0";
/// PostgreSQL's `Terminate`.
const POSTGRES_TERMINATE: &[u8] = b"X\0\0\0\x04";
/// Kafka's `ApiVersions` request, version 0, correlation id 7, no client id.
const KAFKA_API_VERSIONS: &[u8] = b"\0\0\0\x0a\0\x12\0\0\0\0\0\x07\xff\xff";
const REDIS_PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";

/// Whether the server of `server` on the loopback `port` accepts a session.
pub(super) fn answers(server: Part, port: u16) -> bool {
    let spoken = match server {
        Part::Postgres => postgres,
        Part::Kafka => kafka,
        Part::Redis => redis,
    };
    connect(port).and_then(spoken).unwrap_or(false)
}

/// `R` opens an authentication message; a server that still starts sends `E` (SQLSTATE 57P03).
fn postgres(mut stream: TcpStream) -> io::Result<bool> {
    stream.write_all(POSTGRES_STARTUP)?;
    let [kind] = read_exactly(&mut stream)?;
    stream.write_all(POSTGRES_TERMINATE)?;
    Ok(kind == b'R')
}

/// The answer is: length, correlation id, error code 0.
fn kafka(mut stream: TcpStream) -> io::Result<bool> {
    stream.write_all(KAFKA_API_VERSIONS)?;
    let answer: [u8; 10] = read_exactly(&mut stream)?;
    Ok(answer[4..] == [0, 0, 0, 7, 0, 0])
}

fn redis(mut stream: TcpStream) -> io::Result<bool> {
    stream.write_all(REDIS_PING)?;
    let answer: [u8; 7] = read_exactly(&mut stream)?;
    Ok(&answer == b"+PONG\r\n")
}

fn connect(port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    Ok(stream)
}

fn read_exactly<const LENGTH: usize>(stream: &mut TcpStream) -> io::Result<[u8; LENGTH]> {
    let mut buffer = [0; LENGTH];
    stream.read_exact(&mut buffer)?;
    Ok(buffer)
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, thread};

    use super::*;

    #[test]
    fn the_startup_message_says_its_own_length() {
        let length = u32::from_be_bytes([0, 0, 0, POSTGRES_STARTUP[3]]);
        assert_eq!(length as usize, POSTGRES_STARTUP.len());
    }

    #[test]
    fn a_stranger_on_the_port_is_not_our_server() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let stranger = thread::spawn(move || {
            for stream in listener.incoming().take(3) {
                stream.unwrap().write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
            }
        });
        assert!(Part::ALL.into_iter().all(|part| !answers(part, port)));
        stranger.join().unwrap();
    }

    #[test]
    fn a_closed_port_does_not_answer() {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        assert!(!answers(Part::Redis, port));
    }
}
