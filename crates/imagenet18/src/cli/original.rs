//! Flags of the original trainer (`training/train_imagenet_nv.py`) that mean nothing here, or
//! something else. A command line written for the original is accepted unchanged, and each such
//! flag is answered by one line.

use clap::Args;

/// What is accepted beside `train`'s own flags.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Accepted from the original's command line")]
pub struct OriginalArgs {
    /// Half precision: --precision fp16 with --engine torch, otherwise bf16 where the CPU computes it natively, else fp32.
    #[arg(long, conflicts_with = "precision")]
    pub fp16: bool,

    /// Ranks come from --devices, or from a launcher's environment.
    #[arg(long)]
    distributed: bool,

    /// As --distributed.
    #[arg(long, value_name = "URL")]
    dist_url: Option<String>,

    /// As --distributed.
    #[arg(long, value_name = "NAME")]
    dist_backend: Option<String>,

    /// As --distributed.
    #[arg(long = "local_rank", alias = "local-rank", value_name = "N")]
    local_rank: Option<u32>,

    /// The machine is never shut down.
    #[arg(long)]
    skip_auto_shutdown: bool,

    /// The machine is never shut down.
    #[arg(long, value_name = "MINUTES")]
    auto_shutdown_success_delay_mins: Option<u32>,

    /// The machine is never shut down.
    #[arg(long, value_name = "MINUTES")]
    auto_shutdown_failure_delay_mins: Option<u32>,
}

impl OriginalArgs {
    /// What happens to each flag that was given, one line each.
    pub fn answers(&self) -> Vec<String> {
        const RANKS: &str = "has no effect: ranks come from --devices, or from a launcher's environment";
        const NO_SHUTDOWN: &str = "has no effect: the machine is never shut down";
        let answers = [
            (
                self.fp16,
                "--fp16",
                "is taken as --precision fp16 with --engine torch, else as --precision auto: bf16 where the CPU computes it \
                 natively, else fp32",
            ),
            (self.distributed, "--distributed", RANKS),
            (self.dist_url.is_some(), "--dist-url", RANKS),
            (self.dist_backend.is_some(), "--dist-backend", RANKS),
            (self.local_rank.is_some(), "--local_rank", RANKS),
            (self.skip_auto_shutdown, "--skip-auto-shutdown", NO_SHUTDOWN),
            (self.auto_shutdown_success_delay_mins.is_some(), "--auto-shutdown-success-delay-mins", NO_SHUTDOWN),
            (self.auto_shutdown_failure_delay_mins.is_some(), "--auto-shutdown-failure-delay-mins", NO_SHUTDOWN),
        ];
        let given = answers.into_iter().filter(|(given, ..)| *given);
        given.map(|(_, flag, answer)| format!("note: {flag} {answer}")).collect()
    }
}
