//! Whole networks against PyTorch in float64. The golden files and how they were made: `in18-testkit`,
//! `scripts/golden/networks.py`.
#![cfg(feature = "libtorch")]

use in18_tensor::DType;
use in18_testkit::networks::check;
use in18_torch::{Device, Torch};

fn check_in(dtype: DType) {
    let values = check(&|| Ok(Box::new(Torch::new(Device::Cpu, None)?)), dtype).expect("libtorch has all types");
    println!("{values} values agree");
}

#[test]
fn fp32_computes_what_pytorch_computes() {
    check_in(DType::F32);
}

#[test]
fn bf16_computes_what_bf16_allows() {
    check_in(DType::Bf16);
}

#[test]
fn fp16_computes_what_fp16_allows() {
    check_in(DType::F16);
}
