//! oneDNN's objects as owned Rust values whose calls return a `Result`.
//!
//! Memory handles point at memory that somebody else owns, so running a primitive is `unsafe`. The
//! provider owns that memory and proves that its calls are safe.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

use in18_kernels::KernelError;

use crate::sys;

/// The provider's name in error messages.
pub const PROVIDER: &str = "oneDNN";

/// Prefixes of the names of implementations that generate code for the CPU's vector instructions.
const VECTORISED: [&str; 5] = ["jit", "brg", "x64:jit", "x64:gemm:jit", "gemm:jit"];

/// Whether the implementation of this name computes with vector instructions. An unknown name
/// counts as not vectorised.
pub fn is_vectorised(name: &str) -> bool {
    VECTORISED.iter().any(|prefix| name.starts_with(prefix))
}

/// A status as a `Result`. `operation` is called only on failure.
fn check(status: sys::status, operation: impl FnOnce() -> String) -> Result<(), KernelError> {
    let status = match status {
        sys::SUCCESS => return Ok(()),
        sys::OUT_OF_MEMORY => "out of memory".to_owned(),
        sys::INVALID_ARGUMENTS => "invalid arguments".to_owned(),
        sys::UNIMPLEMENTED => "not implemented for these shapes and types on this CPU".to_owned(),
        sys::RUNTIME_ERROR => "runtime error".to_owned(),
        other => format!("status {other}"),
    };
    Err(KernelError::Library { provider: PROVIDER, operation: operation(), status })
}

/// The library's version, such as `3.2.0`.
pub fn version() -> String {
    // SAFETY: returns a pointer to a static struct.
    let version = unsafe { &*sys::dnnl_version() };
    format!("{}.{}.{}", version.major, version.minor, version.patch)
}

/// Defines an owned handle that is destroyed on drop.
macro_rules! handle {
    ($(#[$meta:meta])* $name:ident, $raw:ident, $destroy:ident) => {
        $(#[$meta])*
        #[derive(Debug)]
        pub struct $name(*mut sys::$raw);

        impl Drop for $name {
            fn drop(&mut self) {
                // SAFETY: the handle was created by the library, is owned by this value and
                // destroyed once.
                unsafe { sys::$destroy(self.0) };
            }
        }
    };
}

handle!(
    /// The CPU as a device.
    Engine,
    engine,
    dnnl_engine_destroy
);
handle!(
    /// An in-order queue of an engine.
    Stream,
    stream,
    dnnl_stream_destroy
);
handle!(
    /// Shape, type and layout of a memory.
    MemoryDesc,
    memory_desc,
    dnnl_memory_desc_destroy
);
handle!(
    /// A description bound to an address, which is set before each use.
    Memory,
    memory,
    dnnl_memory_destroy
);
handle!(
    /// Operations fused to the end of a primitive.
    PostOps,
    post_ops,
    dnnl_post_ops_destroy
);
handle!(
    /// Settings of primitives beside their operation. With these settings, scratch memory comes
    /// from the caller.
    Attributes,
    primitive_attr,
    dnnl_primitive_attr_destroy
);
handle!(
    /// A chosen implementation of an operation.
    PrimitiveDesc,
    primitive_desc,
    dnnl_primitive_desc_destroy
);
handle!(
    /// The compiled code of an operation.
    Primitive,
    primitive,
    dnnl_primitive_destroy
);

impl Engine {
    /// The CPU.
    pub fn cpu() -> Result<Self, KernelError> {
        let mut raw = ptr::null_mut();
        // SAFETY: `raw` is a valid place for the new handle.
        check(unsafe { sys::dnnl_engine_create(&mut raw, sys::ENGINE_CPU, 0) }, || "engine".to_owned())?;
        Ok(Engine(raw))
    }

    pub(crate) fn raw(&self) -> *mut sys::engine {
        self.0
    }
}

impl Stream {
    /// A queue that runs its primitives one after another.
    pub fn new(engine: &Engine) -> Result<Self, KernelError> {
        let mut raw = ptr::null_mut();
        // SAFETY: the engine is alive; `raw` is a valid place for the new handle.
        let status = unsafe { sys::dnnl_stream_create(&mut raw, engine.0, sys::STREAM_IN_ORDER) };
        check(status, || "stream".to_owned())?;
        Ok(Stream(raw))
    }
}

/// What a primitive does to its result before it stores it.
#[derive(Clone, Copy, Debug)]
pub enum PostOp {
    /// Adds what was in the result's place before.
    Sum,
    /// Sets negative values to 0.
    Relu,
}

impl PostOps {
    fn new(all: &[PostOp]) -> Result<Self, KernelError> {
        let mut raw = ptr::null_mut();
        // SAFETY: `raw` is a valid place for the new handle.
        check(unsafe { sys::dnnl_post_ops_create(&mut raw) }, || "post-operations".to_owned())?;
        let post_ops = PostOps(raw);
        for op in all {
            // SAFETY: all handles are alive.
            let status = unsafe {
                match op {
                    // The sum has no type of its own: the old value is read in the type of the
                    // result.
                    PostOp::Sum => sys::dnnl_post_ops_append_sum(raw, 1.0, 0, sys::UNDEFINED),
                    PostOp::Relu => sys::dnnl_post_ops_append_eltwise(raw, sys::ELTWISE_RELU, 0.0, 0.0),
                }
            };
            check(status, || format!("post-operation {op:?}"))?;
        }
        Ok(post_ops)
    }
}

impl Attributes {
    /// Attributes that take scratch memory from the caller, and fuse operations.
    pub fn fused(post_ops: &[PostOp]) -> Result<Self, KernelError> {
        let (attributes, post_ops) = (Self::user_scratchpad()?, PostOps::new(post_ops)?);
        // SAFETY: both handles are alive; the library copies the operations.
        let status = unsafe { sys::dnnl_primitive_attr_set_post_ops(attributes.0, post_ops.0) };
        check(status, || "post-operations".to_owned())?;
        Ok(attributes)
    }

    /// Attributes that take scratch memory from the caller.
    pub fn user_scratchpad() -> Result<Self, KernelError> {
        let mut raw = ptr::null_mut();
        // SAFETY: `raw` is a valid place for the new handle.
        check(unsafe { sys::dnnl_primitive_attr_create(&mut raw) }, || "attributes".to_owned())?;
        let attributes = Attributes(raw);
        // SAFETY: the handle was just created.
        let status = unsafe { sys::dnnl_primitive_attr_set_scratchpad_mode(raw, sys::SCRATCHPAD_USER) };
        check(status, || "scratchpad mode".to_owned())?;
        Ok(attributes)
    }

    pub(crate) fn raw(&self) -> *const sys::primitive_attr {
        self.0
    }
}

/// Extents in oneDNN's form.
pub fn dims(extents: &[usize]) -> sys::dims {
    let mut dims = [0; sys::MAX_NDIMS];
    for (dim, &extent) in dims.iter_mut().zip(extents) {
        *dim = extent as sys::dim;
    }
    dims
}

impl MemoryDesc {
    /// A description in one of the library's named layouts. [`sys::ANY`] leaves the choice of the
    /// layout to a primitive.
    pub fn new(extents: &[usize], data_type: sys::data_type, tag: sys::format_tag) -> Result<Self, KernelError> {
        let mut raw = ptr::null_mut();
        let dims = dims(extents);
        // SAFETY: `dims` holds `MAX_NDIMS` extents; `raw` is a valid place for the new handle.
        let status = unsafe {
            sys::dnnl_memory_desc_create_with_tag(&mut raw, extents.len() as c_int, dims.as_ptr(), data_type, tag)
        };
        check(status, || format!("memory description {extents:?} type {data_type} layout {tag}"))?;
        Ok(MemoryDesc(raw))
    }

    /// The size in bytes of a memory with this description.
    pub fn bytes(&self) -> usize {
        // SAFETY: the handle is alive.
        unsafe { sys::dnnl_memory_desc_get_size(self.0) }
    }

    /// A copy of a description that something else owns.
    ///
    /// # Safety
    /// `raw` must be null or a live description.
    unsafe fn cloned(raw: *const sys::memory_desc) -> Result<Self, KernelError> {
        let mut copy = ptr::null_mut();
        // SAFETY: by the caller's promise; the library returns an error for null.
        check(unsafe { sys::dnnl_memory_desc_clone(&mut copy, raw) }, || "memory description".to_owned())?;
        Ok(MemoryDesc(copy))
    }

    pub(crate) fn raw(&self) -> *const sys::memory_desc {
        self.0
    }
}

impl Clone for MemoryDesc {
    fn clone(&self) -> Self {
        // SAFETY: the handle is alive.
        unsafe { MemoryDesc::cloned(self.0) }.expect("a description that exists can be copied")
    }
}

impl PartialEq for MemoryDesc {
    fn eq(&self, other: &Self) -> bool {
        // SAFETY: both handles are alive.
        unsafe { sys::dnnl_memory_desc_equal(self.0, other.0) != 0 }
    }
}

impl Memory {
    /// A memory of this description without an address.
    pub fn new(desc: &MemoryDesc, engine: &Engine) -> Result<Self, KernelError> {
        let mut raw = ptr::null_mut();
        // SAFETY: description and engine are alive; a null handle is `DNNL_MEMORY_NONE`, no address
        // yet.
        let status = unsafe { sys::dnnl_memory_create(&mut raw, desc.0, engine.0, ptr::null_mut()) };
        check(status, || "memory".to_owned())?;
        Ok(Memory(raw))
    }
}

impl PrimitiveDesc {
    /// Wraps the description that one of the library's `…_primitive_desc_create` functions makes.
    ///
    /// # Safety
    /// `create` must pass its argument to such a function, together with live objects.
    pub unsafe fn create(
        operation: impl FnOnce() -> String,
        create: impl FnOnce(*mut *mut sys::primitive_desc) -> sys::status,
    ) -> Result<Self, KernelError> {
        let mut raw = ptr::null_mut();
        check(create(&mut raw), operation)?;
        Ok(PrimitiveDesc(raw))
    }

    /// Like [`create`](Self::create), but wraps the first implementation that computes with vector
    /// instructions. `None` if the library has none: its plain loops (`ref:any`, `simple:any`,
    /// `gemm:ref`, …) take a hundred times as long or more.
    ///
    /// # Safety
    /// As [`create`](Self::create).
    pub unsafe fn vectorised(
        operation: impl FnOnce() -> String,
        create: impl FnOnce(*mut *mut sys::primitive_desc) -> sys::status,
    ) -> Result<Option<Self>, KernelError> {
        let mut raw = ptr::null_mut();
        let status = create(&mut raw);
        if status == sys::UNIMPLEMENTED {
            return Ok(None);
        }
        check(status, operation)?;
        let mut desc = PrimitiveDesc(raw);
        while !desc.is_vectorised() {
            if !desc.next_implementation() {
                return Ok(None);
            }
        }
        Ok(Some(desc))
    }

    /// Like [`vectorised`](Self::vectorised), but wraps the library's first choice if no
    /// implementation is vectorised.
    ///
    /// # Safety
    /// As [`create`](Self::create).
    pub unsafe fn preferred(
        operation: impl Fn() -> String,
        create: impl Fn(*mut *mut sys::primitive_desc) -> sys::status,
    ) -> Result<Self, KernelError> {
        // SAFETY: by the caller's promise.
        match unsafe { Self::vectorised(&operation, &create)? } {
            Some(desc) => Ok(desc),
            // SAFETY: as above.
            None => unsafe { Self::create(operation, create) },
        }
    }

    /// A copy between layouts or types.
    pub fn reorder(
        from: &MemoryDesc,
        to: &MemoryDesc,
        engine: &Engine,
        attributes: &Attributes,
    ) -> Result<Self, KernelError> {
        // SAFETY: all handles are alive.
        unsafe {
            PrimitiveDesc::create(
                || "reorder".to_owned(),
                |pd| {
                    sys::dnnl_reorder_primitive_desc_create(
                        pd,
                        from.raw(),
                        engine.raw(),
                        to.raw(),
                        engine.raw(),
                        attributes.raw(),
                    )
                },
            )
        }
    }

    /// The description that the implementation chose for an operand (one of the `QUERY_`
    /// constants).
    pub fn operand(&self, query: c_int) -> Result<MemoryDesc, KernelError> {
        // SAFETY: the handle is alive. The description returned lives as long, and is copied at
        // once.
        unsafe { MemoryDesc::cloned(sys::dnnl_primitive_desc_query_md(self.0, query, 0)) }
    }

    /// Moves on to the library's next implementation. Returns whether there is one.
    pub fn next_implementation(&mut self) -> bool {
        // SAFETY: the handle is alive. If there is no other implementation, the library does not
        // change it.
        unsafe { sys::dnnl_primitive_desc_next_impl(self.0) == sys::SUCCESS }
    }

    /// The implementation's name, such as `jit:avx512_core_bf16`.
    pub fn implementation(&self) -> String {
        let mut text: *const c_char = ptr::null();
        // SAFETY: this query writes a pointer to a string that lives as long as the handle.
        unsafe {
            let status =
                sys::dnnl_primitive_desc_query(self.0, sys::QUERY_IMPL_INFO, 0, (&raw mut text).cast::<c_void>());
            if status != sys::SUCCESS || text.is_null() {
                return String::new();
            }
            CStr::from_ptr(text).to_string_lossy().into_owned()
        }
    }

    /// Whether the implementation computes with vector instructions.
    pub fn is_vectorised(&self) -> bool {
        is_vectorised(&self.implementation())
    }

    pub(crate) fn raw(&self) -> *const sys::primitive_desc {
        self.0
    }
}

impl Primitive {
    /// Compiles an implementation.
    pub fn new(desc: &PrimitiveDesc) -> Result<Self, KernelError> {
        let mut raw = ptr::null_mut();
        // SAFETY: the description is alive; `raw` is a valid place for the new handle.
        check(unsafe { sys::dnnl_primitive_create(&mut raw, desc.0) }, || {
            format!("compilation of {}", desc.implementation())
        })?;
        Ok(Primitive(raw))
    }
}

/// A primitive with its operands. It can be run again and again, at new addresses each time.
#[derive(Debug)]
pub struct Call {
    primitive: Primitive,
    memories: Vec<Memory>,
    arguments: Vec<sys::exec_arg>,
    operation: String,
    implementation: String,
}

impl Call {
    /// Binds a primitive to descriptions of its operands, each with its `ARG_` constant.
    pub fn new(
        desc: &PrimitiveDesc,
        operands: &[(c_int, &MemoryDesc)],
        engine: &Engine,
        operation: impl Into<String>,
    ) -> Result<Self, KernelError> {
        let primitive = Primitive::new(desc)?;
        let memories =
            operands.iter().map(|(_, desc)| Memory::new(desc, engine)).collect::<Result<Vec<_>, KernelError>>()?;
        let arguments =
            operands.iter().zip(&memories).map(|(&(arg, _), memory)| sys::exec_arg { arg, memory: memory.0 }).collect();
        let implementation = desc.implementation();
        Ok(Call { primitive, memories, arguments, operation: operation.into(), implementation })
    }

    /// [`PrimitiveDesc::implementation`].
    pub fn implementation(&self) -> &str {
        &self.implementation
    }

    /// Runs the primitive and waits for its end. `addresses` has one address per operand, in the
    /// order of [`Call::new`].
    ///
    /// # Safety
    /// Each address must be valid for the bytes of its operand's description, and valid for writes
    /// where the primitive writes. No other thread may use those bytes meanwhile.
    pub unsafe fn run(&self, stream: &Stream, addresses: &[*mut u8]) -> Result<(), KernelError> {
        assert_eq!(addresses.len(), self.memories.len(), "one address an operand");
        for (memory, &address) in self.memories.iter().zip(addresses) {
            // SAFETY: the memory is alive; the address is valid by the caller's promise.
            let status = unsafe { sys::dnnl_memory_set_data_handle(memory.0, address.cast()) };
            check(status, || self.operation.clone())?;
        }
        // SAFETY: primitive, stream and memories are alive, and `arguments` holds their handles.
        let status = unsafe {
            sys::dnnl_primitive_execute(
                self.primitive.0,
                stream.0,
                self.arguments.len() as c_int,
                self.arguments.as_ptr(),
            )
        };
        check(status, || self.operation.clone())?;
        // SAFETY: the stream is alive.
        check(unsafe { sys::dnnl_stream_wait(stream.0) }, || self.operation.clone())
    }
}
