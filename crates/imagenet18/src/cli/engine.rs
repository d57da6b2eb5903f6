//! Arguments that say what computes: kernels, devices, precision.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use in18_recipe::Precision;

/// What computes.
#[derive(Clone, Debug, Args)]
pub struct EngineArgs {
    /// Kernels: `auto` is torch where a GPU computes, else onednn.
    #[arg(long, value_enum, default_value_t = EngineChoice::Auto)]
    pub engine: EngineChoice,

    /// Devices: cpu, cpu:N (N processes that share the cores), cuda (the first GPU), cuda:0,2 (those), N or `all` (so many
    /// GPUs, or all) [default: all GPUs that the program can use where it trains, the first for all else, or cpu].
    #[arg(long, value_name = "DEVICES", default_value_t = Devices::Auto, hide_default_value = true)]
    pub devices: Devices,

    /// Type of activations: `auto` is bf16 where the hardware computes it natively, else fp16 where it computes that, else fp32.
    #[arg(long, value_enum, default_value_t = Precision::Auto)]
    pub precision: Precision,

    /// With fp32 on a GPU: compute products in fp32 itself. Else the matrix units take TF32, with 10 bits of mantissa, as in
    /// PyTorch's convolutions.
    #[arg(long)]
    pub no_tf32: bool,

    /// Threads that compute [default: as many as there are cores]. The result depends on it in its last bits.
    #[arg(long, value_name = "N")]
    pub threads: Option<NonZeroUsize>,
}

/// A provider of kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EngineChoice {
    /// By the devices.
    Auto,
    /// oneDNN and loops of our own, on the CPU.
    Onednn,
    /// libtorch: on GPUs, and on the CPU.
    Torch,
}

/// Devices as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Devices {
    /// All GPUs that the program can use, else the CPU.
    Auto,
    /// So many processes on the CPU.
    Cpu(NonZeroUsize),
    /// These GPUs.
    Cuda(Vec<u32>),
    /// The first GPUs, so many.
    First(NonZeroUsize),
    /// All GPUs.
    All,
}

impl FromStr for Devices {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("expected cpu, cpu:N, cuda, cuda:0,2, a number from 1 on or all, got `{text}`");
        let count = |text: &str| text.parse::<NonZeroUsize>().map_err(|_| expected());
        match text.split_once(':') {
            None => match text {
                "auto" => Ok(Devices::Auto),
                "cpu" => Ok(Devices::Cpu(NonZeroUsize::MIN)),
                "cuda" => Ok(Devices::Cuda(vec![0])),
                "all" => Ok(Devices::All),
                number => Ok(Devices::First(count(number)?)),
            },
            Some(("cpu", number)) => Ok(Devices::Cpu(count(number)?)),
            Some(("cuda", list)) => {
                let numbers = list.split(',').map(|number| number.parse().map_err(|_| expected()));
                let numbers = numbers.collect::<Result<Vec<u32>, String>>()?;
                match numbers.iter().enumerate().find(|(at, number)| numbers[..*at].contains(number)) {
                    Some((_, twice)) => Err(format!("expected each device once, got cuda:{twice} twice in `{text}`")),
                    None => Ok(Devices::Cuda(numbers)),
                }
            }
            Some(_) => Err(expected()),
        }
    }
}

impl fmt::Display for Devices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Devices::Auto => f.write_str("auto"),
            Devices::Cpu(NonZeroUsize::MIN) => f.write_str("cpu"),
            Devices::Cpu(count) => write!(f, "cpu:{count}"),
            Devices::Cuda(numbers) => {
                let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
                write!(f, "cuda:{}", numbers.join(","))
            }
            Devices::First(count) => write!(f, "{count}"),
            Devices::All => f.write_str("all"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_understood() {
        let count = |number| NonZeroUsize::new(number).unwrap();
        for (text, devices) in [
            ("auto", Devices::Auto),
            ("cpu", Devices::Cpu(count(1))),
            ("cpu:4", Devices::Cpu(count(4))),
            ("cuda", Devices::Cuda(vec![0])),
            ("cuda:0,2", Devices::Cuda(vec![0, 2])),
            ("8", Devices::First(count(8))),
            ("all", Devices::All),
        ] {
            assert_eq!(text.parse(), Ok(devices.clone()));
            assert_eq!(devices.to_string().parse(), Ok(devices));
        }
    }

    #[test]
    fn what_are_no_devices_is_refused() {
        for text in ["", "0", "cpu:0", "cpu:x", "cuda:", "cuda:0,,1", "cuda:-1", "tpu", "gpu:1", "1.5"] {
            let message = text.parse::<Devices>().expect_err(text);
            assert!(message.contains("expected cpu, cpu:N") && message.contains(text), "{message}");
        }
        assert!("cuda:1,1".parse::<Devices>().expect_err("twice").contains("cuda:1 twice"));
    }
}
