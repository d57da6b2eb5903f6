//! What comes before training at other sizes: other images, other batches of validation, and enough
//! memory for all of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use in18_loader::{BatchPlan, Loader};
use in18_program::{Mode, Size};
use in18_recipe::{EpochPlan, StepPlan, Stretch};
use in18_record::Event;

use crate::error::{Half, TrainError};
use crate::first_step::{Doing, FirstStep, StepName};
use crate::trainer::{Loaders, Trainer};
use crate::views::Views;

impl Trainer<'_> {
    pub(super) fn change_data(&mut self, epoch: &EpochPlan, is_news: bool) -> Result<Loaders, TrainError> {
        self.model.forget_programs();
        let workers = self.settings.workers.get();
        let train = Arc::clone(self.data.train(&epoch.train_dir));
        let validation = Arc::clone(self.data.validation(&epoch.val_dir));
        if is_news {
            self.record(Event::DataChange(self.data.change(&self.plan.recipe, epoch)));
        }
        self.watch_first_step(epoch);
        // Whatever can fail should fail now, not after an epoch of training: memory, image headers,
        // sizes.
        self.prepare_training(epoch)?;
        if epoch.rect_val {
            self.first_step_does(Doing::ReadingSizes);
        }
        let validation_batches = self.validation_batches(epoch, validation.len())?;
        self.check_validation(epoch, &validation_batches)?;
        Ok(Loaders {
            train: Loader::new(train, workers, self.settings.on_bad_image)?,
            validation: Loader::new(validation, workers, self.settings.on_bad_image)?,
            validation_batches,
            views: Views::of(self.plan, epoch),
        })
    }

    /// Changes the batches of validation, if the size has moved since they were made.
    pub(super) fn follow_size(&mut self, epoch: &EpochPlan, loaders: &mut Loaders) -> Result<(), TrainError> {
        let views = Views::of(self.plan, epoch);
        if loaders.views != views {
            let images = self.data.validation(&epoch.val_dir).len();
            loaders.validation_batches = self.validation_batches(epoch, images)?;
            self.check_validation(epoch, &loaders.validation_batches)?;
            loaders.views = views;
        }
        Ok(())
    }

    /// Starts to watch the next step, the first after a change of data.
    pub(super) fn watch_first_step(&mut self, epoch: &EpochPlan) {
        let step = self.progress.step + 1;
        self.watch_step(&self.plan.step(epoch.epoch, step), epoch.epoch, step);
    }

    /// Starts to watch a step, the first of its size.
    pub(super) fn watch_step(&mut self, planned: &StepPlan, epoch: usize, step: usize) {
        self.end_first_step();
        let &StepPlan { batch, size, .. } = planned;
        let remedy = format!(
            "lower 'bs' or 'sz' of its phase, take a smaller --arch, or see what takes how long by `imagenet18 bench step --arch {} \
             --size {size} --batch {batch} --profile`",
            self.saving.network.arch
        );
        let place = format!("step {step} of epoch {epoch}");
        let name = StepName { place, size: Size { batch, height: size, width: size }, remedy };
        let (mut recorder, clock) = (self.recorder.clone(), self.clock);
        let say = move |text| recorder.record(clock.stamp(), &Event::Warning { text });
        let first = FirstStep::watch(name, Doing::Compiling, self.settings.patience, say);
        first.follow(self.model);
        self.first = Some(first);
    }

    /// Prepares the training of an epoch and of those after it with the same data, if there is
    /// enough memory for all of it. Only the size that needs the most memory is compiled here: it
    /// takes the memory in which all of them work. Each other size is compiled in its first step.
    pub(super) fn prepare_training(&mut self, epoch: &EpochPlan) -> Result<(), TrainError> {
        let of = |stretch: &Stretch| Size { batch: stretch.batch, height: stretch.size, width: stretch.size };
        let later = &self.plan.epochs[epoch.epoch + 1..];
        let same = later.iter().take_while(|later| !later.new_data && !later.keep_dl);
        let all =
            std::iter::once(epoch).chain(same).flat_map(|same| same.stretches.iter().map(move |it| (same.epoch, it)));
        let mut sizes: Vec<(usize, Size)> = Vec::new();
        for (number, stretch) in all {
            if !sizes.iter().any(|(_, size)| *size == of(stretch)) {
                sizes.push((number, of(stretch)));
            }
        }
        // Most often there is only one.
        let mut largest = sizes[0];
        if sizes.len() > 1 {
            let mut most = 0;
            for &(number, size) in &sizes {
                let needs = self.model.work_bytes(Mode::Training, size)?;
                if needs > most {
                    (most, largest) = (needs, (number, size));
                }
            }
        }
        let (number, size) = largest;
        let prepared = self.model.prepare(Mode::Training, size).map_err(TrainError::from);
        prepared.map_err(|error| error.in_half(number, Half::Training, size.batch))?;
        Ok(())
    }

    /// Checks that there will be enough memory for an epoch's validation. Its batches may be
    /// rectangles of several shapes.
    fn check_validation(&self, epoch: &EpochPlan, batches: &BatchPlan) -> Result<(), TrainError> {
        let mut largest: BTreeMap<[u32; 2], usize> = BTreeMap::new();
        for at in 0..batches.len() {
            let (size, images) = (batches.size(at), batches.images(at).len());
            largest.entry([size.height, size.width]).and_modify(|most| *most = images.max(*most)).or_insert(images);
        }
        for ([height, width], batch) in largest {
            let size = Size { batch, height: height as usize, width: width as usize };
            let fits = self.model.check_fits(Mode::Evaluation, size).map_err(TrainError::from);
            fits.map_err(|error| error.in_half(epoch.epoch, Half::Validation, batch))?;
        }
        Ok(())
    }
}
