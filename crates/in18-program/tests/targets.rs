//! Two classes for one image: what the loss makes of them, and what is refused.

use in18_kernels::reference::Reference;
use in18_program::initial::Initialization;
use in18_program::{Arch, Input, Loss, Metrics, MixedIn, Model, ProgramError, Size, Targets};
use in18_tensor::DType;

const SIZE: Size = Size { batch: 3, height: 32, width: 32 };
const LABELS: [i32; 3] = [0, 3, 2];
const OTHERS: [i32; 3] = [2, 3, 0];

/// A training step's metrics, and the gradient of the classifier's bias.
fn step(loss: Loss, targets: Targets<'_>) -> Result<(Metrics, Vec<f32>), ProgramError> {
    let mut model = Model::new(Box::new(Reference::new()), Arch::RESNET18.network(4), DType::F32)?;
    Initialization::torchvision(3).apply(&mut model)?;
    model.set_loss(loss);
    let pixels: Vec<u8> = (0..SIZE.batch * SIZE.height * SIZE.width * 3).map(|index| (index * 7 % 251) as u8).collect();
    let pending = model.start_training(Input { size: SIZE, pixels: &pixels, targets })?;
    let metrics = model.metrics(pending)?;
    Ok((metrics, model.gradient("fc.bias")?))
}

fn mixed(share: f32) -> Targets<'static> {
    Targets { labels: &LABELS, mixed_in: Some(MixedIn { labels: &OTHERS, share }) }
}

#[test]
fn the_loss_is_the_weighted_mean_of_both_classes() {
    let of_mixtures = || Loss { mixed: true, ..Loss::default() };
    let (one, of_one) = step(Loss::default(), Targets::of(&LABELS)).unwrap();
    let (other, of_other) = step(Loss::default(), Targets::of(&OTHERS)).unwrap();
    assert!((one.loss_sum - other.loss_sum).abs() > 1e-3, "both classes are as likely");
    for share in [0.0, 0.3, 1.0] {
        let (metrics, gradient) = step(of_mixtures(), mixed(share)).unwrap();
        let share = f64::from(share);
        let expected = share * one.loss_sum + (1.0 - share) * other.loss_sum;
        assert!((metrics.loss_sum - expected).abs() < 1e-4, "{share}: {} for {expected}", metrics.loss_sum);
        for ((found, one), other) in gradient.iter().zip(&of_one).zip(&of_other) {
            let expected = share * f64::from(*one) + (1.0 - share) * f64::from(*other);
            assert!((f64::from(*found) - expected).abs() < 1e-6, "{share}: {found} for {expected}");
        }
        // Guesses are compared with the images' own classes.
        assert_eq!((metrics.top1, metrics.top5), (one.top1, one.top5));
    }
    // A batch of which nothing is mixed, such as one of a single image.
    let (metrics, _) = step(of_mixtures(), Targets::of(&LABELS)).unwrap();
    assert!((metrics.loss_sum - one.loss_sum).abs() < 1e-5);
}

#[test]
fn a_loss_of_one_class_refuses_two_and_lengths_are_checked() {
    let says = |loss, targets| step(loss, targets).unwrap_err().to_string();
    assert_eq!(
        says(Loss::default(), mixed(0.5)),
        "expected one class for each image, got two: the model's loss is not one of mixed images"
    );
    let short = Targets { labels: &LABELS, mixed_in: Some(MixedIn { labels: &OTHERS[1..], share: 0.5 }) };
    assert_eq!(says(Loss { mixed: true, ..Loss::default() }, short), "labels mixed in: expected 3 values, got 2");
}
