//! Who writes down how the service starts, for `--timeline`; most often nobody.

use crate::formats::timeline::TimelineEvent as Moment;
use crate::timeline::recorder::Record;

/// Notes the moments of the start until [`Observer::end`].
pub(super) struct Observer<'a>(pub(super) Option<Record<'a>>);

impl Observer<'_> {
    /// This happens now.
    pub(super) fn note(&mut self, moment: Moment) {
        if let Some(record) = &mut self.0 {
            record.note(moment);
        }
    }

    /// In a child: this happens now.
    pub(super) fn write(&self, moment: Moment) {
        if let Some(record) = &self.0 {
            record.write(moment);
        }
    }

    /// The start is over: what was noted is written, and the file closed.
    pub(super) fn end(&mut self) {
        if let Some(record) = self.0.take() {
            record.end();
        }
    }
}
