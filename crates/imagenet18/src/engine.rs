//! The kernel provider, the device and the precision that a run gets.

use std::env;
use std::num::NonZeroUsize;
use std::sync::Once;

use anyhow::Result;
use in18_kernels::{KernelError, Kernels};
use in18_onednn::OneDnn;
use in18_recipe::Precision;
use in18_tensor::DType;
use in18_torch::{Torch, gpus, has_driver};

use crate::cli::{Devices, EngineArgs, EngineChoice};
use crate::cores;
use crate::exit::Usage;
use crate::launch;
use crate::output;
use crate::rank_environment::{self, RankEnvironment};
use crate::ranks;

/// A provider, and the type of activations that it computes in.
pub struct Engine {
    /// The provider.
    pub kernels: Box<dyn Kernels>,
    /// fp32, bf16 or fp16.
    pub dtype: DType,
}

/// The device of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// The CPU: this process's share of its cores.
    Cpu,
    /// The GPU with this number.
    Cuda(u32),
}

impl From<Device> for Devices {
    fn from(device: Device) -> Self {
        match device {
            Device::Cpu => Devices::Cpu(NonZeroUsize::MIN),
            Device::Cuda(number) => Devices::Cuda(vec![number]),
        }
    }
}

/// The engine of this process of a training run, and its rank if there are several. `None` in a
/// process that only launched the ranks, once they have ended.
pub fn choose_rank(arguments: &EngineArgs) -> Result<Option<(Engine, Option<RankEnvironment>)>> {
    let devices = devices(arguments)?;
    let Some(environment) = RankEnvironment::of_this_process()? else {
        return match devices[..] {
            [device] => Ok(Some((on(device, arguments)?, None))),
            ref several => {
                ranks::check_engine().map_err(|why| Usage(format!("--devices: {why}")))?;
                if several[0] == Device::Cpu {
                    // An engine that no rank could use is refused once, here.
                    on(Device::Cpu, arguments)?;
                }
                launch::launch(several.len())?;
                Ok(None)
            }
        };
    };
    launch::end_with_launcher();
    environment.warn_if_incomplete();
    environment.pin_to_cores();
    let is_chosen = env::var_os("CUDA_VISIBLE_DEVICES").is_some_and(|gpus| !gpus.is_empty());
    let sees_one_gpu = is_chosen && gpus() == Ok(1);
    let device = device_of(&environment, &devices, arguments.devices == Devices::Auto, sees_one_gpu)?;
    Ok(Some((on(device, arguments)?, Some(environment))))
}

/// The device of a rank that a launcher has started. `is_auto`: the user named no devices.
/// `sees_one_gpu`: the launcher shows this rank a single GPU, which may not be the next rank's.
fn device_of(
    environment: &RankEnvironment,
    devices: &[Device],
    is_auto: bool,
    sees_one_gpu: bool,
) -> Result<Device, Usage> {
    let &RankEnvironment { local_rank, local_world, is_local_world_known, .. } = environment;
    let got = devices.len();
    match *devices {
        // Several ranks may share one named device only if it is the CPU.
        [Device::Cpu] => Ok(Device::Cpu),
        [only @ Device::Cuda(_)] if sees_one_gpu => Ok(only),
        _ if local_rank >= got || (is_local_world_known && local_world > got) => Err(Usage(format!(
            "--devices: expected one for each of the {local_world} ranks that the launcher started on this machine, got {got}: name \
             more, or start fewer ranks"
        ))),
        _ if is_local_world_known && local_world < got && !is_auto => Err(Usage(format!(
            "--devices: expected as many as the launcher started ranks on this machine, {local_world}, got {got}: name fewer, or \
             start a rank for each"
        ))),
        _ => Ok(devices[local_rank]),
    }
}

/// The provider for any one of the devices, to ask how much memory it would need.
pub fn choose_any(arguments: &EngineArgs) -> Result<Engine> {
    on(devices(arguments)?.first().copied().unwrap_or(Device::Cpu), arguments)
}

/// The provider for a command that takes one device, with a precision that it computes natively.
pub fn choose(arguments: &EngineArgs) -> Result<Engine> {
    on(single(arguments)?, arguments)
}

/// Refuses a CPU that cannot compute. For commands that do other work before they choose one.
pub fn check(arguments: &EngineArgs) -> Result<()> {
    if arguments.engine != EngineChoice::Torch && !takes_gpus(arguments) {
        OneDnn::check_cpu()?;
    }
    Ok(())
}

/// How many devices a training run uses without a launcher.
pub fn count(arguments: &EngineArgs) -> Result<usize> {
    Ok(devices(arguments)?.len())
}

/// Whether the run would compute on GPUs.
pub fn takes_gpus(arguments: &EngineArgs) -> bool {
    devices(arguments).is_ok_and(|devices| matches!(devices[..], [Device::Cuda(_), ..]))
}

/// The device of a command that takes only one.
pub fn single(arguments: &EngineArgs) -> Result<Device> {
    match devices(arguments)?[..] {
        [device] => Ok(device),
        // The user did not ask for all of them.
        [first, ..] if arguments.devices == Devices::Auto => Ok(first),
        ref several => {
            let got = several.len();
            Err(Usage(format!("--devices: expected one device, got {got}: only `train` and `bench step` take several"))
                .into())
        }
    }
}

/// The provider for a device.
fn on(device: Device, arguments: &EngineArgs) -> Result<Engine> {
    let threads = arguments.threads.unwrap_or_else(cores::available).get();
    let kernels: Box<dyn Kernels> = match (arguments.engine, device) {
        (EngineChoice::Torch, _) | (EngineChoice::Auto, Device::Cuda(_)) => torch(device, threads, !arguments.no_tf32)?,
        (EngineChoice::Auto | EngineChoice::Onednn, Device::Cpu) => Box::new(OneDnn::new(Some(threads))?),
        (EngineChoice::Onednn, Device::Cuda(number)) => {
            let got = format!("--devices: expected cpu with --engine onednn, got cuda:{number}");
            return Err(Usage(format!("{got}: use --engine torch")).into());
        }
    };
    let dtype = precision(arguments.precision, &*kernels)?;
    Ok(Engine { kernels, dtype })
}

fn precision(written: Precision, kernels: &dyn Kernels) -> Result<DType, KernelError> {
    let fastest = [DType::Bf16, DType::F16].into_iter().find(|&dtype| kernels.native(dtype));
    let dtype = match written {
        Precision::Fp32 => DType::F32,
        Precision::Auto => fastest.unwrap_or(DType::F32),
        Precision::Bf16 => DType::Bf16,
        Precision::Fp16 => DType::F16,
    };
    if !kernels.supports(dtype) {
        return Err(KernelError::Unsupported {
            provider: "the engine",
            what: format!("{dtype} here ({})", kernels.describe()),
            remedy: if dtype == DType::F16 {
                "use --engine torch, or --precision bf16"
            } else {
                "use --precision fp32"
            },
        });
    }
    Ok(dtype)
}

/// The devices that the arguments mean, one for each process of this machine.
fn devices(arguments: &EngineArgs) -> Result<Vec<Device>> {
    let all_gpus = || -> Result<Vec<Device>> {
        let count = gpus().map_err(|why| Usage(format!("--devices {}: {why}", arguments.devices)))?;
        Ok((0..count).map(Device::Cuda).collect())
    };
    match &arguments.devices {
        Devices::Cpu(count) => Ok(vec![Device::Cpu; count.get()]),
        Devices::Auto if arguments.engine == EngineChoice::Onednn => Ok(vec![Device::Cpu]),
        Devices::Auto => match gpus() {
            Ok(count) if count > 0 => Ok((0..count).map(Device::Cuda).collect()),
            Err(why) if has_driver() && rank_environment::is_reporter() => {
                // A user who has a GPU wants to know why it is idle.
                static ONCE: Once = Once::new();
                ONCE.call_once(|| output::complain(&format!("warning: the CPU computes: {why}")));
                Ok(vec![Device::Cpu])
            }
            _ => Ok(vec![Device::Cpu]),
        },
        Devices::All => all_gpus(),
        Devices::First(count) => {
            let (all, wanted) = (all_gpus()?, count.get());
            match all.get(..wanted) {
                Some(first) => Ok(first.to_vec()),
                None => {
                    let got = format!("--devices: expected at most {}, the number of GPUs, got {wanted}", all.len());
                    Err(Usage(got).into())
                }
            }
        }
        Devices::Cuda(numbers) => {
            let count = all_gpus()?.len();
            match numbers.iter().find(|&&number| number as usize >= count) {
                Some(number) => {
                    Err(Usage(format!("--devices: expected GPUs below cuda:{count}, got cuda:{number}")).into())
                }
                None => Ok(numbers.iter().copied().map(Device::Cuda).collect()),
            }
        }
    }
}

/// The libtorch provider on a device.
fn torch(device: Device, threads: usize, tf32: bool) -> Result<Box<dyn Kernels>> {
    in18_libtorch::operations().map_err(|why| Usage(format!("--engine torch: {why}")))?;
    let device = match device {
        Device::Cpu => in18_torch::Device::Cpu,
        Device::Cuda(number) => in18_torch::Device::Cuda(number),
    };
    Ok(Box::new(Torch::new(device, Some(threads), tf32)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rank_takes_its_own_device() {
        let rank = |local_rank, local_world| RankEnvironment {
            rank: local_rank,
            world: 8,
            local_rank,
            local_world,
            is_local_world_known: true,
            master: String::new(),
            port: 0,
            agent_prefix: None,
        };
        let gpus = |count| (0..count).map(Device::Cuda).collect::<Vec<Device>>();
        let device = |environment: &RankEnvironment, devices: &[Device], is_auto, sees_one_gpu| {
            device_of(environment, devices, is_auto, sees_one_gpu).map_err(|Usage(text)| text)
        };
        assert_eq!(device(&rank(2, 4), &gpus(4), false, false), Ok(Device::Cuda(2)));
        // One of several that the user did not name; the only one that is shown; the CPU for all.
        assert_eq!(device(&rank(1, 2), &gpus(4), true, false), Ok(Device::Cuda(1)));
        assert_eq!(device(&rank(1, 2), &gpus(1), true, true), Ok(Device::Cuda(0)));
        assert_eq!(device(&rank(1, 2), &[Device::Cpu], false, false), Ok(Device::Cpu));
        // Two machines of four GPUs. Their launcher does not say how many ranks each machine has.
        let vague = RankEnvironment { is_local_world_known: false, ..rank(3, 8) };
        assert_eq!(device(&vague, &gpus(4), false, false), Ok(Device::Cuda(3)));
        for (devices, is_auto, says) in [
            (gpus(1), true, "expected one for each of the 2 ranks that the launcher started on this machine, got 1"),
            (gpus(4), false, "expected as many as the launcher started ranks on this machine, 2, got 4"),
            (vec![Device::Cpu; 3], false, "2, got 3"),
        ] {
            let message = device(&rank(1, 2), &devices, is_auto, false).expect_err(says);
            assert!(message.contains(says), "{message}");
        }
    }
}
