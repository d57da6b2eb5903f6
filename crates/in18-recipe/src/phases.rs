//! The phases as written: the typed form of `--phases`, and the rules that one phase alone must
//! meet.
//!
//! It knows no notation (`from_value` reads, `render` writes) and nothing that needs several
//! phases, a set of images or a number of devices: that is the plan's.

use std::fmt;

use serde::{Serialize, Serializer};

pub use self::data::{Batch, DataPhase};
use crate::value::quote;

mod data;

/// The last epoch a phase may name. It bounds the size of a plan; ImageNet recipes stay under a
/// thousand.
pub const MAX_EPOCHS: usize = 100_000;

/// The largest training size in pixels: what a JPEG's side can be.
pub const MAX_SIZE: usize = 65_535;

/// A recipe's phases, in the order of the text. The order matters for the rate: of two rate phases
/// in force the last listed wins.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(transparent)]
pub struct Phases {
    /// The phases.
    pub phases: Vec<Phase>,
}

/// One phase: what happens from an epoch on. It changes the data, the rate, or both.
#[derive(Debug, Clone, PartialEq)]
pub struct Phase {
    /// `ep`: when.
    pub ep: Epochs,
    /// Which images, from the first epoch of [`Phase::ep`] on.
    pub data: Option<DataPhase>,
    /// Which learning rate.
    pub lr: Option<LrPhase>,
}

/// The epochs of a phase, counted from 0. A fraction lies within an epoch: 2.56 is where 56 % of the
/// images of the third epoch have been seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Epochs {
    /// From this epoch on.
    From(f64),
    /// From the first epoch up to, but without, the second. Only a phase with a rate, or with a pair
    /// of sizes, has an end. The end only shapes the line and the length of the run: the phase stays
    /// in force until a later one starts.
    Span(f64, f64),
}

impl Epochs {
    /// The epoch at which the phase starts.
    pub fn start(self) -> f64 {
        match self {
            Epochs::From(start) | Epochs::Span(start, _) => start,
        }
    }

    /// The largest epoch named. The run ends, exclusively, at the largest of all rate phases.
    pub fn last_named(self) -> f64 {
        match self {
            Epochs::From(epoch) => epoch,
            Epochs::Span(start, end) => start.max(end),
        }
    }
}

impl fmt::Display for Epochs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Epochs::From(epoch) => write!(f, "{epoch}"),
            Epochs::Span(start, end) => write!(f, "({start}, {end})"),
        }
    }
}

/// Writes an epoch, or another number, as a whole number if it is one.
pub(crate) fn whole_or_not<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    match *number {
        whole if whole.fract() == 0.0 && (0.0..1e15).contains(&whole) => serializer.serialize_u64(whole as u64),
        fraction => serializer.serialize_f64(fraction),
    }
}

/// A value as written: one, or a pair for a line over the phase's epochs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Course<T> {
    /// One number.
    Constant(T),
    /// A pair (from, to).
    Linear(T, T),
}

impl<T: Copy> Course<T> {
    /// Its first value and its last.
    pub(crate) fn ends(self) -> [T; 2] {
        match self {
            Course::Constant(value) => [value, value],
            Course::Linear(from, to) => [from, to],
        }
    }
}

impl<T> From<T> for Course<T> {
    fn from(value: T) -> Self {
        Course::Constant(value)
    }
}

impl<T: fmt::Debug> fmt::Display for Course<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Course::Constant(value) => write!(f, "{value:?}"),
            Course::Linear(from, to) => write!(f, "({from:?}, {to:?})"),
        }
    }
}

/// A learning rate as written. It holds for the global batch and is not rescaled with the number of
/// devices.
pub type Rate = Course<f64>;

/// The rate keys of a phase.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LrPhase {
    /// `lr`: the learning rate.
    pub rate: Rate,
    /// `epoch_step`: a linear rate moves once an epoch instead of every batch.
    pub epoch_step: bool,
}

/// Declares the keys, each with its name in the text.
macro_rules! keys {
    ($($key:ident $name:literal),+ $(,)?) => {
        /// The keys a phase may have, in the order in which phases are rendered.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs, reason = "each is documented at the field that holds its value")]
        pub enum Key {
            $($key),+
        }

        impl Key {
            /// All keys, in order.
            pub const ALL: [Key; [$($name),+].len()] = [$(Key::$key),+];

            /// The key as written.
            pub fn name(self) -> &'static str {
                match self {
                    $(Key::$key => $name),+
                }
            }
        }
    };
}

keys! {
    Ep "ep",
    Sz "sz",
    Every "every",
    Bs "bs",
    BsAt "bs_at",
    TrnDir "trndir",
    ValDir "valdir",
    MinScale "min_scale",
    RectVal "rect_val",
    KeepDl "keep_dl",
    Lr "lr",
    EpochStep "epoch_step",
}

/// Hands `then!` the fields of a [`DataPhase`] that need not be written, each with its key: what
/// reads and what renders phases go through this list.
macro_rules! optional_data {
    ($then:ident) => {
        $then! {
            size: Sz, every: Every, batch_at: BsAt, train_dir: TrnDir, val_dir: ValDir, min_scale: MinScale,
            rect_val: RectVal
        }
    };
}
pub(crate) use optional_data;

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&quote(self.name()))
    }
}

/// A phase that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}expected {expected}, got {got}", .key.map(|key| format!("{key}: ")).unwrap_or_default())]
pub struct PhaseFault {
    /// The key whose value is wrong; `None` where the phase as a whole is.
    pub key: Option<Key>,
    /// What the rule asks for.
    pub expected: String,
    /// What the phase has.
    pub got: String,
}

impl PhaseFault {
    pub(crate) fn new(key: impl Into<Option<Key>>, expected: impl Into<String>, got: impl fmt::Display) -> Self {
        PhaseFault { key: key.into(), expected: expected.into(), got: got.to_string() }
    }
}

impl Phases {
    /// The distinct suffixes of the training folders, in order of first use: the sets whose images
    /// must be counted before [`Plan::resolve`](crate::Plan::resolve).
    pub fn train_dirs(&self) -> Vec<&str> {
        distinct(self.loading().map(DataPhase::train_suffix))
    }

    /// The distinct suffixes of the validation folders, in order of first use.
    pub fn val_dirs(&self) -> Vec<&str> {
        distinct(self.loading().map(DataPhase::val_suffix))
    }

    /// The data phases that load a set.
    fn loading(&self) -> impl Iterator<Item = &DataPhase> {
        self.phases.iter().filter_map(|phase| phase.data.as_ref()).filter(|data| !data.keep_dl)
    }
}

impl Phase {
    /// Checks the rules that concern this phase alone.
    ///
    /// # Errors
    /// The first rule that it breaks. Phases that were read from text have passed already; those
    /// built by hand are checked when a plan is resolved.
    pub fn check(&self) -> Result<(), PhaseFault> {
        if !(self.ep.start() >= 0.0 && self.ep.last_named() <= MAX_EPOCHS as f64) {
            return Err(PhaseFault::new(Key::Ep, format!("epochs up to {MAX_EPOCHS}"), self.ep));
        }
        if let Epochs::Span(start, end) = self.ep
            && start > end
        {
            return Err(PhaseFault::new(Key::Ep, "a pair (start, end) that does not run backwards", self.ep));
        }
        if self.data.is_none() && self.lr.is_none() {
            return Err(PhaseFault::new(None, "'bs' (a data phase) or 'lr' (a rate phase) or both", "neither"));
        }
        if let (Some(data), None, Epochs::Span(..)) = (&self.data, &self.lr, self.ep)
            && !matches!(data.size, Some(Course::Linear(..)))
        {
            let expected = format!("the one epoch at which the batch of {} starts", data.batch);
            return Err(PhaseFault::new(Key::Ep, expected, format!("the pair {}", self.ep)));
        }
        self.data.as_ref().map_or(Ok(()), |data| data.check(self.ep))?;
        self.lr.map_or(Ok(()), |lr| lr.check(self.ep))
    }
}

impl Phase {
    /// How the phase's size moves, in a line; `None` if it does not.
    pub fn ramp(&self) -> Option<String> {
        let data = self.data.as_ref()?;
        let (Some(Course::Linear(from, to)), Some(every)) = (data.size, data.every) else { return None };
        let (start, end) = (self.ep.start(), self.ep.last_named());
        let mut line = format!("from {from} to {to} px in multiples of {every}, epochs {start} to {end}");
        let [first, last] = [from, to].map(|size| data.batch_at_size(size));
        if first != last {
            line += &format!(", batch from {first} to {last}");
        }
        if let Some(Course::Linear(from, to)) = data.min_scale {
            line += &format!(", min_scale from {from} to {to}");
        }
        Some(line)
    }
}

impl LrPhase {
    fn check(&self, ep: Epochs) -> Result<(), PhaseFault> {
        let usable = |rate: f64| rate.is_finite() && rate >= 0.0;
        match self.rate {
            Rate::Constant(rate) if usable(rate) => return Ok(()),
            Rate::Linear(from, to) if usable(from) && usable(to) => {}
            wrong => return Err(PhaseFault::new(Key::Lr, "a finite rate that is not negative", wrong)),
        }
        match ep {
            Epochs::From(_) => Err(PhaseFault::new(Key::Ep, "a pair (start, end), because 'lr' is a pair", ep)),
            Epochs::Span(start, end) if start == end => {
                Err(PhaseFault::new(Key::Ep, "at least one epoch between start and end, because 'lr' is a pair", ep))
            }
            Epochs::Span(..) => Ok(()),
        }
    }
}

fn distinct<'a>(items: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = Vec::new();
    for item in items {
        if !seen.contains(&item) {
            seen.push(item);
        }
    }
    seen
}
