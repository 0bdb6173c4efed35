//! Snapshots are exchanged as gzip streams. Both directions run on the blocking pool, because hundreds of
//! megabytes would hold up every other task.

use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

/// Decompresses at most `limit` bytes; more is an error.
pub(crate) fn decompress(bytes: &[u8], limit: usize) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    let bound = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    MultiGzDecoder::new(bytes).take(bound).read_to_end(&mut plain)?;
    if plain.len() > limit {
        return Err(io::Error::other(format!("larger than {limit} bytes when decompressed")));
    }
    Ok(plain)
}

pub(crate) fn compress(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back_within_the_limit() {
        let plain = b"job info ".repeat(1000);
        let packed = compress(&plain).unwrap();
        assert!(packed.len() < plain.len() / 10);
        assert_eq!(decompress(&packed, plain.len()).unwrap(), plain);
        assert!(decompress(&packed, plain.len() - 1).is_err());
        assert!(decompress(&packed[..packed.len() / 2], plain.len()).is_err());
        assert!(decompress(b"{\"name\":1}", 100).is_err());
    }
}
