//! The command line. Reads nothing and starts nothing.

use crate::setup::{Gpus, Wanted};
use crate::stages::Stage;
use crate::times::Times;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::num::NonZeroU64;
use std::path::PathBuf;

/// Developer commands.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Fetch the prebuilt oneDNN, once, and check what the build needs.
    Setup(SetupArgs),
    /// Set up, then train on generated images: `cargo run --profile quick -p imagenet18 -- demo ARGUMENTS`.
    #[command(disable_help_flag = true)]
    Demo {
        /// For the program's own `demo` command.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Set up, with --tools where CI is set, then run all checks, or some stages of them.
    ///
    /// Tests of what set-up has not made are skipped, or fail where CI is set.
    Test(TestArgs),
    /// Run that stage alone: other programs read what this one writes.
    Interop,
    /// Make the golden pixels of photos beside this folder, which `test` does, too; have Pillow judge the test kit's odd image
    /// files anew, and record its verdicts.
    Golden,
    /// Feed a reader any bytes; needs cargo-fuzz.
    Fuzz {
        /// The reader; each of them in turn if none is named.
        target: Option<String>,
        /// How long for each.
        #[arg(long, value_name = "N", default_value = "10")]
        minutes: NonZeroU64,
    },
}

#[derive(Debug, Args)]
pub struct SetupArgs {
    /// Also fetch libtorch (540 MB) and make the library over it that programs load; where an NVIDIA driver is, what GPUs
    /// take, too (2.2 GB).
    #[arg(long)]
    torch: bool,
    /// The same, and what GPUs take wherever they are.
    #[arg(long)]
    cuda: bool,
    /// Also fetch the programs that `test` uses where they are there, and must have where CI is set: cargo-nextest,
    /// cargo-deny.
    #[arg(long)]
    tools: bool,
}

impl SetupArgs {
    pub fn wanted(&self) -> Wanted {
        let gpus = if self.cuda { Gpus::Everything } else { Gpus::default() };
        Wanted { torch: self.torch || self.cuda, gpus, tools: self.tools }
    }
}

#[derive(Debug, Args)]
pub struct TestArgs {
    /// Also set up libtorch, for tests of several ranks and of GPUs' kernels.
    #[arg(long)]
    pub torch: bool,
    /// Run this stage, and other stages so named; without it, all.
    #[arg(long, value_name = "STAGE")]
    only: Vec<Stage>,
    /// Add the seconds of each stage to this table.
    #[arg(long, value_name = "FILE")]
    times: Option<PathBuf>,
    /// How the run began, for the table.
    #[arg(long, requires = "times", value_parser = ["cold", "warm"])]
    start: Option<String>,
}

impl TestArgs {
    /// What runs, in this order, each once.
    pub fn stages(&self) -> Vec<Stage> {
        let mut stages = Vec::new();
        for &stage in if self.only.is_empty() { Stage::value_variants() } else { &self.only } {
            if !stages.contains(&stage) {
                stages.push(stage);
            }
        }
        stages
    }

    pub fn times(&self) -> Option<Times> {
        let start = self.start.clone().unwrap_or_default();
        self.times.clone().map(|file| Times { file, start })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Command, String> {
        let words = ["cargo xtask"].into_iter().chain(line.split_whitespace());
        Arguments::try_parse_from(words).map(|arguments| arguments.command).map_err(|error| error.to_string())
    }

    fn wanted(line: &str) -> Wanted {
        let Ok(Command::Setup(arguments)) = parse(line) else { panic!("{line}") };
        arguments.wanted()
    }

    fn test(line: &str) -> TestArgs {
        let Ok(Command::Test(arguments)) = parse(line) else { panic!("{line}") };
        arguments
    }

    #[test]
    fn setup_fetches_what_is_asked_for() {
        assert_eq!(wanted("setup"), Wanted::default());
        assert_eq!(wanted("setup --torch --tools"), Wanted { torch: true, tools: true, ..Wanted::default() });
        assert_eq!(wanted("setup --cuda"), Wanted { torch: true, gpus: Gpus::Everything, tools: false });
    }

    #[test]
    fn stages_run_in_the_given_order_each_once() {
        assert_eq!(test("test").stages(), Stage::value_variants());
        assert_eq!(test("test --only=deny --only fmt --only deny").stages(), [Stage::Deny, Stage::Format]);
        assert!(test("test --torch").torch && !test("test").torch);
        let times = |line| test(line).times().map(|times| (times.file, times.start));
        assert_eq!(times("test"), None);
        assert_eq!(times("test --times a.csv"), Some(("a.csv".into(), String::new())));
        assert_eq!(times("test --start=cold --times=a.csv"), Some(("a.csv".into(), "cold".to_owned())));
    }

    /// Help, too, is the program's own there.
    #[test]
    fn a_demo_takes_any_arguments() {
        let Ok(Command::Demo { arguments }) = parse("demo --help --seed 1") else { panic!() };
        assert_eq!(arguments, ["--help", "--seed", "1"]);
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        let cases = [
            ("tets", "'tets'"),
            ("setup now", "'now'"),
            ("golden now", "'now'"),
            ("test --times", "a value is required"),
            ("test --times a.csv --start hot", "[possible values: cold, warm]"),
            ("test --start cold", "--times <FILE>"),
            ("test --only lint", "[possible values: fmt, architecture, deny, clippy, doc, tests, interop]"),
            ("fuzz a b", "'b'"),
            ("fuzz --minutes 0", "number would be zero"),
        ];
        for (line, says) in cases {
            let message = parse(line).expect_err(line);
            assert!(message.contains(says), "{line}: {message}");
        }
    }
}
