//! `cargo xtask setup`: downloads libraries and tools into the cache, once, and builds the
//! project's own libraries there.
//!
//! * [`onednn`]: the kernels for CPUs.
//! * [`libtorch`]: the base of a second engine and of the exchange between ranks, with `--torch`.
//! * [`cuda`]: what compiling for GPUs and running on them need, with `--cuda` or where a driver
//!   is.
//! * [`own`]: the project's libraries over libtorch, which programs load.
//! * [`tools`]: programs that the checks run, with `--tools`.
//! * [`packages`]: turns Python packages, which contain these, into folders with `lib/`,
//!   `include/`.

mod cuda;
mod libtorch;
mod onednn;
mod own;
mod packages;
mod tools;

use anyhow::Result;

/// What to set up beside oneDNN.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Wanted {
    /// libtorch, and the project's library over it.
    pub torch: bool,
    /// What GPUs need beside libtorch.
    pub gpus: Gpus,
    /// Programs that the checks run.
    pub tools: bool,
}

/// Which parts of CUDA to set up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Gpus {
    /// With libtorch, all parts, but only where a driver is.
    #[default]
    WhereADriverIs,
    /// What compiling and linking need.
    Toolkit,
    /// All parts.
    Everything,
}

/// Makes everything in `wanted` available to the build. Does nothing for what is already there.
pub fn run(wanted: Wanted) -> Result<()> {
    onednn::run()?;
    if wanted.torch {
        libtorch::run()?;
        let everything = wanted.gpus == Gpus::Everything || cuda::is_driver_here();
        own::run_torch()?;
        if everything || wanted.gpus == Gpus::Toolkit {
            cuda::run_toolkit()?;
            own::run_cuda()?;
        }
        if everything {
            cuda::run_libraries()?;
        }
    }
    if wanted.tools {
        tools::run()?;
    }
    Ok(())
}
