//! Records the start of the service for `svscan --timeline`; usually inactive.

use crate::formats::timeline::TimelineEvent;
use crate::timeline::recorder::Record;

/// Records events of the start until [`Observer::end`].
pub(super) struct Observer<'a>(pub(super) Option<Record<'a>>);

impl Observer<'_> {
    /// Notes an event that happens now.
    pub(super) fn note(&mut self, event: TimelineEvent) {
        if let Some(record) = &mut self.0 {
            record.note(event);
        }
    }

    /// In a child: writes an event that happens now.
    pub(super) fn write(&self, event: TimelineEvent) {
        if let Some(record) = &self.0 {
            record.write(event);
        }
    }

    /// The start is complete: writes the notes and closes the file.
    pub(super) fn end(&mut self) {
        if let Some(record) = self.0.take() {
            record.end();
        }
    }
}
