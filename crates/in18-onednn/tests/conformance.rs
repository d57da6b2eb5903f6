//! Every operation against the reference provider, over shapes and types.

use in18_kernels::Kernels;
use in18_kernels::conformance::{self, Rounding};
use in18_onednn::OneDnn;
use in18_tensor::DType;

fn check(dtype: DType) {
    let mut provider = OneDnn::new(None).expect("oneDNN starts");
    if !provider.supports(dtype) {
        eprintln!("skipped: this CPU cannot compute in {dtype}");
        return;
    }
    match conformance::check(&mut provider, dtype, Rounding::Once) {
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
