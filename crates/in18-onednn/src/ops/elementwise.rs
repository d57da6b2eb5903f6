//! Sums and ReLU: one pass over bytes that lie alike, whatever the layout says they mean.

use in18_kernels::KernelError;
use in18_kernels::op::{Add, AddRelu, ReluBackward, SumReluBackward};
use in18_tensor::{DType, Tensor};

use super::check;
use crate::safe::PROVIDER;
use crate::step::{Context, LoopStep, Step};
use crate::threads::{Shared, parallel, part};
use crate::vector::{self, Bf16, Element};

pub fn add(op: &Add, context: &mut Context) -> Result<Vec<Box<dyn Step>>, KernelError> {
    map([op.a, op.b], op.dst, context, |[a, b]| a + b)
}

pub fn add_relu(op: &AddRelu, context: &mut Context) -> Result<Vec<Box<dyn Step>>, KernelError> {
    // Written so that NaN stays NaN: a diverged run must show.
    map([op.a, op.b], op.dst, context, |[a, b]| if a + b < 0.0 { 0.0 } else { a + b })
}

pub fn relu_backward(op: &ReluBackward, context: &mut Context) -> Result<Vec<Box<dyn Step>>, KernelError> {
    map([op.dst, op.ddst], op.dsrc, context, |[dst, ddst]| if dst > 0.0 { ddst } else { 0.0 })
}

pub fn sum_relu_backward(op: &SumReluBackward, context: &mut Context) -> Result<Vec<Box<dyn Step>>, KernelError> {
    map([op.dst, op.ddst_a, op.ddst_b], op.dsrc, context, |[dst, a, b]| if dst > 0.0 { a + b } else { 0.0 })
}

fn map<const K: usize>(
    inputs: [Tensor; K],
    dst: Tensor,
    context: &Context,
    f: impl Fn([f32; K]) -> f32 + Sync + Copy + 'static,
) -> Result<Vec<Box<dyn Step>>, KernelError> {
    for tensor in inputs.iter().chain([&dst]) {
        check(context, &[(tensor, dst.dtype)])?;
        let bytes = context.layout.activation_bytes(tensor.shape, tensor.dtype);
        if tensor.region.bytes < bytes {
            return Err(KernelError::Length {
                what: "an elementwise operand, in bytes",
                expected: bytes,
                got: tensor.region.bytes,
            });
        }
    }
    let length = context.layout.activation_bytes(dst.shape, dst.dtype) / dst.dtype.bytes();
    Ok(vec![match dst.dtype {
        DType::F32 => step::<f32, K>(inputs, dst, length, f),
        DType::Bf16 => step::<Bf16, K>(inputs, dst, length, f),
        DType::U8 | DType::I32 => {
            return Err(KernelError::Unsupported {
                provider: PROVIDER,
                what: format!("sums of {}", dst.dtype),
                remedy: "this is an error of the caller",
            });
        }
    }])
}

fn step<E: Element, const K: usize>(
    inputs: [Tensor; K],
    dst: Tensor,
    length: usize,
    f: impl Fn([f32; K]) -> f32 + Sync + Copy + 'static,
) -> Box<dyn Step> {
    Box::new(LoopStep(move |context: &mut Context| {
        let mut sources = [Shared::<E>::new(std::ptr::null_mut()); K];
        for (source, input) in sources.iter_mut().zip(&inputs) {
            *source = Shared::new(context.address(&input.region)?);
        }
        let target = Shared::<E>::new(context.address(&dst.region)?);
        let isa = context.isa;
        parallel(|thread, threads| {
            let part = part(length, 4096, thread, threads);
            // SAFETY: the part lies within `length`, which `map` compared with every region; parts do not overlap,
            // and a result lies over an input exactly or not at all.
            unsafe {
                let inputs = sources.map(|source| source.at(part.start).cast_const());
                vector::map(isa, inputs, target.at(part.start), part.len(), f);
            }
        });
        Ok(())
    }))
}
