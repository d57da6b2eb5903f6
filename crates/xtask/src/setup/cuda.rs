//! What GPUs need beside libtorch, from NVIDIA's Python packages in the versions that libtorch was
//! built with: a compiler and headers for the build, and libraries for running.

use super::packages::{Source, Wheel, take};
use crate::process::capture;
use anyhow::{Context, Result, anyhow, bail};
use in18_native::location::{CUDA, CUDA_TOOLKIT, variable};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

const fn wheel(package: &'static str, version: &'static str, sha256: &'static str) -> Wheel {
    Wheel { package, version, sha256, tags: &[] }
}

const ALTERNATIVES: &str = "or build without GPUs by `cargo xtask setup`";

const NCCL: Wheel =
    wheel("nvidia-nccl-cu13", "2.29.7", "edd81538446786ec3b73972543e53bb43bcaf0bfc8ef76cb679fcc390ffe136d");

const TOOLKIT: Source = Source {
    library: &CUDA_TOOLKIT,
    wheels: &[
        NCCL,
        wheel("nvidia-cuda-nvcc", "13.0.88", "56fe502eb77625a12f25172caa3cdddb4e4c8ba2c8c17dba44b164761b380f03"),
        wheel("nvidia-nvvm", "13.0.88", "c5f41ffeb6466944a026dfa5317d7d85355c119bbec279205d22f1869d1054e0"),
        wheel("nvidia-cuda-crt", "13.0.88", "2c8043c7c9e02492716426e9919fc78d2c5b3b2a7a768a88e952676b08aa55a4"),
        wheel("nvidia-cuda-cccl", "13.0.85", "e0da7ad981f3a8aff08241b5bfc1af868742a63e2762f53a5171c492ef242649"),
        wheel("nvidia-cuda-runtime", "13.0.96", "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548"),
    ],
    arrange: arrange_toolkit,
    is_complete: is_toolkit,
    alternatives: ALTERNATIVES,
};

const LIBRARIES: Source = Source {
    library: &CUDA,
    wheels: &[
        NCCL,
        wheel("nvidia-cublas", "13.1.1.3", "37936a16db8fe4ac1f065c2139360608a543a09275cb1a1af612e08cfa065436"),
        wheel("nvidia-cuda-nvrtc", "13.0.88", "ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575"),
        wheel("nvidia-cudnn-cu13", "9.20.0.48", "0c45dd8eeb50b603f07995b1b300c62ffe6a1980482b82b3bcf94a4ca9d49304"),
        wheel("nvidia-cufft", "12.0.0.61", "6c44f692dce8fd5ffd3e3df134b6cdb9c2f72d99cf40b62c32dde45eea9ddad3"),
        wheel("nvidia-cufile", "1.15.1.6", "08a3ecefae5a01c7f5117351c64f17c7c62efa5fffdbe24fc7d298da19cd0b44"),
        wheel("nvidia-curand", "10.4.0.35", "1aee33a5da6e1db083fe2b90082def8915f30f3248d5896bcec36a579d941bfc"),
        wheel("nvidia-cusolver", "12.0.4.66", "0a759da5dea5c0ea10fd307de75cdeb59e7ea4fcb8add0924859b944babf1112"),
        wheel("nvidia-cusparse", "12.6.3.3", "2b3c89c88d01ee0e477cb7f82ef60a11a4bcd57b6b87c33f789350b59759360b"),
        wheel("nvidia-cusparselt-cu13", "0.8.1", "786ce87568c303fadb5afcc7102d454cd3040d75f6f8626f5db460d1871f4dd0"),
        wheel("nvidia-nvjitlink", "13.0.88", "13a74f429e23b921c1109976abefacc69835f2f433ebd323d3946e11d804e47b"),
        wheel("nvidia-nvshmem-cu13", "3.4.5", "290f0a2ee94c9f3687a02502f3b9299a9f9fe826e6d0287ee18482e78d495b80"),
    ],
    arrange: arrange_libraries,
    is_complete: are_libraries,
    alternatives: ALTERNATIVES,
};

/// One file of each package, to check that the package is complete.
const NEEDED: [&str; 12] = [
    "libnccl.so.2",
    "libcublas.so.13",
    "libnvrtc.so.13",
    "libcudnn.so.9",
    "libcufft.so.12",
    "libcufile.so.0",
    "libcurand.so.10",
    "libcusolver.so.12",
    "libcusparse.so.12",
    "libcusparseLt.so.0",
    "libnvJitLink.so.13",
    "libnvshmem_host.so.3",
];

/// Makes the compiler and the headers available to the build. Does nothing if they already are.
pub fn run_toolkit() -> Result<()> {
    install("CUDA's toolkit", &TOOLKIT, 310)
}

/// Makes the libraries available to programs. Does nothing if they already are.
pub fn run_libraries() -> Result<()> {
    install("CUDA's libraries", &LIBRARIES, 1900)
}

/// Whether this machine has an NVIDIA driver.
pub fn is_driver_here() -> bool {
    let known_to_loader = || {
        capture(Command::new("ldconfig").arg("-p"))
            .is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("libcuda.so.1 "))
    };
    in18_system::proc::has_nvidia_driver() || known_to_loader()
}

fn install(what: &str, source: &Source, megabytes: u32) -> Result<()> {
    let version = source.library.version;
    let home = source.library.folder(variable);
    let home = home.ok_or_else(|| anyhow!("no folder to install to: set IN18_DEPS to an absolute path"))?;
    if (source.is_complete)(&home) {
        println!("{what} {version}: already in {}", home.display());
        return Ok(());
    }
    if !cfg!(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")) {
        bail!("{what}: the packages are for x86-64 Linux with glibc: {ALTERNATIVES}");
    }
    println!("{what} {version}: fetching ({megabytes} MB)");
    source.install(&home)?;
    println!("{what} {version}: installed in {}", home.display());
    Ok(())
}

fn arrange_toolkit(unpacked: &Path, staged: &Path) -> Result<()> {
    let cuda = unpacked.join("nvidia/cu13");
    for folder in ["bin", "nvvm", "include"] {
        take(&cuda.join(folder), &staged.join(folder))?;
    }
    // Unpacking loses the permission to execute.
    for folder in ["bin", "nvvm/bin"] {
        for entry in fs::read_dir(staged.join(folder))? {
            let program = entry?.path();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755))
                .with_context(|| format!("cannot make {} executable", program.display()))?;
        }
    }
    for entry in fs::read_dir(unpacked.join("nvidia/nccl/include"))? {
        let entry = entry?;
        take(&entry.path(), &staged.join("include").join(entry.file_name()))?;
    }
    take_licences(unpacked, staged)
}

fn is_toolkit(home: &Path) -> bool {
    let files =
        ["bin/nvcc", "nvvm/bin/cicc", "include/nccl.h", "include/cuda_runtime_api.h", "include/crt/host_config.h"];
    files.iter().all(|file| home.join(file).exists())
}

/// Puts all libraries into one folder, where they find each other.
fn arrange_libraries(unpacked: &Path, staged: &Path) -> Result<()> {
    let lib = staged.join("lib");
    fs::create_dir(&lib)?;
    for package in fs::read_dir(unpacked.join("nvidia"))? {
        let folder = package?.path().join("lib");
        if !folder.is_dir() {
            continue;
        }
        for entry in fs::read_dir(folder)? {
            let (path, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
            if name.to_string_lossy().contains(".so") {
                take(&path, &lib.join(name))?;
            }
        }
    }
    take_licences(unpacked, staged)
}

fn are_libraries(home: &Path) -> bool {
    NEEDED.iter().all(|file| home.join("lib").join(file).exists())
}

/// Keeps each package's licence, under the package's name.
fn take_licences(unpacked: &Path, staged: &Path) -> Result<()> {
    let licences = staged.join("licenses");
    fs::create_dir(&licences)?;
    for entry in fs::read_dir(unpacked)? {
        let (path, name) = entry.map(|entry| (entry.path().join("licenses"), entry.file_name()))?;
        if path.is_dir() {
            take(&path, &licences.join(name))?;
        }
    }
    Ok(())
}
