//! The library for GPUs.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::libtorch::location::CUDA;
use crate::libtorch::{compiler, failed, variable};
use crate::toolkit::{KERNELS, SHARED, Toolkit, output, run};

/// The library's file; none without CUDA's toolkit and libtorch's part for GPUs.
pub fn make() -> Result<Option<PathBuf>, String> {
    let Some(Toolkit { libtorch, nvcc, headers }) = Toolkit::find()? else { return Ok(None) };
    let lib = libtorch.join("lib");
    if !lib.join("libtorch_cuda.so").exists() {
        return Ok(None);
    }
    let mut files = vec!["../in18-torch/shim/errors.cpp".to_owned()];
    let names = SHARED.into_iter().chain(["libtorch", "nccl", "placement"]);
    files.extend(names.map(|name| format!("shim/{name}.cpp")));
    let folders = ["shim/declared", "kernels", "../in18-torch/shim"].map(PathBuf::from);
    let includes: Vec<PathBuf> = folders.into_iter().chain([headers.clone(), headers.join("cccl")]).collect();
    let mut build = compiler(&libtorch, &files, &includes);
    build.define("USE_C10D_NCCL", None).flag("-fvisibility=hidden").pic(true);
    let objects = build.try_compile_intermediates().map_err(|error| failed(&error))?;
    let folder = output()?;
    let kernels = compile_kernels(&nvcc, &folder)?;
    let library = folder.join("libin18_cuda.so");
    let mut linker = build.get_compiler().to_command();
    linker.args(["-shared", "-Wl,-Bsymbolic", "-o"]).arg(&library).args(objects).args(kernels).arg("-L").arg(&lib);
    // All of them are asked for, whether a symbol of theirs is used or not: libtorch's operations for GPUs register
    // themselves when they are loaded.
    linker.args(["-Wl,--no-as-needed", "-ltorch_cuda", "-lc10_cuda", "-l:libcudart.so.13", "-ltorch_cpu", "-lc10"]);
    // Nothing of ours may be missing; what those libraries need themselves is looked for where there are GPUs.
    linker.args(["-Wl,-z,defs", "-Wl,--unresolved-symbols=ignore-in-shared-libs"]);
    // The old kind of search path, which also counts for what the libraries need themselves.
    linker.arg("-Wl,--disable-new-dtags").arg(format!("-Wl,-rpath,{}", lib.display()));
    if let Some(cuda) = CUDA.folder(variable) {
        linker.arg(format!("-Wl,-rpath,{}", cuda.join("lib").display()));
    }
    run(&mut linker, "the library for GPUs does not link")?;
    Ok(Some(library))
}

/// GPUs that the kernels are compiled for: Turing, Ampere (two kinds), Ada, Hopper, Blackwell (two kinds). Later ones
/// compile them for themselves when they are loaded.
const ARCHITECTURES: [&str; 7] = ["75", "80", "86", "89", "90", "100", "120"];

/// The object files of `kernels/`.
fn compile_kernels(nvcc: &Path, folder: &Path) -> Result<Vec<PathBuf>, String> {
    let mut command = Command::new(nvcc);
    command.args(["-std=c++17", "-O3", "--threads=0", "-Xcompiler=-fPIC,-fvisibility=hidden"]);
    for architecture in ARCHITECTURES {
        command.arg(format!("-gencode=arch=compute_{architecture},code=sm_{architecture}"));
    }
    command.arg("-gencode=arch=compute_120,code=compute_120");
    command.arg("-c").args(KERNELS.map(|name| format!("kernels/{name}.cu"))).arg("-odir").arg(folder);
    run(&mut command, "the kernels do not compile")?;
    Ok(KERNELS.map(|name| folder.join(format!("{name}.o"))).into())
}
