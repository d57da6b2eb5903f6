//! With feature `libtorch`, and where CUDA's toolkit is: compiles the library for GPUs. Programs do not link it but load it
//! (`src/library.rs`), so that they start on machines without CUDA.

#[cfg(feature = "libtorch")]
#[path = "../in18-torch/build/libtorch.rs"]
mod libtorch;

#[cfg(feature = "libtorch")]
mod library {
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use crate::libtorch::location::{CUDA, CUDA_TOOLKIT};
    use crate::libtorch::{compiler, failed, find, variable};

    /// The library's file; none without CUDA's toolkit.
    pub fn make() -> Result<Option<PathBuf>, String> {
        let home = find()?;
        let Some(toolkit) = CUDA_TOOLKIT.folder(variable) else { return Ok(None) };
        let (headers, nvcc) = (toolkit.join("include"), toolkit.join("bin/nvcc"));
        // Watched even while absent.
        println!("cargo::rerun-if-changed={}", nvcc.display());
        if !nvcc.exists() || !home.join("lib/libtorch_cuda.so").exists() {
            return Ok(None);
        }
        let mut files = vec!["../in18-torch/shim/errors.cpp".to_owned()];
        files.extend(["device", "nccl", "operations", "placement"].map(|name| format!("shim/{name}.cpp")));
        println!("cargo::rerun-if-changed=../in18-torch/shim");
        let folders = ["shim/declared", "kernels", "../in18-torch/shim"].map(PathBuf::from);
        let includes: Vec<PathBuf> = folders.into_iter().chain([headers.clone(), headers.join("cccl")]).collect();
        let mut build = compiler(&home, &files, &includes);
        build.define("USE_C10D_NCCL", None).flag("-fvisibility=hidden").pic(true);
        let objects = build.try_compile_intermediates().map_err(|error| failed(&error))?;
        let folder = PathBuf::from(variable("OUT_DIR").ok_or("no OUT_DIR")?);
        let kernels = compile_kernels(&nvcc, &folder)?;
        let (lib, library) = (home.join("lib"), folder.join("libin18_cuda.so"));
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

    /// The files of `kernels/`.
    const KERNELS: [&str; 3] = ["batch_norm", "elementwise", "pool"];

    /// GPUs that the kernels are compiled for: Turing, Ampere (two kinds), Ada, Hopper, Blackwell (two kinds). Later ones
    /// compile them for themselves when they are loaded.
    const ARCHITECTURES: [&str; 7] = ["75", "80", "86", "89", "90", "100", "120"];

    /// The object files of `kernels/`.
    fn compile_kernels(nvcc: &Path, folder: &Path) -> Result<Vec<PathBuf>, String> {
        println!("cargo::rerun-if-changed=kernels");
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

    /// Runs a command; if it fails, `what` begins the message.
    fn run(command: &mut Command, what: &str) -> Result<(), String> {
        let output = command.output().map_err(|error| format!("{what}: {error}"))?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("{what}: {}", String::from_utf8_lossy(&output.stderr)).replace('\n', " "))
    }
}

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "libtorch")]
    match library::make() {
        Ok(library) => {
            let library = library.map(|library| library.display().to_string()).unwrap_or_default();
            println!("cargo::rustc-env=IN18_CUDA_LIBRARY={library}");
        }
        Err(message) => println!("cargo::error={message}"),
    }
}
