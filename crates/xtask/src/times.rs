//! Times of the stages, as rows of a table that is committed with the other measurements.

use crate::process::{capture, last_line, workspace};
use anyhow::{Context, Result, bail};
use in18_system::proc::cpu_model;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::thread::available_parallelism;

/// The first lines of the table.
const HEADER: &str = "# cargo xtask test --times FILE: seconds of each stage; cold: nothing fetched or built before, warm: after a run\n\
                      date,commit,cpu,cores,start,stage,seconds,verdict\n";

const UNKNOWN: &str = "unknown";

/// Where the times are written, and how the run began.
#[derive(Debug, PartialEq)]
pub struct Times {
    /// The table that rows are added to.
    pub file: PathBuf,
    /// `cold` or `warm`; empty if not given.
    pub start: String,
}

/// A stage that has run.
pub struct Row {
    pub stage: String,
    pub seconds: f64,
    /// The outcome in one word.
    pub verdict: &'static str,
}

/// Where and when the stages ran.
struct Origin {
    date: String,
    commit: String,
    cpu: String,
    cores: usize,
}

impl Times {
    /// Adds the rows to the table, and a row with their sum.
    pub fn append(&self, rows: &[Row]) -> Result<()> {
        let text = table(&Origin::here()?, &self.start, rows);
        let header = if self.file.exists() { "" } else { HEADER };
        let file = OpenOptions::new().create(true).append(true).open(&self.file);
        file.and_then(|mut file| write!(file, "{header}{text}"))
            .with_context(|| format!("cannot write times to {}", self.file.display()))
    }
}

impl Origin {
    fn here() -> Result<Self> {
        let git = ["describe", "--always", "--dirty", "--exclude=*"];
        Ok(Self {
            date: answer(Command::new("date").args(["--utc", "+%F"]))?,
            // An archive of the code has no commit.
            commit: answer(Command::new("git").args(git).current_dir(workspace()))
                .unwrap_or_else(|_| UNKNOWN.to_owned()),
            cpu: column(cpu_model()),
            cores: available_parallelism().map_or(1, |cores| cores.get()),
        })
    }
}

/// The single line that a program prints.
fn answer(command: &mut Command) -> Result<String> {
    let output = capture(command)?;
    if !output.status.success() {
        bail!("`{}` does not answer: {}", command.get_program().display(), last_line(&output));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// A processor's name without characters that would break a column.
fn column(name: Option<String>) -> String {
    name.map_or_else(|| UNKNOWN.to_owned(), |name| name.replace([',', '"'], " "))
}

fn table(origin: &Origin, start: &str, rows: &[Row]) -> String {
    let Origin { date, commit, cpu, cores } = origin;
    let row = |stage: &str, seconds: f64, verdict: &str| {
        format!("{date},{commit},{cpu},{cores},{start},{stage},{seconds:.1},{verdict}\n")
    };
    let all = rows.iter().map(|Row { stage, seconds, verdict }| row(stage, *seconds, verdict));
    let sum = row("all", rows.iter().map(|row| row.seconds).sum(), "");
    all.chain([sum]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn rows() -> [Row; 2] {
        [("fmt", 0.26, "ok"), ("deny", 61.0, "failed")].map(|(stage, seconds, verdict)| Row {
            stage: stage.to_owned(),
            seconds,
            verdict,
        })
    }

    #[test]
    fn a_row_for_each_stage_and_for_all() {
        let [date, commit, cpu] = ["2026-11-30", "0123abc-dirty", "A CPU"].map(str::to_owned);
        let table = table(&Origin { date, commit, cpu, cores: 2 }, "cold", &rows());
        let expected = "2026-11-30,0123abc-dirty,A CPU,2,cold,fmt,0.3,ok\n\
                        2026-11-30,0123abc-dirty,A CPU,2,cold,deny,61.0,failed\n\
                        2026-11-30,0123abc-dirty,A CPU,2,cold,all,61.3,\n";
        assert_eq!(table, expected);
        let columns = HEADER.lines().last().map(|names| names.split(',').count());
        assert!(table.lines().all(|row| Some(row.split(',').count()) == columns));
    }

    #[test]
    fn a_second_run_adds_to_the_table() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let times = Times { file: folder.path().join("times.csv"), start: "warm".to_owned() };
        for _ in 0..2 {
            times.append(&rows()).expect("written");
        }
        let text = fs::read_to_string(&times.file).expect("table");
        assert!(text.starts_with(HEADER), "{text}");
        assert_eq!(text.lines().count(), 2 + 2 * 3, "{text}");
    }

    #[test]
    fn a_processors_name_fits_a_column() {
        assert_eq!(column(Some("Some(R) CPU, 2 GHz".to_owned())), "Some(R) CPU  2 GHz");
        assert_eq!(column(None), "unknown");
    }
}
