//! Arbitrary bytes through the scanner, the envelope and the largest structs of both directions.
//!
//! The first byte decides in which pieces the scanner gets the rest; its verdict must not depend on them.

#![no_main]

use doris_thrift::message::Message;
use doris_thrift::scan::Scanner;
use doris_thrift::wire::{Reader, ty};
use doris_thrift::*;
use libfuzzer_sys::fuzz_target;

const LIMIT: usize = 1 << 20;

fn scan(bytes: &[u8], piece: usize) -> Result<Option<usize>, DecodeError> {
    let mut scanner = Scanner::new(LIMIT);
    let mut have = 0;
    loop {
        let found = scanner.advance(&bytes[..have])?;
        if found.is_some() || have == bytes.len() {
            return Ok(found);
        }
        have = (have + piece).min(bytes.len());
    }
}

/// What decodes must survive being written and read again.
fn decode<T: Struct + PartialEq + std::fmt::Debug>(body: &[u8]) {
    if let Ok(value) = T::from_bytes(body) {
        assert_eq!(T::from_bytes(&value.to_bytes()).as_ref(), Ok(&value));
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&piece, bytes)) = bytes.split_first() else { return };
    let found = scan(bytes, bytes.len().max(1));
    assert_eq!(found, scan(bytes, usize::from(piece) + 1));
    if let Ok(Some(length)) = found
        && let Ok(message) = Message::parse(&bytes[..length])
    {
        Reader::new(message.body).skip(ty::STRUCT).expect("the scanner accepted the body");
        let _ = message.result::<TGetMetaResult>();
        let _ = message.result::<TGetBinlogResult>();
        let _ = message.request::<TCommitTxnRequest>();
        let _ = message.request::<TRestoreSnapshotRequest>();
        let _ = message.exception();
    }
    decode::<TGetMetaResult>(bytes);
    decode::<TGetBinlogResult>(bytes);
    decode::<TCommitTxnRequest>(bytes);
    decode::<TRestoreSnapshotRequest>(bytes);
    decode::<TGetTabletReplicaInfosResult>(bytes);
});
