//! `cron_restart`: from PM2's cron expressions, as its library croner reads them, to the calendar
//! events of systemd.time(7). Values in, values out.

use std::collections::BTreeSet;

use toml::de::DeValue;

use crate::ecosystem::model::app::Schedule;
use crate::ecosystem::read::fields::Fields;
use crate::ecosystem::read::node::{Node, Reading};
use crate::ecosystem::read::problem::{Problem, visible};

const EXAMPLE: &str =
    "write `minute hour day month weekday`, such as \"0 3 * * *\" for 3 o'clock every night";

/// Reads the key; nothing, where it is switched off as PM2 has it: 0, `false` or an empty string.
pub(super) fn schedules(cx: &mut Reading<'_>, fields: &Fields<'_>) -> Vec<Schedule> {
    let Some(node) = fields.get("cron_restart") else { return Vec::new() };
    let off = match node.value {
        DeValue::Boolean(on) => !on,
        DeValue::Integer(number) => number.as_str() == "0",
        DeValue::String(text) => text.is_empty() || text == "0",
        _ => false,
    };
    if off {
        return Vec::new();
    }
    let nodes = match node.value.as_array() {
        Some(items) => {
            let items = items.iter().enumerate();
            items.map(|(nr, item)| node.child(item, &format!("[{nr}]"))).collect()
        }
        None => vec![node],
    };
    nodes.iter().filter_map(|node| schedule(cx, node)).collect()
}

fn schedule(cx: &mut Reading<'_>, node: &Node<'_>) -> Option<Schedule> {
    let cron = node.text(cx)?;
    match calendars(&cron) {
        Ok(calendars) => Some(Schedule { cron, calendars }),
        Err(Bad { why, help }) => cx.note(Problem::error(&node.place, why).help(help)),
    }
}

/// Why a text is no schedule, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Bad {
    why: String,
    help: String,
}

fn bad<T>(why: impl Into<String>, help: impl Into<String>) -> Result<T, Bad> {
    Err(Bad { why: why.into(), help: help.into() })
}

/// A field of an expression: its name, its limits and the names of its values.
#[derive(Clone, Copy, Debug)]
struct CronField {
    name: &'static str,
    least: u8,
    most: u8,
    names: &'static [&'static str],
}

const fn part(name: &'static str, least: u8, most: u8) -> CronField {
    CronField { name, least, most, names: &[] }
}

const SECOND: CronField = part("second", 0, 59);
const MINUTE: CronField = part("minute", 0, 59);
const HOUR: CronField = part("hour", 0, 23);
const DAY: CronField = part("day of the month", 1, 31);
const MONTH: CronField = CronField { names: &MONTHS, ..part("month", 1, 12) };
/// 7 is Sunday as well.
const WEEKDAY: CronField = CronField { names: &WEEKDAYS, ..part("weekday", 0, 7) };
const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// croner's short names of expressions.
const MACROS: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// The calendar events that an expression means. They are two where days of the month and weekdays
/// are both limited: cron takes either, while one calendar event takes days that are both.
fn calendars(cron: &str) -> Result<Vec<String>, Bad> {
    let cron = cron.trim();
    let Some(cron) = expanded(cron)? else {
        return bad(
            format!("`{}` is not a schedule", visible(cron)),
            "write @yearly, @monthly, @weekly, @daily or @hourly, or five fields",
        );
    };
    let words: Vec<&str> = cron.split_whitespace().collect();
    let (second, rest) = match words.len() {
        5 => ("0", &words[..]),
        6 => (words[0], &words[1..]),
        count => {
            return bad(
                format!("a schedule has five fields, or six with seconds, not {count}"),
                EXAMPLE,
            );
        }
    };
    let second = values(SECOND, second)?;
    let (minute, hour) = (values(MINUTE, rest[0])?, values(HOUR, rest[1])?);
    let (day, month) = (values(DAY, rest[2])?, values(MONTH, rest[3])?);
    let weekday: BTreeSet<u8> = values(WEEKDAY, rest[4])?.iter().map(|day| day % 7).collect();
    let (any_day, any_weekday) = (rest[2] == "*", rest[4] == "*");
    if any_weekday && !comes(&day, &month) {
        let why = format!("no such date: the months of `{cron}` have no such day");
        return bad(why, "choose a day that one of the months has, or 28 to 31 with `*` as month");
    }
    let time = [(&hour, HOUR), (&minute, MINUTE), (&second, SECOND)];
    let time = time.map(|(set, part)| shown(set, part)).join(":");
    let date = |day: &BTreeSet<u8>| format!("*-{}-{}", shown(&month, MONTH), shown(day, DAY));
    let every_day: BTreeSet<u8> = (DAY.least..=DAY.most).collect();
    let of_weekdays = || format!("{} {} {time}", weekdays(&weekday), date(&every_day));
    Ok(match (any_day, any_weekday) {
        (_, true) => vec![format!("{} {time}", date(&day))],
        (true, false) => vec![of_weekdays()],
        (false, false) => vec![format!("{} {time}", date(&day)), of_weekdays()],
    })
}

/// What a short name stands for; `None` for a name that is none.
fn expanded(cron: &str) -> Result<Option<&str>, Bad> {
    if !cron.starts_with('@') {
        return Ok(Some(cron));
    }
    if cron.eq_ignore_ascii_case("@reboot") {
        return bad(
            "@reboot is not a time",
            "remove it: an app starts at boot by itself (`autostart`)",
        );
    }
    let named = MACROS.iter().find(|(name, _)| cron.eq_ignore_ascii_case(name));
    Ok(named.map(|(_, expression)| *expression))
}

/// The longest month of each name: a leap year's.
fn comes(days: &BTreeSet<u8>, months: &BTreeSet<u8>) -> bool {
    let length = |month: &u8| match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let first = days.first().copied().unwrap_or(DAY.least);
    months.iter().any(|month| first <= length(month))
}

/// The values that a field of an expression allows.
fn values(part: CronField, text: &str) -> Result<BTreeSet<u8>, Bad> {
    let mut all = BTreeSet::new();
    for one in text.split(',') {
        all.extend(range(part, one)?);
    }
    Ok(all)
}

/// `*`, `5`, `1-5`, each with a step behind it, as `*/15`.
fn range(part: CronField, text: &str) -> Result<Vec<u8>, Bad> {
    let (range, step) = match text.split_once('/') {
        Some((range, step)) => (range, Some(step)),
        None => (text, None),
    };
    let (first, last) = match range.split_once('-') {
        _ if range == "*" => {
            (part.least, part.most.min(if part.names.len() == 7 { 6 } else { part.most }))
        }
        Some((first, last)) => (value(part, first)?, value(part, last)?),
        None => {
            let first = value(part, range)?;
            (first, if step.is_some() { part.most } else { first })
        }
    };
    if first > last {
        let why = format!("`{}` ends before it begins", visible(range));
        return bad(
            why,
            format!(
                "write two ranges with a comma between them, such as \"{}\"",
                wrapped(part, first, last)
            ),
        );
    }
    let step = match step.map(|step| (step, step.parse::<u8>())) {
        None => 1,
        Some((_, Ok(step))) if step > 0 && step <= part.most => step,
        Some((step, _)) => {
            let why = format!("`/{}` is not a step of the {}", visible(step), part.name);
            return bad(why, format!("write a number from 1 to {} behind `/`", part.most));
        }
    };
    Ok((first..=last).step_by(usize::from(step)).collect())
}

/// What a range over the end of a field means.
fn wrapped(part: CronField, first: u8, last: u8) -> String {
    format!(
        "{first}-{},{}-{last}",
        part.most.min(if part.names.len() == 7 { 6 } else { part.most }),
        part.least
    )
}

fn value(part: CronField, text: &str) -> Result<u8, Bad> {
    let named = part.names.iter().position(|name| text.eq_ignore_ascii_case(name));
    if let Some(place) = named.and_then(|place| u8::try_from(place).ok()) {
        return Ok(place + part.least);
    }
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<u8>() {
        Ok(number) if digits && (part.least..=part.most).contains(&number) => Ok(number),
        _ => not_a_value(part, text, digits),
    }
}

fn not_a_value(part: CronField, text: &str, digits: bool) -> Result<u8, Bad> {
    if let Some((sign, why)) = FOREIGN.iter().find(|(sign, _)| !digits && text.contains(*sign)) {
        let why = format!("`{sign}` in `{}` cannot be a schedule of systemd: {why}", visible(text));
        return bad(why, "write numbers, names, `*`, `-`, `,` and `/`");
    }
    let names = match part.names {
        [first, .., last] => format!(", or {first} to {last}"),
        _ => String::new(),
    };
    let why = format!("`{}` is no {}", visible(text), part.name);
    bad(why, format!("write {} to {}{names}; {EXAMPLE}", part.least, part.most))
}

/// Signs that croner knows, and why they are refused.
const FOREIGN: [(char, &str); 4] = [
    ('#', "it has no nth weekday of a month"),
    ('?', "it has no time that is the one of its start"),
    ('L', "it has no last weekday of a month, and counts days from its end otherwise"),
    ('W', "it has no nearest working day"),
];

/// As systemd writes sets: `*`, `03`, `00,15,30,45`, `09..17`.
fn shown(set: &BTreeSet<u8>, part: CronField) -> String {
    if set.len() == usize::from(part.most - part.least) + 1 {
        return "*".to_owned();
    }
    runs(set.iter().copied(), |value| format!("{value:02}"))
}

/// As systemd writes weekdays, the week of which begins on a Monday.
fn weekdays(set: &BTreeSet<u8>) -> String {
    let from_monday: BTreeSet<u8> = set.iter().map(|day| (day + 6) % 7).collect();
    runs(from_monday.into_iter(), |day| {
        let name = WEEKDAYS[usize::from((day + 1) % 7)];
        let (first, rest) = name.split_at(1);
        format!("{first}{}", rest.to_ascii_lowercase())
    })
}

/// Three and more in a row are a range.
fn runs(values: impl Iterator<Item = u8>, name: impl Fn(u8) -> String) -> String {
    let mut runs: Vec<(u8, u8)> = Vec::new();
    for value in values {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == value => *last = value,
            _ => runs.push((value, value)),
        }
    }
    let texts = runs.into_iter().map(|(first, last)| match last - first {
        0 => name(first),
        1 => format!("{},{}", name(first), name(last)),
        _ => format!("{}..{}", name(first), name(last)),
    });
    texts.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    const TABLE: [(&str, &[&str]); 20] = [
        ("0 3 * * *", &["*-*-* 03:00:00"]),
        ("*/15 * * * *", &["*-*-* *:00,15,30,45:00"]),
        ("5/20 * * * *", &["*-*-* *:05,25,45:00"]),
        (
            "*/2 * * * * *",
            &[
                "*-*-* *:*:00,02,04,06,08,10,12,14,16,18,20,22,24,26,28,30,32,34,36,38,40,42,44,46,48,50,52,54,56,58",
            ],
        ),
        ("30 0 3 * * *", &["*-*-* 03:00:30"]),
        ("* * * * * *", &["*-*-* *:*:*"]),
        ("0 9-17 * * mon-fri", &["Mon..Fri *-*-* 09..17:00:00"]),
        ("0 9-17/4 * * *", &["*-*-* 09,13,17:00:00"]),
        ("0 0 * * 0", &["Sun *-*-* 00:00:00"]),
        ("0 0 * * 7", &["Sun *-*-* 00:00:00"]),
        ("0 0 * * 5-7", &["Fri..Sun *-*-* 00:00:00"]),
        ("0 0 * * SUN,TUE", &["Tue,Sun *-*-* 00:00:00"]),
        ("0 0 1 JAN,jul *", &["*-01,07-01 00:00:00"]),
        ("0 0 1,15 * 1", &["*-*-01,15 00:00:00", "Mon *-*-* 00:00:00"]),
        ("0 0 31 2 MON", &["*-02-31 00:00:00", "Mon *-02-* 00:00:00"]),
        ("0 0 29 2 *", &["*-02-29 00:00:00"]),
        ("  @daily ", &["*-*-* 00:00:00"]),
        ("@weekly", &["Sun *-*-* 00:00:00"]),
        ("@YEARLY", &["*-01-01 00:00:00"]),
        ("1,2,3,5 0 * * *", &["*-*-* 00:01..03,05:00"]),
    ];

    #[test]
    fn expressions_are_calendar_events() {
        for (cron, expected) in TABLE {
            assert_eq!(calendars(cron).unwrap(), expected, "{cron}");
        }
    }

    #[test]
    fn what_is_no_schedule_is_refused_with_its_reason() {
        for (cron, why) in [
            ("60 * * * *", "`60` is no minute"),
            ("0 24 * * *", "`24` is no hour"),
            ("0 0 0 * *", "`0` is no day of the month"),
            ("0 0 * 13 *", "`13` is no month"),
            ("0 0 * * 8", "`8` is no weekday"),
            ("0 0 * * +1", "`+1` is no weekday"),
            ("0 0 * * MO", "`MO` is no weekday"),
            ("0,,1 0 * * *", "`` is no minute"),
            ("0 0 L * *", "`L` in `L` cannot be a schedule of systemd"),
            ("0 0 15W * *", "`W` in `15W` cannot"),
            ("0 0 * * 1#2", "`#` in `1#2` cannot"),
            ("0 0 ? * *", "`?` in `?` cannot"),
            ("0 0 31 2 *", "no such date"),
            ("0 0 31 4,6 *", "no such date"),
            ("*/0 * * * *", "`/0` is not a step of the minute"),
            ("*/60 * * * *", "`/60` is not a step of the minute"),
            ("*/x * * * *", "`/x` is not a step of the minute"),
            ("0 22-6 * * *", "`22-6` ends before it begins"),
            ("0 0 * *", "five fields, or six with seconds, not 4"),
            ("", "not 0"),
            ("0 0 0 0 * * *", "not 7"),
            ("@fortnightly", "is not a schedule"),
            ("@reboot", "is not a time"),
        ] {
            let bad = calendars(cron).unwrap_err();
            assert!(bad.why.contains(why), "{cron}: {bad:?}");
        }
        let help = calendars("0 22-6 * * *").unwrap_err().help;
        assert!(help.contains("22-23,0-6") && calendars("0 22-23,0-6 * * *").is_ok(), "{help}");
    }

    /// What systemd makes of a set: the way back.
    fn read_back(text: &str, part: CronField) -> BTreeSet<u8> {
        if text == "*" {
            return (part.least..=part.most).collect();
        }
        let ranges = text.split(',').map(|one| one.split_once("..").unwrap_or((one, one)));
        ranges.flat_map(|(a, b)| a.parse::<u8>().unwrap()..=b.parse().unwrap()).collect()
    }

    proptest! {
        #[test]
        fn every_set_of_values_is_written_as_what_it_is(
            minutes in proptest::collection::btree_set(0_u8..60, 1..60),
            days in proptest::collection::btree_set(1_u8..32, 1..31),
        ) {
            let list = |set: &BTreeSet<u8>| {
                set.iter().map(u8::to_string).collect::<Vec<_>>().join(",")
            };
            let cron = format!("{} 0 {} * *", list(&minutes), list(&days));
            let events = calendars(&cron).unwrap();
            prop_assert_eq!(events.len(), 1);
            let (date, time) = events[0].split_once(' ').unwrap();
            prop_assert_eq!(read_back(time.split(':').nth(1).unwrap(), MINUTE), minutes);
            prop_assert_eq!(read_back(date.rsplit('-').next().unwrap(), DAY), days);
        }

        #[test]
        fn no_text_makes_it_panic(text in "[-0-9*/,@# LWA-Za-zä]{0,40}") {
            let _ = calendars(&text);
        }
    }

    /// systemd reads what is written, and means by it what cron means.
    #[test]
    fn systemd_agrees_about_the_next_times() {
        let next = |event: &str| {
            let mut analyze = Command::new("systemd-analyze");
            analyze.args(["calendar", "--base-time=2026-01-01 12:00:00 UTC", event]);
            analyze.env("TZ", "UTC").env("LC_ALL", "C.UTF-8");
            let output = analyze.output().ok()?;
            assert!(output.status.success(), "{event}: {output:?}");
            let text = String::from_utf8(output.stdout).unwrap();
            let line = text.lines().find_map(|line| line.trim().strip_prefix("Next elapse: "));
            Some(line.unwrap_or_default().to_owned())
        };
        if next("*-*-* 00:00:00").is_none() {
            // Without systemd's tools on the machine that builds; booted tests have them.
            return;
        }
        for (cron, _) in TABLE {
            calendars(cron).unwrap().iter().for_each(|event| drop(next(event)));
        }
        for (cron, expected) in [
            ("0 3 * * *", "Fri 2026-01-02 03:00:00 UTC"),
            ("*/15 * * * *", "Thu 2026-01-01 12:15:00 UTC"),
            ("*/7 * * * * *", "Thu 2026-01-01 12:00:07 UTC"),
            ("0 9-17 * * mon-fri", "Thu 2026-01-01 13:00:00 UTC"),
            ("0 0 * * 7", "Sun 2026-01-04 00:00:00 UTC"),
            ("0 0 29 2 *", "Tue 2028-02-29 00:00:00 UTC"),
            ("@monthly", "Sun 2026-02-01 00:00:00 UTC"),
        ] {
            let events = calendars(cron).unwrap();
            assert_eq!(next(&events[0]).unwrap(), expected, "{cron}");
        }
        let either = calendars("0 0 15 * MON").unwrap();
        let times: Vec<String> = either.iter().filter_map(|event| next(event)).collect();
        assert_eq!(times, ["Thu 2026-01-15 00:00:00 UTC", "Mon 2026-01-05 00:00:00 UTC"]);
    }
}
