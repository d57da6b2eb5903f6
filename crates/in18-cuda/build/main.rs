//! With feature `libtorch`, and where CUDA's toolkit is: compiles the library for GPUs. Programs do not link it but load it
//! (`src/library.rs`), so that they start on machines without CUDA.

#[cfg(feature = "libtorch")]
#[path = "../../in18-torch/build/libtorch.rs"]
mod libtorch;

#[cfg(feature = "libtorch")]
mod library;
#[cfg(feature = "libtorch")]
mod toolkit;

fn main() {
    println!("cargo::rerun-if-changed=build");
    #[cfg(feature = "libtorch")]
    toolkit::tell("IN18_CUDA_LIBRARY", library::make());
}
