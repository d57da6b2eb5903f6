//! Every operation against the reference provider, over shapes and types.
#![cfg(feature = "libtorch")]

use in18_kernels::conformance::{self, Rounding};
use in18_tensor::DType;
use in18_torch::{Device, Torch};

fn check(dtype: DType) {
    let mut provider = Torch::new(Device::Cpu, None).expect("libtorch starts");
    match conformance::check(&mut provider, dtype, Rounding::EachStep) {
        Ok(cases) => println!("{cases} cases agree with the reference in {dtype}"),
        Err(failures) => {
            let lines: Vec<String> = failures.iter().map(ToString::to_string).collect();
            panic!("{} failures in {dtype}:\n{}", lines.len(), lines.join("\n"));
        }
    }
}

#[test]
fn fp32_agrees_with_the_reference() {
    check(DType::F32);
}

#[test]
fn bf16_agrees_with_the_reference() {
    check(DType::Bf16);
}

#[test]
fn fp16_agrees_with_the_reference() {
    check(DType::F16);
}
