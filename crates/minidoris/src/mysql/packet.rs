//! Packets: three bytes of length, one of sequence, payload. A payload of 16 MiB − 1 or more continues in
//! the next packet.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

const HEADER: usize = 4;
/// Longest payload of one packet; exactly this long means that another packet follows.
const LONGEST: usize = 0xff_ffff;
/// Buffers that grew beyond this are given back after use.
const KEPT_BUFFER: usize = 1 << 20;

/// Reads payloads and checks their sequence numbers.
#[derive(Debug)]
pub struct Input {
    stream: BufReader<tokio::net::tcp::OwnedReadHalf>,
    payload: Vec<u8>,
    limit: usize,
    stall: Duration,
}

/// Packets to be sent in one write.
#[derive(Debug)]
pub struct Output {
    bytes: Vec<u8>,
    sequence: u8,
}

impl Input {
    pub fn new(stream: tokio::net::tcp::OwnedReadHalf, limit: usize, stall: Duration) -> Self {
        Self { stream: BufReader::with_capacity(16 << 10, stream), payload: Vec::new(), limit, stall }
    }

    /// Waits at most `idle` for the next payload; gives it with the sequence number of its last packet,
    /// or `None` when the client closed the connection.
    pub async fn next(&mut self, idle: Duration) -> io::Result<Option<(&[u8], u8)>> {
        self.payload.clear();
        self.payload.shrink_to(KEPT_BUFFER);
        let mut header = [0; HEADER];
        let first = timeout(idle, self.stream.read(&mut header)).await.map_err(|_| timed_out())??;
        if first == 0 {
            return Ok(None);
        }
        let stall = self.stall;
        let sequence = timeout(stall, self.rest(header, first)).await.map_err(|_| timed_out())??;
        Ok(Some((&self.payload, sequence)))
    }

    async fn rest(&mut self, mut header: [u8; HEADER], already: usize) -> io::Result<u8> {
        self.stream.read_exact(&mut header[already..]).await?;
        loop {
            let length = usize::from(header[0]) | usize::from(header[1]) << 8 | usize::from(header[2]) << 16;
            if self.payload.len() + length > self.limit {
                let text = format!("the payload exceeds {} bytes", self.limit);
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
            let start = self.payload.len();
            self.payload.resize(start + length, 0);
            self.stream.read_exact(&mut self.payload[start..]).await?;
            if length < LONGEST {
                return Ok(header[3]);
            }
            self.stream.read_exact(&mut header).await?;
        }
    }
}

impl Output {
    /// The first packet gets that sequence number.
    pub fn starting_at(sequence: u8) -> Self {
        Self { bytes: Vec::new(), sequence }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Adds one payload, split into packets where it is too long for one.
    pub fn packet(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; HEADER]);
        write(&mut self.bytes);
        if self.bytes.len() - start - HEADER < LONGEST {
            let length = self.bytes.len() - start - HEADER;
            self.header(start, length);
            return;
        }
        let payload = self.bytes.split_off(start + HEADER);
        self.bytes.truncate(start);
        for chunk in payload.chunks(LONGEST) {
            self.whole(chunk);
        }
        if payload.len().is_multiple_of(LONGEST) {
            self.whole(&[]);
        }
    }

    fn whole(&mut self, payload: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; HEADER]);
        self.bytes.extend_from_slice(payload);
        self.header(start, payload.len());
    }

    fn header(&mut self, at: usize, length: usize) {
        let length = u32::try_from(length).expect("a packet is shorter than 16 MiB").to_le_bytes();
        self.bytes[at..at + 3].copy_from_slice(&length[..3]);
        self.bytes[at + 3] = self.sequence;
        self.sequence = self.sequence.wrapping_add(1);
    }

    /// Sends everything gathered so far and forgets it; the sequence goes on.
    pub async fn send(
        &mut self,
        stream: &mut tokio::net::tcp::OwnedWriteHalf,
        stall: Duration,
    ) -> io::Result<()> {
        let mut rest = &self.bytes[..];
        while !rest.is_empty() {
            let written = timeout(stall, stream.write(rest)).await.map_err(|_| timed_out())??;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            rest = &rest[written..];
        }
        self.bytes.clear();
        Ok(())
    }

    /// Drops the second half of what was gathered.
    pub fn tear(&mut self) {
        self.bytes.truncate(self.bytes.len() / 2);
    }
}

/// Splits a connection for [`Input`] and [`Output`].
pub fn split(
    stream: TcpStream,
) -> io::Result<(tokio::net::tcp::OwnedReadHalf, tokio::net::tcp::OwnedWriteHalf)> {
    stream.set_nodelay(true)?;
    Ok(stream.into_split())
}

fn timed_out() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the client stalled")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_framed_and_numbered() {
        let mut output = Output::starting_at(3);
        output.packet(|bytes| bytes.extend_from_slice(b"abc"));
        output.packet(|_| {});
        assert_eq!(output.bytes(), [3, 0, 0, 3, b'a', b'b', b'c', 0, 0, 0, 4]);
    }

    #[test]
    fn a_payload_of_the_longest_length_ends_with_an_empty_packet() {
        let mut output = Output::starting_at(0);
        output.packet(|bytes| bytes.resize(bytes.len() + LONGEST, 7));
        assert_eq!(output.bytes().len(), HEADER + LONGEST + HEADER);
        assert_eq!(output.bytes()[..4], [0xff, 0xff, 0xff, 0]);
        assert_eq!(output.bytes()[HEADER + LONGEST..], [0, 0, 0, 1]);

        let mut output = Output::starting_at(0);
        output.packet(|bytes| bytes.resize(bytes.len() + LONGEST + 2, 7));
        assert_eq!(output.bytes()[HEADER + LONGEST..], [2, 0, 0, 1, 7, 7]);
    }
}
