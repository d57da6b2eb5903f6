//! CUDA's toolkit and libtorch, as the library is made of them: the one for GPUs, and `in18-cuda-emulator`'s, whose build script
//! includes this file.
#![allow(dead_code, reason = "each of them uses its part")]

use std::path::PathBuf;
use std::process::Command;

use crate::libtorch::location::CUDA_TOOLKIT;
use crate::libtorch::{find, variable};

/// Where what the library is made of lies.
pub struct Toolkit {
    /// libtorch.
    pub libtorch: PathBuf,
    /// NVIDIA's compiler.
    pub nvcc: PathBuf,
    /// CUDA's headers.
    pub headers: PathBuf,
}

impl Toolkit {
    /// None without CUDA's toolkit.
    pub fn find() -> Result<Option<Self>, String> {
        let libtorch = find()?;
        let Some(folder) = CUDA_TOOLKIT.folder(variable) else { return Ok(None) };
        let (headers, nvcc) = (folder.join("include"), folder.join("bin/nvcc"));
        // Watched even while absent.
        println!("cargo::rerun-if-changed={}", nvcc.display());
        println!("cargo::rerun-if-changed=../in18-cuda/build");
        println!("cargo::rerun-if-changed=../in18-cuda/kernels");
        println!("cargo::rerun-if-changed=../in18-cuda/shim");
        println!("cargo::rerun-if-changed=../in18-torch/shim");
        Ok(nvcc.exists().then_some(Toolkit { libtorch, nvcc, headers }))
    }
}

/// The files of `kernels/`.
pub const KERNELS: [&str; 3] = ["batch_norm", "elementwise", "pool"];

/// Those of `shim/` that know nothing of libtorch's part for GPUs.
pub const SHARED: [&str; 2] = ["device", "operations"];

/// Where the build puts its files.
pub fn output() -> Result<PathBuf, String> {
    variable("OUT_DIR").map(PathBuf::from).ok_or_else(|| "no OUT_DIR".to_owned())
}

/// Runs a command; if it fails, `what` begins the message.
pub fn run(command: &mut Command, what: &str) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{what}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{what}: {}", String::from_utf8_lossy(&output.stderr)).replace('\n', " "))
}

/// Names a library's file to its crate; empty where there is nothing to make it of.
pub fn tell(variable: &str, made: Result<Option<PathBuf>, String>) {
    match made {
        Ok(file) => println!("cargo::rustc-env={variable}={}", file.unwrap_or_default().display()),
        Err(message) => println!("cargo::error={message}"),
    }
}
