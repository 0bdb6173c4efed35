//! Inputs made to exhaust memory or stack, one by one.

use std::collections::BTreeMap;

use crate::DecodeError;
use crate::scan::Scanner;
use crate::types::*;
use crate::wire::{MAX_DEPTH, Reader, Struct, Wire, ty};

fn list_head(element: u8, count: i32) -> Vec<u8> {
    let mut bytes = vec![element];
    bytes.extend(count.to_be_bytes());
    bytes
}

/// A reply header without its body.
fn reply_head() -> Vec<u8> {
    vec![0x80, 1, 0, 2, 0, 0, 0, 1, b'm', 0, 0, 0, 1]
}

#[test]
fn a_count_beyond_the_bytes_allocates_nothing() {
    let bytes = list_head(ty::I64, i32::MAX);
    assert_eq!(Vec::<i64>::get(&mut Reader::new(&bytes)), Err(DecodeError::Truncated));
    let mut bytes = list_head(ty::STRING, 3);
    bytes.extend([0; 11]);
    assert_eq!(Vec::<String>::get(&mut Reader::new(&bytes)), Err(DecodeError::Truncated));
    let mut map = vec![ty::I64, ty::I64];
    map.extend(i32::MAX.to_be_bytes());
    let decoded = <BTreeMap<i64, i64> as Wire>::get(&mut Reader::new(&map));
    assert_eq!(decoded, Err(DecodeError::Truncated));
}

#[test]
fn negative_lengths_are_errors() {
    let bytes = list_head(ty::I64, -1);
    assert_eq!(Vec::<i64>::get(&mut Reader::new(&bytes)), Err(DecodeError::NegativeLength(-1)));
    assert_eq!(String::get(&mut Reader::new(&(-5i32).to_be_bytes())), Err(DecodeError::NegativeLength(-5)));
}

#[test]
fn structs_of_one_byte_do_not_fill_the_memory() {
    let count = 1_000_000;
    let mut bytes = list_head(ty::STRUCT, count);
    bytes.extend(std::iter::repeat_n(ty::STOP, count as usize));
    let decoded = Vec::<TGetMetaPartitionMeta>::get(&mut Reader::new(&bytes));
    assert_eq!(decoded, Err(DecodeError::Amplified));
    // Passing over the same bytes costs no memory.
    let mut reader = Reader::new(&bytes);
    assert_eq!(reader.skip(ty::LIST), Ok(()));
    assert_eq!(reader.remaining(), 0);
}

#[test]
fn honest_metadata_is_far_below_the_memory_budget() {
    let replica = TGetMetaReplicaMeta { id: Some(1), backend_id: Some(2), version: Some(3) };
    let tablet = TGetMetaTabletMeta { id: Some(1), replicas: Some(vec![replica; 1]) };
    let index = TGetMetaIndexMeta { id: Some(1), name: None, tablets: Some(vec![tablet; 1]) };
    let partition =
        TGetMetaPartitionMeta { id: Some(1), indexes: Some(vec![index; 1]), ..Default::default() };
    let table = TGetMetaTableMeta { id: Some(1), partitions: Some(vec![partition; 1]), ..Default::default() };
    let database = TGetMetaDBMeta { tables: Some(vec![table; 20_000]), ..Default::default() };
    let bytes = database.to_bytes();
    assert_eq!(TGetMetaDBMeta::from_bytes(&bytes), Ok(database));
    let lag = TBinlog { commit_seq: Some(1), ..Default::default() };
    let page = TGetBinlogResult { binlogs: Some(vec![lag; 20_000]), ..Default::default() };
    assert_eq!(TGetBinlogResult::from_bytes(&page.to_bytes()), Ok(page));
}

#[test]
fn deep_nesting_is_refused_by_reader_and_scanner() {
    // Field 1 of each struct is a struct, without end.
    let nested: Vec<u8> = std::iter::repeat_n([ty::STRUCT, 0, 1], 100_000).flatten().collect();
    assert_eq!(Reader::new(&nested).skip(ty::STRUCT), Err(DecodeError::TooDeep { limit: MAX_DEPTH }));
    let mut message = reply_head();
    message.extend(&nested);
    let scanned = Scanner::new(1 << 20).advance(&message);
    assert_eq!(scanned, Err(DecodeError::TooDeep { limit: MAX_DEPTH }));
    // Lists of lists.
    let nested: Vec<u8> = std::iter::repeat_n(list_head(ty::LIST, 1), 100_000).flatten().collect();
    assert_eq!(Reader::new(&nested).skip(ty::LIST), Err(DecodeError::TooDeep { limit: MAX_DEPTH }));
}

#[test]
fn the_scanner_refuses_announced_sizes_at_once() {
    let field = |wire_type: u8, rest: &[u8]| {
        let mut message = reply_head();
        message.extend([wire_type, 0, 0]);
        message.extend(rest);
        Scanner::new(1000).advance(&message)
    };
    let too_large = Err(DecodeError::TooLarge { limit: 1000 });
    assert_eq!(field(ty::STRING, &1000i32.to_be_bytes()), too_large);
    assert_eq!(field(ty::LIST, &list_head(ty::STRUCT, 1001)), too_large);
    assert_eq!(field(ty::LIST, &list_head(ty::I64, 126)), too_large);
    let mut map = vec![ty::STRING, ty::STRING];
    map.extend(130i32.to_be_bytes());
    assert_eq!(field(ty::MAP, &map), too_large);
    assert_eq!(field(ty::STRING, &900i32.to_be_bytes()), Ok(None));
    assert_eq!(field(1, &[]), Err(DecodeError::WireType(1)));
    let mut name = vec![0x80, 1, 0, 1];
    name.extend(2000i32.to_be_bytes());
    assert_eq!(Scanner::new(1000).advance(&name), too_large);
}

#[test]
fn the_scanner_recognises_other_protocols_by_the_first_byte() {
    assert_eq!(Scanner::new(1000).advance(&[]), Ok(None));
    assert_eq!(Scanner::new(1000).advance(&[0]), Err(DecodeError::NotStrict { first: 0 }));
    assert_eq!(Scanner::new(1000).advance(b"HTTP"), Err(DecodeError::NotStrict { first: b'H' }));
    assert_eq!(Scanner::new(1000).advance(&[0x80]), Ok(None));
    assert_eq!(Scanner::new(1000).advance(&[0x80, 2, 0, 1]), Err(DecodeError::NotStrict { first: 0x80 }));
}

#[test]
fn a_server_takes_calls_without_a_version() {
    let mut call = 3i32.to_be_bytes().to_vec();
    call.extend(b"add");
    call.push(1);
    call.extend(7i32.to_be_bytes());
    call.push(ty::STOP);
    for end in 0..call.len() {
        assert_eq!(Scanner::of_calls(1000).advance(&call[..end]), Ok(None), "{end} bytes");
    }
    assert_eq!(Scanner::of_calls(1000).advance(&call), Ok(Some(call.len())));
    let message = crate::message::Message::parse(&call).unwrap();
    assert_eq!((message.name, message.sequence, message.body), ("add", 7, &[ty::STOP][..]));
    // A framed message and a length that no name has are refused at once.
    assert_eq!(
        Scanner::of_calls(1000).advance(&[0, 0, 0, 20, 0x80, 1, 0, 1]),
        Err(DecodeError::NotStrict { first: 0 })
    );
    assert_eq!(Scanner::of_calls(1000).advance(&[0, 0, 1, 0]), Err(DecodeError::NotStrict { first: 0 }));
    assert_eq!(Scanner::of_calls(1000).advance(b"GET "), Err(DecodeError::NotStrict { first: b'G' }));
}
