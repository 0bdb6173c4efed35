//! Decimals: an exact unscaled number with a scale, and the text form of wider ones.

use std::cmp::Ordering;
use std::fmt;

/// `unscaled / 10^scale`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal {
    pub unscaled: i128,
    pub scale: u8,
}

/// Digits that an `i128` certainly holds.
pub const MAX_NARROW_PRECISION: u8 = 38;

/// `10^exponent`, or `None` beyond an `i128`.
pub fn power_of_ten(exponent: u32) -> Option<i128> {
    10i128.checked_pow(exponent)
}

impl Decimal {
    pub fn new(unscaled: i128, scale: u8) -> Self {
        Self { unscaled, scale }
    }

    /// The same number with another scale, rounded half away from zero; `None` when it does not fit.
    pub fn rescale(self, scale: u8) -> Option<Self> {
        if scale == self.scale {
            return Some(self);
        }
        if scale > self.scale {
            let factor = power_of_ten(u32::from(scale - self.scale))?;
            return Some(Self::new(self.unscaled.checked_mul(factor)?, scale));
        }
        let Some(factor) = power_of_ten(u32::from(self.scale - scale)) else {
            return Some(Self::new(0, scale));
        };
        let mut whole = self.unscaled / factor;
        let rest = self.unscaled % factor;
        if rest.unsigned_abs() >= (factor / 2).unsigned_abs() {
            whole += rest.signum();
        }
        Some(Self::new(whole, scale))
    }

    /// Whether the number has at most `precision` digits.
    pub fn fits(self, precision: u8) -> bool {
        power_of_ten(u32::from(precision))
            .is_none_or(|limit| self.unscaled.unsigned_abs() < limit.unsigned_abs())
    }

    /// The whole part, towards zero.
    pub fn truncate(self) -> i128 {
        power_of_ten(u32::from(self.scale)).map_or(0, |factor| self.unscaled / factor)
    }

    pub fn to_f64(self) -> f64 {
        self.unscaled as f64 / 10f64.powi(i32::from(self.scale))
    }

    pub fn order(&self, other: &Self) -> Ordering {
        if self.scale == other.scale {
            return self.unscaled.cmp(&other.unscaled);
        }
        let scale = self.scale.max(other.scale);
        match (self.rescale(scale), other.rescale(scale)) {
            (Some(a), Some(b)) => a.unscaled.cmp(&b.unscaled),
            _ => self.to_f64().total_cmp(&other.to_f64()),
        }
    }

    /// Reads `[+-]digits[.digits][e[+-]digits]`, rounded to `scale`. `None` when it is no number or too
    /// large.
    pub fn parse(text: &str, scale: u8) -> Option<Self> {
        let bytes = text.as_bytes();
        let (negative, digits) = match bytes.first()? {
            b'-' => (true, &bytes[1..]),
            b'+' => (false, &bytes[1..]),
            _ => (false, bytes),
        };
        let mut unscaled: i128 = 0;
        let mut fraction: Option<u8> = None;
        let mut seen = false;
        let mut round_up = false;
        let mut dropped = false;
        for (at, byte) in digits.iter().enumerate() {
            match byte {
                b'0'..=b'9' => {
                    seen = true;
                    let digit = i128::from(byte - b'0');
                    match &mut fraction {
                        Some(count) if *count >= scale => {
                            if !dropped {
                                dropped = true;
                                round_up = digit >= 5;
                            }
                            continue;
                        }
                        Some(count) => *count += 1,
                        None => {}
                    }
                    unscaled = unscaled.checked_mul(10)?.checked_add(digit)?;
                }
                b'.' if fraction.is_none() => fraction = Some(0),
                b'e' | b'E' if seen => return Self::parse_exponent(text, digits.len() - at, scale),
                _ => return None,
            }
        }
        if !seen {
            return None;
        }
        let missing = scale - fraction.unwrap_or(0);
        unscaled = unscaled.checked_mul(power_of_ten(u32::from(missing))?)?;
        if round_up {
            unscaled = unscaled.checked_add(1)?;
        }
        Some(Self::new(if negative { -unscaled } else { unscaled }, scale))
    }

    fn parse_exponent(text: &str, tail: usize, scale: u8) -> Option<Self> {
        let (mantissa, exponent) = text.split_at(text.len() - tail);
        let exponent: i32 = exponent[1..].parse().ok()?;
        if exponent.abs() > 76 {
            return None;
        }
        let exact_scale = mantissa.split_once('.').map_or(0, |(_, digits)| digits.len());
        let number = Self::parse(mantissa, u8::try_from(exact_scale).ok()?)?;
        let shifted = i32::from(number.scale) - exponent;
        let number = if shifted < 0 {
            let factor = power_of_ten(shifted.unsigned_abs())?;
            Self::new(number.unscaled.checked_mul(factor)?, 0)
        } else {
            Self::new(number.unscaled, u8::try_from(shifted).ok()?)
        };
        number.rescale(scale)
    }

    /// The decimal nearest to `number`.
    pub fn from_f64(number: f64, scale: u8) -> Option<Self> {
        Self::parse(&format!("{number}"), scale)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.scale == 0 {
            return write!(out, "{}", self.unscaled);
        }
        let sign = if self.unscaled < 0 { "-" } else { "" };
        let size = self.unscaled.unsigned_abs();
        let Some(factor) = power_of_ten(u32::from(self.scale)).map(i128::unsigned_abs) else {
            return write!(out, "{sign}0.{size:0>width$}", width = usize::from(self.scale));
        };
        let width = usize::from(self.scale);
        write!(out, "{sign}{}.{:0>width$}", size / factor, size % factor)
    }
}

/// Normalises the text of a wide decimal: no plus sign, no leading zeros, exactly `scale` fraction digits
/// (rounded half up). `None` when it is no number or has more than `precision` digits.
pub fn normalise_text(text: &str, precision: u8, scale: u8) -> Option<String> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if (whole.is_empty() && fraction.is_empty())
        || !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit())
    {
        return None;
    }
    let scale = usize::from(scale);
    let mut all: Vec<u8> = whole.bytes().collect();
    let kept = fraction.len().min(scale);
    all.extend_from_slice(&fraction.as_bytes()[..kept]);
    all.resize(all.len() + scale - kept, b'0');
    if fraction.as_bytes().get(scale).is_some_and(|byte| *byte >= b'5') {
        increment(&mut all);
    }
    let leading = all.iter().take_while(|byte| **byte == b'0').count();
    all.drain(..leading.min(all.len().saturating_sub(scale + 1)));
    let significant = all.iter().skip_while(|byte| **byte == b'0').count();
    if significant > usize::from(precision) {
        return None;
    }
    if all.len() == scale {
        all.insert(0, b'0');
    }
    let split = all.len() - scale;
    let mut out = String::new();
    if negative && significant > 0 {
        out.push('-');
    }
    out.extend(all[..split].iter().map(|byte| char::from(*byte)));
    if scale > 0 {
        out.push('.');
        out.extend(all[split..].iter().map(|byte| char::from(*byte)));
    }
    Some(out)
}

fn increment(digits: &mut Vec<u8>) {
    for digit in digits.iter_mut().rev() {
        if *digit == b'9' {
            *digit = b'0';
        } else {
            *digit += 1;
            return;
        }
    }
    digits.insert(0, b'1');
}

/// Orders normalised decimal texts by value. Scales may differ.
pub fn order_text(a: &str, b: &str) -> Ordering {
    let (negative_a, negative_b) = (a.starts_with('-'), b.starts_with('-'));
    if negative_a != negative_b {
        return if negative_a { Ordering::Less } else { Ordering::Greater };
    }
    let by_size = order_size(a.trim_start_matches('-'), b.trim_start_matches('-'));
    if negative_a { by_size.reverse() } else { by_size }
}

fn order_size(a: &str, b: &str) -> Ordering {
    let (whole_a, fraction_a) = a.split_once('.').unwrap_or((a, ""));
    let (whole_b, fraction_b) = b.split_once('.').unwrap_or((b, ""));
    let (whole_a, whole_b) = (whole_a.trim_start_matches('0'), whole_b.trim_start_matches('0'));
    whole_a
        .len()
        .cmp(&whole_b.len())
        .then_with(|| whole_a.cmp(whole_b))
        .then_with(|| fraction_a.trim_end_matches('0').cmp(fraction_b.trim_end_matches('0')))
}

/// The exact sum of two normalised texts of one scale.
pub fn add_text(a: &str, b: &str) -> String {
    let (size_a, size_b) = (a.trim_start_matches('-'), b.trim_start_matches('-'));
    let (negative_a, negative_b) = (a.starts_with('-'), b.starts_with('-'));
    if negative_a == negative_b {
        let sum = combine_sizes(size_a, size_b, |x, y, carry| {
            let sum = x + y + carry;
            (sum % 10, sum / 10)
        });
        return if negative_a { format!("-{sum}") } else { sum };
    }
    let (large, small, negative) = match order_size(size_a, size_b) {
        Ordering::Equal => return combine_sizes(size_a, size_a, |_, _, _| (0, 0)),
        Ordering::Greater => (size_a, size_b, negative_a),
        Ordering::Less => (size_b, size_a, negative_b),
    };
    let rest = combine_sizes(large, small, |x, y, borrow| {
        let rest = x - y - borrow;
        if rest < 0 { (rest + 10, 1) } else { (rest, 0) }
    });
    if negative { format!("-{rest}") } else { rest }
}

/// Works through the digits of two unsigned texts of one scale from the right.
fn combine_sizes(a: &str, b: &str, step: impl Fn(i8, i8, i8) -> (i8, i8)) -> String {
    let scale = a.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let digits = |text: &str| -> Vec<i8> {
        text.bytes().rev().filter(u8::is_ascii_digit).map(|byte| (byte - b'0') as i8).collect()
    };
    let (a, b) = (digits(a), digits(b));
    let mut out = Vec::new();
    let mut carry = 0;
    for at in 0..a.len().max(b.len()) {
        let (digit, next) = step(a.get(at).copied().unwrap_or(0), b.get(at).copied().unwrap_or(0), carry);
        out.push(digit);
        carry = next;
    }
    if carry > 0 {
        out.push(carry);
    }
    while out.len() > scale + 1 && out.last() == Some(&0) {
        out.pop();
    }
    let mut text = String::new();
    for (at, digit) in out.iter().enumerate().rev() {
        text.push(char::from(b'0' + *digit as u8));
        if at == scale && scale > 0 {
            text.push('.');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_rounds() {
        for (text, scale, shown) in [
            ("1.005", 2, "1.01"),
            ("-1.005", 2, "-1.01"),
            (".5", 2, "0.50"),
            ("7", 3, "7.000"),
            ("-0.004", 2, "0.00"),
            ("1.5e2", 1, "150.0"),
            ("125e-2", 2, "1.25"),
            ("999.999", 2, "1000.00"),
        ] {
            assert_eq!(Decimal::parse(text, scale).map(|number| number.to_string()).as_deref(), Some(shown));
        }
        for text in ["", "-", ".", "1.2.3", "x", "1e", "e5", "1e999"] {
            assert_eq!(Decimal::parse(text, 2), None, "{text}");
        }
    }

    #[test]
    fn rescaling_rounds_half_away_from_zero() {
        assert_eq!(Decimal::new(-125, 2).rescale(1), Some(Decimal::new(-13, 1)));
        assert_eq!(Decimal::new(124, 2).rescale(1), Some(Decimal::new(12, 1)));
        assert_eq!(Decimal::new(i128::MAX, 0).rescale(2), None);
    }

    #[test]
    fn wide_texts_are_normalised_and_ordered() {
        assert_eq!(normalise_text("+00012.345", 40, 2).as_deref(), Some("12.35"));
        assert_eq!(normalise_text("99.999", 4, 2), None);
        assert_eq!(normalise_text("-0", 40, 2).as_deref(), Some("0.00"));
        assert_eq!(normalise_text("0.5", 40, 0).as_deref(), Some("1"));
        assert_eq!(normalise_text("1x", 40, 0), None);
        assert_eq!(add_text("99.99", "0.02"), "100.01");
        assert_eq!(add_text("-1.00", "0.25"), "-0.75");
        assert_eq!(add_text("-1.00", "1.00"), "0.00");
        assert_eq!(add_text("-7", "-8"), "-15");
        assert_eq!(order_text("-2.0", "-10.0"), Ordering::Greater);
        assert_eq!(order_text("10", "9.99"), Ordering::Greater);
        assert_eq!(order_text("1.50", "1.5"), Ordering::Equal);
    }
}
