//! A MySQL server that answers every statement from a script.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The answer to one statement.
#[derive(Debug, Clone)]
pub enum Sql {
    Done,
    Rows(Vec<String>, Vec<Vec<Option<String>>>),
    Error(u16, String),
    /// Close the connection without an answer.
    Cut,
    /// Never answer.
    Hang,
}

impl Sql {
    pub fn rows(columns: &[&str], rows: &[&[&str]]) -> Self {
        let texts = |row: &&[&str]| row.iter().map(|value| Some((*value).to_owned())).collect();
        Self::Rows(columns.iter().map(|name| (*name).to_owned()).collect(), rows.iter().map(texts).collect())
    }
}

type Script = Box<dyn Fn(&str) -> Sql + Send + Sync>;

/// What the server saw and what it answers.
pub struct MysqlState {
    pub script: Mutex<Script>,
    /// Connection number and statement.
    pub log: Mutex<Vec<(usize, String)>>,
    pub connections: AtomicUsize,
    /// Answers connection attempts with this error.
    pub refuse: Mutex<Option<(u16, String)>>,
}

impl MysqlState {
    pub fn new() -> Self {
        Self {
            script: Mutex::new(Box::new(|sql| {
                Sql::Error(1105, format!("errCode = 2, detailMessage = {sql}"))
            })),
            log: Mutex::default(),
            connections: AtomicUsize::new(0),
            refuse: Mutex::default(),
        }
    }
}

pub async fn serve(listener: TcpListener, state: Arc<MysqlState>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let state = Arc::clone(&state);
        connections.spawn(async move { drop(converse(stream, &state).await) });
    }
}

async fn converse(mut stream: TcpStream, state: &MysqlState) -> std::io::Result<()> {
    let number = state.connections.fetch_add(1, Ordering::SeqCst);
    stream.set_nodelay(true)?;
    send(&mut stream, 0, &[greeting()]).await?;
    let (sequence, _) = receive(&mut stream).await?;
    let refusal = state.refuse.lock().clone();
    if let Some((code, message)) = refusal {
        return send(&mut stream, sequence + 1, &[error(code, &message)]).await;
    }
    send(&mut stream, sequence + 1, &[ok()]).await?;
    loop {
        let (_, packet) = receive(&mut stream).await?;
        match packet[0] {
            0x03 => {}
            0x0e => {
                send(&mut stream, 1, &[ok()]).await?;
                continue;
            }
            _ => return Ok(()),
        }
        let sql = String::from_utf8(packet[1..].to_vec()).unwrap();
        state.log.lock().push((number, sql.clone()));
        let answer = if sql.starts_with("USE ") { Sql::Done } else { (state.script.lock())(&sql) };
        let packets = match answer {
            Sql::Done => vec![ok()],
            Sql::Error(code, message) => vec![error(code, &message)],
            Sql::Rows(columns, rows) => result_set(&columns, &rows),
            Sql::Cut => return Ok(()),
            Sql::Hang => std::future::pending().await,
        };
        send(&mut stream, 1, &packets).await?;
    }
}

fn greeting() -> Vec<u8> {
    let capabilities: u32 = 0x4 | 0x8 | 0x200 | 0x8000 | 0x80000;
    let mut packet = vec![10];
    packet.extend(b"5.7.99\0");
    packet.extend(7u32.to_le_bytes());
    packet.extend(b"abcdefgh\0");
    packet.extend((capabilities as u16).to_le_bytes());
    packet.extend([33, 0, 0]);
    packet.extend(((capabilities >> 16) as u16).to_le_bytes());
    packet.push(21);
    packet.extend([0; 10]);
    packet.extend(b"ijklmnopqrst\0");
    packet.extend(b"mysql_native_password\0");
    packet
}

fn ok() -> Vec<u8> {
    vec![0, 0, 0, 2, 0, 0, 0]
}

fn eof() -> Vec<u8> {
    vec![0xfe, 0, 0, 2, 0]
}

fn error(code: u16, message: &str) -> Vec<u8> {
    let mut packet = vec![0xff];
    packet.extend(code.to_le_bytes());
    packet.extend(b"#HY000");
    packet.extend(message.as_bytes());
    packet
}

fn text(packet: &mut Vec<u8>, text: &str) {
    if text.len() < 251 {
        packet.push(text.len() as u8);
    } else {
        packet.push(0xfd);
        packet.extend(&(text.len() as u32).to_le_bytes()[..3]);
    }
    packet.extend(text.as_bytes());
}

fn result_set(columns: &[String], rows: &[Vec<Option<String>>]) -> Vec<Vec<u8>> {
    let mut packets = vec![vec![columns.len() as u8]];
    for name in columns {
        let mut packet = Vec::new();
        for part in ["def", "", "", "", name, name] {
            text(&mut packet, part);
        }
        packet.push(12);
        packet.extend(33u16.to_le_bytes());
        packet.extend(1024u32.to_le_bytes());
        packet.extend([0xfd, 0, 0, 0, 0, 0]);
        packets.push(packet);
    }
    packets.push(eof());
    for row in rows {
        let mut packet = Vec::new();
        for value in row {
            match value {
                Some(value) => text(&mut packet, value),
                None => packet.push(0xfb),
            }
        }
        packets.push(packet);
    }
    packets.push(eof());
    packets
}

async fn send(stream: &mut TcpStream, first: u8, packets: &[Vec<u8>]) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    for (sequence, packet) in (first..).zip(packets) {
        bytes.extend(&(packet.len() as u32).to_le_bytes()[..3]);
        bytes.push(sequence);
        bytes.extend(packet);
    }
    stream.write_all(&bytes).await
}

async fn receive(stream: &mut TcpStream) -> std::io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let mut packet = vec![0; u32::from_le_bytes([head[0], head[1], head[2], 0]) as usize];
    stream.read_exact(&mut packet).await?;
    Ok((head[3], packet))
}
