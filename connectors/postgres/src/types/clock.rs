//! Dates, times and timestamps: Postgres' text and binary forms to Debezium's semantic types.
//!
//! Both forms become Postgres' own number first (days or microseconds since 2000-01-01, the extremes being the
//! infinities), so they cannot disagree. Years are proleptic Gregorian, BC included.
//!
//! Adding the 30 years to 1970 wraps, on purpose: for timestamps of the years 294247 to 294276 (Postgres' last 30) the
//! result is a number below every date that Postgres knows, so a reader that subtracts with wrapping has the value.

use super::{
    calendar::{self, Civil},
    number::{malformed, wrong_length},
    value::{Fault, Raw, Sink},
};
use tapline_sdk::{Cell, RecordError};

/// Days from 1970-01-01 to 2000-01-01.
const EPOCH_DAYS: i32 = 10_957;
/// The same in microseconds.
const EPOCH_US: i64 = EPOCH_DAYS as i64 * DAY_US;
pub(super) const DAY_US: i64 = 86_400_000_000;
/// Postgres' infinity in microseconds since 2000.
const INFINITY: i64 = i64::MAX;
const NEGATIVE_INFINITY: i64 = i64::MIN;
/// What Debezium writes for infinite timestamps, in microseconds since 1970: the JDBC driver's milliseconds × 1000.
pub(crate) const INFINITY_US: i64 = 9_223_372_036_825_200_000;
pub(crate) const NEGATIVE_INFINITY_US: i64 = -9_223_372_036_832_400_000;

/// The same in milliseconds.
const INFINITY_MS: i64 = INFINITY_US / 1000;
const NEGATIVE_INFINITY_MS: i64 = NEGATIVE_INFINITY_US / 1000;

/// What becomes of a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DateForm {
    /// Days since 1970.
    Days,
    /// `2017-09-15Z`.
    Iso,
}

/// What becomes of a time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimeForm {
    Millis,
    Micros,
    Nanos,
    /// `04:05:11.789Z`.
    Iso,
}

/// What becomes of a timestamp without time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TimestampForm {
    Millis,
    Micros,
    Nanos,
    /// `2017-09-15T04:05:11.789Z`.
    Iso,
}

impl DateForm {
    pub(super) fn cell(self, sink: &mut Sink<'_>, days: i32) -> Result<Cell, Fault> {
        match (self, days) {
            (Self::Days, _) => Ok(Cell::Int(i64::from(days.wrapping_add(EPOCH_DAYS)))),
            (Self::Iso, i32::MAX) => Ok(sink.arena.text("infinity")),
            (Self::Iso, i32::MIN) => Ok(sink.arena.text("-infinity")),
            (Self::Iso, _) => sink.arena.text_with(|out| {
                Civil::from_days(i64::from(days)).write(out);
                out.push(b'Z');
                Ok(())
            }),
        }
    }
}

impl TimeForm {
    pub(super) fn cell(self, sink: &mut Sink<'_>, time: i64) -> Result<Cell, Fault> {
        Ok(match self {
            Self::Millis => Cell::Int(time / 1000),
            Self::Micros => Cell::Int(time),
            Self::Nanos => Cell::Int(time * 1000),
            Self::Iso => {
                return sink.arena.text_with(|out| {
                    calendar::write_time(out, time);
                    calendar::write_fraction(out, time);
                    out.push(b'Z');
                    Ok(())
                });
            }
        })
    }
}

impl TimestampForm {
    #[inline]
    pub(super) fn cell(self, sink: &mut Sink<'_>, at: i64) -> Result<Cell, Fault> {
        match (self, at) {
            (Self::Iso, _) => iso_timestamp(sink, at),
            (Self::Nanos, INFINITY) => Ok(Cell::Int(i64::MAX)),
            (Self::Nanos, NEGATIVE_INFINITY) => Ok(Cell::Int(i64::MIN)),
            (Self::Nanos, _) => at
                .checked_add(EPOCH_US)
                .and_then(|us| us.checked_mul(1000))
                .map(Cell::Int)
                .ok_or(Fault::Unrepresentable(
                    "timestamp is outside of the years 1677 to 2262",
                )),
            (Self::Micros, INFINITY) => Ok(Cell::Int(INFINITY_US)),
            (Self::Micros, NEGATIVE_INFINITY) => Ok(Cell::Int(NEGATIVE_INFINITY_US)),
            (Self::Millis, INFINITY) => Ok(Cell::Int(INFINITY_MS)),
            (Self::Millis, NEGATIVE_INFINITY) => Ok(Cell::Int(NEGATIVE_INFINITY_MS)),
            // Milliseconds never overflow, but only if they are divided first: the epoch is a whole number of them.
            (Self::Millis, _) => match at.div_euclid(1000) + EPOCH_US / 1000 {
                INFINITY_MS | NEGATIVE_INFINITY_MS => Err(means_infinity()),
                ms => Ok(Cell::Int(ms)),
            },
            (Self::Micros, _) => match at.wrapping_add(EPOCH_US) {
                INFINITY_US | NEGATIVE_INFINITY_US => Err(means_infinity()),
                us => Ok(Cell::Int(us)),
            },
        }
    }
}

#[cold]
fn means_infinity() -> Fault {
    RecordError::new("timestamp is one of the two in year 294247 that stand for infinity").into()
}

fn iso_timestamp(sink: &mut Sink<'_>, at: i64) -> Result<Cell, Fault> {
    match at {
        INFINITY => return Ok(sink.arena.text("infinity")),
        NEGATIVE_INFINITY => return Ok(sink.arena.text("-infinity")),
        _ => {}
    }
    sink.arena.text_with(|out| {
        let time = at.rem_euclid(DAY_US);
        Civil::from_days(at.div_euclid(DAY_US)).write(out);
        out.push(b'T');
        calendar::write_time(out, time);
        calendar::write_fraction(out, time);
        out.push(b'Z');
        Ok(())
    })
}

/// Days since 2000.
pub(super) fn date(raw: Raw<'_>) -> Result<i32, Fault> {
    let text = match raw {
        Raw::Binary(bytes) => {
            let value = bytes.try_into().map_err(|_| wrong_length())?;
            return Ok(i32::from_be_bytes(value));
        }
        Raw::Text(b"infinity") => return Ok(i32::MAX),
        Raw::Text(b"-infinity") => return Ok(i32::MIN),
        Raw::Text(text) => text,
    };
    let (text, before_christ) = era(text);
    let (civil, rest) = Civil::parse(text, before_christ).ok_or_else(|| malformed("date"))?;
    let days = i32::try_from(civil.to_days());
    match (rest, days) {
        ([], Ok(days)) => Ok(days),
        _ => Err(malformed("date")),
    }
}

/// Microseconds since midnight, 24:00 included.
pub(super) fn time(raw: Raw<'_>) -> Result<i64, Fault> {
    match raw {
        Raw::Binary(bytes) => micros(bytes),
        Raw::Text(text) => match calendar::parse_time(text) {
            Some((time, [])) => Ok(time),
            _ => Err(malformed("time")),
        },
    }
}

/// Microseconds since 2000, in the zone that the value has none of.
#[inline]
pub(super) fn timestamp(raw: Raw<'_>) -> Result<i64, Fault> {
    match raw {
        Raw::Binary(bytes) => micros(bytes),
        Raw::Text(text) => parse_timestamp(text, b""),
    }
}

fn micros(bytes: &[u8]) -> Result<i64, Fault> {
    let value = bytes.try_into().map_err(|_| wrong_length())?;
    Ok(i64::from_be_bytes(value))
}

fn parse_timestamp(text: &[u8], zone: &[u8]) -> Result<i64, Fault> {
    match text {
        b"infinity" => return Ok(INFINITY),
        b"-infinity" => return Ok(NEGATIVE_INFINITY),
        _ => {}
    }
    let parsed = || {
        let (text, before_christ) = era(text);
        let (civil, rest) = Civil::parse(text, before_christ)?;
        let (time, rest) = calendar::parse_time(rest.strip_prefix(b" ")?)?;
        let at = civil.to_days().checked_mul(DAY_US)?.checked_add(time)?;
        (rest == zone).then_some(at)
    };
    parsed().ok_or_else(|| malformed("timestamp"))
}

fn era(text: &[u8]) -> (&[u8], bool) {
    match text.strip_suffix(b" BC") {
        Some(text) => (text, true),
        None => (text, false),
    }
}

/// `ZonedTimestamp`: UTC, the fraction padded to the column's digits.
pub(super) fn zoned(sink: &mut Sink<'_>, raw: Raw<'_>, digits: u8) -> Result<Cell, Fault> {
    let at = match raw {
        Raw::Text(text) => match quick_zoned(text) {
            Some((date, time, fraction)) => {
                return sink.arena.text_with(|out| {
                    out.extend_from_slice(date);
                    out.push(b'T');
                    out.extend_from_slice(time);
                    write_padded(out, fraction, digits);
                    out.push(b'Z');
                    Ok(())
                });
            }
            // The session's zone is UTC: Postgres prints no other offset.
            None => parse_timestamp(text, b"+00")?,
        },
        Raw::Binary(bytes) => micros(bytes)?,
    };
    match at {
        INFINITY => return Ok(sink.arena.text("infinity")),
        NEGATIVE_INFINITY => return Ok(sink.arena.text("-infinity")),
        _ => {}
    }
    sink.arena.text_with(|out| {
        let time = at.rem_euclid(DAY_US);
        Civil::from_days(at.div_euclid(DAY_US)).write(out);
        out.push(b'T');
        calendar::write_time(out, time);
        if digits > 0 {
            calendar::write_digits(out, time, digits);
        }
        out.push(b'Z');
        Ok(())
    })
}

/// The parts of `2016-11-04 13:51:30.123+00`, the form that all but a few timestamps have.
fn quick_zoned(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let text = text.strip_suffix(b"+00")?;
    let (date, rest) = text.split_at_checked(10)?;
    let (time, fraction) = rest.strip_prefix(b" ")?.split_at_checked(8)?;
    let whole = date.first()?.is_ascii_digit() && *date.get(4)? == b'-' && *time.get(2)? == b':';
    let (b'.', digits) = fraction
        .split_first()
        .map_or((b'.', fraction), |(d, f)| (*d, f))
    else {
        return None;
    };
    whole.then_some((date, time, digits))
}

fn write_padded(out: &mut Vec<u8>, fraction: &[u8], digits: u8) {
    if digits > 0 {
        out.push(b'.');
        out.extend_from_slice(fraction);
        let missing = usize::from(digits).saturating_sub(fraction.len());
        out.extend(std::iter::repeat_n(b'0', missing));
    }
}

/// `ZonedTime`: UTC, the fraction as long as it must be. 24:00 and what is past midnight in UTC wrap, as in Debezium.
pub(super) fn timetz(sink: &mut Sink<'_>, raw: Raw<'_>) -> Result<Cell, Fault> {
    let (time, east_seconds) = match raw {
        Raw::Text(text) => calendar::parse_time(text)
            .and_then(|(time, zone)| Some((time, parse_offset(zone)?)))
            .ok_or_else(|| malformed("time with time zone"))?,
        Raw::Binary(bytes) => {
            let (time, west) = bytes.split_at_checked(8).ok_or_else(wrong_length)?;
            let west = west.try_into().map_err(|_| wrong_length())?;
            (micros(time)?, -i64::from(i32::from_be_bytes(west)))
        }
    };
    let utc = (time - east_seconds * 1_000_000).rem_euclid(DAY_US);
    TimeForm::Iso.cell(sink, utc)
}

/// `+02`, `-03:30`, `+01:02:03`: seconds east of UTC.
fn parse_offset(text: &[u8]) -> Option<i64> {
    let (sign, digits) = text.split_first()?;
    let mut seconds = 0;
    for (part, unit) in digits.split(|byte| *byte == b':').zip([3600, 60, 1]) {
        let [tens, ones] = part else { return None };
        seconds += i64::from(calendar::two_digits(*tens, *ones)?) * unit;
    }
    match sign {
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}
