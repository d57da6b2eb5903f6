//! Lets the program find shared libraries by itself, with no environment variable. See `in18-onednn/build.rs`.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Absent where oneDNN is linked statically (feature `vendored-onednn`), and where libtorch is not (no feature `torch`).
    for library in ["DEP_IN18_ONEDNN_RPATH", "DEP_IN18_TORCH_RPATH"] {
        if let Ok(folder) = std::env::var(library) {
            println!("cargo::rustc-link-arg=-Wl,-rpath,{folder}");
        }
    }
}
