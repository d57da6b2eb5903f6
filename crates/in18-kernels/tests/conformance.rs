//! The suite passes on the reference itself, and fails on references with a fault. That shows that
//! it can fail.

use std::ops::Range;
use std::time::Instant;

use in18_kernels::conformance::{self, Failure, Rounding};
use in18_kernels::op::clip_factor;
use in18_kernels::reference::Reference;
use in18_kernels::{KernelError, Kernels, Op, ProgramId};
use in18_tensor::{ArenaId, DType, MemoryRange, Region, Shape, Tensor, rounded};

#[test]
fn the_reference_passes() {
    for dtype in [DType::F32, DType::Bf16, DType::F16] {
        let start = Instant::now();
        match conformance::check(&mut Reference::new(), dtype, Rounding::Once) {
            Ok(cases) => eprintln!("{dtype}: {cases} cases in {:.1} s", start.elapsed().as_secs_f64()),
            Err(failures) => panic!("{dtype}: {}", list(&failures)),
        }
    }
}

#[test]
fn every_fault_is_found() {
    for dtype in [DType::F32, DType::Bf16] {
        // One fault for each operation or obligation. All can be present at once, because each must
        // show under its own name.
        let mut faulty = Faulty { inner: Reference::new(), programs: Vec::new(), ran: Vec::new(), runs: 0 };
        let failures = conformance::check(&mut faulty, dtype, Rounding::Once).expect_err("a faulty provider passed");
        let found = |case: &str, operand: &str, what: &str| {
            failures.iter().any(|f| f.case.starts_with(case) && f.operand == operand && f.what.contains(what))
        };
        let differs = "elements out of bounds";
        let expected = [
            ("Normalize", "dst", "past its end was written"),
            ("Conv 7x7/2", "dst", differs),
            ("Conv 1x1/1", "dst", differs),
            ("ConvBackwardData", "dsrc", differs),
            ("ConvBackwardWeight", "src", "an input was changed"),
            ("BatchNorm and", "running_variance", differs),
            ("BatchNorm and", "dgamma", differs),
            ("BatchNorm and", "dbeta", differs),
            ("BatchNormAddRelu", "dst", differs),
            ("BatchNormInference", "dst", "two runs differ"),
            ("ConvNormAddRelu", "dst", "two runs differ"),
            ("Add 2x16x8x8 over a", "dst", differs),
            ("AddRelu", "dst", differs),
            ("ReluBackward", "dsrc", differs),
            ("SumReluBackward", "dsrc", differs),
            ("MaxPool and", "dst", differs),
            ("AvgPool 1x64x15x11", "dst", differs),
            ("AvgPoolBackward 1x64x15x11", "dsrc", differs),
            ("BlurPool /1", "dst", differs),
            ("BlurPool /2", "dst", differs),
            ("BlurPoolBackward /1", "dsrc", differs),
            ("BlurPoolBackward /2", "dsrc", differs),
            ("GlobalAvgPool ", "dst", differs),
            ("LinearBackwardWeight", "dbias", differs),
            ("CrossEntropy ", "metrics", differs),
            ("SoftLoss ", "metrics", differs),
            ("SoftLossBackward binary", "dlogits", differs),
            ("clip all", "gradient", differs),
            ("clip an infinity", "gradient", differs),
            ("sgd all", "velocity", differs),
            ("lars all", "velocity", differs),
            ("lars no weight decay", "parameter", differs),
            ("average of", "average", differs),
            ("a region beyond its arena is refused", "memory", "does not hold"),
        ];
        for (case, operand, what) in expected {
            assert!(found(case, operand, what), "{dtype}: nothing found in {case}, {operand}: {}", list(&failures));
        }
        // Operations without a fault are not accused.
        let sound = [("Linear ", "dst"), ("CrossEntropyBackward", "dlogits"), ("BatchNorm and", "dst")];
        // The faults of average pooling show in squares that the edge cuts off, and only there.
        let whole = [("AvgPool 2x16x8x8", "dst"), ("AvgPoolBackward 2x16x8x8", "dsrc")];
        for (case, operand) in sound.into_iter().chain(whole) {
            assert!(!found(case, operand, ""), "{dtype}: {case}, {operand}: {}", list(&failures));
        }
        assert_eq!(found("GlobalAvgPoolBackward", "dsrc", differs), dtype == DType::F32, "{}", list(&failures));
    }
}

fn list(failures: &[Failure]) -> String {
    let lines: Vec<String> = failures.iter().map(|failure| format!("\n  {failure}")).collect();
    lines.concat()
}

/// A reference with a fault in nearly every operation.
struct Faulty {
    inner: Reference,
    programs: Vec<Vec<Op>>,
    /// How many operations of each program ran.
    ran: Vec<usize>,
    runs: usize,
}

impl Faulty {
    /// Changes the content of a tensor.
    fn spoil(&mut self, tensor: &Tensor, change: impl FnOnce(&mut [f32])) -> Result<(), KernelError> {
        let mut values = self.inner.export(tensor)?;
        change(&mut values);
        self.inner.import(tensor, &values)
    }

    /// Runs one operation, wrongly.
    fn run_one(&mut self, program: ProgramId, at: usize) -> Result<(), KernelError> {
        self.runs += 1;
        let runs = self.runs;
        let ran = &mut self.ran[program.0 as usize];
        *ran += 1;
        let is_first = *ran == 1;
        let op = self.programs[program.0 as usize][at];
        let before: Vec<Vec<f32>> = match op {
            Op::ConvBackwardData(op) => vec![self.inner.export(&op.dsrc)?],
            Op::AddRelu(op) => vec![self.inner.export(&op.a)?, self.inner.export(&op.b)?],
            Op::ReluBackward(op) => vec![self.inner.export(&op.ddst)?],
            Op::ClipGradients(op) => vec![self.inner.export(&op.gradient)?],
            Op::Sgd(op) => vec![self.inner.export(&op.parameter)?],
            Op::Lars(op) => vec![self.inner.export(&op.parameter)?, self.inner.export(&op.velocity)?],
            Op::Average(op) => vec![self.inner.export(&op.average)?],
            _ => Vec::new(),
        };
        self.inner.run(program, at..at + 1)?;
        match op {
            Op::Normalize(op) => {
                let beyond = Region { offset: op.dst.region.end(), bytes: 1, ..op.dst.region };
                self.inner.write(beyond, &[0])
            }
            // Forgets the last channel where the kernel is large, and the last pixel where it is a
            // point.
            Op::Conv(op) if op.window.kernel == 7 => {
                let plane = op.dst.shape[2] * op.dst.shape[3];
                self.spoil(&op.dst, |dst| {
                    let first = dst.len() - plane;
                    dst[first..].fill(0.0);
                })
            }
            Op::Conv(op) if op.window.kernel == 1 => self.spoil(&op.dst, |dst| {
                if let Some(last) = dst.last_mut() {
                    *last = 0.0;
                }
            }),
            // Accumulates.
            Op::ConvBackwardData(op) => self.spoil(&op.dsrc, |dsrc| {
                dsrc.iter_mut().zip(&before[0]).for_each(|(dsrc, before)| *dsrc += before);
            }),
            // Scales its source in place.
            Op::ConvBackwardWeight(op) => self.spoil(&op.src, |src| src[0] *= 2.0),
            // Takes the biased variance.
            Op::BatchNorm(op) => {
                let [n, _, h, w] = [op.src.shape[0], op.src.shape[1], op.src.shape[2], op.src.shape[3]];
                let count = (n * h * w) as f32;
                let inverse = self.inner.export(&op.inverse_deviation)?;
                self.spoil(&op.running_variance, |running| {
                    running.iter_mut().zip(inverse).for_each(|(running, inverse)| {
                        let variance = inverse.powi(-2) - op.epsilon;
                        *running -= op.momentum * variance / (count - 1.0).max(1.0);
                    });
                })
            }
            // Changes its result after the first run.
            Op::ConvNormAddRelu(op) if !is_first => self.spoil(&op.dst, |dst| dst[0] += 1.0),
            // Forgets the addend.
            Op::BatchNormAddRelu(op) => {
                let addend = self.inner.export(&op.addend)?;
                self.spoil(&op.dst, |dst| {
                    dst.iter_mut().zip(addend).for_each(|(dst, addend)| *dst = (*dst - addend).max(0.0));
                })
            }
            Op::BatchNormBackward(op) => self.spoil(&op.dgamma, |dgamma| dgamma.iter_mut().for_each(|v| *v *= 1.001)),
            // Forgets ReLU.
            Op::BatchNormReluBackward(op) => {
                let ddst = self.inner.export(&op.ddst)?;
                self.spoil(&op.dbeta, |dbeta| dbeta[0] = ddst.iter().sum())
            }
            // Gives other bits each time.
            Op::BatchNormInference(op) => self.spoil(&op.dst, |dst| dst[0] *= 1.0 + (runs % 16) as f32 / 64.0),
            // Reads an operand after it was overwritten.
            Op::Add(op) if op.dst.region == op.a.region => {
                let b = self.inner.export(&op.b)?;
                self.spoil(&op.dst, |dst| dst.iter_mut().zip(b).for_each(|(dst, b)| *dst += b))
            }
            // Forgets ReLU.
            Op::AddRelu(op) => self.spoil(&op.dst, |dst| {
                let sums = before[0].iter().zip(&before[1]);
                dst.iter_mut().zip(sums).for_each(|(dst, (a, b))| *dst = a + b);
            }),
            // Lets everything through.
            Op::ReluBackward(op) => self.spoil(&op.dsrc, |dsrc| dsrc.copy_from_slice(&before[0])),
            // One unit of bf16 too large: no more than a second rounding changes.
            Op::SumReluBackward(op) => self.spoil(&op.dsrc, |dsrc| {
                dsrc.iter_mut().for_each(|v| *v *= 1.0 + 1.0 / 128.0);
            }),
            // Pads with zeros.
            Op::MaxPool(op) => self.spoil(&op.dst, |dst| dst.iter_mut().for_each(|v| *v = v.max(0.0))),
            // Counts pixels beyond the last column.
            Op::AvgPool(op) => {
                let (width, is_cut) = (op.dst.shape[3], op.src.shape[3] % 2 == 1);
                self.spoil(&op.dst, |dst| {
                    let last = dst.chunks_exact_mut(width).filter_map(|row| row.last_mut());
                    last.filter(|_| is_cut).for_each(|value| *value /= 2.0);
                })
            }
            // Divides by the pixels of a whole square in the last row.
            Op::AvgPoolBackward(op) => {
                let [height, width] = [op.dsrc.shape[2], op.dsrc.shape[3]];
                self.spoil(&op.dsrc, |dsrc| {
                    let last = dsrc.chunks_exact_mut(height * width).map(|plane| &mut plane[(height - 1) * width..]);
                    last.filter(|_| height % 2 == 1).flatten().for_each(|value| *value /= 2.0);
                })
            }
            // Leaves the padding out of the mean, in the last column.
            Op::BlurPool(op) => {
                let [width, stride] = [op.src.shape[3], op.stride];
                let kept = op.dst.shape[3];
                let reaches_edge = (kept - 1) * stride + 1 >= width;
                self.spoil(&op.dst, |dst| {
                    let last = dst.chunks_exact_mut(kept).filter_map(|row| row.last_mut());
                    last.filter(|_| reaches_edge).for_each(|value| *value *= 4.0 / 3.0);
                })
            }
            // Forgets the last pixel.
            Op::BlurPoolBackward(op) => self.spoil(&op.dsrc, |dsrc| {
                if let Some(last) = dsrc.last_mut() {
                    *last = 0.0;
                }
            }),
            // Computes in bf16.
            Op::GlobalAvgPool(op) => {
                self.spoil(&op.dst, |dst| dst.iter_mut().for_each(|v| *v = rounded(DType::Bf16, *v)))
            }
            // Computes in bf16, which is right where its result is in bf16.
            Op::GlobalAvgPoolBackward(op) => {
                self.spoil(&op.dsrc, |dsrc| dsrc.iter_mut().for_each(|v| *v = rounded(DType::Bf16, *v)))
            }
            // Takes the mean.
            Op::LinearBackwardWeight(op) => {
                let n = op.src.shape[0] as f32;
                self.spoil(&op.dbias, |dbias| dbias.iter_mut().for_each(|v| *v /= n))
            }
            // Counts one image too many.
            Op::CrossEntropy(op) => self.spoil(&op.metrics, |metrics| metrics[2] += 1.0),
            // Counts one image too many.
            Op::SoftLoss(op) => self.spoil(&op.metrics, |metrics| metrics[1] += 1.0),
            // Smooths a little less: each class but the labels' gets less.
            Op::SoftLossBackward(op) => self.spoil(&op.dlogits, |dlogits| {
                dlogits.iter_mut().for_each(|v| *v += 1e-3 * op.smoothing);
            }),
            // Takes half the norm, of what is finite.
            Op::ClipGradients(op) => {
                let old: Vec<f64> = before[0].iter().map(|&g| f64::from(g)).collect();
                let scale = f64::from(self.inner.export(&op.scalars)?[2]);
                let squares = old.iter().map(|g| (scale * g).powi(2)).filter(|square| square.is_finite());
                let factor = clip_factor(squares.sum::<f64>().sqrt() / 2.0, op.max_norm);
                self.spoil(&op.gradient, |gradient| {
                    gradient.iter_mut().zip(&old).for_each(|(new, old)| *new = (old * factor) as f32);
                })
            }
            // Forgets the penalty.
            Op::Sgd(op) => self.spoil(&op.velocity, |velocity| {
                velocity.iter_mut().zip(&before[0]).for_each(|(v, w)| *v -= op.weight_decay * w);
            }),
            // Forgets the penalty when it takes the ratio, and turns the step around where there is none.
            Op::Lars(op) => {
                let momentum = self.inner.export(&op.scalars)?[1];
                let factor = if op.weight_decay > 0.0 { 1.0 + op.weight_decay } else { -1.0 };
                self.spoil(&op.velocity, |velocity| {
                    let both = velocity.iter_mut().zip(&before[1]);
                    both.for_each(|(v, old)| *v = momentum * old + factor * (*v - momentum * old));
                })?;
                let velocity = self.inner.export(&op.velocity)?;
                self.spoil(&op.parameter, |parameter| {
                    let steps = before[0].iter().zip(&velocity);
                    parameter.iter_mut().zip(steps).for_each(|(w, (old, v))| *w = old - v);
                })
            }
            // Takes the share for that of the new value.
            Op::Average(op) => {
                let (kept, value) = (self.inner.export(&op.kept)?[0], self.inner.export(&op.value)?);
                self.spoil(&op.average, |average| {
                    let both = before[0].iter().zip(&value);
                    average.iter_mut().zip(both).for_each(|(new, (old, v))| *new = (1.0 - kept) * old + kept * v);
                })
            }
            _ => Ok(()),
        }
    }
}

impl Kernels for Faulty {
    fn describe(&self) -> String {
        self.inner.describe()
    }

    fn native(&self, dtype: DType) -> bool {
        self.inner.native(dtype)
    }

    fn supports(&self, dtype: DType) -> bool {
        self.inner.supports(dtype)
    }

    fn activation_bytes(&self, shape: Shape, dtype: DType) -> usize {
        self.inner.activation_bytes(shape, dtype)
    }

    fn max_pool_workspace_bytes(&self, dst: Shape, dtype: DType) -> Result<usize, KernelError> {
        self.inner.max_pool_workspace_bytes(dst, dtype)
    }

    fn allocate(&mut self, bytes: usize) -> Result<ArenaId, KernelError> {
        self.inner.allocate(bytes)
    }

    fn reserve(&mut self, arena: ArenaId, bytes: usize) -> Result<(), KernelError> {
        self.inner.reserve(arena, bytes)
    }

    fn write(&mut self, region: Region, bytes: &[u8]) -> Result<(), KernelError> {
        match self.inner.write(region, bytes) {
            Err(KernelError::OutOfBounds { .. }) => Ok(()), // says nothing
            other => other,
        }
    }

    fn read(&self, region: Region, bytes: &mut [u8]) -> Result<(), KernelError> {
        self.inner.read(region, bytes)
    }

    fn memory_range(&mut self, region: Region) -> Result<MemoryRange, KernelError> {
        self.inner.memory_range(region)
    }

    fn import(&mut self, tensor: &Tensor, values: &[f32]) -> Result<(), KernelError> {
        self.inner.import(tensor, values)
    }

    fn export(&self, tensor: &Tensor) -> Result<Vec<f32>, KernelError> {
        self.inner.export(tensor)
    }

    fn compile(&mut self, ops: &[Op]) -> Result<ProgramId, KernelError> {
        let program = self.inner.compile(ops)?;
        self.programs.resize(program.0 as usize + 1, Vec::new());
        self.programs[program.0 as usize] = ops.to_vec();
        self.ran.resize(program.0 as usize + 1, 0);
        Ok(program)
    }

    fn release(&mut self, program: ProgramId) {
        self.inner.release(program);
    }

    fn run(&mut self, program: ProgramId, ops: Range<usize>) -> Result<(), KernelError> {
        match self.programs.get(program.0 as usize) {
            Some(held) if ops.end <= held.len() && !ops.is_empty() => {
                ops.into_iter().try_for_each(|at| self.run_one(program, at))
            }
            _ => self.inner.run(program, ops),
        }
    }
}
