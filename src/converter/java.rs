//! Numbers and times as Java writes them: Kafka Connect's converters inherit these forms.
//!
//! Floating-point numbers are the shortest that read back as the same number, as every Java since 19 writes them.

use std::io::Write;
use tapline_sdk::RecordError;

/// Below this, and from [`PLAIN_MAX`] on, Java writes an exponent.
const PLAIN_MIN: f64 = 1e-3;
/// See [`PLAIN_MIN`].
const PLAIN_MAX: f64 = 1e7;

/// Appends `Double.toString`.
pub(super) fn double(value: f64, out: &mut Vec<u8>) {
    if !special(value, out) {
        let text = format!("{value:.1e}");
        let two_digits = text.parse::<f64>().is_ok_and(|back| back == value);
        finite(
            value,
            zmij::Buffer::new().format(value),
            two_digits.then_some(&text),
            out,
        );
    }
}

/// Appends `Float.toString`.
pub(super) fn float(value: f32, out: &mut Vec<u8>) {
    if !special(value.into(), out) {
        let text = format!("{value:.1e}");
        let two_digits = text.parse::<f32>().is_ok_and(|back| back == value);
        finite(
            value.into(),
            zmij::Buffer::new().format(value),
            two_digits.then_some(&text),
            out,
        );
    }
}

/// What has no digits.
fn special(value: f64, out: &mut Vec<u8>) -> bool {
    let text: &[u8] = if value.is_nan() {
        b"NaN"
    } else if value.is_infinite() && value > 0.0 {
        b"Infinity"
    } else if value.is_infinite() {
        b"-Infinity"
    } else {
        return false;
    };
    out.extend_from_slice(text);
    true
}

/// `shortest` is the shortest text. Where that has one digit only, Java takes the nearest of two digits instead.
fn finite(value: f64, shortest: &str, two_digits: Option<&String>, out: &mut Vec<u8>) {
    let mut parts = Parts::of(shortest);
    if parts.digits.len() == 1
        && let Some(text) = two_digits
    {
        parts = Parts::of(text);
    }
    let Parts {
        negative,
        digits,
        exponent,
    } = parts;
    if negative {
        out.push(b'-');
    }
    let size = value.abs();
    let digit = |at: usize| digits.get(at).copied().unwrap_or(b'0');
    if size != 0.0 && !(PLAIN_MIN..PLAIN_MAX).contains(&size) {
        out.extend_from_slice(&[digit(0), b'.']);
        fraction(digits.get(1..).unwrap_or_default(), out);
        out.push(b'E');
        out.extend_from_slice(itoa::Buffer::new().format(exponent).as_bytes());
    } else if exponent < 0 {
        out.extend_from_slice(b"0.");
        out.extend((exponent..-1).map(|_| b'0'));
        fraction(&digits, out);
    } else {
        let whole = usize::try_from(exponent).unwrap_or_default() + 1;
        out.extend((0..whole).map(digit));
        out.push(b'.');
        fraction(digits.get(whole..).unwrap_or_default(), out);
    }
}

/// What stands behind the point: at least one digit.
fn fraction(digits: &[u8], out: &mut Vec<u8>) {
    if digits.is_empty() {
        out.push(b'0');
    }
    out.extend_from_slice(digits);
}

/// A number as `d.ddd × 10^exponent`, without zeros at the end.
struct Parts {
    negative: bool,
    digits: Vec<u8>,
    exponent: i32,
}

impl Parts {
    fn of(text: &str) -> Self {
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let mut exponent: i32 = exponent.parse().unwrap_or_default();
        let (negative, mantissa) = match mantissa.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, mantissa),
        };
        let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut digits = [whole.as_bytes(), part.as_bytes()].concat();
        exponent += i32::try_from(whole.len()).unwrap_or_default() - 1;
        let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
        if zeros == digits.len() {
            return Self {
                negative,
                digits: vec![b'0'],
                exponent: 0,
            };
        }
        digits.drain(..zeros);
        exponent -= i32::try_from(zeros).unwrap_or_default();
        while digits.last() == Some(&b'0') {
            digits.pop();
        }
        Self {
            negative,
            digits,
            exponent,
        }
    }
}

/// Appends `java.util.Date.toString` in UTC.
///
/// # Errors
/// The time is beyond the year 9999.
pub(super) fn date(unix_ms: i64, out: &mut Vec<u8>) -> Result<(), RecordError> {
    time(unix_ms, "%a %b %d %H:%M:%S UTC %Y", out)
}

/// Appends a time in UTC in this form of `strftime`.
///
/// # Errors
/// The time is beyond the year 9999.
pub(super) fn time(unix_ms: i64, form: &str, out: &mut Vec<u8>) -> Result<(), RecordError> {
    let beyond = || RecordError::new("a time beyond the year 9999 has no text form");
    let time = jiff::Timestamp::from_millisecond(unix_ms).map_err(|_| beyond())?;
    // Writing into a vector does not fail.
    write!(out, "{}", time.strftime(form)).map_err(|_| beyond())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_have_javas_form() {
        let cases = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (100.0, "100.0"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (1.234_5e-3, "0.0012345"),
            (9.99e-4, "9.99E-4"),
            (5e-324, "4.9E-324"),
            (2e23, "2.0E23"),
            (f64::MAX, "1.7976931348623157E308"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        for (value, expected) in cases {
            assert_eq!(text(|out| double(value, out)), expected);
        }
        assert_eq!(text(|out| float(0.1, out)), "0.1");
        assert_eq!(text(|out| float(f32::from_bits(1), out)), "1.4E-45");
        assert_eq!(text(|out| float(16_777_218.0, out)), "1.6777218E7");
    }

    proptest::proptest! {
        #[test]
        fn every_number_reads_back(bits: u64) {
            let (wide, narrow) = (f64::from_bits(bits), f32::from_bits(bits as u32));
            if wide.is_finite() {
                let back: f64 = text(|out| double(wide, out)).parse().unwrap();
                proptest::prop_assert_eq!(back.to_bits(), wide.to_bits());
            }
            if narrow.is_finite() {
                let back: f32 = text(|out| float(narrow, out)).parse().unwrap();
                proptest::prop_assert_eq!(back.to_bits(), narrow.to_bits());
            }
        }
    }
}
