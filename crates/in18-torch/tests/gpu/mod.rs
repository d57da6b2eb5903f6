//! The GPUs that tests run on, too: a real one where there is one, and an emulated one.
#![allow(dead_code, reason = "not every test has a use for both")]

use in18_cuda::Gpu;
use in18_torch::{Device, Torch, gpus};

/// The first GPU; without one, says so.
pub fn first() -> Option<Device> {
    match gpus() {
        Ok(count) if count > 0 => Some(Device::Cuda(0)),
        Ok(_) => {
            println!("not checked: there is no GPU");
            None
        }
        Err(why) => {
            println!("not checked: {why}");
            None
        }
    }
}

/// libtorch on the CPU, but for what kernels of our own compute on a GPU: they run on the emulator, and their like in libtorch
/// does not. Without the emulator, says so.
pub fn emulated() -> Option<impl Fn() -> Torch> {
    let Some(library) = in18_cuda_emulator::library() else {
        println!("not checked: no CUDA toolkit to compile the emulator with (cargo xtask setup --cuda fetches it)");
        return None;
    };
    // SAFETY: this is the emulator.
    let gpu = || unsafe { Gpu::emulated(library) }.expect("the emulator loads");
    Some(move || Torch::emulated(gpu()).expect("libtorch starts"))
}
