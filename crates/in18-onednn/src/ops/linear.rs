//! The classifier: three fp32 matrix products on row-major memory.

use in18_kernels::KernelError;
use in18_kernels::op::{Linear, LinearBackwardData, LinearBackwardWeight};
use in18_tensor::{DType, Region, Tensor};

use super::{Binding, Compile, Steps, check};
use crate::context::Context;
use crate::safe::{MemoryDesc, PrimitiveDesc};
use crate::step::{LoopStep, Step};
use crate::sys;

impl Compile for Linear {
    fn compile(&self, context: &mut Context) -> Steps {
        let bias = MemoryDesc::new(&[1, self.bias.shape[0]], sys::F32, sys::AB)?;
        let step = product(
            context,
            "Linear",
            rows(&self.src)?,
            transposed(&self.weight)?,
            Some(bias),
            [(&self.src, sys::ARG_SRC), (&self.weight, sys::ARG_WEIGHTS), (&self.dst, sys::ARG_DST)],
            Some(&self.bias),
        )?;
        Ok(vec![step])
    }
}

impl Compile for LinearBackwardData {
    fn compile(&self, context: &mut Context) -> Steps {
        let step = product(
            context,
            "LinearBackwardData",
            rows(&self.ddst)?,
            rows(&self.weight)?,
            None,
            [(&self.ddst, sys::ARG_SRC), (&self.weight, sys::ARG_WEIGHTS), (&self.dsrc, sys::ARG_DST)],
            None,
        )?;
        Ok(vec![step])
    }
}

impl Compile for LinearBackwardWeight {
    fn compile(&self, context: &mut Context) -> Steps {
        let step = product(
            context,
            "LinearBackwardWeight",
            transposed(&self.ddst)?,
            rows(&self.src)?,
            None,
            [(&self.ddst, sys::ARG_SRC), (&self.src, sys::ARG_WEIGHTS), (&self.dweight, sys::ARG_DST)],
            None,
        )?;
        check(context, &[(&self.ddst, DType::F32), (&self.dbias, DType::F32)])?;
        let (ddst, dbias) = (self.ddst, self.dbias);
        let sum = LoopStep("own:sum", move |context: &mut Context| {
            let from = context.address(&ddst.region)?.cast::<f32>();
            let to = context.address(&dbias.region)?.cast::<f32>();
            let (images, classes) = (ddst.shape[0], ddst.shape[1]);
            // SAFETY: both regions were checked to hold their shapes' elements, and do not overlap.
            let (rows, sums) = unsafe {
                (std::slice::from_raw_parts(from, images * classes), std::slice::from_raw_parts_mut(to, classes))
            };
            sums.fill(0.0);
            for row in rows.chunks_exact(classes) {
                sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
            }
            Ok(())
        });
        Ok(vec![step, Box::new(sum)])
    }
}

/// One matrix product. `operands` are (first, second, result), all row-major. `first` and `second`
/// describe the first two.
fn product(
    context: &mut Context,
    name: &str,
    first: MemoryDesc,
    second: MemoryDesc,
    bias_desc: Option<MemoryDesc>,
    operands: [(&Tensor, std::ffi::c_int); 3],
    bias: Option<&Tensor>,
) -> Result<Box<dyn Step>, KernelError> {
    let result = rows(operands[2].0)?;
    let operation = format!("{name} {} by {}", operands[0].0.shape, operands[1].0.shape);
    let desc = product_desc(context, [&first, &second, &result], bias_desc.as_ref(), &operation)?;
    let mut binding = Binding::new(context, &desc, operation)
        .region(operands[0].1, first, operands[0].0.region)?
        .region(operands[1].1, second, operands[1].0.region)?
        .region(operands[2].1, result, operands[2].0.region)?;
    if let (Some(desc), Some(bias)) = (bias_desc, bias) {
        binding = binding.region(sys::ARG_BIAS, desc, bias.region)?;
    }
    binding.finish()
}

/// oneDNN's implementation of a product of the matrices (first, second, result).
fn product_desc(
    context: &Context,
    [first, second, result]: [&MemoryDesc; 3],
    bias: Option<&MemoryDesc>,
    operation: &str,
) -> Result<PrimitiveDesc, KernelError> {
    // SAFETY: all handles are alive; null means no bias.
    unsafe {
        PrimitiveDesc::preferred(
            || operation.to_owned(),
            |pd| {
                sys::dnnl_matmul_primitive_desc_create(
                    pd,
                    context.engine.raw(),
                    first.raw(),
                    second.raw(),
                    bias.map_or(std::ptr::null(), |desc| desc.raw()),
                    result.raw(),
                    context.attributes.raw(),
                )
            },
        )
    }
}

/// A product of two square matrices in the layouts that oneDNN prefers. `region` makes a region of
/// a given number of bytes, and is called for each of the three operands.
pub fn square_product(
    side: usize,
    data_type: sys::data_type,
    context: &mut Context,
    mut region: impl FnMut(&mut Context, usize) -> Result<Region, KernelError>,
) -> Result<Box<dyn Step>, KernelError> {
    let operation = format!("product of {side}x{side} by {side}x{side}");
    let any = MemoryDesc::new(&[side, side], data_type, sys::ANY)?;
    let desc = product_desc(context, [&any, &any, &any], None, &operation)?;
    let mut operands = Vec::new();
    for (query, argument) in
        [(sys::QUERY_SRC, sys::ARG_SRC), (sys::QUERY_WEIGHTS, sys::ARG_WEIGHTS), (sys::QUERY_DST, sys::ARG_DST)]
    {
        let operand = desc.operand(query)?;
        let bytes = operand.bytes();
        operands.push((argument, operand, region(context, bytes)?));
    }
    let mut binding = Binding::new(context, &desc, operation);
    for (argument, operand, region) in operands {
        binding = binding.region(argument, operand, region)?;
    }
    binding.finish()
}

/// The description of a row-major matrix.
fn rows(matrix: &Tensor) -> Result<MemoryDesc, KernelError> {
    MemoryDesc::new(matrix.shape.extents(), sys::F32, sys::AB)
}

/// The description of the transpose of a row-major matrix, read in place.
fn transposed(matrix: &Tensor) -> Result<MemoryDesc, KernelError> {
    MemoryDesc::new(&[matrix.shape[1], matrix.shape[0]], sys::F32, sys::BA)
}
