//! The contexts of process functions: where they may emit, what time it is, whose state they see.
//!
//! The contexts are traits, so that a function's calls are resolved when the chain is compiled:
//! emitting a record pushes it into the next operator, inlined.

use crate::record::{Key, KeyHash};
use crate::state::{KeyedBackend, KeyedScope, Scope, ScopeMut};
use crate::time::Timestamp;

use super::process_services::ProcessServices;
use super::timer_service::TimerService;
use super::{OutputTag, Push, SubtaskInfo};

/// Which clock a timer follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimeDomain {
    /// Event time: the watermark.
    Event,
    /// Processing time: the machine's clock, or the manual one.
    Processing,
}

/// What every process function can use. `O` is the type of the main output's records.
pub trait ProcessContext<O: ?Sized> {
    /// Emits a record with the timestamp of the record or timer being processed.
    fn emit(&mut self, record: &O);

    /// Emits a record with a timestamp of its own.
    fn emit_at(&mut self, record: &O, at: Timestamp);

    /// Emits a record to a side output; drops it if that output is not connected.
    fn emit_to<T: ?Sized + 'static>(&mut self, tag: &OutputTag<T>, record: &T);

    /// Returns the record's timestamp, or the timer's time; `None` for a record without one, and at the end
    /// of input.
    fn timestamp(&self) -> Option<Timestamp>;

    /// Returns the current watermark: [`Timestamp::MIN`] before the first.
    fn watermark(&self) -> Timestamp;

    /// Returns the processing time at the start of this batch.
    fn processing_time(&self) -> Timestamp;

    /// Returns which subtask this is.
    fn subtask(&self) -> &SubtaskInfo;
}

/// What a keyed process function can use: everything refers to the current key.
pub trait KeyedProcessContext<K: Key + ?Sized, O: ?Sized>:
    ProcessContext<O> + KeyedScope<Key = K>
{
    /// Returns the current key.
    fn key(&self) -> &K;

    /// Registers a callback for when the watermark reaches `at`. Registering the same key and time again has no
    /// effect. A timer at or before the current watermark fires when the watermark next advances, or in the same
    /// pass if it is registered while timers fire.
    fn register_event_timer(&mut self, at: Timestamp);

    /// Registers a callback at processing time `at`, or immediately if that has passed.
    fn register_processing_timer(&mut self, at: Timestamp);

    /// Deletes the current key's event timer at `at`, if there is one.
    fn delete_event_timer(&mut self, at: Timestamp);

    /// Deletes the current key's processing timer at `at`, if there is one.
    fn delete_processing_timer(&mut self, at: Timestamp);
}

/// The context of a function without a key.
pub(super) struct PlainContext<'a, D> {
    pub(super) services: &'a mut ProcessServices<D>,
    pub(super) timestamp: Option<Timestamp>,
    /// The timestamp of emitted records.
    pub(super) output_at: Timestamp,
}

impl<O: ?Sized, D: Push<O>> ProcessContext<O> for PlainContext<'_, D> {
    #[inline(always)]
    fn emit(&mut self, record: &O) {
        self.services.outputs.main.push(record, self.output_at);
    }

    #[inline(always)]
    fn emit_at(&mut self, record: &O, at: Timestamp) {
        self.services.outputs.main.push(record, at);
    }

    #[inline]
    fn emit_to<T: ?Sized + 'static>(&mut self, tag: &OutputTag<T>, record: &T) {
        (self.services.outputs.sides).push(tag, record, self.output_at);
    }

    #[inline(always)]
    fn timestamp(&self) -> Option<Timestamp> {
        self.timestamp
    }

    #[inline(always)]
    fn watermark(&self) -> Timestamp {
        self.services.watermark
    }

    #[inline(always)]
    fn processing_time(&self) -> Timestamp {
        self.services.now
    }

    fn subtask(&self) -> &SubtaskInfo {
        self.services.subtask()
    }
}

/// The context of a function with a key.
pub(super) struct KeyedContext<'a, K: Key + ?Sized, D> {
    pub(super) plain: PlainContext<'a, D>,
    pub(super) key: &'a K,
    pub(super) hash: KeyHash,
    pub(super) backend: &'a mut KeyedBackend<K>,
    pub(super) timers: &'a mut TimerService<K>,
}

impl<K: Key + ?Sized, D> KeyedScope for KeyedContext<'_, K, D> {
    type Key = K;

    #[inline(always)]
    fn scope(&self) -> Scope<'_, K> {
        Scope::new(self.key, self.hash, self.backend)
    }

    #[inline(always)]
    fn scope_mut(&mut self) -> ScopeMut<'_, K> {
        ScopeMut::new(self.key, self.hash, self.backend)
    }
}

impl<K: Key + ?Sized, O: ?Sized, D: Push<O>> ProcessContext<O> for KeyedContext<'_, K, D> {
    #[inline(always)]
    fn emit(&mut self, record: &O) {
        self.plain.emit(record);
    }

    #[inline(always)]
    fn emit_at(&mut self, record: &O, at: Timestamp) {
        self.plain.emit_at(record, at);
    }

    #[inline]
    fn emit_to<T: ?Sized + 'static>(&mut self, tag: &OutputTag<T>, record: &T) {
        ProcessContext::<O>::emit_to(&mut self.plain, tag, record);
    }

    #[inline(always)]
    fn timestamp(&self) -> Option<Timestamp> {
        self.plain.timestamp
    }

    #[inline(always)]
    fn watermark(&self) -> Timestamp {
        self.plain.services.watermark
    }

    #[inline(always)]
    fn processing_time(&self) -> Timestamp {
        self.plain.services.now
    }

    fn subtask(&self) -> &SubtaskInfo {
        self.plain.services.subtask()
    }
}

impl<K: Key + ?Sized, O: ?Sized, D: Push<O>> KeyedProcessContext<K, O> for KeyedContext<'_, K, D> {
    #[inline(always)]
    fn key(&self) -> &K {
        self.key
    }

    fn register_event_timer(&mut self, at: Timestamp) {
        (self.timers).register(TimeDomain::Event, self.hash, self.key, at);
    }

    fn register_processing_timer(&mut self, at: Timestamp) {
        (self.timers).register(TimeDomain::Processing, self.hash, self.key, at);
    }

    fn delete_event_timer(&mut self, at: Timestamp) {
        (self.timers).delete(TimeDomain::Event, self.hash, self.key, at);
    }

    fn delete_processing_timer(&mut self, at: Timestamp) {
        (self.timers).delete(TimeDomain::Processing, self.hash, self.key, at);
    }
}
