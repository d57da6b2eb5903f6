//! With feature `c10d`: compiles the shim over libtorch's distributed engine.

#[cfg(feature = "c10d")]
#[path = "../in18-torch/build/libtorch.rs"]
mod libtorch;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "c10d")]
    match libtorch::link("in18_c10d", &["c10d"], &["shim/declared"]) {
        Ok(folder) => println!("cargo::metadata=RPATH={}", folder.display()),
        Err(message) => println!("cargo::error={message}"),
    }
}
