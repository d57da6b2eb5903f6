//! Which views of an image evaluation sees: how many, how large, cut out how. The validation of a
//! run, `train --evaluate` and `eval` all take their batches from here.

use in18_loader::{BatchPlan, Share, Size};
use in18_recipe::{CentreCrop, EpochPlan, Plan, Tta};

use crate::error::TrainError;

/// The views of an image, and the batches in which they come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Views {
    /// How many views, and how their results become one.
    pub tta: Tta,
    /// Side of the images in pixels. In rectangular batches, it is the short side.
    pub size: u32,
    /// How large a part of an image is seen.
    pub crop: CentreCrop,
    /// Whether each batch has the mean aspect ratio of its images.
    pub rectangular: bool,
    /// Images of a batch.
    pub batch: usize,
}

impl Views {
    /// Those of the validation after an epoch.
    pub fn of(plan: &Plan, epoch: &EpochPlan) -> Self {
        let evaluate = &plan.recipe.evaluate;
        let size = u32::try_from(epoch.val_size).unwrap_or(u32::MAX);
        let (rectangular, batch) = (epoch.rect_val, epoch.val_batch);
        Views { tta: evaluate.tta, size, crop: evaluate.crop, rectangular, batch }
    }

    /// The batches of a rank's share of square images, of which there are `images`.
    ///
    /// # Errors
    /// [`TrainError::Batches`].
    pub fn squares(&self, images: usize, share: Share) -> Result<BatchPlan, TrainError> {
        Ok(self.cropped(BatchPlan::validation(images as u32, share, self.batch, self.size)?))
    }

    /// The batches of a rank's share of rectangular images. `sizes` has the width and height of each
    /// image before it is cropped, or `None` if the image is left out.
    ///
    /// # Errors
    /// [`TrainError::Batches`].
    pub fn rectangles(&self, sizes: &[Option<Size>], share: Share) -> Result<BatchPlan, TrainError> {
        Ok(self.cropped(BatchPlan::rectangular_validation(sizes, share, self.batch, self.size)?))
    }

    fn cropped(&self, batches: BatchPlan) -> BatchPlan {
        match self.crop.share() {
            None => batches,
            Some(share) => batches.with_centre_crop(self.size, share),
        }
    }
}
