//! libtorch, from PyTorch's package. That build is for CUDA, so it needs two of CUDA's libraries
//! even if only the CPU computes. [`cuda`](super::cuda) sets up the rest of CUDA.

use super::packages::{Source, Wheel, check_openmp, take};
use anyhow::{Result, anyhow, bail};
use in18_native::location::{LIBTORCH, variable};
use std::fs;
use std::path::Path;

const SOURCE: Source = Source {
    library: &LIBTORCH,
    wheels: &[
        Wheel {
            package: "torch",
            version: LIBTORCH.version,
            sha256: "60fcdcb2f3876e21146cb4524ef06397d727ca9ad5f020818547e25075fe3cb7",
            // One of the package's files, whatever Python is here: all of them have the same
            // library.
            tags: &["--implementation=cp", "--python-version=3.11", "--abi=cp311", "--platform=manylinux_2_28_x86_64"],
        },
        Wheel {
            package: "nvidia-cuda-runtime",
            version: "13.0.96",
            sha256: "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548",
            tags: &[],
        },
        Wheel {
            package: "nvidia-cuda-cupti",
            version: "13.0.85",
            sha256: "4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8",
            tags: &[],
        },
    ],
    arrange,
    is_complete,
    alternatives: "or set LIBTORCH to a folder with libtorch's lib/ and include/",
};

/// The libraries, and their folders in their packages.
const LIBRARIES: [(&str, &str); 8] = [
    ("torch/lib", "libc10.so"),
    ("torch/lib", "libc10_cuda.so"),
    ("torch/lib", "libtorch.so"),
    ("torch/lib", "libtorch_cpu.so"),
    ("torch/lib", "libtorch_cuda.so"),
    ("torch/lib", "libtorch_nvshmem.so"),
    ("nvidia/cu13/lib", "libcudart.so.13"),
    ("nvidia/cu13/lib", "libcupti.so.13"),
];

/// Makes libtorch available to the build. Does nothing if it already is.
pub fn run() -> Result<()> {
    if let Some(folder) = variable("LIBTORCH") {
        println!("libtorch: taken from LIBTORCH={folder}, nothing to fetch");
        return Ok(());
    }
    let (version, alternatives) = (LIBTORCH.version, SOURCE.alternatives);
    let home = LIBTORCH
        .folder(variable)
        .ok_or_else(|| anyhow!("no folder to install to: set IN18_DEPS to an absolute path, {alternatives}"))?;
    if is_complete(&home) {
        println!("libtorch {version}: already in {}", home.display());
    } else {
        if !cfg!(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")) {
            bail!("the prebuilt libtorch is for x86-64 Linux with glibc: {alternatives}");
        }
        println!("libtorch {version}: fetching (540 MB)");
        SOURCE.install(&home)?;
        println!("libtorch {version}: installed in {}", home.display());
    }
    check_openmp()
}

fn arrange(unpacked: &Path, staged: &Path) -> Result<()> {
    let lib = staged.join("lib");
    fs::create_dir(&lib)?;
    for (folder, name) in LIBRARIES {
        take(&unpacked.join(folder).join(name), &lib.join(name))?;
    }
    take(&unpacked.join("torch/include"), &staged.join("include"))?;
    let licences = unpacked.join(format!("torch-{}.dist-info/licenses", LIBTORCH.version));
    take(&licences, &staged.join("licenses"))
}

fn is_complete(home: &Path) -> bool {
    LIBRARIES.iter().all(|(_, name)| home.join("lib").join(name).exists()) && home.join("include/ATen/ATen.h").exists()
}
