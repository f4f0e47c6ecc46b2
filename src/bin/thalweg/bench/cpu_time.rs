//! The CPU time that the process has spent in its own code.
#![expect(unsafe_code, reason = "a call of the C library")]

use std::time::Duration;

/// User CPU time of all threads of the process so far.
pub(super) fn user_cpu_time() -> Duration {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is to a `rusage`, which the call fills in; it cannot fail for
    // `RUSAGE_SELF`, and if it did, zeros are a valid `rusage` too.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    };
    let time = usage.ru_utime;
    Duration::from_secs(time.tv_sec.unsigned_abs())
        + Duration::from_micros(time.tv_usec.unsigned_abs())
}
