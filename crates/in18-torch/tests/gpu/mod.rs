//! The GPUs that tests run on, too: a real one where there is one, and an emulated one.
#![allow(dead_code, reason = "not every test has a use for both")]

use in18_cuda::Gpu;
use in18_testkit::skip::{Lack, impossible, missing};
use in18_torch::{Device, Torch, gpus};

/// The first GPU; without one, the test counts as skipped.
pub fn first() -> Option<Device> {
    match gpus() {
        Ok(count) if count > 0 => return Some(Device::Cuda(0)),
        Err(why) if in18_system::proc::has_nvidia_driver() => {
            missing(&format!("what this machine's GPU needs ({why})"), "`cargo xtask setup --cuda`");
        }
        Ok(_) | Err(_) => impossible(Lack::Gpu),
    }
    None
}

/// libtorch on the CPU, but for what kernels of our own compute on a GPU: they run on the emulator, and their like in libtorch
/// does not. Without the emulator, the test counts as skipped.
pub fn emulated() -> Option<impl Fn() -> Torch> {
    let Some(library) = in18_cuda_emulator::library() else {
        missing("CUDA's toolkit, which the emulator is compiled with,", "`cargo xtask setup --cuda`");
        return None;
    };
    // SAFETY: this is the emulator.
    let gpu = || unsafe { Gpu::emulated(library) }.expect("the emulator loads");
    Some(move || Torch::emulated(gpu()).expect("libtorch starts"))
}
