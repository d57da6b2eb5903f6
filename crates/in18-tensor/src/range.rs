//! A range of a provider's memory, for an engine that moves bytes between processes.

/// Bytes of a provider's memory, by their address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryRange {
    address: usize,
    bytes: usize,
    /// The number of the CUDA device that holds the memory; `None` for this process's own memory.
    device: Option<u32>,
}

impl MemoryRange {
    /// A range of a provider's memory. Only kernel providers, and tests, make these (`cargo xtask test` looks): nobody else knows
    /// how long memory lives. `device`: the CUDA device that the memory is on; none: it is this process's own.
    ///
    /// # Safety
    /// As long as the range, or a copy of it, is used for an exchange among ranks:
    /// * `bytes` bytes from `address` on are one piece of memory of that device, valid for reads and writes from any thread;
    /// * between the start of an exchange and its end nobody else reads or writes them.
    ///
    /// A provider promises the first until it is dropped, or makes the arena larger, and the second for its own work: it touches
    /// the memory only in calls. So whoever takes a range from a provider must let the exchange end before the provider's next
    /// call on that memory, and before the provider is dropped.
    #[expect(unsafe_code, reason = "only declares the function: what it promises is for whoever calls it")]
    pub unsafe fn of_provider(address: *mut u8, bytes: usize, device: Option<u32>) -> Self {
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
