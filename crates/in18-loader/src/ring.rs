//! The ring of slots between workers and consumer. It knows which image is worked on next, where
//! its pixels go, and when a batch is whole.
//!
//! A slot's pixels are one allocation that is split into a piece for each image. A worker owns the
//! piece that it fills. Joining the pieces again copies nothing. Several threads can therefore
//! write into one contiguous batch without `unsafe`.
//!
//! Slots go round: a batch uses the buffers of a batch that was given back. This module knows
//! nothing of files and pixels.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;

use crate::bad::{BadImage, Loaded};
use crate::error::LoadError;
use crate::mix::Mix;
use crate::plan::BatchPlan;
use crate::stages::{StageTimes, Stopwatch};

/// Shared by the consumer and all workers.
#[derive(Default)]
pub(crate) struct Ring {
    state: Mutex<State>,
    /// Signalled when there may be an image to work on, or when the ring is closed.
    work: Condvar,
    /// Signalled when the first open batch may be whole.
    whole: Condvar,
}

/// One image for a worker.
pub(crate) struct Item {
    pub plan: Arc<BatchPlan>,
    pub batch: usize,
    pub position: usize,
    /// (size.height, size.width, 3), which the worker fills.
    pub pixels: BytesMut,
    generation: u64,
}

/// Two images of a batch that are both loaded, for a worker to mix.
pub(crate) struct Pair {
    pub mix: Mix,
    /// Width of the images.
    pub width: u32,
    /// Two times (size.height, size.width, 3).
    pub pixels: [BytesMut; 2],
    positions: [usize; 2],
    batch: usize,
    generation: u64,
}

/// The memory of one batch.
#[derive(Default)]
pub(crate) struct Buffers {
    /// (N, H, W, 3)
    pub pixels: BytesMut,
    /// (N)
    pub labels: Vec<i32>,
    /// (N): the label of what is mixed into each image; empty in batches that are not mixed.
    pub mixed_in: Vec<i32>,
    /// (N): which images are loaded, while a batch is filled.
    loaded: Vec<bool>,
    /// The split pixels while a batch is filled. Otherwise the list is empty, but keeps its memory.
    pieces: Vec<BytesMut>,
}

#[derive(Default)]
struct State {
    plan: Option<Arc<BatchPlan>>,
    /// Counts plans, so that an image that is finished for an earlier plan is recognised and
    /// dropped.
    generation: u64,
    /// The next image for a worker.
    next_batch: usize,
    next_position: usize,
    /// Batches that are being filled or that wait for the consumer, in order. `open[0]` is batch
    /// number `first_open`.
    open: VecDeque<Slot>,
    first_open: usize,
    /// How many may be open at a time.
    max_open: usize,
    free: Vec<Buffers>,
    closed: bool,
    /// Where the workers' time went in this plan.
    times: StageTimes,
}

struct Slot {
    buffers: Buffers,
    missing: usize,
    /// The error at the earliest position, so that any number of workers reports the same one.
    error: Option<(usize, LoadError)>,
    /// Positions that no image was found for.
    left_out: Vec<usize>,
    /// Images that could not be loaded, with their positions.
    bad: Vec<(usize, BadImage)>,
}

impl Ring {
    /// Starts a plan, and drops what is left of the plan before.
    pub(crate) fn start(&self, plan: Arc<BatchPlan>, max_open: usize) {
        let mut state = self.lock();
        state.cancel();
        state.plan = Some(plan);
        state.max_open = max_open;
        state.times = StageTimes::default();
        drop(state);
        self.work.notify_all();
    }

    /// Drops the plan. Images that are being worked on are finished and thrown away.
    pub(crate) fn cancel(&self) {
        self.lock().cancel();
    }

    /// Ends all workers, once each has finished its image.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.cancel();
        state.closed = true;
        drop(state);
        self.work.notify_all();
    }

    /// For workers: waits for the next image to work on; `None` once the ring is closed.
    pub(crate) fn take_item(&self) -> Option<Item> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(item) = state.take_item() {
                return Some(item);
            }
            let generation = state.has_more().then_some(state.generation);
            let mut watch = Stopwatch::start();
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            if generation == Some(state.generation) {
                state.times.slot += watch.lap();
            }
        }
    }

    /// For workers: gives an image back, filled or not. If the batch's images are mixed, the worker
    /// whose image completes a pair gets the pair to mix.
    #[must_use]
    pub(crate) fn finish(&self, item: Item, result: Result<Loaded, LoadError>, times: StageTimes) -> Option<Pair> {
        let mut state = self.lock();
        if item.generation != state.generation {
            return None;
        }
        state.times += times;
        let slot_index = item.batch - state.first_open;
        let slot = &mut state.open[slot_index];
        slot.take_in(item.position, item.pixels, result);
        let spec = item.plan.batch(item.batch);
        if let Some(mix) = spec.mix
            && let Some((positions, pixels)) = slot.pair(item.position)
        {
            let (batch, generation) = (item.batch, item.generation);
            return Some(Pair { mix, width: spec.size.width, pixels, positions, batch, generation });
        }
        self.count_off(state, item.batch);
        None
    }

    /// For workers: gives a mixed pair back. `times` is what it took.
    pub(crate) fn finish_pair(&self, pair: Pair, times: StageTimes) {
        let mut state = self.lock();
        if pair.generation != state.generation {
            return;
        }
        state.times += times;
        let slot_index = pair.batch - state.first_open;
        let pieces = &mut state.open[slot_index].buffers.pieces;
        for (position, pixels) in pair.positions.into_iter().zip(pair.pixels) {
            pieces[position] = pixels;
        }
        // The image that came first has been counted already.
        self.count_off(state, pair.batch);
    }

    /// Counts an image of an open batch as ready, and wakes the consumer if its batch is whole.
    fn count_off(&self, mut state: MutexGuard<'_, State>, batch: usize) {
        let first = batch == state.first_open;
        let slot_index = batch - state.first_open;
        let slot = &mut state.open[slot_index];
        slot.missing -= 1;
        if slot.missing == 0 && first {
            drop(state);
            self.whole.notify_one();
        }
    }

    /// For the consumer: waits for the next batch's number and memory. `None` after the last batch,
    /// and after an error, which ends the plan.
    pub(crate) fn take_batch(&self) -> Result<Option<(usize, Buffers, Vec<BadImage>)>, LoadError> {
        let mut state = self.lock();
        loop {
            let batches = state.plan.as_ref().map_or(0, |plan| plan.len());
            if state.first_open >= batches {
                return Ok(None);
            }
            if let Some(slot) = state.open.pop_front_if(|slot| slot.missing == 0) {
                if let Some((_, error)) = slot.error {
                    state.free.push(slot.buffers.joined());
                    state.cancel();
                    return Err(error);
                }
                let batch = state.first_open;
                let is_mixed = state.plan.as_ref().is_some_and(|plan| plan.batch(batch).mix.is_some());
                state.first_open += 1;
                drop(state);
                self.work.notify_all();
                let mut buffers = slot.buffers.joined().without(&slot.left_out);
                if is_mixed {
                    // Partners lie at the same distance from the two ends of the batch.
                    buffers.mixed_in.extend(buffers.labels.iter().rev());
                }
                return Ok(Some((batch, buffers, in_order(slot.bad))));
            }
            state = self.whole.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Where the workers' time has gone since the plan was started.
    pub(crate) fn times(&self) -> StageTimes {
        self.lock().times
    }

    /// For the consumer: gives a batch's memory back.
    pub(crate) fn recycle(&self, buffers: Buffers) {
        self.lock().free.push(buffers);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock. If something did, the state would still be
        // consistent enough to shut down. That is better than a second panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sorts by position, whichever worker was faster. Within a position, the order in which images
/// were tried stays.
fn in_order(mut bad: Vec<(usize, BadImage)>) -> Vec<BadImage> {
    bad.sort_by_key(|(position, _)| *position);
    bad.into_iter().map(|(_, bad)| bad).collect()
}

impl Slot {
    /// Puts an image at its place.
    fn take_in(&mut self, position: usize, pixels: BytesMut, result: Result<Loaded, LoadError>) {
        self.buffers.pieces[position] = pixels;
        self.buffers.loaded[position] = true;
        match result {
            Ok(Loaded { label, bad }) => {
                match label {
                    Some(label) => self.buffers.labels[position] = label,
                    None => self.left_out.push(position),
                }
                self.bad.extend(bad.into_iter().map(|bad| (position, bad)));
            }
            Err(error) => {
                if self.error.as_ref().is_none_or(|(at, _)| position < *at) {
                    self.error = Some((position, error));
                }
            }
        }
    }

    /// The image at this position and its partner, if both are loaded: positions and pixels, the
    /// lower position first.
    fn pair(&mut self, position: usize) -> Option<([usize; 2], [BytesMut; 2])> {
        let Buffers { pieces, loaded, .. } = &mut self.buffers;
        let partner = Mix::partner(position, pieces.len());
        if partner == position || !loaded[partner] {
            return None;
        }
        let positions = [position.min(partner), position.max(partner)];
        Some((positions, positions.map(|position| std::mem::take(&mut pieces[position]))))
    }
}

impl State {
    fn cancel(&mut self) {
        self.plan = None;
        self.generation += 1;
        self.next_batch = 0;
        self.next_position = 0;
        self.first_open = 0;
        // The batches' memory is dropped, because workers may still hold pieces of it.
        self.open.clear();
    }

    /// Whether images are left to be given out.
    fn has_more(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| self.next_batch < plan.len())
    }

    fn take_item(&mut self) -> Option<Item> {
        if !self.has_more() {
            return None;
        }
        let plan = Arc::clone(self.plan.as_ref()?);
        let spec = plan.batch(self.next_batch);
        let images = spec.images.len();
        if self.next_position == 0 {
            if self.open.len() >= self.max_open {
                return None;
            }
            let buffers = self.free.pop().unwrap_or_default();
            self.open.push_back(Slot {
                buffers: buffers.split(images, spec.size.bytes()),
                missing: images,
                error: None,
                left_out: Vec::new(),
                bad: Vec::new(),
            });
        }
        let (batch, position) = (self.next_batch, self.next_position);
        let pixels = std::mem::take(&mut self.open[batch - self.first_open].buffers.pieces[position]);
        self.next_position += 1;
        if self.next_position == images {
            self.next_batch += 1;
            self.next_position = 0;
        }
        Some(Item { plan, batch, position, pixels, generation: self.generation })
    }
}

impl Buffers {
    /// Makes room for `images` images of `bytes` bytes and splits it into a piece for each.
    fn split(mut self, images: usize, bytes: usize) -> Self {
        self.pixels.resize(images * bytes, 0);
        self.labels.clear();
        self.labels.resize(images, 0);
        self.mixed_in.clear();
        self.loaded.clear();
        self.loaded.resize(images, false);
        self.pieces.clear();
        for _ in 0..images {
            self.pieces.push(self.pixels.split_to(bytes));
        }
        self
    }

    /// Puts the pieces together again.
    fn joined(mut self) -> Self {
        // What is left of `pixels` is the allocation's unused end; it comes last.
        let unused = std::mem::take(&mut self.pixels);
        for piece in self.pieces.drain(..) {
            self.pixels.unsplit(piece);
        }
        self.pixels.unsplit(unused);
        self
    }

    /// Removes the images at these positions and closes the gaps.
    fn without(mut self, left_out: &[usize]) -> Self {
        if left_out.is_empty() {
            return self;
        }
        let images = self.labels.len();
        let bytes = self.pixels.len() / images;
        let mut kept = 0;
        for position in (0..images).filter(|position| !left_out.contains(position)) {
            self.pixels.copy_within(position * bytes..(position + 1) * bytes, kept * bytes);
            self.labels[kept] = self.labels[position];
            kept += 1;
        }
        self.pixels.truncate(kept * bytes);
        self.labels.truncate(kept);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_split_and_joined_in_place() {
        let mut buffers = Buffers::default();
        let mut start = None;
        // The second is the largest. After it, the memory stays where it is.
        for (images, bytes) in [(3, 10), (8, 30), (8, 30), (2, 30), (8, 29), (8, 30)] {
            buffers = buffers.split(images, bytes);
            for (i, piece) in buffers.pieces.iter_mut().enumerate() {
                assert_eq!(piece.len(), bytes);
                piece.fill(i as u8 + 1);
            }
            buffers = buffers.joined();
            let expected: Vec<u8> = (0..images).flat_map(|i| vec![i as u8 + 1; bytes]).collect();
            assert_eq!(buffers.pixels, expected);
            if images * bytes == 240 {
                let now = buffers.pixels.as_ptr();
                assert_eq!(*start.get_or_insert(now), now);
            }
        }
    }
}
