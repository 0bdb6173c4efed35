//! Cells of result sets.

/// A cell with a text.
pub fn cell(value: impl ToString) -> Option<String> {
    Some(value.to_string())
}

/// `2024-01-01 00:00:00` in UTC; NULL for a time that is not reached.
pub fn time(ms: i64) -> Option<String> {
    if ms <= 0 {
        return None;
    }
    let timestamp = jiff::Timestamp::from_millisecond(ms).ok()?;
    Some(timestamp.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

/// `12.000 KB`, as Doris prints sizes.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["", "KB", "MB", "GB", "TB", "PB"];
    #[expect(clippy::cast_precision_loss, reason = "three digits behind the point are shown")]
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.3} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes() {
        assert_eq!(time(0), None);
        assert_eq!(time(1_704_067_200_000).as_deref(), Some("2024-01-01 00:00:00"));
        assert_eq!(size(0), "0.000 ");
        assert_eq!(size(1536), "1.500 KB");
    }
}
