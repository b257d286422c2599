//! Counting tests from what cargo prints.

use std::fmt;

/// How many tests passed, failed and were skipped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) passed: u32,
    pub(super) failed: u32,
    skipped: u32,
}

impl Tally {
    pub(super) const PASSED: Self = Self { passed: 1, failed: 0, skipped: 0 };
    pub(super) const FAILED: Self = Self { passed: 0, failed: 1, skipped: 0 };

    /// The sum of all `test result:` lines.
    pub(super) fn of_cargo_output(output: &str) -> Self {
        let mut sum = Self::default();
        for line in output.lines().filter_map(|line| line.trim_start().strip_prefix("test result: ")) {
            sum.add(Self {
                passed: count(line, "passed"),
                failed: count(line, "failed"),
                skipped: count(line, "ignored"),
            });
        }
        sum
    }

    pub(super) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

/// The number before `word` in `ok. 9 passed; 0 failed; …`.
fn count(line: &str, word: &str) -> u32 {
    let words: Vec<&str> = line.split_whitespace().collect();
    let number = words.windows(2).find(|pair| pair[1].trim_end_matches(';') == word).map(|pair| pair[0]);
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

const LONGEST: usize = 300;

/// What failed tests printed: the text between `failures:` and the result line of each program, cut to a readable length.
pub(super) fn failures(output: &str) -> String {
    let mut shown = Vec::new();
    let mut within = false;
    for line in output.lines() {
        match line.trim() {
            "failures:" => within = true,
            end if end.starts_with("test result: ") => within = false,
            _ if within => shown.push(line),
            _ => {}
        }
    }
    if shown.len() > LONGEST {
        shown.truncate(LONGEST);
        shown.push("(the rest is in the log)");
    }
    shown.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
running 2 tests
test a ... ok
test b ... FAILED

failures:

---- b stdout ----
thread 'b' panicked at src/lib.rs:3:5: no

failures:
    b

test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s
test result: ok. 29 passed; 0 failed; 3 ignored; 0 measured; 7 filtered out; finished in 24.39s
";

    #[test]
    fn results_of_all_programs_are_summed() {
        assert_eq!(Tally::of_cargo_output(OUTPUT), Tally { passed: 30, failed: 1, skipped: 3 });
    }

    #[test]
    fn output_without_results_counts_nothing() {
        assert_eq!(Tally::of_cargo_output("error: could not compile"), Tally::default());
    }

    #[test]
    fn the_closing_line_names_skipped_tests_only_where_there_are_any() {
        assert_eq!(Tally { passed: 3, failed: 1, skipped: 0 }.to_string(), "3 passed, 1 failed");
        assert_eq!(Tally { passed: 3, failed: 0, skipped: 2 }.to_string(), "3 passed, 0 failed, 2 skipped");
    }

    #[test]
    fn what_failed_tests_printed_is_shown() {
        let shown = failures(OUTPUT);
        assert!(shown.contains("thread 'b' panicked") && shown.contains("    b"));
        assert!(!shown.contains("test a ... ok"));
    }
}
