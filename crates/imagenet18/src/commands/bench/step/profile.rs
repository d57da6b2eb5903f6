//! `bench step --profile`: where a step's time goes, operation by operation.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Instant;

use anyhow::Result;

use super::{Bench, median};

/// All operations that share a label.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    pub kind: String,
    pub label: String,
    pub count: usize,
    /// Seconds a step, summed over these operations.
    pub seconds: f64,
    pub flops: u64,
    /// Bytes of the operands.
    pub traffic: u64,
    /// Which implementation computes them, if the provider says.
    pub implementation: Option<String>,
}

impl Row {
    fn add(&mut self, other: &Row) {
        self.count += other.count;
        self.seconds += other.seconds;
        self.flops += other.flops;
        self.traffic += other.traffic;
    }

    fn line(&self, name: &str, total: f64) -> String {
        let rate = |amount: u64| match amount {
            0 => String::new(),
            amount => format!("{:.0}", amount as f64 / self.seconds / 1e9),
        };
        let Row { count, seconds, flops, traffic, .. } = self;
        let (milliseconds, share) = (seconds * 1e3, 100.0 * seconds / total);
        let (gflops, gbytes) = (rate(*flops), rate(*traffic));
        format!("{milliseconds:>9.2}  {share:>5.1} %  {gflops:>8}  {gbytes:>6}  {count:>5}  {name}\n")
    }
}

/// The time of each operation, medians over several steps.
pub struct Profile {
    rows: Vec<Row>,
}

impl Profile {
    /// Runs `steps` steps, operation by operation.
    pub fn measure(bench: &mut Bench, steps: usize) -> Result<Self> {
        let ops = bench.model.operations(bench.mode, bench.size)?;
        let implementations = bench.model.implementations(bench.mode, bench.size)?;
        let mut rows: Vec<Row> = ops
            .iter()
            .zip(implementations)
            .map(|(op, implementation)| Row {
                kind: op.name().to_owned(),
                label: op.label(),
                count: 1,
                seconds: 0.0,
                flops: op.flops(),
                traffic: op.traffic(),
                implementation,
            })
            .collect();
        let mut times = vec![Vec::with_capacity(steps); rows.len()];
        for _ in 0..steps {
            // The first operation's time includes passing the batch to the model.
            let mut last = Instant::now();
            bench.observed_step(|op| {
                let now = Instant::now();
                times[op].push((now - last).as_secs_f64());
                last = now;
            })?;
        }
        for (row, times) in rows.iter_mut().zip(&mut times) {
            row.seconds = median(times);
        }
        Ok(Self { rows })
    }

    /// Rows of equal labels added up, slowest first.
    pub fn by_label(&self) -> Vec<Row> {
        grouped(&self.rows, |row| &row.label)
    }

    /// Like [`by_label`](Self::by_label), but different implementations stay apart.
    pub fn by_implementation(&self) -> Vec<Row> {
        let mut rows = self.rows.clone();
        for row in &mut rows {
            row.kind = format!("{}, {}", row.label, row.implementation.as_deref().unwrap_or("not told"));
        }
        grouped(&rows, |row| &row.kind)
    }

    /// A table of kinds, then labels, slowest first. `step_seconds` is the time of a whole step,
    /// measured without timing its operations.
    pub fn table(&self, step_seconds: f64) -> String {
        let total: f64 = self.rows.iter().map(|row| row.seconds).sum();
        let head = "       ms    share   Gflop/s    GB/s  count  operation\n";
        let mut text = format!("\n{head}");
        for row in grouped(&self.rows, |row| &row.kind) {
            text += &row.line(&row.kind, total);
        }
        text += &format!("\n{head}");
        for row in self.by_label() {
            text += &row.line(&row.label, total);
        }
        let _ = writeln!(
            text,
            "\n{:.1} ms in operations, {:.1} % of a step that was not profiled ({:.1} ms)",
            total * 1e3,
            100.0 * total / step_seconds,
            step_seconds * 1e3
        );
        text
    }
}

/// Adds up rows of equal keys, slowest first.
fn grouped(rows: &[Row], key: fn(&Row) -> &String) -> Vec<Row> {
    let mut groups: BTreeMap<&str, Row> = BTreeMap::new();
    for row in rows {
        let first = || Row {
            kind: row.kind.clone(),
            label: row.label.clone(),
            implementation: row.implementation.clone(),
            ..Row::default()
        };
        groups.entry(key(row)).or_insert_with(first).add(row);
    }
    let mut groups: Vec<Row> = groups.into_values().collect();
    groups.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_summed_and_sorted() {
        let row = |kind: &str, label: &str, seconds: f64| Row {
            kind: kind.to_owned(),
            label: label.to_owned(),
            count: 1,
            seconds,
            flops: 2_000_000_000,
            traffic: 0,
            implementation: None,
        };
        let profile = Profile {
            rows: vec![row("a", "a 1", 0.25), row("b", "b 1", 0.5), row("a", "a 2", 0.5), row("a", "a 1", 0.75)],
        };
        let table = profile.table(2.5);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[2], "  1500.00   75.0 %         4              3  a");
        assert_eq!(lines[3], "   500.00   25.0 %         4              1  b");
        assert_eq!(lines[6], "  1000.00   50.0 %         4              2  a 1");
        assert_eq!(lines.last(), Some(&"2000.0 ms in operations, 80.0 % of a step that was not profiled (2500.0 ms)"));
    }
}
