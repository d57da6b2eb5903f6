//! A range of a provider's memory, for an engine that moves bytes between processes.

/// Bytes of a provider's memory, by their address.
///
/// Whoever makes a range promises two things. The memory is valid, for reads and writes by other
/// threads too, until the provider that owns it is dropped or asked to make the arena larger. And
/// the provider does not touch the memory while an exchange is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryRange {
    address: usize,
    bytes: usize,
    /// The number of the CUDA device that holds the memory; `None` for this process's own memory.
    device: Option<u32>,
}

impl MemoryRange {
    /// Only kernel providers and tests may call this (`cargo xtask test` checks that), because only
    /// they can keep the promise.
    pub fn of_provider(address: *mut u8, bytes: usize, device: Option<u32>) -> Self {
        MemoryRange { address: address as usize, bytes, device }
    }

    /// How many bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Where it begins, in the memory of its [device](Self::device).
    pub fn address(&self) -> *mut u8 {
        self.address as *mut u8
    }

    /// The number of the CUDA device that holds the memory; `None` for this process's own memory.
    pub fn device(&self) -> Option<u32> {
        self.device
    }
}
