//! The project's own libraries over libtorch, built by `in18-torch-build`.

use anyhow::Result;
use in18_torch_build::Made;

/// Builds the library of operations and ranks. Does nothing if it already exists.
pub fn run_torch() -> Result<()> {
    tell("libtorch's part", in18_torch_build::torch()?);
    Ok(())
}

/// Builds the library for GPUs, and its emulator for tests on the CPU. Needs CUDA's toolkit.
pub fn run_cuda() -> Result<()> {
    match in18_torch_build::cuda()? {
        Some(made) => tell("GPUs' part", made),
        None => println!("GPUs' part: libtorch has none here"),
    }
    tell("the emulator of GPUs", in18_torch_build::emulator()?);
    Ok(())
}

fn tell(what: &str, Made { file, is_new }: Made) {
    println!("{what}: {} {}", if is_new { "compiled," } else { "already" }, file.display());
}
