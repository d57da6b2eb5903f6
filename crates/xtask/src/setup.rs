//! `cargo xtask setup`: fetches the libraries that the project does not build into the cache, once.
//!
//! * [`onednn`]: the kernels of the default build.
//! * [`libtorch`]: those of feature `torch`, with `--torch`.
//! * [`packages`]: how Python packages, which hold them, become a folder with `lib/` and `include/`.

mod libtorch;
mod onednn;
mod packages;

use anyhow::Result;
use std::env;

/// What is wanted beside oneDNN.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Wanted {
    /// libtorch.
    pub torch: bool,
}

/// Makes everything wanted available to the build. Does nothing where it already is.
pub fn run(wanted: Wanted) -> Result<()> {
    onednn::run()?;
    if wanted.torch {
        libtorch::run()?;
    }
    Ok(())
}

/// An environment variable; one that is set but empty counts as unset, as in the build scripts that look for the results.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
