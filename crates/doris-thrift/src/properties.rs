//! Properties of the codec over every struct and over hostile bytes.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::DecodeError;
use crate::message::{Message, put_call, put_reply};
use crate::sample::{Case, Sample, Source, cases};
use crate::scan::Scanner;
use crate::types::{TGetMetaResult, TRestoreSnapshotRequest};
use crate::wire::{Reader, ty};

const LIMIT: usize = 1 << 20;

/// The length found when the bytes come in pieces, never looking at the rest.
fn scan_in_pieces(bytes: &[u8], piece: usize) -> Result<Option<usize>, DecodeError> {
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

fn meta_reply(entropy: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_reply("getMeta", 7, &TGetMetaResult::sample(&mut Source::new(entropy)), &mut bytes);
    bytes
}

proptest! {
    #[test]
    fn every_struct_survives_the_round_trip(entropy in vec(any::<u8>(), 0..300)) {
        for case in cases() {
            let bytes = (case.round_trip)(&entropy);
            let mut reader = Reader::new(&bytes);
            reader.skip(ty::STRUCT).unwrap();
            prop_assert_eq!(reader.remaining(), 0, "skipping {}", case.name);
        }
    }

    #[test]
    fn every_prefix_is_truncated(entropy in vec(any::<u8>(), 0..120)) {
        for Case { name, round_trip, decode } in cases() {
            let bytes = round_trip(&entropy);
            for end in 0..bytes.len() {
                prop_assert_eq!(decode(&bytes[..end]), Err(DecodeError::Truncated), "{} at {}", name, end);
            }
        }
    }

    #[test]
    fn unknown_fields_are_skipped(entropy in vec(any::<u8>(), 0..300)) {
        // No struct has a field 99: put another struct there, in front of the known fields.
        let extra = TRestoreSnapshotRequest::sample(&mut Source::new(&entropy));
        let mut prefix = Vec::new();
        crate::wire::put_field(99, &vec![extra], &mut prefix);
        for case in cases() {
            let mut bytes = prefix.clone();
            bytes.extend((case.round_trip)(&entropy));
            prop_assert_eq!((case.decode)(&bytes), Ok(()), "{}", case.name);
        }
    }

    #[test]
    fn scanner_finds_the_end_however_the_bytes_arrive(
        entropy in vec(any::<u8>(), 0..300),
        piece in 1usize..40,
        behind in vec(any::<u8>(), 0..30),
    ) {
        let message = meta_reply(&entropy);
        let mut stream = message.clone();
        stream.extend(behind);
        prop_assert_eq!(scan_in_pieces(&stream, piece), Ok(Some(message.len())));
        prop_assert_eq!(scan_in_pieces(&message[..message.len() - 1], piece), Ok(None));
    }

    #[test]
    fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..400), piece in 1usize..40) {
        for case in cases() {
            let _ = (case.decode)(&bytes);
        }
        let mut message = vec![0x80, 1, 0, 2, 0, 0, 0, 1, b'm', 0, 0, 0, 1];
        message.extend(bytes);
        check_hostile(&message, piece)?;
    }

    #[test]
    fn mutated_messages_never_panic(
        entropy in vec(any::<u8>(), 0..300),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        piece in 1usize..40,
    ) {
        let mut message = meta_reply(&entropy);
        for (index, value) in changes {
            let at = index.index(message.len());
            message[at] = value;
        }
        check_hostile(&message, piece)?;
        for case in cases() {
            let mut bytes = (case.round_trip)(&entropy);
            if let Some(byte) = bytes.get_mut(message.len() % 7) {
                *byte ^= 0x55;
            }
            let _ = (case.decode)(&bytes);
        }
    }
}

/// What the scanner says does not depend on the pieces, and what it accepts the parser can walk.
fn check_hostile(message: &[u8], piece: usize) -> Result<(), TestCaseError> {
    let whole = scan_in_pieces(message, message.len().max(1));
    let pieces = scan_in_pieces(message, piece);
    prop_assert_eq!(&whole, &pieces);
    if let Ok(Some(length)) = whole {
        prop_assert!(length <= message.len());
        if let Ok(parsed) = Message::parse(&message[..length]) {
            prop_assert!(Reader::new(parsed.body).skip(ty::STRUCT).is_ok());
            let _ = parsed.result::<TGetMetaResult>();
        }
    }
    Ok(())
}

#[test]
fn a_call_is_scanned_and_parsed() {
    let request = TRestoreSnapshotRequest { db: Some("d".into()), ..Default::default() };
    let mut bytes = Vec::new();
    put_call("restoreSnapshot", -3, &request, &mut bytes);
    assert_eq!(Scanner::new(bytes.len()).advance(&bytes), Ok(Some(bytes.len())));
    assert_eq!(
        Scanner::new(bytes.len() - 1).advance(&bytes),
        Err(DecodeError::TooLarge { limit: bytes.len() - 1 })
    );
    let message = Message::parse(&bytes).unwrap();
    assert_eq!((message.name, message.sequence), ("restoreSnapshot", -3));
    assert_eq!(message.request(), Ok(request));
}
