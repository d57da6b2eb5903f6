//! Compares every operation with the reference provider, over shapes and types.

use in18_kernels::Kernels;
use in18_kernels::conformance::{self, Rounding};
use in18_onednn::OneDnn;
use in18_tensor::DType;
use in18_testkit::skip::{Lack, impossible};

fn check(mut provider: OneDnn, dtype: DType, rounding: Rounding) {
    if !provider.supports(dtype) {
        return impossible(Lack::Bf16);
    }
    match conformance::check(&mut provider, dtype, rounding) {
        Ok(cases) => println!("{cases} cases agree with the reference in {dtype}"),
        Err(failures) => {
            let lines: Vec<String> = failures.iter().map(ToString::to_string).collect();
            panic!("{} failures in {dtype}:\n{}", lines.len(), lines.join("\n"));
        }
    }
}

fn onednn() -> OneDnn {
    OneDnn::new(None).expect("oneDNN starts")
}

#[test]
fn fp32_agrees_with_the_reference() {
    check(onednn(), DType::F32, Rounding::Once);
}

#[test]
fn bf16_agrees_with_the_reference() {
    check(onednn(), DType::Bf16, Rounding::OnceFromFixedPoint);
}

#[test]
fn bf16_without_fixed_point_agrees_with_the_reference() {
    check(onednn().without_fixed_point(), DType::Bf16, Rounding::Once);
}

/// One of these cases runs the code for the other kind of CPU.
#[test]
fn bf16_of_fast_and_slow_pairs_agrees_with_the_reference() {
    for are_fast in [true, false] {
        check(onednn().with_fast_pairs(are_fast), DType::Bf16, Rounding::OnceFromFixedPoint);
    }
}

#[test]
fn packed_products_agree_with_the_reference() {
    check(onednn().with_packed_convolutions(), DType::F32, Rounding::Once);
}

#[test]
fn packed_products_of_bf16_agree_with_the_reference() {
    check(onednn().with_packed_convolutions(), DType::Bf16, Rounding::Once);
}
