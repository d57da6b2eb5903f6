//! `cargo xtask setup`: fetches libraries and tools into the cache, once, and makes the project's own libraries there.
//!
//! * [`onednn`]: the kernels for CPUs.
//! * [`libtorch`]: what a second engine, and the joining of ranks, are built on, with `--torch`.
//! * [`cuda`]: what that takes to compile for GPUs and to run on them, with `--cuda` or where a driver is.
//! * [`own`]: the project's libraries over libtorch, which programs load.
//! * [`tools`]: programs that the checks run, with `--tools`.
//! * [`packages`]: how Python packages, which hold all of these, become a folder with `lib/` and `include/`.

mod cuda;
mod libtorch;
mod onednn;
mod own;
mod packages;
mod tools;

use anyhow::Result;

/// What is wanted beside oneDNN.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Wanted {
    /// libtorch, and the project's library over it.
    pub torch: bool,
    /// What GPUs take beside it.
    pub gpus: Gpus,
    /// Programs that the checks run.
    pub tools: bool,
}

/// What is wanted of CUDA.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Gpus {
    /// With libtorch, all of it where a driver is.
    #[default]
    WhereADriverIs,
    /// What compiling and linking takes.
    Toolkit,
    /// All of it.
    Everything,
}

/// Makes everything wanted available to the build. Does nothing where it already is.
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
