//! The devices that tests run on: the CPU, a GPU where there is one, and an emulated GPU.
#![allow(dead_code, reason = "not every test has a use for all")]

use in18_cuda::Gpu;
use in18_cuda::library::EMULATOR;
use in18_libtorch::LIBRARY;
use in18_testkit::skip::{Lack, impossible, lacks, missing};
use in18_torch::{Device, Torch, gpus};

/// The CPU. Without libtorch's library, the test counts as skipped.
pub fn cpu() -> Option<Device> {
    (!lacks(LIBRARY)).then_some(Device::Cpu)
}

/// The first GPU. Without a GPU, the test counts as skipped.
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

/// libtorch on the CPU, but with the project's own GPU kernels on the emulator in place of
/// libtorch's operations. Without the emulator, the test counts as skipped.
pub fn emulated() -> Option<impl Fn() -> Torch> {
    if lacks(LIBRARY) || lacks(EMULATOR) {
        return None;
    }
    Some(|| Torch::emulated(Gpu::emulated().expect("the emulator loads")).expect("libtorch starts"))
}
