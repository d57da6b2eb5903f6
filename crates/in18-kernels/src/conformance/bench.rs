//! Runs a case on a provider: lays its values out in an arena, fills them, runs, and reads what
//! memory holds then.

use in18_tensor::{ALIGNMENT, ArenaId, DType, Format, Region, Shape, Tensor, align_up};

use super::case::{Case, Kind, Value, ValueId};
use crate::{KernelError, Kernels, Op, ProgramId};

/// What memory is filled with before a run: NaN as fp32 and as bf16.
const POISON: u8 = 0xff;

/// Untouchable bytes before, between and after the values.
const GUARD: usize = ALIGNMENT;

/// Bytes for a case's scalars.
const HOST_BYTES: usize = 16 * ALIGNMENT;

/// A provider with an arena that all cases use in turn.
pub struct Bench<'a> {
    provider: &'a mut dyn Kernels,
    dtype: DType,
    arena: ArenaId,
    /// For scalars.
    host: ArenaId,
}

/// How the operations of a case are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stepping {
    /// In one call.
    Whole,
    /// Twice in one call, because a provider may choose differently after its first run; then one
    /// call for each operation.
    Again,
}

/// What a run left behind.
pub struct Outcome {
    /// By [`ValueId`]; empty for workspaces.
    values: Vec<Vec<f32>>,
    /// Changes that the run should not have made: an operand's name, and what happened to it.
    pub damage: Vec<(&'static str, String)>,
}

impl Outcome {
    /// What a value holds after the run, in the logical order of its shape.
    pub fn get(&self, id: ValueId) -> &[f32] {
        &self.values[id.index()]
    }
}

impl<'a> Bench<'a> {
    /// A bench whose activations are of the given type.
    ///
    /// # Errors
    /// The provider's, if it has no memory.
    pub fn new(provider: &'a mut dyn Kernels, dtype: DType) -> Result<Self, KernelError> {
        let arena = provider.allocate(GUARD)?;
        let host = provider.allocate_host(HOST_BYTES)?;
        Ok(Bench { provider, dtype, arena, host })
    }

    /// Runs a case from memory full of NaNs.
    ///
    /// # Errors
    /// The provider's.
    pub fn run(&mut self, case: &Case, stepping: Stepping) -> Result<Outcome, KernelError> {
        let tensors = self.lay_out(case.values())?;
        let planned = tensors.iter().filter(|tensor| tensor.region.arena == self.arena);
        let size = planned.map(|tensor| align_up(tensor.region.end())).max().unwrap_or(0) + GUARD;
        self.provider.reserve(self.arena, size)?;
        let mut damage = self.fill(case, &tensors, size)?;

        let ops: Vec<Op> = case.ops().iter().map(|op| op.map(|id| tensors[id.index()])).collect();
        let program = self.provider.compile(&ops)?;
        let ran = match stepping {
            Stepping::Whole => self.provider.run(program, 0..ops.len()),
            Stepping::Again => self.run_again(program, case, &tensors, size),
        };
        self.provider.release(program);
        ran?;

        let values = self.export(case, &tensors)?;
        damage.extend(changed_inputs(case, &values));
        damage.extend(self.touched_guards(case, &tensors, size)?);
        Ok(Outcome { values, damage })
    }

    fn run_again(
        &mut self,
        program: ProgramId,
        case: &Case,
        tensors: &[Tensor],
        size: usize,
    ) -> Result<(), KernelError> {
        let count = case.ops().len();
        for _ in 0..2 {
            self.provider.run(program, 0..count)?;
            self.fill(case, tensors, size)?;
        }
        (0..count).try_for_each(|i| self.provider.run(program, i..i + 1))
    }

    /// Fills memory for a run: NaNs everywhere, then the given values. Reports values that do not
    /// come back as they were given.
    fn fill(
        &mut self,
        case: &Case,
        tensors: &[Tensor],
        size: usize,
    ) -> Result<Vec<(&'static str, String)>, KernelError> {
        self.provider.write(Region { arena: self.arena, offset: 0, bytes: size }, &vec![POISON; size])?;
        self.import(case, tensors)
    }

    /// Makes one tensor for each value. Each lies in a region of its own between guards, except
    /// scalars and values that lie over an input.
    fn lay_out(&self, values: &[Value]) -> Result<Vec<Tensor>, KernelError> {
        let (mut offset, mut host_offset) = (GUARD, 0);
        let mut tensors: Vec<Tensor> = Vec::with_capacity(values.len());
        for value in values {
            let (mut tensor, bytes) = self.describe(value)?;
            tensor.region = match (value.over, value.kind) {
                (Some(input), _) => tensors[input.index()].region,
                (None, Kind::Scalars) => Region { arena: self.host, offset: host_offset, bytes },
                (None, _) => Region { arena: self.arena, offset, bytes },
            };
            match (value.over, value.kind) {
                (Some(_), _) => {}
                (None, Kind::Scalars) => host_offset += align_up(bytes),
                (None, _) => offset += align_up(bytes) + GUARD,
            }
            tensors.push(tensor);
        }
        Ok(tensors)
    }

    /// A tensor without a place, and the bytes it needs.
    fn describe(&self, value: &Value) -> Result<(Tensor, usize), KernelError> {
        let shape = value.shape;
        let plain = |dtype: DType| (shape, dtype, Format::Plain, shape.elements() * dtype.bytes());
        let workspace = |bytes: usize| (Shape::new(&[bytes]), DType::U8, Format::Plain, bytes);
        let (shape, dtype, format, bytes) = match value.kind {
            Kind::Activation => {
                (shape, self.dtype, Format::Activation, self.provider.activation_bytes(shape, self.dtype))
            }
            Kind::Parameter | Kind::Scalars => plain(DType::F32),
            Kind::Labels => plain(DType::I32),
            Kind::Pixels => (shape, DType::U8, Format::ChannelsLast, shape.elements()),
            Kind::MaxPoolWorkspace => workspace(self.provider.max_pool_workspace_bytes(shape, self.dtype)?),
        };
        let nowhere = Region { arena: self.arena, offset: 0, bytes: 0 };
        Ok((Tensor { region: nowhere, shape, dtype, format }, bytes))
    }

    /// Imports the given values, and reports those that do not come back as they were.
    fn import(&mut self, case: &Case, tensors: &[Tensor]) -> Result<Vec<(&'static str, String)>, KernelError> {
        let mut damage = Vec::new();
        for (value, tensor) in case.values().iter().zip(tensors) {
            let Some(given) = &value.given else { continue };
            self.provider.import(tensor, given)?;
            if let Some(difference) = difference(given, &self.provider.export(tensor)?) {
                damage.push((value.name, format!("exported otherwise than imported: {difference}")));
            }
        }
        Ok(damage)
    }

    fn export(&self, case: &Case, tensors: &[Tensor]) -> Result<Vec<Vec<f32>>, KernelError> {
        let exported = case.values().iter().zip(tensors).map(|(value, tensor)| match value.kind {
            Kind::MaxPoolWorkspace => Ok(Vec::new()),
            _ => self.provider.export(tensor),
        });
        exported.collect()
    }

    fn touched_guards(
        &self,
        case: &Case,
        tensors: &[Tensor],
        size: usize,
    ) -> Result<Vec<(&'static str, String)>, KernelError> {
        let mut touched = Vec::new();
        let is_planned = |value: &Value| value.over.is_none() && value.kind != Kind::Scalars;
        let places = case.values().iter().zip(tensors).filter(|(value, _)| is_planned(value));
        let mut places: Vec<(&str, Region)> = places.map(|(value, tensor)| (value.name, tensor.region)).collect();
        places.insert(0, ("the arena's start", Region { arena: self.arena, offset: 0, bytes: 0 }));
        for (i, &(name, region)) in places.iter().enumerate() {
            let end = places.get(i + 1).map_or(size, |(_, next)| next.offset);
            let mut guard = vec![0; end - region.end()];
            self.provider.read(Region { offset: region.end(), bytes: guard.len(), ..region }, &mut guard)?;
            if let Some(at) = guard.iter().position(|&byte| byte != POISON) {
                touched.push((name, format!("byte {at} past its end was written")));
            }
        }
        Ok(touched)
    }
}

/// The inputs that a run changed.
fn changed_inputs(case: &Case, values: &[Vec<f32>]) -> Vec<(&'static str, String)> {
    let mut changed = Vec::new();
    for (i, value) in case.values().iter().enumerate() {
        let Some(given) = &value.given else { continue };
        if value.written || case.is_covered(ValueId::new(i)) {
            continue;
        }
        if let Some(difference) = difference(given, &values[i]) {
            changed.push((value.name, format!("an input was changed: {difference}")));
        }
    }
    changed
}

fn difference(expected: &[f32], got: &[f32]) -> Option<String> {
    if expected.len() != got.len() {
        return Some(format!("expected {} elements, got {}", expected.len(), got.len()));
    }
    let same = |a: f32, b: f32| a == b || (a.is_nan() && b.is_nan());
    let at = expected.iter().zip(got).position(|(&a, &b)| !same(a, b))?;
    Some(format!("element {at} is {} and was {}", got[at], expected[at]))
}
