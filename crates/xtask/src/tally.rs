//! Counts the tests and their outcomes, from the reports of nextest and of cargo, and from the list
//! of `in18-testkit`'s `skip.rs`. The list is needed because a test that cannot do its work passes,
//! as far as its runner knows.

use anyhow::{Context, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::Path;

/// The variable that names the list of skipped tests, as in `crates/in18-testkit/src/skip.rs`.
pub const SKIPS: &str = "IN18_SKIPS";

/// How many tests ran, by outcome.
#[derive(Debug, Default, PartialEq)]
pub struct Tally {
    passed: usize,
    failed: usize,
    /// How many could not do their work, by reason.
    skipped: BTreeMap<String, usize>,
}

/// The reason of tests that are not run at all, such as those marked `#[ignore]`.
const IGNORED: &str = "ignored";

impl Tally {
    /// Adds nextest's report, which is in JUnit's format.
    pub fn add_junit(&mut self, report: &str) -> Result<()> {
        let start = report.find("<testsuites ").context("nextest's report has no element `testsuites`")?;
        let (element, _) = report[start..].split_once('>').context("nextest's report is cut")?;
        let number = |name: &str| -> Result<usize> {
            let (_, value) = element.split_once(&format!(" {name}=\"")).with_context(|| format!("no {name}"))?;
            let (value, _) = value.split_once('"').context("an attribute without an end")?;
            value.parse().with_context(|| format!("{name} is no number"))
        };
        let failed = number("failures")? + number("errors")?;
        self.passed += number("tests")?.checked_sub(failed).context("more tests failed than there were")?;
        self.failed += failed;
        Ok(())
    }

    /// Adds the summary that the tests of one program print at their end, if `line` is one.
    pub fn add_line(&mut self, line: &str) {
        let Some(results) = line.strip_prefix("test result: ") else { return };
        let words: Vec<&str> = results.split_whitespace().collect();
        let number = |what: &str| -> usize {
            let place = words.iter().position(|word| word.trim_end_matches(';') == what);
            place.and_then(|place| words.get(place.checked_sub(1)?)?.parse().ok()).unwrap_or(0)
        };
        self.passed += number("passed");
        self.failed += number("failed");
        let ignored = number("ignored");
        if ignored > 0 {
            *self.skipped.entry(IGNORED.to_owned()).or_default() += ignored;
        }
    }

    /// Moves tests that could not do their work from passed to skipped. The list has a line for
    /// each, `TEST<tab>REASON`. No list means no such test, since the first one creates it.
    pub fn add_skips(&mut self, list: &Path) -> Result<()> {
        if !list.exists() {
            return Ok(());
        }
        let list = fs::read_to_string(list).with_context(|| format!("cannot read {}", list.display()))?;
        let mut tests = BTreeSet::new();
        for line in list.lines() {
            let (test, reason) =
                line.split_once('\t').with_context(|| format!("a skipped test without a reason: {line}"))?;
            // A test may lack several things. The first one counts as the reason.
            if tests.insert(test) {
                *self.skipped.entry(reason.to_owned()).or_default() += 1;
                self.passed = self.passed.checked_sub(1).context("more tests were skipped than passed")?;
            }
        }
        Ok(())
    }

    /// Adds the numbers of another run.
    pub fn add(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
        for (reason, count) in other.skipped {
            *self.skipped.entry(reason).or_default() += count;
        }
    }
}

/// One line with the reasons, if there are any, and one with the numbers. Empty if no test ran.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let skipped: usize = self.skipped.values().sum();
        if *self == Tally::default() {
            return Ok(());
        }
        if skipped > 0 {
            let reasons: Vec<String> =
                self.skipped.iter().map(|(reason, count)| format!("{reason}: {count}")).collect();
            let tests = if skipped == 1 { "test" } else { "tests" };
            writeln!(f, "skipped on this machine: {skipped} {tests} ({})", reasons.join(", "))?;
        }
        writeln!(f, "{} passed, {} failed, {skipped} skipped", self.passed, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"nextest-run\" tests=\"9\" \
                          failures=\"2\" errors=\"1\" uuid=\"u\" timestamp=\"t\" time=\"0.1\">\n    <testsuite \
                          name=\"a\" tests=\"4\" failures=\"0\" errors=\"0\">\n";

    #[test]
    fn nextests_report_is_the_sum_of_all_suites() {
        let mut tally = Tally::default();
        tally.add_junit(REPORT).expect("a report");
        assert_eq!(tally, Tally { passed: 6, failed: 3, ..Tally::default() });
        for bad in
            ["", "<testsuites tests=\"9\" failures=\"2\"", "<testsuites tests=\"9\" failures=\"x\" errors=\"0\">"]
        {
            tally.add_junit(bad).expect_err(bad);
        }
    }

    #[test]
    fn cargos_lines_are_summed() {
        let mut tally = Tally::default();
        for line in [
            "running 3 tests",
            "test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 7 filtered out; finished in 0.01s",
            "test result: FAILED. 5 passed; 4 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s",
            "test result: \u{1b}[32mok\u{1b}[m. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out",
        ] {
            tally.add_line(line);
        }
        let skipped = BTreeMap::from([("ignored".to_owned(), 1)]);
        assert_eq!(tally, Tally { passed: 8, failed: 4, skipped });
    }

    #[test]
    fn skipped_tests_are_counted_once_and_did_not_pass() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let list = folder.path().join("skips");
        let mut tally = Tally { passed: 10, ..Tally::default() };
        tally.add_skips(&list).expect("none were skipped");
        assert_eq!(tally.to_string(), "10 passed, 0 failed, 0 skipped\n");
        fs::write(&list, "a::b one\tno GPU\na::b two\tno bf16\na::b one\tno bf16\nc::d three\tno GPU\n").expect("list");
        tally.add_skips(&list).expect("a list");
        let mut other = Tally::default();
        other.add_junit(REPORT).expect("a report");
        tally.add(other);
        assert_eq!(
            tally.to_string(),
            "skipped on this machine: 3 tests (no GPU: 2, no bf16: 1)\n13 passed, 3 failed, 3 skipped\n"
        );
        fs::write(&list, "a line of something else\n").expect("list");
        tally.add_skips(&list).expect_err("no reason");
        assert_eq!(Tally::default().to_string(), "");
    }
}
