//! Compares whole networks with PyTorch in float64. For the golden files and how they were made,
//! see `in18-testkit` and `scripts/golden/networks.py`.

mod gpu;

use in18_tensor::DType;
use in18_testkit::networks::check;
use in18_torch::{Device, Torch};

fn check_on(device: Device, dtype: DType) {
    let values = check(&|| Ok(Box::new(Torch::new(device, None, false)?)), dtype).expect("libtorch has all types");
    println!("{values} values agree in {dtype} on {device}");
}

fn check_emulated(dtype: DType) {
    let Some(provider) = gpu::emulated() else { return };
    let values = check(&|| Ok(Box::new(provider())), dtype).expect("libtorch has all types");
    println!("{values} values agree in {dtype} on an emulated GPU");
}

#[test]
fn fp32_computes_what_pytorch_computes() {
    let Some(cpu) = gpu::cpu() else { return };
    check_on(cpu, DType::F32);
}

#[test]
fn bf16_computes_what_bf16_allows() {
    let Some(cpu) = gpu::cpu() else { return };
    check_on(cpu, DType::Bf16);
}

#[test]
fn fp16_computes_what_fp16_allows() {
    let Some(cpu) = gpu::cpu() else { return };
    check_on(cpu, DType::F16);
}

#[test]
fn fp32_by_the_kernels_for_gpus_computes_what_pytorch_computes() {
    check_emulated(DType::F32);
}

#[test]
fn bf16_by_the_kernels_for_gpus_computes_what_bf16_allows() {
    check_emulated(DType::Bf16);
}

#[test]
fn a_gpu_computes_what_pytorch_computes() {
    let Some(device) = gpu::first() else { return };
    for dtype in [DType::F32, DType::Bf16, DType::F16] {
        check_on(device, dtype);
    }
}
