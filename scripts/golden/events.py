"""Event files of other programs, for the tests of `imagenet18 dawn`: the same short run by tensorboardX, and by
TensorBoard's own writer as tensors, which is how TensorFlow 2 writes scalars.

    pip install tensorboard tensorboardX
    python3 scripts/golden/events.py crates/imagenet18/tests/events
"""

import shutil
import struct
import sys
import tempfile
from pathlib import Path

from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, tensor_shape_pb2, types_pb2
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from tensorboardX import SummaryWriter

START = 1_600_000_000.0

# (seconds since the start, images seen, tag, value)
RUN = [
    (0, 0, "first", 1.0),
    (360, 0, "sizes/lr", 1.5),
    (1800, 1000, "losses/test_1", 50.25),
    (1800, 1000, "losses/test_5", 75.5),
    (1800, 1000, "times/eval_sec", 36.0),
    (3600, 2000, "losses/test_1", 75.75),
    (3600, 2000, "losses/test_5", 93.25),
    (3600, 2000, "times/eval_sec", 36.0),
    (5400, 3000, "losses/test_1", 76.0),
    (5400, 3000, "losses/test_5", 94.0),
    (5400, 3000, "times/eval_sec", 36.0),
]


def tensorboardx(folder):
    writer = SummaryWriter(str(folder))
    for seconds, step, tag, value in RUN:
        writer.add_scalar(tag, value, step, walltime=START + seconds)
    writer.close()


def tensors(folder):
    writer = EventFileWriter(str(folder))
    for index, (seconds, step, tag, value) in enumerate(RUN):
        # TensorFlow packs a scalar's bytes; other writers fill the list.
        packed = index % 2 == 0
        tensor = tensor_pb2.TensorProto(dtype=types_pb2.DT_FLOAT, tensor_shape=tensor_shape_pb2.TensorShapeProto())
        if packed:
            tensor.tensor_content = struct.pack("<f", value)
        else:
            tensor.float_val.append(value)
        metadata = summary_pb2.SummaryMetadata(
            plugin_data=summary_pb2.SummaryMetadata.PluginData(plugin_name="scalars")
        )
        entry = summary_pb2.Summary.Value(tag=tag, tensor=tensor, metadata=metadata)
        writer.add_event(
            event_pb2.Event(wall_time=START + seconds, step=step, summary=summary_pb2.Summary(value=[entry]))
        )
    writer.close()


def main():
    target = Path(sys.argv[1])
    for name, write in [("tensorboardx", tensorboardx), ("tensors", tensors)]:
        folder = Path(tempfile.mkdtemp())
        write(folder)
        (file,) = folder.iterdir()
        shutil.copy(file, target / f"{name}.tfevents")
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
