//! libtorch's tensors as owned values, and its codes as errors.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fmt;
use std::ptr;

use in18_kernels::KernelError;
use in18_tensor::DType;

use crate::sys::{self, PROVIDER, RawOperation, RawTensor, torch};

/// Where a provider's memory is, and where its operations run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// The CPU, with all threads of this process.
    Cpu,
    /// The CUDA device with this number.
    Cuda(u32),
}

impl Device {
    /// The shim's number for the device.
    fn index(self) -> c_int {
        match self {
            Device::Cpu => -1,
            Device::Cuda(index) => index as c_int,
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Device::Cpu => f.write_str("cpu"),
            Device::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

/// The types of a tensor's elements: those of programs, and that of max pooling's positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// A type of programs.
    Of(DType),
    /// 64-bit integers.
    I64,
}

impl Element {
    /// Bytes of an element.
    pub fn bytes(self) -> usize {
        match self {
            Element::Of(dtype) => dtype.bytes(),
            Element::I64 => 8,
        }
    }

    fn code(self) -> c_int {
        match self {
            Element::Of(DType::F32) => sys::F32,
            Element::Of(DType::Bf16) => sys::BF16,
            Element::Of(DType::F16) => sys::F16,
            Element::Of(DType::U8) => sys::U8,
            Element::Of(DType::I32) => sys::I32,
            Element::I64 => sys::I64,
        }
    }
}

/// Turns a code into a result. `operation` describes the call.
pub fn check(code: c_int, operation: impl FnOnce() -> String) -> Result<(), KernelError> {
    match code {
        sys::DONE => Ok(()),
        sys::OUT_OF_MEMORY => Err(KernelError::Full { provider: PROVIDER }),
        _ => {
            // SAFETY: the text lives until this thread's next call of the shim.
            let status = unsafe { text(torch().error()) };
            Err(KernelError::Library { provider: PROVIDER, operation: operation(), status })
        }
    }
}

/// # Safety
/// `string` must be a C string that lives through the call.
unsafe fn text(string: *const c_char) -> String {
    // SAFETY: by the caller's promise.
    unsafe { CStr::from_ptr(string) }.to_string_lossy().into_owned()
}

/// libtorch's version. The library must be loaded.
pub fn version() -> String {
    // SAFETY: the string is a constant.
    unsafe { text(torch().version()) }
}

/// The instruction set that libtorch's own CPU kernels use.
pub fn cpu_capability() -> String {
    // SAFETY: the string is valid until this thread's next call of this function.
    unsafe { text(torch().cpu_capability()) }
}

/// Makes MKL compute the same bits from the same operands wherever they lie in memory. Call it
/// before anything is computed.
pub fn make_reproducible() {
    // SAFETY: the function takes nothing.
    unsafe { torch().make_reproducible() }
}

/// Sets how many threads compute on the CPU, for the whole process.
pub fn set_threads(threads: usize) -> Result<(), KernelError> {
    // SAFETY: the function takes a number.
    check(unsafe { torch().set_threads(threads as c_int) }, || format!("setting {threads} threads"))
}

/// How many threads compute on the CPU.
pub fn threads() -> usize {
    // SAFETY: the function takes nothing.
    unsafe { torch().threads() }.max(1) as usize
}

/// How many results of this thread's operations were copied to the places that the program planned
/// for them. The library must be loaded.
pub fn copied_results() -> i64 {
    // SAFETY: the function takes nothing.
    unsafe { torch().copied() }
}

/// A tensor over memory that something else owns.
#[derive(Debug)]
pub struct View {
    raw: *mut RawTensor,
}

impl View {
    /// A tensor with these extents and strides (both in elements) that begins at `data`.
    ///
    /// # Safety
    /// The memory must be on the device, hold every element that extents and strides reach, and
    /// outlive every call that takes this view.
    pub unsafe fn new(
        data: *mut c_void,
        element: Element,
        extents: &[usize],
        strides: &[usize],
        device: Device,
    ) -> Result<Self, KernelError> {
        let integers = |values: &[usize]| values.iter().map(|&value| value as i64).collect::<Vec<i64>>();
        let (sizes, steps) = (integers(extents), integers(strides));
        let mut raw = ptr::null_mut();
        let (rank, code, device) = (extents.len() as c_int, element.code(), device.index());
        // SAFETY: both lists have `rank` entries; the rest is the caller's promise.
        let code = unsafe { torch().view(&mut raw, data, code, rank, sizes.as_ptr(), steps.as_ptr(), device) };
        check(code, || format!("a view of {extents:?}"))?;
        Ok(View { raw })
    }

    /// The shim's pointer to the tensor.
    pub fn raw(&self) -> *const RawTensor {
        self.raw
    }

    /// Copies the elements of a view with the same extents. Its type and strides may differ.
    pub fn copy_from(&self, source: &View) -> Result<(), KernelError> {
        // SAFETY: both tensors live.
        check(unsafe { torch().copy(self.raw, source.raw) }, || "a copy".to_owned())
    }
}

impl Drop for View {
    fn drop(&mut self) {
        // SAFETY: made by `in18_torch_view`, and dropped once.
        unsafe { torch().drop(self.raw) };
    }
}

/// A plain operation of the shim's (`shim/plain.cpp`).
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    raw: *const RawOperation,
}

/// The most operands that an operation has.
const MOST_OPERANDS: usize = 16;

impl Operation {
    /// The operation of this name, which takes these numbers of operands and attributes.
    pub fn named(name: &str, operands: usize, attributes: usize) -> Result<Self, KernelError> {
        let (mut raw, text) = (ptr::null(), CString::new(name).expect("names have no zeros"));
        // SAFETY: the text is a C string that lives through the call.
        let code = unsafe { torch().operation(&mut raw, text.as_ptr(), operands, attributes) };
        check(code, || name.to_owned())?;
        assert!(operands <= MOST_OPERANDS, "{name} has {operands} operands");
        Ok(Operation { raw })
    }

    /// Runs it; returns the shim's code.
    ///
    /// # Safety
    /// There must be as many operands and attributes as the operation takes. Their shapes and types
    /// must fit it, and the memory of the operands must live.
    pub unsafe fn run(self, operands: &[View], attributes: &[f64]) -> c_int {
        let mut raw = [ptr::null::<RawTensor>(); MOST_OPERANDS];
        for (raw, view) in raw.iter_mut().zip(operands) {
            *raw = view.raw();
        }
        // SAFETY: by the caller's promise.
        unsafe { torch().run(self.raw, raw.as_ptr(), attributes.as_ptr()) }
    }
}

/// A block of a device's memory, initially zero.
#[derive(Debug)]
pub struct Memory {
    raw: *mut RawTensor,
    bytes: usize,
    device: Device,
}

impl Memory {
    /// Allocates a block.
    pub fn new(bytes: usize, device: Device) -> Result<Self, KernelError> {
        let (mut raw, bytes) = (ptr::null_mut(), bytes.max(1));
        let out_of_memory = || KernelError::OutOfMemory { provider: PROVIDER, bytes };
        if isize::try_from(bytes).is_err() {
            return Err(out_of_memory());
        }
        // SAFETY: the function takes numbers and a valid place.
        let code = unsafe { torch().allocate(&mut raw, bytes, device.index()) };
        if code == sys::OUT_OF_MEMORY {
            return Err(out_of_memory());
        }
        check(code, || format!("{bytes} bytes of memory"))?;
        Ok(Memory { raw, bytes, device })
    }

    /// Its length in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Its address on its device.
    pub fn address(&self) -> *mut u8 {
        // SAFETY: the block lives.
        unsafe { torch().data(self.raw) }.cast()
    }

    /// A tensor in this block with these strides.
    ///
    /// # Errors
    /// [`KernelError::Library`] if it does not lie inside.
    pub fn view(
        &self,
        offset: usize,
        element: Element,
        extents: &[usize],
        strides: &[usize],
    ) -> Result<View, KernelError> {
        let last: usize = extents.iter().zip(strides).map(|(&extent, &stride)| extent.saturating_sub(1) * stride).sum();
        let end = if extents.contains(&0) { offset } else { offset + (last + 1) * element.bytes() };
        if end > self.bytes {
            let (operation, bytes) = (format!("a view of {extents:?}"), self.bytes);
            let status = format!("it would end at byte {end} of {bytes}");
            return Err(KernelError::Library { provider: PROVIDER, operation, status });
        }
        // SAFETY: the offset is at most the block's length, as just compared.
        let data = unsafe { torch().data(self.raw).byte_add(offset) };
        // SAFETY: the last element, and so every element, ends inside the block. `Context` makes
        // sure that the block outlives the calls: it rebuilds programs when a block has moved.
        unsafe { View::new(data, element, extents, strides, self.device) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: made by `in18_torch_allocate`, and freed once.
        unsafe { torch().free(self.raw) };
    }
}
