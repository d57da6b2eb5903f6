//! Several ranks: what they compute together, that their results repeat, and how a run continues
//! with another number of ranks.

mod several;

use std::time::Duration;

use in18_comm::{C10d, Comm, Joining, Solo};
use in18_kernels::Kernels;
use in18_kernels::op::Window;
use in18_libtorch::LIBRARY;
use in18_onednn::OneDnn;
use in18_program::initial::Initialization;
use in18_program::layers::{self, AddRelu, Conv, GlobalAvgPool, Linear, MaxPool};
use in18_program::{Input, Model, Network, Size, Targets};
use in18_recipe::{LossScale, Optimizer, OptimizerKind};
use in18_tensor::DType;
use in18_testkit::skip::lacks;
use in18_torch::Torch;
use in18_train::{DynamicScale, StepScalars, TrainingStep, finish};
use rustix::process::Signal;
use serde_json::Value;
use several::{events, free_port, network, photos, signal, stderr, succeed, train, wait, wait_for_steps};

#[test]
fn two_ranks_count_every_image_once_and_repeat_themselves() {
    if lacks(LIBRARY) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (data, logs) = (folder.path().join("photos"), |name: &str| folder.path().join(name));
    photos(&data);
    let output = succeed(train(&data, &logs("a"), &["--devices", "cpu:2"]));
    assert!(String::from_utf8_lossy(&output.stdout).contains("Top-5 Acc"));
    let start = &events(&logs("a"), "run_start")[0];
    assert_eq!((start["world"].as_u64(), start["workers"].as_u64()), (Some(2), Some(1)));
    let steps = events(&logs("a"), "step");
    let images: Vec<_> = steps.iter().map(|step| (step["images"].as_u64(), step["images_total"].as_u64())).collect();
    assert_eq!(images, vec![(Some(4), Some(8)); 12]);
    // Validation has 12 images in batches of at least 512, so rank 1's share is empty.
    let counted: u64 = events(&logs("a"), "eval_step").iter().map(|step| step["images_total"].as_u64().unwrap()).sum();
    assert_eq!(counted, 24);
    let scalars = in18_record::event_files::read_scalars(&logs("a")).unwrap().all;
    let of = |tag: &str| -> Vec<f64> {
        scalars.iter().filter(|scalar| scalar.tag == tag).map(|scalar| scalar.value).collect()
    };
    assert!(of("sizes/world").iter().all(|&world| world == 2.0) && !of("sizes/world").is_empty());
    let (one, all) = (of("times/1gpu_images_per_sec"), of("times/total_images_per_sec"));
    assert!(
        !one.is_empty() && one.iter().zip(&all).all(|(one, all)| (all / one - 2.0).abs() < 1e-3),
        "{one:?}, {all:?}"
    );
    assert!(!of("net/recv_gbit").is_empty() && !of("net/transmit_gbit").is_empty());

    succeed(train(&data, &logs("b"), &["--devices", "cpu:2"]));
    assert!(network(&logs("a")) == network(&logs("b")), "two runs of two ranks differ");
    // Both engines divide the work in the same way.
    succeed(train(&data, &logs("c"), &["--devices", "cpu:2", "--engine", "torch"]));
    let loss = |name: &str| events(&logs(name), "step")[0]["loss"].as_f64().unwrap();
    assert!((loss("a") - loss("c")).abs() < 1e-5, "{} and {}", loss("a"), loss("c"));
}

#[test]
fn two_ranks_mix_their_images_and_repeat_themselves() {
    if lacks(LIBRARY) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (data, logs) = (folder.path().join("photos"), |name: &str| folder.path().join(name));
    photos(&data);
    let run = |name: &str, more: &[&str]| {
        let two = ["--devices", "cpu:2", "-o", "augment.mixup=0.4", "-o", "augment.cutmix=1"];
        succeed(train(&data, &logs(name), &[&two[..], more].concat()));
        events(&logs(name), "step").iter().map(|step| step["loss"].as_f64().unwrap()).collect::<Vec<f64>>()
    };
    let first = run("a", &[]);
    run("b", &[]);
    assert!(network(&logs("a")) == network(&logs("b")), "two runs of two ranks differ");
    let torch = run("c", &["--engine", "torch"]);
    assert!((first[0] - torch[0]).abs() < 1e-5, "{} and {}", first[0], torch[0]);
    let plain = run("d", &["-o", "augment.mixup=0", "-o", "augment.cutmix=0"]);
    assert!(first.iter().zip(&plain).all(|(mixed, plain)| mixed != plain), "{first:?}, {plain:?}");
}

/// The network has no normalisation, because each rank has its own batch statistics. Then the mean
/// of two gradients over b images is the gradient over 2b.
#[test]
fn two_ranks_of_half_a_batch_learn_what_one_learns() {
    if lacks(LIBRARY) {
        return;
    }
    const BATCH: usize = 4;
    const STEPS: usize = 5;
    let pixels = |step: usize, image: usize| -> Vec<u8> {
        (0..24 * 24 * 3).map(|i| ((i * 37 + image * 101 + step * 59) % 251) as u8).collect()
    };
    // Ranks take the images in turn.
    let train = |comm: &mut dyn Comm, kernels: Box<dyn Kernels>, exchanged: DType, optimizer: &Optimizer| {
        let (rank, world) = (comm.rank(), comm.world());
        let mut model = Model::new(kernels, without_normalisation(), DType::F32).unwrap();
        Initialization::torchvision(3).apply(&mut model).unwrap();
        if world > 1 {
            model.exchange_as(exchanged).unwrap();
        }
        model.set_update(&in18_optim::update(optimizer, model.parameters())).unwrap();
        let step_of = TrainingStep::in_parts_of(1 << 10, &model, LossScale::Fixed(1.0));
        assert_eq!(step_of.cuts().len(), 2);
        let batch = 2 * BATCH / world;
        let size = Size { batch, height: 24, width: 24 };
        for step in 0..STEPS {
            let images: Vec<usize> = (0..batch).map(|k| k * world + rank).collect();
            let labels: Vec<i32> = images.iter().map(|image| (image % 3) as i32).collect();
            let pixels: Vec<u8> = images.iter().flat_map(|&image| pixels(step, image)).collect();
            let input = Input { size, pixels: &pixels, targets: Targets::of(&labels) };
            let at = StepScalars { rate: 0.05, momentum: 0.9, decay: 1.0, averages: [None; 2] };
            let parts: (&mut Model, &mut dyn Comm) = (&mut model, &mut *comm);
            let started = step_of.start(parts, input, at, &mut DynamicScale::default(), &mut |_, _, _| Ok(())).unwrap();
            finish(&mut model, comm, started.metrics).unwrap();
        }
        let names: Vec<String> = model.parameters().entries().iter().map(|entry| entry.name.clone()).collect();
        names.iter().flat_map(|name| model.get(name).unwrap()).collect::<Vec<f32>>()
    };
    let onednn = || -> Box<dyn Kernels> { Box::new(OneDnn::new(Some(1)).unwrap()) };
    let torch = || -> Box<dyn Kernels> { Box::new(Torch::new(in18_torch::Device::Cpu, Some(1), false).unwrap()) };
    let plain = Optimizer { weight_decay: 1e-2, ..Optimizer::default() };
    let clipped = Optimizer { clip_norm: 0.05, ..plain.clone() };
    let lars = Optimizer { kind: OptimizerKind::Lars, trust: 0.1, ..plain.clone() };
    let (plain, clipped, lars) = (&plain, &clipped, &lars);
    let alone = |optimizer: &Optimizer| train(&mut Solo, onednn(), DType::F32, optimizer);
    let effect = distance(&alone(plain), &alone(clipped));
    assert!(effect > 1e-3, "clipping changes parameters by {effect} only");
    // A half-precision exchange rounds each gradient to a mantissa of 8 or 11 bits.
    let cases = [
        (DType::F32, plain, 1e-6),
        (DType::Bf16, plain, 2e-3),
        (DType::F16, plain, 2e-4),
        (DType::F32, clipped, 1e-6),
        (DType::F32, lars, 1e-6),
    ];
    let engines = [&onednn as &(dyn Fn() -> Box<dyn Kernels> + Sync), &torch];
    for (new, (exchanged, optimizer, tolerance)) in engines.into_iter().flat_map(|new| cases.map(|case| (new, case))) {
        let alone = train(&mut Solo, new(), exchanged, optimizer);
        let port = free_port();
        let together: Vec<Vec<f32>> = std::thread::scope(|scope| {
            let start = |rank| {
                scope.spawn(move || {
                    let (join_timeout, timeout) = (Duration::from_secs(30), Duration::from_secs(30));
                    let master = "127.0.0.1".to_owned();
                    let joining = Joining {
                        rank,
                        world: 2,
                        master,
                        port,
                        agent_prefix: None,
                        interface_is_set: false,
                        join_timeout,
                        timeout,
                        gpus: false,
                    };
                    train(&mut C10d::join(joining, &mut |_| None).unwrap(), new(), exchanged, optimizer)
                })
            };
            [start(0), start(1)].map(|rank| rank.join().unwrap()).into()
        });
        assert!(together[0] == together[1], "the ranks drift apart");
        let largest = alone.iter().fold(0f32, |largest, value| largest.max(value.abs()));
        let worst = distance(&alone, &together[0]);
        println!("{exchanged}: parameters differ by {worst} of {largest}");
        assert!(worst < tolerance * largest, "{exchanged}: parameters differ by {worst} of {largest}");
        assert!(exchanged == DType::F32 || worst > 1e-6 * largest, "{exchanged}: nothing was rounded");
    }
}

/// The largest difference of two numbers.
fn distance(one: &[f32], two: &[f32]) -> f32 {
    one.iter().zip(two).map(|(one, two)| (one - two).abs()).fold(0.0, f32::max)
}

fn without_normalisation() -> Network {
    let window = |kernel, stride, padding| Window { kernel, stride, padding };
    let mut network = Network::default();
    let input = network.push("input", layers::Input, &[]);
    let first = network.push("first", Conv { window: window(3, 2, 1), inputs: 3, outputs: 16 }, &[input]);
    let pooled = network.push("pool", MaxPool { window: window(3, 2, 1) }, &[first]);
    let second = network.push("second", Conv { window: window(3, 1, 1), inputs: 16, outputs: 16 }, &[pooled]);
    let sum = network.push("sum", AddRelu, &[second, pooled]);
    let mean = network.push("mean", GlobalAvgPool, &[sum]);
    network.push("fc", Linear { inputs: 16, outputs: 3 }, &[mean]);
    network
}

#[test]
fn a_run_goes_on_with_fewer_and_with_more_ranks() {
    if lacks(LIBRARY) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (data, logdir) = (folder.path().join("photos"), folder.path().join("logs"));
    photos(&data);
    let four = "[{'ep':0,'sz':32,'bs':2},{'ep':(0,4),'lr':(0.005,0.01)}]";
    let mut child = train(&data, &logdir, &["--devices", "cpu:2", "--phases", four]).spawn().unwrap();
    wait_for_steps(&logdir, 5);
    // Only the launcher gets the signal, as from a terminal. A second one would end the ranks.
    signal(&child, Signal::INT);
    let output = wait(&mut child, Duration::from_secs(20));
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    let said = stderr(&output);
    assert!(said.matches(": error: ").count() == 1 && said.contains("rank 0: error: stopped by SIGINT"), "{said}");
    let done = events(&logdir, "step").len();

    let output = succeed(train(&data, &logdir, &["--resume", "auto", "--phases", four]));
    let said = stderr(&output);
    assert!(said.contains("is of 2 ranks, and goes on with 1"), "{said}");
    assert_eq!(events(&logdir, "epoch_end").len(), 4);
    // One rank with batches of 2 images takes 24 steps an epoch where two ranks take 12. It starts
    // where the two ended.
    let steps = events(&logdir, "step");
    let resumed = &events(&logdir, "resumed")[0];
    let begins = 24 * resumed["epoch"].as_u64().unwrap() + resumed["step"].as_u64().unwrap();
    assert_eq!(begins, 2 * done as u64);
    assert_eq!(steps.len() - done, 4 * 24 - 2 * done);
    let scalars = in18_record::event_files::read_scalars(&logdir).unwrap().all;
    let worlds = scalars.iter().filter(|scalar| scalar.tag == "sizes/world").map(|scalar| scalar.value);
    assert_eq!(worlds.collect::<Vec<f64>>(), [2.0, 1.0]);

    // And back: the finished run has no steps left for three ranks, but they may resume it.
    succeed(train(&data, &logdir, &["--resume", "auto", "--phases", four, "--devices", "cpu:3"]));
}

#[test]
fn a_plan_is_for_the_devices_that_will_train() {
    if lacks(LIBRARY) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    photos(folder.path());
    let plan = |more: &[&str]| -> (u64, u64) {
        let output = succeed(train(folder.path(), folder.path(), &[&["--dry-run", "--json"], more].concat()));
        let first: Value = serde_json::from_slice(output.stdout.split(|&byte| byte == b'\n').next().unwrap()).unwrap();
        (first["steps"].as_u64().unwrap(), first["device_bytes"].as_u64().unwrap())
    };
    let ((alone, bytes), (two, same)) = (plan(&["--devices", "cpu"]), plan(&["--devices", "cpu:2"]));
    assert!(alone == 12 && two == 6 && bytes == same, "{alone}, {two}, {bytes}, {same}");
    // Gradients exchanged in another type lie beside those in fp32: 11 million of 2 bytes.
    let halves = ["--devices", "cpu:2", "--precision", "bf16"];
    let more = plan(&[&halves[..], &["--gradients", "compute"]].concat()).1 - plan(&halves).1;
    assert!((22_000_000..24_000_000).contains(&more), "{more}");
}

#[test]
fn ranks_of_a_machine_share_its_memory() {
    if lacks(LIBRARY) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    photos(folder.path());
    let huge = "[{'ep':0,'sz':60000,'bs':4},{'ep':(0,1),'lr':(0.005,0.01)}]";
    // The message says "…, expected at most N MiB; …".
    let at_most = |devices: &str| -> f64 {
        let more = ["--devices", devices, "--phases", huge];
        let output = train(folder.path(), &folder.path().join(devices.replace(':', "-")), &more).output().unwrap();
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(6), "{said}");
        let rest = said.split("expected at most ").nth(1).unwrap_or_else(|| panic!("{said}"));
        rest.split(' ').next().unwrap().parse().unwrap()
    };
    let ratio = at_most("cpu") / at_most("cpu:2");
    // Other programs allocate and free memory meanwhile.
    assert!((1.6..2.5).contains(&ratio), "one process may have {ratio} times as much as each of two");
}
