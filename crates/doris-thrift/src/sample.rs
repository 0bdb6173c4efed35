//! Values of every struct made from arbitrary bytes, for property tests.
//!
//! The bytes decide every choice, so the property-testing library shrinks a failing value by shrinking
//! the bytes; when they run out, everything is zero, absent or empty.

use std::collections::BTreeMap;

use crate::types::{backend, binlog, common, meta, snapshot, txn};
use crate::wire::Struct;

/// The bytes that choices are taken from.
#[derive(Debug)]
pub(crate) struct Source<'a>(&'a [u8]);

impl<'a> Source<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((&first, rest)) => {
                self.0 = rest;
                first
            }
            None => 0,
        }
    }

    pub(crate) fn present(&mut self) -> bool {
        !self.byte().is_multiple_of(4)
    }

    fn count(&mut self) -> usize {
        usize::from(self.byte() % 4)
    }
}

pub(crate) trait Sample {
    fn sample(source: &mut Source<'_>) -> Self;
}

impl Sample for bool {
    fn sample(source: &mut Source<'_>) -> Self {
        source.byte() % 2 == 1
    }
}

impl Sample for i32 {
    fn sample(source: &mut Source<'_>) -> Self {
        Self::from_be_bytes(std::array::from_fn(|_| source.byte()))
    }
}

impl Sample for i64 {
    fn sample(source: &mut Source<'_>) -> Self {
        Self::from_be_bytes(std::array::from_fn(|_| source.byte()))
    }
}

impl Sample for String {
    fn sample(source: &mut Source<'_>) -> Self {
        (0..source.count())
            .map(|_| char::from_u32(u32::from(source.byte()) << (source.byte() % 13)).unwrap_or('界'))
            .collect()
    }
}

impl Sample for Vec<u8> {
    fn sample(source: &mut Source<'_>) -> Self {
        (0..source.count() * 3).map(|_| source.byte()).collect()
    }
}

impl<T: Sample> Sample for Vec<T> {
    fn sample(source: &mut Source<'_>) -> Self {
        (0..source.count()).map(|_| T::sample(source)).collect()
    }
}

impl<K: Sample + Ord, V: Sample> Sample for BTreeMap<K, V> {
    fn sample(source: &mut Source<'_>) -> Self {
        (0..source.count()).map(|_| (K::sample(source), V::sample(source))).collect()
    }
}

/// The codec of one struct behind function pointers, so that tests run over all structs.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    /// Encodes a sample and decodes it again; gives the bytes.
    pub(crate) round_trip: fn(&[u8]) -> Vec<u8>,
    /// Decodes bytes of any kind and gives the error.
    pub(crate) decode: fn(&[u8]) -> Result<(), crate::DecodeError>,
}

impl Case {
    pub(crate) const fn of<T: Struct + Sample + PartialEq + std::fmt::Debug>() -> Self {
        Self { name: T::NAME, round_trip: round_trip::<T>, decode: |bytes| T::from_bytes(bytes).map(drop) }
    }
}

fn round_trip<T: Struct + Sample + PartialEq + std::fmt::Debug>(entropy: &[u8]) -> Vec<u8> {
    let value = T::sample(&mut Source::new(entropy));
    let bytes = value.to_bytes();
    assert_eq!(T::from_bytes(&bytes).as_ref(), Ok(&value));
    bytes
}

/// Every struct of the crate.
pub(crate) fn cases() -> impl Iterator<Item = &'static Case> {
    [
        backend::CASES,
        binlog::CASES,
        common::CASES,
        meta::CASES,
        snapshot::CASES,
        txn::CASES,
        crate::message::CASES,
    ]
    .into_iter()
    .flatten()
}
