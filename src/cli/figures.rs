//! Figures as people read them: `1,235,402`, `31k`, `48 MiB`, `2h10m`.

/// A count with separators.
pub(super) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count in at most four characters: `950`, `3.1k`, `31k`, `1.2M`.
pub(super) fn compact(count: u64) -> String {
    scaled(count, 1000, &["", "k", "M", "G", "T", "P", "E"])
}

/// A size: `12 MiB`.
pub(super) fn bytes(count: u64) -> String {
    scaled(
        count,
        1024,
        &[" B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB"],
    )
}

/// One decimal below ten, none above; cut, never rounded up into the next unit.
fn scaled(count: u64, base: u64, units: &[&str]) -> String {
    let mut scale = 1_u64;
    let mut unit = 0;
    while unit + 1 < units.len() && count / scale >= base {
        scale = scale.saturating_mul(base);
        unit += 1;
    }
    let name = units.get(unit).copied().unwrap_or_default();
    let whole = count / scale;
    let tenth = (count % scale) / (scale / 10).max(1);
    if unit > 0 && whole < 10 && tenth > 0 {
        format!("{whole}.{}{name}", tenth.min(9))
    } else {
        format!("{whole}{name}")
    }
}

/// A time that has passed or is left, two units at most: `0.2s`, `14s`, `3m`, `2h10m`, `5d`.
pub(super) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "-".to_owned();
    }
    if seconds < 10.0 {
        let text = format!("{seconds:.1}");
        return format!("{}s", text.trim_end_matches(".0"));
    }
    // A `Duration` turns the float into whole seconds without a cast; what does not fit is longer than any worker runs.
    let whole = std::time::Duration::try_from_secs_f64(seconds)
        .unwrap_or_default()
        .as_secs();
    let (minutes, hours, days) = (whole / 60, whole / 3600, whole / 86_400);
    match whole {
        0..60 => format!("{whole}s"),
        60..3600 => format!("{minutes}m"),
        3600..86_400 if minutes % 60 > 0 => format!("{hours}h{:02}m", minutes % 60),
        3600..86_400 => format!("{hours}h"),
        _ => format!("{days}d"),
    }
}

#[cfg(test)]
mod tests {
    use super::{bytes, compact, duration, grouped};

    #[test]
    fn counts_are_grouped_and_shortened() {
        for (count, long, short) in [
            (0, "0", "0"),
            (999, "999", "999"),
            (1_000, "1,000", "1k"),
            (3_142, "3,142", "3.1k"),
            (31_415, "31,415", "31k"),
            (1_235_402, "1,235,402", "1.2M"),
            (u64::MAX, "18,446,744,073,709,551,615", "18E"),
        ] {
            assert_eq!(
                (grouped(count).as_str(), compact(count).as_str()),
                (long, short)
            );
        }
    }

    #[test]
    fn sizes_and_times_are_short() {
        assert_eq!(bytes(48 << 20), "48 MiB");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(7), "7 B");
        for (seconds, text) in [
            (0.0, "0s"),
            (0.24, "0.2s"),
            (14.4, "14s"),
            (185.0, "3m"),
            (7_800.0, "2h10m"),
            (7_200.0, "2h"),
            (440_000.0, "5d"),
            (f64::NAN, "-"),
            (-1.0, "-"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }
}
