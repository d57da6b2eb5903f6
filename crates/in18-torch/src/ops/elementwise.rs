//! Pixels to the network's input, and the gradient of a residual sum.

use in18_kernels::KernelError;
use in18_kernels::op::{Normalize, PIXEL_DEVIATION, PIXEL_MEAN, SumReluBackward};
use in18_tensor::{DType, Format, Shape};

use super::{Step, own, step, views};
use crate::memory::{Context, strides};
use crate::safe::{Device, Element, Memory, View};
use crate::sys::{RawTensor, torch};

pub fn normalize(op: &Normalize, context: &mut Context) -> Result<Step, KernelError> {
    let [dst, pixels] = views(context, [&op.dst, &op.pixels])?;
    let shifts = std::array::from_fn(|channel| -PIXEL_MEAN[channel] / PIXEL_DEVIATION[channel]);
    let scale = Channels::new(PIXEL_DEVIATION.map(f32::recip), context.device)?;
    let shift = Channels::new(shifts, context.device)?;
    if let Some(call) = own::normalize(op, [scale.address(), shift.address()], context)? {
        // The channels' values live as long as the step.
        let channels = (scale, shift);
        return Ok(Box::new(move |context| {
            let _ = &channels;
            call(context)
        }));
    }
    let label = format!("Normalize {}", op.pixels.shape);
    // SAFETY: see `step`.
    Ok(step(label, move || unsafe { torch().normalize(dst.raw(), pixels.raw(), scale.raw(), shift.raw()) }))
}

/// A value for each channel, as (1, 3, 1, 1), and the memory that holds the values.
struct Channels {
    view: View,
    memory: Memory,
}

impl Channels {
    fn new(mut values: [f32; 3], device: Device) -> Result<Self, KernelError> {
        let (shape, element) = (Shape::nchw(1, values.len(), 1, 1), Element::Of(DType::F32));
        let memory = Memory::new(size_of_val(&values), device)?;
        let steps = strides(shape, Format::Plain);
        let view = memory.view(0, element, shape.extents(), &steps)?;
        // SAFETY: the values are as many as the extents say, and live through the copy.
        let source = unsafe { View::new(values.as_mut_ptr().cast(), element, shape.extents(), &steps, Device::Cpu) }?;
        view.copy_from(&source)?;
        Ok(Channels { view, memory })
    }

    fn address(&self) -> *const f32 {
        self.memory.address().cast()
    }

    fn raw(&self) -> *const RawTensor {
        self.view.raw()
    }
}

pub fn sum_relu_backward(op: &SumReluBackward, context: &mut Context) -> Result<Step, KernelError> {
    let [dsrc, dst, ddst_a, ddst_b] = views(context, [&op.dsrc, &op.dst, &op.ddst_a, &op.ddst_b])?;
    // The sum goes to the result's place, unless `dst` is there: its sign is still to be read.
    let covered = op.dsrc.region.overlaps(&op.dst.region);
    let apart = match covered {
        true => {
            let [sum] = context.scratch([(op.dsrc.shape, op.dsrc.dtype, Format::Activation)])?;
            Some(sum)
        }
        false => None,
    };
    let label = format!("SumReluBackward {}", op.dst.shape);
    Ok(step(label, move || {
        let sum = apart.as_ref().unwrap_or(&dsrc);
        // SAFETY: see `step`.
        unsafe { torch().sum_relu_backward(dsrc.raw(), sum.raw(), dst.raw(), ddst_a.raw(), ddst_b.raw()) }
    }))
}
