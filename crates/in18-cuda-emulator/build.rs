//! With feature `libtorch`, and where CUDA's headers are: compiles the library.

#[cfg(feature = "libtorch")]
#[path = "../in18-torch/build/libtorch.rs"]
mod libtorch;

#[cfg(feature = "libtorch")]
#[path = "../in18-cuda/build/toolkit.rs"]
mod toolkit;

#[cfg(feature = "libtorch")]
mod library {
    use std::path::PathBuf;

    use crate::libtorch::{compiler, failed};
    use crate::toolkit::{KERNELS, SHARED, Toolkit, output, run};

    /// The library's file; none without CUDA's toolkit, whose headers it needs.
    pub fn make() -> Result<Option<PathBuf>, String> {
        println!("cargo::rerun-if-changed=emulator");
        let Some(Toolkit { libtorch, headers, .. }) = Toolkit::find()? else { return Ok(None) };
        // The emulator's headers come before those that they stand for.
        let includes = ["emulator", "../in18-cuda/shim", "../in18-cuda/kernels", "../in18-torch/shim"];
        let includes: Vec<PathBuf> = includes.into_iter().map(PathBuf::from).chain([headers]).collect();
        // A fortified `longjmp` takes a jump from one fiber's stack to another's for an error.
        let flags = ["-fvisibility=hidden", "-Wno-attributes", "-Wno-unknown-pragmas", "-U_FORTIFY_SOURCE"];

        let mut files = SHARED.map(|name| format!("../in18-cuda/shim/{name}.cpp")).to_vec();
        files.extend(["libtorch", "runtime", "threads"].map(|name| format!("emulator/{name}.cpp")));
        files.push("../in18-torch/shim/errors.cpp".to_owned());
        let mut shim = compiler(&libtorch, &files, &includes);
        with_flags(&mut shim, &flags);

        let files = KERNELS.map(|name| format!("../in18-cuda/kernels/{name}.cu"));
        let mut kernels = compiler(&libtorch, &files, &includes);
        // As nvcc has it: a pack of values and a word are the same memory.
        let dialect = ["-x", "c++", "-include", "emulated.h", "-fno-strict-aliasing"];
        with_flags(with_flags(&mut kernels, &flags), &dialect);

        let (lib, library) = (libtorch.join("lib"), output()?.join("libin18_cuda_emulator.so"));
        let mut linker = shim.get_compiler().to_command();
        linker.args(["-shared", "-Wl,-Bsymbolic", "-o"]).arg(&library);
        for objects in [&shim, &kernels].map(cc::Build::try_compile_intermediates) {
            linker.args(objects.map_err(|error| failed(&error))?);
        }
        linker.arg("-L").arg(&lib).args(["-ltorch_cpu", "-lc10"]);
        linker.args(["-Wl,-z,defs", "-Wl,--unresolved-symbols=ignore-in-shared-libs"]);
        linker.arg(format!("-Wl,-rpath,{}", lib.display()));
        run(&mut linker, "the emulator does not link")?;
        Ok(Some(library))
    }

    fn with_flags<'a>(build: &'a mut cc::Build, flags: &[&str]) -> &'a mut cc::Build {
        flags.iter().fold(build.pic(true), |build, flag| build.flag(flag))
    }
}

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "libtorch")]
    toolkit::tell("IN18_CUDA_EMULATOR", library::make());
}
