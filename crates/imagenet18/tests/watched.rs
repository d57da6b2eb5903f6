//! A step that is watched operation by operation, like the first step of a run, gives the same bits
//! as one that is not, on the CPU's kernels.

use in18_onednn::OneDnn;
use in18_optim::Sgd;
use in18_program::initial::Initialization;
use in18_program::{Arch, Input, Mode, Model, Size, Targets, UpdateScalars};
use in18_tensor::DType;

const SIZE: Size = Size { batch: 4, height: 64, width: 64 };

/// The bits of every parameter and of the loss after two steps. The first step is watched or not.
/// Gradients are handed out in parts, as with several ranks.
fn steps(dtype: DType, watched: bool) -> Vec<u32> {
    let mut model = Model::new(Box::new(OneDnn::new(Some(2)).unwrap()), Arch::RESNET18.network(5), dtype).unwrap();
    Initialization::torchvision(3).apply(&mut model).unwrap();
    model.set_update(&Sgd { no_bn_wd: true, ..Sgd::new(1e-4) }.update(model.parameters())).unwrap();
    let scalars = UpdateScalars { rate: 0.1, momentum: 0.9, gradient_scale: 1.0, decay: 1.0 };
    let pixels: Vec<u8> = (0..SIZE.batch * SIZE.height * SIZE.width * 3).map(|index| (index * 7 % 251) as u8).collect();
    let cuts = model.gradient_cuts(1 << 20);
    let mut bits = Vec::new();
    let (send, receive) = std::sync::mpsc::channel();
    if watched {
        model.watch(move |op, _, _| send.send(op).unwrap());
    }
    for _ in 0..2 {
        let input = Input { size: SIZE, pixels: &pixels, targets: Targets::of(&[0, 3, 1, 4]) };
        let pending = model.start_training_in_parts(input, &cuts, &mut |_, _| ()).unwrap();
        bits.push((model.metrics(pending).unwrap().loss_sum as f32).to_bits());
        model.update(scalars).unwrap();
        model.forget_watcher();
    }
    if watched {
        let operations = model.operations(Mode::Training, SIZE).unwrap().len();
        assert_eq!(receive.iter().collect::<Vec<_>>(), (0..operations).collect::<Vec<_>>());
    }
    let names: Vec<String> = model.parameters().entries().iter().map(|entry| entry.name.clone()).collect();
    for name in names {
        bits.extend(model.get(&name).unwrap().iter().map(|value| value.to_bits()));
    }
    bits
}

#[test]
fn a_watched_step_gives_the_same_bits() {
    let bf16 = std::arch::is_x86_feature_detected!("avx512bf16").then_some(DType::Bf16);
    for dtype in [DType::F32].into_iter().chain(bf16) {
        assert!(steps(dtype, false) == steps(dtype, true), "{dtype}: being watched changed the results");
    }
}
