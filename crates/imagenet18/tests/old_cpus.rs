//! CPUs below AVX2. Commands that compute say at once, in one line, that they cannot; everything
//! else works. oneDNN simulates such a CPU.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use in18_testkit::images::write_class_folders;

const PHASES: &str = "[{'ep':0,'sz':32,'bs':4},{'ep':(0,1),'lr':(0.02,0.05)}]";

fn limited(isa: &str, folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("imagenet18").unwrap();
    // Hide GPUs: otherwise they would compute.
    command.env("ONEDNN_MAX_CPU_ISA", isa).env("CUDA_VISIBLE_DEVICES", "").current_dir(folder).args(arguments);
    command
}

#[test]
fn what_computes_ends_at_once_with_one_line() {
    let folder = tempfile::tempdir().unwrap();
    write_class_folders(&folder.path().join("data/train"), 2, 4, &[(40, 40)]).unwrap();
    write_class_folders(&folder.path().join("data/val"), 2, 2, &[(40, 40)]).unwrap();
    fs::write(folder.path().join("net.safetensors"), "not looked at").unwrap();
    let train = ["train", "data", "--arch", "resnet18", "--phases", PHASES, "--logdir", "run"];
    for isa in ["SSE41", "AVX"] {
        for arguments in [
            &["bench", "step", "--arch", "resnet18", "--size", "32", "--batch", "2"][..],
            &["bench", "step", "--eval", "--arch", "resnet18", "--size", "32", "--batch", "2"],
            &train,
            &[&train[..], &["--evaluate", "--init", "net.safetensors"]].concat(),
            &["demo", "--dir", "demo"],
            &["eval", "data", "--checkpoint", "net.safetensors", "--size", "32"],
            &["predict", "--checkpoint", "net.safetensors", "data/val"],
        ] {
            let output = limited(isa, folder.path(), arguments).output().unwrap();
            let stderr = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(6), "{arguments:?}: {stderr}");
            assert_eq!(stderr.lines().count(), 1, "{arguments:?}: {stderr}");
            for part in ["error: oneDNN: expected a CPU with AVX2 and FMA, got ", "unset that variable"] {
                assert!(stderr.contains(part), "{arguments:?}: expected {part:?} in {stderr}");
            }
            assert_eq!(String::from_utf8(output.stdout).unwrap(), "", "{arguments:?}");
        }
    }
    // Neither photos nor a run's folder exist.
    for name in ["demo", "run"] {
        assert!(!folder.path().join(name).exists(), "{name} was made");
    }
    let train = [&train[..], &["--print-freq", "1"]].concat();
    limited("AVX2", folder.path(), &train).assert().success();
    // From here on, the run can be read by the commands that do not compute.
    for arguments in [
        &["recipes"][..],
        &["data", "info", "data"],
        &["data", "verify", "data"],
        &["report", "run", "--out", "page.html"],
        &["export", "--checkpoint", "run/model.safetensors", "--out", "net.onnx"],
    ] {
        limited("SSE41", folder.path(), arguments).assert().success();
    }
}
