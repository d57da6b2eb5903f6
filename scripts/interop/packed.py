"""Do other programs read our shards, and do we read their tables and shards?

Prepares shards from Parquet tables as Hugging Face's hub has them (written by pyarrow), from WebDataset's shards (written
by its ShardWriter), and from ImageNet's archives (written by tarfile), and reads them with WebDataset's library.

Usage: packed.py IMAGENET18 WORKDIR
"""

# requires: pyarrow==26.0.1 webdataset==1.0.2 pillow==12.3.0 numpy==2.4.6

import io
import json
import pathlib
import random
import subprocess
import sys
import tarfile

import pyarrow
import pyarrow.parquet
import webdataset
from PIL import Image

program, work = sys.argv[1], pathlib.Path(sys.argv[2])
NAMES = ["crane", "dog", "crane"]  # ImageNet has classes of one name, too.


def photo(seed):
    """A JPEG of 60 x 48 pixels."""
    image = Image.effect_noise((60, 48), 80).convert("RGB")
    image.putpixel((seed % 60, 0), (255, 0, 0))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=90)
    return file.getvalue()


def pixels(file):
    return Image.open(io.BytesIO(file)).convert("RGB").tobytes()


def table(path, labels):
    """Writes rows as `datasets` does: a struct of bytes and path, a label, the classes' names as metadata."""
    photos = [photo(seed) for seed in range(len(labels))]
    image = pyarrow.array(
        [{"bytes": file, "path": f"{n}.jpg"} for n, file in enumerate(photos)],
        pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())]),
    )
    features = {"image": {"_type": "Image"}, "label": {"names": NAMES, "_type": "ClassLabel"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    rows = pyarrow.table({"image": image, "label": pyarrow.array(labels, pyarrow.int64())}).replace_schema_metadata(metadata)
    pyarrow.parquet.write_table(rows, path, row_group_size=7, compression="snappy")
    return list(zip(photos, labels))


def shards(folder, labels):
    """Writes WebDataset's shards of ten samples."""
    folder.mkdir(parents=True)
    photos = [photo(seed) for seed in range(len(labels))]
    with webdataset.ShardWriter(str(folder / "part-%03d.tar"), maxcount=10, verbose=0) as writer:
        for n, (file, label) in enumerate(zip(photos, labels)):
            writer.write({"__key__": f"sample{n:04d}", "jpg": file, "cls": label, "json": {"n": n}})
    return list(zip(photos, labels))


def archive(members):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return file.getvalue()


def archives(folder):
    """ImageNet's: a tar of tars to train on, a tar and a list of labels to validate."""
    folder.mkdir()
    classes = {synset: [(f"{synset}_{n}.JPEG", photo(n)) for n in range(8)] for synset in ["n02", "n01"]}
    inner = [(f"{synset}.tar", archive(members)) for synset, members in classes.items()]
    (folder / "ILSVRC2012_img_train.tar").write_bytes(archive(inner))
    validation = [(f"ILSVRC2012_val_{n + 1:08d}.JPEG", photo(n)) for n in range(6)]
    (folder / "ILSVRC2012_img_val.tar").write_bytes(archive(validation))
    synsets = ["n02", "n01", "n01", "n02", "n01", "n02"]
    (folder / "LOC_val_solution.csv").write_text("ImageId,PredictionString\n" + "".join(
        f"{name.split('.')[0]},{synset} 1 2 3 4 \n" for (name, _), synset in zip(validation, synsets)))
    train = [(file, int(synset == "n02")) for synset, members in classes.items() for _, file in members]
    return train, [(file, int(synset == "n02")) for (_, file), synset in zip(validation, synsets)]


def run(*arguments):
    done = subprocess.run([program, "data", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, f"{arguments}: {done.stderr}"
    return done.stdout


def check(name, source, expected, classes):
    """Prepares, and compares what WebDataset's library reads with what was written."""
    target = work / f"{name}-prepared"
    run("prepare", source, target, "--sizes", "24,full", "--shard-images", "10")
    for folder in [target, f"{target}-sz/24"]:
        run("verify", folder)
        found = json.loads(run("info", folder, "--json"))
        assert sorted(found["train"]["classes"]) == sorted(classes), f"{name}: expected {classes}, got {found['train']['classes']}"
    for half, pairs in expected.items():
        files = sorted((target / half).glob("*.tar"))
        samples = list(webdataset.WebDataset([str(file) for file in files], shardshuffle=False))
        # Files are written anew, in another form; libjpeg has the same pixels of them.
        got = sorted((pixels(sample["jpg"]), int(sample["cls"])) for sample in samples)
        assert got == sorted((pixels(file), label) for file, label in pairs), f"{name}/{half}: expected {len(pairs)} pairs of photo and label, got others"
        small = webdataset.WebDataset([str(file) for file in sorted(pathlib.Path(f"{target}-sz/24", half).glob("*.tar"))],
                                      shardshuffle=False).decode("pil")
        sizes = {sample["jpg"].size for sample in small}
        assert sizes == {(30, 24)}, f"{name}/{half}: expected 30 x 24 pixels, got {sizes}"


random.seed(0)
labels = [random.randrange(3) for _ in range(36)] + [0, 1, 2]
(work / "hub/data").mkdir(parents=True)
hub = {"train": table(work / "hub/data/train-00000-of-00001.parquet", labels),
       "validation": table(work / "hub/data/validation-00000-of-00001.parquet", [2, 1, 0, 0])}
check("hub", work / "hub/data", hub, ["crane (0)", "dog", "crane (2)"])
shuffled = {"train": shards(work / "shards/train", labels), "validation": shards(work / "shards/val", [0, 1, 2])}
check("shards", work / "shards", shuffled, ["0", "1", "2"])
train, validation = archives(work / "archives")
check("archives", work / "archives", {"train": train, "validation": validation}, ["n01", "n02"])
print("Parquet tables, WebDataset's shards and ImageNet's archives become shards that WebDataset reads")
