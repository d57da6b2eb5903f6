//! Compares every operation with the reference provider, over shapes and types.

mod gpu;

use in18_kernels::Kernels;
use in18_kernels::conformance::{self, Rounding};
use in18_tensor::DType;
use in18_torch::{Device, Torch};

fn check(mut provider: Torch, dtype: DType) {
    let on = provider.describe();
    match conformance::check(&mut provider, dtype, Rounding::EachStep) {
        Ok(cases) => println!("{cases} cases agree with the reference in {dtype} on {on}"),
        Err(failures) => {
            let lines: Vec<String> = failures.iter().map(ToString::to_string).collect();
            panic!("{} failures in {dtype} on {on}:\n{}", lines.len(), lines.join("\n"));
        }
    }
}

fn check_on(device: Device, dtype: DType) {
    check(Torch::new(device, None, false).expect("libtorch starts"), dtype);
}

fn check_emulated(dtype: DType) {
    if let Some(provider) = gpu::emulated() {
        check(provider(), dtype);
    }
}

#[test]
fn fp32_agrees_with_the_reference() {
    let Some(cpu) = gpu::cpu() else { return };
    check_on(cpu, DType::F32);
}

#[test]
fn bf16_agrees_with_the_reference() {
    let Some(cpu) = gpu::cpu() else { return };
    check_on(cpu, DType::Bf16);
}

#[test]
fn fp16_agrees_with_the_reference() {
    let Some(cpu) = gpu::cpu() else { return };
    check_on(cpu, DType::F16);
}

#[test]
fn fp32_by_the_kernels_for_gpus_agrees_with_the_reference() {
    check_emulated(DType::F32);
}

#[test]
fn bf16_by_the_kernels_for_gpus_agrees_with_the_reference() {
    check_emulated(DType::Bf16);
}

#[test]
fn fp16_by_the_kernels_for_gpus_agrees_with_the_reference() {
    check_emulated(DType::F16);
}

#[test]
fn a_gpu_agrees_with_the_reference() {
    let Some(device) = gpu::first() else { return };
    for dtype in [DType::F32, DType::Bf16, DType::F16] {
        check_on(device, dtype);
    }
}
