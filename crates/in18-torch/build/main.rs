//! With feature `libtorch`: compiles the shim and links libtorch. A program finds the libraries by DEP_IN18_TORCH_RPATH, as
//! with `in18-onednn`.

#[cfg(feature = "libtorch")]
mod libtorch;

fn main() {
    println!("cargo::rerun-if-changed=build");
    #[cfg(feature = "libtorch")]
    match libtorch::link("in18_torch", &["errors", "placement", "tensors", "ops"], &[]) {
        Ok(folder) => println!("cargo::metadata=RPATH={}", folder.display()),
        Err(message) => println!("cargo::error={message}"),
    }
}
