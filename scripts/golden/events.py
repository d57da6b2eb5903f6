#!/usr/bin/env python3
"""Event files of a small made-up run, written by tensorboardX and by TensorFlow in both of its forms.

    python scripts/golden/events.py        # rewrites crates/imagenet18/tests/events (small, committed)

Needs tensorboardX and tensorflow. Two devices with batches of 16, 12; three validations, the second of which is the
first to reach 93 % top-5. Times are fixed, so that the table can be told beforehand.
"""
import os
import shutil
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OUT = os.path.join(ROOT, 'crates', 'imagenet18', 'tests', 'events')
START = 1_535_000_000.0
# (seconds since the start, step, tag, value)
RUN = [
    (0, 0, 'first', START), (0, 0, 'sizes/world', 2), (0, 0, 'sizes/image', 128), (0, 0, 'sizes/batch', 16),
    (10, 0, 'sizes/lr', 0.1), (20, 32, 'sizes/lr', 0.25),
    (1800, 64, 'times/eval_sec', 360), (1800, 64, 'losses/test_1', 50.5), (1800, 64, 'losses/test_5', 75.25),
    (1800, 64, 'sizes/image', 224), (1800, 64, 'sizes/batch', 12), (1810, 64, 'sizes/lr', 0.05),
    (3600, 88, 'times/eval_sec', 360), (3600, 88, 'losses/test_1', 76.5), (3600, 88, 'losses/test_5', 93.125),
    (5400, 112, 'times/eval_sec', 360), (5400, 112, 'losses/test_1', 77.5), (5400, 112, 'losses/test_5', 94.5),
]


def tensorboardx(folder):
    from tensorboardX import SummaryWriter
    writer = SummaryWriter(folder)
    for seconds, step, tag, value in RUN:
        writer.add_scalar(tag, value, step, walltime=START + seconds)
    writer.add_histogram('weights', [0.0, 1.0, 2.0], 0, walltime=START)
    writer.add_text('note', 'not a scalar', 0, walltime=START)
    writer.close()


def tensorflow_v1(folder):
    import tensorflow as tf
    with tf.Graph().as_default():
        writer = tf.compat.v1.summary.FileWriter(folder)
    writer.add_session_log(tf.compat.v1.SessionLog(status=tf.compat.v1.SessionLog.START), 0)
    for seconds, step, tag, value in RUN:
        summary = tf.compat.v1.Summary(value=[tf.compat.v1.Summary.Value(tag=tag, simple_value=value)])
        writer.add_event(tf.compat.v1.Event(wall_time=START + seconds, step=step, summary=summary))
    writer.close()


def tensorflow_v2(folder):
    """What tf.summary.scalar writes; the times are those of the made-up run, which that function does not take."""
    import tensorflow as tf
    written = os.path.join(folder, 'written')
    writer = tf.summary.create_file_writer(written)
    with writer.as_default():
        for _, step, tag, value in RUN:
            tf.summary.scalar(tag, value, step=step)
        tf.summary.histogram('weights', [0.0, 1.0, 2.0], step=0)
        tf.summary.text('note', 'not a scalar', step=0)
    writer.close()
    times = iter([START + seconds for seconds, *_ in RUN])
    [name] = os.listdir(written)
    with tf.io.TFRecordWriter(os.path.join(folder, name)) as out:
        for record in tf.compat.v1.io.tf_record_iterator(os.path.join(written, name)):
            event = tf.compat.v1.Event.FromString(record)
            if event.WhichOneof('what') == 'summary':
                event.wall_time = next(times, START)
            out.write(event.SerializeToString())
    shutil.rmtree(written)


def main():
    os.makedirs(OUT, exist_ok=True)
    for write in (tensorboardx, tensorflow_v1, tensorflow_v2):
        with tempfile.TemporaryDirectory() as folder:
            write(folder)
            [name] = os.listdir(folder)
            shutil.move(os.path.join(folder, name), os.path.join(OUT, f'{write.__name__}.tfevents'))


if __name__ == '__main__':
    main()
