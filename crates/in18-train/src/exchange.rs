//! Gradients as sums over the ranks, those that are ready first while the others are computed.

use in18_comm::Comm;
use in18_program::{Model, PendingMetrics, Size};

use crate::error::TrainError;

/// About how many bytes of gradients are summed at once, as in PyTorch's `DistributedDataParallel`. Part of what makes runs of
/// several ranks repeat themselves bit by bit: a sum over three or more depends on where it is cut.
pub const BUCKET_BYTES: usize = 25 << 20;

/// Starts forward and backward over this rank's batch, (N, H, W, 3) pixels and N labels. Gradients up to each of `cuts` (see
/// [`Model::gradient_cuts`]) start to be summed as soon as they are final; [`Comm::finish`] waits for the sums.
///
/// # Errors
/// [`TrainError::Program`], [`TrainError::Comm`].
pub fn start_step_and_sum(
    model: &mut Model,
    comm: &mut dyn Comm,
    cuts: &[usize],
    size: Size,
    pixels: &[u8],
    labels: &[i32],
) -> Result<PendingMetrics, TrainError> {
    if comm.world() == 1 {
        return Ok(model.start_train_step(size, pixels, labels)?);
    }
    let mut outcome = Ok(());
    let metrics = model.start_train_step_in_parts(size, pixels, labels, cuts, &mut |part, dtype| {
        if outcome.is_ok() {
            outcome = comm.start_sum(part, dtype);
        }
    })?;
    outcome?;
    Ok(metrics)
}
