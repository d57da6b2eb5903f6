//! Compares whole networks with PyTorch. For the golden files and how they were made, see
//! `in18-testkit` and `scripts/golden/networks.py`.

use in18_onednn::OneDnn;
use in18_tensor::DType;
use in18_testkit::networks::check;
use in18_testkit::skip::{Lack, impossible};

fn check_in(dtype: DType) {
    match check(&|| Ok(Box::new(OneDnn::new(None)?)), dtype) {
        Some(values) => println!("{values} values agree"),
        None => impossible(Lack::Bf16),
    }
}

#[test]
fn fp32_computes_what_pytorch_computes() {
    check_in(DType::F32);
}

#[test]
fn bf16_computes_what_bf16_allows() {
    check_in(DType::Bf16);
}
