//! `cargo xtask setup`: fetches the libraries and tools that the project does not build into the cache, once.
//!
//! * [`onednn`]: the kernels of the default build.
//! * [`libtorch`]: those of feature `torch`, with `--torch`.
//! * [`cuda`]: what that takes to compile for GPUs and to run on them, with `--cuda` or where a driver is.
//! * [`tools`]: programs that the checks run, with `--tools`.
//! * [`packages`]: how Python packages, which hold all of these, become a folder with `lib/` and `include/`.

mod cuda;
mod libtorch;
mod onednn;
mod packages;
mod tools;

use anyhow::Result;
use std::env;

/// What is wanted beside oneDNN.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Wanted {
    /// libtorch.
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
        if everything || wanted.gpus == Gpus::Toolkit {
            cuda::run_toolkit()?;
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

/// An environment variable; one that is set but empty counts as unset, as in the build scripts that look for the results.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
