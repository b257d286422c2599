//! Durations as users write them, and ages as they read them.

use std::time::Duration;

use jiff::Timestamp;

/// `90s`, `5m` or `1h30m`.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let mut seconds = 0_u64;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|end| *end > 0);
        let (number, tail) = digits.map(|end| rest.split_at(end)).ok_or_else(|| example(text))?;
        let unit = match tail.chars().next() {
            Some('h') => 3600,
            Some('m') => 60,
            Some('s') => 1,
            _ => return Err(example(text)),
        };
        let number: u64 = number.parse().map_err(|_| example(text))?;
        let more = number.checked_mul(unit).and_then(|more| seconds.checked_add(more));
        seconds = more.ok_or_else(|| example(text))?;
        rest = &tail[1..];
    }
    if seconds == 0 { Err(example(text)) } else { Ok(Duration::from_secs(seconds)) }
}

fn example(text: &str) -> String {
    format!("{text:?} is not a duration: write for example 90s, 5m or 1h30m")
}

/// `90s`, `5m`, `1h30m`.
pub(crate) fn show(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let parts = [(seconds / 3600, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s")];
    let parts: Vec<String> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n}{unit}")).collect();
    if parts.is_empty() { "0s".to_owned() } else { parts.concat() }
}

/// How long ago, in one or two units, as kubectl does: `45s`, `12m`, `3h`, `5d`.
pub(crate) fn age(now: Timestamp, then: Timestamp) -> String {
    let seconds = now.duration_since(then).as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_they_are_shown() {
        for (text, seconds) in [("90s", 90), ("5m", 300), ("1h30m", 5400), ("2h", 7200)] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)));
        }
        assert_eq!(show(Duration::from_mins(90)), "1h30m");
        assert_eq!(show(Duration::from_secs(90)), "1m30s");
        assert_eq!(show(Duration::ZERO), "0s");
    }

    #[test]
    fn what_is_no_duration_is_refused_with_an_example() {
        for text in ["", "5", "m", "5x", "-5s", "0s", "5 m", "99999999999999999999h", "18446744073709551615h", "5µ"] {
            assert!(parse(text).is_err_and(|message| message.contains("1h30m")), "{text:?}");
        }
    }

    #[test]
    fn ages_are_short() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let ago = |seconds: i64| age(now, Timestamp::from_second(1_000_000 - seconds).unwrap());
        assert_eq!([ago(0), ago(119), ago(720), ago(7200), ago(500_000)], ["0s", "119s", "12m", "2h", "5d"]);
        assert_eq!(ago(-5), "0s");
    }
}
