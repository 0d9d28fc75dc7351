//! The modes of the mapping options, as Debezium names them, with `exact` for our own class.

use tapline_sdk::{ConfigValue, Kind};

/// Declares a mode: its variants, their words and their documentation.
macro_rules! modes {
    ($(#[$docs:meta])* $name:ident { $($(#[$variant_docs:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$docs])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_docs])* $variant),+ }

        impl ConfigValue for $name {
            const KIND: Kind = Kind::Text;
            const VALUES: &'static [&'static str] = &[$($word),+];
            fn parse(text: &str) -> Result<Self, String> {
                match text.trim().to_ascii_lowercase().as_str() {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(format!("is not one of {}", Self::VALUES.join(", "))),
                }
            }
        }
    };
}

modes! {
    /// `decimal.handling.mode`.
    DecimalMode {
        /// The server's own text: scale, NaN and infinities kept.
        Exact = "exact",
        /// Connect's `Decimal`, or `VariableScaleDecimal` where the column has no scale.
        Precise = "precise",
        /// FLOAT64.
        Double = "double",
        /// Plain notation; `NAN`, `POSITIVE_INFINITY`, `NEGATIVE_INFINITY`.
        String = "string",
    }
}

modes! {
    /// `time.precision.mode`. Debezium's `structured` is not built.
    TimePrecision {
        /// Milliseconds for precisions up to 3, else microseconds.
        Adaptive = "adaptive",
        /// As adaptive, with time of day always in microseconds.
        AdaptiveTimeMicroseconds = "adaptive_time_microseconds",
        /// Connect's own types: milliseconds.
        Connect = "connect",
        /// ISO 8601 text.
        IsoString = "isostring",
        /// Always microseconds.
        Microseconds = "microseconds",
        /// Always nanoseconds.
        Nanoseconds = "nanoseconds",
    }
}

modes! {
    /// `binary.handling.mode`.
    BinaryMode {
        /// BYTES.
        Bytes = "bytes",
        /// Base64 text.
        Base64 = "base64",
        /// Base64 text with `-` and `_`.
        Base64UrlSafe = "base64-url-safe",
        /// Hexadecimal text.
        Hex = "hex",
    }
}

modes! {
    /// `hstore.handling.mode`.
    HstoreMode {
        /// The server's own text.
        Exact = "exact",
        /// A JSON object as text.
        Json = "json",
        /// A map of optional texts.
        Map = "map",
    }
}

modes! {
    /// `interval.handling.mode`.
    IntervalMode {
        /// The server's own text.
        Exact = "exact",
        /// Microseconds, a month being 365.25/12 days.
        Numeric = "numeric",
        /// `P1Y2M3DT4H5M6.78S`.
        String = "string",
    }
}

modes! {
    /// `schema.name.adjustment.mode` and `field.name.adjustment.mode`.
    NameAdjustment {
        /// Names stay.
        None = "none",
        /// What Avro forbids becomes `_`.
        Avro = "avro",
        /// What Avro forbids becomes `_uXXXX`, and `_` itself is escaped.
        AvroUnicode = "avro_unicode",
    }
}

/// `skipped.operations`: which operations yield no record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SkippedOperations {
    /// `c`.
    pub create: bool,
    /// `u`.
    pub update: bool,
    /// `d`.
    pub delete: bool,
    /// `t`.
    pub truncate: bool,
}

impl ConfigValue for SkippedOperations {
    const KIND: Kind = Kind::List;
    fn parse(text: &str) -> Result<Self, String> {
        let mut skipped = Self::default();
        let words: Vec<&str> = text.split(',').map(str::trim).collect();
        for word in words.iter().filter(|word| !word.is_empty()) {
            match *word {
                "c" | "i" => skipped.create = true,
                "u" => skipped.update = true,
                "d" => skipped.delete = true,
                "t" => skipped.truncate = true,
                "none" if words.len() == 1 => {}
                "none" => return Err("cannot mix none with operations".to_owned()),
                _ => return Err(format!("has \"{word}\", which is none of c, u, d, t, none")),
            }
        }
        Ok(skipped)
    }
}
