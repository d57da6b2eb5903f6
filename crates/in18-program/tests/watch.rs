//! A step's watcher learns of each operation before it runs, and changes no result.

use std::cell::RefCell;
use std::rc::Rc;

use in18_kernels::reference::Reference;
use in18_program::initial::Initialization;
use in18_program::{Arch, Input, Mode, Model, Size, Targets};
use in18_tensor::DType;

const SIZE: Size = Size { batch: 2, height: 32, width: 32 };

/// A training step: the bits of its results, and what the watcher saw, if there was one.
fn step(watched: bool) -> (Vec<u32>, Vec<(usize, String)>) {
    let mut model = Model::new(Box::new(Reference::new()), Arch::RESNET18.network(4), DType::F32).unwrap();
    Initialization::torchvision(3).apply(&mut model).unwrap();
    let seen = Rc::new(RefCell::new(Vec::new()));
    if watched {
        let seen = Rc::clone(&seen);
        model.watch(move |number, _, op| seen.borrow_mut().push((number, op.label())));
    }
    let pixels: Vec<u8> = (0..SIZE.batch * SIZE.height * SIZE.width * 3).map(|index| (index * 7 % 251) as u8).collect();
    let input = Input { size: SIZE, pixels: &pixels, targets: Targets::of(&[0, 3]) };
    let pending = model.start_training(input).unwrap();
    let metrics = model.metrics(pending).unwrap();
    model.forget_watcher();
    let before = seen.borrow().len();
    let gradients = ["conv1.weight", "layer3.0.conv2.weight", "fc.bias"].map(|name| model.gradient(name).unwrap());
    let mut bits: Vec<u32> = gradients.concat().iter().map(|value| value.to_bits()).collect();
    bits.push((metrics.loss_sum as f32).to_bits());
    let pending = model.start_evaluation(input).unwrap();
    let evaluated = model.metrics(pending).unwrap();
    bits.push((evaluated.loss_sum as f32).to_bits());
    assert_eq!(seen.borrow().len(), before, "a watcher that was forgotten is told nothing");
    let expected: Vec<String> =
        model.operations(Mode::Training, SIZE).unwrap().iter().map(|operation| operation.label()).collect();
    let seen = seen.take();
    if watched {
        assert_eq!(seen, expected.into_iter().enumerate().collect::<Vec<_>>());
    }
    (bits, seen)
}

#[test]
fn a_watched_step_gives_the_same_bits() {
    let ((alone, nothing), (watched, seen)) = (step(false), step(true));
    assert!(nothing.is_empty() && !seen.is_empty());
    assert!(alone == watched, "being watched changed the results");
}
