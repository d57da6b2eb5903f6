//! Copies of convolution weights in the type and layout that primitives want, made when the weights have changed.
//!
//! Programs of several image sizes, and the forward and backward halves of one, share a copy where they agree on
//! the layout.

use in18_kernels::KernelError;
use in18_tensor::{DType, Region, Tensor};

use crate::arena::Arena;
use crate::layout;
use crate::safe::{Call, MemoryDesc, PrimitiveDesc};
use crate::step::Context;
use crate::sys;

/// Names a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyId(usize);

struct WeightCopy {
    /// The fp32 weights that it is a copy of.
    source: Region,
    desc: MemoryDesc,
    memory: Arena,
    reorder: Call,
    /// The generation of the source's arena that it was made of; none before the first use.
    generation: Option<u64>,
}

/// All copies.
#[derive(Default)]
pub struct WeightCopies {
    copies: Vec<WeightCopy>,
}

impl Context {
    /// The copy of a (O, I, K, K) fp32 weight in the layout `desc`, new or shared.
    pub fn weight_copy(&mut self, weight: &Tensor, desc: &MemoryDesc) -> Result<CopyId, KernelError> {
        let known = |copy: &WeightCopy| copy.source == weight.region && copy.desc == *desc;
        if let Some(index) = self.weights.copies.iter().position(known) {
            return Ok(CopyId(index));
        }
        let source = layout::plain(weight.shape.extents(), DType::F32)?;
        let reorder = PrimitiveDesc::reorder(&source, desc, &self.engine, &self.attributes)?;
        let scratchpad = reorder.operand(sys::QUERY_SCRATCHPAD)?;
        self.reserve_scratch(scratchpad.bytes())?;
        let reorder = Call::new(
            &reorder,
            &[(sys::ARG_SRC, &source), (sys::ARG_DST, desc), (sys::ARG_SCRATCHPAD, &scratchpad)],
            &self.engine,
            format!("reorder of weights {}", weight.shape),
        )?;
        self.weights.copies.push(WeightCopy {
            source: weight.region,
            desc: desc.clone(),
            memory: Arena::new(desc.bytes())?,
            reorder,
            generation: None,
        });
        Ok(CopyId(self.weights.copies.len() - 1))
    }

    /// The address of a copy, brought up to date first.
    ///
    /// The reorder's scratch memory lies at the start of the shared one: this runs before the primitive that uses
    /// the copy, which may then overwrite it.
    pub fn refreshed_weights(&mut self, id: CopyId) -> Result<*mut u8, KernelError> {
        let source = self.weights.copies[id.0].source;
        let generation = self.block(source.arena)?.generation;
        let from = self.address(&source)?;
        let scratch = self.scratch.start();
        let copy = &mut self.weights.copies[id.0];
        if copy.generation != Some(generation) {
            // SAFETY: the source region was checked, the copy's memory has its description's size, and the scratch
            // memory was reserved when the copy was made.
            unsafe { copy.reorder.run(&self.stream, &[from, copy.memory.start(), scratch])? };
            copy.generation = Some(generation);
        }
        Ok(copy.memory.start())
    }
}
