//! The epoch table that ends a run.

use crate::EpochRecord;

/// The table of the seed report: epochs counted from 1, hours since the start, and validation
/// accuracies in percent with four digits each. Ends with a line break. If there are no epochs, it
/// is a header alone.
#[must_use]
pub fn epoch_table(epochs: &[EpochRecord]) -> String {
    let mut text = String::from("Epoch  Training Time (hour)  Top-1 Acc  Top-5 Acc\n");
    for epoch in epochs {
        text += &format!("{:>5}  {:>20.4}  {:>9.4}  {:>9.4}\n", epoch.epoch + 1, epoch.hours, epoch.top1, epoch.top5);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn columns_line_up() {
        let mut epochs = vec![samples::epoch(0), samples::epoch(1)];
        epochs.push(EpochRecord { epoch: 26, hours: 12.3657, top1: 75.9179, top5: 100.0, ..samples::epoch(1) });
        insta::assert_snapshot!(epoch_table(&epochs), @r"
        Epoch  Training Time (hour)  Top-1 Acc  Top-5 Acc
            1                0.0013    17.5000    62.5000
            2                0.0025    77.5000    97.5000
           27               12.3657    75.9179   100.0000
        ");
    }
}
