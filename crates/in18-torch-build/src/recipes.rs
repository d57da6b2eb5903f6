//! What each library is built from, and how.

use std::path::{Path, PathBuf};

use anyhow::Result;
use in18_cuda::library::{EMULATOR, EMULATOR_SOURCES, LIBRARY, SHARED, SOURCES};
use in18_libtorch::COMMON;
use in18_native::location::{CUDA, variable};
use in18_native::{OwnLibrary, Source};

use crate::libtorch;

/// Everything that determines a library's file. Recipes with equal text make equal libraries.
#[derive(Debug)]
pub struct Recipe {
    pub library: OwnLibrary,
    /// Files for the C++ compiler, each with its own flags.
    pub units: Vec<Unit>,
    /// Folders of headers, in the order in which they are searched.
    pub headers: Vec<PathBuf>,
    /// Flags for all units.
    pub flags: Vec<String>,
    /// The GPU kernels, if the library has any.
    pub kernels: Option<Kernels>,
    /// The linker's flags.
    pub link: Vec<String>,
}

/// A C++ file.
#[derive(Debug)]
pub struct Unit {
    pub file: PathBuf,
    pub flags: Vec<String>,
}

/// CUDA C++ files.
#[derive(Debug)]
pub struct Kernels {
    /// NVIDIA's compiler.
    pub compiler: PathBuf,
    pub files: Vec<PathBuf>,
    pub flags: Vec<String>,
}

/// GPUs that the kernels are compiled for: Turing, Ampere (two kinds), Ada, Hopper, Blackwell (two
/// kinds). For newer GPUs, the driver compiles the kernels when they are loaded.
const ARCHITECTURES: [&str; 7] = ["75", "80", "86", "89", "90", "100", "120"];

/// The library of operations on tensors, and of ranks.
pub fn torch() -> Result<Recipe> {
    let home = libtorch::find()?;
    let sources = [COMMON, in18_libtorch::SOURCES];
    let mut link = libraries(&home, &["-ltorch_cpu", "-lc10"]);
    link.extend(rpath(&["$ORIGIN".as_ref(), &home.join("lib")]));
    Ok(Recipe {
        library: in18_libtorch::LIBRARY,
        units: units(&sources),
        headers: headers(&[in_crate(in18_libtorch::SOURCES, "shim/declared")], &home),
        flags: strings(&["-fvisibility=hidden"]),
        kernels: None,
        link,
    })
}

/// The library for GPUs. `None` if this libtorch has no part for GPUs.
pub fn cuda() -> Result<Option<Recipe>> {
    let (home, toolkit) = (libtorch::find()?, libtorch::toolkit()?);
    if !home.join("lib/libtorch_cuda.so").exists() {
        return Ok(None);
    }
    let ours = ["shim/declared", "kernels"].map(|folder| in_crate(SHARED, folder));
    let cuda = toolkit.join("include");
    let folders = ours.into_iter().chain([in_crate(COMMON, "shim"), cuda.clone(), cuda.join("cccl")]);
    let mut flags = strings(&["-std=c++17", "-O3", "--threads=0", "-Xcompiler=-fPIC,-fvisibility=hidden"]);
    flags.extend(ARCHITECTURES.map(|number| format!("-gencode=arch=compute_{number},code=sm_{number}")));
    flags.push("-gencode=arch=compute_120,code=compute_120".to_owned());
    // Link all of them, even those of which no symbol is used: libtorch's operations for GPUs
    // register themselves when they are loaded.
    let needed = ["-Wl,--no-as-needed", "-ltorch_cuda", "-lc10_cuda", "-l:libcudart.so.13", "-ltorch_cpu", "-lc10"];
    let mut link = libraries(&home, &needed);
    // The old kind of search path, which also applies to the libraries' own dependencies.
    link.push("-Wl,--disable-new-dtags".to_owned());
    let own_cuda = CUDA.folder(variable).map(|folder| folder.join("lib"));
    link.extend(rpath(&["$ORIGIN".as_ref(), &home.join("lib")]));
    link.extend(own_cuda.iter().flat_map(|folder| rpath(&[folder])));
    Ok(Some(Recipe {
        library: LIBRARY,
        units: units(&[COMMON, SHARED, SOURCES]),
        headers: headers(&folders.collect::<Vec<_>>(), &home),
        flags: strings(&["-fvisibility=hidden", "-DUSE_C10D_NCCL"]),
        kernels: Some(Kernels { compiler: toolkit.join("bin/nvcc"), files: files(SHARED, "cu"), flags }),
        link,
    }))
}

/// The GPU kernels, and the code that calls them, built for the CPU.
pub fn emulator() -> Result<Recipe> {
    let (home, toolkit) = (libtorch::find()?, libtorch::toolkit()?);
    // The emulator's headers come before the ones that they replace.
    let ours = ["emulator", "shim", "kernels"].map(|folder| in_crate(SHARED, folder));
    let folders = ours.into_iter().chain([in_crate(COMMON, "shim"), toolkit.join("include")]);
    let mut units = units(&[COMMON, SHARED, EMULATOR_SOURCES]);
    // As in nvcc, a pack of values and a machine word may share memory.
    let dialect = strings(&["-x", "c++", "-include", "emulated.h", "-fno-strict-aliasing"]);
    units.extend(files(SHARED, "cu").into_iter().map(|file| Unit { file, flags: dialect.clone() }));
    let mut link = libraries(&home, &["-ltorch_cpu", "-lc10"]);
    link.extend(rpath(&[&home.join("lib")]));
    // A fortified `longjmp` would report a jump from one fiber's stack to another's as an error.
    let flags = ["-fvisibility=hidden", "-Wno-attributes", "-Wno-unknown-pragmas", "-U_FORTIFY_SOURCE"];
    let headers = headers(&folders.collect::<Vec<_>>(), &home);
    Ok(Recipe { library: EMULATOR, units, headers, flags: strings(&flags), kernels: None, link })
}

/// The C++ files of these lists.
fn units(lists: &[&[Source]]) -> Vec<Unit> {
    let files = lists.iter().flat_map(|list| files(list, "cpp"));
    files.map(|file| Unit { file, flags: Vec::new() }).collect()
}

/// The files of a list that have this ending.
fn files(list: &[Source], ending: &str) -> Vec<PathBuf> {
    let paths = list.iter().map(|source| PathBuf::from(source.path));
    paths.filter(|path| path.extension().is_some_and(|found| found == ending)).collect()
}

/// A folder of the crate that a list's files belong to.
fn in_crate(list: &[Source], folder: &str) -> PathBuf {
    let root = list.first().and_then(|source| source.path.strip_suffix(source.name)).unwrap_or_default();
    Path::new(root).join(folder)
}

/// These header folders, followed by libtorch's.
fn headers(folders: &[PathBuf], libtorch: &Path) -> Vec<PathBuf> {
    let include = libtorch.join("include");
    let theirs = [include.clone(), include.join("torch/csrc/api/include")];
    folders.iter().cloned().chain(theirs).collect()
}

/// The flags that link these libraries of libtorch. None of our symbols may be undefined; what the
/// libraries need themselves is looked up when they are loaded.
fn libraries(libtorch: &Path, names: &[&str]) -> Vec<String> {
    let mut link = vec![format!("-L{}", libtorch.join("lib").display())];
    link.extend(strings(names));
    link.extend(strings(&["-Wl,-z,defs", "-Wl,--unresolved-symbols=ignore-in-shared-libs"]));
    link
}

/// Flags for the folders in which a library searches for other libraries.
fn rpath(folders: &[&Path]) -> Vec<String> {
    folders.iter().map(|folder| format!("-Wl,-rpath,{}", folder.display())).collect()
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}
