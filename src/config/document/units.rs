//! Durations and sizes with units, for keys that Kafka's naming gives a unit: `….ms` and `….bytes`.
//!
//! Turns `3d` into `259200000` and `20GiB` into `21474836480`, so that connectors see what they know. Text without a
//! unit passes through: whether it is a number is the key's own check.

/// What a key counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quantity {
    /// Milliseconds.
    Duration,
    /// Bytes.
    Size,
}

const DURATIONS: &[(&str, u64)] = &[
    ("ms", 1),
    ("s", 1_000),
    ("min", 60_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
    ("w", 604_800_000),
];

const SIZES: &[(&str, u64)] = &[
    ("b", 1),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
];

impl Quantity {
    /// What a key of this name counts, if it counts anything that has units.
    pub(crate) fn of_key(key: &str) -> Option<Self> {
        match key.rsplit(['.', '_']).next() {
            Some("ms") => Some(Self::Duration),
            Some("bytes") => Some(Self::Size),
            _ => None,
        }
    }

    /// Which units there are.
    pub(crate) fn remedy(self) -> &'static str {
        match self {
            Self::Duration => {
                "write a whole number of milliseconds, or a unit: 500ms, 30s, 5min, 2h, 3d, 1w"
            }
            Self::Size => "write a whole number of bytes, or a unit: 64KiB, 20MiB, 1GiB, 5GB",
        }
    }
}

/// The text as a plain number of milliseconds or bytes.
///
/// # Errors
/// The unit is unknown or the number too large, in words that follow the key's name.
pub(crate) fn plain(quantity: Quantity, text: &str) -> Result<String, String> {
    let trimmed = text.trim();
    let digits = trimmed
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(digits);
    if number.is_empty() || unit.is_empty() {
        return Ok(text.to_owned());
    }
    let table = match quantity {
        Quantity::Duration => DURATIONS,
        Quantity::Size => SIZES,
    };
    let unit = unit.trim_start().to_ascii_lowercase();
    let Some((_, factor)) = table.iter().find(|(name, _)| *name == unit) else {
        return Err(format!("has the unknown unit `{unit}`"));
    };
    let product = number
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(*factor))
        .filter(|product| i64::try_from(*product).is_ok());
    match product {
        Some(product) => Ok(product.to_string()),
        None => Err("is too large".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Quantity, plain};

    #[test]
    fn units_become_plain_numbers() {
        for (quantity, text, expected) in [
            (Quantity::Duration, "3d", "259200000"),
            (Quantity::Duration, "5 min", "300000"),
            (Quantity::Duration, "250", "250"),
            (Quantity::Duration, "-1", "-1"),
            (Quantity::Size, "20GiB", "21474836480"),
            (Quantity::Size, "5MB", "5000000"),
            (Quantity::Size, "soon", "soon"),
        ] {
            assert_eq!(plain(quantity, text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn unknown_units_and_overflow_are_refused() {
        assert!(plain(Quantity::Duration, "3fortnights").is_err());
        assert!(plain(Quantity::Size, "1.5GiB").is_err());
        assert!(plain(Quantity::Size, "99999999TiB").is_err());
        assert!(plain(Quantity::Duration, "99999999999999999999d").is_err());
    }

    #[test]
    fn only_names_that_say_so_count_time_or_space() {
        assert_eq!(
            Quantity::of_key("errors.retry.delay.max.ms"),
            Some(Quantity::Duration)
        );
        assert_eq!(
            Quantity::of_key("max.queue.size.in.bytes"),
            Some(Quantity::Size)
        );
        assert_eq!(Quantity::of_key("database.hostname"), None);
        assert_eq!(Quantity::of_key("terms"), None);
    }
}
