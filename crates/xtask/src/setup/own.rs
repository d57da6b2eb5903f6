//! The project's own libraries over libtorch, made by `in18-torch-build`.

use anyhow::Result;
use in18_torch_build::Made;

/// Makes the library of operations and ranks. Does nothing where it already is.
pub fn run_torch() -> Result<()> {
    tell("libtorch's part", in18_torch_build::torch()?);
    Ok(())
}

/// Makes that for GPUs, and the one that tests run on the CPU in its place. Needs CUDA's toolkit.
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
