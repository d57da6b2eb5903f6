//! Tests with files that are networks, and with files that are not.

use in18_program::BlurPooling;

use super::*;

const CLASSES: usize = 3;

fn path() -> &'static Path {
    Path::new("f.safetensors")
}

/// A network as PyTorch would save it. Every value is 0.5, and each name has a prefix.
fn foreign(arch: Arch, dtype: Dtype, prefix: &str) -> Vec<(String, Stored<'static>)> {
    let half: &[u8] = match dtype {
        Dtype::F16 => &[0x00, 0x38],
        Dtype::BF16 => &[0x00, 0x3f],
        Dtype::F64 => &[0, 0, 0, 0, 0, 0, 0xe0, 0x3f],
        _ => &[0, 0, 0, 0x3f],
    };
    let stored = |entry: Entry| {
        let bytes = half.repeat(entry.shape.elements()).into();
        (format!("{prefix}{}", entry.name), Stored { dtype, shape: entry.shape.extents().to_vec(), bytes })
    };
    entries(&arch.network(CLASSES)).map(stored).collect()
}

fn parse(tensors: Vec<(String, Stored<'_>)>) -> WeightFile {
    WeightFile::parse(path(), safetensors::serialize(tensors, None).unwrap()).unwrap()
}

fn line(error: WeightsError) -> String {
    let line = error.to_string();
    assert!(line.starts_with("f.safetensors: expected") && !line.contains('\n'), "{line}");
    line
}

#[test]
fn every_type_and_the_wrappers_prefix_are_read() {
    for dtype in [Dtype::F32, Dtype::F16, Dtype::BF16, Dtype::F64] {
        let file = parse(foreign(Arch::RESNET18, dtype, WRAPPER));
        file.check(Arch::RESNET18, CLASSES, Head::Keep).unwrap();
        assert_eq!(file.values("fc.bias").unwrap(), [0.5; CLASSES], "{dtype:?}");
    }
}

#[test]
fn velocities_and_counts_do_not_matter() {
    let mut tensors = foreign(Arch::RESNET18, Dtype::F32, "");
    tensors.push(("momentum_buffer.fc.bias".to_owned(), Stored::f32(&[3], &[0.0; 3])));
    tensors.push(("bn1.num_batches_tracked".to_owned(), Stored::count(7)));
    let file = parse(tensors);
    file.check(Arch::RESNET18, CLASSES, Head::Keep).unwrap();
    assert_eq!((file.count("bn1.num_batches_tracked"), file.count("bn2.num_batches_tracked")), (7, 0));
}

#[test]
fn a_file_that_does_not_say_its_network_gets_the_fitting_one_named() {
    let file = parse(foreign(Arch::RESNET34, Dtype::F16, ""));
    assert!(line(file.arch(None).unwrap_err()).ends_with("give --arch resnet34, which fits"));
    assert_eq!(file.arch(Some(Arch::RESNET34)).unwrap(), Arch::RESNET34);
}

#[test]
fn other_networks_and_classes_are_named() {
    let file = parse(foreign(Arch::RESNET50, Dtype::BF16, ""));
    let says = line(file.check(Arch::RESNET18, CLASSES, Head::Keep).unwrap_err());
    assert!(says.contains("expected a resnet18") && says.contains("--arch resnet50 fits it"), "{says}");
    let says = line(file.check(Arch::RESNET50, 5, Head::Keep).unwrap_err());
    assert!(says.contains("5 classes, got one of 3") && says.contains("--new-head"), "{says}");
    file.check(Arch::RESNET50, 5, Head::Replace).unwrap();
}

#[test]
fn missing_unknown_and_integer_tensors_are_named() {
    let without = |name: &str| -> Vec<_> {
        foreign(Arch::RESNET18, Dtype::F32, "").into_iter().filter(|(other, _)| other != name).collect()
    };
    let mut integers = without("bn1.weight");
    integers.push(("bn1.weight".to_owned(), Stored { dtype: Dtype::I32, shape: vec![64], bytes: vec![0; 256].into() }));
    let mut more = without("");
    more.push(("extra.weight".to_owned(), Stored::f32(&[1], &[0.0])));
    for (tensors, part) in [
        (without("layer3.0.bn2.running_var"), "a file without layer3.0.bn2.running_var"),
        (without("fc.bias"), "a file without fc.bias"),
        (more, "extra.weight, which it does not have"),
        (integers, "bn1.weight of type I32"),
    ] {
        let says = line(parse(tensors).check(Arch::RESNET18, CLASSES, Head::Keep).unwrap_err());
        assert!(says.contains(part), "{says}");
    }
}

#[test]
fn what_is_no_safetensors_file_is_refused_in_a_line() {
    let file = |length: u64, header: &str| [&length.to_le_bytes(), header.as_bytes()].concat();
    let tensor = |shape: &str, offsets: &str| {
        let header = format!(r#"{{"x":{{"dtype":"F32","shape":{shape},"data_offsets":{offsets}}}}}"#);
        file(header.len() as u64, &header)
    };
    let whole = safetensors::serialize([("x", Stored::f32(&[2], &[1.0, 2.0]))], None).unwrap();
    for (bytes, part) in [
        (vec![], "an empty file"),
        (b"PK\x03\x04rest of a zip".to_vec(), "weights_only=True"),
        (b"\x80\x02}q\x00X\x05\x00\x00\x00epoch".to_vec(), "a pickle"),
        (b"not a network at all".to_vec(), "something else"),
        (b"abc".to_vec(), "damaged"),
        (whole[..whole.len() - 1].to_vec(), "damaged"),
        (file(u64::MAX, "{}"), "damaged"),
        (file(1 << 40, "{}"), "damaged"),
        (file(2, "[]"), "something else"),
        (tensor("[18446744073709551615,18446744073709551615]", "[0,4]"), "damaged"),
        (tensor("[4611686018427387904]", "[0,18446744073709551615]"), "damaged"),
        (tensor("[1]", "[4,0]"), "damaged"),
    ] {
        let says = line(WeightFile::parse(path(), bytes).unwrap_err());
        assert!(says.contains(part), "{says}");
    }
}

#[test]
fn blur_pool_is_part_of_the_networks_name() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.safetensors");
    let (plain, blurred) = (Arch::RESNET18, Arch::RESNET18.with_blur_pool(BlurPooling::All));
    let classes: Vec<String> = ["a", "b", "c"].map(str::to_owned).to_vec();
    // What does not name its network serves either.
    let unnamed = parse(foreign(plain, Dtype::F32, ""));
    assert_eq!(unnamed.arch(Some(blurred)).unwrap(), blurred);
    unnamed.check_start(blurred).unwrap();
    unnamed.export(&out, blurred, &classes).unwrap();
    let named = WeightFile::read(&out).unwrap();
    assert_eq!(named.arch(None).unwrap(), blurred);
    let says = named.arch(Some(plain)).unwrap_err().to_string();
    assert!(says.contains("expected a resnet18, got a file that says it is a resnet18-blurpool-all"), "{says}");
    assert!(says.contains("-o network.blurpool=all"), "{says}");
    // Its values may start any network that has the same.
    named.check_start(plain).unwrap();
    let says = named.check_start(Arch::RESNET34).unwrap_err().to_string();
    assert!(says.contains("expected a resnet34") && !says.contains("network.blurpool"), "{says}");
}

#[test]
fn resnet_d_is_told_from_the_others_by_its_parameters() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.safetensors");
    let classes: Vec<String> = ["a", "b", "c"].map(str::to_owned).to_vec();
    for arch in Arch::RESNET18.forms() {
        let file = parse(foreign(arch, Dtype::F32, ""));
        let says = line(file.arch(None).unwrap_err());
        assert!(says.ends_with(&format!("give --arch {arch}, which fits")), "{says}");
        file.export(&out, arch, &classes).unwrap();
        let named = WeightFile::read(&out).unwrap();
        assert_eq!(named.arch(None).unwrap(), arch);
        named.check_start(arch.with_blur_pool(BlurPooling::All)).unwrap();
    }
    // timm's names, and no others.
    let names: Vec<String> = foreign(Arch::RESNET18.as_d(), Dtype::F32, "").into_iter().map(|(name, _)| name).collect();
    for name in ["conv1.0.weight", "conv1.4.running_var", "conv1.6.weight", "layer2.0.downsample.2.bias"] {
        assert!(names.iter().any(|known| known == name), "{name}");
    }
    let d = parse(foreign(Arch::RESNET18.as_d(), Dtype::F32, ""));
    let says = line(d.check(Arch::RESNET18, CLASSES, Head::Keep).unwrap_err());
    assert!(says.contains("expected a resnet18") && says.contains("--arch resnet18d fits it"), "{says}");
}

#[test]
fn an_export_says_what_it_is_and_reads_back_equal() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.safetensors");
    let classes: Vec<String> = ["a", "b", "ç\""].map(str::to_owned).to_vec();
    let file = parse(foreign(Arch::RESNET18, Dtype::F64, ""));
    file.export(&out, Arch::RESNET18, &classes).unwrap();
    let read = WeightFile::read(&out).unwrap();
    assert_eq!((read.arch(None).unwrap(), read.classes()), (Arch::RESNET18, Some(&*classes)));
    for name in file.tensors.keys() {
        assert_eq!(file.values(name).unwrap(), read.values(name).unwrap(), "{name}");
    }
    let says = read.arch(Some(Arch::RESNET50)).unwrap_err().to_string();
    assert!(says.contains("give --arch resnet18"), "{says}");
    let mut damaged = fs::read(&out).unwrap();
    *damaged.last_mut().unwrap() ^= 1;
    assert!(line(WeightFile::parse(path(), damaged).unwrap_err()).contains("checksum"));
}

/// Found by fuzzing: a message showed the bytes in the digest's place unescaped.
#[test]
fn what_a_file_says_of_itself_stays_on_one_line() {
    let header = br#"{"a":"\"checksum\":\"sha256:"#;
    let mut bytes = (header.len() as u64 + 70).to_le_bytes().to_vec();
    bytes.extend(header);
    bytes.extend([b'\n'; 80]);
    let text = line(WeightFile::parse(path(), bytes).unwrap_err());
    assert!(text.contains(r"its checksum says \n\n"), "{text}");
}

#[test]
fn numbers_that_are_none_are_refused_by_name() {
    let mut tensors = foreign(Arch::RESNET18, Dtype::F32, "");
    let bias = tensors.iter_mut().find(|(name, _)| name == "fc.bias").unwrap();
    bias.1 = Stored::f32(&[3], &[0.0, f32::NAN, 1.0]);
    let kernels = Box::new(in18_kernels::reference::Reference::new());
    let mut model = Model::new(kernels, Arch::RESNET18.network(CLASSES), in18_tensor::DType::F32).unwrap();
    let error = parse(tensors).load(&mut model, Arch::RESNET18, Head::Keep).unwrap_err();
    assert!(line(error).contains("expected finite numbers in fc.bias, got NaN"));
}
