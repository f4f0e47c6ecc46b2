//! The `SIGBUS` guard: a bad page of a file that we have mapped becomes an error, rather than the end of the process.
//!
//! A store through a map cannot fail: a page that the disk cannot provide, or that was cut off the file, raises
//! `SIGBUS`. The handler here looks the address up among the guarded ranges. If it is in one, it maps an empty page
//! there, so that the store can proceed, and records the fault, which whoever filled the range finds by
//! [`Guard::check`]. Any other address is passed to the previous handler, or to the system's default: nothing changes
//! for the process in which we are embedded.
//!
//! A process that installs its own handler later must pass on what it does not recognise, as this one does.
#![expect(
    unsafe_code,
    reason = "installs a signal handler, which maps pages and calls the handler before it"
)]

use std::io;
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};

use libc::{c_int, c_void, siginfo_t};

/// How many ranges can be guarded at a time.
const SLOT_COUNT: usize = 64;

/// A slot for a range. The handler reads it while others change it, so it carries a sequence number, which is odd while
/// it is being changed.
struct Slot {
    taken: AtomicBool,
    sequence: AtomicUsize,
    start: AtomicUsize,
    end: AtomicUsize,
    faults: AtomicUsize,
}

static SLOTS: [Slot; SLOT_COUNT] = [const { Slot::empty() }; SLOT_COUNT];

/// The previous handler, and the size of a page.
struct Before {
    action: libc::sigaction,
    page_size: usize,
}

static BEFORE: OnceLock<Option<Before>> = OnceLock::new();

impl Slot {
    const fn empty() -> Self {
        Slot {
            taken: AtomicBool::new(false),
            sequence: AtomicUsize::new(0),
            start: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
            faults: AtomicUsize::new(0),
        }
    }

    fn set(&self, range: Range<usize>) {
        let sequence = self.sequence.load(Ordering::Relaxed);
        self.sequence.store(sequence + 1, Ordering::Relaxed);
        fence(Ordering::Release);
        self.start.store(range.start, Ordering::Relaxed);
        self.end.store(range.end, Ordering::Relaxed);
        self.sequence.store(sequence + 2, Ordering::Release);
    }

    /// Whether `address` is in the range. An address in a range that is being changed cannot fault: its owner is not
    /// accessing it.
    fn holds(&self, address: usize) -> bool {
        let before = self.sequence.load(Ordering::Acquire);
        let start = self.start.load(Ordering::Relaxed);
        let end = self.end.load(Ordering::Relaxed);
        fence(Ordering::Acquire);
        let after = self.sequence.load(Ordering::Relaxed);
        before == after && before.is_multiple_of(2) && (start..end).contains(&address)
    }
}

/// Guards a range while it lives, which must end before the range is unmapped.
pub(super) struct Guard {
    slot: &'static Slot,
}

impl Guard {
    /// Guards a mapping, unless too many are guarded already or the handler cannot be installed.
    pub(super) fn over(range: Range<*const u8>) -> Option<Self> {
        BEFORE.get_or_init(install).as_ref()?;
        let free = |slot: &&Slot| !slot.taken.swap(true, Ordering::Acquire);
        let slot = SLOTS.iter().find(free)?;
        slot.faults.store(0, Ordering::Relaxed);
        slot.set(range.start.addr()..range.end.addr());
        Some(Guard { slot })
    }

    /// An error if a page of the range was bad.
    pub(super) fn check(&self) -> io::Result<()> {
        match self.slot.faults.load(Ordering::Relaxed) {
            0 => Ok(()),
            _ => Err(io::Error::from_raw_os_error(libc::EIO)),
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.slot.set(0..0);
        self.slot.taken.store(false, Ordering::Release);
    }
}

fn install() -> Option<Before> {
    // SAFETY: only queries a number.
    let page_size = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).ok()?;
    // SAFETY: all zeroes are a `sigaction`: no flags, an empty mask, the default action.
    let (mut action, mut before): (libc::sigaction, libc::sigaction) =
        unsafe { std::mem::zeroed() };
    let entry: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) = handle;
    action.sa_sigaction = entry as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: both structures are live; `handle` has the signature that `SA_SIGINFO` requires and calls only what may
    // be called in a signal handler.
    let result = unsafe { libc::sigaction(libc::SIGBUS, &raw const action, &raw mut before) };
    (result == 0).then_some(Before {
        action: before,
        page_size,
    })
}

/// Runs on the thread that faulted. Takes no lock and allocates nothing.
extern "C" fn handle(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the system hands over a valid `siginfo_t`, which has an address for this signal.
    let address = unsafe { (*info).si_addr() }.addr();
    // Unset only if the fault came while the handler was being installed; then no range is guarded.
    let before = BEFORE.get().and_then(Option::as_ref);
    if let Some(before) = before {
        let slot = SLOTS.iter().find(|slot| slot.holds(address));
        if slot.is_some_and(|slot| replace_page(address, before.page_size, slot)) {
            return;
        }
    }
    hand_on(before, signal, info, context);
}

/// Maps an empty page in place of the bad one. Returns whether that worked.
fn replace_page(address: usize, page_size: usize, slot: &Slot) -> bool {
    let page = address - address % page_size;
    let (protection, flags) = (
        libc::PROT_READ | libc::PROT_WRITE,
        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED,
    );
    // SAFETY: the page is part of a mapping of ours, because a range is unmapped only after its guard has ended. Only
    // the thread that faulted uses that mapping, which is unmapped as a whole later.
    let mapped = unsafe {
        let page = std::ptr::with_exposed_provenance_mut(page);
        libc::mmap(page, page_size, protection, flags, -1, 0)
    };
    slot.faults.fetch_add(1, Ordering::Relaxed);
    mapped != libc::MAP_FAILED
}

/// Does what would have happened without us.
fn hand_on(before: Option<&Before>, signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let action = before.map(|before| &before.action);
    match action.map_or(libc::SIG_DFL, |action| action.sa_sigaction) {
        libc::SIG_DFL | libc::SIG_IGN => {
            // A fault cannot be ignored: the default action ends the process when the access is retried.
            // SAFETY: sets a signal to its default, which any handler may do.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
        function if action.is_some_and(|action| action.sa_flags & libc::SA_SIGINFO != 0) => {
            // SAFETY: it was installed with `SA_SIGINFO`, so it has this signature.
            let function: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) =
                unsafe { std::mem::transmute(function) };
            function(signal, info, context);
        }
        function => {
            // SAFETY: it was installed without `SA_SIGINFO`, so it has this signature.
            let function: extern "C" fn(c_int) = unsafe { std::mem::transmute(function) };
            function(signal);
        }
    }
}

#[cfg(test)]
#[path = "sigbus_test.rs"]
mod tests;
