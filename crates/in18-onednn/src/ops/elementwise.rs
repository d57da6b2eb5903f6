//! Sums and ReLU, in one pass over memory. All operands have the same layout, so its meaning does
//! not matter.

use std::marker::PhantomData;

use in18_kernels::KernelError;
use in18_kernels::op::{Add, AddRelu, ReluBackward, SumReluBackward};
use in18_tensor::{DType, Tensor};

use super::{Compile, Steps, check};
use crate::context::Context;
use crate::safe::PROVIDER;
use crate::simd::{Kernel, Stored, Vector, fence, is_large, run};
use crate::step::{LoopStep, Step};
use crate::threads::{Shared, parallel, part};
use crate::vector::Bf16;

impl Compile for Add {
    fn compile(&self, context: &mut Context) -> Steps {
        step::<Sum, 2>([self.a, self.b], self.dst, context)
    }
}

impl Compile for AddRelu {
    fn compile(&self, context: &mut Context) -> Steps {
        step::<ReluOfSum, 2>([self.a, self.b], self.dst, context)
    }
}

impl Compile for ReluBackward {
    fn compile(&self, context: &mut Context) -> Steps {
        step::<WherePositive, 2>([self.dst, self.ddst], self.dsrc, context)
    }
}

impl Compile for SumReluBackward {
    fn compile(&self, context: &mut Context) -> Steps {
        step::<SumWherePositive, 3>([self.dst, self.ddst_a, self.ddst_b], self.dsrc, context)
    }
}

/// A function of `K` inputs, element by element.
trait Function<const K: usize>: 'static {
    /// # Safety
    /// As [`Vector`].
    unsafe fn apply<V: Vector>(inputs: [V; K]) -> V;
}

struct Sum;
struct ReluOfSum;
struct WherePositive;
struct SumWherePositive;

impl Function<2> for Sum {
    #[inline(always)]
    unsafe fn apply<V: Vector>([a, b]: [V; 2]) -> V {
        // SAFETY: by the caller's promise.
        unsafe { a.add(b) }
    }
}

impl Function<2> for ReluOfSum {
    #[inline(always)]
    unsafe fn apply<V: Vector>([a, b]: [V; 2]) -> V {
        // SAFETY: by the caller's promise.
        unsafe { a.add(b).relu() }
    }
}

impl Function<2> for WherePositive {
    #[inline(always)]
    unsafe fn apply<V: Vector>([dst, ddst]: [V; 2]) -> V {
        // SAFETY: by the caller's promise.
        unsafe { ddst.where_positive(dst) }
    }
}

impl Function<3> for SumWherePositive {
    #[inline(always)]
    unsafe fn apply<V: Vector>([dst, a, b]: [V; 3]) -> V {
        // SAFETY: by the caller's promise.
        unsafe { a.add(b).where_positive(dst) }
    }
}

/// `dst[i] = F(inputs[0][i], …)` for `length` elements. All pointers must be valid for `length`
/// elements. `dst` must start at a multiple of a vector. It may equal an input, but not overlap it
/// otherwise.
struct Map<F, E, const K: usize> {
    inputs: [*const E; K],
    dst: *mut E,
    length: usize,
    is_large: bool,
    function: PhantomData<F>,
}

impl<F: Function<K>, E: Stored, const K: usize> Map<F, E, K> {
    /// # Safety
    /// The conditions of the struct must hold for the vector at `at`; as [`Vector`].
    #[inline(always)]
    unsafe fn at<V: Vector>(&self, at: usize) -> V {
        // SAFETY: by the caller's promise.
        unsafe { F::apply(std::array::from_fn(|k| E::load(self.inputs[k].add(at)))) }
    }
}

impl<F: Function<K>, E: Stored, const K: usize> Kernel for Map<F, E, K> {
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let whole = self.length / V::LANES * V::LANES;
        // SAFETY: by the caller's promise; places are below `length`.
        unsafe {
            for at in (0..whole).step_by(V::LANES) {
                let value = self.at::<V>(at);
                if self.is_large { E::stream(value, self.dst.add(at)) } else { E::store(value, self.dst.add(at)) }
            }
            for at in whole..self.length {
                E::store(self.at::<[f32; 1]>(at), self.dst.add(at));
            }
        }
    }
}

fn step<F: Function<K>, const K: usize>(
    inputs: [Tensor; K],
    dst: Tensor,
    context: &Context,
) -> Result<Vec<Box<dyn Step>>, KernelError> {
    let expected = context.layout.activation_bytes(dst.shape, dst.dtype);
    for tensor in inputs.iter().chain([&dst]) {
        check(context, &[(tensor, dst.dtype)])?;
        if tensor.region.bytes < expected {
            let what = "an elementwise operand, in bytes";
            return Err(KernelError::Length { what, expected, got: tensor.region.bytes });
        }
    }
    match dst.dtype {
        DType::F32 => Ok(vec![typed_step::<F, f32, K>(inputs, dst, expected)]),
        DType::Bf16 => Ok(vec![typed_step::<F, Bf16, K>(inputs, dst, expected)]),
        DType::F16 | DType::U8 | DType::I32 => Err(KernelError::Unsupported {
            provider: PROVIDER,
            what: format!("sums of {}", dst.dtype),
            remedy: "this is an error of the caller",
        }),
    }
}

fn typed_step<F: Function<K>, E: Stored, const K: usize>(
    inputs: [Tensor; K],
    dst: Tensor,
    bytes: usize,
) -> Box<dyn Step> {
    let (length, is_large) = (bytes / size_of::<E>(), is_large(bytes));
    Box::new(LoopStep("own:elementwise", move |context: &mut Context| {
        let mut sources = [Shared::<E>::new(std::ptr::null_mut()); K];
        for (source, input) in sources.iter_mut().zip(&inputs) {
            *source = Shared::new(context.address(&input.region)?);
        }
        let target = Shared::<E>::new(context.address(&dst.region)?);
        let (isa, lanes) = (context.isa, context.layout.block);
        parallel(|thread, threads| {
            let part = part(length, 4096, thread, threads);
            // SAFETY: the part lies within `length`, which `step` compared with every region. Parts
            // do not overlap, and a result overlaps an input exactly or not at all.
            unsafe {
                let inputs = sources.map(|source| source.at(part.start).cast_const());
                let (dst, length, function) = (target.at(part.start), part.len(), PhantomData::<F>);
                run(isa, lanes, Map { inputs, dst, length, is_large, function });
            }
            fence();
        });
        Ok(())
    }))
}
