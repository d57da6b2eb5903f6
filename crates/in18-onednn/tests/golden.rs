//! Whole networks against PyTorch: logits, every parameter's gradient, running statistics, and ten losses of ten steps
//! of SGD. The golden files and how they were made: `in18-testkit`, `scripts/golden/networks.py`.

use in18_onednn::OneDnn;
use in18_program::{Arch, Mode, Model, Size};
use in18_tensor::DType;
use in18_testkit::generator::Start;
use in18_testkit::golden::{FP32_TOLERANCE, GoldenCase, GoldenError, Summary};
use in18_train::optimizer;

/// Everything that departs from the reference by more than it may, and the worst that does not.
#[derive(Default)]
struct Findings {
    failures: Vec<String>,
    checked: usize,
}

impl Findings {
    fn note<T>(&mut self, case: &GoldenCase, result: Result<T, GoldenError>) {
        self.checked += 1;
        if let Err(error) = result {
            self.failures.push(format!("{}: {error}", case.name));
        }
    }

    fn conclude(self) {
        let Findings { failures, checked } = self;
        assert!(failures.is_empty(), "{} of {checked} values deviate:\n{}", failures.len(), failures.join("\n"));
        println!("{checked} values agree");
    }
}

fn model(case: &GoldenCase, dtype: DType, start: Start) -> Model {
    let arch: Arch = case.arch.parse().unwrap();
    let kernels = OneDnn::new(None).expect("oneDNN starts");
    let mut model = Model::new(Box::new(kernels), arch.network(case.classes), dtype).unwrap();
    for entry in model.parameters().entries().to_vec() {
        let values = case.initial_parameter(&entry.name, entry.shape.extents(), start);
        model.set(&entry.name, &values).unwrap();
    }
    for entry in model.statistics().entries().to_vec() {
        let value = if entry.name.ends_with("running_var") { 1.0 } else { 0.0 };
        model.set(&entry.name, &vec![value; entry.shape.elements()]).unwrap();
    }
    model
}

fn size(case: &GoldenCase) -> Size {
    Size { batch: case.batch, height: case.height, width: case.width }
}

fn labels(case: &GoldenCase, step: usize) -> Vec<i32> {
    case.labels(step).into_iter().map(|label| label as i32).collect()
}

/// One forward and backward pass.
fn check_plain(case: &GoldenCase, dtype: DType, findings: &mut Findings) {
    let bf16 = dtype == DType::Bf16;
    let mut model = model(case, dtype, Start::Open);
    let metrics = model.train_step(size(case), &case.images(0), &labels(case, 0)).unwrap();
    let plain = &case.plain;
    let tolerance = if bf16 { loss_tolerance_in_bf16(case) } else { FP32_TOLERANCE };
    findings.note(case, plain.loss.check("loss", metrics.loss_sum / case.batch as f64, tolerance));
    let logits = model.logits(Mode::Training, size(case)).unwrap();
    let tolerance = if bf16 { plain.logits.summary.bf16_tolerance() } else { FP32_TOLERANCE };
    findings.note(case, plain.logits.check(&logits, tolerance));
    let yardstick = root_mean_square(plain.gradients.iter().map(|summary| summary.bf16));
    let mut distances = Vec::new();
    for summary in &plain.gradients {
        let tolerance = if bf16 { gradient_tolerance_in_bf16(summary, yardstick) } else { FP32_TOLERANCE };
        let result = summary.check(&model.gradient(&summary.name).unwrap(), tolerance);
        distances.extend(result.iter().map(|deviation| deviation.l2));
        findings.note(case, result);
    }
    if bf16 {
        let ours = root_mean_square(distances.into_iter());
        println!("{}: root mean square error of the gradients {ours:.4}, PyTorch's bf16 {yardstick:.4}", case.name);
        assert!(ours <= 1.15 * yardstick, "{}: expected at most 1.15 times {yardstick:.4}, got {ours:.4}", case.name);
    }
    assert_eq!(plain.gradients.len(), model.parameters().entries().len());
    for summary in &plain.statistics {
        let tolerance = if bf16 { summary.bf16_tolerance() } else { FP32_TOLERANCE };
        findings.note(case, summary.check(&model.get(&summary.name).unwrap(), tolerance));
    }
    assert_eq!(plain.statistics.len(), model.statistics().entries().len());
}

/// Ten steps of SGD from `--init-bn0`, with `--no-bn-wd`.
fn check_training(case: &GoldenCase, dtype: DType, findings: &mut Findings) {
    let bf16 = dtype == DType::Bf16;
    let mut model = model(case, dtype, Start::Bn0);
    let optimizer = optimizer(&model, case.momentum as f32, case.weight_decay as f32, true);
    for (step, expected) in case.training.losses.iter().enumerate() {
        let metrics = model.train_step(size(case), &case.images(step), &labels(case, step)).unwrap();
        model.update(&optimizer.updates(case.learning_rate as f32, model.trainable_arenas())).unwrap();
        let tolerance = if bf16 { loss_tolerance_in_bf16(case) } else { FP32_TOLERANCE };
        let loss = metrics.loss_sum / case.batch as f64;
        findings.note(case, expected.check(&format!("loss of step {step}"), loss, tolerance));
    }
    model.evaluate(size(case), &case.images(0), &labels(case, 0)).unwrap();
    let logits = model.logits(Mode::Evaluation, size(case)).unwrap();
    let tolerance = if bf16 { case.training.logits.summary.bf16_tolerance() } else { FP32_TOLERANCE };
    findings.note(case, case.training.logits.check(&logits, tolerance));
}

/// What bf16 explains in one gradient: four times PyTorch's own bf16 error, and one rounding. Which tensors it strikes is
/// chance (a ReLU that flips changes whole channels), so where PyTorch was lucky, the root mean square of its errors over
/// all of the case's gradients counts. Errors of single tensors have a long tail, so that the sharp bound is the one on
/// their root mean square, 1.15 times PyTorch's: ours lie at 0.71 to 1.02.
fn gradient_tolerance_in_bf16(summary: &Summary, yardstick: f64) -> f64 {
    4.0 * summary.bf16.max(yardstick) + 1.0 / 256.0
}

fn root_mean_square(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len() as f64;
    (values.map(|value| value * value).sum::<f64>() / count).sqrt()
}

/// What bf16 explains in a loss: one number may be right by luck, so the worst of PyTorch's bf16 errors in the case's
/// eleven losses is the yardstick, thrice, and one rounding.
fn loss_tolerance_in_bf16(case: &GoldenCase) -> f64 {
    let losses = case.training.losses.iter().chain([&case.plain.loss]);
    3.0 * losses.map(|loss| loss.bf16).fold(0.0, f64::max) + 1.0 / 256.0
}

fn check(dtype: DType) {
    let mut findings = Findings::default();
    for case in GoldenCase::all().unwrap() {
        check_plain(&case, dtype, &mut findings);
        check_training(&case, dtype, &mut findings);
    }
    findings.conclude();
}

#[test]
fn fp32_computes_what_pytorch_computes() {
    check(DType::F32);
}

#[test]
fn bf16_computes_what_bf16_allows() {
    use in18_kernels::Kernels;
    if !OneDnn::new(None).expect("oneDNN starts").supports(DType::Bf16) {
        eprintln!("skipped: this CPU cannot compute in bfloat16");
        return;
    }
    check(DType::Bf16);
}
