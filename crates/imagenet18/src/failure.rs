//! Says what went wrong: one line on standard error, and the exit code.

use std::process::ExitCode;

use in18_comm::{CommError, end_at_once};
use in18_train::TrainError;

use crate::exit::{Ended, RANKS, USAGE, code, is_of_ranks};
use crate::output;
use crate::rank_environment::{self, RankEnvironment};

/// Prints an error as one line on standard error and returns its exit code.
pub fn report(error: &anyhow::Error) -> ExitCode {
    if let Some(Ended(code)) = error.downcast_ref() {
        return ExitCode::from(*code);
    }
    // Rank 0 prints where the others stand, and the launcher prints which rank a signal ended.
    if rank_environment::is_launched() && is_lost(error) && !is_first_rank() {
        end_at_once(RANKS);
    }
    let code = tell(error);
    if is_of_ranks(error) {
        // A thread may still be in c10d, or a GPU may wait for another rank.
        end_at_once(code);
    }
    ExitCode::from(code)
}

/// Prints an error as one line on standard error, and returns its exit code.
pub fn tell(error: &anyhow::Error) -> u8 {
    output::complain(&format!("{}error: {}", rank_prefix(), line(error)));
    code(error)
}

/// An error as one line. Messages include their causes, so the outermost one is enough. A cause may
/// still have several lines.
pub fn line(error: &anyhow::Error) -> String {
    error.to_string().replace('\n', " ")
}

/// Prints the argument parser's message: help unchanged, a mistake as one line.
pub fn report_usage(error: &clap::Error) -> ExitCode {
    let asked_nothing = error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    if asked_nothing || !error.use_stderr() {
        // Help or the version. A failure is ignored: the reader may have closed the pipe.
        let _ = error.print();
        return if asked_nothing { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
    }
    let text = error.to_string();
    let mistake = text.split("\n\n").next().unwrap_or(&text);
    let words: Vec<&str> = mistake.split_whitespace().collect();
    output::complain(&format!("{}; `--help` lists what there is", words.join(" ")));
    ExitCode::from(USAGE)
}

/// Whether a rank's error says only that another rank is gone.
fn is_lost(error: &anyhow::Error) -> bool {
    let is_lost = |error: &CommError| matches!(error, CommError::Lost { .. });
    error.downcast_ref().is_some_and(is_lost)
        || matches!(error.downcast_ref(), Some(TrainError::Comm(error)) if is_lost(error))
}

fn is_first_rank() -> bool {
    !matches!(RankEnvironment::of_this_process(), Ok(Some(found)) if found.rank > 0)
}

/// The prefix of messages that says which rank prints them.
fn rank_prefix() -> String {
    match RankEnvironment::of_this_process() {
        Ok(Some(found)) => format!("rank {}: ", found.rank),
        _ => String::new(),
    }
}
