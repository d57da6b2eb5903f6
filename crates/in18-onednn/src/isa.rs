//! Which vector instructions this CPU has, as a value: holding one proves support.

use crate::sys;

/// The vector instructions that this crate's own loops are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// AVX-512 F, BW, DQ and VL, and its dot products of pairs, of bf16 and of integers (VNNI). Made only by [`Isa::detect`].
    Avx512Bf16,
    /// AVX-512 F, BW, DQ and VL. Made only by [`Isa::detect`].
    Avx512,
    /// AVX2 and FMA. Made only by [`Isa::detect`].
    Avx2,
    /// What every x86-64 CPU has.
    Baseline,
}

impl Isa {
    /// The widest that this CPU has; AVX-512 only if the library uses it too, since the layouts are the library's.
    pub fn detect() -> Self {
        let allowed = library_isa();
        let has_avx512 = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl");
        let has_pairs = is_x86_feature_detected!("avx512bf16") && is_x86_feature_detected!("avx512vnni");
        if has_avx512 && has_pairs && includes(allowed, sys::ISA_AVX512_CORE_BF16) {
            Isa::Avx512Bf16
        } else if has_avx512 && includes(allowed, sys::ISA_AVX512_CORE) {
            Isa::Avx512
        } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            Isa::Avx2
        } else {
            Isa::Baseline
        }
    }
}

/// The instruction set that oneDNN generates code for.
pub fn library_isa() -> sys::cpu_isa {
    // SAFETY: returns a number.
    unsafe { sys::dnnl_get_effective_cpu_isa() }
}

/// Whether one of oneDNN's instruction sets holds all of another: they are sets of bits.
pub fn includes(isa: sys::cpu_isa, part: sys::cpu_isa) -> bool {
    isa & part == part
}

/// oneDNN's name for an instruction set.
pub fn name(isa: sys::cpu_isa) -> &'static str {
    [(sys::ISA_AVX512_CORE_BF16, "avx512_core_bf16"), (sys::ISA_AVX512_CORE, "avx512_core"), (sys::ISA_AVX2, "avx2")]
        .into_iter()
        .find(|&(part, _)| includes(isa, part))
        .map_or("sse4.1", |(_, name)| name)
}
