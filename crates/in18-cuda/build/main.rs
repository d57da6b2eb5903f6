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
    // This crate links no libtorch; but its tests use the test kit, which in a build of several crates brings in18-comm along
    // with c10d, and that does.
    #[cfg(feature = "libtorch")]
    if let Ok(home) = libtorch::find() {
        println!("cargo::rustc-link-arg-tests=-Wl,-rpath,{}", home.join("lib").display());
    }
    #[cfg(feature = "libtorch")]
    toolkit::tell("IN18_CUDA_LIBRARY", library::make());
}
