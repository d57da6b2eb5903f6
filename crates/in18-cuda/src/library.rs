//! Finds the library and loads it, once.

use std::env;
use std::ffi::c_int;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

use crate::device::check;
use crate::sys::Functions;

/// The file beside a program that was moved from where it was built.
const FILE: &str = "libin18_cuda.so";

/// Where the build left it; empty if there was nothing to build it from.
const BUILT: &str = env!("IN18_CUDA_LIBRARY");

/// The driver's own library.
const DRIVER: &str = "libcuda.so.1";

/// What makes it complete.
const SETUP: &str = "run `cargo xtask setup --cuda`, then build again with `cargo build --release --features torch`";

/// How many GPUs there are, or why none can be used.
///
/// Before any other use of libtorch: it looks for its part for GPUs once.
pub fn gpus() -> Result<u32, String> {
    let functions = functions()?;
    let mut count: c_int = 0;
    // SAFETY: the place is valid.
    check(functions, unsafe { (functions.count)(&mut count) }, "counting GPUs").map_err(|error| error.to_string())?;
    Ok(u32::try_from(count).unwrap_or(0))
}

/// Whether an NVIDIA driver is installed.
pub fn has_driver() -> bool {
    open(Path::new(DRIVER)).is_ok()
}

/// The library's file, as the build left it or beside the program: what GPUs need, be there any or not.
///
/// # Errors
/// What is missing.
pub fn check_built() -> Result<PathBuf, String> {
    let beside = env::current_exe().ok().and_then(|program| Some(program.parent()?.join(FILE)));
    let found = beside.into_iter().chain([PathBuf::from(BUILT)]).find(|file| file.is_file());
    found.ok_or_else(|| format!("this program was built without its part for GPUs ({FILE}): {SETUP}"))
}

/// The library's functions.
pub(crate) fn functions() -> Result<&'static Functions, String> {
    static FUNCTIONS: OnceLock<Result<Functions, String>> = OnceLock::new();
    FUNCTIONS.get_or_init(load).as_ref().map_err(Clone::clone)
}

fn load() -> Result<Functions, String> {
    open(Path::new(DRIVER)).map_err(|_| format!("no NVIDIA driver found ({DRIVER}): use --devices cpu"))?;
    load_from(&check_built()?)
}

/// The functions of another library of this kind.
pub(crate) fn load_from(file: &Path) -> Result<Functions, String> {
    let library = open(file).map_err(|why| format!("{} cannot be loaded ({why}): {SETUP}", file.display()))?;
    // SAFETY: a field each, of the type that `shim/` defines the function with.
    let functions = unsafe {
        Functions {
            error: get(&library, "in18_cuda_error")?,
            count: get(&library, "in18_cuda_count")?,
            open: get(&library, "in18_cuda_open")?,
            close: get(&library, "in18_cuda_close")?,
            describe: get(&library, "in18_cuda_describe")?,
            memory_of: get(&library, "in18_cuda_memory_of")?,
            free_memory: get(&library, "in18_cuda_free_memory")?,
            synchronize: get(&library, "in18_cuda_synchronize")?,
            write: get(&library, "in18_cuda_write")?,
            start_read: get(&library, "in18_cuda_start_read")?,
            is_read: get(&library, "in18_cuda_is_read")?,
            finish_read: get(&library, "in18_cuda_finish_read")?,
            run_batch_norm: get(&library, "in18_cuda_run_batch_norm")?,
            run_batch_norm_inference: get(&library, "in18_cuda_run_batch_norm_inference")?,
            run_batch_norm_backward: get(&library, "in18_cuda_run_batch_norm_backward")?,
            run_sum_relu_backward: get(&library, "in18_cuda_run_sum_relu_backward")?,
            run_normalize: get(&library, "in18_cuda_run_normalize")?,
            run_max_pool: get(&library, "in18_cuda_run_max_pool")?,
            run_max_pool_backward: get(&library, "in18_cuda_run_max_pool_backward")?,
            join_nccl: get(&library, "in18_cuda_join_nccl")?,
        }
    };
    // It stays as long as the process: what libtorch registered points into it.
    std::mem::forget(library);
    Ok(functions)
}

/// Opens a shared library.
fn open(file: &Path) -> Result<Library, String> {
    // SAFETY: the initialisers of NVIDIA's and libtorch's libraries are meant to run wherever a process loads them.
    let library = unsafe { Library::open(Some(file), RTLD_NOW | RTLD_LOCAL) };
    library.map_err(|error| error.to_string().replace('\n', " "))
}

/// # Safety
/// `T` must be the type of the function of this name.
unsafe fn get<T: Copy>(library: &Library, name: &str) -> Result<T, String> {
    // SAFETY: by the caller's promise.
    let symbol = unsafe { library.get::<T>(name) };
    symbol.map(|symbol| *symbol).map_err(|error| format!("{FILE} is of another build ({error}): {SETUP}"))
}
