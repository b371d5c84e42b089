//! How memory is taken from the system and given back.
//!
//! The C library gives the top of a thread's heap back as soon as it is free and takes it again with
//! the next call: a system call and a page fault each time. A process that works all day keeps it.
#![allow(unsafe_code)]

/// Kept at the top of each heap, and taken at once when it is used up: what some hundred calls need.
const TOP_PAD_BYTES: libc::c_int = 4 << 20;
/// Given back only when so much is free at the top.
const TRIM_THRESHOLD_BYTES: libc::c_int = 128 << 20;

/// Tells the C library. Once, before the first thread is started.
pub fn keep_the_heap() {
    #[cfg(target_env = "gnu")]
    for (what, bytes) in [
        (libc::M_TOP_PAD, TOP_PAD_BYTES),
        (libc::M_TRIM_THRESHOLD, TRIM_THRESHOLD_BYTES),
    ] {
        // SAFETY: mallopt takes two integers and changes two settings of the allocator; no other
        // thread runs yet, and what it does not know it refuses.
        let is_taken = unsafe { libc::mallopt(what, bytes) };
        if is_taken == 0 {
            tracing::debug!(what, bytes, "the allocator does not know this setting");
        }
    }
}
