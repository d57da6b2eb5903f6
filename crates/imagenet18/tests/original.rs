//! The original's command line is accepted unchanged.

use assert_cmd::Command;

/// The seed report's command, with
/// `python -m torch.distributed.launch … training/train_imagenet_nv.py` replaced.
const COMMAND: &[&str] = &[
    "train",
    "/mnt/data/data/imagenet",
    "--fp16",
    "--logdir",
    "./ncluster/runs/lambda-blade",
    "--distributed",
    "--init-bn0",
    "--no-bn-wd",
    "--phases",
    "[{'ep': 0, 'sz': 128, 'bs': 512, 'trndir': '-sz/160'}, {'ep': (0, 7), 'lr': (1.0, 2.0)}, {'ep': (7, 13), 'lr': (2.0, \
     0.25)}, {'ep': 13, 'sz': 224, 'bs': 224, 'trndir': '-sz/320', 'min_scale': 0.087}, {'ep': (13, 22), 'lr': (0.4375, \
     0.043750000000000004)}, {'ep': (22, 25), 'lr': (0.043750000000000004, 0.004375)}, {'ep': 25, 'sz': 288, 'bs': 128, \
     'min_scale': 0.5, 'rect_val': True}, {'ep': (25, 28), 'lr': (0.0025, 0.00025)}]",
];

fn run(more: &[&str]) -> assert_cmd::assert::Assert {
    let planned = ["--dry-run", "--images", "1281167", "--world", "8"];
    Command::cargo_bin("imagenet18").unwrap().args(COMMAND).args(planned).args(more).assert()
}

#[test]
fn the_reports_command_is_accepted() {
    let output = run(&[]).success();
    let stdout = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    assert!(stdout.starts_with("8 device(s), 28 epochs, "), "{stdout}");
    let stderr = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    let lines: Vec<&str> = stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{stderr}");
    assert!(lines[0].starts_with("note: --fp16 ") && lines[1].starts_with("note: --distributed "), "{stderr}");
}

#[test]
fn every_other_flag_is_answered_by_one_line() {
    for flag in [
        &["--dist-url", "env://"][..],
        &["--dist-backend", "nccl"],
        &["--local_rank", "3"],
        &["--local_rank=0"],
        &["--skip-auto-shutdown"],
        &["--auto-shutdown-success-delay-mins", "10"],
        &["--auto-shutdown-failure-delay-mins", "60"],
    ] {
        let output = run(flag).success();
        let stderr = String::from_utf8(output.get_output().stderr.clone()).unwrap();
        assert_eq!(stderr.lines().count(), 3, "{flag:?}: {stderr}");
        let name = flag[0].split('=').next().unwrap();
        assert!(stderr.contains(&format!("note: {name} ")), "{flag:?}: {stderr}");
    }
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for (flags, says) in
        [(&["--precision", "fp32"][..], "--fp16"), (&["--local_rank", "three"], "invalid value 'three'")]
    {
        let output = run(flags).failure().code(2);
        let stderr = String::from_utf8(output.get_output().stderr.clone()).unwrap();
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.contains(says), "{stderr}");
    }
}
