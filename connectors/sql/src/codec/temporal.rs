//! Dates and times as Postgres prints them: proleptic Gregorian, BC years, infinities, 24:00.

use tapline_sdk::RecordError;

/// The unit of an integer time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Milliseconds.
    Milli,
    /// Microseconds.
    Micro,
    /// Nanoseconds; Postgres keeps microseconds.
    Nano,
}

/// From 1970-01-01 to 2000-01-01.
const DAYS_TO_2000: i64 = 10_957;

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// What stands for the infinities in microseconds: Postgres' largest and smallest seconds in pgjdbc's reckoning.
const INFINITY_MICROS: i64 = 9_223_372_036_825_200_000;
const NEGATIVE_INFINITY_MICROS: i64 = -9_223_372_036_832_400_000;

/// The same for days: the 32-bit extremes counted from 2000, moved to 1970 with a wrap.
const INFINITY_DAYS: i64 = -2_147_472_692;
const NEGATIVE_INFINITY_DAYS: i64 = -2_147_472_691;

/// Postgres ends at 5874897-12-31 for dates; anything far beyond is damage, not a date.
const DAYS_MAX: i64 = 3_000_000_000;

/// A date from days since 1970.
pub fn date(days: i64, out: &mut Vec<u8>) -> Result<(), RecordError> {
    let word: &[u8] = match days {
        INFINITY_DAYS => b"infinity",
        NEGATIVE_INFINITY_DAYS => b"-infinity",
        _ if days.abs() > DAYS_MAX => return Err(RecordError::new("date is out of range")),
        _ => {
            if civil(days, out) {
                out.extend_from_slice(b" BC");
            }
            return Ok(());
        }
    };
    out.extend_from_slice(word);
    Ok(())
}

/// A time of day; 24:00:00 is one.
pub fn time(value: i64, unit: Unit, out: &mut Vec<u8>) -> Result<(), RecordError> {
    let micros = match unit {
        Unit::Milli => value.saturating_mul(1000),
        Unit::Micro => value,
        Unit::Nano => value.div_euclid(1000),
    };
    if !(0..=MICROS_PER_DAY).contains(&micros) {
        return Err(RecordError::new("time of day is out of range"));
    }
    clock(micros, out);
    Ok(())
}

/// A timestamp from the time since 1970.
pub fn timestamp(value: i64, unit: Unit, out: &mut Vec<u8>) -> Result<(), RecordError> {
    let infinite = match unit {
        Unit::Milli => [INFINITY_MICROS / 1000, NEGATIVE_INFINITY_MICROS / 1000],
        Unit::Micro => [INFINITY_MICROS, NEGATIVE_INFINITY_MICROS],
        Unit::Nano => [i64::MAX, i64::MIN],
    };
    if let Some(at) = infinite.iter().position(|&sentinel| sentinel == value) {
        out.extend_from_slice(if at == 0 { b"infinity" } else { b"-infinity" });
        return Ok(());
    }
    let micros = match unit {
        Unit::Milli => value
            .checked_mul(1000)
            .ok_or_else(|| RecordError::new("timestamp is out of range"))?,
        Unit::Micro => value,
        Unit::Nano => value.div_euclid(1000),
    };
    // Postgres counts from 2000 and reaches year 294276; counted from 1970 the last thirty years wrap around.
    let since_2000 = micros.wrapping_sub(DAYS_TO_2000 * MICROS_PER_DAY);
    let bc = civil(since_2000.div_euclid(MICROS_PER_DAY) + DAYS_TO_2000, out);
    out.push(b' ');
    clock(since_2000.rem_euclid(MICROS_PER_DAY), out);
    if bc {
        out.extend_from_slice(b" BC");
    }
    Ok(())
}

/// ISO 8601 text: signed and long years become what Postgres reads.
pub fn iso(text: &[u8], out: &mut Vec<u8>) -> Result<(), RecordError> {
    if text.starts_with(b"-infinity") {
        return super::text(text, out);
    }
    match text.split_first() {
        Some((b'+', rest)) => super::text(rest, out),
        Some((b'-', rest)) => {
            let end = rest
                .iter()
                .position(|&byte| byte == b'-')
                .ok_or_else(|| RecordError::new("timestamp has no month"))?;
            let (year, rest) = rest.split_at(end);
            let year: i64 = std::str::from_utf8(year)
                .ok()
                .and_then(|year| year.parse().ok())
                .ok_or_else(|| RecordError::new("timestamp has no year"))?;
            // Year 0 of ISO 8601 is 1 BC.
            padded(year + 1, 4, out);
            super::text(rest, out)?;
            out.extend_from_slice(b" BC");
            Ok(())
        }
        _ if text.starts_with(b"0000-") => {
            out.extend_from_slice(b"0001");
            super::text(text.get(4..).unwrap_or_default(), out)?;
            out.extend_from_slice(b" BC");
            Ok(())
        }
        _ => super::text(text, out),
    }
}

/// Writes `YYYY-MM-DD` and says whether the year is BC (Hinnant's algorithm over eras of 400 years).
fn civil(days: i64, out: &mut Vec<u8>) -> bool {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let bc = year <= 0;
    padded(if bc { 1 - year } else { year }, 4, out);
    out.push(b'-');
    padded(month, 2, out);
    out.push(b'-');
    padded(day, 2, out);
    bc
}

/// Writes `HH:MM:SS`, and the microseconds if there are any.
fn clock(micros: i64, out: &mut Vec<u8>) {
    let seconds = micros / 1_000_000;
    padded(seconds / 3600, 2, out);
    out.push(b':');
    padded(seconds / 60 % 60, 2, out);
    out.push(b':');
    padded(seconds % 60, 2, out);
    let fraction = micros % 1_000_000;
    if fraction != 0 {
        out.push(b'.');
        padded(fraction, 6, out);
    }
}

fn padded(value: i64, width: usize, out: &mut Vec<u8>) {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(value).as_bytes();
    for _ in digits.len()..width {
        out.push(b'0');
    }
    out.extend_from_slice(digits);
}
