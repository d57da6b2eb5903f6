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
    // Rank 0 says where the others stand, and the launcher which of them was ended by a signal.
    if rank_environment::is_launched() && is_lost(error) && !is_first_rank() {
        end_at_once(RANKS);
    }
    let code = tell(error);
    if is_of_ranks(error) {
        // A thread may still be in c10d, or a GPU wait.
        end_at_once(code);
    }
    ExitCode::from(code)
}

/// Prints an error as one line on standard error, and returns its code.
pub fn tell(error: &anyhow::Error) -> u8 {
    output::complain(&format!("{}error: {}", rank_prefix(), line(error)));
    code(error)
}

/// An error in one line. Messages carry their causes themselves, so the outermost one says it all; a cause may still have several
/// lines.
pub fn line(error: &anyhow::Error) -> String {
    error.to_string().replace('\n', " ")
}

/// Prints what the argument parser has to say: help as it is, a mistake as one line.
pub fn report_usage(error: &clap::Error) -> ExitCode {
    let asked_nothing = error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    if asked_nothing || !error.use_stderr() {
        // Help or the version; a closed pipe is the reader's wish.
        let _ = error.print();
        return if asked_nothing { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
    }
    let text = error.to_string();
    let mistake = text.split("\n\n").next().unwrap_or(&text);
    let words: Vec<&str> = mistake.split_whitespace().collect();
    output::complain(&format!("{}; `--help` lists what there is", words.join(" ")));
    ExitCode::from(USAGE)
}

/// Whether a rank has nothing to tell but that another is gone.
fn is_lost(error: &anyhow::Error) -> bool {
    let is_lost = |error: &CommError| matches!(error, CommError::Lost { .. });
    error.downcast_ref().is_some_and(is_lost)
        || matches!(error.downcast_ref(), Some(TrainError::Comm(error)) if is_lost(error))
}

fn is_first_rank() -> bool {
    !matches!(RankEnvironment::of_this_process(), Ok(Some(found)) if found.rank > 0)
}

/// Which of several ranks speaks.
fn rank_prefix() -> String {
    match RankEnvironment::of_this_process() {
        Ok(Some(found)) => format!("rank {}: ", found.rank),
        _ => String::new(),
    }
}
