//! interval in `IntervalStyle = postgres`: `1 year 2 mons -3 days +04:05:06.789`.

use super::{
    number::{malformed, parse_int},
    value::{Fault, Sink},
};
use crate::options::IntervalMode;
use std::io::Write;
use tapline_sdk::Cell;

/// An average month: 365.25/12 days, in microseconds.
const MONTH_US: i128 = 2_629_800_000_000;
const DAY_US: i128 = 86_400_000_000;

/// The signed parts that Postgres prints.
#[derive(Debug, Default, PartialEq, Eq)]
struct Parts {
    years: i64,
    months: i64,
    days: i64,
    time_us: i64,
}

pub(super) fn interval(
    sink: &mut Sink<'_>,
    text: &[u8],
    mode: IntervalMode,
) -> Result<Cell, Fault> {
    match mode {
        IntervalMode::Exact => Ok(sink.arena.utf8(text)?),
        IntervalMode::Numeric => Ok(Cell::Int(parse(text)?.micros())),
        IntervalMode::String => {
            let parts = parse(text)?;
            sink.arena.text_with(|out| {
                parts.write_iso(out);
                Ok(())
            })
        }
    }
}

impl Parts {
    /// The extremes stand for what is beyond them, infinite intervals of Postgres 17 included.
    fn micros(&self) -> i64 {
        let months = i128::from(self.years) * 12 + i128::from(self.months);
        let days = i128::from(self.days) * DAY_US;
        let total = months * MONTH_US + days + i128::from(self.time_us);
        i64::try_from(total).unwrap_or(if total < 0 { i64::MIN } else { i64::MAX })
    }

    fn write_iso(&self, out: &mut Vec<u8>) {
        let seconds = self.time_us / 1_000_000;
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        let sign = if self.time_us < 0 && seconds % 60 == 0 {
            "-"
        } else {
            ""
        };
        let mut fraction = format!("{:06}", (self.time_us % 1_000_000).unsigned_abs());
        fraction.truncate(fraction.trim_end_matches('0').len());
        let (sign, point) = match fraction.is_empty() {
            true => ("", ""),
            false => (sign, "."),
        };
        let Self {
            years,
            months,
            days,
            ..
        } = self;
        // Writing to a vector cannot fail.
        let _infallible = write!(
            out,
            "P{years}Y{months}M{days}DT{hours}H{minutes}M{sign}{}{point}{fraction}S",
            seconds % 60
        );
    }
}

fn parse(text: &[u8]) -> Result<Parts, Fault> {
    let bad = || malformed("interval");
    let mut parts = Parts::default();
    match text {
        b"infinity" => {
            parts.time_us = i64::MAX;
            return Ok(parts);
        }
        b"-infinity" => {
            parts.time_us = i64::MIN;
            return Ok(parts);
        }
        _ => {}
    }
    let mut words = text.split(|byte| *byte == b' ');
    while let Some(word) = words.next() {
        if memchr::memchr(b':', word).is_some() {
            parts.time_us = parse_time(word).ok_or_else(bad)?;
            continue;
        }
        let number = parse_int(word.strip_prefix(b"+").unwrap_or(word))?;
        match words.next() {
            Some(b"year" | b"years") => parts.years = number,
            Some(b"mon" | b"mons") => parts.months = number,
            Some(b"day" | b"days") => parts.days = number,
            _ => return Err(bad()),
        }
    }
    Ok(parts)
}

/// `[+-]H…H:MM:SS[.ffffff]`
fn parse_time(word: &[u8]) -> Option<i64> {
    let (negative, digits) = match word {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    let mut fields = digits.splitn(3, |byte| *byte == b':');
    let hours = parse_int(fields.next()?).ok()?;
    let minutes = parse_int(fields.next()?).ok()?;
    let mut seconds = fields.next()?.splitn(2, |byte| *byte == b'.');
    let whole = parse_int(seconds.next()?).ok()?;
    let mut micros = 0;
    if let Some(fraction) = seconds.next() {
        let zeros = 6_u32.checked_sub(u32::try_from(fraction.len()).ok()?)?;
        micros = parse_int(fraction).ok()? * 10_i64.pow(zeros);
    }
    let total = i128::from(hours) * 3_600_000_000
        + i128::from(minutes) * 60_000_000
        + i128::from(whole) * 1_000_000
        + i128::from(micros);
    i64::try_from(if negative { -total } else { total }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_keep_their_own_signs() {
        let parts = parse(b"-1 years -2 mons +3 days -04:05:06.789").unwrap();
        let expected = Parts {
            years: -1,
            months: -2,
            days: 3,
            time_us: -14_706_789_000,
        };
        assert_eq!(parts, expected);
        assert_eq!(parse(b"00:00:00").unwrap(), Parts::default());
        assert_eq!(parse(b"178000000 years").unwrap().years, 178_000_000);
    }

    #[test]
    fn micros_count_average_months_and_saturate() {
        let micros = |text: &[u8]| parse(text).unwrap().micros();
        assert_eq!(
            micros(b"1 year 2 mons 3 days 04:05:06.78"),
            14 * 2_629_800_000_000 + 3 * 86_400_000_000 + 14_706_780_000
        );
        assert_eq!(micros(b"-178000 years"), -5_617_252_800_000_000_000);
        assert_eq!(micros(b"-178000000 years"), i64::MIN);
        assert_eq!(micros(b"infinity"), i64::MAX);
        assert_eq!(micros(b"178000000 years 2562047788:00:54.775807"), i64::MAX);
    }

    #[test]
    fn iso_form_is_always_full() {
        let iso = |text: &[u8]| {
            let mut out = Vec::new();
            parse(text).unwrap().write_iso(&mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(iso(b"00:00:00"), "P0Y0M0DT0H0M0S");
        assert_eq!(
            iso(b"1 year 2 mons 3 days 04:05:06.78"),
            "P1Y2M3DT4H5M6.78S"
        );
        assert_eq!(iso(b"-00:00:00.5"), "P0Y0M0DT0H0M-0.5S");
        assert_eq!(iso(b"-00:00:01.5"), "P0Y0M0DT0H0M-1.5S");
    }

    #[test]
    fn what_is_no_interval_is_refused() {
        for text in ["", "1", "1 week", "1:2", "1 day 1:2:3.1234567"] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
