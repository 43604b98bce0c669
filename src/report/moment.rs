//! Moments as people write and read them, in local time. It reads no clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

use crate::ecosystem::duration;

/// What `--since` may be, for messages.
pub const FORMS: &str =
    "write 10m, 2h30m, now, today, yesterday, 14:00, 2026-05-01 or \"2026-05-01 14:00\"";

/// The moment that a text means: so long ago, or a date and a time. `None` when it is none.
pub fn parse(text: &str, now: SystemTime) -> Option<SystemTime> {
    let text = text.trim();
    let text = text.strip_suffix(" ago").unwrap_or(text);
    let text = text.strip_prefix('-').unwrap_or(text);
    if let Some(seconds) = text.strip_prefix('@') {
        return UNIX_EPOCH.checked_add(Duration::from_secs(seconds.parse().ok()?));
    }
    // A bare number would be milliseconds, which nobody means here.
    if text.parse::<u64>().is_err()
        && let Some(ago) = duration(text)
    {
        return now.checked_sub(ago);
    }
    let zone = TimeZone::system();
    let local = timestamp(now)?.to_zoned_datetime(zone.clone());
    let today = local.date();
    let at: DateTime = match text {
        "now" => return Some(now),
        "today" => today.into(),
        "yesterday" => today.yesterday().ok()?.into(),
        _ => {
            if let Ok(moment) = text.parse::<Timestamp>() {
                return system(moment);
            }
            let time = text.parse::<Time>().ok().filter(|_| text.contains(':') && text.len() < 9);
            let date = || text.parse::<Date>().ok().map(DateTime::from);
            let both = || text.replacen(' ', "T", 1).parse::<DateTime>().ok();
            time.map(|time| today.to_datetime(time)).or_else(both).or_else(date)?
        }
    };
    system(at.to_zoned_datetime(zone).ok()?.timestamp())
}

fn system(moment: Timestamp) -> Option<SystemTime> {
    let micros = u64::try_from(moment.as_microsecond()).ok()?;
    UNIX_EPOCH.checked_add(Duration::from_micros(micros))
}

fn timestamp(moment: SystemTime) -> Option<Timestamp> {
    Timestamp::try_from(moment).ok()
}

/// A moment in local time, by a pattern of strftime(3) or of PM2 (`YYYY-MM-DD HH:mm:ss`).
pub fn text(usec: u64, pattern: &str) -> String {
    let Some(moment) =
        i64::try_from(usec).ok().and_then(|usec| Timestamp::from_microsecond(usec).ok())
    else {
        return String::new();
    };
    let local = moment.to_zoned_datetime(TimeZone::system());
    jiff::fmt::strtime::format(strftime(pattern), &local).unwrap_or_default()
}

/// As RFC 3339 has it, in UTC, for programs.
pub fn rfc3339(usec: u64) -> String {
    let moment = i64::try_from(usec).ok().and_then(|usec| Timestamp::from_microsecond(usec).ok());
    moment.map(|moment| format!("{moment:.6}")).unwrap_or_default()
}

/// Whether a pattern can be followed.
pub fn is_pattern(pattern: &str) -> bool {
    let moment = Timestamp::UNIX_EPOCH.to_zoned_datetime(TimeZone::UTC);
    jiff::fmt::strtime::format(strftime(pattern), &moment).is_ok()
}

/// Words of PM2's patterns, those of more letters first.
const WORDS: [(&str, &str); 14] = [
    ("YYYY", "%Y"),
    ("YY", "%y"),
    ("MMM", "%b"),
    ("MM", "%m"),
    ("DD", "%d"),
    ("ddd", "%a"),
    ("HH", "%H"),
    ("hh", "%I"),
    ("mm", "%M"),
    ("ss", "%S"),
    ("SSS", "%3f"),
    ("ZZ", "%z"),
    ("Z", "%:z"),
    ("A", "%p"),
];

/// A pattern of PM2 as one of strftime(3), which stays as it is.
fn strftime(pattern: &str) -> String {
    if pattern.contains('%') {
        return pattern.to_owned();
    }
    let mut out = String::new();
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        match WORDS.iter().find(|(word, _)| rest.starts_with(word)) {
            Some((word, format)) => {
                out.push_str(format);
                rest = &rest[word.len()..];
            }
            None => {
                out.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn moments_are_told_as_people_write_them() {
        let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let ago = |text: &str| {
            let found = parse(text, now)?;
            Some(now.duration_since(found).unwrap().as_secs())
        };
        assert_eq!(ago("10m"), Some(600));
        assert_eq!(ago("-1h30m"), Some(5400));
        assert_eq!(ago("2d ago"), Some(172_800));
        assert_eq!(ago("now"), Some(0));
        assert_eq!(ago("@1799999990"), Some(10));
        assert_eq!(ago("2027-01-15T07:59:00Z"), Some(60));
        assert!(ago("today").unwrap() <= 86_400 && ago("yesterday").unwrap() >= 86_400);
        for text in ["2026-05-01", "2026-05-01 14:00", "2026-05-01T14:00:30"] {
            assert!(parse(text, now).is_some(), "{text}");
        }
        assert!(parse("00:00", now).is_some());
        for text in ["", "10", "soon", "2026-13-01", "25:00"] {
            assert_eq!(parse(text, now), None, "{text}");
        }
    }

    #[test]
    fn patterns_of_pm2_and_of_strftime() {
        assert_eq!(strftime("YYYY-MM-DD HH:mm:ss.SSS Z"), "%Y-%m-%d %H:%M:%S.%3f %:z");
        assert_eq!(strftime("%H:%M"), "%H:%M");
        assert!(is_pattern("YYYY-MM-DDTHH:mm:ss") && is_pattern("%F %T") && !is_pattern("%Ö"));
        assert_eq!(text(0, "YYYY").len(), 4);
        assert_eq!(rfc3339(1_500_000), "1970-01-01T00:00:01.500000Z");
    }
}
