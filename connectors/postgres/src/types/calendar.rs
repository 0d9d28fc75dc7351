//! Calendar arithmetic and digits: civil dates, times of day. Knows no Postgres type.

/// A date in the proleptic Gregorian calendar; year 0 is 1 BC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Civil {
    pub(super) year: i64,
    pub(super) month: u8,
    pub(super) day: u8,
}

/// Days from 0000-03-01 to 2000-01-01.
const EPOCH: i64 = 730_425;
/// Days in 400 years.
const ERA: i64 = 146_097;

impl Civil {
    /// The date this many days after 2000-01-01. Years begin in March, so that the leap day is a year's last.
    pub(super) fn from_days(days: i64) -> Self {
        let days = days + EPOCH;
        let era = days.div_euclid(ERA);
        let of_era = days.rem_euclid(ERA);
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * march_month + 2) / 5 + 1;
        let month = if march_month < 10 {
            march_month + 3
        } else {
            march_month - 9
        };
        Self {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month: month as u8,
            day: day as u8,
        }
    }

    /// Days since 2000-01-01.
    pub(super) fn to_days(self) -> i64 {
        let (month, day) = (i64::from(self.month), i64::from(self.day));
        let year = self.year - i64::from(month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let march_month = if month > 2 { month - 3 } else { month + 9 };
        let of_year = (153 * march_month + 2) / 5 + day - 1;
        let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
        era * ERA + of_era - EPOCH
    }

    /// A date at the start of `text`, with what follows it.
    pub(super) fn parse(text: &[u8], before_christ: bool) -> Option<(Self, &[u8])> {
        let len = memchr::memchr(b'-', text).filter(|len| (4..=7).contains(len))?;
        let (year, rest) = text.split_at_checked(len)?;
        let mut number = 0_i64;
        for digit in year {
            number = number * 10 + i64::from(one_digit(*digit)?);
        }
        let [b'-', m1, m2, b'-', d1, d2, rest @ ..] = rest else {
            return None;
        };
        let civil = Self {
            year: if before_christ { 1 - number } else { number },
            month: two_digits(*m1, *m2).filter(|month| (1..=12).contains(month))?,
            day: two_digits(*d1, *d2).filter(|day| (1..=31).contains(day))?,
        };
        Some((civil, rest))
    }

    /// `2016-11-04`; ISO 8601 for other years: `-0043-…`, `+10000-…`.
    pub(super) fn write(self, out: &mut Vec<u8>) {
        if self.year < 0 {
            out.push(b'-');
        } else if self.year > 9999 {
            out.push(b'+');
        }
        let year = self.year.unsigned_abs();
        if year > 9999 {
            out.extend_from_slice(itoa::Buffer::new().format(year).as_bytes());
        } else {
            push_two(out, (year / 100) as u8);
            push_two(out, (year % 100) as u8);
        }
        out.push(b'-');
        push_two(out, self.month);
        out.push(b'-');
        push_two(out, self.day);
    }
}

/// `04:05:06[.789]`: microseconds, with what follows.
pub(super) fn parse_time(text: &[u8]) -> Option<(i64, &[u8])> {
    let [h1, h2, b':', m1, m2, b':', s1, s2, rest @ ..] = text else {
        return None;
    };
    let (hours, minutes) = (two_digits(*h1, *h2)?, two_digits(*m1, *m2)?);
    let seconds = two_digits(*s1, *s2)?;
    let seconds = i64::from(hours) * 3600 + i64::from(minutes) * 60 + i64::from(seconds);
    let mut micros = seconds * 1_000_000;
    let Some(mut rest) = rest.strip_prefix(b".") else {
        return Some((micros, rest));
    };
    let mut unit = 100_000;
    while let Some((digit, after)) = rest.split_first()
        && let Some(digit) = one_digit(*digit)
    {
        micros += i64::from(digit) * unit;
        unit /= 10;
        rest = after;
    }
    Some((micros, rest))
}

/// `04:05:06` of microseconds since midnight.
pub(super) fn write_time(out: &mut Vec<u8>, micros: i64) {
    let seconds = micros / 1_000_000;
    push_two(out, (seconds / 3600) as u8);
    out.push(b':');
    push_two(out, (seconds / 60 % 60) as u8);
    out.push(b':');
    push_two(out, (seconds % 60) as u8);
}

/// `.789`: the fraction of a second without zeros at its end; nothing for a whole second.
pub(super) fn write_fraction(out: &mut Vec<u8>, micros: i64) {
    let mut fraction = micros % 1_000_000;
    if fraction == 0 {
        return;
    }
    let mut digits = 6;
    while fraction % 10 == 0 {
        fraction /= 10;
        digits -= 1;
    }
    write_digits(out, micros, digits);
}

/// `.789000`: this many digits of the fraction of a second.
pub(super) fn write_digits(out: &mut Vec<u8>, micros: i64, digits: u8) {
    out.push(b'.');
    let mut fraction = micros % 1_000_000;
    let mut unit = 100_000;
    for _ in 0..digits {
        out.push(b'0' + (fraction / unit) as u8);
        fraction %= unit;
        unit = (unit / 10).max(1);
    }
}

#[inline]
fn one_digit(digit: u8) -> Option<u8> {
    let value = digit.wrapping_sub(b'0');
    (value <= 9).then_some(value)
}

#[inline]
pub(super) fn two_digits(tens: u8, ones: u8) -> Option<u8> {
    Some(one_digit(tens)? * 10 + one_digit(ones)?)
}

#[inline]
fn push_two(out: &mut Vec<u8>, number: u8) {
    out.extend_from_slice(&[b'0' + number / 10, b'0' + number % 10]);
}
