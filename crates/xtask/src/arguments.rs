//! The command line: which command, with which stages or arguments. Reads nothing and starts nothing.

use crate::setup::{Gpus, Wanted};
use crate::stages::Stage;
use crate::times::Times;
use std::path::PathBuf;

pub const USAGE: &str = "\
Usage: cargo xtask COMMAND

Commands:
  setup [--torch|--cuda] [--tools]
                         fetch the prebuilt oneDNN, once, and check what the build needs; with --torch libtorch, too, and make
                         the library over it that programs load; what GPUs take, with --cuda or where an NVIDIA driver is;
                         with --tools the programs that `test` uses where they are there, and must have where CI is set:
                         cargo-nextest, cargo-deny
  demo [ARGUMENTS]...    setup, then train on generated images: cargo run --profile quick -p imagenet18 -- demo ARGUMENTS
  test [--torch] [--only STAGE]... [--times FILE [--start cold|warm]]
                         setup, with --tools where CI is set, with --torch if given, then all checks, or these stages: fmt,
                         architecture, deny, clippy, doc, tests, interop. Tests of what setup has not made are skipped, or
                         fail where CI is set. The seconds of each stage are added to the table FILE, with how the run started
  interop                that stage alone: other programs read what this one writes
  golden                 make the golden pixels of photos beside this folder, which `test` does, too; and have Pillow judge the
                         test kit's odd image files anew, and record its verdicts
  fuzz [TARGET] [--minutes N]
                         feed a reader any bytes, each of them in turn, for 10 minutes or N; needs cargo-fuzz";

#[derive(Debug, PartialEq)]
pub enum Command {
    Help,
    Setup(Wanted),
    /// With arguments for the program's own `demo` command.
    Demo(Vec<String>),
    /// One target, or all of them, each for so long.
    Fuzz {
        target: Option<String>,
        minutes: u64,
    },
    /// Makes what Pillow is asked for, and records its verdicts on the test kit's odd files.
    Golden,
    /// The stage of this name.
    Interop,
    Test {
        /// In order.
        stages: Vec<Stage>,
        /// Whether libtorch is set up for them.
        torch: bool,
        times: Option<Times>,
    },
}

/// Understands the arguments that follow the program's name, or says in one line what is wrong with them.
pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Command, String> {
    let mut arguments = arguments.into_iter();
    let command = arguments.next().ok_or("expected a command")?;
    match command.as_str() {
        "-h" | "--help" | "help" => Ok(Command::Help),
        "setup" => parse_setup(arguments),
        "golden" | "interop" => match arguments.next().as_deref() {
            None if command == "golden" => Ok(Command::Golden),
            None => Ok(Command::Interop),
            Some("-h" | "--help") => Ok(Command::Help),
            Some(unknown) => Err(format!("`{command}` takes no arguments, got `{unknown}`")),
        },
        "fuzz" => parse_fuzz(arguments),
        "demo" => Ok(Command::Demo(arguments.collect())),
        "test" => parse_test(arguments),
        unknown => Err(format!("unknown command `{unknown}`")),
    }
}

fn parse_setup(arguments: impl Iterator<Item = String>) -> Result<Command, String> {
    let mut wanted = Wanted::default();
    for argument in arguments {
        match argument.as_str() {
            "-h" | "--help" => return Ok(Command::Help),
            "--torch" => wanted.torch = true,
            "--cuda" => wanted = Wanted { torch: true, gpus: Gpus::Everything, ..wanted },
            "--tools" => wanted.tools = true,
            unknown => return Err(format!("unknown argument `{unknown}` for `setup`")),
        }
    }
    Ok(Command::Setup(wanted))
}

fn parse_fuzz(mut arguments: impl Iterator<Item = String>) -> Result<Command, String> {
    let (mut target, mut minutes) = (None, 10);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "-h" | "--help" => return Ok(Command::Help),
            "--minutes" => {
                let number = arguments.next().unwrap_or_default();
                let parsed = number.parse().ok().filter(|&minutes| minutes > 0);
                minutes = parsed.ok_or_else(|| format!("--minutes needs a whole number above 0, got `{number}`"))?;
            }
            name if !name.starts_with('-') && target.is_none() => target = Some(name.to_owned()),
            other => return Err(format!("unknown argument `{other}` for `fuzz`")),
        }
    }
    Ok(Command::Fuzz { target, minutes })
}

fn parse_test(mut arguments: impl Iterator<Item = String>) -> Result<Command, String> {
    let (mut stages, mut torch) = (Vec::new(), false);
    let (mut file, mut start) = (None, None);
    while let Some(argument) = arguments.next() {
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (argument.as_str(), None),
        };
        let mut value = |what: &str| value.clone().or_else(|| arguments.next()).ok_or(format!("{name} needs {what}"));
        match name {
            "-h" | "--help" => return Ok(Command::Help),
            "--torch" => torch = true,
            "--times" => file = Some(PathBuf::from(value("a file")?)),
            "--start" => match value("cold or warm")?.as_str() {
                given @ ("cold" | "warm") => start = Some(given.to_owned()),
                other => return Err(format!("expected --start cold or --start warm, got `{other}`")),
            },
            "--only" => {
                let name = value("the name of a stage")?;
                let stage = Stage::ALL.into_iter().find(|stage| stage.name() == name).ok_or_else(|| {
                    format!("unknown stage `{name}`: expected one of {}", Stage::ALL.map(Stage::name).join(", "))
                })?;
                if !stages.contains(&stage) {
                    stages.push(stage);
                }
            }
            _ => return Err(format!("unknown argument `{argument}` for `test`")),
        }
    }
    if stages.is_empty() {
        stages = Stage::ALL.to_vec();
    }
    let times = match (file, start) {
        (None, Some(_)) => return Err("--start says how the times of --times FILE began, and there is none".to_owned()),
        (file, start) => file.map(|file| Times { file, start: start.unwrap_or_default() }),
    };
    Ok(Command::Test { stages, torch, times })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_line(line: &str) -> Result<Command, String> {
        parse(line.split_whitespace().map(str::to_owned))
    }

    fn test(stages: &[Stage], torch: bool) -> Command {
        Command::Test { stages: stages.to_vec(), torch, times: None }
    }

    fn timed(start: &str) -> Command {
        let times = Some(Times { file: "a.csv".into(), start: start.to_owned() });
        Command::Test { stages: vec![Stage::Format], torch: false, times }
    }

    #[test]
    fn understands_every_command() {
        struct Case {
            line: &'static str,
            expected: Command,
        }
        let cases = [
            Case { line: "setup", expected: Command::Setup(Wanted::default()) },
            Case { line: "setup --torch", expected: Command::Setup(Wanted { torch: true, ..Wanted::default() }) },
            Case {
                line: "setup --cuda",
                expected: Command::Setup(Wanted { torch: true, gpus: Gpus::Everything, tools: false }),
            },
            Case { line: "setup --tools", expected: Command::Setup(Wanted { tools: true, ..Wanted::default() }) },
            Case {
                line: "setup --tools --torch",
                expected: Command::Setup(Wanted { torch: true, tools: true, ..Wanted::default() }),
            },
            Case { line: "interop", expected: Command::Interop },
            Case { line: "golden", expected: Command::Golden },
            Case { line: "golden -h", expected: Command::Help },
            Case { line: "fuzz", expected: Command::Fuzz { target: None, minutes: 10 } },
            Case {
                line: "fuzz image --minutes 3",
                expected: Command::Fuzz { target: Some("image".to_owned()), minutes: 3 },
            },
            Case { line: "demo", expected: Command::Demo(vec![]) },
            Case { line: "demo --seed 1", expected: Command::Demo(vec!["--seed".to_owned(), "1".to_owned()]) },
            // Help is the program's own there.
            Case { line: "demo --help", expected: Command::Demo(vec!["--help".to_owned()]) },
            Case { line: "test", expected: test(&Stage::ALL, false) },
            Case { line: "test --torch", expected: test(&Stage::ALL, true) },
            Case { line: "test --only doc", expected: test(&[Stage::Doc], false) },
            Case { line: "test --only=deny --only fmt", expected: test(&[Stage::Deny, Stage::Format], false) },
            Case { line: "test --only fmt --only fmt", expected: test(&[Stage::Format], false) },
            Case { line: "test --only tests --torch", expected: test(&[Stage::Tests], true) },
            Case { line: "test --only fmt --times a.csv", expected: timed("") },
            Case { line: "test --start=cold --times=a.csv --only fmt", expected: timed("cold") },
            Case { line: "--help", expected: Command::Help },
            Case { line: "setup --help", expected: Command::Help },
            Case { line: "test --only fmt -h", expected: Command::Help },
        ];
        for case in cases {
            assert_eq!(parse_line(case.line), Ok(case.expected), "{}", case.line);
        }
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        struct Case {
            line: &'static str,
            says: &'static str,
        }
        let cases = [
            Case { line: "", says: "expected a command" },
            Case { line: "tets", says: "unknown command `tets`" },
            Case { line: "setup now", says: "unknown argument `now` for `setup`" },
            Case { line: "setup --torch now", says: "unknown argument `now` for `setup`" },
            Case { line: "golden now", says: "`golden` takes no arguments, got `now`" },
            Case { line: "test --times", says: "--times needs a file" },
            Case { line: "test --times a.csv --start hot", says: "expected --start cold or --start warm, got `hot`" },
            Case { line: "test --start cold", says: "--times FILE" },
            Case { line: "fuzz a b", says: "unknown argument `b` for `fuzz`" },
            Case { line: "fuzz --minutes 0", says: "--minutes needs a whole number above 0, got `0`" },
            Case { line: "test fmt", says: "unknown argument `fmt`" },
            Case { line: "test --only", says: "--only needs" },
            Case { line: "test --only lint", says: "unknown stage `lint`: expected one of fmt, " },
            Case { line: "test --only=", says: "unknown stage ``" },
        ];
        for case in cases {
            let message = parse_line(case.line).expect_err(case.line);
            assert!(message.contains(case.says), "{}: {message}", case.line);
            assert!(!message.contains('\n'), "{}: {message}", case.line);
        }
    }

    #[test]
    fn usage_names_every_stage() {
        for stage in Stage::ALL {
            assert!(USAGE.contains(stage.name()), "{}", stage.name());
        }
    }
}
