//! The vector instructions that this CPU has, as a value. Holding the value proves that the CPU
//! supports them.

use std::arch::x86_64::__cpuid;

use in18_kernels::KernelError;
use in18_system::proc;

use crate::safe::PROVIDER;
use crate::sys;

/// A level of vector instructions that this crate's own loops are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// AVX-512 F, BW, DQ and VL, and the dot products of pairs of bf16 and of integers (VNNI).
    Avx512Bf16,
    /// AVX-512 F, BW, DQ and VL.
    Avx512,
    /// AVX2 and FMA.
    Avx2,
    /// The instructions that every x86-64 CPU has. Tests use it as the oracle of the other levels.
    #[cfg(test)]
    Baseline,
}

/// The level that this CPU has. The field is private, so that only [`Isa::detect`] makes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Isa(Level);

impl Isa {
    /// The level that every CPU has.
    #[cfg(test)]
    pub const BASELINE: Isa = Isa(Level::Baseline);

    /// The level that this value proves.
    pub fn level(self) -> Level {
        self.0
    }

    /// The highest level that this CPU has. AVX-512 only counts if the library uses it too, since
    /// the layouts are the library's.
    ///
    /// # Errors
    /// [`KernelError::Machine`] on a CPU without AVX2 and FMA, and if the library may not use them.
    /// Without them a step takes minutes, which is too slow to be of use.
    pub fn detect() -> Result<Self, KernelError> {
        let allowed = library_isa();
        let has_avx512 = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl");
        let has_pairs = is_x86_feature_detected!("avx512bf16") && is_x86_feature_detected!("avx512vnni");
        let has_avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        let cpu = || proc::cpu_model().unwrap_or_else(|| "a CPU".to_owned());
        if let Some(refusal) = refusal(has_avx2, includes(allowed, sys::ISA_AVX2), cpu) {
            return Err(refusal);
        }
        Ok(Isa(if has_avx512 && has_pairs && includes(allowed, sys::ISA_AVX512_CORE_BF16) {
            Level::Avx512Bf16
        } else if has_avx512 && includes(allowed, sys::ISA_AVX512_CORE) {
            Level::Avx512
        } else {
            Level::Avx2
        }))
    }
}

/// Whether this CPU multiplies bf16 pairs (`VDPBF16PS`) faster than fp32 numbers. AMD's CPUs
/// multiply twice as many, Intel's do not. On two cores of an Intel Xeon of model 207, oneDNN's 1×1
/// convolutions in bf16 took 1.8 times as long as in fp32.
pub fn has_fast_pairs(isa: Isa) -> bool {
    // CPUID leaf 0 holds the manufacturer's name.
    let maker = __cpuid(0);
    let name = [maker.ebx, maker.edx, maker.ecx].map(u32::to_le_bytes);
    isa.level() == Level::Avx512Bf16 && name.as_flattened() != b"GenuineIntel"
}

/// The error if a CPU is refused. `has_avx2`: it has AVX2 and FMA. `is_allowed`: oneDNN may use
/// AVX2.
fn refusal(has_avx2: bool, is_allowed: bool, cpu: impl Fn() -> String) -> Option<KernelError> {
    let cpu = match (has_avx2, is_allowed) {
        (true, true) => return None,
        _ => cpu(),
    };
    let (got, remedy) = match has_avx2 {
        false => (format!("{cpu} without them"), "use another machine, or a GPU (--engine torch --devices cuda)"),
        true => (
            format!("{cpu}, of which oneDNN is told to use less (ONEDNN_MAX_CPU_ISA or DNNL_MAX_CPU_ISA)"),
            "unset that variable, or set it to AVX2 or more",
        ),
    };
    Some(KernelError::Machine { provider: PROVIDER, expected: "a CPU with AVX2 and FMA", got, remedy })
}

/// The instruction set that oneDNN generates code for.
pub fn library_isa() -> sys::cpu_isa {
    // SAFETY: returns a number.
    unsafe { sys::dnnl_get_effective_cpu_isa() }
}

/// Whether the instruction set `isa` contains all of `part`. oneDNN's instruction sets are sets of
/// bits.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cpu_below_avx2_is_refused_by_name() {
        assert!(refusal(true, true, || "Zen 4".to_owned()).is_none());
        for (has_avx2, is_allowed, says) in [
            (false, false, "expected a CPU with AVX2 and FMA, got Xeon E5 without them: use another machine"),
            (true, false, "got Xeon E5, of which oneDNN is told to use less (ONEDNN_MAX_CPU_ISA"),
        ] {
            let message = refusal(has_avx2, is_allowed, || "Xeon E5".to_owned()).expect("refused").to_string();
            assert!(message.contains(says), "{message}");
        }
    }
}
